"""How long the rows of a table are kept, and the TTL that says so. Values in, values out.

The TTL in the table is where the rules live: it is read, changed and written back, so nothing can
disagree with it. Its first element deletes; a second one may move parts to a slower volume.

Without overrides a row expires `days` after its time, and with ttl_only_drop_parts a part goes when
its last row does. With overrides a part holds rows of different limits. Then a row expires `days`
after the end of its day: all rows of a day and a limit at the same moment, so a part is rewritten
once per limit, not once per hour of the day.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

SERVICE, TENANT = "ServiceName", "Tenant"

_TEXT = r"'(?:[^'\\]|\\.)*'"
_TRANSFORM = re.compile(
    rf"transform\(toString\((\w+)\), \[({_TEXT}(?:, {_TEXT})*)\], \[([\d, ]+)\], \d+\)"
)
_MOVE = re.compile(rf", toDateTime\(\w+\) \+ toIntervalDay\((\d+)\) TO VOLUME ({_TEXT})$")
_PLAIN = re.compile(r"\+ toIntervalDay\((\d+)\)$")
_DEFAULT = re.compile(r", (\d+)\)\)$")


@dataclass(frozen=True, slots=True)
class Rules:
    """What one table keeps."""

    days: int | None = None
    """None: for ever."""
    services: Mapping[str, int] = field(default_factory=dict)
    """Service → days, instead of `days`."""
    tenants: Mapping[str, int] = field(default_factory=dict)
    """Tenant → days, instead of `days`. Where both name a row, it is kept the longer time."""
    move: tuple[int, str] | None = None
    """(days, volume): parts move to that volume when their last row is so old."""

    @property
    def longest(self) -> int | None:
        """No row is kept longer; None: for ever."""
        if self.days is None:
            return None
        return max(self.days, *self.services.values(), *self.tenants.values(), 0)

    @property
    def rewrites(self) -> bool:
        """Whether parts hold rows of different limits."""
        return bool(self.services or self.tenants)

    def __str__(self) -> str:
        texts = ["no limit" if self.days is None else f"{self.days} d"]
        texts += [f"{name} {days} d" for name, days in sorted(self.services.items())]
        texts += [f"tenant {name} {days} d" for name, days in sorted(self.tenants.items())]
        if self.move:
            texts.append(f"on {self.move[1]} after {self.move[0]} d")
        return ", ".join(texts)


@dataclass(frozen=True, slots=True)
class Change:
    """What is asked for one table; None and missing names leave things as they are."""

    days: int | None = None
    services: Mapping[str, int | None] = field(default_factory=dict)
    """None for a service takes its override away."""
    tenants: Mapping[str, int | None] = field(default_factory=dict)
    move: tuple[int, str] | None = None
    where_unset: bool = False
    """Only for tables without a TTL."""

    def applied(self, rules: Rules) -> Rules:
        """The rules afterwards."""
        return replace(
            rules,
            days=rules.days if self.days is None else self.days,
            services=_overridden(rules.services, self.services),
            tenants=_overridden(rules.tenants, self.tenants),
            move=self.move or rules.move,
        )


def _overridden(now: Mapping[str, int], asked: Mapping[str, int | None]) -> dict[str, int]:
    both = {**now, **asked}
    return {name: days for name, days in both.items() if days is not None}


def ttl(rules: Rules, time: str, columns: frozenset[str], *, whole_days: bool = False) -> str:
    """The TTL clause without its keyword, as ClickHouse prints it; empty for nothing to say.

    `time` is the table's time column. `whole_days`: all rows of a day expire at once, as they do
    under overrides. Overrides by a column that the table lacks (`columns` are
    those it has) keep all its rows for the longest of them: the lookup of traces by id.
    """
    elements = []
    at = f"toDateTime({time})"
    if rules.days is not None:
        by = [
            (column, limits)
            for column, limits in ((SERVICE, rules.services), (TENANT, rules.tenants))
            if limits
        ]
        day = f"toStartOfDay({at} + toIntervalDay(1))"
        if all(column in columns for column, _ in by) and by:
            elements.append(f"{day} + toIntervalDay({_limit(by, rules.days)})")
        else:
            since = day if whole_days else at
            elements.append(f"{since} + toIntervalDay({rules.longest})")
    if rules.move:
        days, volume = rules.move
        elements.append(f"{at} + toIntervalDay({days}) TO VOLUME {_quoted(volume)}")
    return ", ".join(elements)


def _limit(by: list[tuple[str, Mapping[str, int]]], days: int) -> str:
    if len(by) == 1:
        ((column, limits),) = by
        return _transform(column, limits, days)
    both = ", ".join(_transform(column, limits, 0) for column, limits in by)
    return f"coalesce(nullIf(greatest({both}), 0), {days})"


def _transform(column: str, limits: Mapping[str, int], otherwise: int) -> str:
    names = ", ".join(_quoted(name) for name in sorted(limits))
    days = ", ".join(str(limits[name]) for name in sorted(limits))
    return f"transform(toString({column}), [{names}], [{days}], {otherwise})"


def read(text: str) -> Rules | None:
    """The rules of a TTL clause that `ttl` wrote; None for one that it did not."""
    move = _MOVE.search(f", {text}")
    deleting = f", {text}"[: move.start() if move else None].removeprefix(", ")
    overrides: dict[str, dict[str, int]] = {SERVICE: {}, TENANT: {}}
    for column, names, days in _TRANSFORM.findall(deleting):
        if column not in overrides:
            return None
        texts = [_unquoted(one) for one in re.findall(_TEXT, names)]
        overrides[column] = dict(zip(texts, map(int, days.split(", ")), strict=True))
    found = (_DEFAULT if any(overrides.values()) else _PLAIN).search(deleting)
    if deleting and not found:
        return None
    return Rules(
        int(found[1]) if found else None,
        overrides[SERVICE],
        overrides[TENANT],
        (int(move[1]), _unquoted(move[2])) if move else None,
    )


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1])
