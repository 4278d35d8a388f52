"""A Prometheus of a test's own: real program, our rules, its times shortened if wanted."""

import json
import re
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from headrace_native.layout import program
from headrace_native.spec import ROOT

RULES = sorted((ROOT / "deploy" / "observability" / "prometheus" / "rules").glob("*.yaml"))
UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
# In an expression: a range, a subquery's step, an offset. Thresholds are no durations.
IN_EXPRESSION = re.compile(r"(?<=[\[:])\d+(?:ms|[smhd])(?=[\]:])|(?<=offset )\d+(?:ms|[smhd])")
READY_WITHIN_S = 30.0


def seconds_of(duration: str) -> float:
    """`90s`, `5m`, `1d` in seconds."""
    match = re.fullmatch(r"(\d+)(ms|[smhd])", duration)
    assert match, duration
    return int(match[1]) * UNITS[match[2]]


def scaled(document: dict[str, Any], scale: float) -> dict[str, Any]:
    """A rule file with every `for`, interval, range and offset divided by `scale`."""

    def shorter(duration: str) -> str:
        return f"{max(1, round(seconds_of(duration) * 1000 / scale))}ms"

    groups = []
    for group in document["groups"]:
        rules = []
        for rule in group["rules"]:
            expr = IN_EXPRESSION.sub(lambda match: shorter(match[0]), rule["expr"])
            waits = {"for": shorter(rule["for"])} if "for" in rule else {}
            rules.append({**rule, **waits, "expr": expr})
        every = {"interval": shorter(group["interval"])} if "interval" in group else {}
        groups.append({**group, **every, "rules": rules})
    return {"groups": groups}


@dataclass(frozen=True)
class Prometheus:
    """A running one."""

    url: str

    def get(self, path: str, **parameters: str | float) -> Any:
        """The `data` of an API answer. Raises AssertionError with what Prometheus says."""
        query = urllib.parse.urlencode(parameters)
        try:
            with urllib.request.urlopen(f"{self.url}/api/v1/{path}?{query}", timeout=10) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{parameters}: {error.read().decode()}") from error

    def query(self, expr: str) -> list[dict[str, Any]]:
        """The series of an instant query, now."""
        found: list[dict[str, Any]] = self.get("query", query=expr)["result"]
        return found

    def firing(self) -> set[str]:
        """Names of the alerts that fire."""
        alerts = self.get("alerts")["alerts"]
        return {one["labels"]["alertname"] for one in alerts if one["state"] == "firing"}


def configuration(base: Mapping[str, Any], rules: Path, scale: float) -> dict[str, Any]:
    """A cluster's prometheus.yml with these rules, and its intervals shortened."""
    times = base["global"]
    scrape = max(1_000, round(seconds_of(times["scrape_interval"]) * 1000 / scale))
    evaluate = round(seconds_of(times["evaluation_interval"]) * 1000 / scale)
    shorter = {
        "scrape_interval": f"{scrape}ms",
        "scrape_timeout": f"{scrape}ms",
        "evaluation_interval": f"{evaluate}ms",
    }
    return {**base, "global": {**times, **shorter}, "rule_files": [str(rules / "*.yaml")]}


@contextmanager
def prometheus(base: Mapping[str, Any], folder: Path, scale: float = 1) -> Iterator[Prometheus]:
    """Scrape what `base` (a prometheus.yml) names."""
    rules = folder / "rules"
    rules.mkdir()
    for file in RULES:
        text = yaml.safe_dump(scaled(yaml.safe_load(file.read_text()), scale), sort_keys=False)
        (rules / file.name).write_text(text)
    config = folder / "prometheus.yml"
    config.write_text(yaml.safe_dump(configuration(base, rules, scale), sort_keys=False))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = folder / "prometheus.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [program("prometheus"), f"--config.file={config}",
             f"--storage.tsdb.path={folder / 'tsdb'}",
             f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"],
            stdout=output, stderr=output,
        )  # fmt: skip
    try:
        running = Prometheus(f"http://127.0.0.1:{port}")
        _wait_ready(running, process, log)
        yield running
    finally:
        process.terminate()
        process.wait(20)


def _wait_ready(running: Prometheus, process: "subprocess.Popen[bytes]", log: Path) -> None:
    end = time.monotonic() + READY_WITHIN_S
    while True:
        assert process.poll() is None, log.read_text()
        try:
            with urllib.request.urlopen(f"{running.url}/-/ready", timeout=2):
                return
        except OSError:
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.1)
