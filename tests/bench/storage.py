"""`python -m bench.storage`: bytes on disk per span, point and log record, column by column.

Generated and real data go through the kernel into ClickHouse 26.9 (chDB), into tables as they were
before their codecs were tuned (migrations up to BASE) and as they are; after OPTIMIZE FINAL the
server says what each column takes. With --candidates each column is also stored alone under every
codec that may suit it, and with each of its skip indexes, with the CPU of writing and reading: what
decisions 0009 and 0010 chose from. Without, the last such numbers are kept.

Writes docs/benchmarks/storage.json and storage.md.
"""

import argparse
import json
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from clickhouse_driver import Client
from clickhouse_driver.errors import ServerException

from bench import storage_page
from bench.machine import machine
from bench.storage_data import REPLACED, from_agent, generated
from headrace_native.spec import ROOT
from headrace_schema.columns import TABLES, TRACE_ID_TS, TUNED, Table
from headrace_schema.render import Deployment, migrations
from headrace_schema.runner import Fleet, Runner
from headrace_writer.core.block import Signal
from support.chdb_front import ChdbBackend
from support.decoders import KERNEL, layouts_of
from support.native_server import NativeServer
from support.raw_insert import insert_block
from support.schema_server import CONNECT, SchemaServer

FOLDER = ROOT / "docs" / "benchmarks"
BASE = TUNED - 1
"""The last migration before codecs were tuned."""
REQUESTS = 40
REPEATS = 2
ENOUGH_ROWS = 5_000
SOURCES = ("loadgen", "agent")
BAD_ARGUMENTS = 36
SIGNALS: tuple[Signal, ...] = ("traces", "metrics", "logs")
# Stands for its kind: the other metric tables differ in few columns.
MEASURED = (
    "otel_traces", "otel_traces_trace_id_ts", "otel_logs",
    "otel_metrics_gauge", "otel_metrics_sum", "otel_metrics_histogram",
)  # fmt: skip
WHOLE = {"min_bytes_for_wide_part": 0, "min_rows_for_wide_part": 0}

_COMMON = ("LZ4", "ZSTD(1)", "ZSTD(3)")
_NUMBERS = (*_COMMON, "Delta, ZSTD(1)", "DoubleDelta, ZSTD(1)", "Delta, LZ4", "DoubleDelta, LZ4")
CANDIDATES: Mapping[str, Sequence[str]] = {
    "time": (*_NUMBERS, "T64, ZSTD(1)", "T64, LZ4"),
    "integer": (*_NUMBERS, "T64, ZSTD(1)", "T64, LZ4"),
    "float": (*_COMMON, "Gorilla, ZSTD(1)", "Gorilla, LZ4", "Delta, ZSTD(1)", "FPC(12), ZSTD(1)"),
    "text": ("NONE", *_COMMON, "ZSTD(6)"),
}


@contextmanager
def chdb() -> Iterator[SchemaServer]:
    """ClickHouse in this process, so that its CPU is this process's."""
    # Merges in the background may still write while the folder is deleted.
    with tempfile.TemporaryDirectory(prefix="bench", ignore_cleanup_errors=True) as folder:
        backend = ChdbBackend(str(Path(folder) / "data"))
        with NativeServer(backend, 0) as server:
            yield SchemaServer(server.port, Deployment("embedded", "modern", "default"))
        backend.close()


def create(server: SchemaServer, database: str, last: int) -> None:
    """The tables as migration `last` leaves them, in wide parts whatever their size."""
    deployment = Deployment("embedded", "modern", database)
    chosen = [one for one in migrations(deployment) if one.number <= last]
    with Fleet([server.node], CONNECT) as fleet:
        Runner(fleet, deployment, chosen).apply(lambda _: None)
    with server.client() as client:
        for table in MEASURED:
            settings = ", ".join(f"{name} = {value}" for name, value in WHOLE.items())
            client.execute(f"ALTER TABLE {database}.{table} MODIFY SETTING {settings}")


def load(server: SchemaServer, database: str, signal: Signal, payloads: Sequence[bytes]) -> None:
    """What the writer does: the kernel's blocks, one insert each."""
    layouts = layouts_of(signal, "modern")
    with server.client() as client:
        for start in range(0, len(payloads), 10):
            builder = KERNEL.builder(signal, layouts, 1, "none")
            assert builder.append_many(payloads[start : start + 10]) == []
            ids = {target: 10**18 + start + i for i, (target, _) in enumerate(builder.pending())}
            for block in builder.finish(ids):
                insert_block(client, f"{database}.{block.target.table}", block.body)


