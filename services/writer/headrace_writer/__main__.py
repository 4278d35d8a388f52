"""The `headrace` command.

Exit codes: 0 done; 1 a check or an objective failed; 2 usage or configuration; 3 a dependency does
not answer.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from types import ModuleType
from typing import Any

from headrace_schema.cli import add_migrate_parser, run_migrate
from headrace_schema.prices_cli import add_prices_parser, run_prices
from headrace_schema.retention_cli import add_retention_parser, run_retention
from headrace_schema.rollup_cli import add_rollup_parser, run_rollup
from headrace_schema.tenants_cli import add_tenants_parser, run_tenants
from headrace_writer import config, config_page, metrics_page
from headrace_writer.app import Writer, configure_logging
from headrace_writer.commands import (
    audit,
    cardinality,
    dlq,
    exporter,
    guardrails,
    replay,
    simulate,
    size,
    top,
)
from headrace_writer.errors import ConfigError, Fatal, Retryable
from headrace_writer.shell.allocator import keep_freed_memory

OK, FAILED, USAGE, UNREACHABLE = range(4)

COMMANDS: dict[str, ModuleType] = {
    "audit": audit,
    "cardinality": cardinality,
    "dlq": dlq,
    "exporter": exporter,
    "guardrails": guardrails,
    "replay": replay,
    "top": top,
}

# These calculate; they read no settings.
OFFLINE_COMMANDS: dict[str, ModuleType] = {"size": size, "simulate": simulate}

SCHEMA_COMMANDS: dict[str, Callable[..., int]] = {
    "migrate": run_migrate,
    "retention": run_retention,
    "prices": run_prices,
    "rollup": run_rollup,
    "tenants": run_tenants,
}

EXAMPLES = """examples:
  headrace write --signals metrics
  headrace write --signals traces,logs --kafka-bootstrap-servers kafka-1:9092,kafka-2:9092
  headrace migrate apply --clickhouse-shards 'a:9000,b:9000;c:9000,d:9000'
  headrace audit --since 1h       is every acknowledged record stored exactly once?
  headrace dlq list               what could not be stored
  headrace retention set --traces 7d --yes
  headrace prices import          what models cost, for the queries of docs/genai.md
  headrace guardrails check guardrails.toml
  headrace cardinality            which attributes cost most, and the rule for each
  headrace top                    lag, rates and replicas, live
  headrace exporter               Kafka's, ClickHouse's and the ledger's state for Prometheus
  headrace size --spans 1e6       what hardware that takes
  headrace simulate autoscale     lag and replicas under a ScaledObject
  headrace config                 what is in force, secrets masked
"""


def settings_flags() -> argparse.ArgumentParser:
    """A parent parser with one flag per setting."""
    parser = argparse.ArgumentParser(add_help=False)
    group = parser.add_argument_group("settings", "also HEADRACE_<NAME> in the environment")
    group.add_argument("--config", metavar="FILE", help="TOML file of settings")
    for name, field in config.Settings.model_fields.items():
        group.add_argument(
            f"--{name.replace('_', '-')}",
            dest=name,
            metavar="VALUE",
            type=json.loads if name == "kafka_extra" else str,
            help=(field.description or "").replace("%", "%%"),
        )
    return parser


def make_parser() -> argparse.ArgumentParser:
    flags = settings_flags()
    parser = argparse.ArgumentParser(
        prog="headrace",
        description="OpenTelemetry from Kafka into ClickHouse, every acknowledged record once.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"headrace {version('headrace')}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("write", parents=[flags], help="run a writer until SIGTERM")
    add_migrate_parser(commands, [flags])
    add_retention_parser(commands, [flags])
    add_prices_parser(commands, [flags])
    add_rollup_parser(commands, [flags])
    add_tenants_parser(commands, [flags])
    for command in COMMANDS.values():
        command.add_parser(commands, [flags])
    for command in OFFLINE_COMMANDS.values():
        command.add_parser(commands)
    show = commands.add_parser("config", parents=[flags], help="print the settings in force")
    show.add_argument("--json", action="store_true", help="as JSON")
    pages = commands.add_parser("docs", help="print a generated documentation page")
    pages.add_argument("page", choices=["configuration", "metrics"])
    return parser


@dataclass(frozen=True, slots=True)
class MigrateView:
    """What migrations read of the settings, the password in the clear."""

    clickhouse_shards: Sequence[Sequence[tuple[str, int]]]
    clickhouse_database: str
    clickhouse_user: str
    clickhouse_password: str
    clickhouse_topology: str
    clickhouse_dialect: str
    clickhouse_cluster: str
    clickhouse_tls: Mapping[str, Any]


def migrate_view(settings: config.Settings) -> MigrateView:
    return MigrateView(
        settings.clickhouse_shards,
        settings.clickhouse_database,
        settings.clickhouse_user,
        settings.password,
        settings.clickhouse_topology,
        settings.clickhouse_dialect,
        settings.clickhouse_cluster,
        settings.clickhouse_tls,
    )


def run(args: argparse.Namespace) -> int:
    """Run the command; raises the writer's errors."""
    if args.command == "docs":
        page = {
            "configuration": config_page.configuration_page,
            "metrics": metrics_page.metrics_page,
        }
        print(page[args.page](), end="")
        return OK
    if args.command in OFFLINE_COMMANDS:
        offline: int = OFFLINE_COMMANDS[args.command].run(args)
        return offline
    names = [*config.Settings.model_fields, "config"]
    settings = config.load({name: getattr(args, name) for name in names})
    if args.command in SCHEMA_COMMANDS:
        return SCHEMA_COMMANDS[args.command](args, migrate_view(settings))
    if args.command == "config":
        print_settings(config.shown(settings), as_json=args.json)
        return OK
    if args.command in COMMANDS:
        # What a command prints is its answer; programs read it.
        configure_logging(settings, sys.stderr)
        code: int = COMMANDS[args.command].run(args, settings)
        return code
    configure_logging(settings)
    keep_freed_memory(os.environ)
    Writer(settings).run()
    return OK


def print_settings(values: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(values, indent=2))
        return
    for name, value in values.items():
        print(f"{name} = {json.dumps(value)}")


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of the console script."""
    args = make_parser().parse_args(argv)
    try:
        return run(args)
    except ConfigError as error:
        print(f"headrace: {error}", file=sys.stderr)
        return USAGE
    except Retryable as error:
        print(f"headrace: {error}", file=sys.stderr)
        return UNREACHABLE
    except Fatal as error:
        print(f"headrace: {error}", file=sys.stderr)
        return FAILED


if __name__ == "__main__":
    sys.exit(main())
