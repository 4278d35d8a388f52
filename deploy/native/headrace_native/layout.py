"""From a description to components: names, ports, commands, environments, files."""

import hashlib
import os
import shutil
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from headrace_native.component import Component, Gateway, Replica, Writer
from headrace_native.spec import ROOT, SIGNALS, Spec

CACHE = ROOT / ".cache"
VENV_BIN = ROOT / ".venv" / "bin"
GATEWAY_CONFIG = ROOT / "services" / "gateway"
# Pages that Prometheus fills in; they need neither Grafana nor a script.
CONSOLES = ROOT / "deploy" / "observability" / "prometheus" / "consoles"

# Set in every process of an instance; how leftovers are found when supervisord is gone.
MARKER = "HEADRACE_NATIVE_INSTANCE"

TOPICS = {"traces": "otlp_spans", "metrics": "otlp_metrics", "logs": "otlp_logs"}
DEAD_LETTERS = "otlp_dlq"
GROUPS = {signal: f"headrace-{signal}" for signal in SIGNALS}

# Where nobody has set anything, and again what was set.
KEEP = (str(VENV_BIN / "headrace"), "retention", "set", "--defaults", "--yes")
DAILY = ROOT / "deploy" / "native" / "daily.sh"

# Gateways refuse requests above 16 MiB and Kafka batches above 17 MiB (gateway.yaml).
BROKER_MESSAGE_BYTES = 18 << 20

# Debian puts ZooKeeper's jar in /usr/share/java; its manifest names the jars it needs.
ZOOKEEPER_CLASSPATH = "/usr/share/java/zookeeper.jar:/usr/share/java/slf4j-simple.jar"


