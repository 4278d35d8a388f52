"""What the protocol concludes from counts: driven by hand, without a world."""

from collections.abc import Callable
from typing import Any

from headrace_writer.core import delivery
from headrace_writer.core.block import Target
from headrace_writer.core.delivery_effects import (
    Commit,
    CommitResult,
    Count,
    Effect,
    Expired,
    Insert,
    Inserted,
    Ledger,
    Stopped,
    Stored,
    Wait,
)
from headrace_writer.core.delivery_plan import Plan, Range
from headrace_writer.core.delivery_survey import PARTIAL_LOOKS

WHOLE, TORN = Target("otel_traces", 0), Target("otel_traces", 1)
PLAN = Plan("topic-1", (Range(0, 0, 4),), 2, "print", 1, 0, {WHOLE: 3, TORN: 5})
TODAY = delivery.Encoding.of(PLAN)


def drive(steps: Any, answer: Callable[[Effect], Any]) -> tuple[Any, list[Effect]]:
    """The outcome of a run of the protocol, and every effect it asked for."""
    asked: list[Effect] = []
    effect = next(steps)
    while True:
        asked.append(effect)
        try:
            effect = steps.send(answer(effect))
        except StopIteration as end:
            return end.value, asked


def recovered(stored: dict[int, int], *, old: bool, replicas: int = 1) -> tuple[Any, list[Effect]]:
    """A plan found on recovery, of which `stored` (IngestId → rows) is there. An insert brings in
    whole blocks."""

    def answer(effect: Effect) -> Any:
        match effect:
            case Count(_, ids):
                return [sum(stored.get(i, 0) for i in ids)] * replicas
            case Expired():
                return old
            case Commit():
                return CommitResult.OK
            case Insert(plan, targets):
                stored.update({plan.ingest_id(t): plan.rows[t] for t in targets})
                return Inserted()
            case _:
                return None

    return drive(delivery._complete(PLAN, (0,), TODAY), answer)


def test_an_old_block_that_is_half_there_names_what_has_to_be_deleted() -> None:
    half = {PLAN.ingest_id(WHOLE): 3, PLAN.ingest_id(TORN): 2}
    outcome, asked = recovered(half, old=True)
    assert isinstance(outcome, Stopped)
    assert "otel_traces on shard 1 is only partly stored" in outcome.why
    assert str(PLAN.ingest_id(TORN)) in outcome.why
    assert sum(isinstance(effect, Wait) for effect in asked) == PARTIAL_LOOKS
    assert not any(isinstance(effect, Insert) for effect in asked)


def test_when_it_is_deleted_the_block_is_inserted_whole() -> None:
    stored = {PLAN.ingest_id(WHOLE): 3}
    outcome, asked = recovered(stored, old=True)
    assert isinstance(outcome, Stored)
    assert [e.targets for e in asked if isinstance(e, Insert)] == [frozenset({TORN})]
    assert stored == {PLAN.ingest_id(WHOLE): 3, PLAN.ingest_id(TORN): 5}
    assert any(isinstance(effect, Ledger) for effect in asked)


def test_a_young_block_that_is_half_there_is_completed_by_the_same_bytes() -> None:
    half = {PLAN.ingest_id(WHOLE): 3, PLAN.ingest_id(TORN): 2}
    outcome, asked = recovered(half, old=False)
    assert isinstance(outcome, Stored)
    assert not any(isinstance(effect, Wait) for effect in asked)


def test_an_old_block_waits_for_a_silent_replica_and_is_not_inserted_beside_it() -> None:
    answers = [[0, None], [0, None], [0, 5]]

    def answer(effect: Effect) -> Any:
        match effect:
            case Count(target, _) if target == WHOLE:
                return [3, 3]
            case Count():
                return answers.pop(0) if len(answers) > 1 else answers[0]
            case Expired():
                return True
            case _:
                return None

    outcome, asked = drive(delivery._complete(PLAN, (0,), TODAY), answer)
    assert isinstance(outcome, Stored)
    assert not any(isinstance(effect, Insert) for effect in asked)
    assert any(isinstance(effect, Wait) for effect in asked)
