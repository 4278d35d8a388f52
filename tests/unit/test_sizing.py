"""`headrace size`: the arithmetic, and what it refuses."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from headrace_writer.__main__ import main
from headrace_writer.core.block import Signal
from headrace_writer.core.sizing import MEASURED as MEASURED_HERE
from headrace_writer.core.sizing import Coefficients, Load, Policy, partitions, size

DOCS = Path(__file__).resolve().parents[2] / "docs"
SIGNALS: tuple[Signal, ...] = ("traces", "metrics", "logs")
ONE = Coefficients(
    {"gateway": 5, "kafka": 1, "writer": 1, "clickhouse": 4, "keeper": 1}, 2, 400, 100, 50
)
MEASURED = dict.fromkeys(SIGNALS, ONE)


def load(spans: float, each_bytes: float = 400) -> Load:
    return Load(
        {"traces": spans, "metrics": 0, "logs": 0},
        dict.fromkeys(SIGNALS, each_bytes),
        dict.fromkeys(SIGNALS, 7.0),
    )


def test_cores_are_rate_times_cost_over_utilization() -> None:
    found = size(load(1e6), Policy(utilization=0.5), MEASURED)
    assert found.cores == {
        "gateway": 10, "kafka": 6, "writer": 2, "clickhouse": 12, "keeper": 2,
    }  # fmt: skip
    assert found.cpu_us_per_record == pytest.approx(5 + 3 + 1 + 4 + 2 + 1)


def test_disks_hold_rate_times_retention_times_copies() -> None:
    found = size(load(1e5), Policy(), MEASURED)
    assert found.clickhouse_disk_gb == pytest.approx(1e5 * 50 * 7 * 86_400 * 2 / 1e9)
    assert found.kafka_disk_gb == pytest.approx(1e5 * 100 * 86_400 * 3 / 1e9)


def test_twice_the_bytes_cost_twice_and_half_of_them_not_half() -> None:
    plain, heavy, light = (size(load(1e6, b), Policy(), MEASURED) for b in (400, 800, 40))
    assert heavy.cores["clickhouse"] == 2 * plain.cores["clickhouse"]
    assert light.cores["clickhouse"] == pytest.approx(0.4 * plain.cores["clickhouse"])
    assert light.clickhouse_disk_gb == pytest.approx(0.1 * plain.clickhouse_disk_gb)


def test_more_disk_than_a_server_has_means_more_shards() -> None:
    policy = Policy(clickhouse_disk_gb=1_000, clickhouse_cores=64)
    found = size(load(1e6), policy, MEASURED)
    assert found.shards == 31
    assert size(load(1e6), replace(policy, clickhouse_disk_gb=1e6), MEASURED).shards == 1


def test_a_signal_without_load_gets_no_writer_and_no_partition() -> None:
    found = size(load(1e5), Policy(), MEASURED)
    assert found.writers == {"traces": 2, "metrics": 0, "logs": 0}
    assert found.partitions == {"traces": 6, "metrics": 0, "logs": 0}


@pytest.mark.parametrize(("least", "expected"), [(1, 6), (7, 12), (61, 120), (1_441, 2_880)])
def test_partition_counts_divide_well(least: float, expected: int) -> None:
    assert partitions(least) == expected


def test_the_command_prints_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["size", "--spans", "1e5", "--metrics", "5e4", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["load"]["rates"] == {"traces": 1e5, "metrics": 5e4, "logs": 0.0}
    assert found["brokers"] == 3
    assert found["money_per_month"] > 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "give --spans"),
        (["--spans", "-1"], "not above zero"),
        (["--spans", "1e5", "--utilization", "1.5"], "more than 1"),
        (["--spans", "1e5", "--replicas", "0"], "less than 1"),
    ],
)
def test_what_makes_no_sense_is_refused(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["size", *arguments])
    assert said in capsys.readouterr().err


def test_the_commands_coefficients_are_the_ones_that_were_measured() -> None:
    document = json.loads((DOCS / "benchmarks" / "coefficients.json").read_text())
    for signal, one in MEASURED_HERE.items():
        known: dict[str, float] = {
            **{str(name): us for name, us in one.cpu_us.items()},
            "replica": one.replica_us,
            "wire_bytes": one.wire_bytes,
            "kafka_bytes": one.kafka_bytes,
            "disk_bytes": one.disk_bytes,
        }
        assert known == document["signals"][signal]


@pytest.mark.parametrize("spans", [1e5, 1e6, 1e7])
def test_the_page_says_what_the_command_says(spans: float) -> None:
    rates: dict[Signal, float] = {"traces": spans, "metrics": spans / 2, "logs": 0.0}
    days: dict[Signal, float] = {"traces": 7, "metrics": 30, "logs": 14}
    wire = {signal: one.wire_bytes for signal, one in MEASURED_HERE.items()}
    found = size(Load(rates, wire, days), Policy())
    cores = sum(found.cores.values())
    row = (
        f"| {spans:,.0f} | {found.gateways} | {found.brokers} | {found.partitions['traces']}, "
        f"{found.partitions['metrics']} | {found.writers['traces']}, {found.writers['metrics']} | "
        f"{found.shards} × {found.replicas} | {cores:,.0f} | {found.kafka_disk_gb / 1e3:,.0f} | "
        f"{found.clickhouse_disk_gb / 1e3:,.0f} | {found.money_per_month:,.0f} |"
    )
    assert row in (DOCS / "sizing.md").read_text()
