"""Which statements of a migration may lose rows, rewrite them, or keep writers waiting.

`headrace migrate apply` refuses these without --allow-dangerous. What is left only touches
metadata, or adds to it: creating tables and views, adding columns and indexes, changing codecs,
defaults, settings and TTLs, dropping indexes and plain views.
"""

import re

_NAME = r"(?:`[^`]+`|[\w.]+)"
# After the column's name: changes that leave stored values as they are.
_HARMLESS = (
    r"(?:CODEC|DEFAULT|MATERIALIZED|ALIAS|COMMENT|TTL|REMOVE|MODIFY\s+SETTING|RESET\s+SETTING)"
)

_DANGERS: tuple[tuple[str, str], ...] = (
    # 18.16 has no DROP VIEW: a comment says that it is one.
    (r"\bDROP\s+(?:TABLE|DATABASE|DICTIONARY)\b(?!\s+IF\s+EXISTS\s+[\w.]+\s+/\* a view \*/$)",
     "drops a whole table"),
    (rf"\bDROP\s+VIEW\s+(?:IF\s+EXISTS\s+)?{_NAME}_mv\b",
     "drops a materialized view: rows inserted until it is back never reach its table"),
    (r"\bDROP\s+COLUMN\b", "deletes a column's values"),
    (r"\bDROP\s+(?:DETACHED\s+)?PART(?:ITION)?\b", "deletes rows"),
    (r"\bTRUNCATE\b", "deletes rows"),
    (r"\bDETACH\b", "takes data out of sight"),
    (r"\bCLEAR\s+(?:COLUMN|INDEX|PROJECTION)\b", "deletes values"),
    (r"\bRENAME\b|\bEXCHANGE\b", "renames what writers and queries name"),
    (rf"\bMODIFY\s+COLUMN\s+(?:IF\s+EXISTS\s+)?{_NAME}\s+(?!{_HARMLESS}\b)\S",
     "changes a column's type: every row is rewritten, and writers may not fit any more"),
    (r"\bMATERIALIZE\s+(?:COLUMN|INDEX|PROJECTION|TTL|STATISTICS)\b", "rewrites what is stored"),
    (r"^\s*ALTER\b.*\b(?:DELETE|UPDATE)\b(?=.*\bWHERE\b)", "is a mutation: it rewrites rows"),
    (r"^\s*(?:DELETE\s+FROM|UPDATE)\b", "is a mutation: it rewrites rows"),
    (r"\bPOPULATE\b", "reads the whole table while rows inserted meanwhile are missed"),
    (r"\bREPLACE\s+(?:PARTITION|TABLE)\b", "replaces rows"),
    (r"^\s*OPTIMIZE\b", "rewrites what is stored"),
)  # fmt: skip
_COMPILED = tuple(
    (re.compile(pattern, re.IGNORECASE | re.DOTALL), why) for pattern, why in _DANGERS
)
_STRINGS = re.compile(r"'(?:[^'\\]|\\.)*'")


def danger(sql: str) -> str | None:
    """Why a statement must not be run unasked; None when it may."""
    plain = _STRINGS.sub("''", sql)
    # TTL … DELETE WHERE is a rule, not a mutation.
    plain = re.sub(r"\bMODIFY\s+TTL\b.*", "MODIFY TTL", plain, flags=re.IGNORECASE | re.DOTALL)
    return next((why for pattern, why in _COMPILED if pattern.search(plain)), None)
