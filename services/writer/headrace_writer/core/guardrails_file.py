"""Reads a file of guardrails. An error names line, column and the nearest known word."""

import difflib
import math
import re
import tomllib
from collections.abc import Callable, Iterable
from typing import Any, NoReturn, cast, get_args

from headrace_writer.core.guardrails import (
    ACTIONS,
    ATTRIBUTES,
    FINDS,
    PLACES,
    SIGNALS,
    TEXTS,
    Action,
    Place,
    Rule,
)
from headrace_writer.errors import ConfigError

# What each action takes besides id, action, keys, signals and on.
OPTIONS: dict[Action, tuple[str, ...]] = {
    "drop": (),
    "allow": (),
    "cap": ("max_attributes",),
    "rename": ("to",),
    "hash": (),
    "truncate": ("max_bytes",),
    "map": ("values", "below", "otherwise"),
    "redact": ("find",),
}
COMMON = ("id", "action", "keys", "signals", "on")
# Without keys these are for all attributes; for the others that would hardly be meant.
FOR_ALL = ("cap", "redact", "truncate")
OF_TEXTS = ("redact", "truncate")
# A block's size is estimated from what arrives, so nothing may grow far beyond it.
MOST_LABEL_BYTES = 64


class GuardrailsError(ConfigError):
    """A rule file that cannot be used; the text begins with `file:line:column`."""


def parse(text: str, name: str) -> tuple[Rule, ...]:
    """The rules of a TOML file. `name` is the file's, for errors. Raises GuardrailsError."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line, column = _place_of(str(error), text)
        msg = f"{name}:{line}:{column}: not TOML: {str(error).split(' (at')[0]}"
        raise GuardrailsError(msg) from error
    reader = _Reader(text, name)
    for key in document:
        if key != "rule":
            reader.fail(None, key, f"unknown key {key!r}{_nearest(key, ['rule'])}")
    tables = document.get("rule", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        reader.fail(None, "rule", "rules are tables: begin each with [[rule]]")
    rules = [reader.rule(number, table) for number, table in enumerate(tables)]
    seen: set[str] = set()
    for number, rule in enumerate(rules):
        if rule.id in seen:
            reader.fail(number, "id", f"a rule before this one has the id {rule.id!r}, too")
        seen.add(rule.id)
    return tuple(rules)


def _place_of(error: str, text: str) -> tuple[int, int]:
    found = re.search(r"at line (\d+), column (\d+)", error)
    if found:
        return int(found[1]), int(found[2])
    lines = text.splitlines() or [""]
    return len(lines), len(lines[-1]) + 1


def _nearest(word: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.4)
    return f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(known)}"


class _Reader:
    """One file's tables into rules."""

    def __init__(self, text: str, name: str) -> None:
        self._lines = text.splitlines()
        self._name = name

    def fail(self, rule: int | None, key: str, problem: str) -> NoReturn:
        """Raise with the place of a key in the rule of this number."""
        line, column = self._find(rule, key)
        msg = f"{self._name}:{line}:{column}: {problem}"
        raise GuardrailsError(msg)

    def _find(self, rule: int | None, key: str) -> tuple[int, int]:
        """Line and column of a key; of its rule's head where the key is not on a line of its own.

        tomllib keeps no places, so the lines are looked through again.
        """
        at, head = -1, (1, 1)
        for number, line in enumerate(self._lines, start=1):
            if re.match(r"\s*\[\[\s*rule\s*\]\]", line):
                at += 1
                if at == rule:
                    head = (number, line.index("[") + 1)
            found = re.match(rf"\s*\[*\s*(?:rule\s*\.\s*)?[\"']?({re.escape(key)})\b", line)
            if found and (rule is None or at == rule):
                return number, found.start(1) + 1
        return head

    def rule(self, number: int, table: dict[str, Any]) -> Rule:

        def fail(key: str, problem: str) -> NoReturn:
            self.fail(number, key, problem)

        if "action" not in table:
            fail("rule", f"the rule has no action: one of {', '.join(ACTIONS)}")
        action = table["action"]
        if action not in ACTIONS:
            fail("action", f"unknown action {action!r}{_nearest(str(action), ACTIONS)}")
        known = (*COMMON, *OPTIONS[cast(Action, action)])
        for key in table:
            if key not in known:
                taken = f"action {action} takes no {key!r}"
                fail(key, f"{taken}{_nearest(key, known)}")
        options = _Options(table, fail)
        on = cast(tuple[Place, ...], options.words("on", PLACES, _usual_places(action)))
        texts = [place for place in on if place in TEXTS]
        if texts and action not in OF_TEXTS:
            fail("on", f"{action} is not for {texts[0]}, only {' and '.join(OF_TEXTS)} are")
        if "keys" not in table and action not in FOR_ALL:
            fail("rule", f'{action} needs keys, for example keys = ["user.*"]')
        rule = Rule(
            id=options.text("id"),
            action=cast(Action, action),
            keys=options.keys(),
            signals=cast(Any, options.words("signals", SIGNALS, SIGNALS)),
            on=on,
            to=options.label("to") if action == "rename" else "",
            max_bytes=options.count("max_bytes") if action == "truncate" else 0,
            max_attributes=options.count("max_attributes") if action == "cap" else 0,
            find=cast(Any, options.words("find", FINDS, FINDS)) if action == "redact" else (),
            values=options.values(),
            below=options.below(),
            otherwise=options.label("otherwise") if "otherwise" in table else None,
        )
        if action == "map" and not rule.values and not rule.below:
            fail("action", "map needs values or below")
        return rule


