"""deploy/compose and deploy/images: valid for Docker Compose, and true to what we promise of them.

No engine is needed. What only an engine could tell is in docs/compose.md.
"""

import os
import re
import shutil
import subprocess
import tomllib
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import yaml

from headrace_loadgen.__main__ import make_parser
from headrace_loadgen.run import Run
from headrace_native import render, spec
from headrace_native.layout import BROKER_MESSAGE_BYTES, GROUPS, TOPICS, Layout, program
from headrace_native.spec import ROOT
from headrace_writer import config
from support.compose import (
    FILES,
    FOLDER,
    IMAGES,
    document,
    environment,
    is_job,
    ours,
    services,
    validate,
    variables,
)

ALL = sorted(services())
CONFIG = FOLDER / "config"
WRITERS = [f"writer-{signal}" for signal in spec.SIGNALS]
# What native brokers are told that the image, the environment or the network names say here.
KAFKA_ELSEWHERE = {
    "node.id",
    "controller.quorum.voters",
    "listeners",
    "advertised.listeners",
    "log.dirs",
    "num.partitions",
    "log.retention.hours",
    "log.retention.bytes",
}


def properties(text: str) -> dict[str, str]:
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def value(file: Path, path: str) -> str:
    """Text of an element that must be there once."""
    [found] = ET.parse(file).getroot().findall(path)
    assert found.text is not None
    return found.text


@pytest.mark.parametrize(
    "files",
    [FILES[:1], FILES[:2], (FILES[0], FILES[2]), FILES],
    ids=["core", "with observability", "with load", "all"],
)
def test_docker_compose_takes_the_files(files: tuple[str, ...]) -> None:
    result = validate(FOLDER, files)
    # Standard error names variables that nothing sets.
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("  gateway:\n", "  gateway:\n    read_onyl: true\n"),
        ("{ condition: service_healthy }", "{ condition: service_hearty }"),
        ("${GATEWAYS}", "two"),
    ],
)
def test_docker_compose_refuses_a_mistake(tmp_path: Path, old: str, new: str) -> None:
    shutil.copy(FOLDER / ".env", tmp_path)
    text = (FOLDER / "compose.yaml").read_text()
    assert old in text
    (tmp_path / "compose.yaml").write_text(text.replace(old, new))
    assert validate(tmp_path, ["compose.yaml"]).returncode != 0


@pytest.mark.parametrize("name", ALL)
def test_an_image_is_pinned_in_env(name: str) -> None:
    written, image = services(filled=False)[name]["image"], services()[name]["image"]
    assert re.fullmatch(r"\$\{[A-Z]+_IMAGE\}|headrace/\w+:\$\{HEADRACE_VERSION\}", written)
    repository, _, tag = image.partition(":")
    assert re.match(r"v?\d+\.\d+", tag), image
    assert "." not in repository.split("/")[0], "a registry's host"


def test_versions_are_those_of_the_rest_of_the_project() -> None:
    env = variables()
    assert (
        env["HEADRACE_VERSION"]
        == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    )
    pom = ET.parse(ROOT / "deploy" / "native" / "kafka" / "pom.xml")
    kafka = [
        each.findtext("{*}version")
        for each in pom.iter()
        if each.findtext("{*}artifactId") == "kafka_2.13"
    ]
    assert [env["KAFKA_IMAGE"].partition(":")[2]] == kafka
    assert env["KEEPER_IMAGE"].partition(":")[2] == env["CLICKHOUSE_IMAGE"].partition(":")[2]
    major, minor = env["CLICKHOUSE_IMAGE"].partition(":")[2].split(".")[:2]
    assert (int(major), int(minor)) >= (24, 8), "the schema's modern dialect"


