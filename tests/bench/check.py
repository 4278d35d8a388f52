"""`python -m bench.check`: is the kernel slower than the committed baseline?

Two measures that a noisy machine does not blur: instructions per record, counted by callgrind over
the same payloads, and the kernel's CPU time as a share of the reference decoder's in the same run.
Exit codes: 0 as fast or faster; 1 slower; 2 usage.
"""

import argparse
import json
import struct
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench import kernel
from bench.corpus import RECORDS, requests
from headrace_native.spec import ROOT
from headrace_writer.core.block import Signal
from headrace_writer.core.decode import native_backend
from headrace_writer.core.decode_reference import ReferenceBackend

BASELINE = ROOT / "docs" / "benchmarks" / "baseline.json"
MANIFEST = ROOT / "services" / "kernel" / "Cargo.toml"
MEASURE = ROOT / "services" / "kernel" / "target" / "release" / "measure"
SIGNALS: tuple[Signal, ...] = ("traces", "metrics", "logs")
REQUESTS = 4
TOLERANCE = {"instructions": 0.03, "share": 0.25}
"""How much more than the baseline is still the same: instructions hardly vary, times do."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """One number beside the baseline's."""

    name: str
    now: float
    before: float
    tolerance: float

    @property
    def slower(self) -> bool:
        return self.now > self.before * (1 + self.tolerance)

    def __str__(self) -> str:
        change = (self.now / self.before - 1) * 100
        verdict = "SLOWER" if self.slower else "ok"
        numbers = f"{self.now:>12,.4f} {self.before:>12,.4f} {change:+6.1f} %"
        return f"{verdict:<6} {self.name:<28} {numbers}"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bench-check", description="Compare the kernel with the committed baseline."
    )
    parser.add_argument("--update", action="store_true", help=f"write {BASELINE.name} anew")
    return parser.parse_args()


def instructions(signal: Signal) -> float:
    """Instructions per record of decoding and building, second time round."""
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder) / "corpus"
        corpus.write_bytes(
            b"".join(struct.pack("<I", len(body)) + body for body in payloads(signal))
        )
        counts = Path(folder) / "counts"
        rows = subprocess.run(
            [
                "valgrind", "--tool=callgrind", "--collect-atstart=no",
                "--toggle-collect=headrace_measured", f"--callgrind-out-file={counts}",
                str(MEASURE), signal, str(corpus),
            ],
            check=True, capture_output=True, text=True,
        ).stdout  # fmt: skip
        return counted(counts.read_text()) / int(rows)


def payloads(signal: Signal) -> list[bytes]:
    return requests(signal, REQUESTS, RECORDS)


def counted(text: str) -> int:
    """The total of a callgrind output file. Raises ValueError where nothing was counted."""
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name in ("summary", "totals") and int(value.split()[0]) > 0:
            return int(value.split()[0])
    msg = "callgrind counted no instruction: is headrace_measured still called?"
    raise ValueError(msg)


def measure() -> dict[str, float]:
    """Everything that is compared, by name."""
    found: dict[str, float] = {}
    for signal in SIGNALS:
        found[f"instructions_{signal}"] = round(instructions(signal), 1)
        native = kernel.measure(native_backend(), signal, 10, 7)
        reference = kernel.measure(ReferenceBackend(), signal, 1, 1)
        found[f"share_{signal}"] = round(min(native.per_record_us) / reference.median, 5)
    return found


def judge(now: Mapping[str, float], before: Mapping[str, float]) -> list[Judgement]:
    """Each number of the baseline beside today's. Raises KeyError for one that is not measured."""
    return [
        Judgement(name, now[name], value, TOLERANCE[name.partition("_")[0]])
        for name, value in before.items()
    ]


def main() -> int:
    options = arguments()
    subprocess.run(
        ["cargo", "build", "-q", "--release", "--features", "harness", "--bin", "measure",
         "--manifest-path", str(MANIFEST)],
        check=True,
    )  # fmt: skip
    now = measure()
    if options.update:
        BASELINE.parent.mkdir(parents=True, exist_ok=True)
        BASELINE.write_text(json.dumps(now, indent=2) + "\n")
        print(f"written to {BASELINE.relative_to(ROOT)}")
        return 0
    judgements = judge(now, json.loads(BASELINE.read_text()))
    print(f"{'':<6} {'measured':<28} {'now':>12} {'baseline':>12}")
    for judgement in judgements:
        print(judgement)
    return 1 if any(judgement.slower for judgement in judgements) else 0


if __name__ == "__main__":
    sys.exit(main())
