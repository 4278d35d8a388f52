"""Command line: python -m headrace_native up|down|status|restart|kill. See `make help`."""

import argparse
import os
import shutil
import subprocess
import sys
import time

from headrace_native import demo, ports, status
from headrace_native.control import Control
from headrace_native.down import down
from headrace_native.errors import ClusterError
from headrace_native.layout import Layout
from headrace_native.spec import load
from headrace_native.up import up


def say(text: str) -> None:
    print(text, flush=True)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="headrace_native", description="The headrace cluster on this machine, no containers."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up", help="start what does not run and wait until it is ready")
    stop = commands.add_parser("down", help="stop everything")
    stop.add_argument("--wipe", action="store_true", help="delete the data, too")
    show = commands.add_parser("status", help="health, lag, rows, replica queue; 1 if unhealthy")
    show.add_argument("--json", action="store_true", help="for programs")
    commands.add_parser("demo", help="send load through a running cluster and check every record")
    for name, text in (
        ("restart", "stop one component, start it, wait until it is ready"),
        ("kill", "kill -9 one component and wait until supervisord has it back"),
    ):
        commands.add_parser(name, help=text).add_argument("component")
    return parser.parse_args()


def container_engine() -> bool:
    """Whether a Docker engine answers."""
    if not shutil.which("docker"):
        return False
    try:
        return subprocess.run(["docker", "info"], capture_output=True, timeout=5).returncode == 0  # noqa: PLW1510
    except subprocess.TimeoutExpired:
        return False


def bring_up(layout: Layout) -> None:
    began = time.monotonic()
    if container_engine():
        say("Docker is here, too: make cluster-up ENGINE=docker uses it. Running native.")
    low, high = ports.outgoing_range()
    risky = [
        port
        for each in layout.components.values()
        for port in each.ports.values()
        if low <= port <= high
    ]
    if risky:
        say(f"note: ports {min(risky)}…{max(risky)} lie where Linux picks ports for outgoing "
            f"connections ({low}-{high}); a smaller offset avoids rare collisions")  # fmt: skip
    up(layout, say)
    spec, local, described = layout.spec, "127.0.0.1", layout.dir / "cluster.json"
    prefix = "" if spec.name == "default" else f"NAME={spec.name} "
    say(f"""
cluster {spec.name!r} is up ({time.monotonic() - began:.1f} s)

  OTLP gRPC    {local}:{spec.port("otlp_grpc")}      OTLP HTTP   http://{local}:{spec.port("otlp_http")}
  Kafka        {layout.bootstrap}
  ClickHouse   {" ".join(f"{local}:{each.tcp}" for each in layout.replicas)}
  lag, health  http://{local}:{spec.port("prometheus")}/consoles/headrace.html
  Prometheus   http://{local}:{spec.port("prometheus")}      HAProxy     http://{local}:{spec.port("haproxy_stats")}
  logs         {layout.logs}/
  description  {described}

next:
  make cluster-status {prefix}
  .venv/bin/loadgen --rate 10000 --metrics-rate 5000 --duration 10 --cluster {described}
  .venv/bin/headrace audit --config {layout.dir / "headrace.toml"}
  clickhouse-client --port {layout.replicas[0].tcp} -d {spec.values["clickhouse"]["database"]}
  make cluster-down {prefix}""")


def run(options: argparse.Namespace) -> int:
    layout = Layout(load(os.environ), token=os.environ.get("HEADRACE_GATEWAY_TOKEN", ""))
    control = Control(layout)
    match options.command:
        case "up":
            bring_up(layout)
        case "down":
            down(layout, say, options.wipe)
        case "status":
            return status.main(layout, as_json=options.json)
        case "demo":
            return demo.main(layout, say)
        case "restart":
            say(f"{options.component} ready after {control.restart(options.component):.1f} s")
        case "kill":
            killed = control.kill(options.component)
            say(f"{options.component}: {killed} killed, now "
                f"{control.wait_restarted(options.component, killed)}")  # fmt: skip
    return 0


def main() -> int:
    try:
        return run(arguments())
    except ClusterError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
