"""Fault points: silent unless told, and then as deadly as kill -9."""

import signal
import subprocess
import sys

import pytest

from headrace_writer.shell.fault_points import VARIABLE, FaultPoint

PASS_THREE_TIMES = """
from headrace_writer.shell.fault_points import passed
for number in range(3):
    passed("plan.before")
    passed("insert.after")
    print(number, flush=True)
"""


def test_without_the_variable_nothing_happens() -> None:
    point = FaultPoint({})
    for _ in range(3):
        point.passed("insert.after")
        point.passed("")


@pytest.mark.parametrize(
    ("setting", "printed"), [("insert.after", ""), ("insert.after:3", "0\n1\n")]
)
def test_the_process_dies_at_its_point(setting: str, printed: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PASS_THREE_TIMES],
        env={VARIABLE: setting},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == -signal.SIGKILL
    assert done.stdout == printed
