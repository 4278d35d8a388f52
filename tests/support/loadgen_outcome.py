"""What a run of loadgen may have sent and found, and how it may have ended."""

from typing import Any

from headrace_loadgen.generate import Signal
from headrace_loadgen.probe import Lag
from headrace_loadgen.report import Objectives, Outcome
from headrace_loadgen.send import Tally
from headrace_loadgen.store import Found, Verdict, judge

RECORDS = 10
OBJECTIVES = Objectives(min_rate_ratio=0.98, max_metric_lag_p99_s=10.0)


def there(*indexes: int) -> Found:
    """What a query finds of one request of which these records are visible."""
    return Found(len(indexes), sum(indexes), sum(index * index for index in indexes))


WHOLE = there(*range(RECORDS))
TWICE = there(*range(RECORDS), *range(RECORDS))


def tally(
    acked: dict[int, int], refused: dict[int, int] | None = None, signal: Signal = "traces"
) -> Tally:
    """`acked` and `refused`: request number → attempts."""
    refused = refused or {}
    return Tally(
        signal,
        acked=acked,
        refused=refused,
        records=RECORDS,
        sent_requests=len(acked) + len(refused),
    )


def counts(verdict: Verdict) -> dict[str, int]:
    """What is not zero, without `acked`."""
    names = ("visible", "lost", "duplicated", "resent_doubled", "unacked_visible", "unsettled")
    return {name: getattr(verdict, name) for name in names if getattr(verdict, name)}


def outcome(**changes: Any) -> Outcome:
    """A clean run: 1,000 spans and 500 points asked for and reached in ten seconds."""
    spans = tally(dict.fromkeys(range(1, 1_001), 1))
    points = tally(dict.fromkeys(range(1, 501), 1), signal="metrics")
    spans.latencies_s, points.latencies_s = [0.1, 0.3], [0.2]
    found = dict.fromkeys(spans.acked, WHOLE)
    fields: dict[str, Any] = {
        "asked": {"traces": 1_000.0, "metrics": 500.0, "logs": 0.0},
        "seconds": 10.0,
        "tallies": {"traces": spans, "metrics": points},
        "verdicts": {"traces": judge(spans, found), "metrics": judge(points, found)},
        "lag": Lag([1.0] * 98 + [3.0, 4.0], [(1_764_000_000.12345, 1.0)]),
        "cpu_seconds": {"loadgen": 1.5, "writer-spans": 2.5},
        "memory_mib": {"loadgen": 80.0, "writer-spans": 120.0},
        "settings": {"seed": 1},
    }
    return Outcome(**{**fields, **changes})


def verdicts(found: dict[int, Found]) -> dict[str, Verdict]:
    return {"traces": judge(tally({1: 1, 2: 1}), found)}
