"""The headrace command as a person meets it: help, exit codes, errors that name the setting."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from headrace_writer.commands.options import duration, moment, signal_of
from headrace_writer.config import load
from headrace_writer.errors import ConfigError

HEADRACE = Path(sys.executable).with_name("headrace")
# Nobody listens on port 1.
NOWHERE = ("--kafka-bootstrap-servers", "127.0.0.1:1", "--clickhouse-shards", "127.0.0.1:1")


def headrace(*words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [HEADRACE, *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={"PATH": "/usr/bin:/bin", **environment},
    )


@pytest.mark.parametrize(
    "command", ["", "audit", "cardinality", "dlq", "guardrails", "replay", "tenants"]
)
def test_help_shows_examples(command: str) -> None:
    shown = headrace(*command.split(), "--help")
    assert shown.returncode == 0
    assert "examples:\n  headrace " in shown.stdout


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("fly",),
        ("dlq",),
        ("replay", "--topic", "otlp_spans"),
        ("audit", "--since", "yesterday"),
    ],
)
def test_wrong_usage_ends_with_two(words: tuple[str, ...]) -> None:
    done = headrace(*words)
    assert done.returncode == 2
    assert "usage: headrace" in done.stderr


def test_an_unknown_setting_is_named_with_the_nearest_known_one() -> None:
    done = headrace("config", HEADRACE_BATCH_MAX_BYTE="1")
    assert done.returncode == 2
    assert "HEADRACE_BATCH_MAX_BYTE" in done.stderr
    assert "did you mean HEADRACE_BATCH_MAX_BYTES?" in done.stderr


def test_an_error_in_the_guardrails_stops_the_start(tmp_path: Path) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text('[[rule]]\nid = "a"\naction = "dorp"\n')
    for words in (["guardrails", "check", str(rules)], ["write", "--guardrails-file", str(rules)]):
        done = headrace(*words)
        assert done.returncode == 2
        told = f"headrace: {rules}:3:1: unknown action 'dorp'; did you mean 'drop'?\n"
        assert done.stderr == told


def test_a_topic_that_carries_no_signal_is_refused() -> None:
    done = headrace("replay", "--topic", "nope", "--from", "1h", *NOWHERE)
    assert done.returncode == 2
    assert "otlp_spans, otlp_metrics, otlp_logs" in done.stderr


def test_when_kafka_does_not_answer_the_command_says_so_and_ends_with_three() -> None:
    done = headrace("dlq", "list", *NOWHERE)
    assert done.returncode == 3
    assert "127.0.0.1:1" in done.stderr
    assert "Traceback" not in done.stderr


def test_when_clickhouse_does_not_answer_the_audit_says_so_and_ends_with_three() -> None:
    done = headrace("audit", *NOWHERE, "--start-timeout-s", "1")
    assert done.returncode == 3
    assert "127.0.0.1:1" in done.stderr
    assert "Traceback" not in done.stderr


def test_durations_and_moments() -> None:
    assert duration("90s") == timedelta(seconds=90)
    assert duration("7d") == timedelta(days=7)
    assert moment("2026-11-23T10:00Z") == datetime(2026, 11, 23, 10, tzinfo=UTC)
    assert moment("2026-11-23") == datetime(2026, 11, 23, tzinfo=UTC)
    an_hour_ago = datetime.now(UTC) - timedelta(hours=1)
    assert abs(moment("1h") - an_hour_ago) < timedelta(minutes=1)


def test_a_signal_is_found_by_its_topic() -> None:
    settings = load({"topic_logs": "our_logs"}, {})
    assert signal_of(settings, "our_logs") == "logs"
    with pytest.raises(ConfigError, match="topic_traces"):
        signal_of(settings, "otlp_logs")
