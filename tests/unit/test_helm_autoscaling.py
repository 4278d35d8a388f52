"""What the chart tells KEDA: bounds, query, threshold, and only what KEDA knows."""

import json
import re
from typing import Any

import pytest
import yaml

from headrace_native.spec import ROOT
from headrace_writer import config
from headrace_writer.core.autoscaling.defaults import policy_of
from headrace_writer.core.autoscaling.scaled_object import parse
from support.chart import NAMESPACE, VALUES, Object, of_kind, rendered, tools

WRITERS = {f"headrace-writer-{signal}": signal for signal in config.SIGNALS}
SCALED = [name for name in VALUES if name not in ("default", "dev")]
RULES = ROOT / "deploy" / "observability" / "prometheus" / "rules"


def scaled_objects(values: str, *changes: str) -> dict[str, Object]:
    return of_kind(rendered(values, *changes), "ScaledObject")


@pytest.mark.parametrize("values", SCALED)
def test_the_autoscaler_is_bounded(values: str) -> None:
    objects = rendered(values)
    deployments = of_kind(objects, "Deployment")
    assert scaled_objects(values).keys() == WRITERS.keys()
    for name, scaled in scaled_objects(values).items():
        spec = scaled["spec"]
        assert spec["scaleTargetRef"]["name"] in deployments
        assert "replicas" not in deployments[name]["spec"]
        assert 2 <= spec["minReplicaCount"] <= spec["fallback"]["replicas"]
        assert spec["fallback"]["replicas"] <= spec["maxReplicaCount"]
        assert "idleReplicaCount" not in spec
        partitions = 48 if (values, name) == ("bring-your-own", "headrace-writer-traces") else 24
        assert spec["maxReplicaCount"] == partitions
        behavior = spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
        [up] = behavior["scaleUp"]["policies"]
        assert up["periodSeconds"] == 60
        [down] = behavior["scaleDown"]["policies"]
        assert (down["type"], down["value"]) == ("Pods", 1)
        assert behavior["scaleDown"]["stabilizationWindowSeconds"] >= 300
        assert [each["metricType"] for each in spec["triggers"]] == ["AverageValue"]


def test_the_query_asks_for_a_recorded_rule_of_this_namespace() -> None:
    recorded = {
        rule.get("record")
        for group in yaml.safe_load((RULES / "scaling.yaml").read_text())["groups"]
        for rule in group["rules"]
    }
    for name, scaled in scaled_objects("production").items():
        [trigger] = scaled["spec"]["triggers"]
        query = trigger["metadata"]["query"]
        [rule] = re.findall(r"headrace:\w+", query)
        assert rule in recorded
        assert f'namespace="{NAMESPACE}",signal="{WRITERS[name]}"' in query
        assert trigger["metadata"]["ignoreNullValues"] == "false"


@pytest.mark.parametrize(
    ("cpu", "threshold"), [("500m", 210_000), ("1", 420_000), ("1.5", 630_000)]
)
def test_a_writer_is_planned_at_seven_tenths(cpu: str, threshold: int) -> None:
    found = scaled_objects("production", f'writer.traces.resources.requests.cpu="{cpu}"')
    [trigger] = found["headrace-writer-traces"]["spec"]["triggers"]
    assert trigger["metadata"]["threshold"] == str(threshold)


@pytest.mark.parametrize(("signal", "seconds"), [("traces", 5), ("metrics", 3.5), ("logs", 5)])
def test_without_prometheus_lag_is_what_waits_while_a_writer_keeps_up(
    signal: str, seconds: float
) -> None:
    found = scaled_objects("kafka-trigger", f"autoscaling.kafka.rowsPerMessage.{signal}=100")
    [trigger] = found[f"headrace-writer-{signal}"]["spec"]["triggers"]
    by_rate = scaled_objects("kafka-trigger", 'autoscaling.trigger="prometheus"')
    [by_rows] = by_rate[f"headrace-writer-{signal}"]["spec"]["triggers"]
    planned = int(by_rows["metadata"]["threshold"])
    assert trigger["metadata"]["lagThreshold"] == str(int(seconds * planned) // 100)


def test_the_kafka_trigger_reads_every_partition_of_the_group() -> None:
    [trigger] = scaled_objects("kafka-trigger")["headrace-writer-traces"]["spec"]["triggers"]
    metadata = trigger["metadata"]
    assert metadata["consumerGroup"] == "headrace-traces"
    assert metadata["allowIdleConsumers"] == "true"
    assert metadata["excludePersistentLag"] == "false"
    [login] = of_kind(rendered("kafka-trigger"), "TriggerAuthentication").values()
    assert trigger["authenticationRef"] == {"name": login["metadata"]["name"]}


def test_the_simulator_plays_the_chart() -> None:
    for name, scaled in scaled_objects("default", "autoscaling.enabled=true").items():
        assert parse(scaled) == policy_of(WRITERS[name])


def keda(kind: str) -> dict[str, Any]:
    """KEDA's own description of a trigger's parameters."""
    scalers = json.loads((tools() / "keda-scalers.json").read_text())["scalers"]
    [found] = [each for each in scalers if each["type"] == kind]
    return {each["name"]: each for each in found["parameters"]}


@pytest.mark.parametrize("values", SCALED)
def test_keda_knows_the_triggers(values: str) -> None:
    for scaled in scaled_objects(values).values():
        for trigger in scaled["spec"]["triggers"]:
            known = keda(trigger["type"])
            for name, text in trigger["metadata"].items():
                assert known[name].get("metadataVariableReadable"), name
                assert isinstance(text, str)
                assert text in known[name].get("allowedValue", [text])
            needed = {
                name
                for name, each in known.items()
                if not each.get("optional") and "default" not in each
            }
            assert needed <= trigger["metadata"].keys()
    for login in of_kind(rendered(values), "TriggerAuthentication").values():
        for targets in login["spec"].values():
            for target in targets:
                assert keda("kafka")[target["parameter"]]["triggerAuthenticationVariableReadable"]
