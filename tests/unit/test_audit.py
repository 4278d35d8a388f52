"""The audit's judgement on made-up ledgers, offsets and counts."""

from dataclasses import replace

from headrace_writer.core import audit
from headrace_writer.core.audit import Expected, Finding, LedgerRange, Offsets, Place
from headrace_writer.core.block import Target
from headrace_writer.core.delivery_plan import Plan, Range

PLACE = Place("otlp_spans", "id-1", 0)
SPANS = Target("otel_traces", 1)


def row(start: int, end: int, **changes: object) -> LedgerRange:
    one = LedgerRange(
        place=PLACE,
        start=start,
        end=end,
        planned_at_ms=1_000,
        nbytes=100,
        rejected=0,
        excluded=0,
        revision=0,
        verified=True,
        blocks={SPANS: (start + 1, 10)},
        plan="",
    )
    return replace(one, **changes)  # type: ignore[arg-type]


def cover(
    *rows: LedgerRange, before: int | None = None, low: int = 0, committed: int | None = None
) -> list[tuple[str, int | None, int | None]]:
    """Findings as (kind, start, end)."""
    known = {} if before is None else {PLACE: before}
    (one,) = audit.coverage(rows, known, {PLACE: Offsets(low, 1_000, committed)})
    return [(found.kind, found.start, found.end) for found in one.findings]


def test_ranges_that_join_up_to_the_committed_offset_are_complete() -> None:
    assert cover(row(0, 5), row(5, 9), committed=9) == []


def test_the_ledger_may_be_ahead_of_the_commit() -> None:
    assert cover(row(0, 5), row(5, 9), committed=5) == []


def test_a_hole_is_a_gap_with_its_offsets() -> None:
    assert cover(row(0, 5), row(7, 9), committed=9) == [("gap", 5, 7)]


def test_offsets_that_were_committed_and_not_stored_are_a_gap() -> None:
    assert cover(row(0, 5), committed=9) == [("gap", 5, 9)]
    assert cover(committed=9) == [("gap", 0, 9)]


def test_ranges_that_share_offsets_overlap() -> None:
    assert cover(row(0, 5), row(3, 9), committed=9) == [("overlap", 3, 5)]
    assert cover(row(0, 9), row(3, 5), row(9, 10), committed=10) == [("overlap", 3, 5)]


def test_the_first_range_joins_what_was_stored_before_the_audited_time() -> None:
    assert cover(row(5, 9), before=5, committed=9) == []
    assert cover(row(6, 9), before=5, committed=9) == [("gap", 5, 6)]
    assert cover(before=9, committed=9) == []


def test_without_earlier_ranges_the_oldest_kept_offset_counts() -> None:
    assert cover(row(5, 9), low=5, committed=9) == []
    assert cover(row(5, 9), low=2, committed=9) == [("gap", 2, 5)]
    assert cover(row(5, 9), low=7, committed=9) == []


def test_offsets_deleted_before_they_were_stored_are_named() -> None:
    assert cover(row(0, 5), low=8, committed=5) == [("deleted_unread", 5, 8)]


def test_a_topic_that_was_recreated_is_judged_by_its_own_ranges_only() -> None:
    old = replace(row(100, 105), place=PLACE._replace(topic_id="id-0"))
    found = audit.coverage([old, row(0, 5)], {}, {PLACE: Offsets(0, 9, 5)})
    assert [(one.place.topic_id, one.findings) for one in found] == [("id-0", []), ("id-1", [])]


def test_a_range_written_twice_counts_once_and_its_newest_plan_wins() -> None:
    first = row(0, 5, verified=False)
    amended = row(0, 5, revision=1, blocks={SPANS: (77, 10)}, verified=False)
    later = row(0, 5, planned_at_ms=2_000, blocks={SPANS: (99, 10)})
    assert audit.distinct([first, first]) == [first]
    (one,) = audit.distinct([amended, first])
    assert one.blocks == {SPANS: (77, 10)}
    (one,) = audit.distinct([later, amended, first])
    assert one.blocks == {SPANS: (99, 10)}
    assert one.verified


def test_a_batch_of_two_partitions_is_one_block() -> None:
    other = replace(row(3, 4, blocks={SPANS: (1, 10)}), place=PLACE._replace(partition=4))
    (block,) = audit.expected_blocks([row(0, 5), other])[SPANS].values()
    assert (block.ingest_id, block.rows) == (1, 10)
    assert [place.partition for place, _, _ in block.ranges] == [0, 4]


def test_a_block_without_rows_is_not_looked_for() -> None:
    assert audit.expected_blocks([row(0, 5, blocks={SPANS: (1, 0)})]) == {}


def test_blocks_on_shards_that_are_not_named_are_findings() -> None:
    far = Target("otel_traces", 2)
    blocks = audit.expected_blocks([row(0, 5, blocks={SPANS: (1, 10), far: (2, 7)}), row(5, 9)])
    assert audit.on_unknown_shards(blocks, 3) == []
    (finding,) = audit.on_unknown_shards(blocks, 2)
    assert str(finding) == (
        "shard unknown: otel_traces on shard 2 "
        "(1 blocks not counted: clickhouse_shards names 2 shards)"
    )


def judged(**counts: int | None) -> list[tuple[str, str, int | None]]:
    block = Expected(SPANS, 7, 10, ((PLACE, 0, 5),))
    return [(one.kind, one.replica, one.found) for one in audit.judge(block, counts)]


def test_a_block_is_judged_per_replica() -> None:
    assert judged(a=10, b=10) == []
    assert judged(a=10, b=4) == [("replica_behind", "b", 4)]
    assert judged(a=0, b=0) == [("missing_rows", "a", 0), ("missing_rows", "b", 0)]
    assert judged(a=20, b=10) == [("doubled_rows", "a", 20)]
    assert judged(a=10, b=None) == []


def test_a_finding_reads_as_a_sentence() -> None:
    finding = Finding(
        "missing_rows", "otlp_spans", 3, 5, 9, "otel_traces", 1, "a:9000", 77, 10, 4, "look"
    )
    assert str(finding) == (
        "missing rows: otlp_spans partition 3 [5, 9): otel_traces on shard 1, replica a:9000: "
        "4 of 10 rows: IngestId 77 (look)"
    )


def test_blocks_of_unfinished_plans_are_known_under_every_id_they_may_have() -> None:
    plan = Plan("id-1", (Range(0, 0, 5),), 2, "f", 1, 0, {SPANS: 3}, revisions={SPANS: 1})
    found = audit.in_flight_ids([plan])
    assert found == {plan.ingest_id(SPANS, revision) for revision in (0, 1, 2)}
