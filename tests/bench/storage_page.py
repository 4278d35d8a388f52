"""docs/benchmarks/storage.md from storage.json."""

from collections.abc import Iterator, Mapping
from typing import Any

HEAD = """\
# Bytes on disk

By `make bench-storage`, {date}, {machine}: ClickHouse 26.9 (chDB), one part
per day after `OPTIMIZE FINAL`, bytes per row. *Before* are the tables of migration 7, *after* those
of now ([why](../decisions/0009-codecs-by-measurement.md)). The CPU is that of `INSERT SELECT` on the whole
table, reading included; it varies by a fifth between runs. Two sources:

- **loadgen**: its genai profile (10 span and 5 resource attributes). Ids, times and values, which it
  counts up, are replaced by hashes, as spread as real ones.
- **agent**: what docs/examples/agent_app.py sent, 12,000 calls in 12 processes. The tables are small,
  so keys and marks weigh more.

Exponential histograms and summaries are not in it: their columns took the codecs of the histogram's.

"""  # noqa: E501 - the page's lines
NOUNS = {
    "otel_traces": "span",
    "otel_traces_trace_id_ts": "trace",
    "otel_logs": "log record",
    "otel_metrics_gauge": "point of a gauge",
    "otel_metrics_sum": "point of a sum",
    "otel_metrics_histogram": "point of a histogram",
}
SOURCES = {
    "loadgen": "loadgen's genai profile",
    "agent": "docs/examples/agent_app.py, run for real",
}
# Columns of a smaller share of their table are summed up under one name.
LEAST_SHARE = 0.005


def page(document: Mapping[str, Any]) -> str:
    """Markdown: a summary, then each table column by column, then indexes."""
    return "\n".join(_lines(document)) + "\n"


def _lines(document: Mapping[str, Any]) -> Iterator[str]:
    yield from HEAD.format(date=document["date"][:10], machine=document["machine"]).splitlines()
    yield from _summary(document["stored"])
    for table in NOUNS:
        yield from _table(table, document["stored"])
    yield from _indexes(document["tried"])


def _summary(stored: Mapping[str, Any]) -> Iterator[str]:
    yield "| per | loadgen before | after | CPU of the insert, µs | after | agent before | after |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: |"
    for table, noun in NOUNS.items():
        cells = []
        for source in SOURCES:
            one = stored[source][table]
            cells += [
                _bytes(sum(one[when].values())) if one["rows"] else "–"
                for when in ("before", "after")
            ]
            if source == "loadgen":
                cells += [f"{cpu:.2f}" if cpu else "–" for cpu in one["insert_us"]]
        yield f"| {noun} | {' | '.join(cells)} |"
    yield ""


def _table(table: str, stored: Mapping[str, Any]) -> Iterator[str]:
    yield f"## {table}"
    yield ""
    sources = [source for source in SOURCES if stored[source][table]["rows"]]
    rows = ", ".join(f"{source}: {stored[source][table]['rows']:,} rows" for source in sources)
    yield f"{rows}."
    yield ""
    yield "| column | " + " | ".join(f"{s} before | after" for s in sources) + " |"
    yield "| --- |" + " ---: |" * (2 * len(sources))
    names = _names([stored[source][table] for source in sources])
    whole = [
        sum(stored[source][table][when].values())
        for source in sources
        for when in ("before", "after")
    ]
    rest = [0.0] * (2 * len(sources))
    for name in names:
        sizes = [
            stored[source][table][when].get(name, 0.0)
            for source in sources
            for when in ("before", "after")
        ]
        if all(size < LEAST_SHARE * all_of for size, all_of in zip(sizes, whole, strict=True)):
            rest = [a + b for a, b in zip(rest, sizes, strict=True)]
        else:
            yield _row(name, sizes)
    yield _row("all others", rest)
    yield _row("**all**", whole)
    yield ""


def _names(tables: list[Mapping[str, Any]]) -> list[str]:
    """All columns, the largest first."""
    sizes: dict[str, float] = {}
    for one in tables:
        for when in ("before", "after"):
            for name, size in one[when].items():
                sizes[name] = max(size, sizes.get(name, 0.0))
    return sorted(sizes, key=lambda name: -sizes[name])


def _indexes(tried: Mapping[str, Any]) -> Iterator[str]:
    yield "## Skip indexes"
    yield ""
    yield "What each adds per row, and the CPU of building it at an insert"
    yield "([which were kept](../decisions/0010-indexes-that-are-used.md))."
    yield ""
    yield "| table | index | loadgen bytes | CPU µs | agent bytes | CPU µs |"
    yield "| --- | --- | ---: | ---: | ---: | ---: |"
    for table in NOUNS:
        costs = [tried.get(source, {}).get(table, {}).get("indexes", {}) for source in SOURCES]
        for name in dict.fromkeys(name for one in costs for name in one):
            cells = [
                f"{one[name][0]:.2f} | {one[name][1]:.2f}" if name in one else "– | –"
                for one in costs
            ]
            yield f"| {table} | {name} | {' | '.join(cells)} |"


def _row(name: str, sizes: list[float]) -> str:
    return f"| {name} | " + " | ".join(_bytes(size) for size in sizes) + " |"


def _bytes(size: float) -> str:
    return f"{size:.2f}"
