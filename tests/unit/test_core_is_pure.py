"""core/ takes values and returns values: no broker, no server, no environment, no clock, no log."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import headrace_writer.core

CORE = Path(headrace_writer.core.__file__).parent
MODULES = sorted(CORE.rglob("*.py"))

FORBIDDEN = frozenset(
    {
        "asyncio",
        "clickhouse_driver",
        "confluent_kafka",
        "datetime",
        "logging",
        "os",
        "prometheus_client",
        "pydantic_settings",
        "random",
        "signal",
        "socket",
        "structlog",
        "subprocess",
        "threading",
        "time",
        "headrace_writer.app",
        "headrace_writer.config",
        "headrace_writer.shell",
        "headrace_writer.telemetry",
    }
)


def imports(tree: ast.AST) -> Iterator[str]:
    """Every module that is imported, wherever the import stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def offences(tree: ast.AST) -> list[str]:
    return [
        name
        for name in imports(tree)
        if name.startswith(".")
        or any(name == bad or name.startswith(f"{bad}.") for bad in FORBIDDEN)
    ]


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
def test_module_imports_nothing_of_the_world(module: Path) -> None:
    assert offences(ast.parse(module.read_text())) == []


def test_there_are_modules_to_check() -> None:
    assert len(MODULES) > 10


@pytest.mark.parametrize(
    "line",
    [
        "import os",
        "import os.path",
        "from time import monotonic",
        "from headrace_writer.shell import loop",
        "from headrace_writer import shell",
        "def f():\n    import logging",
        "from . import block",
    ],
)
def test_the_check_finds(line: str) -> None:
    assert offences(ast.parse(line))


def test_the_check_lets_through() -> None:
    assert not offences(ast.parse("import ossaudiodev_like\nfrom timeit_like import x"))
