"""Commands on the tables, as tests run them: with --json."""

import argparse
import io
import json
from collections.abc import Callable
from typing import Any

from headrace_schema.connection import Connect
from support.schema_server import MigrateSettings

AddParser = Callable[..., argparse.ArgumentParser]


def parsed(add_parser: AddParser, *argv: str) -> argparse.Namespace:
    """The arguments; `argv` begins with the command's name."""
    parser = argparse.ArgumentParser()
    add_parser(parser.add_subparsers())
    return parser.parse_args(argv)


def answer(
    add_parser: AddParser,
    run: Callable[..., int],
    settings: MigrateSettings,
    *argv: str,
    connect: Connect | None = None,
) -> tuple[int, Any]:
    """Exit code and JSON of one run."""
    out = io.StringIO()
    code = run(parsed(add_parser, *argv, "--json"), settings, connect=connect, out=out)
    return code, json.loads(out.getvalue())