class Layout:
    """The components of one described cluster, in the order in which they start."""

    def __init__(self, spec: Spec, token: str = "") -> None:
        """`token`: the bearer token that gateways ask for; empty means none."""
        self.spec = spec
        self.token = token
        self.dir = CACHE / "cluster" / spec.name
        self.run, self.data, self.logs = (self.dir / each for each in ("run", "data", "logs"))
        self.conf = self.dir / "conf"

    @cached_property
    def socket(self) -> Path:
        """Supervisor's unix socket; elsewhere when the checkout's path is too long for one."""
        path = self.run / "supervisor.sock"
        if len(os.fsencode(path)) < 100:  # the kernel's limit is 108 with the final zero
            return path
        return Path(f"/tmp/headrace-{os.getuid()}-{self.spec.name}-{hash_of(path)}.sock")  # noqa: S108

    @cached_property
    def replicas(self) -> list[Replica]:
        spec = self.spec
        return [
            Replica(
                shard=index // spec.replicas + 1,
                replica=index % spec.replicas + 1,
                tcp=spec.port("clickhouse", index),
                http=spec.port("clickhouse_http", index),
                interserver=spec.port("clickhouse_interserver", index),
            )
            for index in range(spec.shards * spec.replicas)
        ]

    @cached_property
    def shards(self) -> list[list[Replica]]:
        per_shard = self.spec.replicas
        return [
            self.replicas[at : at + per_shard] for at in range(0, len(self.replicas), per_shard)
        ]

    @cached_property
    def gateways(self) -> list[Gateway]:
        return [
            Gateway(
                f"gateway-{index + 1}",
                *(
                    self.spec.port(f"gateway_{kind}", index, step=10)
                    for kind in ("grpc", "http", "health", "metrics")
                ),
            )
            for index in range(self.spec.gateways)
        ]

    @cached_property
    def writers(self) -> list[Writer]:
        found: list[Writer] = []
        for signal in SIGNALS:
            for number in range(1, self.spec.writers(signal) + 1):
                name = f"writer-{signal}" + (f"-{number}" if number > 1 else "")
                found.append(Writer(name, signal, self.spec.port("writer", len(found))))
        return found

    @cached_property
    def brokers(self) -> list[str]:
        """host:port of each broker."""
        return [f"127.0.0.1:{self.spec.port('kafka', i)}" for i in range(self.spec.brokers)]

    @property
    def bootstrap(self) -> str:
        return ",".join(self.brokers)

    @property
    def voters(self) -> str:
        """`controller.quorum.voters`: every broker is a controller, too."""
        ports = (self.spec.port("kafka_controller", i) for i in range(self.spec.brokers))
        return ",".join(f"{i}@127.0.0.1:{port}" for i, port in enumerate(ports, start=1))

    @property
    def clickhouse_shards(self) -> str:
        """HEADRACE_CLICKHOUSE_SHARDS: replicas by comma, shards by semicolon."""
        return ";".join(
            ",".join(f"127.0.0.1:{each.tcp}" for each in shard) for shard in self.shards
        )

    @property
    def writer_environment(self) -> dict[str, str]:
        """The settings that writers and migrations share."""
        writers = self.spec.values["writers"]
        batch = int(writers["batch_max_mib"]) << 20
        return {
            "HEADRACE_KAFKA_BOOTSTRAP_SERVERS": self.bootstrap,
            "HEADRACE_CLICKHOUSE_SHARDS": self.clickhouse_shards,
            "HEADRACE_CLICKHOUSE_DATABASE": str(self.spec.values["clickhouse"]["database"]),
            "HEADRACE_CLICKHOUSE_TOPOLOGY": "cluster",
            "HEADRACE_CLICKHOUSE_INSERT_QUORUM": str(writers["insert_quorum"]),
            "HEADRACE_BATCH_MAX_BYTES": str(batch),
            "HEADRACE_BACKLOG_MAX_BYTES": str(batch),
            **self._tracing(),
        }

    def _tracing(self) -> dict[str, str]:
        """Writers send spans of their own batches through the pipeline, unless it asks for a token,
        which they have not."""
        every_s = self.spec.values["writers"]["trace_every_s"]
        if not every_s or self.token:
            return {}
        endpoint = f"127.0.0.1:{self.spec.port('otlp_grpc')}"
        return {
            "HEADRACE_TRACE_ENDPOINT": endpoint,
            "HEADRACE_TRACE_EVERY_S": str(every_s),
        }

    @cached_property
    def components(self) -> dict[str, Component]:
        """Every component by name, in start order."""
        found = [
            self._zookeeper(),
            *self._kafka(),
            *self._clickhouse(),
            *self._gateways(),
            self._haproxy(),
            self._prometheus(),
            *self._writers(),
            self._exporter(),
            *self._retention(),
        ]
        return {each.name: each for each in found}

    def _zookeeper(self) -> Component:
        conf = self.conf / "zoo.cfg"
        heap = self.spec.values["zookeeper"]["heap_mib"]
        command = (
            *java(heap, "-XX:TieredStopAtLevel=1", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"),
            "-cp", ZOOKEEPER_CLASSPATH,
            "org.apache.zookeeper.server.quorum.QuorumPeerMain", str(conf),
        )  # fmt: skip
        ports = {"zookeeper": self.spec.port("zookeeper")}
        return Component("zookeeper", "zookeeper", command, ports, files=(conf,))

    def _kafka(self) -> Iterator[Component]:
        log4j = self.conf / "kafka-log4j2.properties"
        for index in range(self.spec.brokers):
            name = f"kafka-{index + 1}"
            conf = self.conf / f"{name}.properties"
            heap = self.spec.values["kafka"]["heap_mib"]
            command = (
                *java(heap, "-XX:+ExitOnOutOfMemoryError", f"-Dlog4j2.configurationFile={log4j}"),
                "-cp", f"{CACHE}/kafka/libs/*", "kafka.Kafka", str(conf),
            )  # fmt: skip
            ports = {
                "kafka": self.spec.port("kafka", index),
                "kafka_controller": self.spec.port("kafka_controller", index),
            }
            # 60 s: a controlled shutdown hands its partitions over before it ends.
            yield Component(name, "kafka", command, ports, {}, (conf, log4j), stop_seconds=60)

    def _clickhouse(self) -> Iterator[Component]:
        users = self.conf / "clickhouse-users.xml"
        for replica in self.replicas:
            conf = self.conf / f"{replica.name}.xml"
            command = (program("clickhouse-server"), f"--config-file={conf}")
            ports = {
                "clickhouse": replica.tcp,
                "clickhouse_http": replica.http,
                "clickhouse_interserver": replica.interserver,
            }
            # Give freed memory back after 20 s instead of 10: each insert wants it again.
            memory = {"MALLOC_CONF": "dirty_decay_ms:20000,muzzy_decay_ms:20000"}
            yield Component(replica.name, "clickhouse", command, ports, memory, (conf, users))

    def _gateways(self) -> Iterator[Component]:
        files = [GATEWAY_CONFIG / "gateway.yaml"]
        if self.token:
            files.append(GATEWAY_CONFIG / "auth-bearer.yaml")
        memory = int(self.spec.values["gateways"]["memory_mib"])
        for gateway in self.gateways:
            command = [str(CACHE / "gateway" / "headrace-otelcol")]
            for file in files:
                command += ["--config", str(file)]
            environment = {
                "HEADRACE_GATEWAY_GRPC": f"127.0.0.1:{gateway.grpc}",
                "HEADRACE_GATEWAY_HTTP": f"127.0.0.1:{gateway.http}",
                "HEADRACE_GATEWAY_HEALTH": f"127.0.0.1:{gateway.health}",
                "HEADRACE_GATEWAY_METRICS_PORT": str(gateway.metrics),
                "HEADRACE_GATEWAY_MEMORY_MIB": str(memory),
                "HEADRACE_GATEWAY_MEMORY_SPIKE_MIB": str(memory // 4),
                "HEADRACE_KAFKA_BROKERS": f"[{self.bootstrap}]",
                # Collect when the heap has grown fivefold, and harder before requests are refused:
                # what is live is a few requests, so collecting at every doubling is a fifth of
                # the gateway's CPU.
                "GOGC": "400",
                "GOMEMLIMIT": f"{memory * 5 // 8}MiB",
            }
            if self.token:
                environment["HEADRACE_GATEWAY_TOKEN"] = self.token
            ports = {
                f"gateway_{kind}": getattr(gateway, kind)
                for kind in ("grpc", "http", "health", "metrics")
            }
            yield Component(
                gateway.name, "gateway", tuple(command), ports, environment, tuple(files)
            )

    def _haproxy(self) -> Component:
        conf = self.conf / "haproxy.cfg"
        command = (program("haproxy"), "-db", "-f", str(conf))
        ports = {each: self.spec.port(each) for each in ("otlp_grpc", "otlp_http", "haproxy_stats")}
        return Component("haproxy", "haproxy", command, ports, files=(conf,))

    def _prometheus(self) -> Component:
        conf = self.conf / "prometheus.yml"
        port = self.spec.port("prometheus")
        command = (
            program("prometheus"),
            f"--config.file={conf}",
            f"--storage.tsdb.path={self.data / 'prometheus'}",
            f"--storage.tsdb.retention.time={self.spec.values['prometheus']['retention']}",
            "--storage.tsdb.retention.size=1GB",
            f"--web.console.templates={CONSOLES}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--log.level=warn",
        )
        return Component("prometheus", "prometheus", command, {"prometheus": port}, files=(conf,))

    def _writers(self) -> Iterator[Component]:
        for writer in self.writers:
            environment = {
                **self.writer_environment,
                "HEADRACE_SIGNALS": writer.signal,
                "HEADRACE_HTTP_LISTEN": f"127.0.0.1:{writer.port}",
            }
            command = (str(VENV_BIN / "headrace"), "write", "--signals", writer.signal)
            # 30 s: finish the blocks in hand and commit, as a pod would be given.
            yield Component(
                writer.name, "writer", command, {"writer": writer.port}, environment, (), 30
            )

    def _exporter(self) -> Component:
        port = self.spec.port("exporter")
        environment = {
            **self.writer_environment,
            "HEADRACE_HTTP_LISTEN": f"127.0.0.1:{port}",
        }
        # 18.16 has no system.disks, and everything is on one disk here.
        command = (
            str(VENV_BIN / "headrace"), "exporter",
            "--every", f"{self.spec.values['exporter']['every_seconds']}s",
            "--disk", f"all={self.data}",
        )  # fmt: skip
        return Component("exporter", "exporter", command, {"exporter": port}, environment)

    def _retention(self) -> Iterator[Component]:
        """18.16 has no TTL: what is too old is dropped by command, every day."""
        settings = self.spec.values["clickhouse"]
        if settings["migrate"] and settings["retention"]:
            command = ("/bin/sh", str(DAILY), *KEEP)
            yield Component("retention", "retention", command, {}, self.writer_environment)

    def as_json(self) -> dict[str, Any]:
        """cluster.json: what other programs need to know to use this cluster."""
        spec, local = self.spec, "127.0.0.1"
        return {
            "name": spec.name,
            "offset": spec.offset,
            "dir": str(self.dir),
            "shape": spec.shape,
            "kafka": {
                "bootstrap": self.bootstrap,
                "topics": {**TOPICS, "dlq": DEAD_LETTERS},
                "groups": GROUPS,
            },
            "clickhouse": {
                "database": spec.values["clickhouse"]["database"],
                "user": "default",
                "password": "",
                "shards": [[f"{local}:{each.tcp}" for each in shard] for shard in self.shards],
                "dialect": "legacy",
            },
            "otlp": {
                "grpc": f"{local}:{spec.port('otlp_grpc')}",
                "http": f"{local}:{spec.port('otlp_http')}",
                "gateways": [
                    {
                        "name": each.name,
                        "grpc": f"{local}:{each.grpc}",
                        "http": f"{local}:{each.http}",
                        "health": f"http://{local}:{each.health}/",
                        "metrics": f"http://{local}:{each.metrics}/metrics",
                    }
                    for each in self.gateways
                ],
            },
            "prometheus": f"http://{local}:{spec.port('prometheus')}",
            "haproxy": f"http://{local}:{spec.port('haproxy_stats')}",
            "zookeeper": f"{local}:{spec.port('zookeeper')}",
            "exporter": f"http://{local}:{spec.port('exporter')}",
            "writers": {each.name: f"http://{local}:{each.port}" for each in self.writers},
            "supervisor": {"socket": str(self.socket)},
            "components": {
                name: {
                    "kind": each.kind,
                    "ports": dict(each.ports),
                    "log": str(self.logs / f"{name}.log"),
                }
                for name, each in self.components.items()
            },
        }


def hash_of(path: Path) -> str:
    """Eight hex digits that tell paths apart, the same in every process."""
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:8]


def java(heap_mib: int, *options: str) -> tuple[str, ...]:
    """The start of a JVM's command line. Small heaps on two cores: the serial collector."""
    return (
        "java", "-XX:+UseSerialGC", f"-Xms{min(heap_mib, 128)}m", f"-Xmx{heap_mib}m",
        "-Djava.awt.headless=true",
        *options,
    )  # fmt: skip


def program(name: str) -> str:
    """Where a program of a Debian package is; sbin is not on every user's PATH."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") or name
