"""The writer's own books: one row per stored batch and Kafka partition, and which blocks the batch
became. The audit holds it against the topic and the tables.
"""

from headrace_schema.model import DELTA, LABEL, TIME, Column, Table

LEDGER = Table(
    name="otel_ingest_ledger",
    columns=(
        Column("PlannedAt", TIME, DELTA),
        Column("Topic", LABEL),
        Column("TopicId", LABEL),
        Column("Partition", "Int32"),
        Column("StartOffset", "Int64", DELTA),
        Column("EndOffset", "Int64", DELTA),
        Column("PayloadHash", "UInt64"),
        Column("Bytes", "UInt64"),
        Column("Rejected", "UInt32"),
        Column("Excluded", "UInt32"),
        Column("Verified", "UInt8"),
        Column(
            "Blocks",
            fields=(
                ("Table", LABEL),
                ("Shard", "UInt16"),
                ("IngestId", "UInt64"),
                ("Rows", "UInt64"),
                ("Revision", "UInt16"),
            ),
        ),
        Column("Plan", "String"),
    ),
    time="PlannedAt",
    order_by=("Topic", "TopicId", "Partition", "StartOffset"),
)
