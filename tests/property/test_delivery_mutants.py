"""The delivery protocol less one of its protections: histories must be found that harm.

Harm is a record lost or doubled, a bad message that is in no dead letter, or (where the ledger is
what is protected) a ledger that does not tile the offsets. That the protocol notices and stops is
not enough: by then something must be doubled.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from headrace_writer.core import delivery, delivery_survey
from headrace_writer.core.block import Target
from headrace_writer.core.delivery_effects import (
    Abandoned,
    Commit,
    CommitResult,
    DeadLetter,
    Expired,
    Insert,
    Ledger,
    LedgerAhead,
    LedgerPlans,
    Steps,
    Stored,
    TablesUnchanged,
)
from headrace_writer.core.delivery_plan import Plan
from headrace_writer.core.delivery_survey import Survey, Verified
from support.simulated_writer import Lies, Writer
from support.simulation import Block, Faults, Message, Row, World

from .test_delivery_model import FIRST_SEED, HISTORIES, play

HARM = ("lost", "doubled", "not dead-lettered")


def some_history_shows(
    harm: str | tuple[str, ...], lies: Lies, *, tokens: bool = True, faults: Faults | None = None
) -> bool:
    return any(
        fault.startswith(harm)
        for seed in range(FIRST_SEED, FIRST_SEED + HISTORIES)
        for fault in play(seed, lies, tokens=tokens, faults=faults)
    )


# --- answers: what the world says to an effect is replaced


def no_plan(writer: Writer, effect: Commit) -> Any:
    return writer.honest(Commit({p: (offset, "") for p, (offset, _) in effect.positions.items()}))


def no_local_fence(writer: Writer, effect: Commit) -> Any:
    return writer.send_commit(effect.positions)


def silence_is_consent(writer: Writer, effect: Commit) -> Any:
    result = writer.honest(effect)
    return CommitResult.OK if result is CommitResult.UNKNOWN else result


def polls_with_a_commit_unanswered(writer: Writer, effect: Commit) -> Any:
    result = writer.honest(effect)
    writer.unsettled = False
    return result


def repeats_for_ever(writer: Writer, effect: Insert) -> Any:
    writer.patience = float("inf")
    return writer.honest(effect)


def blocks_of_its_own(writer: Writer, effect: Insert) -> Any:
    """As if a block depended on who builds it."""
    own = replace(effect.plan, payload_hash=effect.plan.payload_hash + writer.number)
    return writer.honest(replace(effect, plan=own))


def never(_writer: Writer, _effect: Any) -> Any:
    return False


def nothing(_writer: Writer, _effect: Any) -> Any:
    return None


def none_known(_writer: Writer, _effect: Any) -> Any:
    return []


LIES: dict[str, Lies] = {
    "the plan is not committed": {Commit: no_plan},
    "ownership is left to the broker": {Commit: no_local_fence},
    "an unanswered commit counts as done": {Commit: silence_is_consent},
    "the ledger is not asked on recovery": {LedgerAhead: none_known},
    "excluded messages are dropped": {DeadLetter: nothing},
    "amendments are not looked up in the ledger": {LedgerPlans: none_known},
    "a plan's age is not asked": {Expired: never},
    "an insert is repeated for ever": {Insert: repeats_for_ever},
    "a replay builds other blocks": {Insert: blocks_of_its_own},
}


@pytest.mark.parametrize("name", LIES)
def test_without_this_answer_histories_fail(name: str) -> None:
    assert some_history_shows(HARM, LIES[name])


def test_when_an_outdated_process_amends_plans_histories_fail() -> None:
    """It takes a plan that was begun before a migration, so inserts break often here."""
    faults = Faults(broken_insert=0.4, lost_answer=0.2, migration=0.02)
    assert some_history_shows(HARM, {TablesUnchanged: nothing}, faults=faults)


def test_when_callbacks_run_while_a_commit_is_unanswered_histories_fail() -> None:
    """It takes a commit that arrives behind the next owner's back, so many are late here."""
    lies: Lies = {Commit: polls_with_a_commit_unanswered}
    assert some_history_shows(HARM, lies, faults=Faults(delayed_commit=0.4))


