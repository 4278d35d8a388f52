"""How busy a process is at most: a writer that spins loses nothing, and starves everything else."""

from collections import deque

WINDOW_S = 5.0
STARTED_AFTER_S = 5.0
"""Loading Python and joining the group take a core; nobody would call that spinning."""
SPINS_AT = 0.5
"""Cores. Catching up takes a tenth of that; a loop without a wait takes a core, or its share."""


class Busy:
    """The busiest seconds of one process. `look` once a second."""

    def __init__(self, started: float) -> None:
        self._from = started + STARTED_AFTER_S
        self._looks: deque[tuple[float, float]] = deque()
        self.cores = 0.0
        """Over the busiest `WINDOW_S`."""

    def look(self, now: float, cpu_seconds: float) -> None:
        """`now`: monotonic seconds; `cpu_seconds`: what the process has used in its life."""
        if now < self._from:
            return
        self._looks.append((now, cpu_seconds))
        while len(self._looks) > 1 and now - self._looks[1][0] >= WINDOW_S:
            self._looks.popleft()
        at, used = self._looks[0]
        if now - at >= WINDOW_S:
            self.cores = max(self.cores, (cpu_seconds - used) / (now - at))
