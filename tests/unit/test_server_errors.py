"""What the writer does about each ClickHouse error."""

import socket

import pytest
from clickhouse_driver.errors import (
    NetworkError,
    ServerException,
    SocketTimeoutError,
    UnexpectedPacketFromServerError,
    UnknownPacketFromServerError,
)

from headrace_writer.errors import Fatal, HeadraceError, Poison, Retryable
from headrace_writer.shell.server_errors import classify, first_line

# Names are those of ClickHouse's ErrorCodes.cpp.
PASSES_BY_ITSELF = {
    "TIMEOUT_EXCEEDED": 159,
    "TOO_MANY_SIMULTANEOUS_QUERIES": 202,
    "NETWORK_ERROR": 210,
    "NO_ZOOKEEPER": 225,
    "ABORTED": 236,
    "MEMORY_LIMIT_EXCEEDED": 241,
    "TABLE_IS_READ_ONLY": 242,
    "TOO_MANY_PARTS": 252,
    "UNKNOWN_STATUS_OF_INSERT": 319,
    "QUERY_WAS_CANCELLED": 394,
    "KEEPER_EXCEPTION": 999,
    "a number that no release has yet": 4_242,
}
DATA_AT_FAULT = {
    "CANNOT_PARSE_TEXT": 6,
    "CANNOT_PARSE_QUOTED_STRING": 26,
    "CANNOT_PARSE_INPUT_ASSERTION_FAILED": 27,
    "CANNOT_PARSE_DATE": 38,
    "CANNOT_PARSE_DATETIME": 41,
    "TYPE_MISMATCH": 53,
    "ARGUMENT_OUT_OF_BOUND": 69,
    "CANNOT_CONVERT_TYPE": 70,
    "TOO_LARGE_STRING_SIZE": 131,
    "VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE": 321,
    "DECIMAL_OVERFLOW": 407,
    "VIOLATED_CONSTRAINT": 469,
    "UNKNOWN_ELEMENT_OF_ENUM": 691,
}
# Error → what its text must tell the person who reads it.
A_PERSON_MUST_ACT = {
    ("NO_SUCH_COLUMN_IN_TABLE", 16): "missing",
    ("UNKNOWN_IDENTIFIER", 47): "unknown",
    ("UNKNOWN_TABLE", 60): "headrace migrate apply",
    ("UNKNOWN_DATABASE", 81): "headrace migrate apply",
    ("UNKNOWN_SETTING", 115): "setting",
    ("UNKNOWN_USER", 192): "clickhouse_user",
    ("WRONG_PASSWORD", 193): "clickhouse_password",
    ("REQUIRED_PASSWORD", 194): "clickhouse_password",
    ("ACCESS_DENIED", 497): "grant",
    ("AUTHENTICATION_FAILED", 516): "clickhouse_password",
}
WHERE = "otel_logs on 10.0.0.1:9000"


def of_server(code: int, message: str = "DB::Exception: no") -> HeadraceError:
    return classify(ServerException(message, code), WHERE)


@pytest.mark.parametrize("name", PASSES_BY_ITSELF)
def test_what_may_pass_is_retried(name: str) -> None:
    code = PASSES_BY_ITSELF[name]
    found = of_server(code)
    assert type(found) is Retryable
    assert str(found) == f"{WHERE}: code {code}: DB::Exception: no"


@pytest.mark.parametrize("name", DATA_AT_FAULT)
def test_data_that_is_never_taken_is_poison(name: str) -> None:
    code = DATA_AT_FAULT[name]
    found = of_server(code)
    assert isinstance(found, Poison)
    assert found.reason == f"clickhouse_{code}"
    assert found.detail == f"{WHERE}: code {code}: DB::Exception: no"


@pytest.mark.parametrize(("name", "code"), A_PERSON_MUST_ACT)
def test_what_a_person_must_mend_is_fatal_and_says_how(name: str, code: int) -> None:
    found = of_server(code)
    assert type(found) is Fatal
    assert str(found).startswith(f"{WHERE}: code {code}: ")
    assert A_PERSON_MUST_ACT[name, code] in str(found)


@pytest.mark.parametrize(
    "error",
    [
        NetworkError("Connection refused"),
        SocketTimeoutError("timed out"),
        UnexpectedPacketFromServerError("got Pong"),
        UnknownPacketFromServerError("packet 99"),
        EOFError("Unexpected EOF while reading bytes"),
        ConnectionResetError(104, "Connection reset by peer"),
        BrokenPipeError(32, "Broken pipe"),
        socket.gaierror(-2, "Name or service not known"),
        TimeoutError("timed out"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_connection_that_fails_is_retried(error: Exception) -> None:
    found = classify(error, WHERE)
    assert type(found) is Retryable
    assert str(found).startswith(f"{WHERE}: {type(error).__name__}: ")


def test_a_stack_trace_is_left_out() -> None:
    trace = "DB::Exception: Constraint `c` is violated at row 7.\n\n0. StackTrace::StackTrace()\n1."
    found = of_server(469, trace)
    assert isinstance(found, Poison)
    assert found.detail.endswith("Constraint `c` is violated at row 7.")


def test_a_message_as_long_as_a_row_is_cut() -> None:
    assert first_line("  x" * 1_000 + "\nmore") == ("x" + "  x" * 100)[:300]
    assert first_line("") == ""
