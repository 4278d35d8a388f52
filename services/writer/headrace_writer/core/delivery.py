"""Exactly once, in effect: the delivery protocol as generators that do no I/O.

Each generator yields an `Effect`, receives its result, and in the end returns an outcome. The
shell executes effects against Kafka and ClickHouse; the model test executes them against a
simulation in which everything that can fail does. The protocol is therefore tested as it runs.

One batch (a `Plan`) passes these steps, numbered as in docs/architecture.md:

1. and 2. `Commit` the plan at its start offsets, together with the previous batch's ends; fenced
              locally first, because a broker accepts commits from any live member, also from
              one that lost the partition
3. `Build`    blocks from messages and plan alone
4. `Owned`    still, then `Insert`, the same bytes until acknowledged; an old plan is counted
              first (`Expired`), and so is what was not answered for a quarter of the window
5. `Count`    rows by IngestId after anything doubtful: "deduplicated" does not prove "present"
6. `Ledger`   what was stored, before the offsets say so
7. the next batch's `Commit` carries the ends
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from headrace_writer.core.block import Target
from headrace_writer.core.delivery_effects import (
    Abandoned,
    Build,
    BuildProblem,
    Commit,
    CommitResult,
    Committed,
    DeadLetter,
    Expired,
    Insert,
    Inserted,
    Ledger,
    LedgerAhead,
    LedgerPlans,
    Outcome,
    Owned,
    Position,
    Steps,
    Stopped,
    Stored,
    TablesUnchanged,
    Wait,
)
from headrace_writer.core.delivery_plan import Plan, PlanUnreadable, decode_plan
from headrace_writer.core.delivery_survey import (
    Survey,
    ask,
    look_before_insert,
    named,
    patient_survey,
    take_survey,
    torn,
    verify,
)

Recovered = int | Stopped | Abandoned | None


class Encoding(NamedTuple):
    """How this process builds blocks: the fingerprint of encoders and table headers, and onto
    how many shards."""

    fingerprint: str
    shards: int

    @classmethod
    def of(cls, plan: Plan) -> "Encoding":
        """The one that a plan was made with."""
        return cls(plan.fingerprint, plan.shards)

    def reaches(self, plan: Plan) -> bool:
        """Whether all shards of the plan's blocks are there: more may have come since, but none
        of these may have gone."""
        return all(target.shard < self.shards for target in plan.rows)

    def builds(self, plan: Plan) -> bool:
        """Whether the plan's blocks come out as they were planned. Rows are spread over as many
        shards as there were then."""
        return plan.fingerprint == self.fingerprint and self.reaches(plan)


class Void:
    """A committed plan of which nothing was or ever will be inserted: plan afresh."""


def deliver(plan: Plan, completed: Mapping[int, int]) -> Steps[Outcome]:
    """Store one new batch. `completed`: partition → end of the previous, stored batch."""
    refused = yield from _commit_plan(plan, plan.partitions, completed)
    if refused:
        return Abandoned(refused)
    problem = yield from _build(plan)
    if problem:
        return problem
    if not (yield from ask(Owned(plan.partitions), bool)):
        return Abandoned("lost a partition before its insert")
    if (yield from ask(Expired(plan), bool)):
        # A window that has passed no longer drops repeated blocks: look before inserting.
        return (yield from _complete(plan, plan.partitions, Encoding.of(plan)))
    return (yield from _insert(plan, plan.partitions, frozenset(plan.rows), trusted=True))


@dataclass(frozen=True, slots=True)
class Intact:
    """Every block of a stored batch is there in full, as far as replicas answer."""

    silent: bool
    """Some replica did not."""


def repair(plan: Plan, today: Encoding) -> Steps[Outcome | Intact]:
    """Insert what ClickHouse lacks of a batch that the ledger has. Nothing is doubled."""
    if not today.reaches(plan):
        return _too_few_shards(plan, today)
    survey = yield from take_survey(plan, frozenset(plan.rows))
    if survey.doubled:
        return Stopped(f"more rows than planned in {survey.doubled}: {named(plan)}")
    if not survey.missing:
        return Intact(survey.silent)
    if survey.silent:
        return Stopped(f"a replica that may hold the rows does not answer: {named(plan)}")
    return (yield from _mend(plan, survey, today))


def _mend(plan: Plan, survey: Survey, today: Encoding) -> Steps[Outcome]:
    """Insert what a survey without silence misses of a batch that the ledger has."""
    if not today.builds(plan):
        return (yield from _insert_anew(plan, plan.partitions, today))
    if survey.torn and (yield from ask(Expired(plan, 3), bool)):
        # What is there of it would be doubled.
        return torn(plan, min(survey.torn))
    return (yield from _insert_amended(plan, plan.partitions, survey.missing))


def settle(completed: Mapping[int, int]) -> Steps[bool]:
    """Commit the ends of stored batches when no next plan is there to carry them.

    Used when idle, on a revoke and at the end. True when the broker has them; False (not the
    owner any more) is harmless: the next owner finds the plan and sees that it is stored.
    """
    return not (yield from _commit({p: (end, "") for p, end in completed.items()}))


def recover(
    topic_id: str, partitions: tuple[int, ...], today: Encoding
) -> Steps[dict[int, Recovered]]:
    """Find where each newly assigned partition goes on, finishing what its last owner began.

    Returns per partition the next offset; None for "never read: from the beginning"; Stopped; or
    Abandoned where ownership changed meanwhile: recover again what is still owned.
    """
    found = yield from finish_plans(topic_id, partitions, today)
    for partition, position in found.items():
        if not isinstance(position, Stopped | Abandoned):
            found[partition] = yield from _beyond_ledger(partition, position)
    return found


def finish_plans(
    topic_id: str, partitions: tuple[int, ...], today: Encoding
) -> Steps[dict[int, Recovered]]:
    """Finish what the group's last members began; as `recover`, without looking at the ledger."""
    found: dict[int, Recovered] = {}
    plans: list[tuple[Plan, list[int]]] = []
    committed = yield from ask(Committed(partitions), dict)
    for partition in partitions:
        if partition not in committed:
            found[partition] = None
            continue
        offset, metadata = committed[partition]
        try:
            plan = decode_plan(metadata)
        except PlanUnreadable as error:
            found[partition] = Stopped(str(error))
            continue
        if plan is None:
            found[partition] = offset
        elif plan.topic_id != topic_id:
            found[partition] = Stopped(
                f"partition {partition} was planned on another topic of this name: "
                "delete the group's offsets to read the new one from its beginning"
            )
        else:
            _gather(plans, plan, partition, today)
    for plan, mine in plans:
        outcome = yield from _resolve(plan, tuple(mine), today)
        for partition in mine:
            found[partition] = _position_after(outcome, plan, partition)
    return found


