"""Take a cluster down: all of it, whatever state it is in."""

import shutil
import time

from headrace_native.errors import ClusterError
from headrace_native.layout import Layout
from headrace_native.supervise import POLL_SECONDS, Supervisor, end, leftovers
from headrace_native.up import Say, exclusive

# Kind by kind, so that nobody writes to what is already gone: writers drain while Kafka and
# ClickHouse still answer, brokers hand over while their controller lives.
STOP_ORDER = ("writer", "haproxy", "gateway", "prometheus", "clickhouse", "kafka", "zookeeper")


def down(layout: Layout, say: Say, wipe: bool = False) -> None:
    """Stop every process of the instance and wait for their ends; `wipe` deletes its folder.

    Works as well when supervisord was killed, and when nothing runs. Raises ClusterError when a
    process survives SIGKILL.
    """
    if not layout.dir.exists():
        say(f"cluster {layout.spec.name!r} does not exist")
        return
    with exclusive(layout):
        supervisor = Supervisor(layout.socket)
        found = leftovers(layout)
        if supervisor.answers():
            _stop_in_order(supervisor, layout)
            supervisor.shutdown()
            _await_end(layout)
        elif found:
            say(f"supervisord is gone; ending the {len(found)} processes it left")
        # Also what is not supervised: a migration that was interrupted, for example.
        end(leftovers(layout), grace_seconds=20)
        remaining = leftovers(layout)
        if remaining:
            msg = f"these processes do not end: {[each.pid for each in remaining]}"
            raise ClusterError(msg)
        layout.socket.unlink(missing_ok=True)
    if wipe:
        shutil.rmtree(layout.dir)
        say(f"cluster {layout.spec.name!r} is down, its data deleted")
    elif found:
        say(f"cluster {layout.spec.name!r} is down; its data stays in {layout.dir}")
    else:
        say(f"cluster {layout.spec.name!r} is not running")


def _stop_in_order(supervisor: Supervisor, layout: Layout) -> None:
    """Ask all of a kind to stop, then wait for all of them, kind after kind."""
    kinds = {each.name: each.kind for each in layout.components.values()}
    for kind in (*STOP_ORDER, None):
        # None: programs that the description no longer has.
        names = [name for name in supervisor.states() if kinds.get(name) == kind]
        for name in names:
            supervisor.stop(name, wait=False)
        for name in names:
            while supervisor.state(name).pid:  # supervisord itself kills after the stop time
                time.sleep(POLL_SECONDS)


def _await_end(layout: Layout) -> None:
    """Wait until supervisord, asked to shut down, is gone."""
    deadline = time.monotonic() + 30
    while leftovers(layout) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
