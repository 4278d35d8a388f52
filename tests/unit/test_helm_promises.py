"""What the chart promises of every pod, job and autoscaler, for all sets of values."""

import json
import os
import re
from pathlib import Path

import pytest

from headrace_native.spec import ROOT
from headrace_schema.retention import DEFAULT_DAYS
from headrace_writer import __main__ as command
from headrace_writer import config
from support.chart import (
    VALUES,
    Object,
    container,
    of_kind,
    pods,
    rendered,
    variables,
)

WRITERS = {f"headrace-writer-{signal}": signal for signal in config.SIGNALS}


def selects(selector: Object, labels: dict[str, str]) -> bool:
    return all(labels.get(key) == value for key, value in selector["matchLabels"].items())


def lasting(objects: tuple[Object, ...]) -> dict[str, Object]:
    """Pod templates of what stays: Deployments and DaemonSets."""
    kinds = of_kind(objects, "Deployment", "DaemonSet")
    return {name: each["spec"]["template"] for name, each in kinds.items()}


@pytest.mark.parametrize("values", VALUES)
def test_pods_meet_the_restricted_profile(values: str) -> None:
    for name, pod in pods(rendered(values)):
        spec, only = pod["spec"], container(pod)
        assert spec["securityContext"]["runAsNonRoot"] is True, name
        assert spec["securityContext"]["runAsUser"] > 0
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert only["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        allowed = {"name", "configMap", "secret", "emptyDir"}
        assert not [v for v in spec["volumes"] if v.keys() - allowed], name
        assert "hostPort" not in str(only.get("ports", ""))


@pytest.mark.parametrize("values", VALUES)
def test_pods_are_bounded_pinned_and_without_a_token(values: str) -> None:
    accounts = of_kind(rendered(values), "ServiceAccount")
    assert all(each["automountServiceAccountToken"] is False for each in accounts.values())
    for name, pod in pods(rendered(values)):
        spec, only = pod["spec"], container(pod)
        assert {"cpu", "memory"} <= only["resources"]["limits"].keys(), name
        assert {"cpu", "memory"} <= only["resources"]["requests"].keys()
        assert re.fullmatch(r"headrace/(writer|gateway):\d+\.\d+\.\d+", only["image"])
        assert spec["automountServiceAccountToken"] is False
        assert spec["serviceAccountName"] in accounts
        # HEADRACE_KAFKA_BOOTSTRAP_SERVICE_HOST and the like would stop a writer's start.
        assert spec["enableServiceLinks"] is False


@pytest.mark.parametrize("values", VALUES)
def test_what_stays_is_probed_spread_and_budgeted(values: str) -> None:
    objects = rendered(values)
    budgets = of_kind(objects, "PodDisruptionBudget").values()
    for name, template in lasting(objects).items():
        only = container(template)
        ports = {port["name"] for port in only["ports"]}
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            assert only[probe]["httpGet"]["port"] in ports, name
        if name in ("headrace-agent", "headrace-exporter"):
            continue  # one pod a node, or one at all: nothing to spread, no budget to keep
        labels = template["metadata"]["labels"]
        [budget] = [each for each in budgets if selects(each["spec"]["selector"], labels)]
        assert budget["spec"]["maxUnavailable"] == 1
        spread = template["spec"]["topologySpreadConstraints"]
        assert all(selects(each["labelSelector"], labels) for each in spread)
        assert {each["topologyKey"] for each in spread} == {
            "topology.kubernetes.io/zone", "kubernetes.io/hostname",
        }  # fmt: skip


@pytest.mark.parametrize("values", [name for name in VALUES if name != "dev"])
def test_network_policies_cover_every_pod(values: str) -> None:
    policies = of_kind(rendered(values), "NetworkPolicy")
    for name, pod in pods(rendered(values)):
        labels = pod["metadata"]["labels"]
        over = [n for n, p in policies.items() if selects(p["spec"]["podSelector"], labels)]
        assert len(over) == 2, f"{name}: {over}"
        assert "headrace-deny" in over
        [own] = set(over) - {"headrace-deny"}
        opened = {
            port["port"]
            for rule in policies[own]["spec"].get("ingress", [])
            for port in rule["ports"]
        }
        served = {port["containerPort"] for port in container(pod).get("ports", [])}
        # Probes come from the node, which no policy keeps out.
        assert opened == served - {13133, 13134}
    assert not policies["headrace-deny"]["spec"].keys() & {"ingress", "egress"}


def test_policies_open_the_ports_of_the_endpoints() -> None:
    policy = of_kind(rendered("bring-your-own"), "NetworkPolicy")["headrace-writer-traces"]
    opened = [(rule.get("to"), rule["ports"]) for rule in policy["spec"]["egress"]]
    assert opened[1:] == [
        ([{"ipBlock": {"cidr": "192.0.2.0/24"}}], [{"port": 9094}]),
        ([{"ipBlock": {"cidr": "198.51.100.0/24"}}], [{"port": 9440}]),
    ]


@pytest.mark.parametrize("values", VALUES)
def test_no_secret_is_written_out(values: str) -> None:
    objects = rendered(values)
    assert not of_kind(objects, "Secret")
    for _, pod in pods(objects):
        for entry in container(pod).get("env", []):
            if re.search("PASSWORD|TOKEN|SECRET", entry["name"]):
                by_file = entry["name"].endswith("_FILE") and "/etc/headrace" in entry["value"]
                assert by_file or entry["valueFrom"]["secretKeyRef"]
        for name, text in variables(objects, pod).items():
            assert "password" not in text.lower() or name.endswith("_FILE")


@pytest.mark.parametrize("values", VALUES)
def test_the_writer_knows_its_settings(values: str, monkeypatch: pytest.MonkeyPatch) -> None:
    objects = rendered(values)
    mounts: dict[str, set[str]] = {}
    ran = {
        name: pod
        for name, pod in pods(objects)
        if container(pod)["image"].startswith("headrace/writer")
    }
    assert ran.keys() >= {*WRITERS, "headrace-exporter", "headrace-migrate", "headrace-audit"}
    for name, pod in ran.items():
        for variable in [each for each in os.environ if each.startswith(config.PREFIX)]:
            monkeypatch.delenv(variable)
        for variable, text in variables(objects, pod).items():
            monkeypatch.setenv(variable, text)
        settings = config.load({})
        mounts[name] = {each["mountPath"] for each in container(pod)["volumeMounts"]}
        files = [settings.kafka_password_file, settings.clickhouse_password_file]
        files.append(settings.clickhouse_ca_file)
        wanted = [str(file.parent) for file in files if file is not None]
        wanted += [
            str(text).rpartition("/")[0]
            for key, text in settings.kafka_extra.items()
            if key.endswith(".location")
        ]
        assert set(wanted) <= mounts[name], name
        if name in WRITERS:
            assert settings.signals == (WRITERS[name],)
            assert container(pod)["ports"] == [{"name": "metrics", "containerPort": 9464}]
            assert settings.http_listen == "0.0.0.0:9464"
            # The promise of exactly once rests on a drain that is not cut short.
            assert pod["spec"]["terminationGracePeriodSeconds"] >= settings.drain_deadline_s + 10
            startup = container(pod)["startupProbe"]
            assert startup["periodSeconds"] * startup["failureThreshold"] > settings.start_timeout_s


def test_the_grace_follows_the_drain_deadline() -> None:
    templates = lasting(rendered("default", "writer.drainDeadlineSeconds=90.5"))
    for name in WRITERS:
        assert templates[name]["spec"]["terminationGracePeriodSeconds"] == 101


def test_tls_and_sasl_reach_the_writer() -> None:
    objects = rendered("bring-your-own")
    extra = json.loads(
        variables(objects, lasting(objects)["headrace-writer-logs"])["HEADRACE_KAFKA_EXTRA"]
    )
    assert extra == {
        "client.rack": "zone-1",
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "headrace",
        "ssl.ca.location": "/etc/headrace/kafka-ca/ca.crt",
        "ssl.certificate.location": "/etc/headrace/kafka-client/tls.crt",
        "ssl.key.location": "/etc/headrace/kafka-client/tls.key",
    }


def test_one_exporter_asks_about_the_signals_that_have_writers_here() -> None:
    objects = rendered("production", "writer.logs.enabled=false", 'exporter.every="30s"')
    one = of_kind(objects, "Deployment")["headrace-exporter"]["spec"]
    # Two would count a topic's partitions twice.
    assert (one["replicas"], one["strategy"]) == (1, {"type": "Recreate"})
    given = variables(objects, one["template"])
    assert given["HEADRACE_SIGNALS"] == "traces,metrics"
    assert given["HEADRACE_HTTP_LISTEN"] == "0.0.0.0:9464"
    arguments = command.make_parser().parse_args(container(one["template"])["args"])
    assert (arguments.command, arguments.every.total_seconds()) == ("exporter", 30)
    policies = of_kind(objects, "NetworkPolicy")
    exporter, writer = (policies[f"headrace-{each}"]["spec"] for each in ("exporter", "job"))
    assert exporter["egress"] == writer["egress"]
    without = rendered("production", "exporter.enabled=false")
    assert not [each for each in without if "exporter" in each["metadata"]["name"]]


def test_metrics_are_scraped_under_the_names_that_alerts_know() -> None:
    objects = rendered("production")
    jobs = {}
    for name, monitor in of_kind(objects, "PodMonitor").items():
        [endpoint] = monitor["spec"]["podMetricsEndpoints"]
        assert endpoint["honorLabels"] is True
        [jobs[name]] = [
            each["replacement"]
            for each in endpoint["relabelings"]
            if each.get("targetLabel") == "job"
        ]
    assert jobs == {f"headrace-{job}": job for job in ("writer", "exporter", "gateway", "agent")}
    rules = str(of_kind(objects, "PrometheusRule"))
    assert set(re.findall(r'job="(\w+)"', rules)) <= set(jobs.values())


def test_guardrails_come_from_a_secret() -> None:
    objects = rendered(
        "default", 'writer.guardrails.secretName="rules"', 'writer.guardrails.hashKey="hash.key"'
    )
    pod = lasting(objects)["headrace-writer-metrics"]
    given = variables(objects, pod)
    folder = Path("/etc/headrace/guardrails")
    assert Path(given["HEADRACE_GUARDRAILS_FILE"]) == folder / "guardrails.toml"
    assert Path(given["HEADRACE_GUARDRAILS_KEY_FILE"]) == folder / "hash.key"
    [mount] = [m for m in container(pod)["volumeMounts"] if m["mountPath"] == str(folder)]
    [volume] = [v for v in pod["spec"]["volumes"] if v["name"] == mount["name"]]
    assert volume["secret"]["secretName"] == "rules"


def test_own_spans_go_to_the_agents_and_are_let_through() -> None:
    objects = rendered("production", 'networkPolicy.clients=[{"podSelector":{}}]')
    given = variables(objects, lasting(objects)["headrace-writer-traces"])
    assert given["HEADRACE_TRACE_ENDPOINT"] == "headrace-agent.telemetry.svc:4317"
    policies = of_kind(objects, "NetworkPolicy")
    [out] = [
        rule["to"][0]["podSelector"]
        for rule in policies["headrace-writer-traces"]["spec"]["egress"]
        if rule["ports"] == [{"port": 4317}]
    ]
    assert selects(out, lasting(objects)["headrace-agent"]["metadata"]["labels"])
    [come] = [
        rule["from"][0]["podSelector"]
        for rule in policies["headrace-agent"]["spec"]["ingress"]
        if rule["ports"] == [{"port": 4317}]
    ]
    assert selects(come, lasting(objects)["headrace-writer-traces"]["metadata"]["labels"])


def checksums(*changes: str) -> dict[str, str]:
    found = {}
    for name, template in lasting(rendered("production", *changes)).items():
        [key] = [k for k in template["metadata"]["annotations"] if k.startswith("checksum/")]
        found[name] = template["metadata"]["annotations"][key]
    return found


@pytest.mark.parametrize(
    ("change", "rolled"),
    [
        ("writer.settings.batch_max_bytes=50000000", ["headrace-exporter", *WRITERS]),
        ("writer.logs.settings.batch_max_age_s=5", ["headrace-writer-logs"]),
        ('gateway.auth.secretName=""', ["headrace-agent", "headrace-gateway"]),
        ("kafka.tls.enabled=true", ["headrace-exporter", "headrace-gateway", *WRITERS]),
        ("autoscaling.utilization=0.5", []),
    ],
)
def test_a_changed_setting_rolls_out_where_it_counts(change: str, rolled: list[str]) -> None:
    before, after = checksums(), checksums(change)
    assert sorted(name for name in before if before[name] != after[name]) == sorted(rolled)


def test_only_metrics_go_first() -> None:
    objects = rendered("production")
    [priority] = of_kind(objects, "PriorityClass")
    classes = {name: t["spec"].get("priorityClassName") for name, t in lasting(objects).items()}
    assert {name for name, each in classes.items() if each} == {"headrace-writer-metrics"}
    assert classes["headrace-writer-metrics"] == priority


def test_migrations_come_first_and_alone() -> None:
    objects = rendered("production")
    jobs = of_kind(objects, "Job")
    hooks = {
        name: (each["metadata"]["annotations"]["helm.sh/hook"],
               int(each["metadata"]["annotations"]["helm.sh/hook-weight"]))
        for kind in ("ServiceAccount", "NetworkPolicy", "Job")
        for name, each in of_kind(objects, kind).items()
        if "helm.sh/hook" in each["metadata"].get("annotations", {})
    }  # fmt: skip
    assert {phase for phase, _ in hooks.values()} == {"pre-install,pre-upgrade"}
    # Account and policy, then migrations, then what needs the tables.
    assert hooks["headrace-job"][1] < hooks["headrace-migrate"][1] < hooks["headrace-retention"][1]
    for job in jobs.values():
        spec = job["spec"]
        assert (spec["parallelism"], spec["completions"]) == (1, 1)
        assert spec["podReplacementPolicy"] == "Failed"
        [rule] = spec["podFailurePolicy"]["rules"]
        assert rule["onExitCodes"]["values"] == [command.FAILED, command.USAGE]
        # A hook precedes the release's ConfigMaps.
        assert "envFrom" not in container(spec["template"])
    command.make_parser().parse_args(
        container(jobs["headrace-migrate"]["spec"]["template"])["args"]
    )
    for values, limits in (
        ("production", [7, 30, 14, 3, 396]),
        ("default", ["default"] * len(DEFAULT_DAYS)),
    ):
        job = of_kind(rendered(values), "Job")["headrace-retention"]
        kept = command.make_parser().parse_args(container(job["spec"]["template"])["args"])
        assert [getattr(kept, rows) for rows in DEFAULT_DAYS] == limits


def test_gateways_drain_before_they_end() -> None:
    for name in ("headrace-gateway", "headrace-agent"):
        template = lasting(rendered("production"))[name]
        wait = container(template)["lifecycle"]["preStop"]["sleep"]["seconds"]
        # 10 s: what a request may wait for Kafka; 15 s: what an agent waits for a gateway.
        assert template["spec"]["terminationGracePeriodSeconds"] > wait + (
            10 if name == "headrace-gateway" else 15
        )
    heap = variables(rendered("production"), lasting(rendered("production"))["headrace-gateway"])
    assert int(heap["HEADRACE_GATEWAY_MEMORY_MIB"]) == 1024
    known = set(re.findall(r"\$\{env:(\w+)", "".join(
        (ROOT / "services" / "gateway" / f"{each}.yaml").read_text()
        for each in ("gateway", "agent", "auth-bearer")
    )))  # fmt: skip
    for name in ("headrace-gateway", "headrace-agent"):
        given = variables(rendered("production"), lasting(rendered("production"))[name])
        assert given.keys() <= known | {"GOMEMLIMIT"}
