"""The chart's values: described, known to its schema, true to the rest of the project, and refused
when they are wrong.
"""

import json
import re
import tomllib
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from headrace_chart.page import documented, page
from headrace_native.spec import ROOT
from headrace_writer.config import Settings
from support.chart import CHART, EXAMPLES, VALUES, container, helm, pods, rendered
from support.compose import FOLDER as COMPOSE
from support.compose import variables as compose_variables

TEXT = (CHART / "values.yaml").read_text()
DEFAULTS = yaml.safe_load(TEXT)
SCHEMA = json.loads((CHART / "values.schema.json").read_text())


def leaves(value: Any, path: str = "") -> Iterator[str]:
    """Dotted paths of everything below a map that is no map, or an empty one."""
    if isinstance(value, dict) and value:
        for key, each in value.items():
            yield from leaves(each, f"{path}.{key}" if path else key)
    else:
        yield path


def described(schema: Any, path: str = "") -> Iterator[str]:
    """Dotted paths of the properties of a schema that have none below them."""
    while "$ref" in schema:
        schema = SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]]
    if "properties" in schema:
        assert schema["additionalProperties"] is False, path
        for key, each in schema["properties"].items():
            yield from described(each, f"{path}.{key}" if path else key)
    else:
        yield path


def test_the_readme_is_the_generated_one() -> None:
    assert (CHART / "README.md").read_text() == page(), "run: make docs"


def test_every_value_is_documented() -> None:
    rows = [each.path for each in documented(TEXT)]
    assert len(set(rows)) == len(rows)
    for leaf in leaves(DEFAULTS):
        assert any(leaf == row or leaf.startswith(f"{row}.") for row in rows), leaf


def test_the_schema_knows_the_values_and_no_others() -> None:
    known = {path for path in described(SCHEMA) if path != "global"}
    given = set(leaves(DEFAULTS))
    assert not {
        path for path in given if not any(path == k or path.startswith(f"{k}.") for k in known)
    }
    assert not {
        path for path in known if not any(path == g or g.startswith(f"{path}.") for g in given)
    }


def test_settings_that_may_be_given_are_those_the_chart_does_not_make() -> None:
    allowed = set(SCHEMA["$defs"]["settings"]["propertyNames"]["enum"])
    assert allowed <= Settings.model_fields.keys()
    made = {
        name.removeprefix("HEADRACE_").lower()
        for name in re.findall(r"HEADRACE_[A-Z_]+", "".join(
            (CHART / "templates" / f).read_text() for f in ("_values.tpl", "writers.yaml")))
    }  # fmt: skip
    assert not allowed & made
    # A password belongs into a secret.
    assert Settings.model_fields.keys() - allowed - made == {"clickhouse_password"}


def test_versions_are_the_projects() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["appVersion"] == chart["version"] == version
    written = {container(pod)["image"].partition(":")[0] for _, pod in pods(rendered("production"))}
    assert written == set(
        re.findall(r"image: (headrace/\w+)", (COMPOSE / "compose.yaml").read_text())
    )


def documents(file: str) -> dict[tuple[str, str], Any]:
    loaded = yaml.safe_load_all((EXAMPLES / file).read_text())
    return {(each["kind"], each["metadata"]["name"]): each for each in loaded}


def test_the_kafka_example_is_the_kafka_of_the_defaults() -> None:
    made = documents("kafka-strimzi.yaml")
    kafka = made["Kafka", "headrace"]["spec"]["kafka"]
    listeners = {each["name"]: each["port"] for each in kafka["listeners"]}
    assert DEFAULTS["kafka"]["bootstrapServers"] == f"headrace-kafka-bootstrap:{listeners['plain']}"
    login = yaml.safe_load((EXAMPLES / "values-kafka-trigger.yaml").read_text())["kafka"]
    assert login["bootstrapServers"].endswith(f":{listeners['scram']}")
    assert ("KafkaUser", login["sasl"]["username"]) in made
    topics = {each["spec"]["topicName"]: each["spec"] for (kind, _), each in made.items()
              if kind == "KafkaTopic"}  # fmt: skip
    assert topics.keys() == set(DEFAULTS["kafka"]["topics"].values())
    for signal, partitions in DEFAULTS["kafka"]["partitions"].items():
        assert topics[DEFAULTS["kafka"]["topics"][signal]]["partitions"] == partitions
    lines = (COMPOSE / "config" / "kafka" / "server.properties").read_text().splitlines()
    brokers = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    for key in kafka["config"].keys() - {"replica.selector.class"}:
        here = str(kafka["config"][key])
        assert (here.lower() if here in ("True", "False") else here) == brokers[key], key


