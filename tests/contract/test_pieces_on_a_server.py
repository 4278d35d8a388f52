"""A message in pieces on a real ClickHouse: some stored by one owner, all of them by the next."""

from functools import partial

from headrace_writer.core import batch
from headrace_writer.core.backlog import Message
from headrace_writer.core.block import Block
from headrace_writer.core.delivery_plan import decode_plan
from headrace_writer.shell.replica import Address, Login, Replica
from support import builders
from support.decoders import KERNEL
from support.schema_server import SchemaServer

TABLE = "otel_traces"
SPANS = 500
LIMIT = 100_000


def test_pieces_that_are_stored_again_are_stored_once(modern: SchemaServer) -> None:
    """Each piece has a token of its own: the server drops those it has and takes the others. A
    successor builds them from the committed plan alone."""
    inserter = Replica(
        Address("127.0.0.1", modern.port), Login(modern.deployment.database, "default", "", 3, 30)
    )
    layout = inserter.layout(TABLE)
    spans = [builders.span(f"piece {n}", attributes={"text": f"{n:02000}"}) for n in range(SPANS)]
    payload = builders.traces(*spans, resource={"service.name": "pieces"}).SerializeToString()
    message = Message(0, 7, 0, None, payload)
    new_builder = partial(KERNEL.builder, "traces", {TABLE: layout}, 1, "lz4")
    origin = batch.Origin("topic-1", 1, "print", batch.BlockLimits(bytes=LIMIT))
    text = batch.decode_alone(message, 7, origin, new_builder, 1).plan.encode()

    def build() -> list[Block]:
        plan = decode_plan(text)
        assert plan is not None
        return batch.blocks_of(plan, [message], new_builder)

    first = build()
    assert len(first) > 5
    assert max(block.raw_bytes for block in first) <= LIMIT
    for block in first[:4]:
        inserter.insert(TABLE, layout, block)
    for block in build():
        inserter.insert(TABLE, layout, block)
    rows = inserter.query(
        f"SELECT IngestId, count() FROM {TABLE} WHERE ServiceName = 'pieces' GROUP BY IngestId"
    )
    assert dict(rows) == {block.ingest_id: block.rows for block in first}
    sql = f"SELECT count(), uniqExact(SpanName) FROM {TABLE} WHERE ServiceName = 'pieces'"
    assert inserter.query(sql) == [(SPANS, SPANS)]
    inserter.close()
