"""Batches come and go in the same memory."""

import os
import subprocess
import sys

import pytest

from headrace_writer.shell.allocator import keep_freed_memory

# Thirty batches of twenty messages, on a thread as in a writer: pages touched after the first ten.
BATCHES = """
import os, resource, sys, threading
from headrace_writer.shell.allocator import keep_freed_memory

if sys.argv[1] == "keep":
    assert keep_freed_memory({})

def batches(count):
    for _ in range(count):
        messages = [bytes(1_500_000 + 10_000 * n) for n in range(20)]
        del messages

def faults():
    batches(10)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    batches(20)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)

worker = threading.Thread(target=faults)
worker.start()
worker.join()
"""


def faults(how: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", BATCHES, how],
        env={k: v for k, v in os.environ.items() if not k.startswith(("MALLOC_", "GLIBC_"))},
        capture_output=True,
        text=True,
        check=True,
    )
    return int(done.stdout)


def test_a_batch_takes_the_pages_of_the_one_before() -> None:
    pages = 20 * 20 * 1_500_000 // os.sysconf("SC_PAGE_SIZE")
    assert faults("leave") > pages // 4
    assert faults("keep") < pages // 100


def test_what_somebody_has_set_is_left_alone() -> None:
    assert not keep_freed_memory({"MALLOC_ARENA_MAX": "2"})
    assert not keep_freed_memory({"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"})


def test_another_c_library_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctypes.CDLL", lambda _name: object())
    assert not keep_freed_memory({})
