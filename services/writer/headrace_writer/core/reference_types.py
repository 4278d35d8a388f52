"""ClickHouse type names, read into trees.

Source of the names: https://clickhouse.com/docs/sql-reference/data-types
"""

from typing import NamedTuple


class Type(NamedTuple):
    """`Map(String, UInt8)` is Type("Map", (Type("String"), Type("UInt8"))).

    Numbers and quoted words among the arguments are types without arguments, too.
    """

    name: str
    arguments: tuple["Type", ...] = ()

    def __str__(self) -> str:
        if not self.arguments:
            return self.name
        return f"{self.name}({', '.join(map(str, self.arguments))})"


def parse_type(name: str) -> Type:
    """Read a type name. What is none, becomes a type that nothing fills."""
    name = name.strip()
    outer, bracket, rest = name.partition("(")
    if not bracket or not rest.endswith(")"):
        return Type(name)
    return Type(outer.strip(), tuple(map(parse_type, _arguments(rest[:-1]))))


def _arguments(inner: str) -> list[str]:
    """Split at the commas that are in no bracket."""
    arguments, depth = [""], 0
    for character in inner:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "," and depth == 0:
            arguments.append("")
        else:
            arguments[-1] += character
    return arguments
