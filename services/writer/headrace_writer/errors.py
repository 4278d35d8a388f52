"""Every error of the writer, named by what to do about it.

HeadraceError
├── Retryable      the same bytes again, to any replica, for ever
├── Poison         one record or message is bad: dead-letter it, go on
└── Fatal          stop this process (or this partition); the text names the fix
    ├── ConfigError   a setting is wrong, unknown or contradicts another
    └── LayoutError   a table has a column or type that no encoder fills
"""


class HeadraceError(Exception):
    """Base of all; never raised itself."""


class Retryable(HeadraceError):
    """The attempt failed or its outcome is unknown; the same attempt may be repeated."""


class Poison(HeadraceError):
    """One payload cannot be stored. `reason` is the stable code kept in the dead-letter topic."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class Fatal(HeadraceError):
    """Going on would lose or double data, or can never succeed."""


class ConfigError(Fatal):
    """Settings do not make sense; the message names the setting to change."""


class LayoutError(Fatal):
    """The server's table has a column or type that the decoder cannot fill."""
