"""Prompts, completions and what else is said, readable: what the kernel's `content.rs` does.

Where a table has ContentAttributes, attributes whose keys the names cover go there instead of to
the attributes of the span, its events or the log record, in this order; and so does the body of a
log record whose event name begins with `gen_ai.`, under the key `body`.
"""

from collections.abc import Iterable, Sequence

from headrace_writer.core.reference_layout import Column
from headrace_writer.core.reference_rows import Fields
from headrace_writer.core.reference_values import Attributes

COLUMN = "ContentAttributes"
BODY = b"body"
# Out of which fields, by the field whose presence tells the table.
_SOURCES = ("SpanAttributes", "Events.Attributes", "LogAttributes")
_EVENTS = b"gen_ai."


def covers(name: bytes, key: bytes) -> bool:
    """Whether a name covers a key: itself, or a numbered part of it, as `gen_ai.prompt` covers
    `gen_ai.prompt.0.content`."""
    if not key.startswith(name):
        return False
    rest = key[len(name) :]
    return not rest or (rest[:1] == b"." and rest[1:2].isdigit())


def sources(columns: Sequence[Column]) -> tuple[str, ...]:
    """The fields out of which a table's contents are taken: none without the column. Attributes
    that are shown as JSON stay whole."""
    if COLUMN not in {column.source for column in columns}:
        return ()
    shown = {
        column.source
        for column in columns
        if column.name != column.source or "Map(" in column.type_name
    }
    return tuple(source for source in _SOURCES if source in shown)


def move(fields: Fields, taken_from: Iterable[str], names: Sequence[bytes]) -> None:
    """Fill ContentAttributes of a row, out of what its other fields hold."""
    content: list[tuple[bytes, bytes]] = []

    def split(attributes: Attributes) -> Attributes:
        inside = [any(covers(name, key) for name in names) for key, _ in attributes.pairs]
        if not any(inside):
            return attributes
        both = list(zip(attributes.pairs, inside, strict=True))
        content.extend(pair for pair, apart in both if apart)
        return Attributes.of(pair for pair, apart in both if not apart)

    for source in taken_from:
        if source == "LogAttributes" and names and fields["EventName"].startswith(_EVENTS):
            if fields["Body"]:
                content.append((BODY, fields["Body"]))
            fields["Body"] = b""
        value = fields[source]
        fields[source] = [split(one) for one in value] if isinstance(value, list) else split(value)
    fields[COLUMN] = Attributes.of(content)
