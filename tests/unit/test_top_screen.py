"""The screen of `headrace top`: nothing is cut, whatever the terminal's size."""

import pytest
from rich.console import Console

from headrace_writer.commands.top_screen import BARS, screen
from headrace_writer.core.block import Signal
from headrace_writer.core.overview import Look, Overview, PartitionLook, ReplicaLook, overview

SIGNALS: tuple[Signal, ...] = ("traces", "metrics", "logs")


def seen(
    partitions: int = 6, replicas: int = 4, lag_s: float = 1.5, dead_letters: int = 0
) -> Overview:
    """Partition n lags n tenths of `lag_s` × 10 / partitions; the last one most."""

    def at(number: int) -> PartitionLook:
        age_s = lag_s * (number + 1) / partitions
        return PartitionLook(1_234_567, 1_234_000, int((1_000 - age_s) * 1_000))

    looks = {signal: {n: at(n) for n in range(partitions)} for signal in SIGNALS}
    servers = tuple(
        ReplicaLook(n // 2, f"127.0.0.1:{9000 + n}", parts=10 + n, queue=n, merges=1)
        for n in range(replicas)
    )
    return overview(Look(1_000, looks, servers, dead_letters), Look(998, looks, servers))


def lines(found: Overview, width: int, height: int | None, *, unicode: bool = True) -> list[str]:
    console = Console(width=width, height=height or 200, color_system=None)
    with console.capture() as captured:
        console.print(screen(found, width, height, unicode=unicode))
    return [line.rstrip() for line in captured.get().splitlines()]


@pytest.mark.parametrize(("width", "height"), [(80, 24), (160, 50), (100, 30)])
@pytest.mark.parametrize("partitions", [1, 6, 24, 200])
@pytest.mark.parametrize("replicas", [1, 4, 24])
def test_it_fits(width: int, height: int, partitions: int, replicas: int) -> None:
    text = lines(seen(partitions, replicas, dead_letters=3), width, height)
    assert len(text) <= height
    assert not [line for line in text if "…" in line or len(line) > width]
    for signal in SIGNALS:
        assert len([line for line in text if line.startswith(signal)]) >= 1


def test_problems_come_right_below_the_title() -> None:
    text = lines(seen(lag_s=20, dead_letters=2), 80, 24)
    assert text[0] == "headrace, 00:16:40 UTC: needs a look, 2 dead letters"
    assert text[2].startswith("metrics: 20.0 s behind")


def row_of(found: Overview, *, unicode: bool = True) -> str:
    return next(one for one in lines(found, 80, 24, unicode=unicode) if one.startswith("traces "))


def test_a_bar_per_partition() -> None:
    assert row_of(seen(6, lag_s=12)).endswith("▂▃▅▆██")
    assert row_of(seen(6, lag_s=12), unicode=False).endswith("124577")


def test_more_partitions_than_places_share_bars() -> None:
    bars = [letter for letter in row_of(seen(200)) if letter in BARS]
    assert 6 <= len(bars) <= 16


def test_the_partitions_furthest_behind_are_listed_worst_first() -> None:
    text = lines(seen(6, lag_s=6), 80, 24)
    at = next(i for i, line in enumerate(text) if line.startswith("furthest behind"))
    first = text[at + 1].split()
    assert first[1:] == ["5", "6.0", "s", "567", "1,234,000", "1,234,567"]


def test_without_room_the_worst_replicas_are_shown() -> None:
    text = lines(seen(replicas=40), 80, 24)
    assert "127.0.0.1:9039" in "\n".join(text)
    assert any("replicas in a better state" in line for line in text)
    assert "better state" not in "\n".join(lines(seen(replicas=40), 80, None))
