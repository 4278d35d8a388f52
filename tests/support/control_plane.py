"""A real Kubernetes control plane on loopback, and nodes that only say that pods run.

The API server, the controllers and etcd are those of Kubernetes (deploy/native/kube); there is no
kubelet and no container: `Nodes` binds pods and reports what a kubelet would if all went well, or
what somebody who really runs them says (`Runtime`).
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
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol

import yaml

from headrace_native.layout import CACHE
from support.chart import KUBE

BINARY = CACHE / "tools" / "headrace-kube"
NODE = "paper"
TOKEN = "paper"
POLL_S = 0.3
BEAT_S = 10.0
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
        self.port = port
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


class Runtime(Protocol):
    """Who runs pods. Asked again and again, so neither method waits."""

    def ready(self, pod: dict[str, Any]) -> bool:
        """Whether a pod's containers are ready; begins them where they have not begun."""

    def ended(self, pod: dict[str, Any]) -> bool:
        """Whether nothing of a pod runs any more; asks it to end where nobody has."""


class Paper:
    """Every pod is ready at once, and gone at once."""

    def ready(self, _: dict[str, Any]) -> bool:
        return True

    def ended(self, _: dict[str, Any]) -> bool:
        return True


class Nodes:
    """One node on paper: pods are bound to it and begin at once, and those of Jobs succeed."""

    def __init__(self, kube: Kube, runtime: Runtime | None = None) -> None:
        self._kube = kube
        self._runtime = runtime or Paper()
        self._since, self._due = _now(), 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> "Nodes":
        self._kube.apply({"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}})
        self._beat()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _beat(self) -> None:
        """A node that is not heard of for most of a minute is unreachable, and its pods unready."""
        ready = {"type": "Ready", "status": "True", "reason": "Paper", "message": ""}
        ready |= {"lastHeartbeatTime": _now(), "lastTransitionTime": self._since}
        status = {"status": {"conditions": [ready]}}
        self._kube.call("PATCH", f"/api/v1/nodes/{NODE}/status", status)
        self._due = time.monotonic() + BEAT_S

    def _work(self) -> None:
        while not self._stop.wait(POLL_S):
            if time.monotonic() >= self._due:
                self._beat()
            for pod in self._kube.call("GET", "/api/v1/pods")["items"]:
                self._advance(pod)

    def _advance(self, pod: dict[str, Any]) -> None:
        """One step of a pod's life. A refusal means that it changed meanwhile: next time."""
        name, space = pod["metadata"]["name"], pod["metadata"]["namespace"]
        path = f"/api/v1/namespaces/{space}/pods/{name}"
        if pod["metadata"].get("deletionTimestamp"):
            if self._runtime.ended(pod):
                self._kube.call("DELETE", f"{path}?gracePeriodSeconds=0")
        elif "nodeName" not in pod["spec"]:
            target = {"apiVersion": "v1", "kind": "Node", "name": NODE}
            binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name}}
            self._kube.call("POST", f"{path}/binding", {**binding, "target": target})
        elif pod["status"].get("phase") in {"Pending", "Running"}:
            ready = pod["spec"]["restartPolicy"] != "Never" and self._runtime.ready(pod)
            if pod["status"]["phase"] == "Pending" or ready != _is_ready(pod):
                self._kube.call("PATCH", f"{path}/status", {"status": _status(pod, ready)})


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _is_ready(pod: dict[str, Any]) -> bool:
    """As the controllers see it, who call the pods of a lost node unready themselves."""
    conditions = pod["status"]["conditions"]
    return all(each["status"] == "True" for each in conditions if each["type"] == "Ready")