def test_without_a_written_ledger_it_has_gaps() -> None:
    assert some_history_shows("ledger of", {Ledger: nothing})


# --- steps: a part of the protocol is replaced


def answering(answer: Callable[[Plan], Any]) -> Callable[..., Steps[Any]]:
    """A protocol step that asks nothing and answers at once."""

    def step(plan: Plan, *_rest: object) -> Steps[Any]:
        yield from ()
        return answer(plan)

    return step


def part_of_a_plan_is_a_plan(
    plan: Plan, mine: tuple[int, ...], today: delivery.Encoding
) -> Steps[Any]:
    return (yield from delivery._complete(plan, mine, today))


def fenced_means_never_valid(outcome: Any, plan: Plan, partition: int) -> Any:
    return plan.ends[partition] if isinstance(outcome, Stored) else plan.starts[partition]


def ends_first(plan: Plan, completed: dict[int, int]) -> Steps[Any]:
    """The ends are committed instead of the plan."""
    if not (yield from delivery.settle({**completed, **plan.ends})):
        return Abandoned("")
    return (yield from delivery._insert(plan, plan.partitions, frozenset(plan.rows), trusted=True))


def amendments_stay_in_memory(plan: Plan, *rest: Any) -> Steps[str]:
    if plan.excluded or plan.revisions:
        return ""
    return (yield from commit_plan(plan, *rest))


def silence_is_absence(plan: Plan, targets: Any, _why: str) -> Steps[Survey]:
    return (yield from delivery_survey.take_survey(plan, targets))


commit_plan = delivery._commit_plan

REMOVED: dict[str, tuple[Any, str, Any]] = {
    "a found plan is ignored": (delivery, "_resolve", answering(lambda _plan: delivery.Void())),
    "a found plan is taken as stored": (delivery, "_resolve", answering(Stored)),
    "rows are not counted": (
        delivery,
        "verify",
        answering(lambda _plan: Verified(frozenset(), complete=True)),
    ),
    "a plan refused for one partition is replayed": (
        delivery,
        "_resolve",
        part_of_a_plan_is_a_plan,
    ),
    "a denied amendment voids the plan": (delivery, "_position_after", fenced_means_never_valid),
    "ends are committed first": (delivery, "deliver", ends_first),
    "an amendment is not committed before its insert": (
        delivery,
        "_commit_plan",
        amendments_stay_in_memory,
    ),
    "an old block is inserted beside a silent replica": (
        delivery_survey,
        "patient_survey",
        silence_is_absence,
    ),
}


@pytest.mark.parametrize("name", REMOVED)
def test_without_this_step_histories_fail(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module, part, replacement = REMOVED[name]
    monkeypatch.setattr(module, part, replacement)
    assert some_history_shows(HARM, {})


def test_without_tokens_a_change_of_guardrails_doubles() -> None:
    """Where a server knows a repeated insert by its bytes, other rules make another insert of it:
    there they are part of the fingerprint."""
    assert some_history_shows("doubled", {}, tokens=False)


def test_without_payload_hash_and_range_in_the_ingest_id_histories_fail(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Plan, "ingest_id", lambda _plan, target, _revision=None: target.shard)
    assert some_history_shows(HARM, {})


def test_without_the_plans_cuts_histories_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """Writers that cut a large message each by limits of their own build other blocks."""
    planned = World.rows_of

    def rows_of(world: World, plan: Plan, target: Target, message: Message) -> list[Row]:
        if plan.cuts and world.sizes.random() < 0.5:
            plan = replace(plan, cuts=(plan.cuts[0] + 1, *plan.cuts[1:-1], plan.cuts[-1] - 1))
        return planned(world, plan, target, message)

    monkeypatch.setattr(World, "rows_of", rows_of)
    assert some_history_shows(HARM, {})


def routed_anew(world: World, plan: Plan, target: Target) -> Block:
    """An old plan's rows go where today's list would send them."""
    block = ROUTED_AS_PLANNED(world, replace(plan, shards=world.named), target)
    return block._replace(ingest_id=plan.ingest_id(target))


ROUTED_AS_PLANNED = World.block


def test_without_the_plans_number_of_shards_histories_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(World, "block", routed_anew)
    assert some_history_shows(HARM, {})
