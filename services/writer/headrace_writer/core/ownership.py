"""Which partitions this member holds, since when, and how far each has got."""

from collections.abc import Callable, Iterable


class Ownership:
    """Written by rebalance callbacks and by the loop, both on the polling thread.

    Each assignment gets an epoch of its own: a partition that was lost and came back is not the
    one that a batch was cut from.
    """

    def __init__(self) -> None:
        self._epoch = 0
        self._held: dict[int, int] = {}
        self.position: dict[int, int] = {}
        """Where the next range of a recovered partition starts."""
        self.completed: dict[int, int] = {}
        """Ends of stored ranges that no commit has carried yet."""
        self.stopped: dict[int, str] = {}
        """Partitions that stand still, and why."""

    @property
    def held(self) -> frozenset[int]:
        return frozenset(self._held)

    @property
    def unrecovered(self) -> tuple[int, ...]:
        """Held, but where to go on is not known yet."""
        return tuple(
            p for p in sorted(self._held) if p not in self.position and p not in self.stopped
        )

    def assign(self, partitions: Iterable[int]) -> None:
        """Take partitions; they have to be recovered before anything is planned on them."""
        for partition in partitions:
            self._epoch += 1
            self._held[partition] = self._epoch
            self.forget([partition])
            self.stopped.pop(partition, None)

    def drop(self, partitions: Iterable[int]) -> None:
        """Lose or give back partitions: nothing of theirs may be committed any more."""
        for partition in partitions:
            self._held.pop(partition, None)
            self.stopped.pop(partition, None)
            self.forget([partition])

    def forget(self, partitions: Iterable[int]) -> None:
        """Have partitions recovered again."""
        for partition in partitions:
            self.position.pop(partition, None)
            self.completed.pop(partition, None)

    def since_now(self) -> Callable[[Iterable[int]], bool]:
        """A check that stays true for partitions held without a break from now on."""
        epochs = dict(self._held)

        def still(partitions: Iterable[int]) -> bool:
            return all(p in epochs and self._held.get(p) == epochs[p] for p in partitions)

        return still
