"""The load generator on the real cluster: a clean run passes, and what goes wrong is noticed.

The faults are real ones: a gateway in between that swallows, doubles or answers wrongly, and rows
that are altered in ClickHouse.
"""

import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from headrace_loadgen.send import Tally
from headrace_loadgen.store import Store, Verdict, judge
from support import otlp
from support.child import free_ports
from support.cluster import Cluster

pytestmark = pytest.mark.integration

LOADGEN = Path(sys.executable).with_name("loadgen")
KEYS = {
    "achieved_rate",
    "spans_acked",
    "spans_visible",
    "points_acked",
    "points_visible",
    "logs_acked",
    "logs_visible",
    "lost",
    "duplicated",
    "metric_lag_seconds",
    "cpu_seconds",
    "verdict",
}
# Two requests of 500 spans a second for three seconds.
SMALL = ("--rate", "1000", "--duration", "3")
REQUESTS, RECORDS = 6, 500


def loadgen(*flags: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [LOADGEN, *flags], capture_output=True, text=True, check=False, timeout=120
    )


def load(
    cluster: Cluster, *flags: str, min_rate_ratio: float = 0.9
) -> tuple[int, dict[str, Any], str]:
    """A run against the cluster: exit code, JSON, standard error."""
    done = loadgen(
        "--cluster", str(cluster.layout.dir / "cluster.json"), "--json", "-",
        "--min-rate-ratio", str(min_rate_ratio), *flags,
    )  # fmt: skip
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout), done.stderr


class Between(grpc.GenericRpcHandler):  # type: ignore[misc]
    """A gateway before the gateway: forwards every request of spans but those with a fault."""

    def __init__(self, target: grpc.Channel, faults: dict[int, str]) -> None:
        """`faults`: the how-many-eth request, from 1 → swallow, double or forget_answer."""
        self._target = target
        self._faults = faults
        self._lock = threading.Lock()
        self._count = 0
        self.applied: Counter[str] = Counter()

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        forward = self._target.unary_unary(details.method)

        def export(body: bytes, context: grpc.ServicerContext) -> bytes:
            with self._lock:
                self._count += 1
                fault = self._faults.get(self._count, "")
                self.applied[fault] += 1
            if fault == "swallow":
                return b""
            answer: bytes = forward(body, timeout=20)
            if fault == "double":
                answer = forward(body, timeout=20)
            elif fault == "forget_answer":
                context.abort(grpc.StatusCode.UNAVAILABLE, "stored, but nobody shall know")
            return answer

        return grpc.unary_unary_rpc_method_handler(export)


@contextmanager
def between(cluster: Cluster, faults: dict[int, str]) -> Iterator[tuple[Between, str]]:
    """A `Between` and its address."""
    with otlp.channel(cluster.otlp_grpc) as target:
        handler = Between(target, faults)
        server = grpc.server(ThreadPoolExecutor(max_workers=16), handlers=[handler])
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            yield handler, f"127.0.0.1:{port}"
        finally:
            server.stop(grace=None).wait()


