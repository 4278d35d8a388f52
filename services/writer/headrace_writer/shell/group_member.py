"""What the writer's loop needs of Kafka; `tests/contract` holds the fake to the real one."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from headrace_writer.core.backlog import Message
from headrace_writer.shell.delivery_runner import Offsets


class GroupMember(Offsets, Protocol):
    """One member of a group. Used on one thread."""

    def poll(self, max_messages: int, timeout_s: float) -> list[Message]:
        """Fetched messages; the listener is called in here."""

    def watermarks(self, partition: int) -> tuple[int, int]:
        """The oldest offset that the broker still has, and the one behind the newest."""

    def topic_id(self) -> str:
        """The topic's id now; one that was deleted and created again has another."""

    def ends(self, partitions: Iterable[int]) -> dict[int, int]:
        """Offsets behind the last messages, as far as known, without waiting."""

    def start(self, partition: int, offset: int) -> None:
        """Fetch a held partition from `offset` on."""

    def pause(self, partitions: Sequence[int]) -> None:
        """Fetch nothing of these partitions."""

    def resume(self, partitions: Sequence[int]) -> None:
        """Fetch them again, from where it stopped."""

    def close(self) -> None:
        """Leave the group; what is still held is revoked first."""
