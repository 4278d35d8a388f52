"""What `loadgen` notes beside the load: events of processes, logs and marks."""

import os
import time
from pathlib import Path

from headrace_loadgen.send import Tally
from headrace_loadgen.usage import Usage, difference
from headrace_loadgen.watch import Tail, Timeline, Use, Watch, of_log_line, process_events

ASSIGNED = (
    '{"signal": "traces", "partitions": [0, 1], "event": "partitions assigned", '
    '"level": "info", "timestamp": "2026-11-24T10:00:00.500000Z"}'
)


def test_processes_that_end_start_and_restart() -> None:
    before = {"loadgen": 1, "kafka-1": 10, "gateway-1": 20}
    now = {"loadgen": 1, "kafka-1": 11, "gateway-2": 21}
    texts = [event.text for event in process_events(before, now, 5.0)]
    assert texts == ["gateway-1 ended", "gateway-2 started", "kafka-1 restarted"]


def test_a_silent_supervisor_is_no_event() -> None:
    assert process_events({"loadgen": 1, "kafka-1": 10}, {"loadgen": 1}, 5.0) == []


def test_rebalances_come_from_the_log_with_its_time() -> None:
    event = of_log_line("writer-traces-1", ASSIGNED)
    assert event is not None
    assert event.text == "writer-traces-1 assigned 2 partitions"
    assert event.at == 1795514400.5


def test_other_lines_are_no_events() -> None:
    for line in ("", "Traceback", "[1]", '{"event": "signal ready"}', ASSIGNED.replace("T10", "x")):
        assert of_log_line("w", line) is None


def test_a_tail_gives_whole_new_lines_and_survives_rotation(tmp_path: Path) -> None:
    file = tmp_path / "log"
    file.write_text("old\n")
    tail = Tail(file)
    with file.open("a") as out:
        out.write("one\n\nhal")
    assert tail.lines() == ["one"]
    with file.open("a") as out:
        out.write("f\n")
    assert tail.lines() == ["half"]
    file.write_text("new\n")
    assert tail.lines() == ["new"]
    assert Tail(tmp_path / "none").lines() == []


def test_a_component_that_comes_late_counts_zero_before() -> None:
    timeline = Timeline()
    timeline.add(1.0, {"traces": 5.0}, Use({"a": 0.5}, {"a": 10.0}))
    timeline.add(2.0, {"traces": 6.0}, Use({"b": 0.25}, {"b": 20.0}))
    assert timeline.cpu_cores == {"a": [0.5, 0.0], "b": [0.0, 0.25]}
    assert timeline.rates == {"traces": [5.0, 6.0]}


def test_cpu_is_counted_between_two_readings() -> None:
    before = {("kafka", 1): (10.0, 2**20)}
    now = {("kafka", 1): (12.5, 2**21), ("kafka", 2): (1.0, 2**20)}
    assert difference(now, before) == ({"kafka": 3.5}, {"kafka": 3.0})


def test_a_run_is_watched_and_its_marks_are_noted(tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    tally = Tally("traces", records=10)
    watch = Watch(Usage(None), None, {"traces": tally}, marks, 1.0)
    watch.start()
    tally.acked[0] = 1
    marks.write_text("kill gateway-1\n")
    timeline = watch.finish()
    assert [event.text for event in timeline.events] == ["kill gateway-1"]
    assert abs(timeline.events[0].at - time.time()) < 60
    assert timeline.rates["traces"][-1] > 0
    assert list(timeline.cpu_cores) == ["loadgen"]
    assert Usage(None).pids() == {"loadgen": os.getpid()}
