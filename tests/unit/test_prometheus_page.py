"""The page that `make cluster-up` names, filled in by a real Prometheus from a made-up writer."""

import html
import json
import re
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import yaml

from headrace_native.layout import CONSOLES, program
from headrace_writer import metrics
from support.child import Child, accepts, free_ports

WRITER = """
headrace_writer_oldest_unacked_timestamp_seconds{{signal="metrics",topic="otlp_metrics"}} {metrics}
headrace_writer_partitions_assigned{{signal="metrics"}} 6
headrace_writer_partitions_assigned{{signal="traces"}} 4
headrace_writer_partitions_stopped{{signal="traces"}} 2
headrace_writer_oldest_unacked_timestamp_seconds{{signal="traces",partition="0"}} {traces}
headrace_writer_rows_inserted_total{{signal="traces",table="t"}} 1000
headrace_kafka_group_lag_seconds{{signal="metrics",partition="0"}} 15
headrace_kafka_group_committed_offset{{signal="metrics",partition="0"}} 7
headrace_writer_partition_stored_offset{{signal="metrics",partition="0"}} 7
headrace_kafka_group_lag_seconds{{signal="metrics",partition="1"}} 19
headrace_kafka_group_committed_offset{{signal="metrics",partition="1"}} 7
headrace_writer_partition_stored_offset{{signal="metrics",partition="1"}} 9
ALERTS{{alertstate="firing",alertname="HeadraceLagGrows",severity="page"}} 1
"""


class Page(BaseHTTPRequestHandler):
    """A writer's /metrics; `silent` ones have nothing."""

    def __init__(self, text: str, *rest: object) -> None:
        self._text = text
        super().__init__(*rest)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        body = self._text.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("prometheus")
    now = time.time()
    # Nothing that is fetched waits: the lag is what the exporter sees of partition 0.
    text = WRITER.format(metrics="NaN", traces=now - 90)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Page, text)) as writer:
        threading.Thread(target=writer.serve_forever, daemon=True).start()
        (port,) = free_ports(1)
        config = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
            "scrape_configs": [
                {
                    "job_name": "writer",
                    "honor_labels": True,
                    "static_configs": [{"targets": [f"127.0.0.1:{writer.server_port}"]}],
                }
            ],
        }
        (folder / "prometheus.yml").write_text(json.dumps(config))
        command = [
            program("prometheus"),
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.console.templates={CONSOLES}",
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        with Child(command, folder / "log") as child:
            child.wait_until(lambda: accepts(port))
            base = f"http://127.0.0.1:{port}"
            child.wait_until(lambda: scraped(base))
            yield base
        writer.shutdown()


def scraped(base: str) -> bool:
    try:
        return bool(query(base, "ALERTS"))
    except urllib.error.HTTPError:  # 503 until it has opened its data
        return False


def read(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return str(answer.read().decode())


def query(base: str, expr: str) -> list[object]:
    found = json.loads(read(f"{base}/api/v1/query?query={urllib.parse.quote(expr)}"))
    assert found["status"] == "success"
    result: list[object] = found["data"]["result"]
    return result


def test_it_tells_lag_signals_and_alerts(prometheus: str) -> None:
    page = read(f"{prometheus}/consoles/headrace.html")
    assert "✗ metrics are 15.0 s behind" in page
    rows = re.findall(r"<tr><td>(.*?)</tr>", page, re.DOTALL)
    cells = [re.sub(r"<[^>]*>", " ", row).split() for row in rows]
    assert [row[0] for row in cells] == ["metrics", "traces"]
    age, unit = cells[1][1:3]
    assert 90 <= float(age) < 300
    assert unit == "s"
    assert cells[1][-2:] == ["4", "2"]
    assert "✗ HeadraceLagGrows (page)" in page
    assert "no value" not in page


def test_its_lag_is_that_of_the_rule() -> None:
    groups = yaml.safe_load((CONSOLES.parent / "rules" / "slo.yaml").read_text())["groups"]
    rules = {one.get("record"): one["expr"] for group in groups for one in group["rules"]}
    rule = " ".join(rules["headrace:metric_lag_seconds"].split())
    page = (CONSOLES / "headrace.html").read_text()
    parts = re.findall(r'\$(?:waits|outside|stored|committed) := "(.*)" -}}', page)
    assert len(parts) == 4
    for part in parts:
        assert part.replace('\\"', '"') in rule


def test_its_graphs_ask_for_what_there_is(prometheus: str) -> None:
    page = read(f"{prometheus}/consoles/headrace.html")
    links = [html.unescape(link) for link in re.findall(r'href="([^"]*)"', page)]
    declared = {metric.name for metric in metrics.WRITER}
    exprs = [
        value
        for link in links
        for key, value in urllib.parse.parse_qsl(urllib.parse.urlsplit(link).query)
        if key.endswith("expr")
    ]
    assert len(exprs) >= 5
    for expr in exprs:
        query(prometheus, expr)
        for name in re.findall(r"\bheadrace_writer_\w+", expr):
            assert re.sub(r"_bucket$", "", name) in declared
    for link in {urllib.parse.urlsplit(link).path for link in links}:
        assert read(prometheus + link)


def test_it_loads_nothing_and_runs_nothing() -> None:
    page = (CONSOLES / "headrace.html").read_text()
    assert not re.search(r"<script|<link|src=|https?://|@import", page)
    declared = {one.name for one in (*metrics.WRITER, *metrics.EXPORTER)}
    for name in re.findall(r"\bheadrace_\w+", page):
        assert re.sub(r"_bucket$", "", name) in declared