@pytest.mark.parametrize("file", ["writer.Dockerfile", "gateway.Dockerfile"])
def test_dockerfiles_default_to_the_same_images(file: str) -> None:
    text = (IMAGES / file).read_text()
    defaults = dict(re.findall(r"^ARG (\w+)=(\S+)$", text, re.MULTILINE))
    for name, default in defaults.items():
        if name.endswith("_IMAGE"):
            assert variables()[name] == default
    assert set(re.findall(r"^FROM (\S+)", text, re.MULTILINE)) == {
        f"${{{name}}}" for name in defaults if name.endswith("_IMAGE")
    }
    # Neither root nor a name that the kernel of another machine would have to know.
    assert re.search(r"^USER [1-9]\d*:[1-9]\d*$", text, re.MULTILINE)
    for source in re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE):
        for each in source.split():
            assert (ROOT / ("" if each == "." else each)).exists(), each


def test_the_gateway_is_built_as_natively() -> None:
    script = (ROOT / "deploy" / "native" / "setup" / "collector.sh").read_text()
    wanted = re.search(r"^OCB=(\S+)", script, re.MULTILINE)
    text = (IMAGES / "gateway.Dockerfile").read_text()
    assert wanted is not None
    assert f"ARG OCB={wanted[1]}\n" in text
    manifest = yaml.safe_load((ROOT / "services" / "gateway" / "builder.yaml").read_text())
    assert f"/{manifest['dist']['name']} " in text
    for configuration in re.findall(r"services/gateway/(\S+\.yaml)", text):
        assert (ROOT / "services" / "gateway" / configuration).exists()
    assert "/etc/headrace/gateway.yaml" in text


@pytest.mark.parametrize("name", ALL)
def test_a_service_is_bounded_and_watched(name: str) -> None:
    service = services()[name]
    limits = service["deploy"]["resources"]["limits"]
    assert 0 < float(limits["cpus"]) <= 2
    assert re.fullmatch(r"\d+[mg]", limits["memory"])
    assert service["pids_limit"] > 0
    assert is_job(service) != ("healthcheck" in service)
    assert "no-new-privileges:true" in service["security_opt"]


def test_up_waits_for_every_job() -> None:
    """`up --wait` calls a job that ended a failure unless a lasting service waits for its end."""
    awaited = {
        name
        for service in services().values()
        for name, how in service.get("depends_on", {}).items()
        if how["condition"] == "service_completed_successfully"
    }
    jobs = {n for n, each in services().items() if is_job(each) and "profiles" not in each}
    assert awaited == jobs == {"topics", "migrate", "retention"}


@pytest.mark.parametrize("name", [name for name in ALL if ours(services()[name])])
def test_ours_write_nowhere(name: str) -> None:
    service = services()[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]


def test_only_balancer_and_grafana_are_published_on_loopback() -> None:
    published = {name: each["ports"] for name, each in services().items() if "ports" in each}
    assert published.keys() == {"haproxy", "grafana"}
    assert [port.split(":")[0] for ports in published.values() for port in ports] == [
        "127.0.0.1"
    ] * 3
    for name, service in services().items():
        assert service["networks"] == ["inner", "edge"][: 2 if name in published else 1]
    assert document("compose.yaml")["networks"]["inner"] == {"internal": True}


@pytest.mark.parametrize("name", ALL)
def test_secrets_come_in_files(name: str) -> None:
    service = services()[name]
    for variable, text in environment(service).items():
        if re.search("PASSWORD|SECRET|TOKEN|CREDENTIAL", variable):
            assert variable.endswith("_FILE"), variable
            assert text.removeprefix("/run/secrets/") in service["secrets"]
    assert not any("password=" in each for each in service.get("command", []))
    declared = {key for file in FILES for key in document(file).get("secrets", {})}
    used = {s if isinstance(s, str) else s["source"] for s in service.get("secrets", [])}
    assert used <= declared


@pytest.mark.parametrize("name", ALL)
def test_what_is_mounted_exists_and_is_read_only(name: str) -> None:
    for mount in services()[name].get("volumes", []):
        source, _, *mode = mount.split(":")
        if not source.startswith("."):
            continue
        assert mode == ["ro"]
        path = (FOLDER / source).resolve()
        # Until deploy/observability has come, its mounts lead nowhere.
        if path.is_relative_to(ROOT / "deploy" / "observability"):
            assert not (ROOT / "deploy" / "observability").exists() or path.is_dir()
        else:
            assert path.is_file()


