"""The scripts of deploy/compose, run with stand-ins for what only containers have."""

import hashlib
import os
import re
import shutil
import socket
import stat
import subprocess
import threading
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from headrace_native.layout import BROKER_MESSAGE_BYTES, DEAD_LETTERS, TOPICS
from headrace_native.spec import ROOT
from support.compose import FILES, FOLDER, document, services

CONFIG = FOLDER / "config"


class Bin:
    """A folder in front of PATH with programs of the test's own; each notes its arguments."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "bin"
        self.folder.mkdir()
        self.notes = folder / "notes"
        self.notes.touch()

    def add(self, name: str, body: str = "") -> None:
        path = self.folder / name
        path.write_text(f'#!/bin/bash\necho "{name} $*" >>"{self.notes}"\n{body}\n')
        path.chmod(0o755)

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env={"PATH": f"{self.folder}:/usr/bin:/bin", **environment},
        )

    @property
    def calls(self) -> list[str]:
        return self.notes.read_text().splitlines()


@pytest.fixture
def programs(tmp_path: Path) -> Bin:
    return Bin(tmp_path)


DESCRIBE = r"""
case " $* " in *" --describe "*)
  while [ "$1" != --topic ]; do shift; done
  n=6; [ "$2" = otlp_dlq ] && n=${DLQ:-1}
  printf 'Topic: %s\tTopicId: x\tPartitionCount: %s\tReplicationFactor: 3\n' "$2" $n;;
