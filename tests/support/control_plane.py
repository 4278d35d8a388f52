"""A real Kubernetes control plane on loopback, and nodes that only say that pods run.

The API server, the controllers and etcd are those of Kubernetes (deploy/native/kube); there is no
kubelet and no container: `Nodes` binds pods and reports what a kubelet would if all went well.
"""

import json
import os
import socket
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import yaml

from headrace_native.layout import CACHE
from support.chart import KUBE

BINARY = CACHE / "tools" / "headrace-kube"
NODE = "paper"
TOKEN = "paper"
POLL_S = 0.3
CONTENT = {"POST": "application/json", "PATCH": "application/merge-patch+json"}
# Its certificate is its own, and it listens on loopback alone.
UNCHECKED = ssl._create_unverified_context()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Kube:
    """kubectl and helm against one API server."""

    def __init__(self, kubeconfig: Path, port: int) -> None:
        self._server = f"https://127.0.0.1:{port}"
        self.environment = os.environ | {"KUBECONFIG": str(kubeconfig)}
        home = {"HELM_CACHE_HOME": str(KUBE / "home"), "HELM_CONFIG_HOME": str(KUBE / "home")}
        self.environment |= home

    def run(self, program: str, *arguments: str | Path, given: str = "") -> Any:
        """The process, ended; nothing is raised."""
        return subprocess.run(
            [KUBE / program, *arguments],
            input=given, capture_output=True, text=True, check=False, timeout=600,
            env=self.environment,
        )  # fmt: skip

    def call(self, method: str, path: str, body: object = None) -> Any:
        """One request, without a process for it. None when the server refuses."""
        request = urllib.request.Request(
            self._server + path, json.dumps(body).encode() if body else None,
            {"Authorization": f"Bearer {TOKEN}", "Content-Type": CONTENT.get(method, "")},
            method=method,
        )  # fmt: skip
        try:
            with urllib.request.urlopen(request, timeout=30, context=UNCHECKED) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            error.close()
            return None

    def get(self, *arguments: str) -> list[dict[str, Any]]:
        """What kubectl finds, as objects."""
        done = self.run("kubectl", "get", *arguments, "-o", "json")
        assert done.returncode == 0, done.stderr
        items: list[dict[str, Any]] = json.loads(done.stdout)["items"]
        return items

    def apply(self, *objects: dict[str, Any], subresource: str = "") -> None:
        """Server-side: large CRDs do not fit into an annotation."""
        flags = ["--subresource", subresource] if subresource else []
        done = self.run("kubectl", "apply", "--server-side", "--force-conflicts", *flags, "-f", "-",
                        given=yaml.safe_dump_all(objects))  # fmt: skip
        assert done.returncode == 0, done.stderr


class Nodes:
    """One node on paper: pods are bound to it, run at once, and those of Jobs succeed."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> "Nodes":
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}}
        ready = {"type": "Ready", "status": "True", "reason": "Paper", "message": ""}
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        ready |= {"lastHeartbeatTime": stamp, "lastTransitionTime": stamp}
        self._kube.apply(node)
        self._kube.apply({**node, "status": {"conditions": [ready]}}, subresource="status")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _work(self) -> None:
        while not self._stop.wait(POLL_S):
            for pod in self._kube.call("GET", "/api/v1/pods")["items"]:
                self._advance(pod)

    def _advance(self, pod: dict[str, Any]) -> None:
        """One step of a pod's life. A refusal means that it changed meanwhile: next time."""
        name, space = pod["metadata"]["name"], pod["metadata"]["namespace"]
        path = f"/api/v1/namespaces/{space}/pods/{name}"
        if pod["metadata"].get("deletionTimestamp"):
            self._kube.call("DELETE", f"{path}?gracePeriodSeconds=0")
        elif "nodeName" not in pod["spec"]:
            target = {"apiVersion": "v1", "kind": "Node", "name": NODE}
            binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name}}
            self._kube.call("POST", f"{path}/binding", {**binding, "target": target})
        elif pod["status"].get("phase") == "Pending":
            self._kube.call("PATCH", f"{path}/status", {"status": _status(pod)})


