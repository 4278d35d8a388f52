"""The session's cluster in containers, where an engine is: HEADRACE_TEST_ENGINE=docker.

The same integration tests run against it. Those that look into processes of the native cluster
(its supervisor, its ports, its files) are skipped, and say so.
"""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Never, cast

import pytest
from testcontainers.compose import DockerCompose

from headrace_native.control import Control
from headrace_native.layout import DEAD_LETTERS, GROUPS, TOPICS, Layout
from headrace_native.spec import SIGNALS
from support.cluster import Cluster
from support.compose import FOLDER, read_env

LAYERS = ("compose.yaml", "compose.test.yaml")
LOCAL = "127.0.0.1"


class NativeOnly:
    """Stands for a part that only the native cluster has: whoever touches it is skipped."""

    def __getattr__(self, name: str) -> Never:
        pytest.skip(f"{name} of the native cluster is asked for, and this one is in containers")


@dataclass(frozen=True)
class Folder(NativeOnly):
    """What of a Layout containers have, too: where the descriptions for other programs are."""

    dir: Path
    logs: Path = field(default=Path("docker compose logs"))


def described() -> dict[str, Any]:
    """cluster.json, as the native cluster's (Layout.as_json)."""
    env = read_env(".env") | read_env("test.env")
    return {
        "name": env["COMPOSE_PROJECT_NAME"],
        "kafka": {
            "bootstrap": ",".join(f"{LOCAL}:{env[f'TEST_KAFKA_{n}']}" for n in (1, 2, 3)),
            "topics": {**TOPICS, "dlq": DEAD_LETTERS},
            "groups": GROUPS,
        },
        "clickhouse": {
            "database": "otel",
            "user": "default",
            "password": "",
            "shards": [
                [f"{LOCAL}:{env[f'TEST_CLICKHOUSE_{shard}_{replica}']}" for replica in (1, 2)]
                for shard in (1, 2)
            ],
            "dialect": "modern",
        },
        "otlp": {
            "grpc": f"{LOCAL}:{env['OTLP_GRPC_PORT']}",
            "http": f"{LOCAL}:{env['OTLP_HTTP_PORT']}",
        },
        "writers": {
            f"writer-{signal}": f"http://{LOCAL}:{env[f'TEST_WRITER_{signal.upper()}']}"
            for signal in SIGNALS
        },
    }


def settings(cluster: dict[str, Any]) -> str:
    """headrace.toml for the headrace command."""
    clickhouse = cluster["clickhouse"]
    shards = ";".join(",".join(replicas) for replicas in clickhouse["shards"])
    lines = {
        "kafka_bootstrap_servers": cluster["kafka"]["bootstrap"],
        "clickhouse_shards": shards,
        "clickhouse_database": clickhouse["database"],
        "clickhouse_cluster": "headrace",
    }
    return "".join(f"{key} = {json.dumps(value)}\n" for key, value in lines.items())


@contextmanager
def running_in_containers(folder: Path) -> Iterator[Cluster]:
    """A cluster that is up and healthy; taken down with its volumes at the end.

    The first start builds two images and fetches the others: give pytest `--timeout 1800`.
    """
    subprocess.run(["bash", FOLDER / "secrets.sh"], check=True)
    cluster = described()
    (folder / "cluster.json").write_text(json.dumps(cluster, indent=2))
    (folder / "headrace.toml").write_text(settings(cluster))
    with DockerCompose(
        FOLDER, compose_file_name=list(LAYERS), env_file=[".env", "test.env"], build=True
    ):
        yield Cluster(cast("Layout", Folder(folder)), cluster, cast("Control", NativeOnly()))
