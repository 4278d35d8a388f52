"""The chart in a real control plane: installed, upgraded, tested and removed by helm.

`make kube-e2e`; not part of `make test`, because the control plane has to be compiled first. Pods
run on paper (support/control_plane.py); what is real is the API server with its admission (the
restricted profile is enforced), the CRDs' validation, and the controllers.
"""

import json
import time
from collections.abc import Iterator

import pytest
import yaml

from support.chart import CHART, EXAMPLES, NAMESPACE, VALUES, tools
from support.control_plane import Kube, Nodes, control_plane

pytestmark = pytest.mark.timeout(900)
VALUES_FILE = str(VALUES["production"])


@pytest.fixture(scope="module")
def kube(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kube]:
    """A cluster with every operator's CRDs and a namespace that enforces the restricted profile."""
    tools()
    with control_plane(tmp_path_factory.mktemp("kube")) as up:
        for file in sorted((tools() / "crds").glob("*.yaml")):
            up.apply(*yaml.safe_load_all(file.read_text()))
        enforced = {
            f"pod-security.kubernetes.io/{how}": "restricted" for how in ("enforce", "warn")
        }
        up.apply({"apiVersion": "v1", "kind": "Namespace",
                  "metadata": {"name": NAMESPACE, "labels": enforced}})  # fmt: skip
        with Nodes(up):
            yield up


@pytest.fixture(scope="module")
def release(kube: Kube) -> Kube:
    """The chart, installed for production; helm waits for hooks and for everything to be ready."""
    done = kube.run("helm", "install", "headrace", CHART, "--namespace", NAMESPACE, "--values",
                    VALUES_FILE, "--wait", "--timeout", "8m")  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    # What a namespace's profile dislikes comes back as a warning.
    assert "violate PodSecurity" not in done.stderr
    return kube


def generations(kube: Kube) -> dict[str, str]:
    """The pod template's hash of each Deployment that is fully available."""
    found = {}
    for each in kube.get("replicasets", "-n", NAMESPACE):
        if each["spec"]["replicas"]:
            labels = each["metadata"]["labels"]
            found[labels["app.kubernetes.io/component"]] = labels["pod-template-hash"]
    return found


def test_everything_is_available(release: Kube) -> None:
    deployments = release.get("deployments", "-n", NAMESPACE)
    assert len(deployments) == 5
    for each in deployments:
        assert each["status"]["availableReplicas"] == each["spec"]["replicas"], each["metadata"]
    [agents] = release.get("daemonsets", "-n", NAMESPACE)
    assert agents["status"]["numberReady"] == 1
    jobs = {each["metadata"]["name"]: each for each in release.get("jobs", "-n", NAMESPACE)}
    assert jobs.keys() == {"headrace-migrate", "headrace-retention"}
    ended = {name: each["status"]["completionTime"] for name, each in jobs.items()}
    began = [each["metadata"]["creationTimestamp"] for each in deployments]
    assert ended["headrace-migrate"] <= ended["headrace-retention"] <= min(began)
    assert len(release.get("scaledobjects", "-n", NAMESPACE)) == 3


def test_one_pod_of_a_kind_may_be_evicted(release: Kube) -> None:
    deadline = time.monotonic() + 30  # the controller counts a little after the pods are ready
    while True:
        budgets = release.get("poddisruptionbudgets", "-n", NAMESPACE)
        allowed = [each["status"].get("disruptionsAllowed") for each in budgets]
        if allowed == [1, 1, 1, 1]:
            return
        assert time.monotonic() < deadline, allowed
        time.sleep(0.5)


def test_helm_test_runs_the_audit(release: Kube) -> None:
    done = release.run("helm", "test", "headrace", "--namespace", NAMESPACE, "--timeout", "4m")
    assert done.returncode == 0, done.stderr
    [pod] = release.get("pods", "-n", NAMESPACE, "--field-selector=metadata.name=headrace-audit")
    assert pod["spec"]["containers"][0]["args"] == ["audit", "--since=15m"]


def test_an_upgrade_rolls_what_changed(release: Kube) -> None:
    before = generations(release)
    done = release.run("helm", "upgrade", "headrace", CHART, "--namespace", NAMESPACE, "--values",
                       VALUES_FILE, "--set", "writer.settings.batch_max_bytes=50000000",
                       "--wait", "--timeout", "8m")  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    after = generations(release)
    assert {name for name in before if before[name] != after[name]} == {
        "writer-traces", "writer-metrics", "writer-logs", "exporter",
    }  # fmt: skip


def test_a_volume_of_the_node_is_refused_by_the_profile(release: Kube) -> None:
    done = release.run("helm", "upgrade", "headrace", CHART, "--namespace", NAMESPACE, "--values",
                       VALUES_FILE, "--set", "agent.hostPath=/var/lib/queue",
                       "--dry-run=server")  # fmt: skip
    assert done.returncode == 0, done.stderr
    agent = next(each for each in yaml.safe_load_all(done.stdout.partition("MANIFEST:")[2])
                 if each and each["kind"] == "DaemonSet")  # fmt: skip
    pod = {
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "agent", "namespace": NAMESPACE},
        "spec": agent["spec"]["template"]["spec"],
    }  # fmt: skip
    refused = release.run("kubectl", "create", "--dry-run=server", "-f", "-", given=json.dumps(pod))
    assert refused.returncode != 0
    assert "hostPath" in refused.stderr


def test_the_kafka_example_is_accepted(release: Kube) -> None:
    release.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kafka"}})
    done = release.run("kubectl", "create", "-n", "kafka", "-f", EXAMPLES / "kafka-strimzi.yaml")
    assert done.returncode == 0, done.stderr
    assert "unknown field" not in done.stderr
    assert len(release.get("kafkatopics", "-n", "kafka")) == 4


@pytest.mark.parametrize("values", VALUES)
def test_the_server_takes_every_set_of_values(release: Kube, values: str) -> None:
    file = VALUES[values]
    name = f"{values}-values"
    release.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    done = release.run("helm", "template", "other", CHART, "--namespace", name, "--no-hooks",
                       *(["--values", str(file)] if file else []))  # fmt: skip
    assert done.returncode == 0, done.stderr
    accepted = release.run("kubectl", "create", "--dry-run=server", "--validate=strict",
                           "-n", name, "-f", "-", given=done.stdout)  # fmt: skip
    assert accepted.returncode == 0, accepted.stderr


def test_uninstalling_leaves_only_the_hooks(release: Kube) -> None:
    done = release.run("helm", "uninstall", "headrace", "--namespace", NAMESPACE, "--wait")
    assert done.returncode == 0, done.stderr
    deadline = time.monotonic() + 60
    while left := [
        each["metadata"]["name"]
        for each in release.get("all,configmaps,networkpolicies,serviceaccounts,scaledobjects",
                                "-n", NAMESPACE, "-l", "app.kubernetes.io/instance=headrace")
        if each["metadata"]["labels"]["app.kubernetes.io/component"] != "job"
    ]:  # fmt: skip
        assert time.monotonic() < deadline, left
        time.sleep(0.5)
