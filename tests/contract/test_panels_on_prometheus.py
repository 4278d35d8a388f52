"""Every panel's query and every rule, run by a real Prometheus over pages like those it scrapes.

Ours are made from the declarations, so that each metric and label is there. Gateways' and HAProxy's
were recorded from the native cluster (tests/data/scrapes: only the metrics that are used; counters
go on from there). Those of kube-state-metrics 2 and KEDA 2.17's operator are written by their
sources (docs/metrics/workload/horizontalpodautoscaler-metrics.md, pkg/metricscollector), scraped as
most clusters do it: the target's own namespace wins.
"""

import re
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import product
from math import isfinite
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client import generate_latest as page_of

from headrace_dashboards import DASHBOARDS
from headrace_dashboards.panels import build
from headrace_dashboards.releases import scoped
from headrace_native import render
from headrace_native.layout import Layout
from headrace_native.spec import ROOT, load
from headrace_writer.metrics import EXPORTER, WRITER, Metric
from support.prometheus import Prometheus, prometheus

SCRAPES = ROOT / "tests" / "data" / "scrapes"
# 10 min, the longest range of a rule that a panel shows, are 30 s then.
SCALE = 20.0
SETTLED_S = 8.0
VALUES = {
    "signal": ("traces", "metrics", "logs"),
    "topic": ("otlp_spans", "otlp_metrics", "otlp_logs"),
    "partition": ("0", "1"),
    "shard": ("0", "1"),
    "replica": ("a:9000", "b:9000"),
    "table": ("otel_traces_local", "otel_logs_local"),
    "stage": ("decode", "build", "insert", "ledger", "commit"),
    "kind": ("gap", "overlap", "deleted_unread"),
}


def labelled(metric: Metric) -> list[tuple[str, ...]]:
    return list(product(*(VALUES.get(label, (f"a {label}",)) for label in metric.labels)))


def declared_page(metrics: tuple[Metric, ...]) -> Callable[[], bytes]:
    """A page that counts on with every scrape."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    made = [(metric, metric.make(registry)) for metric in metrics]

    def page() -> bytes:
        for metric, instrument in made:
            for values in labelled(metric):
                child = instrument.labels(*values) if values else instrument
                if metric.kind is Counter:
                    child.inc(5)
                elif metric.kind is Histogram:
                    child.observe(1.5)
                elif "timestamp" in metric.name:
                    child.set(time.time() - 3)
                elif "offset" in metric.name:
                    child.inc(3)
                else:
                    # Required rows/s keep their last value while ClickHouse takes nothing.
                    child.set(0 if "circuit_open" in metric.name else 1)
        return page_of(registry)

    return page


def recorded_page(file: Path) -> Callable[[], bytes]:
    """A recorded page whose counters count on."""
    begun = time.time()
    lines = file.read_text().splitlines()
    kinds = {line.split()[2]: line.split()[3] for line in lines if line.startswith("# TYPE")}

    def page() -> bytes:
        found = []
        for line in lines:
            name = re.sub(r"_(sum|count|bucket)$", "", re.split(r"[{ ]", line)[0])
            if line.startswith("#") or kinds.get(name) == "gauge":
                found.append(line)
            else:
                text, _, value = line.rpartition(" ")
                found.append(f"{text} {float(value) + 10 * (time.time() - begun)}")
        return ("\n".join(found) + "\n").encode()

    return page


def serve(page: Callable[[], bytes]) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = page()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    return server


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A Prometheus with the native cluster's configuration, each job's targets ours."""
    layout = Layout(load({}))
    base = yaml.safe_load(render.render(layout)[layout.conf / "prometheus.yml"])
    servers = {
        "writer": serve(declared_page(WRITER)),
        "exporter": serve(declared_page(EXPORTER)),
        "gateway": serve(recorded_page(SCRAPES / "gateway.prom")),
        "haproxy": serve(recorded_page(SCRAPES / "haproxy.prom")),
    }
    jobs = [job for job in base["scrape_configs"] if job["job_name"] in servers]
    for name in ("kube-state-metrics", "keda"):
        servers[name] = serve(recorded_page(SCRAPES / f"{name}.prom"))
        jobs.append({"job_name": name, "static_configs": [{"labels": {"namespace": name}}]})
    assert len(jobs) == len(servers)
    for job in jobs:
        port = servers[job["job_name"]].server_address[1]
        job["static_configs"] = [{**job["static_configs"][0], "targets": [f"127.0.0.1:{port}"]}]
    folder = tmp_path_factory.mktemp("prometheus")
    with prometheus({**base, "scrape_configs": jobs}, folder, SCALE) as running:
        end = time.monotonic() + 60
        # The last of the chains of records: when it is there, everything before it is.
        while not running.query("headrace:writer_required_rows_per_second"):
            assert time.monotonic() < end
            time.sleep(0.5)
        time.sleep(SETTLED_S)
        yield running
    for server in servers.values():
        server.shutdown()
        server.server_close()


