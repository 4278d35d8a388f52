"""The demonstration: load and a real agent through a running cluster, every record checked."""

import json
import subprocess
import time
from pathlib import Path

from clickhouse_driver import Client

from headrace_native import answers
from headrace_native.layout import CACHE, VENV_BIN, Layout
from headrace_native.spec import ROOT
from headrace_native.up import Say

# What a two-core machine carries beside the whole cluster. A little more is asked than the 50,000
# and 25,000 that must be reached: a rate is counted until the last answer.
RATES = ("--rate", "52000", "--metrics-rate", "26000", "--logs-rate", "5000", "--duration", "30")
# Spans lag by seconds behind their acknowledgement.
VISIBLE_WITHIN_S = 30


def main(layout: Layout, say: Say) -> int:
    """Run the load generator and the example agent, then answer five questions about what they
    sent; 0 when all are content."""
    described = layout.dir / "cluster.json"
    result = CACHE / "demo" / "latest.json"
    result.parent.mkdir(parents=True, exist_ok=True)
    endpoint = f"127.0.0.1:{layout.spec.port('otlp_grpc')}"

    began = time.time()
    say("\nload: 52,000 spans/s, 26,000 metric points/s, 5,000 logs/s for 30 s")
    load = subprocess.run(
        [str(VENV_BIN / "loadgen"), *RATES, "--cluster", str(described), "--json", str(result)],
        check=False,
    ).returncode
    say("\nan instrumented agent with the OpenTelemetry SDK")
    told = layout.dir / "agent.json"
    agent = subprocess.run(
        [str(VENV_BIN / "python"), str(ROOT / "docs" / "examples" / "agent_app.py"),
         "--endpoint", endpoint, "--expect", str(told)],
        check=False,
    ).returncode  # fmt: skip
    priced = subprocess.run(
        [str(VENV_BIN / "headrace"), "prices", "import", "--config",
         str(layout.dir / "headrace.toml")],
        check=False, stdout=subprocess.DEVNULL,
    ).returncode  # fmt: skip
    sent = 0 if load or agent else calls_sent(result, told)
    complete = answer(layout, began, sent, say)

    failed = [f"load generator (code {load})"] * (load != 0) + [f"agent (code {agent})"] * (
        agent != 0
    )
    failed += [f"prices (code {priced})"] * (priced != 0)
    failed += ["answers: calls are missing in them"] * (not complete)
    say(f"\nverdict: {'FAIL: ' + ', '.join(failed) if failed else 'PASS'}")
    say(f"numbers: {result}\nThe cluster is still up: make cluster-status, make cluster-down")
    return 1 if failed else 0


def calls_sent(result: Path, told: Path) -> int:
    """Calls of models that were acknowledged: every span of the load, and the agent's own."""
    spans = json.loads(told.read_text())["spans"]
    acked = json.loads(result.read_text())["spans_acked"]
    return int(acked) + sum(1 for span in spans if span["name"] == "llm.call")


def answer(layout: Layout, began: float, sent: int, say: Say) -> bool:
    """Print the answers once all `sent` calls are visible; False when they do not become so."""
    replica = layout.replicas[0]
    database = layout.spec.values["clickhouse"]["database"]
    with Client("127.0.0.1", port=replica.tcp, database=database) as client:
        deadline = time.monotonic() + VISIBLE_WITHIN_S
        while (seen := answers.calls(client, int(began))) < sent and time.monotonic() < deadline:
            time.sleep(0.5)
        say(f"\nfive answers about {seen:,} calls of models, {sent:,} sent "
            "(docs/queries.md has the SQL)")  # fmt: skip
        answers.show(client, int(began) // 60 * 60, int(time.time()) + 60)
    return seen >= sent
