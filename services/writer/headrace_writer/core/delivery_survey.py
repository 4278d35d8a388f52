"""Looking at what is stored: rows per block and replica, and what they mean for the protocol."""

from collections.abc import Mapping
from dataclasses import dataclass

from headrace_writer.core.block import Target
from headrace_writer.core.delivery_effects import Count, Effect, Expired, Steps, Stopped, T, Wait
from headrace_writer.core.delivery_plan import Plan

# A block under doubt is looked at this often before "not seen" means "not there": replication
# usually takes well under a second, and the shell waits about one second between looks.
LOOKS = 5
# Parts that sit on different replicas do come together; when not even a minute and a half brings
# them, one ClickHouse partition of the block is burnt, and a person has to decide.
PARTIAL_LOOKS = 90
REVISIONS_AHEAD = 1


def ask(effect: Effect, _kind: type[T]) -> Steps[T]:
    """Yield one effect and hand back its answer under the type the effect documents."""
    answer = yield effect
    return answer  # type: ignore[return-value]


@dataclass(frozen=True, slots=True)
class Survey:
    """Rows found per target and replica, compared with the plan."""

    counts: Mapping[Target, list[int | None]]
    expected: Mapping[Target, int]

    def remembering(self, earlier: "Survey") -> "Survey":
        """With what a replica that is silent now has said at an earlier look."""
        counts = {
            target: [
                before if now is None else now
                for now, before in zip(found, earlier.counts.get(target, found), strict=True)
            ]
            for target, found in self.counts.items()
        }
        return Survey(counts, self.expected)

    @property
    def seen(self) -> bool:
        """Some row of some block is somewhere."""
        return any(n for counts in self.counts.values() for n in counts)

    @property
    def silent(self) -> bool:
        """A replica did not answer for a block that no other replica holds in full."""
        return any(None in self.counts[t] for t in self.missing)

    @property
    def missing(self) -> frozenset[Target]:
        """Blocks that no replica that answers holds in full."""
        return frozenset(t for t, counts in self.counts.items() if self.expected[t] not in counts)

    @property
    def lagging(self) -> frozenset[Target]:
        """Blocks that some replica that answers does not hold in full."""
        return frozenset(
            t
            for t, counts in self.counts.items()
            if any(n is not None and n != self.expected[t] for n in counts)
        )

    @property
    def partial(self) -> bool:
        """A block is somewhere, nowhere in full, and no replica is silent about it: parts of it
        were taken by different replicas and are on their way to each other."""
        return any(any(self.counts[t]) and None not in self.counts[t] for t in self.missing)

    @property
    def torn(self) -> frozenset[Target]:
        """Blocks that are somewhere and nowhere in full."""
        return frozenset(t for t in self.missing if any(self.counts[t]))

    @property
    def doubled(self) -> list[Target]:
        return sorted(
            t
            for t, counts in self.counts.items()
            if any(n is not None and n > self.expected[t] for n in counts)
        )


def ingest_ids(plan: Plan, target: Target) -> tuple[int, ...]:
    """Every IngestId that a block may have been stored with: one more than is known, for another
    owner of the same plan may have burnt one more."""
    revisions = range(plan.revisions.get(target, 0) + 1 + REVISIONS_AHEAD)
    return tuple(plan.ingest_id(target, revision) for revision in revisions)


def torn(plan: Plan, target: Target) -> Stopped:
    """A block of which a part is stored, and another cannot be brought in or may be forgotten."""
    ids = ", ".join(map(str, ingest_ids(plan, target)))
    return Stopped(
        f"{target.table} on shard {target.shard} is only partly stored (IngestId {ids}): "
        f"{named(plan)}"
    )


def take_survey(plan: Plan, targets: frozenset[Target]) -> Steps[Survey]:
    """Count the rows of blocks under every IngestId they may have been stored with."""
    counts: dict[Target, list[int | None]] = {}
    for target in sorted(targets):
        counts[target] = yield from ask(Count(target, ingest_ids(plan, target)), list)
    return Survey(counts, plan.rows)


def patient_survey(plan: Plan, targets: frozenset[Target], why: str) -> Steps[Survey]:
    """A survey that can prove absence: no replica that may hold the rows is silent, and parts of
    a block had the time to find each other."""
    looks = 0
    survey = yield from take_survey(plan, targets)
    while survey.silent or (survey.partial and looks < PARTIAL_LOOKS):
        looks += not survey.silent
        yield from ask(Wait(why), object)
        survey = yield from take_survey(plan, targets)
    return survey


def look_before_insert(plan: Plan, targets: frozenset[Target]) -> Steps[Survey | Stopped]:
    """What is there of blocks that may have been inserted before.

    Within the deduplication window the same bytes may be inserted again, whatever is there. Of a
    plan that comes near its end only blocks may that are nowhere: repeated, a block or the stored
    part of one would be there twice.
    """
    survey = yield from take_survey(plan, targets)
    if survey.missing and (yield from ask(Expired(plan, 3), bool)):
        survey = yield from patient_survey(plan, targets, "a replica that may hold an old block")
        if survey.torn:
            return torn(plan, min(survey.torn))
    if survey.doubled:
        return Stopped(f"more rows than planned in {survey.doubled}: {named(plan)}")
    return survey


@dataclass(frozen=True, slots=True)
class Verified:
    burnt: frozenset[Target]
    """Acknowledged, yet nowhere: only another IngestId can bring these blocks in."""
    complete: bool
    """Every replica answered and holds every block."""


def verify(plan: Plan, targets: frozenset[Target]) -> Steps[Verified | Stopped]:
    """Step 5: acknowledged is not present; look, with patience for replication."""
    if not targets:
        return Verified(frozenset(), complete=True)
    survey = Survey({}, plan.rows)
    for look in range(PARTIAL_LOOKS):
        if look:
            yield from ask(Wait("replication of a block under doubt"), object)
        survey = (yield from take_survey(plan, targets)).remembering(survey)
        if survey.doubled:
            return Stopped(f"more rows than planned in {survey.doubled}: {named(plan)}")
        if not survey.lagging and not survey.missing:
            return Verified(frozenset(), complete=True)
        if look >= LOOKS and not survey.partial:
            break
    burnt = set()
    for target in survey.missing:
        counts = survey.counts[target]
        if any(counts) and None not in counts:
            return torn(plan, target)
        if None not in counts:
            burnt.add(target)
        # else: a replica that does not answer may hold the only copy (its token was known to
        # the others). Waiting would stop the signal for as long as the replica is down, so the
        # ledger says "unverified" and the audit looks again.
    return Verified(frozenset(burnt), complete=False)


def named(plan: Plan) -> str:
    ranges = ", ".join(f"partition {r.partition} [{r.start}, {r.end})" for r in plan.ranges)
    return f"{ranges} (topic id {plan.topic_id})"
