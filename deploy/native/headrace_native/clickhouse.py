"""Queries over ClickHouse's HTTP interface: enough for probes and status, without a driver."""

import urllib.error
import urllib.request


class UnreachableError(Exception):
    """The server did not answer or refused; the text says why."""


def query(port: int, sql: str, timeout_seconds: float = 5) -> list[list[str]]:
    """Rows of a query as lists of strings (format TabSeparated). Raises UnreachableError."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}/", data=sql.encode(), method="POST")
    try:
        with urllib.request.urlopen(request, timeout=timeout_seconds) as answer:  # noqa: S310
            text = answer.read().decode("utf-8", "replace")
    except urllib.error.HTTPError as error:
        raise UnreachableError(error.read().decode("utf-8", "replace").strip()[:300]) from error
    except OSError as error:
        raise UnreachableError(str(error)) from error
    return [line.split("\t") for line in text.splitlines()]
