"""KEDA beside a control plane: its operator and metrics adapter as processes on loopback.

Both are KEDA's own programs (deploy/native/setup/keda.sh) under the rights that KEDA's own objects
give their account. Two things stand in for a node: certificates are made here, and the Service of
the adapter is a name for loopback instead of a selector of pods.
"""

import base64
import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import yaml

from headrace_native.layout import CACHE
from support.control_plane import POLL_S, Kube, access, certify, free_port, process

FOLDER = CACHE / "tools" / "keda"
NAMESPACE = "keda"
ACCOUNT = "keda-operator"
ADAPTER = "keda-metrics-apiserver"
SERVED = "v1beta1.external.metrics.k8s.io"
EXTERNAL = "/apis/external.metrics.k8s.io/v1beta1"
START_S = 90


@contextmanager
def keda(kube: Kube, folder: Path) -> Iterator[None]:
    """Ready when the API server gets external metrics from the adapter."""
    _objects(kube, "crds")
    _objects(kube, "objects")
    certificates = folder / "certificates"
    # The API server asks for the Service's name, the adapter for that under which it finds the
    # operator.
    certify(certificates, f"{ADAPTER}.{NAMESPACE}.svc", "localhost")
    kubeconfig = folder / "keda.kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(access(kube.port, _token(kube))))
    environment = {
        "KUBECONFIG": str(kubeconfig), "WATCH_NAMESPACE": "", "POD_NAMESPACE": NAMESPACE,
        "KEDA_CLUSTER_OBJECT_NAMESPACE": NAMESPACE,
    }  # fmt: skip
    metrics, health, service, secure, own = (free_port() for _ in range(5))
    operator = [
        str(FOLDER / "operator"), f"--metrics-bind-address=127.0.0.1:{metrics}",
        f"--health-probe-bind-address=127.0.0.1:{health}", f"--cert-dir={certificates}",
        f"--metrics-service-bind-address=127.0.0.1:{service}", "--zap-encoder=console",
        "--zap-time-encoding=rfc3339",
    ]  # fmt: skip
    adapter = [
        str(FOLDER / "adapter"), f"--secure-port={secure}", "--bind-address=127.0.0.1",
        f"--port={own}", f"--cert-dir={certificates}",
        f"--tls-cert-file={certificates / 'tls.crt'}",
        f"--tls-private-key-file={certificates / 'tls.key'}",
        f"--metrics-service-address=localhost:{service}",
        *(f"--{what}-kubeconfig={kubeconfig}"
          for what in ("lister", "authentication", "authorization")),
    ]  # fmt: skip
    with ExitStack() as processes:
        processes.enter_context(process(operator, folder / "operator.log", environment))
        processes.enter_context(process(adapter, folder / "adapter.log", environment))
        _register(kube, secure, certificates)
        _until_served(kube, folder)
        yield


def _objects(kube: Kube, kind: str) -> None:
    for file in sorted((FOLDER / kind).glob("*.yaml")):
        kube.apply(*(each for each in yaml.safe_load_all(file.read_text()) if each))


def _token(kube: Kube) -> str:
    """What a pod of KEDA's account would be given."""
    done = kube.run("kubectl", "create", "token", ACCOUNT, "-n", NAMESPACE, "--duration=2h")
    assert done.returncode == 0, done.stderr
    return str(done.stdout).strip()


def _register(kube: Kube, port: int, certificates: Path) -> None:
    """The APIService of KEDA's objects, led to the adapter's port."""
    kube.apply({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": ADAPTER, "namespace": NAMESPACE},
        "spec": {"type": "ExternalName", "externalName": "localhost"},
    })  # fmt: skip
    authority = base64.b64encode((certificates / "ca.crt").read_bytes()).decode()
    changed = {"caBundle": authority, "service": {"port": port}}
    done = kube.run("kubectl", "patch", "apiservice", SERVED, "--type=merge",
                    "-p", json.dumps({"spec": changed}))  # fmt: skip
    assert done.returncode == 0, done.stderr


def _until_served(kube: Kube, folder: Path) -> None:
    deadline = time.monotonic() + START_S
    while kube.call("GET", EXTERNAL) is None:
        logs = "\n".join(
            (folder / f"{name}.log").read_text()[-2000:] for name in ("operator", "adapter")
        )
        assert time.monotonic() < deadline, f"KEDA serves no metrics:\n{logs}"
        time.sleep(POLL_S)


def autoscaler(kube: Kube, namespace: str, scaled_object: str) -> dict[str, Any]:
    """The HPA that KEDA made for a ScaledObject; empty while there is none."""
    path = f"/apis/autoscaling/v2/namespaces/{namespace}/horizontalpodautoscalers"
    return kube.call("GET", f"{path}/keda-hpa-{scaled_object}") or {}