def copy(
    client: Client, source: str, target: str, table: str, replaced: Mapping[str, str]
) -> float:
    """All rows of a table into the same one of another database, then one part per day.

    Returns the CPU of the INSERT in seconds, reading and replacing included.
    """
    replace = ", ".join(f"{text} AS {name}" for name, text in replaced.items())
    chosen = f"* REPLACE ({replace})" if replace else "*"
    cpu = _cpu(client, f"INSERT INTO {target}.{table} SELECT {chosen} FROM {source}.{table}")
    client.execute(f"OPTIMIZE TABLE {target}.{table} FINAL")
    return cpu


def column_bytes(client: Client, database: str, table: str) -> dict[str, float]:
    """Bytes per row of each column, and of everything else under ''."""
    rows, whole = client.execute(
        "SELECT sum(rows), sum(bytes_on_disk) FROM system.parts"
        f" WHERE active AND database = '{database}' AND table = '{table}'"
    )[0]
    if not rows:
        return {}
    found = client.execute(
        "SELECT column, sum(column_data_compressed_bytes) FROM system.parts_columns"
        f" WHERE active AND database = '{database}' AND table = '{table}' GROUP BY column"
    )
    sizes = {name: size / rows for name, size in found}
    indexes = client.execute(
        "SELECT name, data_compressed_bytes FROM system.data_skipping_indices"
        f" WHERE database = '{database}' AND table = '{table}'"
    )
    sizes |= {f"index {name}": size / rows for name, size in indexes}
    sizes["keys, marks, checksums"] = whole / rows - sum(sizes.values())
    return {name: round(size, 3) for name, size in sorted(sizes.items(), key=lambda x: -x[1])}


def kind_of(type_name: str) -> str:
    """Which list of candidates suits a type."""
    if "Map(" in type_name or "String" in type_name:
        return "text"
    if "DateTime" in type_name:
        return "time"
    return "float" if "Float" in type_name else "integer"


def alone(client: Client, source: str, column: str, declared: str) -> list[float] | None:
    """Bytes, µs of CPU to write and µs to read per row of one column in a table of its own.

    `source` is its table, read in stored order; `declared` is type, codec and indexes of the column
    `c`. Writing includes reading the source, alike for all. None: the codec is not for this type.
    """
    client.execute("DROP TABLE IF EXISTS alone")
    try:
        client.execute(
            f"CREATE TABLE alone (c {declared}) ENGINE = MergeTree ORDER BY tuple() "
            "SETTINGS min_bytes_for_wide_part = 0"
        )
    except ServerException as error:
        if error.code != BAD_ARGUMENTS:
            raise
        return None
    (rows,) = client.execute(f"SELECT count() FROM {source}")[0]
    writes = []
    for _ in range(REPEATS):
        client.execute("TRUNCATE TABLE alone")
        writes.append(_cpu(client, f"INSERT INTO alone SELECT `{column}` FROM {source}"))
    client.execute("OPTIMIZE TABLE alone FINAL")
    read = min(
        _cpu(client, "SELECT count() FROM alone WHERE NOT ignore(c)") for _ in range(REPEATS)
    )
    sizes = column_bytes(client, "default", "alone")
    size = sum(value for name, value in sizes.items() if name == "c" or name.startswith("index"))
    return [round(size, 3), *(round(one * 1e6 / rows, 3) for one in (min(writes), read))]


def candidates(
    client: Client, database: str, table: Table
) -> Iterator[tuple[str, str, list[float]]]:
    """(column, codec, numbers of `alone`) of every column under every codec that may suit it."""
    source = f"{database}.{table.name}"
    for name, kind, default, *_ in client.execute(f"DESCRIBE TABLE {source}"):
        for codec in () if default else CANDIDATES[kind_of(kind)]:
            if found := alone(client, source, name, f"{kind} CODEC({codec})"):
                yield name, codec, found


