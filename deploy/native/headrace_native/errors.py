"""What can go wrong with the cluster, each error with what to do about it."""


class ClusterError(Exception):
    """Base of all; the text is for the person at the terminal. Exit code 1."""

    exit_code = 1


class UsageError(ClusterError):
    """A setting is wrong or contradicts what is on disk. Exit code 2."""

    exit_code = 2


class ComponentFailedError(ClusterError):
    """A component did not become ready; the text holds its last log lines and a likely cause."""