@pytest.mark.parametrize("name", [*WRITERS, "migrate"])
def test_settings_are_known_to_the_writer(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in [each for each in os.environ if each.startswith(config.PREFIX)]:
        monkeypatch.delenv(variable)
    for variable, text in environment(services()[name]).items():
        monkeypatch.setenv(variable, text)
    settings = config.load({})
    brokers = [f"kafka-{number}:9092" for number in (1, 2, 3)]
    assert settings.kafka_bootstrap_servers.split(",") == brokers
    assert settings.clickhouse_topology == "cluster"
    assert settings.clickhouse_dialect == "auto"
    assert str(settings.clickhouse_password_file) == "/run/secrets/clickhouse_password"
    assert {signal: settings.topic(signal) for signal in config.SIGNALS} == TOPICS
    assert {s: f"{settings.kafka_group_prefix}-{s}" for s in config.SIGNALS} == GROUPS
    server = CONFIG / "clickhouse" / "server.xml"
    cluster = ET.parse(server).getroot().find(f"remote_servers/{settings.clickhouse_cluster}")
    assert cluster is not None
    assert settings.clickhouse_shards == tuple(
        tuple((str(r.findtext("host")), int(str(r.findtext("port")))) for r in s.iter("replica"))
        for s in cluster
    )
    if name in WRITERS:
        assert [f"writer-{signal}" for signal in settings.signals] == [name]
        # From outside the container, and where the health check looks.
        assert settings.http_listen == "0.0.0.0:9464"
        assert services()[name]["healthcheck"]["test"][-2:] == ["9464", "/ready"]
        balancer, _, port = settings.trace_endpoint.partition(":")
        haproxy = (CONFIG / "haproxy" / "haproxy.cfg").read_text()
        assert balancer in services()
        assert f"listen otlp-grpc\n  bind :{port}\n" in haproxy


def test_clickhouse_servers_are_the_cluster() -> None:
    names = {name: each for name, each in services().items() if name.startswith("clickhouse-")}
    assert len(names) == 4
    for name, service in names.items():
        env = environment(service)
        assert name == f"clickhouse-{env['CLICKHOUSE_SHARD']}-{env['CLICKHOUSE_REPLICA']}"
        assert service["hostname"] == name
        targets = {mount.split(":")[1] for mount in service["volumes"]}
        targets |= {secret["target"] for secret in service["secrets"]}
        # ClickHouse reads a folder in the order of names: secrets are laid over what replaces.
        assert targets == {
            "/var/lib/clickhouse",
            "/etc/clickhouse-server/config.d/10-headrace.xml",
            "/etc/clickhouse-server/config.d/20-cluster-secret.xml",
            "/etc/clickhouse-server/users.d/10-headrace.xml",
            "/etc/clickhouse-server/users.d/20-passwords.xml",
        }


def test_servers_have_the_settings_of_the_operations_page() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    rows = re.findall(r"^\| `([a-z_.]+)` \| [\d.,]+ \| ([\d,]+) \|", page, re.MULTILINE)
    assert len(rows) == 5
    for name, here in rows:
        path = name.replace(".", "/")
        file, path = (
            (CONFIG / "clickhouse" / "server.xml", path)
            if "/" in path
            else (CONFIG / "clickhouse" / "users.xml", f"profiles/default/{path}")
        )
        assert value(file, path) == here.replace(",", "")


def test_keeper_grants_the_sessions_that_servers_ask_for() -> None:
    keeper = CONFIG / "keeper" / "keeper.xml"
    place = "keeper_server/coordination_settings"
    asked = int(value(CONFIG / "clickhouse" / "server.xml", "zookeeper/session_timeout_ms"))
    assert int(value(keeper, f"{place}/min_session_timeout_ms")) <= asked
    assert asked <= int(value(keeper, f"{place}/session_timeout_ms"))
    nodes = ET.parse(CONFIG / "clickhouse" / "server.xml").getroot().findall("zookeeper/node")
    members = ET.parse(keeper).getroot().findall("keeper_server/raft_configuration/server")
    assert [node.findtext("host") for node in nodes] == [m.findtext("hostname") for m in members]
    assert {node.findtext("port") for node in nodes} == {value(keeper, "keeper_server/tcp_port")}
    for member in members:
        service = services()[str(member.findtext("hostname"))]
        assert environment(service)["KEEPER_ID"] == member.findtext("id")


def test_brokers_are_configured_as_natively() -> None:
    layout = Layout(spec.load({"BROKERS": "3"}))
    native = properties(render.render(layout)[layout.conf / "kafka-1.properties"])
    here = properties((CONFIG / "kafka" / "server.properties").read_text())
    for key in native.keys() - KAFKA_ELSEWHERE:
        assert here.get(key) == native[key], key
    assert here["message.max.bytes"] == str(BROKER_MESSAGE_BYTES)
    env = environment(services()["kafka-2"])
    for key in ("node.id", "advertised.listeners", "num.partitions", "log.retention.bytes"):
        assert f"KAFKA_{key.upper().replace('.', '_')}" in env
    voters = here["controller.quorum.voters"].split(",")
    assert voters == [f"{n}@kafka-{n}:9093" for n in (1, 2, 3)]
    assert [environment(services()[f"kafka-{n}"])["KAFKA_NODE_ID"] for n in (1, 2, 3)] == [
        "1",
        "2",
        "3",
    ]


def test_gateways_know_their_variables_and_haproxy_finds_them() -> None:
    text = (ROOT / "services" / "gateway" / "gateway.yaml").read_text()
    known = set(re.findall(r"\$\{env:(\w+)", text)) | {"GOMEMLIMIT"}
    assert environment(services()["gateway"]).keys() <= known
    haproxy = (CONFIG / "haproxy" / "haproxy.cfg").read_text()
    templates = re.findall(r"server-template gateway- (\d+) gateway:(\d+) port 13133", haproxy)
    assert [port for _, port in templates] == ["4317", "4318"]
    assert {int(most) for most, _ in templates} == {8}
    assert 2 <= int(variables()["GATEWAYS"]) <= 8


def test_haproxy_and_prometheus_take_their_files() -> None:
    for command in (
        [program("haproxy"), "-c", "-f", str(CONFIG / "haproxy" / "haproxy.cfg")],
        [program("promtool"), "check", "config", "--syntax-only",
         str(CONFIG / "prometheus" / "prometheus.yml")],
    ):  # fmt: skip
        result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert result.returncode == 0, result.stderr


def test_prometheus_scrapes_what_runs_under_the_native_names() -> None:
    scraped = yaml.safe_load((CONFIG / "prometheus" / "prometheus.yml").read_text())
    jobs = {each["job_name"]: each for each in scraped["scrape_configs"]}
    layout = Layout(spec.load({}))
    native = yaml.safe_load(render.render(layout)[layout.conf / "prometheus.yml"])
    assert jobs.keys() >= {each["job_name"] for each in native["scrape_configs"]}
    for job in jobs.values():
        hosts = [t for each in job.get("static_configs", []) for t in each["targets"]]
        names = [n for each in job.get("dns_sd_configs", []) for n in each["names"]]
        for host in [*(t.split(":")[0] for t in hosts), *names]:
            assert host in {*services(), "127.0.0.1"}
    assert jobs["writer"]["dns_sd_configs"][0]["names"] == WRITERS


def test_load_is_a_job_with_a_login(tmp_path: Path) -> None:
    service = services()["loadgen"]
    assert service["profiles"] == ["load"]
    args = make_parser().parse_args(service["command"])
    assert str(args.clickhouse_password_file) == "/run/secrets/clickhouse_reader_password"
    password = tmp_path / "password"
    password.write_text("opensesame")
    args.clickhouse_password_file = password
    connection = Run(args).store()._client.connection
    assert (connection.user, connection.password) == ("reader", "opensesame")
    assert [args.rate, args.metrics_rate, args.logs_rate] == [
        float(variables()[f"LOAD_{what}"]) for what in ("SPANS", "POINTS", "LOGS")
    ]
