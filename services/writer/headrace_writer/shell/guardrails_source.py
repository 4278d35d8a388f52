"""The guardrails in force: read at the start, and again when their files change or on SIGHUP."""

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import structlog

from headrace_schema.genai import CONTENT
from headrace_writer.config import Settings
from headrace_writer.core.guardrails import HASH_KEY_BYTES, Rule, Treatment
from headrace_writer.core.guardrails_file import parse
from headrace_writer.errors import ConfigError
from headrace_writer.shell.clock import Clock

# A changed file is seen within this time; SIGHUP is for those who do not want to wait.
LOOK_EVERY_S = 5.0

log = structlog.get_logger()


def read_rules(path: Path) -> tuple[Rule, ...]:
    """The rules of a file. Raises ConfigError."""
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        msg = f"guardrails_file {path}: {error}"
        raise ConfigError(msg) from error
    return parse(text, str(path))


def read_hash_key(path: Path) -> bytes:
    """The 16 bytes of a key file. Raises ConfigError."""
    try:
        key = bytes.fromhex(path.read_text().strip())
    except (OSError, ValueError) as error:
        msg = f"guardrails_key_file {path}: {error}"
        raise ConfigError(msg) from error
    if len(key) != HASH_KEY_BYTES:
        msg = (
            f"guardrails_key_file {path} holds {len(key)} bytes, and {HASH_KEY_BYTES} are needed, "
            "in hex: openssl rand -hex 16"
        )
        raise ConfigError(msg)
    return key


def read_treatment(settings: Settings) -> Treatment:
    """What the settings and the files that they name ask for. Raises ConfigError."""
    usual = Treatment(
        tenant_attribute=settings.tenant_attribute,
        content=CONTENT if settings.content_apart else (),
    )
    if settings.guardrails_file is None:
        return usual
    rules = read_rules(settings.guardrails_file)
    if settings.guardrails_key_file is not None:
        return replace(usual, rules=rules, hash_key=read_hash_key(settings.guardrails_key_file))
    hashes = [rule.id for rule in rules if rule.action == "hash"]
    if hashes:
        msg = (
            f"rule {hashes[0]} hashes, and there is no key: set guardrails_key_file to a file "
            "made by openssl rand -hex 16"
        )
        raise ConfigError(msg)
    return replace(usual, rules=rules)


class GuardrailsSource:
    """Looks after the files of one process. `now` holds what is in force.

    Each signal's loop asks `changed` between two batches, on its own thread.
    """

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._lock = threading.Lock()
        self._looked_at = clock.monotonic()
        self._signature = self._sign()
        self._asked = False
        self.now = read_treatment(settings)
        self.on_reload: Callable[[bool], None] = lambda _good: None
        """Hears of each attempt, and whether the new rules are in force."""

    def ask(self) -> None:
        """Look at the next opportunity; safe in a signal handler."""
        self._asked = True

    def changed(self, since: Treatment) -> Treatment | None:
        """What is in force, if that is not `since`. Looks at the files when it is time."""
        with self._lock:
            due = self._clock.monotonic() - self._looked_at >= LOOK_EVERY_S
            if self._asked or due:
                self._look()
        return self.now if self.now != since else None

    def _look(self) -> None:
        self._looked_at = self._clock.monotonic()
        signature = self._sign()
        if signature == self._signature and not self._asked:
            return
        self._asked, self._signature = False, signature
        try:
            self.now = read_treatment(self._settings)
        except ConfigError as error:
            # The old rules go on: to stop would be worse, and to go on without any the worst.
            log.error("guardrails not reloaded, the old ones stay in force", why=str(error))
            self.on_reload(False)
            return
        log.info("guardrails loaded", rules=len(self.now.rules), fingerprint=self.now.fingerprint)
        self.on_reload(True)

    def _sign(self) -> tuple[object, ...]:
        """Changes when a file does, also when a link now points elsewhere."""
        found: list[object] = []
        for path in (self._settings.guardrails_file, self._settings.guardrails_key_file):
            try:
                stat = path.stat() if path else None
            except OSError as error:
                found.append(error.errno)
            else:
                found.append(stat and (stat.st_mtime_ns, stat.st_size, stat.st_ino))
        return tuple(found)
