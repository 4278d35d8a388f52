"""Pods of the writers of one signal as processes of a native cluster: what a kubelet would do."""

import signal as signals
from typing import Any

import yaml

from headrace_native.probe import why_not_ready
from headrace_native.supervise import Supervisor
from headrace_writer.core.block import Signal
from support.cluster import Cluster
from support.control_plane import Paper


class NativeWriters(Paper):
    """A pod of the signal's Deployment is a writer of the cluster; any other is on paper.

    There are as many places as the cluster describes writers. A pod that finds none waits. What a
    writer reads its settings from is the cluster's description, not the pod's ConfigMap.
    """

    def __init__(self, cluster: Cluster, signal: Signal) -> None:
        self._layout = cluster.layout
        self._supervisor = Supervisor(cluster.layout.socket)
        self._component = f"writer-{signal}"
        self.names = [one.name for one in cluster.layout.writers if one.signal == signal]
        self._free = list(self.names)
        self._taken: dict[str, str] = {}
        """Writers by the UID of their pod."""
        self._ending: set[str] = set()
        for name in self.names:
            self._supervisor.stop(name)

    def running(self) -> int:
        """Processes, those that drain included."""
        states = self._supervisor.states()
        return sum(bool(states[name].pid) for name in self.names)

    def ready(self, pod: dict[str, Any]) -> bool:
        labels = pod["metadata"].get("labels", {})
        if labels.get("app.kubernetes.io/component") != self._component:
            return True
        uid = pod["metadata"]["uid"]
        if uid not in self._taken:
            if not self._free:
                return False
            self._taken[uid] = self._free.pop(0)
            self._supervisor.start(self._taken[uid])
        return not why_not_ready(self._layout, self._layout.components[self._taken[uid]])

    def ended(self, pod: dict[str, Any]) -> bool:
        uid = pod["metadata"]["uid"]
        if uid not in self._taken:
            return True
        name = self._taken[uid]
        if uid not in self._ending:
            self._ending.add(uid)
            self._supervisor.stop(name, wait=False)
        if self._supervisor.state(name).pid:
            return False
        self._ending.remove(uid)
        self._free.append(self._taken.pop(uid))
        return True


def scraped_as(cluster: Cluster, namespace: str) -> None:
    """Let the cluster's Prometheus name a namespace with every target, as PodMonitors do."""
    file = cluster.layout.conf / "prometheus.yml"
    described = yaml.safe_load(file.read_text())
    for job in described["scrape_configs"]:
        for targets in job["static_configs"]:
            targets["labels"] = {**targets.get("labels", {}), "namespace": namespace}
    file.write_text(yaml.safe_dump(described))
    cluster.control.send("prometheus", signals.SIGHUP)