def _status(pod: dict[str, Any], ready: bool) -> dict[str, Any]:
    ends = pod["spec"]["restartPolicy"] == "Never"
    now = _now()
    state = (
        {"terminated": {"exitCode": 0, "reason": "Completed", "startedAt": now, "finishedAt": now}}
        if ends
        else {"running": {"startedAt": now}}
    )
    return {
        "phase": "Succeeded" if ends else "Running",
        "startTime": pod["status"].get("startTime", now),
        "conditions": [
            {"type": kind, "status": str(ready), "lastTransitionTime": now}
            for kind in ("Ready", "ContainersReady")
        ],
        "containerStatuses": [
            {"name": each["name"], "image": each["image"], "imageID": "", "restartCount": 0,
             "ready": ready, "started": ready, "state": state}
            for each in pod["spec"]["containers"]
        ],
    }  # fmt: skip


@contextmanager
def control_plane(folder: Path) -> Iterator[Kube]:
    """etcd, API server and controllers in a folder; all ended at the end."""
    client, peer, secure, manager = (free_port() for _ in range(4))
    keys, tokens = folder / "sa.key", folder / "tokens"
    subprocess.run(["openssl", "genrsa", "-out", keys, "2048"], check=True, capture_output=True)
    certify(folder / "proxy", "front-proxy")
    tokens.write_text(f"{TOKEN},admin,admin,system:masters\n")
    kubeconfig = folder / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(access(secure, TOKEN)))
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
             f"--service-account-key-file={keys}", f"--service-account-signing-key-file={keys}",
             # How it shows itself to API servers that it aggregates.
             f"--requestheader-client-ca-file={folder / 'proxy' / 'ca.crt'}",
             f"--proxy-client-cert-file={folder / 'proxy' / 'tls.crt'}",
             f"--proxy-client-key-file={folder / 'proxy' / 'tls.key'}",
             "--requestheader-username-headers=X-Remote-User",
             "--requestheader-group-headers=X-Remote-Group",
             "--requestheader-extra-headers-prefix=X-Remote-Extra-"],
            ["kube-controller-manager", f"--kubeconfig={kubeconfig}", "--bind-address=127.0.0.1",
             f"--secure-port={manager}", f"--cert-dir={folder / 'certs'}",
             f"--service-account-private-key-file={keys}", "--leader-elect=false"],
        ):  # fmt: skip
            log = folder / f"{command[0]}.log"
            processes.enter_context(process([BINARY, *command], log))
            if command[0] == "kube-apiserver":
                _until_ready(kube, folder)
        yield kube


def access(port: int, token: str) -> dict[str, Any]:
    """A kubeconfig."""
    cluster = {"server": f"https://127.0.0.1:{port}", "insecure-skip-tls-verify": True}
    return {
        "apiVersion": "v1", "kind": "Config", "current-context": "paper",
        "clusters": [{"name": "paper", "cluster": cluster}],
        "users": [{"name": "bearer", "user": {"token": token}}],
        "contexts": [{"name": "paper", "context": {"cluster": "paper", "user": "bearer"}}],
    }  # fmt: skip


@contextmanager
def process(
    command: Sequence[str | Path], log: Path, environment: Mapping[str, str] | None = None
) -> Iterator["subprocess.Popen[bytes]"]:
    """A process that runs until the end; `environment` is added to ours."""
    with log.open("w") as file:
        running = subprocess.Popen(
            command, stdout=file, stderr=file, env=os.environ | (environment or {})
        )
        try:
            yield running
        finally:
            running.terminate()
            try:
                running.wait(timeout=20)
            except subprocess.TimeoutExpired:
                running.kill()
                running.wait()


def certify(folder: Path, *names: str) -> None:
    """ca.crt, tls.crt and tls.key in a new folder; the first name is the subject's, too."""
    folder.mkdir()
    request = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    alternatives = ",".join(f"DNS:{name}" for name in names)
    for arguments in (
        ["-subj", "/CN=paper", "-keyout", "ca.key", "-out", "ca.crt"],
        ["-subj", f"/CN={names[0]}", "-keyout", "tls.key", "-out", "tls.crt",
         "-CA", "ca.crt", "-CAkey", "ca.key", "-addext", f"subjectAltName={alternatives}",
         "-addext", "basicConstraints=critical,CA:FALSE"],
    ):  # fmt: skip
        subprocess.run([*request, *arguments], check=True, capture_output=True, cwd=folder)


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
