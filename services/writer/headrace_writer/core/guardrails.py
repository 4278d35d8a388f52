"""Guardrails: what one file says about attributes and texts on their way into the tables.

The rules are stateless: what becomes of a record depends on the record and the rules alone, so a
batch that is built twice under the same rules is the same. They apply in the file's order, each to
what the one before has left; docs/guardrails.md describes them. The kernel applies them, and
`reference_guard` says the same in readable form.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal, get_args

from headrace_writer.core.block import Signal

Action = Literal["drop", "allow", "cap", "rename", "hash", "truncate", "map", "redact"]
ACTIONS: tuple[Action, ...] = get_args(Action)
Place = Literal[
    "resource",
    "scope",
    "span",
    "event",
    "link",
    "log",
    "point",
    "exemplar",
    "body",
    "name",
    "status",
]
PLACES: tuple[Place, ...] = get_args(Place)
TEXTS: tuple[Place, ...] = ("body", "name", "status")
"""Places that are one text: a log's body, a span's name and its status message."""
ATTRIBUTES: tuple[Place, ...] = tuple(place for place in PLACES if place not in TEXTS)
SIGNALS: tuple[Signal, ...] = get_args(Signal)
Find = Literal["secrets", "emails"]
FINDS: tuple[Find, ...] = get_args(Find)

HASH_KEY_BYTES = 16


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule, checked."""

    id: str
    action: Action
    keys: tuple[str, ...] = ("*",)
    """Exact keys, or patterns with `*` at an end or at both. Texts have no key."""
    signals: tuple[Signal, ...] = SIGNALS
    on: tuple[Place, ...] = ATTRIBUTES
    to: str = ""
    """rename: the new key."""
    max_bytes: int = 0
    """truncate: of a value's text, in UTF-8."""
    max_attributes: int = 0
    """cap: of one list of attributes."""
    find: tuple[Find, ...] = ()
    """redact."""
    values: tuple[tuple[str, str], ...] = ()
    """map: text → label."""
    below: tuple[tuple[float, str], ...] = ()
    """map: bounds, ascending → label of numbers below."""
    otherwise: str | None = None
    """map: the label of everything else; without one it stays as it is."""

    def is_for(self, key: str) -> bool:
        """Whether the rule names this key."""
        return any(fits(pattern, key) for pattern in self.keys)


def fits(pattern: str, key: str) -> bool:
    """Whether a key pattern covers a key."""
    start, end = pattern.startswith("*"), pattern.endswith("*")
    text = pattern.strip("*") if start or end else pattern
    if start and end:
        return text in key
    if start:
        return key.endswith(text)
    return key.startswith(text) if end else key == text


@dataclass(frozen=True, slots=True)
class Treatment:
    """What a writer does to records besides decoding them."""

    rules: tuple[Rule, ...] = ()
    hash_key: bytes = bytes(HASH_KEY_BYTES)
    tenant_attribute: str = ""
    """The resource attribute that names the tenant; empty for none."""
    content: tuple[str, ...] = ()
    """Names of the attributes that go to ContentAttributes (`reference_content`); none: off."""

    def of(self, signal: Signal) -> tuple[Rule, ...]:
        """The rules of one signal, in order."""
        return tuple(rule for rule in self.rules if signal in rule.signals)

    @property
    def fingerprint(self) -> str:
        """Equal where all records come out the same; empty where nothing is done to them. The
        hash key is in it, but cannot be read from it."""
        if not (self.rules or self.tenant_attribute or self.content):
            return ""
        rules = json.dumps([asdict(rule) for rule in self.rules], sort_keys=True)
        content = " ".join(("", *self.content))
        text = f"{rules} {self.tenant_attribute}{content}".encode()
        return hashlib.blake2b(text, digest_size=6, key=self.hash_key).hexdigest()


NOTHING = Treatment()

_FIND_BITS: dict[Find, int] = {"secrets": 1, "emails": 2}

KernelRule = tuple[
    str,
    list[str],
    list[str],
    int,
    str,
    tuple[list[tuple[str, str]], list[tuple[float, str]], str | None],
]


def kernel_rules(rules: Sequence[Rule]) -> list[KernelRule]:
    """Rules as the kernel takes them."""
    return [
        (
            rule.action,
            list(rule.keys),
            list(rule.on),
            rule.max_bytes or rule.max_attributes or sum(_FIND_BITS[f] for f in rule.find),
            rule.to,
            (list(rule.values), list(rule.below), rule.otherwise),
        )
        for rule in rules
    ]


def kernel_key(hash_key: bytes) -> tuple[int, int]:
    """Two little-endian words."""
    return int.from_bytes(hash_key[:8], "little"), int.from_bytes(hash_key[8:], "little")
