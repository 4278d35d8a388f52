"""What is measured on: export requests as loadgen's profiles make them."""

from collections.abc import Iterator
from itertools import islice

from headrace_loadgen.generate import Generator
from headrace_loadgen.profiles import PROFILES, Profile
from headrace_writer.core.block import Signal

RECORDS = 4_096
"""Per request: what an agent that batches sends, and loadgen by default."""


def stream(
    signal: Signal, records: int = RECORDS, profile: Profile = PROFILES["genai"]
) -> Iterator[bytes]:
    """Different requests of `records` records each, without an end."""
    generator = Generator(signal, profile, "bench", records, seed=1)
    while True:
        yield generator.next().body


def requests(
    signal: Signal, count: int, records: int = RECORDS, profile: Profile = PROFILES["genai"]
) -> list[bytes]:
    """The first `count` requests of such a stream."""
    return list(islice(stream(signal, records, profile), count))
