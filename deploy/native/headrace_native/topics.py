"""Kafka topics of the pipeline."""

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import NewTopic  # type: ignore[attr-defined]

from headrace_native.errors import ClusterError
from headrace_native.layout import BROKER_MESSAGE_BYTES, DEAD_LETTERS, TOPICS, Layout
from headrace_native.probe import admin


def create(layout: Layout) -> None:
    """Make the signal topics and the dead letter topic; those that exist stay as they are.

    Raises ClusterError when one exists with another number of partitions: that number decides
    which offsets a writer owns, so it is not changed behind anybody's back.
    """
    spec = layout.spec
    config = {
        # Stated per topic: the broker's own minimum is only a default.
        "min.insync.replicas": str(spec.min_insync),
        "max.message.bytes": str(BROKER_MESSAGE_BYTES),
        "compression.type": "producer",
    }
    wanted = {topic: int(spec.values["kafka"]["partitions"]) for topic in TOPICS.values()}
    wanted[DEAD_LETTERS] = 1
    client = admin(layout.bootstrap)
    existing = client.list_topics(timeout=10).topics
    for name, partitions in wanted.items():
        if name in existing and len(existing[name].partitions) != partitions:
            msg = (
                f"topic {name} has {len(existing[name].partitions)} partitions, "
                f"cluster.toml (or PARTITIONS) says {partitions}: "
                "go back to that number, or start afresh with make cluster-down WIPE=1"
            )
            raise ClusterError(msg)
    missing = [
        NewTopic(name, partitions, spec.replication, config=config)
        for name, partitions in wanted.items()
        if name not in existing
    ]
    for name, future in (
        client.create_topics(missing, request_timeout=20).items() if missing else ()
    ):
        try:
            future.result()
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                msg = f"topic {name} could not be created: {error.args[0].str()}"
                raise ClusterError(msg) from error
