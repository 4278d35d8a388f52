"""`headrace guardrails`: is the file right, and what would it do to a sample?"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from google.protobuf.json_format import Parse, ParseError
from google.protobuf.message import DecodeError
from rich.console import Console
from rich.table import Table

from headrace_writer.config import SIGNALS, Settings
from headrace_writer.core.block import Signal
from headrace_writer.core.guardrails import ATTRIBUTES, HASH_KEY_BYTES, PLACES, Place, Rule
from headrace_writer.core.reference_guard import Acted, Guard
from headrace_writer.core.salvage import REQUESTS
from headrace_writer.errors import ConfigError
from headrace_writer.shell.guardrails_source import read_hash_key, read_rules

SHOWN_CHARACTERS = 60

EXAMPLES = """examples:
  headrace guardrails check guardrails.toml
  headrace guardrails test guardrails.toml --attribute user.email=jane@example.org
  headrace guardrails test guardrails.toml --on resource --attribute env=prod
  headrace guardrails test guardrails.toml --signal logs --payload request.json
"""
# Where an attribute of the command line is put, by signal.
RECORDS: dict[Signal, Place] = {"traces": "span", "metrics": "point", "logs": "log"}


def add_parser(commands: Any, parents: list[argparse.ArgumentParser]) -> None:
    """Adds `guardrails` and its actions to the subcommands."""
    parser = commands.add_parser(
        "guardrails",
        help="check a file of guardrails, try it on a sample",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("file", type=Path, metavar="FILE", help="the rules, TOML")
    shared.add_argument("--json", action="store_true", help="print JSON instead of text")
    actions.add_parser("check", parents=[*parents, shared], help="read it and list its rules")
    tried = actions.add_parser(
        "test",
        parents=[*parents, shared],
        help="show what becomes of a sample",
        description="Changes nothing. Without guardrails_key_file hashes are made with a key of "
        "zeros.",
    )
    tried.add_argument("--signal", choices=SIGNALS, default="traces", help="default traces")
    tried.add_argument("--on", choices=ATTRIBUTES, help="where --attribute stands; default: record")
    tried.add_argument(
        "--attribute", action="append", default=[], metavar="KEY=VALUE", help="may be repeated"
    )
    tried.add_argument(
        "--payload", type=Path, metavar="FILE", help="an export request, OTLP protobuf or JSON"
    )


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Run the action. Returns the exit code."""
    rules = read_rules(args.file)
    if args.action == "check":
        return _check(args.file, rules, as_json=args.json)
    key_file = settings.guardrails_key_file
    key = read_hash_key(key_file) if key_file else bytes(HASH_KEY_BYTES)
    guard = Guard([rule for rule in rules if args.signal in rule.signals], key)
    guard.acted = []
    if args.payload is not None:
        guard.apply(_request(args.signal, args.payload))
    elif not args.attribute:
        msg = "give a sample: --attribute KEY=VALUE or --payload FILE"
        raise ConfigError(msg)
    if args.attribute:
        guard.apply_to(args.on or RECORDS[args.signal], _pairs(args.attribute))
    return _tell(guard.acted, as_json=args.json)


def _check(path: Path, rules: Sequence[Rule], *, as_json: bool) -> int:
    if as_json:
        listed = [
            {"id": r.id, "action": r.action, "keys": r.keys, "signals": r.signals, "on": r.on}
            for r in rules
        ]
        print(json.dumps({"file": str(path), "rules": listed}, indent=2))
        return 0
    table = Table("rule", "action", "keys", "signals", "on")
    for rule in rules:
        where = "everywhere" if rule.on == PLACES else ", ".join(rule.on)
        where = "all attributes" if rule.on == ATTRIBUTES else where
        signals = "all" if set(rule.signals) == set(SIGNALS) else ", ".join(rule.signals)
        table.add_row(rule.id, rule.action, ", ".join(rule.keys), signals, where)
    console = Console(highlight=False)
    console.print(table)
    console.print(f"{path}: {len(rules)} rules, all fine")
    return 0


def _tell(acted: Sequence[Acted], *, as_json: bool) -> int:
    if as_json:
        listed = [
            {**one._asdict(), "rule": one.rule.id, "action": one.rule.action} for one in acted
        ]
        print(json.dumps(listed, indent=2))
        return 0
    table = Table("rule", "action", "on", "key", "before", "after")
    for one in acted:
        after = "(gone)" if one.after is None else _short(one.after)
        if one.rule.action == "rename":
            after = f"{one.rule.to} = {after}"
        table.add_row(one.rule.id, one.rule.action, one.place, one.key, _short(one.before), after)
    console = Console(highlight=False, markup=False)
    if acted:
        console.print(table)
    console.print(f"{len(acted)} actions" if acted else "no rule does anything to this sample")
    return 0


def _short(text: str) -> str:
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[: SHOWN_CHARACTERS - 1]}…"


def _pairs(given: Sequence[str]) -> list[tuple[str, str]]:
    pairs = []
    for text in given:
        key, sign, value = text.partition("=")
        if not sign:
            msg = f"--attribute {text!r} is not KEY=VALUE"
            raise ConfigError(msg)
        pairs.append((key, value))
    return pairs


def _request(signal: Signal, path: Path) -> Any:
    """The export request in a file. Raises ConfigError."""
    request = REQUESTS[signal]()
    try:
        raw = path.read_bytes()
        if raw.lstrip()[:1] == b"{":
            return Parse(raw, request, ignore_unknown_fields=True)
        request.ParseFromString(raw)
    except (OSError, ParseError, DecodeError) as error:
        msg = f"--payload {path}: no export request of {signal}: {error}"
        raise ConfigError(msg) from error
    return request