def _usual_places(action: str) -> tuple[Place, ...]:
    """Secrets are looked for in texts, too, unless a rule says where."""
    return PLACES if action == "redact" else ATTRIBUTES


class _Options:
    """The values of one rule's table, each checked for its type."""

    def __init__(self, table: dict[str, Any], fail: Callable[[str, str], NoReturn]) -> None:
        self._table = table
        self._fail = fail

    def text(self, key: str) -> str:
        value = self._table.get(key)
        if value is None:
            self._fail("rule", f"the rule has no {key}")
        if not isinstance(value, str) or not re.fullmatch(r"[\w.-]{1,64}", value):
            self._fail(key, f"{key} is a name of letters, digits, '.', '_' and '-', 64 at most")
        return value

    def label(self, key: str) -> str:
        value = self._table.get(key)
        if value is None:
            self._fail("action", f"the rule has no {key}")
        return self._labelled(key, value)

    def _labelled(self, key: str, value: Any) -> str:
        if not isinstance(value, str) or len(value.encode()) > MOST_LABEL_BYTES:
            self._fail(key, f"{key}: a text of {MOST_LABEL_BYTES} bytes at most is needed")
        return value

    def count(self, key: str) -> int:
        value = self._table.get(key)
        if value is None:
            self._fail("action", f"the rule has no {key}")
        if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 1 << 31:
            self._fail(key, f"{key} is a whole number above 0")
        return value

    def words(self, key: str, known: tuple[str, ...], usual: tuple[str, ...]) -> tuple[str, ...]:
        if key not in self._table:
            return usual
        value = self._table[key]
        if not isinstance(value, list) or not value:
            self._fail(key, f"{key} is a list of {', '.join(known)}")
        for word in value:
            if word not in known:
                self._fail(key, f"{key} has no {word!r}{_nearest(str(word), known)}")
        return tuple(word for word in known if word in value)

    def keys(self) -> tuple[str, ...]:
        value = self._table.get("keys", ["*"])
        if not isinstance(value, list) or not all(isinstance(k, str) and k for k in value):
            self._fail("keys", "keys is a list of attribute keys")
        for pattern in value:
            if "*" in pattern.removeprefix("*").removesuffix("*"):
                self._fail("keys", f"{pattern!r}: a * may stand only at the beginning and the end")
        return tuple(value)

    def values(self) -> tuple[tuple[str, str], ...]:
        value = self._table.get("values", {})
        if not isinstance(value, dict):
            self._fail("values", 'values is a table: values = { gold = "paid" }')
        return tuple((text, self._labelled("values", label)) for text, label in value.items())

    def below(self) -> tuple[tuple[float, str], ...]:
        value = self._table.get("below", [])
        shape = 'below is a list of bounds and labels: below = [[500, "fast"], [2000, "slow"]]'
        if not isinstance(value, list):
            self._fail("below", shape)
        tiers: list[tuple[float, str]] = []
        for tier in value:
            if not isinstance(tier, list) or len(tier) != len(get_args(tuple[float, str])):
                self._fail("below", shape)
            bound, label = tier
            if not isinstance(bound, int | float) or isinstance(bound, bool):
                self._fail("below", shape)
            if not math.isfinite(bound) or (tiers and bound <= tiers[-1][0]):
                self._fail("below", "the bounds of below must rise")
            tiers.append((float(bound), self._labelled("below", label)))
        return tuple(tiers)
