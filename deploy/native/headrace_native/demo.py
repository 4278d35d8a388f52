"""The demonstration: load and a real agent through a running cluster, every record checked."""

import subprocess
import time

from clickhouse_driver import Client

from headrace_native import answers
from headrace_native.layout import CACHE, VENV_BIN, Layout
from headrace_native.spec import ROOT
from headrace_native.up import Say

# What a two-core machine carries beside the whole cluster. A little more is asked than the 50,000
# and 25,000 that must be reached: a rate is counted until the last answer.
RATES = ("--rate", "52000", "--metrics-rate", "26000", "--logs-rate", "5000", "--duration", "30")


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
    agent = subprocess.run(
        [str(VENV_BIN / "python"), str(ROOT / "docs" / "examples" / "agent_app.py"),
         "--endpoint", endpoint],
        check=False,
    ).returncode  # fmt: skip

    priced = subprocess.run(
        [str(VENV_BIN / "headrace"), "prices", "import", "--config",
         str(layout.dir / "headrace.toml")],
        check=False, stdout=subprocess.DEVNULL,
    ).returncode  # fmt: skip
    say("\nfive answers about the last minute (docs/queries.md has the SQL)")
    replica = layout.replicas[0]
    database = layout.spec.values["clickhouse"]["database"]
    with Client("127.0.0.1", port=replica.tcp, database=database) as client:
        answers.show(client, int(began) // 60 * 60, int(time.time()) + 60)

    failed = [f"load generator (code {load})"] * (load != 0) + [f"agent (code {agent})"] * (
        agent != 0
    )
    failed += [f"prices (code {priced})"] * (priced != 0)
    say(f"\nverdict: {'FAIL: ' + ', '.join(failed) if failed else 'PASS'}")
    say(f"numbers: {result}\nThe cluster is still up: make cluster-status, make cluster-down")
    return 1 if failed else 0
