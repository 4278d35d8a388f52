"""Clocks and executors that tests move by hand."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any


class ManualClock:
    """Stands still; `sleep` moves it."""

    def __init__(self, start: float = 1_000.0) -> None:
        self.time = start

    def monotonic(self) -> float:
        return self.time

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds


class ManualExecutor(Executor):
    """Runs jobs at once, or, while `held`, when `release` is called."""

    def __init__(self) -> None:
        self.held = False
        self._waiting: deque[tuple[Future[Any], Callable[[], Any]]] = deque()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self._waiting.append((future, lambda: fn(*args, **kwargs)))
        if not self.held:
            self._run()
        return future

    def release(self) -> None:
        self.held = False
        self._run()

    def _run(self) -> None:
        while self._waiting:
            future, job = self._waiting.popleft()
            try:
                future.set_result(job())
            except BaseException as error:
                future.set_exception(error)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        del wait
        if cancel_futures:
            self._waiting.clear()
