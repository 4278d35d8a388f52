"""What a supervisord says of itself, asked over its socket; a real one, without a cluster."""

import subprocess
import tempfile
import time
from pathlib import Path

from headrace_native.layout import VENV_BIN
from headrace_native.supervise import Supervisor

# One program that has to be killed, a second after it was asked to end.
CONF = """
[unix_http_server]
file={dir}/sock
[supervisord]
nodaemon=true
logfile={dir}/log
pidfile={dir}/pid
user={user}
[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
[program:stubborn]
command=/bin/sh -c "trap '' TERM; touch {dir}/deaf; for i in $(seq 300); do sleep 0.1; done"
stopwaitsecs=1
"""


def test_one_that_is_shutting_down_does_not_answer_any_more() -> None:
    # A socket's path may have 107 bytes, fewer than pytest's own folders.
    with tempfile.TemporaryDirectory() as folder:
        socket = Path(folder) / "sock"
        conf = Path(folder) / "conf"
        conf.write_text(CONF.format(dir=folder, user=Path(folder).owner()))
        supervisor = Supervisor(socket)
        assert not supervisor.answers()
        child = subprocess.Popen(
            [str(VENV_BIN / "supervisord"), "-c", str(conf)], stdout=subprocess.DEVNULL
        )
        try:
            deadline = time.monotonic() + 20
            while not (Path(folder) / "deaf").exists():
                assert time.monotonic() < deadline
                time.sleep(0.05)
            assert supervisor.answers()
            supervisor.shutdown()
            asked = 0
            while child.poll() is None:
                assert not supervisor.answers()
                asked += 1
                time.sleep(0.05)
            assert asked > 1, "it ended before it could be asked"
        finally:
            child.kill()
            child.wait()