def test_a_short_run_passes_and_its_json_has_every_key(cluster: Cluster, tmp_path: Path) -> None:
    result = tmp_path / "result.json"
    done = loadgen(
        "--rate", "4000", "--metrics-rate", "2000", "--logs-rate", "400", "--duration", "6",
        "--min-rate-ratio", "0.9", "--cluster", str(cluster.layout.dir / "cluster.json"),
        "--json", str(result),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "verdict PASS" in done.stdout
    assert "spans" in done.stderr, "progress is told meanwhile"

    found = json.loads(result.read_text())
    assert found.keys() >= KEYS
    assert (found["verdict"], found["failures"]) == ("PASS", [])
    # Requests of half a second each, so these numbers are exact.
    assert found["spans_acked"] == found["spans_visible"] == 24_000
    assert found["points_acked"] == found["points_visible"] == 12_000
    assert found["logs_acked"] == found["logs_visible"] == 2_400
    assert (found["lost"], found["duplicated"]) == (0, 0)
    assert 3_600 <= found["achieved_rate"] <= 4_000
    lag = found["metric_lag_seconds"]
    assert 0 < lag["p50"] <= lag["p95"] <= lag["p99"] <= lag["max"] < 10
    assert {"loadgen", "clickhouse", "gateway"} <= found["cpu_seconds"].keys()
    assert found["cpu_seconds"]["loadgen"] > 0


def test_only_sending_needs_no_clickhouse_and_claims_nothing(cluster: Cluster) -> None:
    nowhere = f"127.0.0.1:{free_ports(1)[0]}"
    code, found, said = load(cluster, *SMALL, "--no-verify", "--clickhouse", nowhere)
    assert (code, found["verdict"]) == (0, "PASS"), said
    assert found["spans_acked"] == REQUESTS * RECORDS
    assert (found["spans_visible"], found["lost"], found["duplicated"]) == (None, None, None)


def test_swallowed_and_doubled_requests_are_noticed(cluster: Cluster) -> None:
    with between(cluster, {2: "swallow", 4: "double", 5: "double"}) as (gateway, endpoint):
        code, found, said = load(cluster, *SMALL, "--endpoint", endpoint, "--wait", "10")
    assert gateway.applied == {"": 3, "swallow": 1, "double": 2}
    assert (code, found["verdict"]) == (1, "FAIL"), said
    assert found["spans_acked"] == REQUESTS * RECORDS
    assert found["spans_visible"] == (REQUESTS - 1) * RECORDS
    assert (found["lost"], found["duplicated"]) == (RECORDS, 2 * RECORDS)
    assert found["failures"] == [
        "500 acknowledged records are not visible",
        "1,000 records are there more than once",
    ]
    assert len(found["examples"]) == 3
    assert "traces request 2: 0 of 500 records, acknowledged at attempt 1" in found["examples"]


def test_a_request_sent_again_after_a_forgotten_answer_is_no_failure(cluster: Cluster) -> None:
    with between(cluster, {3: "forget_answer"}) as (gateway, endpoint):
        code, found, said = load(cluster, *SMALL, "--endpoint", endpoint)
    assert gateway.applied == {"": REQUESTS, "forget_answer": 1}
    assert (code, found["failures"]) == (0, []), said
    assert found["spans_acked"] == found["spans_visible"] == REQUESTS * RECORDS
    assert (found["lost"], found["duplicated"]) == (0, 0)
    assert found["resent_doubled"] == RECORDS
    assert found["errors"]["spans"] == {"UNAVAILABLE": 1}


def test_rows_altered_in_clickhouse_are_noticed(cluster: Cluster) -> None:
    """A few rows once more, and others gone, of a run that was complete."""
    code, found, said = load(cluster, *SMALL)
    assert code == 0, said
    service = f"loadgen-{found['settings']['run']}"
    tally = Tally("traces", dict.fromkeys(range(1, REQUESTS + 1), 1), records=RECORDS)
    host, _, port = cluster.json["clickhouse"]["shards"][0][0].rpartition(":")
    with closing(Store([(host, int(port))], cluster.json["clickhouse"]["database"])) as store:

        def verdict() -> Verdict:
            return judge(tally, store.by_request("traces", service, REQUESTS))

        before = verdict()
        assert (before.visible, before.lost, before.duplicated) == (REQUESTS * RECORDS, 0, 0)

        def of_request(digits: str) -> str:
            """Span ids begin with ten hexadecimal digits of request number."""
            return f"WHERE ServiceName = '{service}' AND startsWith(SpanId, '{digits}')"

        store.query(
            "INSERT INTO otel_traces_local SELECT * FROM otel_traces_local "
            f"{of_request('0000000002')} ORDER BY SpanId LIMIT 7"
        )
        some = f"{of_request('0000000005')} ORDER BY SpanId LIMIT 3"
        found_ids = store.query(f"SELECT SpanId FROM otel_traces_local {some}")
        doomed = ", ".join(f"'{span_id}'" for (span_id,) in found_ids)
        store.query(
            "ALTER TABLE otel_traces_local DELETE "
            f"WHERE ServiceName = '{service}' AND SpanId IN ({doomed})"
        )

        # A mutation takes its time, and the other replica follows.
        deadline = time.monotonic() + 30
        while ((after := verdict()).lost, after.duplicated) != (3, 7):
            assert time.monotonic() < deadline, after
            time.sleep(0.3)
    assert after.visible == REQUESTS * RECORDS - 3
    assert sorted(after.examples) == [
        "traces request 2: 507 of 500 records, acknowledged at attempt 1",
        "traces request 5: 497 of 500 records, acknowledged at attempt 1",
    ]


def test_an_objective_that_fails_is_named_with_by_how_much(cluster: Cluster) -> None:
    code, found, _ = load(cluster, *SMALL, "--metrics-rate", "200", "--max-metric-lag-p99", "0.001")
    assert (code, found["verdict"]) == (1, "FAIL")
    p99 = found["metric_lag_seconds"]["p99"]
    assert found["failures"] == [f"metric lag p99 {p99:.2f} s, objective below 0.001 s"]


def test_nobody_listening_ends_with_3_and_names_the_flag(cluster: Cluster) -> None:
    one, other = (f"127.0.0.1:{number}" for number in free_ports(2))
    described = ("--cluster", str(cluster.layout.dir / "cluster.json"), "--quiet", *SMALL)
    done = loadgen(*described, "--endpoint", one)
    assert done.returncode == 3
    assert done.stderr == f"loadgen: {one} does not accept connections (--endpoint)\n"

    done = loadgen(*described, "--clickhouse", other)
    assert done.returncode == 3
    assert done.stderr.startswith(f"loadgen: ClickHouse at {other} (--clickhouse): ")
    assert "refused" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_database_without_tables_ends_with_3_and_says_which(cluster: Cluster) -> None:
    described = ("--cluster", str(cluster.layout.dir / "cluster.json"), "--quiet", *SMALL)
    done = loadgen(*described, "--database", "default")
    assert done.returncode == 3
    assert "Table default.otel_traces doesn't exist" in done.stderr


def test_bad_usage_ends_with_2_and_help_shows_examples() -> None:
    done = loadgen("--rate", "fast")
    assert done.returncode == 2
    assert "argument --rate: 'fast' is not a number" in done.stderr
    done = loadgen("--help")
    assert done.returncode == 0
    assert "examples:\n  loadgen --rate 100000" in done.stdout
