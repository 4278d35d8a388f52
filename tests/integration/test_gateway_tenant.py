"""The tenant of a request travels as a Kafka header to the writer's reader."""

import uuid
from pathlib import Path

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub

from headrace_writer.core.delivery_plan import Plan, Range
from headrace_writer.shell.clock import SystemClock
from headrace_writer.shell.kafka import GroupConfig
from headrace_writer.shell.range_reader import RangeReader
from support import otlp
from support.cluster import Cluster
from support.collector import gateway

pytestmark = pytest.mark.integration


def test_metadata_becomes_the_tenant_of_a_message(cluster: Cluster, tmp_path: Path) -> None:
    marker = uuid.uuid4().hex
    before = otlp.end_offsets(cluster.bootstrap, "otlp_spans")
    with (
        gateway(tmp_path, cluster.bootstrap, overlay="tenant-header.yaml") as ours,
        grpc.insecure_channel(ours.grpc) as channel,
    ):
        stub = TraceServiceStub(channel)  # type: ignore[no-untyped-call]
        for metadata in ([("x-tenant", "acme")], []):
            stub.Export(otlp.traces(marker), timeout=12, metadata=metadata)
    after = otlp.end_offsets(cluster.bootstrap, "otlp_spans")
    ranges = tuple(Range(p, before[p], after[p]) for p in sorted(after) if after[p] > before[p])
    plan = Plan("any", ranges, 1, "", 0, 0, {})
    config = GroupConfig(cluster.bootstrap, "reads-tenants", "otlp_spans", tenant_header="x-tenant")
    found = [
        message.tenant
        for message in RangeReader(config, SystemClock()).read(plan)
        if marker.encode() in message.value
    ]
    assert sorted(found) == [b"", b"acme"]