def index_costs(client: Client, database: str, table: Table) -> Iterator[tuple[str, list[float]]]:
    """(index, bytes and µs of CPU that it adds per row) of each index of a table."""
    source = f"{database}.{table.name}"
    kinds = {name: kind for name, kind, *_ in client.execute(f"DESCRIBE TABLE {source}")}
    for index in table.indexes:
        column = re.findall(r"\w+", index.declaration.partition(" TYPE ")[0])[-1]
        declared = f"{kinds[column]} CODEC(NONE)"
        expression = re.sub(rf"\b{column}\b", "c", index.declaration, count=1)
        without = alone(client, source, column, declared)
        with_it = alone(client, source, column, f"{declared}, INDEX i {expression}")
        assert without
        assert with_it
        yield index.name, [round(b - a, 3) for a, b in zip(without[:2], with_it[:2], strict=True)]


def _cpu(client: Client, sql: str) -> float:
    """CPU seconds of this process, in which the server runs."""
    begun = time.process_time()
    client.execute(sql)
    return time.process_time() - begun


def stored(server: SchemaServer, source: str, latest: int) -> dict[str, Any]:
    """Table → {"rows", "before", "after", "insert_us"} for one source of data."""
    raw, before, after = (f"{source}_{what}" for what in ("raw", "before", "after"))
    for database, last in ((raw, latest), (before, BASE), (after, latest)):
        create(server, database, last)
    agent = from_agent() if source == "agent" else None
    for signal in SIGNALS:
        load(server, raw, signal, agent[signal] if agent else list(generated(signal, REQUESTS)))
    found: dict[str, Any] = {}
    cpu: dict[tuple[str, str], float] = {}
    with server.client() as client:
        for table in MEASURED:
            # So that neither finds it cold.
            client.execute(f"SELECT count() FROM {raw}.{table} WHERE NOT ignore(*)")
            for database in (before, after):
                if table == TRACE_ID_TS.name:  # its view has filled it
                    client.execute(f"OPTIMIZE TABLE {database}.{table} FINAL")
                else:
                    replaced = {} if agent else REPLACED.get(table, {})
                    cpu[table, database] = copy(client, raw, database, table, replaced)
        for table in MEASURED:
            (rows,) = client.execute(f"SELECT count() FROM {after}.{table}")[0]
            found[table] = {
                "rows": rows,
                "before": column_bytes(client, before, table),
                "after": column_bytes(client, after, table),
                "insert_us": [
                    round(cpu.get((table, database), 0.0) * 1e6 / max(rows, 1), 2)
                    for database in (before, after)
                ],
            }
    print(f"{source}: stored", flush=True)
    return found


def tried(server: SchemaServer, source: str) -> dict[str, Any]:
    """Table → {"codecs": column → codec → numbers, "indexes": index → numbers}."""
    found: dict[str, Any] = {}
    with server.client() as client:
        for name in MEASURED:
            (rows,) = client.execute(f"SELECT count() FROM {source}_before.{name}")[0]
            if rows < ENOUGH_ROWS:
                continue
            codecs: dict[str, dict[str, list[float]]] = {}
            for column, codec, numbers in candidates(client, f"{source}_before", TABLES[name]):
                codecs.setdefault(column, {})[codec] = numbers
            indexes = dict(index_costs(client, f"{source}_before", TABLES[name]))
            found[name] = {"codecs": codecs, "indexes": indexes}
            print(f"{source}: {name} tried", flush=True)
    return found


def compact(document: object) -> str:
    """JSON with one line per list of numbers."""
    text = json.dumps(document, indent=1)
    return re.sub(r"\[\s+([^\[\]{}]*?)\s+\]", lambda m: f"[{' '.join(m[1].split())}]", text)


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench-storage", description=__doc__)
    parser.add_argument("--candidates", action="store_true", help="also every codec per column")
    args = parser.parse_args()
    latest = migrations(Deployment("embedded", "modern"))[-1].number
    path = FOLDER / "storage.json"
    old = json.loads(path.read_text()) if path.exists() else {}
    with chdb() as server:
        found = {source: stored(server, source, latest) for source in SOURCES}
        trials = old.get("tried", {})
        if args.candidates:
            trials = {source: tried(server, source) for source in SOURCES}
    document = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "stored": found,
        "tried": trials,
    }
    path.write_text(compact(document) + "\n")
    (FOLDER / "storage.md").write_text(storage_page.page(document))
    print("written to docs/benchmarks/storage.json and storage.md")
    return 0


if __name__ == "__main__":
    sys.exit(main())