def _status(pod: dict[str, Any]) -> dict[str, Any]:
    ends = pod["spec"]["restartPolicy"] == "Never"
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    state = (
        {"terminated": {"exitCode": 0, "reason": "Completed", "startedAt": now, "finishedAt": now}}
        if ends
        else {"running": {"startedAt": now}}
    )
    return {
        "phase": "Succeeded" if ends else "Running",
        "startTime": now,
        "conditions": [
            {"type": kind, "status": "False" if ends else "True", "lastTransitionTime": now}
            for kind in ("Ready", "ContainersReady")
        ],
        "containerStatuses": [
            {"name": each["name"], "image": each["image"], "imageID": "", "restartCount": 0,
             "ready": not ends, "started": not ends, "state": state}
            for each in pod["spec"]["containers"]
        ],
    }  # fmt: skip


@contextmanager
def control_plane(folder: Path) -> Iterator[Kube]:
    """etcd, API server and controllers in a folder; all ended at the end."""
    client, peer, secure, manager = (free_port() for _ in range(4))
    keys, tokens = folder / "sa.key", folder / "tokens"
    subprocess.run(["openssl", "genrsa", "-out", keys, "2048"], check=True, capture_output=True)
    tokens.write_text(f"{TOKEN},admin,admin,system:masters\n")
    kubeconfig = folder / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(_kubeconfig(secure)))
    kube = Kube(kubeconfig, secure)
    with ExitStack() as processes:
        for command in (
            ["etcd", f"--data-dir={folder / 'etcd'}", "--unsafe-no-fsync",
             f"--listen-client-urls=http://127.0.0.1:{client}",
             f"--advertise-client-urls=http://127.0.0.1:{client}",
             f"--listen-peer-urls=http://127.0.0.1:{peer}",
             f"--initial-advertise-peer-urls=http://127.0.0.1:{peer}",
             f"--initial-cluster=default=http://127.0.0.1:{peer}"],
            ["kube-apiserver", f"--etcd-servers=http://127.0.0.1:{client}",
             "--bind-address=127.0.0.1", f"--secure-port={secure}",
             f"--cert-dir={folder / 'certs'}", f"--token-auth-file={tokens}",
             "--service-cluster-ip-range=10.96.0.0/16",
             "--authorization-mode=RBAC", "--service-account-issuer=https://kubernetes.default.svc",
             f"--service-account-key-file={keys}", f"--service-account-signing-key-file={keys}"],
            ["kube-controller-manager", f"--kubeconfig={kubeconfig}", "--bind-address=127.0.0.1",
             f"--secure-port={manager}", f"--cert-dir={folder / 'certs'}",
             f"--service-account-private-key-file={keys}", "--leader-elect=false"],
        ):  # fmt: skip
            processes.enter_context(_process(command, folder / f"{command[0]}.log"))
            if command[0] == "kube-apiserver":
                _until_ready(kube, folder)
        yield kube


def _kubeconfig(port: int) -> dict[str, Any]:
    cluster = {"server": f"https://127.0.0.1:{port}", "insecure-skip-tls-verify": True}
    return {
        "apiVersion": "v1", "kind": "Config", "current-context": "paper",
        "clusters": [{"name": "paper", "cluster": cluster}],
        "users": [{"name": "admin", "user": {"token": TOKEN}}],
        "contexts": [{"name": "paper", "context": {"cluster": "paper", "user": "admin"}}],
    }  # fmt: skip


@contextmanager
def _process(command: Sequence[str], log: Path) -> Iterator[None]:
    with log.open("w") as file:
        process = subprocess.Popen([BINARY, *command], stdout=file, stderr=file)
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _until_ready(kube: Kube, folder: Path) -> None:
    deadline = time.monotonic() + 120
    while not _listens(kube):
        log = (folder / "kube-apiserver.log").read_text()[-2000:]
        assert time.monotonic() < deadline, f"the API server is not ready:\n{log}"
        time.sleep(POLL_S)


def _listens(kube: Kube) -> bool:
    try:
        return kube.call("GET", "/api/v1/namespaces/default") is not None
    except OSError:
        return False