def _gather(
    plans: list[tuple[Plan, list[int]]], plan: Plan, partition: int, today: Encoding
) -> None:
    for i, (other, mine) in enumerate(plans):
        if other.same_batch(plan):
            plans[i] = (_merged(other, plan, today), [*mine, partition])
            return
    plans.append((plan, [partition]))


def _merged(one: Plan, other: Plan, today: Encoding) -> Plan:
    """One batch's plan from two partitions. If either was encoded anew for today's tables, its
    blocks have their new IngestIds already and must not get others."""
    plan = one.merged(other)
    if today.fingerprint in (one.fingerprint, other.fingerprint):
        plan = replace(plan, fingerprint=today.fingerprint)
    return plan


def _readable_plan(position: Position | None) -> Plan | None:
    try:
        return decode_plan(position[1]) if position else None
    except PlanUnreadable:
        return None


def _too_few_shards(plan: Plan, today: Encoding) -> Stopped:
    return Stopped(
        f"planned on {plan.shards} shards, and clickhouse_shards names {today.shards}: finish it "
        f"by a writer with the longer list: {named(plan)}"
    )


def _position_after(outcome: Outcome | Void, plan: Plan, partition: int) -> Recovered:
    if isinstance(outcome, Stored):
        return plan.ends[partition]
    return plan.starts[partition] if isinstance(outcome, Void) else outcome


def _resolve(plan: Plan, mine: tuple[int, ...], today: Encoding) -> Steps[Outcome | Void]:
    """Finish a plan found on assignment."""
    if not today.reaches(plan):
        # What a shard that is not named holds nobody can say. To wait for it would stop every
        # partition of this process.
        return _too_few_shards(plan, today)
    everywhere = yield from ask(Committed(plan.partitions), dict)
    valid = True
    for partition in plan.partitions:
        other = _readable_plan(everywhere.get(partition))
        if other is not None and other.same_batch(plan):
            plan = _merged(plan, other, today)
        else:
            valid = False
    while not valid:
        # Either every partition had this plan and another owner has finished it (then rows are
        # there: nobody moves on before they are), or it was refused for some partition and
        # nobody ever inserted it.
        survey = yield from take_survey(plan, frozenset(plan.rows))
        if survey.seen:
            valid = True
        elif survey.silent:
            yield from ask(Wait("a replica that may hold the rows does not answer"), object)
        else:
            return Void()
    return (yield from _complete(plan, mine, today))


def _complete(plan: Plan, mine: tuple[int, ...], today: Encoding) -> Steps[Outcome]:
    """Insert what is not there yet of a plan that may have been inserted before."""
    survey = yield from look_before_insert(plan, frozenset(plan.rows))
    if isinstance(survey, Stopped):
        return survey
    if not survey.missing and not plan.rejected:
        return (yield from _finish(plan, verified=not survey.silent))
    if not today.builds(plan):
        # Another owner may have finished it with amendments (so, under IngestIds) not known here.
        for known in (yield from ask(LedgerPlans(plan.ranges[0]), list)):
            if known.same_batch(plan):
                plan = _merged(plan, known, today)
        return (yield from _insert_anew(plan, mine, today))
    problem = yield from _build(plan)
    if problem is not None:
        return problem
    return (yield from _insert(plan, mine, survey.missing, trusted=False))


