"""Secrets and e-mail addresses in text: what they look like, and text without them.

Deliberately plain rules, so that people can predict them and the kernel's scanner can be held to
them. Text is UTF-8; everything that is looked for is ASCII.

A secret begins where no letter, digit or `_` stands before it, and is one of
- a known beginning of `TOKENS` and at least so many bytes of its alphabet behind it;
- a private key block, `-----BEGIN … PRIVATE KEY-----` up to its end line, or up to the end of
  the text where that is missing (it may stand anywhere).

An address is a run of `A-Za-z0-9._%+-`, an `@`, and a host name: a run of `A-Za-z0-9.-` without
dots and dashes at its ends, whose last label is two or more letters.
"""

import re
from typing import NamedTuple

MASK = b"[redacted]"

NARROW = rb"[A-Za-z0-9_-]"
WIDE = rb"[A-Za-z0-9._~+/=-]"


class Token(NamedTuple):
    """A kind of secret."""

    prefix: bytes
    least: int
    """Fewest bytes behind the prefix."""
    alphabet: bytes = NARROW
    dots: int = 0
    """Fewest dots among them."""


TOKENS = (
    Token(b"AKIA", 16),  # AWS access keys
    Token(b"ASIA", 16),
    Token(b"AIza", 30),  # Google
    Token(b"Bearer ", 16, WIDE),
    Token(b"bearer ", 16, WIDE),
    Token(b"eyJ", 20, WIDE, 2),  # JSON web tokens
    *(Token(prefix, 30) for prefix in (b"ghp_", b"gho_", b"ghu_", b"ghs_", b"ghr_")),  # GitHub
    Token(b"github_pat_", 30),
    Token(b"glpat-", 20),  # GitLab
    Token(b"hf_", 30),  # Hugging Face
    Token(b"npm_", 30),
    Token(b"pypi-", 30),
    Token(b"sk-", 20),  # OpenAI, Anthropic
    *(Token(prefix, 16) for prefix in (b"sk_live_", b"sk_test_", b"rk_live_")),  # Stripe
    *(Token(prefix, 16) for prefix in (b"xoxa-", b"xoxb-", b"xoxp-", b"xoxr-", b"xoxs-")),  # Slack
)
SHORTEST = 20
"""Nothing shorter is looked through for tokens."""
NEAR = 4096
"""Bytes in which a token must show what it is; without a limit, many beginnings in a long text
would be read to its end each."""

_BEGIN = re.compile(rb"-----BEGIN (.*?)-----", re.DOTALL)
_END = re.compile(rb"-----END .*?-----", re.DOTALL)
_START = re.compile(
    rb"(?<![A-Za-z0-9_])(?:"
    + b"|".join({re.escape(t.prefix[:2]) for t in TOKENS})
    + rb")|-----BEGIN "
)
_NAME_END = re.compile(rb"[A-Za-z0-9._%+-]+$")
_HOST = re.compile(rb"[A-Za-z0-9.-]*")
_LAST_LABEL = re.compile(rb"[A-Za-z]{2,}")


def redacted(text: bytes, *, secrets: bool, emails: bool) -> bytes:
    """The text with `MASK` in place of what was found."""
    if secrets:
        text = without_secrets(text)
    return without_emails(text) if emails else text


def without_secrets(text: bytes) -> bytes:
    if len(text) < SHORTEST:
        return text
    out, done = [], 0
    at = _START.search(text)
    while at:
        end = _secret_end(text, at.start())
        if end:
            out += [text[done : at.start()], MASK]
            done = end
        at = _START.search(text, end or at.start() + 1)
    return b"".join([*out, text[done:]])


def _secret_end(text: bytes, at: int) -> int:
    """Where a secret that begins at `at` ends; 0 for none."""
    block = _BEGIN.match(text, at)
    if block:
        if not block[1].endswith(b"PRIVATE KEY"):
            return 0
        end = _END.search(text, block.end())
        return end.end() if end else len(text)
    for token in TOKENS:
        if text.startswith(token.prefix, at):
            start = at + len(token.prefix)
            run = re.compile(token.alphabet + b"*")
            near = run.match(text, start, start + NEAR)[0]  # type: ignore[index]  # * always matches
            if len(near) >= token.least and near.count(b".") >= token.dots:
                return run.match(text, start).end()  # type: ignore[union-attr]
    return 0


def without_emails(text: bytes) -> bytes:
    out, done = [], 0
    for at in (i for i, byte in enumerate(text) if byte == ord("@")):
        if at < done:
            continue
        name = _NAME_END.search(text[done:at])
        host = _HOST.match(text, at + 1)[0].rstrip(b".-")  # type: ignore[index]
        if name and _is_host(host):
            out += [text[done : done + name.start()], MASK]
            done = at + 1 + len(host)
    return b"".join([*out, text[done:]])


def _is_host(name: bytes) -> bool:
    before, dot, last = name.rpartition(b".")
    return bool(dot and before and before[:1] not in b".-" and _LAST_LABEL.fullmatch(last))
