"""What is still had of a dead letter."""

import uuid

import pytest

from headrace_writer.core.block import Signal
from headrace_writer.core.salvage import narrow, readable
from support import builders
from support.decoders import REFERENCE, SIGNALS, layouts_of


def request(signal: Signal) -> bytes:
    """Forty records over several shards; metrics of every kind."""
    match signal:
        case "traces":
            spans = [builders.span(trace_id=uuid.uuid4().bytes) for _ in range(40)]
            return builders.traces(*spans).SerializeToString()
        case "logs":
            logs = [builders.log(trace_id=uuid.uuid4().bytes) for _ in range(40)]
            return builders.logs(*logs).SerializeToString()
    return builders.metrics(*builders.every_metric()).SerializeToString()


@pytest.mark.parametrize("signal", SIGNALS)
def test_a_request_falls_apart_into_its_blocks_records(signal: Signal) -> None:
    layouts = layouts_of(signal, "modern")

    def builder() -> object:
        return REFERENCE.builder(signal, layouts, 2, "none")

    payload = request(signal)
    whole = REFERENCE.builder(signal, layouts, 2, "none")
    whole.append_many([payload])
    assert len(whole.pending()) > 1
    for target, rows in whole.pending():
        part = REFERENCE.builder(signal, layouts, 2, "none")
        assert part.append_many([narrow(signal, payload, target, builder)]) == []  # type: ignore[arg-type]
        assert part.pending() == [(target, rows)]


def test_a_readable_request_is_shown_whole() -> None:
    found = readable("logs", builders.logs(builders.log(body="hello")).SerializeToString())
    assert "unreadable" not in found
    record = found["resources"][0]["scopeLogs"][0]["logRecords"][0]
    assert record["body"] == {"stringValue": "hello"}


def test_of_a_broken_request_what_precedes_the_break_is_shown() -> None:
    good = builders.traces(builders.span(name="fine")).SerializeToString()
    found = readable("traces", good + b"\x0a\xff\x7f" + b"rest")
    assert found["resources"][0]["scopeSpans"][0]["spans"][0]["name"] == "fine"
    assert found["unreadable"]["from_byte"] == len(good)
    assert found["unreadable"]["hex"].startswith("0a ff 7f 72")
    assert "ends behind" in found["unreadable"]["why"]