def _insert_anew(plan: Plan, mine: tuple[int, ...], today: Encoding) -> Steps[Outcome]:
    """Insert what is missing by today's encoders: blocks that are nowhere get new IngestIds, for
    their bytes will be others. One that is there in part only its old bytes could complete."""
    yield from ask(TablesUnchanged(), object)
    why = "a replica that may hold rows of an older encoding"
    survey = yield from patient_survey(plan, frozenset(plan.rows), why)
    if survey.torn:
        return Stopped(f"{BuildProblem.FORMAT_CHANGED.value}: {named(plan)}")
    if not survey.missing:
        return (yield from _finish(plan, verified=True))
    plan = replace(plan, fingerprint=today.fingerprint).revised(survey.missing)
    return (yield from _insert_amended(plan, mine, survey.missing))


def _insert_amended(
    plan: Plan, mine: tuple[int, ...], missing: frozenset[Target]
) -> Steps[Outcome]:
    """Make the plan durable first: whoever finishes it must know its IngestIds."""
    denied = yield from _commit_plan(plan, mine, {})
    if denied:
        return Abandoned(denied)
    problem = yield from _build(plan)
    if problem is not None:
        return problem
    return (yield from _insert(plan, mine, missing, trusted=False))


def _insert(
    plan: Plan, mine: tuple[int, ...], targets: frozenset[Target], *, trusted: bool
) -> Steps[Outcome]:
    """Steps 4 to 6. `trusted`: a clean acknowledgement of a first attempt proves presence, and
    nobody else has inserted anything of this plan."""
    verified = True
    while True:
        attempt = (yield from ask(Insert(plan, targets), Inserted)) if targets else Inserted()
        refused = frozenset(e.target for e in attempt.refused)
        overdue = attempt.overdue if trusted else attempt.overdue | attempt.unsent
        again = attempt.unsent - overdue
        if overdue:
            # The window that drops a repeated block is passing.
            survey = yield from look_before_insert(plan, overdue)
            if isinstance(survey, Stopped):
                return survey
            again |= survey.missing
        doubtful = attempt.doubtful | overdue if trusted else targets
        check = yield from verify(plan, doubtful - refused - again)
        if isinstance(check, Stopped):
            return check
        verified = verified and check.complete
        trusted = trusted and not (refused or overdue or check.burnt)
        targets = refused | check.burnt | again
        if not targets:
            return (yield from _finish(plan, verified=verified))
        if refused and (yield from take_survey(plan, refused)).seen:
            return Stopped(f"a refused block is partly stored: {named(plan)}")
        plan = plan.without(attempt.refused, attempt.rows).revised(check.burnt)
        denied = yield from _commit_plan(plan, mine, {})
        if denied:
            return Abandoned(denied)
        problem = yield from _build(plan)
        if problem:
            return problem


def _finish(plan: Plan, *, verified: bool) -> Steps[Outcome]:
    if plan.excluded or plan.rejected:
        yield from ask(DeadLetter(plan), object)
    yield from ask(Ledger(plan, verified), object)
    return Stored(plan)


def _commit_plan(plan: Plan, mine: tuple[int, ...], completed: Mapping[int, int]) -> Steps[str]:
    """Make the plan durable before its first insert. Returns why it must not be used, or ""."""
    positions: dict[int, Position] = {p: (end, "") for p, end in completed.items()}
    text = plan.encode()
    positions |= {p: (plan.starts[p], text) for p in mine}
    return (yield from _commit(positions))


def _commit(positions: Mapping[int, Position]) -> Steps[str]:
    while True:
        result = yield from ask(Commit(positions), CommitResult)
        if result is CommitResult.OK:
            return ""
        if result is CommitResult.FENCED:
            return "not the owner of every partition of a commit any more"
        # No answer: the same commit again until one comes. Commits to a coordinator keep their
        # order, so an acknowledged repetition also settles every earlier, delayed one.
        yield from ask(Wait("commit without answer"), object)


def _build(plan: Plan) -> Steps[Stopped | None]:
    problem = yield from ask(Build(plan), object)
    if isinstance(problem, BuildProblem):
        return Stopped(f"{problem.value}: {named(plan)}", problem)
    return None


def _beyond_ledger(partition: int, position: int | None) -> Steps[int | Stopped | None]:
    """Go past ranges that are stored although the committed offset lies before them.

    That is so after the group's offsets were reset, or had expired; reading them again would
    cut other blocks and so double the rows.
    """
    ranges = yield from ask(LedgerAhead(partition, position or 0), list)
    for start, end in ranges:
        if position is None:
            position = start
        if start != position:
            return Stopped(
                f"partition {partition}: committed offset {position}, but the ledger already "
                f"holds [{start}, {end}), which does not join it"
            )
        position = end
    return position
