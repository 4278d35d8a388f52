"""Which decoder runs: the native kernel, or the readable reference.

auto       native where the kernel is installed, else the reference, marked as a fallback
native     the kernel or nothing
reference  the Python oracle, some hundred times slower
"""

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Literal, get_args

from headrace_writer.core.block import (
    Block,
    BlockBuilder,
    Compression,
    DecoderBackend,
    Layout,
    Rejection,
    Signal,
    Target,
)
from headrace_writer.core.guardrails import NOTHING, Treatment, kernel_key, kernel_rules
from headrace_writer.errors import ConfigError, LayoutError

if TYPE_CHECKING:
    import headrace_kernel

Choice = Literal["auto", "native", "reference"]

INSTALL = "pip install ./services/kernel (needs Rust 1.85 or newer)"


@dataclass(frozen=True, slots=True)
class Loaded:
    """A decoder, and whether it is only the second choice: then the app must warn loudly."""

    backend: DecoderBackend
    fell_back: bool = False
    reason: str = ""
    """Why it fell back, with the command that fixes it."""


class _NativeBuilder:
    """`BlockBuilder` over the kernel's plain tuples."""

    def __init__(self, inner: "headrace_kernel.BlockBuilder", signal: Signal) -> None:
        self._inner = inner
        self.signal = signal

    @property
    def rows(self) -> int:
        return self._inner.rows

    @property
    def nbytes(self) -> int:
        return self._inner.nbytes

    @property
    def replaced_utf8(self) -> int:
        return self._inner.replaced_utf8

    @property
    def rule_counts(self) -> list[int]:
        return self._inner.rule_counts

    def append_within(
        self, payloads: Sequence[bytes], tenants: Sequence[bytes], max_block_bytes: int
    ) -> tuple[int, list[Rejection]]:
        taken, rejections = self._inner.append_within(payloads, tenants, max_block_bytes)
        return taken, [Rejection(*rejection) for rejection in rejections]

    def append_many(self, payloads: Sequence[bytes]) -> list[Rejection]:
        return [Rejection(*rejection) for rejection in self._inner.append_many(payloads)]

    def pending(self) -> list[tuple[Target, int]]:
        return [(Target(*target), rows) for target, rows in self._inner.pending()]

    def finish(self, ingest_ids: Mapping[Target, int]) -> list[Block]:
        ids = {(target.table, target.shard): number for target, number in ingest_ids.items()}
        return [
            Block(Target(table, shard), rows, ingest_id, body, raw, min_time, max_time)
            for table, shard, rows, ingest_id, body, raw, min_time, max_time in self._inner.finish(
                ids
            )
        ]


class NativeBackend:
    """The Rust kernel behind the `DecoderBackend` contract."""

    name: Literal["native", "reference"] = "native"

    def __init__(self, kernel: ModuleType) -> None:
        self._kernel = kernel

    def builder(
        self,
        signal: Signal,
        layouts: Mapping[str, Layout],
        shards: int,
        compression: Compression = "lz4",
        treatment: Treatment | None = None,
    ) -> BlockBuilder:
        """A builder for all tables of a signal. LayoutError names what cannot be filled."""
        how = treatment or NOTHING
        treated = (
            kernel_rules(how.of(signal)),
            kernel_key(how.hash_key),
            how.tenant_attribute,
            list(how.content),
        )
        try:
            inner = self._kernel.builder(signal, layouts, shards, compression, treated)
        except self._kernel.LayoutError as error:
            raise LayoutError(str(error)) from error
        return _NativeBuilder(inner, signal)


def native_backend() -> NativeBackend:
    """The kernel; ImportError if its distribution is not installed or does not load."""
    return NativeBackend(importlib.import_module("headrace_kernel"))


def _reference_backend() -> DecoderBackend:
    # Imported on demand: it brings protobuf, which the native way does not need.
    module = importlib.import_module("headrace_writer.core.decode_reference")
    backend: DecoderBackend = module.ReferenceBackend()
    return backend


def load_backend(choice: Choice) -> Loaded:
    """The decoder for `choice`.

    ConfigError if `native` is asked for and the kernel cannot be imported, or if the choice is
    none of the three.
    """
    if choice not in get_args(Choice):
        raise ConfigError(f"decoder is {choice!r}; choose one of {', '.join(get_args(Choice))}")
    if choice == "reference":
        return Loaded(_reference_backend())
    try:
        return Loaded(native_backend())
    except ImportError as error:
        reason = f"the native decoder cannot be imported ({error}); to install it: {INSTALL}"
        if choice == "native":
            raise ConfigError(f"decoder = native, but {reason}; or set decoder = auto") from error
        return Loaded(_reference_backend(), fell_back=True, reason=reason)
