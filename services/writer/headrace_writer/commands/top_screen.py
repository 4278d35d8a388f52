"""What `headrace top` shows a person: fits the terminal, most urgent first."""

from collections.abc import Sequence
from datetime import UTC, datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from headrace_writer.core.overview import (
    METRIC_LAG_LIMIT_S,
    Overview,
    PartitionState,
    ReplicaLook,
    SignalState,
)

# Eighths of the ten seconds that metrics may lag; the last one is for more.
BARS = "▁▂▃▄▅▆▇█"
DIGITS = "01234567"
"""For terminals without UTF-8."""
# What the columns beside the bars take.
BESIDE_BARS = 64
FEWEST_ROWS = 3


def screen(
    found: Overview, width: int = 80, height: int | None = None, *, unicode: bool = True
) -> Group:
    """`height`: lines there are; None for as many as it takes."""
    problems = [Text(one, style="red") for one in found.problems]
    parts: list[RenderableType] = [_title(found), *problems, ""]
    parts += [_signals(found.signals, width, BARS if unicode else DIGITS), _note(), ""]
    # Title, headers, the note and the empty lines between.
    left = None if height is None else height - 7 - len(problems) - len(found.signals)
    replicas = _fitting(sorted(found.replicas, key=_urgency), left)
    parts.append(_replicas(sorted(replicas, key=lambda one: (one.shard, one.address))))
    hidden = len(found.replicas) - len(replicas)
    if hidden:
        parts.append(Text(f"and {hidden} replicas in a better state", style="dim"))
    behind = sorted(
        ((one.signal, each) for one in found.signals for each in one.by_partition if each.waiting),
        key=lambda pair: (-pair[1].lag_s, -pair[1].waiting),
    )
    room = None if left is None else left - len(replicas) - bool(hidden) - 3
    if behind and (room is None or room > 0):
        parts += ["", _behind(behind[:room])]
    return Group(*parts)


def _title(found: Overview) -> Text:
    state = "[green]healthy[/]" if found.healthy else "[red]needs a look[/]"
    when = datetime.fromtimestamp(found.at_s, UTC)
    letters = f", {found.dead_letters:,} dead letters" if found.dead_letters else ""
    return Text.from_markup(f"headrace, {when:%H:%M:%S} UTC: {state}{letters}")


def _note() -> Text:
    return Text("messages, not records; lag: a bar per partition, full at 10 s", style="dim")


def _signals(signals: Sequence[SignalState], width: int, bars: str) -> Table:
    table = Table("signal", box=None, pad_edge=False)
    for name in ("arriving/s", "committed/s", "waiting", "oldest", "partitions behind"):
        table.add_column(name, justify="right")
    table.add_column("lag", no_wrap=True)
    for one in signals:
        table.add_row(
            one.signal,
            _rate(one.arriving),
            _rate(one.committed),
            f"{one.waiting:,}",
            f"{one.lag_s:.1f} s",
            f"{one.behind} of {one.partitions}",
            _bars([each.lag_s for each in one.by_partition], max(6, width - BESIDE_BARS), bars),
        )
    return table


def _bars(lags: Sequence[float], most: int, bars: str) -> Text:
    """A character per partition; with more of them than places, of neighbours the worst."""
    group = -(-len(lags) // most) or 1
    text = Text()
    for first in range(0, len(lags), group):
        lag = max(lags[first : first + group])
        level = min(len(bars) - 1, int(lag / METRIC_LAG_LIMIT_S * (len(bars) - 1)))
        style = "red" if lag > METRIC_LAG_LIMIT_S else "yellow" if level >= len(bars) // 2 else ""
        text.append(bars[level], style)
    return text


def _urgency(one: ReplicaLook) -> tuple[int, int, int, int]:
    return (-bool(one.silent), -one.readonly, -one.delay_s, -one.parts)


def _fitting(replicas: list[ReplicaLook], left: int | None) -> list[ReplicaLook]:
    if left is None or len(replicas) <= left:
        return replicas
    return replicas[: max(FEWEST_ROWS, left - 1)]


def _replicas(replicas: Sequence[ReplicaLook]) -> Table:
    table = Table("shard", "replica", box=None, pad_edge=False)
    for name in ("parts", "queue", "merges", "delay", "free disk"):
        table.add_column(name, justify="right")
    for each in replicas:
        free = "" if each.free_bytes is None else f"{each.free_bytes / 1e9:,.0f} GB"
        cells = (
            [Text(each.silent, style="red"), "", "", "", ""]
            if each.silent
            else [str(each.parts), str(each.queue), str(each.merges), f"{each.delay_s} s", free]
        )
        table.add_row(str(each.shard + 1), each.address, *cells)
    return table


def _behind(found: Sequence[tuple[str, PartitionState]]) -> Table:
    table = Table("furthest behind", box=None, pad_edge=False)
    for name in ("partition", "oldest", "waiting", "committed", "end"):
        table.add_column(name, justify="right")
    for signal, one in found:
        table.add_row(
            signal,
            str(one.partition),
            f"{one.lag_s:.1f} s",
            f"{one.waiting:,}",
            f"{one.committed:,}",
            f"{one.end:,}",
        )
    return table


def _rate(value: float | None) -> str:
    return "" if value is None else f"{value:,.1f}"
