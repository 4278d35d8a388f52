"""A writer without one of its protections: `python -m chaos.mutant MUTATION write …`.

For showing that a chaos scenario fails when what it tests is switched off. Nothing but tests starts
this.
"""

import sys
from collections.abc import Callable, Mapping
from typing import Any

from headrace_writer.__main__ import main
from headrace_writer.core import delivery
from headrace_writer.core.delivery_effects import CommitResult, Position
from headrace_writer.shell.dead_letter import DeadLetterTopic
from headrace_writer.shell.kafka import GroupConsumer
from headrace_writer.shell.ledger import Ledger

_commit = GroupConsumer.commit


def no_plan() -> None:
    """Batches are cut anew after a crash: what was inserted of the old one is doubled."""

    def commit(self: GroupConsumer, positions: Mapping[int, Position]) -> CommitResult:
        return _commit(self, {p: (offset, "") for p, (offset, _) in positions.items()})

    GroupConsumer.commit = commit  # type: ignore[method-assign]


def commit_first() -> None:
    """Ends are committed before the insert: a crash in between loses the batch."""

    def deliver(plan: Any, completed: Mapping[int, int]) -> Any:
        yield from delivery.settle({**completed, **plan.ends})
        yield from delivery._build(plan)
        return (
            yield from delivery._insert(plan, plan.partitions, frozenset(plan.rows), trusted=True)
        )

    delivery.deliver = deliver


def no_ledger_lookup() -> None:
    """After a reset of the group's offsets everything is stored again."""

    def ahead(*_arguments: Any) -> list[tuple[int, int]]:
        return []

    Ledger.ahead = ahead  # type: ignore[method-assign, assignment]


def no_plan_no_ledger() -> None:
    """Neither the plan nor the ledger tells the next owner what is stored."""
    no_plan()
    no_ledger_lookup()


def no_dead_letters() -> None:
    """What cannot be stored is dropped without a word."""

    def send(*_arguments: Any) -> None:
        return None

    DeadLetterTopic.send = send  # type: ignore[method-assign, assignment]


MUTATIONS: dict[str, Callable[[], None]] = {
    function.__name__: function
    for function in (
        no_plan,
        commit_first,
        no_ledger_lookup,
        no_plan_no_ledger,
        no_dead_letters,
    )
}

if __name__ == "__main__":
    MUTATIONS[sys.argv[1]]()
    sys.exit(main(sys.argv[2:]))
