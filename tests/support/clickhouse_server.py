"""One ClickHouse 18.16 server (Debian's package): what the legacy dialect is tested against."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from clickhouse_driver import Client

from support.child import Child, accepts, free_ports

CONFIG = """<?xml version="1.0"?>
<yandex>
  <logger><level>warning</level><console>1</console></logger>
  <listen_host>127.0.0.1</listen_host>
  <tcp_port>{tcp}</tcp_port>
  <http_port>{http}</http_port>
  <interserver_http_port>{interserver}</interserver_http_port>
  <path>{folder}/data/</path>
  <tmp_path>{folder}/tmp/</tmp_path>
  <user_files_path>{folder}/user_files/</user_files_path>
  <format_schema_path>{folder}/format_schemas/</format_schema_path>
  <users_config>{folder}/users.xml</users_config>
  <default_profile>default</default_profile>
  <default_database>default</default_database>
  <timezone>UTC</timezone>
  <mark_cache_size>67108864</mark_cache_size>
  <max_concurrent_queries>50</max_concurrent_queries>
  {extra}
</yandex>
"""

# allow_experimental_low_cardinality_type: 18.16 refuses LowCardinality columns without it.
USERS = """<?xml version="1.0"?>
<yandex>
  <profiles><default>
    <allow_experimental_low_cardinality_type>1</allow_experimental_low_cardinality_type>
    <max_memory_usage>2000000000</max_memory_usage>
  </default></profiles>
  <users><default>
    <password></password>
    <networks><ip>127.0.0.1</ip></networks>
    <profile>default</profile>
    <quota>default</quota>
  </default></users>
  <quotas><default/></quotas>
</yandex>
"""


@dataclass(frozen=True, slots=True)
class Server:
    """A running server; native protocol on 127.0.0.1:`port`."""

    port: int
    http_port: int
    child: Child

    def client(self, database: str = "default", **options: object) -> Client:
        """A clickhouse-driver client at the revision that the writer uses."""
        return Client(
            "127.0.0.1", port=self.port, database=database, client_revision=54453, **options
        )


def binary() -> str:
    """Path of clickhouse-server. Raises RuntimeError naming the package when it is missing."""
    found = shutil.which("clickhouse-server", path="/usr/sbin:/usr/bin")
    if found is None:
        msg = "clickhouse-server is missing: apt-get install clickhouse-server"
        raise RuntimeError(msg)
    return found


def cluster_xml(
    replica_ports: list[list[int]],
    zookeeper_port: int,
    shard: int,
    me: int,
    folder: str = "headrace",
) -> str:
    """Configuration of one replica: cluster `headrace`, ZooKeeper and the macros of the DDL.

    `replica_ports` are the native ports, by shard; `shard` counts from 1, `me` is the port;
    `folder` is where in ZooKeeper the cluster's tables are.
    """
    shards = "".join(
        "<shard><internal_replication>true</internal_replication>"
        + "".join(f"<replica><host>127.0.0.1</host><port>{p}</port></replica>" for p in ports)
        + "</shard>"
        for ports in replica_ports
    )
    return (
        f"<remote_servers><headrace>{shards}</headrace></remote_servers>"
        f"<zookeeper><node><host>127.0.0.1</host><port>{zookeeper_port}</port></node></zookeeper>"
        f"<macros><cluster>{folder}</cluster><shard>{shard}</shard><replica>r{me}</replica></macros>"
    )


@contextmanager
def clickhouse_server(
    folder: Path, port: int | None = None, extra: str = "", users: str = ""
) -> Iterator[Server]:
    """Run one server with its data in `folder` while the context is open.

    `extra` is XML for the configuration's root, such as `cluster_xml(...)`; `users` is that of
    users beside `default`.
    """
    ports = free_ports(3)
    tcp = ports[0] if port is None else port
    for name in ("data", "tmp", "user_files", "format_schemas"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    config = folder / "config.xml"
    config.write_text(
        CONFIG.format(tcp=tcp, http=ports[1], interserver=ports[2], folder=folder, extra=extra)
    )
    (folder / "users.xml").write_text(USERS.replace("</users>", f"{users}</users>"))
    argv = [binary(), f"--config-file={config}"]
    with Child(argv, folder / "server.log", cwd=folder) as child:
        child.wait_until(lambda: accepts(tcp))
        yield Server(port=tcp, http_port=ports[1], child=child)
