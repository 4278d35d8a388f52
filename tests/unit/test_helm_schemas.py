"""Chart and examples are valid: for helm, Kubernetes, the operators and the Collector."""

import copy
import re
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from headrace_native.layout import CACHE
from headrace_native.spec import ROOT
from support.chart import (
    CHART,
    EXAMPLES,
    VALUES,
    Object,
    chosen,
    helm,
    of_kind,
    problems,
    rendered,
)

# What etcd takes of a ConfigMap.
MOST_BYTES = 1 << 20
DASHBOARDS = {"cluster", "lag", "llm", "loadgen"}
DEPLOYED = ("production", "kafka-trigger", "bring-your-own")


def documents(file: Path) -> list[Object]:
    return [each for each in yaml.safe_load_all(file.read_text()) if each]


def test_there_are_five_sets_of_values() -> None:
    assert set(VALUES) == {"default", "production", "bring-your-own", "kafka-trigger", "dev"}


@pytest.mark.parametrize("values", VALUES)
def test_helm_has_nothing_to_say(values: str) -> None:
    done = helm("lint", "--strict", CHART, *chosen(values))
    assert done.returncode == 0, done.stdout
    assert "[WARNING]" not in done.stdout


@pytest.mark.parametrize("values", VALUES)
def test_objects_are_valid(values: str) -> None:
    found = [problem for each in rendered(values) for problem in problems(each)]
    assert not found
    names = [(each["kind"], each["metadata"]["name"]) for each in rendered(values)]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("file", ["kafka-strimzi.yaml", "clickhouse-altinity.yaml"])
def test_examples_are_valid(file: str) -> None:
    assert not [problem for each in documents(EXAMPLES / file) for problem in problems(each)]


@pytest.mark.parametrize(
    ("kind", "path", "value"),
    [
        ("Deployment", "spec.template.spec.containers.0.securityContext.readOnlyRoot", True),
        ("NetworkPolicy", "spec.podSelector", "all"),
        ("ScaledObject", "spec.maxReplicas", 3),
        ("ScaledObject", "spec.fallback.behavior", "whatever"),
        ("PodMonitor", "spec.podMetricsEndpoints.0.interval", 5),
        ("PrometheusRule", "spec.groups.0.rules.0.expresion", "1"),
    ],
)
def test_a_mistake_is_noticed(kind: str, path: str, value: Any) -> None:
    one = copy.deepcopy(next(iter(of_kind(rendered("production"), kind).values())))
    place: Any = one
    *above, last = path.split(".")
    for step in above:
        place = place[int(step) if isinstance(place, list) else step]
    place[last] = value
    assert problems(one)


def test_an_unknown_kind_is_an_error() -> None:
    with pytest.raises(FileNotFoundError):
        problems({"apiVersion": "apps/v1", "kind": "Deploiment", "metadata": {"name": "x"}})


@pytest.mark.parametrize("values", DEPLOYED)
@pytest.mark.parametrize("name", ["gateway", "agent"])
def test_the_collector_takes_its_files(values: str, name: str, tmp_path: Path) -> None:
    """Laid over each other in the container's order; secrets are read from files made for it."""
    objects = rendered(values, "agent.enabled=true")
    secrets = tmp_path / "secrets"
    arguments = []
    for file, text in sorted(of_kind(objects, "ConfigMap")[f"headrace-{name}"]["data"].items()):
        (tmp_path / file).write_text(text.replace("/etc/headrace", str(secrets)))
        for path in re.findall(rf"{secrets}/[\w./-]+", (tmp_path / file).read_text()):
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            Path(path).write_text("secret")
        arguments += ["--config", tmp_path / file]
    done = subprocess.run(
        [CACHE / "gateway" / "headrace-otelcol", "validate", *arguments],
        env={"HEADRACE_GATEWAY_TOKEN": "any"},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_a_package_holds_what_the_chart_links_to(tmp_path: Path) -> None:
    done = helm("package", CHART, "--destination", tmp_path)
    assert done.returncode == 0, done.stderr
    with tarfile.open(next(tmp_path.glob("*.tgz"))) as package:
        for link in sorted((CHART / "files").iterdir()):
            sources = sorted(link.glob("*")) if link.is_dir() else [link]
            for source in sources:
                inside = package.extractfile(f"headrace/{source.relative_to(CHART)}")
                assert inside is not None
                assert inside.read() == source.read_bytes()


def test_what_is_deployed_is_what_the_sources_say() -> None:
    objects = rendered("production")
    sources = ROOT / "deploy" / "observability"
    for file in (sources / "prometheus" / "rules").glob("*.yaml"):
        rule = of_kind(objects, "PrometheusRule")[f"headrace-{file.stem}"]
        assert rule["spec"] == yaml.safe_load(file.read_text())
    maps = of_kind(objects, "ConfigMap")
    for file in (sources / "grafana" / "dashboards").glob("*.json"):
        data = maps[f"headrace-dashboard-{file.stem}"]["data"]
        assert len(data[file.name].encode()) < MOST_BYTES
        assert yaml.safe_load(data[file.name]) == yaml.safe_load(file.read_text())
    made = {n.removeprefix("headrace-dashboard-") for n in maps if "-dashboard-" in n}
    assert made == DASHBOARDS
    for file in (sources / "grafana" / "provisioning" / "alerting").glob("*.yaml"):
        alerts = maps[f"headrace-alerts-{file.stem}"]
        assert yaml.safe_load(alerts["data"][file.name]) == yaml.safe_load(file.read_text())
    for name, key in (("gateway", "10-gateway.yaml"), ("agent", "10-agent.yaml")):
        source = (ROOT / "services" / "gateway" / f"{name}.yaml").read_text()
        assert maps[f"headrace-{name}"]["data"][key].strip() == source.strip()
