"""Writers as a fluid: partitions fill, their writers drain them, and a change of the group costs.

A partition is drained by one writer, so 13 writers of 24 partitions are as fast as 12: the slowest
partition decides on the lag, and it is followed, not the mean.
"""

import math
from collections import deque
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Coefficients:
    """Of one writer and its group; docs/benchmarks/writer-joins.json holds the measured ones."""

    rows_per_s: float
    start_s: float
    """From the decision to more replicas until a new writer has joined and fetches."""
    moved_pause_s: float
    """How long a partition that changes hands stands still."""
    visible_s: float
    """What an unhurried record takes at most: its batch fills and is inserted."""
    partitions: int
    eager: bool = False
    """Every partition stands still at every change (the old protocol's way)."""


@dataclass(slots=True)
class Fleet:
    """The writers of one signal. `replicas` is what was decided; `joined` are at work."""

    measured: Coefficients
    replicas: int
    arrived: float = 0.0
    _next_id: int = 0
    _members: list[int] = field(default_factory=list)
    _starting: list[float] = field(default_factory=list)
    _owner: list[int] = field(default_factory=list)
    _paused_until: list[float] = field(default_factory=list)
    _stored: list[float] = field(default_factory=list)
    _history: deque[tuple[float, float]] = field(default_factory=deque)

    def __post_init__(self) -> None:
        count = self.measured.partitions
        self._paused_until, self._stored = [-math.inf] * count, [0.0] * count
        self._owner = [-1] * count
        self._members = list(range(self.replicas))
        self._next_id = self.replicas
        self._assign(-math.inf)

    @property
    def joined(self) -> int:
        return len(self._members)

    @property
    def stored(self) -> float:
        """Rows of all partitions."""
        return sum(self._stored)

    @property
    def worst_share(self) -> float:
        """What the writer with most partitions gets of all that arrives."""
        return math.ceil(self.measured.partitions / self.joined) / self.measured.partitions

    def resize(self, now: float, replicas: int) -> None:
        """More start and join later; fewer leave at once, those that still start first."""
        for _ in range(replicas - self.replicas):
            self._starting.append(now + self.measured.start_s)
        fewer = max(0, self.replicas - replicas)
        while fewer and self._starting:
            self._starting.pop()
            fewer -= 1
        if fewer:
            del self._members[-fewer:]
            self._assign(now)
        self.replicas = replicas

    def step(self, now: float, seconds: float, rate: float, *, stalled: bool) -> None:
        """Rows arrive at `rate` from `now` on for `seconds`, and are drained meanwhile."""
        ready = [at for at in self._starting if at <= now]
        if ready:
            self._starting = [at for at in self._starting if at > now]
            self._members += range(self._next_id, self._next_id + len(ready))
            self._next_id += len(ready)
            self._assign(now)
        self.arrived += rate * seconds
        self._history.append((now + seconds, self.arrived))
        if not stalled:
            self._drain(now, seconds)

    def lag_s(self, now: float) -> float:
        """Until a record that arrives now in the slowest partition would have been seen, judged
        by the oldest one that waits there."""
        count = self.measured.partitions
        oldest = min(self._stored) * count
        while len(self._history) > 1 and self._history[0][1] <= oldest + 1e-6 * self.arrived:
            self._history.popleft()
        at, total = self._history[0]
        waiting = now - at if total > oldest + 1e-6 * self.arrived else 0.0
        return max(0.0, waiting) + self.measured.visible_s

    def _drain(self, now: float, seconds: float) -> None:
        share = self.arrived / self.measured.partitions
        waiting: dict[int, float] = {}
        held: dict[int, list[int]] = {}
        for partition, owner in enumerate(self._owner):
            if self._paused_until[partition] <= now:
                held.setdefault(owner, []).append(partition)
                waiting[owner] = waiting.get(owner, 0.0) + share - self._stored[partition]
        budget = self.measured.rows_per_s * seconds
        for owner, partitions in held.items():
            part = min(1.0, budget / waiting[owner]) if waiting[owner] > 0 else 1.0
            for partition in partitions:
                self._stored[partition] += (share - self._stored[partition]) * part

    def _assign(self, now: float) -> None:
        """Even, and nothing moves that need not: as KIP-848's uniform assignor does."""
        count, members = self.measured.partitions, self._members
        few, many = divmod(count, len(members))
        kept: dict[int, list[int]] = {member: [] for member in members}
        loose = []
        for partition, owner in enumerate(self._owner):
            if owner in kept:
                kept[owner].append(partition)
            else:
                loose.append(partition)
        room = {}
        for member in sorted(members, key=lambda one: -len(kept[one])):
            room[member] = few + (1 if many > 0 else 0)
            many -= 1
            while len(kept[member]) > room[member]:
                loose.append(kept[member].pop())
        for member in members:
            while len(kept[member]) < room[member]:
                partition = loose.pop()
                kept[member].append(partition)
                self._owner[partition] = member
                self._paused_until[partition] = now + self.measured.moved_pause_s
        if self.measured.eager:
            self._paused_until = [now + self.measured.moved_pause_s] * count