def test_the_clickhouse_example_is_the_clickhouse_of_the_defaults() -> None:
    spec = documents("clickhouse-altinity.yaml")["ClickHouseInstallation", "headrace"]["spec"]
    [cluster] = spec["configuration"]["clusters"]
    wanted = DEFAULTS["clickhouse"]
    assert cluster["name"] == wanted["cluster"]
    assert wanted["shards"] == [
        [f"chi-headrace-{cluster['name']}-{shard}-{replica}:9000"
         for replica in range(cluster["layout"]["replicasCount"])]
        for shard in range(cluster["layout"]["shardsCount"])
    ]  # fmt: skip
    users = spec["configuration"]["users"]
    assert users[f"{wanted['user']}/password"]["valueFrom"]["secretKeyRef"] == {
        "name": wanted["secretName"], "key": wanted["key"],
    }  # fmt: skip
    server = ET.parse(COMPOSE / "config" / "clickhouse" / "server.xml").getroot()
    for key in ("session_timeout_ms", "operation_timeout_ms"):
        assert server.findtext(f"zookeeper/{key}") == str(spec["configuration"]["zookeeper"][key])
    for key, here in spec["configuration"]["settings"].items():
        if key.startswith("merge_tree/"):
            assert server.findtext(key) == str(here)
    images = re.findall(r"image: (\S+)", (EXAMPLES / "clickhouse-altinity.yaml").read_text())
    assert images == [compose_variables()["KEEPER_IMAGE"], compose_variables()["CLICKHOUSE_IMAGE"]]


def test_the_notes_warn_of_what_is_missing() -> None:
    done = helm("install", "headrace", CHART, "--dry-run=client", "--values",
                str(VALUES["kafka-trigger"]), "--set", "autoscaling.trigger=prometheus",
                "--set", "gateway.service.type=LoadBalancer")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "monitoring.rules is off" in done.stdout
    assert "without a token" in done.stdout
    assert "HeadraceNoExporter" not in done.stdout
    done = helm("install", "headrace", CHART, "--dry-run=client", "--set", "monitoring.rules=true")
    assert "HeadraceNoExporter fires unless" in done.stdout


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ("autoscaling.minReplicas=1", "minReplicas"),
        ("autoscaling.minReplicas=40", "kafka.partitions.traces is 24"),
        ("kafka.bootstrapServers=kafka", "/kafka/bootstrapServers"),
        ("kafka.sasl.mechanism=PLAIN", "/kafka/sasl/username"),
        ("kafka.extra.sasl\\.password=x", "sasl.password"),
        ("clickhouse.shards[0][0]=host", "/clickhouse/shards/0/0"),
        ("writer.settings.batch_max_byte=3", "batch_max_bytes"),
        ("writer.settings.http_listen=x", "http_listen"),
        ("writer.image.tag=latest", "/writer/image/tag"),
        ("gatway.enabled=true", "gatway"),
        ("retention.traces=soon", "/retention/traces"),
        ("agent.enabled=false", "writer.ownSpans needs agent.enabled"),
        ("gateway.enabled=false", "agent.enabled needs gateway.enabled"),
    ],
)
def test_a_wrong_value_is_refused_with_its_name(change: str, complaint: str) -> None:
    done = helm("template", "headrace", CHART,
                "--values", str(VALUES["production"]), "--set", change)  # fmt: skip
    assert done.returncode != 0
    assert complaint in done.stderr
