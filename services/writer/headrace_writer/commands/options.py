"""Arguments that several commands share: times, topics, output."""

import argparse
import re
from datetime import UTC, datetime, timedelta

from headrace_writer.config import SIGNALS, Settings
from headrace_writer.core.block import Signal
from headrace_writer.errors import ConfigError

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def duration(text: str) -> timedelta:
    """`90s`, `15m`, `1h`, `7d`. Raises argparse's error, which names the text."""
    match = re.fullmatch(r"(\d+)([smhd])", text)
    if match is None:
        msg = f"{text!r} is no duration: write 90s, 15m, 1h or 7d"
        raise argparse.ArgumentTypeError(msg)
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def moment(text: str) -> datetime:
    """ISO 8601 (`2026-11-23T10:00Z`; without a zone: UTC), or a duration ago (`1h`)."""
    if re.fullmatch(r"\d+[smhd]", text):
        return datetime.now(UTC) - duration(text)
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        msg = f"{text!r} is no time: write 2026-11-23T10:00Z, or 1h for an hour ago"
        raise argparse.ArgumentTypeError(msg) from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def milliseconds(when: datetime) -> int:
    """Milliseconds since 1970."""
    return int(when.timestamp() * 1000)


def signal_of(settings: Settings, topic: str) -> Signal:
    """The signal whose topic this is. Raises ConfigError naming the topics there are."""
    for signal in SIGNALS:
        if settings.topic(signal) == topic:
            return signal
    names = ", ".join(settings.topic(signal) for signal in SIGNALS)
    msg = f"topic {topic} carries no signal (topic_traces, topic_metrics, topic_logs): {names}"
    raise ConfigError(msg)
