"""The fixture for integration tests in containers, as far as it goes without an engine."""

import json
import os
from pathlib import Path

import pytest

from headrace_native import spec
from headrace_native.layout import Layout
from headrace_writer import config
from support.compose import FOLDER, document, read_env, validate
from support.compose_cluster import LAYERS, described, running_in_containers


def test_docker_compose_takes_the_layer() -> None:
    result = validate(FOLDER, LAYERS, read_env("test.env"))
    assert (result.returncode, result.stderr) == (0, "")


def test_everything_is_published_on_loopback_on_ports_of_its_own() -> None:
    env = read_env(".env") | read_env("test.env")
    layer = document("compose.test.yaml", filled=False)["services"]
    ports = [port for each in layer.values() for port in each["ports"]]
    assert all(port.startswith("127.0.0.1:${TEST_") for port in ports)
    numbers = [number for name, number in env.items() if name.startswith(("TEST_", "OTLP_"))]
    assert len(set(numbers)) == len(numbers) == len(ports) + 2
    # An instance that runs is left alone.
    usual = read_env(".env")
    assert not {name for name in read_env("test.env") if env[name] == usual.get(name)}


def test_the_description_says_what_the_native_one_says() -> None:
    native = Layout(spec.load({})).as_json()
    here = described()
    for part in ("kafka", "clickhouse"):
        assert here[part].keys() == native[part].keys()
    assert here["otlp"].keys() <= native["otlp"].keys()
    assert [len(shard) for shard in here["clickhouse"]["shards"]] == [2, 2]
    assert here["kafka"]["groups"] == native["kafka"]["groups"]


def test_it_is_started_described_and_taken_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = tmp_path / "notes"
    docker = tmp_path / "docker"
    docker.write_text(f'#!/bin/bash\necho "$*" >>{notes}\n')
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr("support.compose_cluster.subprocess.run", lambda *_, **__: None)
    with running_in_containers(tmp_path) as cluster:
        assert cluster.bootstrap == "127.0.0.1:29092,127.0.0.1:29093,127.0.0.1:29094"
        assert cluster.otlp_http == "http://127.0.0.1:24318"
        described_at = cluster.layout.dir / "cluster.json"
        assert json.loads(described_at.read_text()) == cluster.json
        settings = config.load({"config": str(cluster.layout.dir / "headrace.toml")})
        assert settings.clickhouse_shards[1][1] == ("127.0.0.1", 29003)
        with pytest.raises(pytest.skip.Exception, match="native cluster"):
            cluster.control.kill("kafka-1")
        with pytest.raises(pytest.skip.Exception, match="native cluster"):
            cluster.pids()
    started, ended = [notes.read_text().splitlines()[0], notes.read_text().splitlines()[-1]]
    assert "compose.test.yaml" in started
    assert "--env-file test.env" in started
    assert " up " in started
    assert "--wait" in started
    assert " down" in ended
    assert "--volumes" in ended
