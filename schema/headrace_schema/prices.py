"""Prices of models: what a list says, which offer fits a call, which rows the table still lacks.

A list is a CSV file with the columns of HEADER; lines that begin with `#` are remarks. A model is a
name, or a prefix that ends in `*`. The table in ClickHouse only grows: a change is a new row under
a higher version, so that it stays known what an earlier report was made with.
"""

import csv
import re
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, replace
from datetime import date
from decimal import Decimal, InvalidOperation
from importlib import resources

HEADER = (
    *("provider", "model", "valid_from", "currency"),
    *("input", "cached", "cache_write", "output", "reasoning"),
)
# Decimal(18, 6) of the table.
DIGITS, HIGHEST = 6, Decimal(10) ** 12
_NAME = re.compile(r"[A-Za-z0-9._:/@+-]+\*?")
_PROVIDER = re.compile(r"[A-Za-z0-9._:/@+-]*")
_CURRENCY = re.compile(r"[A-Z]{3}")


class PriceError(Exception):
    """A list says something that no price can be; the text names the line."""


@dataclass(frozen=True, slots=True)
class Price:
    """One offer: money per million tokens of each kind, from a day (UTC) on."""

    provider: str
    """`gen_ai.provider.name`; empty for any."""
    model: str
    valid_from: date
    currency: str
    input: Decimal
    cached: Decimal
    cache_write: Decimal
    output: Decimal
    reasoning: Decimal
    version: int = 0
    """Of the list that brought it; 0 until it is stored."""

    @property
    def key(self) -> tuple[str, str, date]:
        """What a newer version of the same offer has in common with it."""
        return self.provider, self.model, self.valid_from

    def fits(self, provider: str, model: str) -> bool:
        if self.provider not in ("", provider):
            return False
        if self.model.endswith("*"):
            return model.startswith(self.model[:-1])
        return model == self.model


def choose(prices: Iterable[Price], provider: str, model: str, on: date) -> Price | None:
    """The offer that a call on a day is billed by; the view genai_model_prices ranks alike."""
    fitting = [one for one in prices if one.fits(provider, model) and one.valid_from <= on]
    return min(
        fitting,
        key=lambda one: (
            one.model != model,
            -len(one.model),
            one.provider == "",
            -one.valid_from.toordinal(),
            -one.version,
        ),
        default=None,
    )


def current(prices: Iterable[Price]) -> list[Price]:
    """The last version of each offer, by model."""
    last: dict[tuple[str, str, date], Price] = {}
    for one in prices:
        if one.key not in last or last[one.key].version < one.version:
            last[one.key] = one
    return sorted(last.values(), key=lambda one: (one.model, one.provider, one.valid_from))


def lacking(wanted: Iterable[Price], stored: Sequence[Price]) -> list[Price]:
    """The rows that make `wanted` hold, all under the next version; none when it holds already."""
    last = {one.key: one for one in current(stored)}
    version = max((one.version for one in stored), default=0) + 1
    return [
        replace(one, version=version)
        for one in wanted
        if one.key not in last or replace(last[one.key], version=0) != replace(one, version=0)
    ]


def shipped() -> str:
    """The list that headrace comes with."""
    return (resources.files(__package__) / "prices.csv").read_text(encoding="utf-8")


def parse(text: str) -> list[Price]:
    """The offers of a list, in order. Raises PriceError naming the first line that is wrong."""
    found: dict[tuple[str, str, date], int] = {}
    prices: list[Price] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        (cells,) = csv.reader([line])
        if tuple(cells) == HEADER:
            continue
        price = _price(number, cells)
        if price.key in found:
            msg = f"line {number}: the same offer is on line {found[price.key]}"
            raise PriceError(msg)
        found[price.key] = number
        prices.append(price)
    return prices


def make(provider: str, model: str, since: str, currency: str, amounts: Sequence[str]) -> Price:
    """An offer from text. `amounts` are in the order of HEADER; an empty one is derived: cached and
    written tokens cost what input does, reasoning what output does.

    Raises PriceError.
    """
    for text, form, what in (
        (provider, _PROVIDER, "provider"),
        (model, _NAME, "model (a name, or a prefix that ends in *)"),
        (currency, _CURRENCY, "currency (three letters, such as USD)"),
    ):
        if not form.fullmatch(text):
            msg = f"{text!r} is no {what}"
            raise PriceError(msg)
    try:
        day = date.fromisoformat(since)
    except ValueError as error:
        msg = f"{since!r} is no day: write 2026-11-24"
        raise PriceError(msg) from error
    if not 1970 <= day.year < 2106:
        msg = f"{since} is no day that ClickHouse's DateTime has"
        raise PriceError(msg)
    asked, cached, written, answered, reasoned = amounts
    return Price(
        provider, model, day, currency,
        _amount(asked), _amount(cached or asked), _amount(written or asked),
        _amount(answered), _amount(reasoned or answered),
    )  # fmt: skip


def _price(number: int, cells: Sequence[str]) -> Price:
    if len(cells) != len(HEADER):
        msg = f"line {number}: {len(cells)} columns, but a price has {len(HEADER)}: {HEADER}"
        raise PriceError(msg)
    try:
        provider, model, since, currency, *amounts = cells
        return make(provider, model, since, currency, amounts)
    except PriceError as error:
        msg = f"line {number}: {error}"
        raise PriceError(msg) from error


def _amount(text: str) -> Decimal:
    try:
        amount = Decimal(text)
    except InvalidOperation as error:
        msg = f"{text!r} is no price"
        raise PriceError(msg) from error
    if not 0 <= amount < HIGHEST or round(amount, DIGITS) != amount:
        msg = f"{text} is no price: from 0 on, with at most {DIGITS} digits behind the point"
        raise PriceError(msg)
    return amount


def as_cells(price: Price) -> list[str]:
    """As a list has it, and the version last."""
    *words, asked, cached, written, answered, reasoned, version = astuple(price)
    amounts = (asked, cached, written, answered, reasoned)
    return [*map(str, words), *(f"{amount.normalize():f}" for amount in amounts), str(version)]
