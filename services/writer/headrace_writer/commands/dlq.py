"""`headrace dlq`: what could not be stored: list, show, replay, purge."""

import argparse
import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table

from headrace_schema.columns import TABLES_BY_SIGNAL, insert_layout
from headrace_writer import wiring
from headrace_writer.commands.options import milliseconds, moment, signal_of
from headrace_writer.config import Settings
from headrace_writer.core.block import Signal
from headrace_writer.core.decode import load_backend
from headrace_writer.core.request_records import RequestRecords
from headrace_writer.core.salvage import narrow, readable
from headrace_writer.errors import ConfigError
from headrace_writer.shell.dead_letter_reader import DeadLetterReader, Letter

EXAMPLES = """examples:
  headrace dlq list --reason malformed --from 1d
  headrace dlq show 0/17
  headrace dlq replay --topic otlp_spans          what a newer release can read
  headrace dlq purge --to 7d --yes                older than a week
"""


def add_parser(commands: Any, parents: list[argparse.ArgumentParser]) -> None:
    """Adds `dlq` and its actions to the subcommands."""
    parser = commands.add_parser(
        "dlq",
        help="list, show, replay or purge dead letters",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    chosen = argparse.ArgumentParser(add_help=False)
    chosen.add_argument("--reason", help="only this reason, such as malformed")
    chosen.add_argument("--topic", help="only letters from this topic")
    chosen.add_argument("--from", dest="since", type=moment, metavar="TIME", help="1d, or ISO 8601")
    chosen.add_argument("--to", dest="until", type=moment, metavar="TIME", help="likewise")
    listed = actions.add_parser("list", parents=[*parents, chosen], help="one line each")
    listed.add_argument("--json", action="store_true", help="one JSON object a line")
    shown = actions.add_parser("show", parents=parents, help="one letter, decoded as far as it can")
    shown.add_argument("place", metavar="PARTITION/OFFSET", help="as `dlq list` shows it")
    replayed = actions.add_parser(
        "replay",
        parents=[*parents, chosen],
        help="send letters through the normal path again; each once",
    )
    replayed.add_argument("--again", action="store_true", help="also those replayed before")
    replayed.add_argument("--dry-run", action="store_true", help="only say which")
    purged = actions.add_parser(
        "purge", parents=parents, help="delete letters, oldest first, for good"
    )
    purged.add_argument("--to", dest="until", type=moment, metavar="TIME", help="only older ones")
    purged.add_argument("--yes", action="store_true", help="do not ask")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Run the action. Returns the exit code."""
    reader = DeadLetterReader(
        wiring.kafka_client(settings), settings.topic_dlq, settings.tenant_header
    )
    actions: dict[str, Callable[[], int]] = {
        "list": lambda: _list(_chosen(args, reader), as_json=args.json),
        "show": lambda: _show(args.place, reader, settings),
        "replay": lambda: _replay(args, reader, settings),
        "purge": lambda: _purge(args, reader),
    }
    try:
        return actions[args.action]()
    finally:
        reader.close()


def _chosen(args: argparse.Namespace, reader: DeadLetterReader) -> list[Letter]:
    return [
        letter
        for letter in reader.read()
        if args.reason in (None, letter.reason)
        and args.topic in (None, letter.topic)
        and (args.since is None or letter.timestamp_ms >= milliseconds(args.since))
        and (args.until is None or letter.timestamp_ms < milliseconds(args.until))
    ]


def described(letter: Letter) -> dict[str, Any]:
    """A letter without its payload."""
    return {
        "place": letter.place,
        "time": _time(letter),
        "reason": letter.reason,
        "detail": letter.detail,
        "topic": letter.topic,
        "partition": letter.source_partition,
        "offset": letter.source_offset,
        "table": letter.target.table if letter.target else None,
        "shard": letter.target.shard if letter.target else None,
        "records": letter.records,
        "bytes": len(letter.value),
        "replayed": letter.replayed,
    }


def _of_piece(signal: Signal, letter: Letter) -> bytes:
    """The message, or of one that was stored in pieces the piece that a block lacks."""
    if letter.records is None:
        return letter.value
    return RequestRecords(signal, letter.value).request(*letter.records)


def _list(letters: list[Letter], *, as_json: bool) -> int:
    if as_json:
        for letter in letters:
            print(json.dumps(described(letter)))
        return 0
    table = Table("place", "time", "reason", "from", "bytes", "", "detail")
    for letter in letters:
        origin = f"{letter.topic} {letter.source_partition}/{letter.source_offset}"
        state = "replayed" if letter.replayed else ""
        size = f"{len(letter.value):,}"
        when = _time(letter)
        table.add_row(letter.place, when, letter.reason, origin, size, state, letter.detail)
    console = Console(highlight=False)
    console.print(table)
    console.print(f"{len(letters)} dead letters; `headrace dlq show PLACE` decodes one")
    return 0


def _time(letter: Letter) -> str:
    when = datetime.fromtimestamp(letter.timestamp_ms / 1000, UTC)
    return when.isoformat(timespec="seconds")


def _show(place: str, reader: DeadLetterReader, settings: Settings) -> int:
    for letter in reader.read():
        if letter.place == place:
            signal = signal_of(settings, letter.topic)
            print(json.dumps({**described(letter), **readable(signal, letter.value)}, indent=2))
            return 0
    msg = f"no dead letter at {place}: `headrace dlq list` shows those there are"
    raise ConfigError(msg)


def _replay(args: argparse.Namespace, reader: DeadLetterReader, settings: Settings) -> int:
    letters = [one for one in _chosen(args, reader) if args.again or not one.replayed]
    if args.dry_run:
        return _list(letters, as_json=False)
    backend = load_backend(settings.decoder).backend

    def payload(letter: Letter) -> bytes:
        if letter.target is None:
            return letter.value
        signal = signal_of(settings, letter.topic)
        layouts = {name: insert_layout(name, "modern") for name in TABLES_BY_SIGNAL[signal]}
        return narrow(
            signal,
            _of_piece(signal, letter),
            letter.target,
            lambda: backend.builder(signal, layouts, letter.shards, "none"),
        )

    for letter in letters:
        signal_of(settings, letter.topic)
    done = reader.replay(
        letters, payload, lambda n: print(f"replayed {n} of {len(letters)}", file=sys.stderr)
    )
    print(f"{done} dead letters sent through their topics again")
    return 0


def _purge(args: argparse.Namespace, reader: DeadLetterReader) -> int:
    until = None if args.until is None else milliseconds(args.until)
    letters = reader.read()
    before: dict[int, int] = {}
    for partition in {letter.partition for letter in letters}:
        mine = [letter for letter in letters if letter.partition == partition]
        keep = [o.offset for o in mine if until is not None and o.timestamp_ms >= until]
        # Kafka deletes from the beginning of a partition only; -1 means all of it.
        before[partition] = min(keep) if keep else -1
    gone = [o for o in letters if before[o.partition] < 0 or o.offset < before[o.partition]]
    count = len(gone)
    if not count:
        print("nothing to delete")
        return 0
    if not args.yes:
        left = sum(not one.replayed for one in gone)
        answer = input(f"delete {count} dead letters, {left} of them never replayed? [y/N] ")
        if answer.strip().lower() != "y":
            print("nothing deleted")
            return 1
    reader.purge(before)
    print(f"{count} dead letters deleted")
    return 0
