"""Guardrails on OTLP messages, readable: what the kernel's `guard.rs` does.

A message is changed in place, before it becomes rows. Values are judged by their text, as it
would be stored; a value that a rule changes becomes a string, every other one keeps its type.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from google.protobuf.message import Message
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from headrace_writer.core.guardrails import Place, Rule
from headrace_writer.core.reference_redaction import redacted
from headrace_writer.core.reference_values import text

_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")


class Acted(NamedTuple):
    """One rule and what it did, for people who look."""

    rule: Rule
    place: Place
    key: str
    before: str
    after: str | None
    """The new text; None where the attribute is gone."""


class Guard:
    """Rules of one signal, and what they did."""

    def __init__(self, rules: Sequence[Rule], hash_key: bytes) -> None:
        self._rules = rules
        self._hash_key = hash_key
        self.counts = [0] * len(rules)
        self.acted: list[Acted] | None = None
        """Fill with a list to have each action noted."""

    def apply(self, message: Message) -> None:
        """Take an export request through the rules."""
        for place, items in _attribute_lists(message):
            kept = list(self._list(place, items))
            del items[:]
            items.extend(kept)
        for body in _bodies(message):
            changed = self._text("body", text(body))
            if changed is not None:
                body.CopyFrom(AnyValue(string_value=changed))
        for span in _spans(message):
            name = self._text("name", span.name)
            if name is not None:
                span.name = name
            status = self._text("status", span.status.message)
            if status is not None:
                span.status.message = status

    def apply_to(self, place: Place, pairs: Iterable[tuple[str, str]]) -> list[KeyValue]:
        """One list of text attributes after the rules."""
        items = [KeyValue(key=key, value=AnyValue(string_value=text)) for key, text in pairs]
        return list(self._list(place, items))

    def _list(self, place: Place, items: Sequence[KeyValue]) -> Iterator[KeyValue]:
        let_through = [0] * len(self._rules)
        for item in items:
            changed = KeyValue()
            changed.CopyFrom(item)
            if self._attribute(place, changed, let_through):
                yield changed

    def _attribute(self, place: Place, item: KeyValue, let_through: list[int]) -> bool:
        """Change one attribute; False if it is dropped."""
        for number, rule in enumerate(self._rules):
            if place not in rule.on or rule.is_for(item.key) == (rule.action == "allow"):
                continue
            before = text(item.value)
            if rule.action == "cap":
                let_through[number] += 1
                if let_through[number] <= rule.max_attributes:
                    continue
            if rule.action in ("drop", "allow", "cap"):
                self._note(number, place, item.key, before, None)
                return False
            if rule.action == "rename":
                if rule.to != item.key:
                    self._note(number, place, item.key, before, before)
                    item.key = rule.to
                continue
            after = self._changed(rule, before)
            if after is not None:
                self._note(number, place, item.key, before, after)
                item.value.CopyFrom(AnyValue(string_value=after))
        return True

    def _text(self, place: Place, value: str) -> str | None:
        """A text after the rules; None if they leave it as it is."""
        now = None
        for number, rule in enumerate(self._rules):
            if place in rule.on:
                before = value if now is None else now
                after = self._changed(rule, before)
                if after is not None:
                    self._note(number, place, "", before, after)
                    now = after
        return now

    def _note(self, number: int, place: Place, key: str, before: str, after: str | None) -> None:
        self.counts[number] += 1
        if self.acted is not None:
            self.acted.append(Acted(self._rules[number], place, key, before, after))

    def _changed(self, rule: Rule, value: str) -> str | None:
        """The new text of a value; None if it stays as it is."""
        match rule.action:
            case "hash":
                return sip_hash_128(self._hash_key, value.encode()).hex()
            case "truncate":
                cut = value.encode()[: rule.max_bytes].decode(errors="ignore")
                return None if cut == value else cut
            case "map":
                return _label(rule, value)
            case _:
                raw = value.encode()
                find = {f: f in rule.find for f in ("secrets", "emails")}
                masked = redacted(raw, **find)
                return None if masked == raw else masked.decode()


def _label(rule: Rule, value: str) -> str | None:
    labels = dict(rule.values)
    if value in labels:
        return labels[value]
    if _NUMBER.fullmatch(value):
        number = float(value)
        for bound, label in rule.below:
            if number < bound:
                return label
    return rule.otherwise


def _attribute_lists(request: Any) -> Iterator[tuple[Place, Any]]:
    """Every list of attributes that is stored, and where it stands."""
    for name in ("resource_spans", "resource_metrics", "resource_logs"):
        for resource in getattr(request, name, ()):
            yield "resource", resource.resource.attributes
            for scope in getattr(resource, name.replace("resource", "scope")):
                yield "scope", scope.scope.attributes
                for span in getattr(scope, "spans", ()):
                    yield "span", span.attributes
                    yield from (("event", event.attributes) for event in span.events)
                    yield from (("link", link.attributes) for link in span.links)
                for metric in getattr(scope, "metrics", ()):
                    yield from _of_metric(metric)
                for record in getattr(scope, "log_records", ()):
                    yield "log", record.attributes


def _of_metric(metric: Any) -> Iterator[tuple[Place, Any]]:
    kind = metric.WhichOneof("data")
    for point in getattr(metric, kind).data_points if kind else ():
        yield "point", point.attributes
        for exemplar in getattr(point, "exemplars", ()):
            yield "exemplar", exemplar.filtered_attributes


def _bodies(request: Any) -> Iterator[AnyValue]:
    for resource in getattr(request, "resource_logs", ()):
        for scope in resource.scope_logs:
            yield from (record.body for record in scope.log_records)


def _spans(request: Any) -> Iterator[Any]:
    for resource in getattr(request, "resource_spans", ()):
        for scope in resource.scope_spans:
            yield from scope.spans


def sip_hash_128(key: bytes, data: bytes) -> bytes:
    """SipHash-2-4 with 128 bits of output; ClickHouse has it as sipHash128ReferenceKeyed.

    Source: Aumasson and Bernstein, "SipHash: a fast short-input PRF", and the authors' code.
    """
    k0, k1 = int.from_bytes(key[:8], "little"), int.from_bytes(key[8:], "little")
    v = [
        k0 ^ 0x736F6D6570736575,
        k1 ^ 0x646F72616E646F6D ^ 0xEE,
        k0 ^ 0x6C7967656E657261,
        k1 ^ 0x7465646279746573,
    ]
    whole = len(data) - len(data) % 8
    last = data[whole:].ljust(7, b"\0") + bytes([len(data) & 0xFF])
    for at in range(0, whole + 8, 8):
        word = int.from_bytes(data[at : at + 8] if at < whole else last, "little")
        v[3] ^= word
        _sip_rounds(v, 2)
        v[0] ^= word
    v[2] ^= 0xEE
    _sip_rounds(v, 4)
    low = v[0] ^ v[1] ^ v[2] ^ v[3]
    v[1] ^= 0xDD
    _sip_rounds(v, 4)
    high = v[0] ^ v[1] ^ v[2] ^ v[3]
    return low.to_bytes(8, "little") + high.to_bytes(8, "little")


def _sip_rounds(v: list[int], times: int) -> None:
    mask = (1 << 64) - 1

    def rotated(x: int, by: int) -> int:
        return (x << by | x >> (64 - by)) & mask

    for _ in range(times):
        v[0] = v[0] + v[1] & mask
        v[1] = rotated(v[1], 13) ^ v[0]
        v[0] = rotated(v[0], 32)
        v[2] = v[2] + v[3] & mask
        v[3] = rotated(v[3], 16) ^ v[2]
        v[0] = v[0] + v[3] & mask
        v[3] = rotated(v[3], 21) ^ v[0]
        v[2] = v[2] + v[1] & mask
        v[1] = rotated(v[1], 17) ^ v[2]
        v[2] = rotated(v[2], 32)
