"""What the delivery protocol asks of the world, and what it may end with.

Each effect's docstring names its answer after an arrow. The shell answers by Kafka and ClickHouse,
the model test by a simulation.
"""

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeVar

from headrace_writer.core.block import Target
from headrace_writer.core.delivery_plan import Exclusion, Plan, Range

Position = tuple[int, str]
"""An offset to commit and its metadata."""


class CommitResult(Enum):
    """What the broker said to a commit."""

    OK = "ok"
    FENCED = "fenced"
    """Not sent, or refused for all or some of its partitions: this member is not their owner."""
    UNKNOWN = "unknown"
    """No answer. It may be stored, now or when the coordinator is back."""


@dataclass(frozen=True, slots=True)
class Owned:
    """Ask the local ownership record → bool: all partitions held since their epoch."""

    partitions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Commit:
    """Commit positions synchronously, if all their partitions are still owned since their epoch
    → CommitResult.

    Check and commit are one step: no rebalance callback may run in between (the shell does both
    on the polling thread).
    """

    positions: Mapping[int, Position]


@dataclass(frozen=True, slots=True)
class Committed:
    """Read committed positions, also of partitions owned by others → {partition: Position}.

    A partition without a committed offset is absent.
    """

    partitions: tuple[int, ...]


class BuildProblem(Enum):
    """Why a plan's blocks cannot be built again."""

    OFFSETS_GONE = "the broker no longer has all messages of a planned batch"
    PAYLOAD_CHANGED = "the messages at the planned offsets are not the ones planned on"
    FORMAT_CHANGED = "this release, or the tables' header, encodes the planned batch differently"


@dataclass(frozen=True, slots=True)
class Build:
    """Build the plan's blocks, reading its messages by offset if they are not at hand
    → None | BuildProblem."""

    plan: Plan


@dataclass(frozen=True, slots=True)
class TablesUnchanged:
    """Look whether the tables still have the headers that this process read at its start → None.
    If not, the process must end: a newer one may be encoding the same batch."""


@dataclass(frozen=True, slots=True)
class Expired:
    """Ask whether the plan is older than so many quarters of the deduplication window → bool."""

    plan: Plan
    quarters: int = 1


@dataclass(frozen=True, slots=True)
class Inserted:
    """What became of the blocks of an `Insert`. Those that are not named were acknowledged at a
    clean first attempt."""

    doubtful: frozenset[Target] = frozenset()
    """Acknowledged, but not at a clean first attempt."""
    refused: frozenset[Exclusion] = frozenset()
    """Messages that the server will not have in a block; such a block is not stored."""
    rows: Mapping[Target, int] = field(default_factory=dict)
    """What the refused blocks hold without those messages."""
    overdue: frozenset[Target] = frozenset()
    """Perhaps stored, and not answered in time."""
    unsent: frozenset[Target] = frozenset()
    """Nothing of them was sent: no replica could be reached in time."""


@dataclass(frozen=True, slots=True)
class Insert:
    """Insert the plan's blocks for `targets`, the same bytes until answered, or for a quarter of
    the deduplication window → Inserted."""

    plan: Plan
    targets: frozenset[Target]


@dataclass(frozen=True, slots=True)
class Count:
    """Count the rows that carry one of `ingest_ids`, on every replica of the target's shard
    → list: rows per replica, None for a replica that does not answer."""

    target: Target
    ingest_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Store the plan's excluded messages in the dead-letter topic, durably → None."""

    plan: Plan


@dataclass(frozen=True, slots=True)
class Ledger:
    """Store the ledger rows of a finished batch, durably → None."""

    plan: Plan
    verified: bool
    """False where a replica did not answer the count: the audit will look again."""


@dataclass(frozen=True, slots=True)
class LedgerAhead:
    """Ask the ledger for stored ranges of a partition that end after `offset`
    → sorted [(start, end)]."""

    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class LedgerPlans:
    """Ask the ledger for the plans under which exactly this range was stored → list of Plan."""

    place: Range


@dataclass(frozen=True, slots=True)
class Wait:
    """Let time pass before asking again → None."""

    why: str


Effect = (
    Owned
    | Commit
    | Committed
    | Build
    | TablesUnchanged
    | Expired
    | Insert
    | Count
    | DeadLetter
    | Ledger
    | LedgerAhead
    | LedgerPlans
    | Wait
)


@dataclass(frozen=True, slots=True)
class Stored:
    """The batch is in ClickHouse and in the ledger; its ends may be committed."""

    plan: Plan


@dataclass(frozen=True, slots=True)
class Abandoned:
    """Ownership ended. The plan, if committed, is the next owner's; commit nothing."""

    why: str


@dataclass(frozen=True, slots=True)
class Stopped:
    """Going on could lose or double; the partition stands still until a person decides."""

    why: str
    reason: BuildProblem | None = None


Outcome = Stored | Abandoned | Stopped
T = TypeVar("T")
# What an effect answers depends on the effect; each place that asks states the type it gets.
Steps = Generator[Effect, object, T]