esac
"""


def make_topics(programs: Bin, **environment: str) -> subprocess.CompletedProcess[str]:
    return programs.run(
        "bash", str(CONFIG / "kafka" / "topics.sh"),
        BOOTSTRAP="kafka-1:9092", PARTITIONS="6", RETRY_S="0", **environment,
    )  # fmt: skip


def test_topics_are_those_of_the_native_cluster(programs: Bin) -> None:
    programs.add("kafka-topics.sh", DESCRIBE)
    result = make_topics(programs)
    assert result.returncode == 0, result.stderr
    made = [call for call in programs.calls if "--create" in call]
    found = [re.findall(r"--topic (\S+) --partitions (\d+)", call)[0] for call in made]
    assert dict(found) == {**dict.fromkeys(TOPICS.values(), "6"), DEAD_LETTERS: "1"}
    for call in made:
        assert "--if-not-exists" in call
        assert "--replication-factor 3 " in call
        assert set(re.findall(r"--config (\S+)", call)) == {
            "min.insync.replicas=2",
            f"max.message.bytes={BROKER_MESSAGE_BYTES}",
            "compression.type=producer",
        }


def test_topics_wait_for_brokers(programs: Bin, tmp_path: Path) -> None:
    refused = f'if [ "$(wc -l <"{tmp_path}/notes")" -le 3 ]; then exit 1; fi'
    programs.add("kafka-topics.sh", refused + DESCRIBE)
    assert make_topics(programs).returncode == 0
    assert len([c for c in programs.calls if "--create" in c and "otlp_spans" in c]) == 4


def test_topics_that_never_come_end_the_job(programs: Bin) -> None:
    programs.add("kafka-topics.sh", "exit 1")
    result = make_topics(programs)
    assert result.returncode == 1
    assert "otlp_spans could not be created" in result.stderr


def test_a_topic_of_another_size_is_refused(programs: Bin) -> None:
    programs.add("kafka-topics.sh", DESCRIBE)
    result = make_topics(programs, DLQ="3")
    assert result.returncode == 1
    assert "otlp_dlq has 3 partitions, .env says 1" in result.stderr


class Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/ready" else 503)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def port() -> Iterator[int]:
    with HTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def healthy(*arguments: object) -> bool:
    script = str(CONFIG / "healthy.sh")
    command = ["bash", script, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, check=False, timeout=30).returncode == 0


def test_healthy_tells_ready_from_not(port: int) -> None:
    assert healthy(port)
    assert healthy(port, "/ready")
    assert not healthy(port, "/live")


def test_healthy_needs_a_listener() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        assert not healthy(unused.getsockname()[1])


def copied(tmp_path: Path) -> Path:
    """A copy that a script may write into; secrets of this checkout stay out of it."""
    return Path(shutil.copytree(FOLDER, tmp_path / "c", ignore=shutil.ignore_patterns("secrets")))


def test_secrets_are_made_once_and_only_for_this_user(tmp_path: Path) -> None:
    folder = copied(tmp_path)
    runs = []
    for _ in range(2):
        subprocess.run(["bash", str(folder / "secrets.sh")], check=True, timeout=60)
        runs.append({each.name: each.read_text() for each in (folder / "secrets").iterdir()})
    assert runs[0] == runs[1]
    assert stat.S_IMODE((folder / "secrets").stat().st_mode) == 0o700
    # Other users' processes, in containers, read the files themselves.
    assert {stat.S_IMODE(f.stat().st_mode) for f in (folder / "secrets").iterdir()} == {0o644}
    needed = {
        Path(secret["file"])
        for file in FILES
        for secret in document(file).get("secrets", {}).values()
    }
    assert {path.parent for path in needed} == {Path("secrets")}
    assert {path.name for path in needed} <= runs[0].keys()
    plain = {name: text for name, text in runs[0].items() if not name.endswith(".xml")}
    assert len(set(plain.values())) == len(plain) == 5
    assert all(re.fullmatch(r"[0-9a-f]{48}", text) for text in plain.values())
    users = ET.fromstring(runs[0]["clickhouse_users.xml"])
    for user, name in (
        ("headrace", "clickhouse_password"),
        ("reader", "clickhouse_reader_password"),
    ):
        hashed = hashlib.sha256(plain[name].encode()).hexdigest()
        assert users.findtext(f"users/{user}/password_sha256_hex") == hashed
    cluster = ET.fromstring(runs[0]["clickhouse_cluster.xml"])
    assert cluster.findtext("remote_servers/headrace/secret") == plain["clickhouse_cluster_secret"]
    # The users whose passwords these are.
    declared = ET.parse(CONFIG / "clickhouse" / "users.xml").getroot().find("users")
    assert declared is not None
    assert {each.tag for each in declared} == {"default", *(each.tag for each in users[0])}


def test_git_ignores_the_secrets() -> None:
    command = ["git", "check-ignore", "-q", "deploy/compose/secrets/clickhouse_password"]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == 0


NO_ENGINE = 'case "$1" in compose) exit 0;; *) exit 1;; esac'


@pytest.mark.parametrize(
    ("body", "says"),
    [(None, "no docker command"), ("exit 1", "no compose plugin"), (NO_ENGINE, "no Docker engine")],
)
def test_without_an_engine_the_error_says_what_to_do(
    programs: Bin, body: str | None, says: str
) -> None:
    # The script's own tools, and no docker that this machine may have.
    for name in ("dirname", "bash"):
        (programs.folder / name).symlink_to(shutil.which(name) or name)
    if body is not None:
        programs.add("docker", body)
    result = programs.run("/bin/bash", str(FOLDER / "cluster.sh"), "up", PATH=str(programs.folder))
    assert result.returncode == 2
    assert says in result.stderr
    assert not [call for call in programs.calls if " up " in call]


def cluster(programs: Bin, folder: Path, *arguments: str) -> list[str]:
    programs.add("docker")
    result = programs.run("bash", str(folder / "cluster.sh"), *arguments)
    assert result.returncode == 0, result.stderr
    return [call.replace(str(folder), "") for call in programs.calls if " -f " in call]


def test_what_make_exports_as_empty_is_left_to_env_file(programs: Bin) -> None:
    # GNU make exports variables that nobody set.
    programs.add("docker", f'env >>"{programs.notes}"')
    script = str(FOLDER / "cluster.sh")
    result = programs.run("bash", script, "down", GATEWAYS="", WRITERS_LOGS="3", BROKERS="")
    assert result.returncode == 0, result.stderr
    assert "WRITERS_LOGS=3" in programs.calls
    assert not [line for line in programs.calls if line.startswith("GATEWAYS=")]


@pytest.mark.parametrize("variable", ["BROKERS", "SHARDS", "HEADRACE_PORT_OFFSET"])
def test_what_only_the_native_cluster_can_change_is_refused(programs: Bin, variable: str) -> None:
    programs.add("docker")
    result = programs.run("bash", str(FOLDER / "cluster.sh"), "up", **{variable: "1"})
    assert result.returncode == 2
    assert variable in result.stderr
    assert programs.calls == []


def test_up_builds_and_waits(programs: Bin, tmp_path: Path) -> None:
    folder = copied(tmp_path)
    calls = cluster(programs, folder, "up")
    both = "docker compose -f /compose.yaml -f /compose.observability.yaml"
    assert calls[0] == f"{both} build"
    assert calls[1].startswith(f"{both} up -d ")
    assert " --wait " in calls[1]
    assert (folder / "secrets" / "clickhouse_password").exists()


def test_down_keeps_the_data_unless_wiped(programs: Bin) -> None:
    assert "--volumes" not in cluster(programs, FOLDER, "down")[0]
    assert "--volumes" in cluster(programs, FOLDER, "down", "--wipe")[-1]


def test_demo_runs_the_load_generator(programs: Bin) -> None:
    [call] = cluster(programs, FOLDER, "demo")
    assert call.endswith("-f /compose.load.yaml run --rm loadgen")
    assert services()["loadgen"]["entrypoint"] == ["loadgen"]


def plan(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """What make would run; nothing is run."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run(
        ["make", "-n", *arguments],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=60, env=kept | environment,
    )  # fmt: skip


@pytest.mark.parametrize("target", ["cluster-up", "cluster-down", "cluster-status", "demo"])
def test_make_is_native_unless_told(target: str) -> None:
    for native in (plan(target), plan(target, ENGINE="docker"), plan(target, "ENGINE=native")):
        assert native.returncode == 0
        assert "headrace_native" in native.stdout
        assert "deploy/compose" not in native.stdout
    docker = plan(target, "ENGINE=docker")
    assert "deploy/compose/cluster.sh" in docker.stdout
    assert "setup.sh" not in docker.stdout
    assert "headrace_native" not in docker.stdout


def test_make_refuses_an_engine_it_does_not_know() -> None:
    result = plan("cluster-up", "ENGINE=podmna")
    assert result.returncode == 2
    assert "say native or docker" in result.stderr