def targets() -> list[Any]:
    return [
        pytest.param(target, id=f"{name}-{panel['title']}-{target['refId']}")
        for name, dashboard in DASHBOARDS.items()
        for panel in build(dashboard)["panels"]
        for target in panel.get("targets", ())
        if target["datasource"]["type"] == "prometheus"
    ]


def filled(expr: str, namespace: str = ".*") -> str:
    """A query as Grafana sends it; `.*` is what the box says by default: All."""
    return expr.replace("$__rate_interval", "5s").replace("$namespace", namespace)


def called(legend: str, labels: dict[str, str]) -> str:
    return re.sub(r"{{(\w+)}}", lambda match: labels[match[1]], legend)


@pytest.mark.parametrize("target", targets())
def test_a_panel_draws_what_its_legend_names(target: dict[str, Any], scraped: Prometheus) -> None:
    series = scraped.query(filled(target["expr"]))
    assert series, "no series"
    if not re.search(r"\b(kube|keda)_", target["expr"]):
        assert not scraped.query(filled(target["expr"], "elsewhere")), "not of that release"
    assert any(isfinite(float(one["value"][1])) for one in series)
    for label in re.findall(r"{{(\w+)}}", target["legendFormat"]):
        assert all(label in one["metric"] for one in series), f"{label}: {series[0]['metric']}"
    if target["legendFormat"] == "__auto":
        assert len(series) == 1
    else:
        named = {called(target["legendFormat"], one["metric"]) for one in series}
        assert len(named) == len(series), "two series of one name"


@pytest.mark.parametrize(
    ("title", "wanted"),
    [
        (
            "Writers: desired, there, at work",
            {
                "traces desired": 6, "metrics desired": 3, "logs desired": 2,
                "traces there": 4, "metrics there": 3, "logs there": 2,
                "traces at most": 16, "metrics at most": 12, "logs at most": 12,
            },
        ),
        (
            "What the autoscaler may do",
            {
                "traces active": 1, "metrics active": 1, "logs active": 1,
                "traces paused": 0, "metrics paused": 0, "logs paused": 1,
                "traces limited": 1, "metrics limited": 0, "logs limited": 0,
            },
        ),
    ],
)  # fmt: skip
def test_the_autoscaler_is_that_of_the_writers(
    title: str, wanted: dict[str, float], scraped: Prometheus
) -> None:
    """Not the gateways', not somebody else's: each signal's own numbers."""
    (panel,) = (one for one in build(DASHBOARDS["lag"])["panels"] if one["title"] == title)
    found = {
        called(target["legendFormat"], one["metric"]): float(one["value"][1])
        for target in panel["targets"]
        for one in scraped.query(filled(target["expr"]))
    }
    assert wanted.items() <= found.items()
    others = {"traces at work", "metrics at work", "logs at work"}
    assert found.keys() - wanted.keys() <= others


def test_every_rule_is_evaluated(scraped: Prometheus) -> None:
    rules = [rule for group in scraped.get("rules")["groups"] for rule in group["rules"]]
    assert [(one["name"], one["lastError"]) for one in rules if one["health"] != "ok"] == []
    assert len(rules) > 40


def test_annotations_are_found(scraped: Prometheus) -> None:
    marks = [mark for one in DASHBOARDS.values() for mark in one.marks if mark.expr]
    found = {mark.name: scraped.query(filled(scoped(mark.expr))) for mark in marks}
    # These pages count dead letters and a stopped partition.
    fired = {one["metric"]["alertname"] for one in found["Alerts"]}
    assert {"HeadraceDeadLetters", "HeadracePartitionStopped"} <= fired
    assert all("severity" in one["metric"] for one in found["Alerts"])
    assert found["Writer starts"] == [], "nothing started meanwhile"
