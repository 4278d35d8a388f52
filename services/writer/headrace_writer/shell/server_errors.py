"""What to do about each ClickHouse error: one table, with the reasons.

Numbers are ClickHouse's `src/Common/ErrorCodes.cpp`.
"""

from clickhouse_driver import errors as driver_errors

from headrace_writer.errors import Fatal, HeadraceError, Poison, Retryable

# Errors that no retry mends and that the data did not cause: a person must act.
_FATAL = {
    16: "a column of the INSERT is missing from the table",
    36: "a setting or argument is refused",
    47: "a column is unknown to the server",
    60: "the table does not exist: run `headrace migrate apply`",
    81: "the database does not exist: run `headrace migrate apply`",
    115: "a setting is unknown to this server",
    192: "the user is unknown: check clickhouse_user",
    193: "the password is wrong: check clickhouse_password",
    194: "a password is required: set clickhouse_password",
    497: "the user may not do this: grant INSERT and SELECT",
    516: "authentication failed: check clickhouse_user and clickhouse_password",
}

# The server understood the block and will never take it.
_POISON = {
    6: "cannot parse text",
    26: "cannot parse a quoted string",
    27: "cannot parse input",
    38: "cannot parse a date",
    41: "cannot parse a date and time",
    53: "a value has the wrong type",
    69: "an argument is out of bounds",
    70: "a value cannot be converted",
    131: "a string is too large",
    321: "a value is outside its type",
    407: "a decimal overflows",
    469: "a constraint is violated",
    691: "an enum has no such element",
}


def classify(error: Exception, where: str) -> HeadraceError:
    """The error to raise instead: what is not known to be final is retried.

    Retrying for ever is safe (the same bytes are deduplicated) and loses nothing; giving up on an
    error that would have passed does.
    """
    if isinstance(error, driver_errors.ServerException):
        code = error.code
        text = f"{where}: code {code}: {first_line(error.message)}"
        if code in _FATAL:
            return Fatal(f"{text} ({_FATAL[code]})")
        if code in _POISON:
            return Poison(f"clickhouse_{code}", text)
        return Retryable(text)
    return Retryable(f"{where}: {type(error).__name__}: {first_line(str(error))}")


def first_line(text: str) -> str:
    """Without the server's stack trace."""
    return text.strip().split("\n", 1)[0][:300]
