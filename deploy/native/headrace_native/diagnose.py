"""From a component's last log lines to its likely trouble."""

import re
from pathlib import Path

TAIL_LINES = 15

# First match wins: pattern in the log → what it most likely means and what to do.
CAUSES = (
    (
        r"address already in use|BindException|Cannot assign requested|cannot bind",
        "another process took its port in this moment; HEADRACE_PORT_OFFSET=1000 moves all ports",
    ),
    (
        r"OutOfMemory|Cannot allocate memory|There is insufficient memory|std::bad_alloc",
        "not enough memory; the whole cluster needs about 3 GiB (see cluster.toml for the heaps)",
    ),
    (r"No space left on device|not enough space", "the disk is full"),
    (
        r"ClassNotFoundException|Could not find or load main class|NoClassDefFoundError",
        "jars are missing; run: rm -rf .cache/kafka && make setup",
    ),
    (
        r"can't find command|No such file or directory|not found|command not found|ENOENT",
        "a program or package is missing; run: make setup",
    ),
    (r"Permission denied|EACCES", "files belong to another user; was it started with sudo before?"),
    (
        r"InconsistentClusterId|doesn't match|No `?meta\.properties|Stored node id",
        "the data on disk is another cluster's; make cluster-down WIPE=1 starts afresh",
    ),
    (r"UnsupportedClassVersionError", "Java is too old; it takes 17"),
)


def tail(log: Path, lines: int = TAIL_LINES) -> str:
    """The last lines of a log, indented; says so when there are none."""
    if not log.exists():
        return "    (no log)"
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 64 * 1024))
        text = file.read().decode("utf-8", "replace")
    kept = text.splitlines()[-lines:]
    return "\n".join(f"    {line[:300]}" for line in kept) or "    (the log is empty)"


def likely_cause(text: str) -> str:
    """A sentence about the probable cause, or empty when the log tells nothing known."""
    for pattern, cause in CAUSES:
        if re.search(pattern, text, re.IGNORECASE):
            return cause
    return ""


def explain(name: str, what: str, log: Path, spawn_error: str = "") -> str:
    """The text for a component that failed: what, its log's end, the likely cause."""
    end = tail(log)
    lines = [f"{name} {what}; the end of {log}:", end]
    if spawn_error:
        lines.append(f"    supervisor: {spawn_error}")
    cause = likely_cause(f"{spawn_error}\n{end}")
    if cause:
        lines.append(f"Likely cause: {cause}")
    return "\n".join(lines)
