"""What becomes of a batch's memory once it is stored.

Left alone, glibc gives most of a batch's buffers back to the operating system and asks for them
again a batch later: page by page, each cleared anew (docs/decisions/0031).
"""

import ctypes
from collections.abc import Mapping

# Of malloc.h.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
# Several batches: what is free above that goes back to the operating system.
KEEP_BYTES = 256 << 20
# glibc takes no more. Larger buffers come straight from the operating system.
LARGEST_KEPT_BYTES = 32 << 20


def keep_freed_memory(environment: Mapping[str, str]) -> bool:
    """Freed memory stays with this process, in one heap for all threads. Before they start.

    False, and nothing changed, where malloc is not glibc's, or `environment` says what it should do
    (MALLOC_..., GLIBC_TUNABLES).
    """
    if any(name.startswith(("MALLOC_", "GLIBC_TUNABLES")) for name in environment):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    settings = (
        (M_ARENA_MAX, 1),
        (M_MMAP_THRESHOLD, LARGEST_KEPT_BYTES),
        (M_TRIM_THRESHOLD, KEEP_BYTES),
    )
    return all(mallopt(name, value) == 1 for name, value in settings)
