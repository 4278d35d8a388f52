"""The five answers that `make demo` prints, on both servers, about a world whose sums are known."""

import io
from collections.abc import Iterator

import pytest

from headrace_native import answers
from support.genai_world import HOUR_S, World, world
from support.schema_server import SchemaServer


@pytest.fixture(scope="module")
def filled(server: SchemaServer) -> Iterator[World]:
    with world(server, f"answers_{server.dialect}") as made:
        yield made


def test_the_page_of_answers_is_right(filled: World) -> None:
    out = io.StringIO()
    with filled.client() as client:
        answers.show(client, HOUR_S, HOUR_S + 3_600, out)
    page = [" ".join(line.split()) for line in out.getvalue().splitlines()]
    for line in (
        "14:00:00 gpt-5-mini 20 300 2,000",
        "14:15:00 gpt-5-mini 20 500 500",
        "/chat 44 93.18%",
        "/agent/plan 10 100.00%",
        "enterprise 14:00:00 2,000 1,000",
        "free 14:03:00 0 100",
        "s-old 10 10 30,000 0 0.186750 0",
        "s-0 20 20 24,000 2 0.011200 0",
        "s-seed 4 4 400 1 no price 4",
        "429 gpt-5-mini 2 14:01:00",
        "unknown mystery-1 1 14:00:00",
    ):
        assert page.count(line) == 1, line
    assert "and 28 rows more" in page, "minutes of tier pro"
    assert [line for line in page if line.endswith("?")] == [q.title for q in answers.QUESTIONS]


def test_calls_are_counted_from_a_second_on(filled: World) -> None:
    with filled.client() as client:
        assert answers.calls(client, HOUR_S) == 61
        # The first minute of the hour: two of A, one of B, one of C.
        assert answers.calls(client, HOUR_S + 1) == 57


def test_a_window_without_calls_has_empty_answers(filled: World) -> None:
    out = io.StringIO()
    with filled.client() as client:
        answers.show(client, 0, 60, out)
    assert out.getvalue().count("Nothing in this window.") == len(answers.QUESTIONS)
