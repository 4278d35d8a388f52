"""A standalone ZooKeeper from Debian's jars, on a free port, with its data in a given folder."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.child import Child, accepts, free_ports

JARS = Path("/usr/share/java")
# What the server loads at start; slf4j-nop keeps its log out (errors go to stderr).
CLASSPATH = (
    "zookeeper.jar",
    "zookeeper-jute.jar",
    "slf4j-api.jar",
    "slf4j-nop.jar",
    "netty-all.jar",
    "metrics-core.jar",
    "snappy-java.jar",
)


@contextmanager
def zookeeper(folder: Path) -> Iterator[int]:
    """Run ZooKeeper while the context is open; yields its client port on 127.0.0.1.

    Needs the Debian package `zookeeper` (its jars) and a Java runtime. Raises RuntimeError with
    the process's last output when it does not come up.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (port,) = free_ports(1)
    config = folder / "zoo.cfg"
    config.write_text(
        f"dataDir={folder / 'data'}\n"
        f"clientPort={port}\n"
        "clientPortAddress=127.0.0.1\n"
        "admin.enableServer=false\n"
        "tickTime=2000\n"
        # Nothing here has to survive the machine.
        "forceSync=no\n"
    )
    argv = [
        "java",
        "-Xmx128m",
        "-XX:TieredStopAtLevel=1",
        "-cp",
        ":".join(str(JARS / jar) for jar in CLASSPATH),
        "org.apache.zookeeper.server.quorum.QuorumPeerMain",
        str(config),
    ]
    with Child(argv, folder / "zookeeper.log", cwd=folder) as child:
        child.wait_until(lambda: accepts(port))
        yield port
