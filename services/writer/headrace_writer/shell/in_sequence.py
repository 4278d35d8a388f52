"""Which fetched messages continue their partition.

A range claims every offset in it, so what was still queued from before a seek must not be taken
for what follows it.
"""

from collections.abc import Callable, Container, Iterable

from headrace_writer.core.backlog import Message


class InSequence:
    """The offset that each partition goes on with."""

    def __init__(self) -> None:
        self._expected: dict[int, int] = {}
        self._gaps: dict[int, tuple[int, int]] = {}

    def begin(self, partition: int, offset: int) -> None:
        """The next message of a partition is at `offset`, or behind it where the log has a gap."""
        self._expected[partition] = offset

    def expected(self, partition: int) -> int:
        """Where a partition that has begun goes on."""
        return self._expected[partition]

    def sift(
        self, messages: Iterable[Message], read: Container[int], seek: Callable[[int, int], None]
    ) -> list[Message]:
        """The messages that continue one of the partitions `read`, in their order.

        A gap is looked at once more, by seeking to its beginning: the first time it may be a
        leftover, the second time it is the log's own (the end of a transaction, compaction). It
        is never what retention deleted: a broker refuses to read that (`Listener.unreadable`).
        """
        wanted = []
        sought = set()
        for message in messages:
            partition, offset = message.partition, message.offset
            expected = self._expected.get(partition)
            if expected is None or partition not in read or offset < expected:
                continue
            if partition in sought:
                continue
            if offset > expected and self._gaps.get(partition) != (expected, offset):
                self._gaps[partition] = (expected, offset)
                seek(partition, expected)
                # What follows in this answer is from before the seek as well: taken for another
                # gap, it would hide the one that is looked at, and the next seek would begin again.
                sought.add(partition)
                continue
            self._expected[partition] = offset + 1
            wanted.append(message)
        return wanted
