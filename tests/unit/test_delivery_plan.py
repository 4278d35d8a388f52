"""Plans: their text form, their IngestIds, what changes them."""

import pytest

from headrace_writer.core.block import Target
from headrace_writer.core.delivery_plan import (
    MAX_PLAN_BYTES,
    Exclusion,
    Plan,
    PlanUnreadable,
    Range,
    decode_plan,
)
from headrace_writer.errors import Fatal

SPANS = Target("otel_traces", 0)
OTHER = Target("otel_traces", 1)


def a_plan(**changes: object) -> Plan:
    fields: dict[str, object] = {
        "topic_id": "t1",
        "ranges": (Range(0, 10, 20), Range(3, 7, 9)),
        "shards": 2,
        "fingerprint": "abc",
        "payload_hash": 2**64 - 1,
        "planned_at_ms": 1_700_000_000_000,
        "rows": {SPANS: 5, OTHER: 7},
    }
    return Plan(**{**fields, **changes})  # type: ignore[arg-type]


def test_a_plan_survives_its_text_form() -> None:
    excluded = tuple(Exclusion(OTHER, 0, offset) for offset in (10, 11, 12, 15))
    excluded += (Exclusion(OTHER, 3, 8),)
    plan = a_plan(sizes=(900, 40), rejected=2, excluded=excluded, revisions={SPANS: 1})
    assert decode_plan(plan.encode()) == plan


def test_pieces_survive_their_text_form_and_older_releases_stop_at_them() -> None:
    pieces = [Target("otel_traces", shard, piece) for shard in (0, 1) for piece in (0, 1, 2)]
    plan = a_plan(
        ranges=(Range(0, 10, 11),),
        rows={target: 5 + n for n, target in enumerate(pieces)},
        cuts=(4, 1, 30),
        excluded=(Exclusion(pieces[1], 0, 10),),
        revisions={pieces[2]: 1},
    )
    assert plan.pieces == [(0, 4), (4, 5), (5, 35)]
    assert decode_plan(plan.encode()) == plan
    assert '"v":2' in plan.encode()
    refused = a_plan(rows={}, rejected=1, unfit_bytes=1 << 20)
    assert decode_plan(refused.encode()) == refused
    assert '"v":2' in refused.encode()
    assert '"v":1' in a_plan().encode()


def test_ingest_ids_of_blocks_that_are_not_cut_are_those_of_older_releases() -> None:
    """A plan on its way, and the ledger, name them."""
    assert a_plan().ingest_id(SPANS) == 1449975842127145375


def test_empty_metadata_is_no_plan() -> None:
    assert decode_plan("") is None


@pytest.mark.parametrize("text", ["x", "{}", '{"v":1}', "[]", '{"v":1,"b":[],"n":[[0,0,1]]}'])
def test_foreign_metadata_is_refused(text: str) -> None:
    with pytest.raises(PlanUnreadable):
        decode_plan(text)


def test_a_newer_plan_names_the_remedy() -> None:
    with pytest.raises(PlanUnreadable, match="release that wrote it"):
        decode_plan(a_plan().encode().replace('"v":1', '"v":3'))


def test_sixty_four_partitions_and_five_tables_on_sixteen_shards_fit() -> None:
    ranges = tuple(Range(p, 10**9 + p, 10**9 + p + 5000) for p in range(64))
    tables = [f"otel_metrics_{kind}" for kind in ("gauge", "sum", "histogram", "summary", "x" * 21)]
    rows = {Target(table, shard): 200_000 for table in tables for shard in range(16)}
    topic_id = "x" * 22
    assert len(a_plan(ranges=ranges, rows=rows, topic_id=topic_id).encode()) <= MAX_PLAN_BYTES


def test_a_plan_that_no_commit_would_take_names_the_remedy() -> None:
    ranges = tuple(Range(p, 10**12, 10**12 + 1) for p in range(300))
    with pytest.raises(Fatal, match="more writers"):
        a_plan(ranges=ranges).encode()


def test_ingest_ids_differ_by_all_that_tells_blocks_apart() -> None:
    base = a_plan()
    others = [
        base.ingest_id(OTHER),
        base.ingest_id(SPANS, 1),
        base.revised([SPANS]).ingest_id(SPANS, 2),
        a_plan(topic_id="t2").ingest_id(SPANS),
        a_plan(payload_hash=1).ingest_id(SPANS),
        a_plan(ranges=(Range(0, 10, 21), Range(3, 7, 9))).ingest_id(SPANS),
        base.without([Exclusion(SPANS, 0, 11)], {SPANS: 4}).ingest_id(SPANS),
    ]
    ids = {base.ingest_id(SPANS), *others}
    assert len(ids) == len(others) + 1
    assert all(0 <= i < 2**64 for i in ids)


def test_ingest_ids_do_not_depend_on_when_or_by_whom() -> None:
    later = a_plan(planned_at_ms=1, fingerprint="other release")
    assert later.ingest_id(SPANS) == a_plan().ingest_id(SPANS)


def test_an_exclusion_changes_only_the_block_it_names() -> None:
    amended = a_plan().without([Exclusion(SPANS, 0, 11)], {SPANS: 4})
    assert amended.ingest_id(OTHER) == a_plan().ingest_id(OTHER)
    assert amended.rows == {SPANS: 4, OTHER: 7}


def test_two_owners_amendments_merge() -> None:
    one = a_plan().revised([SPANS]).without([Exclusion(OTHER, 3, 8)], {OTHER: 6})
    two = a_plan().revised([SPANS, OTHER])
    merged = one.merged(two)
    assert merged == two.merged(one)
    assert merged.revisions == {SPANS: 1, OTHER: 1}
    assert merged.rows == {SPANS: 5, OTHER: 6}
