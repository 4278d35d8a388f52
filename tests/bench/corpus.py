"""What is measured on: export requests as loadgen's profiles make them."""

from headrace_loadgen.generate import Generator
from headrace_loadgen.profiles import PROFILES, Profile
from headrace_writer.core.block import Signal

RECORDS = 4_096
"""Per request: what an agent that batches sends, and loadgen by default."""


def requests(
    signal: Signal, count: int, records: int = RECORDS, profile: Profile = PROFILES["genai"]
) -> list[bytes]:
    """`count` different requests of `records` records each."""
    generator = Generator(signal, profile, "bench", records, seed=1)
    return [generator.next().body for _ in range(count)]
