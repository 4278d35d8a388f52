"""Places where a chaos run makes the process die, as kill -9 would. They do nothing otherwise.

`HEADRACE_FAULT_POINT=insert.after:3` kills this process when it has passed that point for the third
time. Points are `<step>.before` and `<step>.after` for the protocol's steps (plan, settle,
committed, build, expired, insert, count, deadletter, ledger, ledgerahead), and `block.after` after
each acknowledged block, so between those of one batch.
"""

import os
import signal
import threading
from collections.abc import Mapping

VARIABLE = "HEADRACE_FAULT_POINT"


class FaultPoint:
    """Counts down to its own end. Thread-safe."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        point, _, times = environment.get(VARIABLE, "").partition(":")
        self._point = point
        self._left = int(times or 1)
        self._lock = threading.Lock()

    def passed(self, point: str) -> None:
        """Say that execution is here. Does not return where it was told to end."""
        if not self._point or point != self._point:
            return
        with self._lock:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


_THE_ONE = FaultPoint(os.environ)
passed = _THE_ONE.passed
