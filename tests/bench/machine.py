"""What a result was measured on."""

import os
import platform
from pathlib import Path


def machine() -> str:
    """Cores, processor and Python."""
    return f"{os.cpu_count()} cores, {cpu_model()}, Python {platform.python_version()}"


def cpu_model() -> str:
    """As /proc/cpuinfo names it."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()
