"""The files of deploy/compose as tests read them: one project, variables filled in from .env."""

import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from headrace_native.spec import ROOT

FOLDER = ROOT / "deploy" / "compose"
FILES = ("compose.yaml", "compose.observability.yaml", "compose.load.yaml")
IMAGES = ROOT / "deploy" / "images"
VARIABLE = re.compile(r"\$\{(\w+)\}")

Service = Mapping[str, Any]


def read_env(file: str) -> dict[str, str]:
    """What a file of variables sets."""
    lines = (FOLDER / file).read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


@cache
def variables() -> dict[str, str]:
    """What .env sets."""
    return read_env(".env")


@cache
def document(file: str, *, filled: bool = True) -> dict[str, Any]:
    """One Compose file. An unknown variable raises KeyError."""
    text = (FOLDER / file).read_text()
    if filled:
        text = VARIABLE.sub(lambda match: variables()[match[1]], text)
    loaded: dict[str, Any] = yaml.safe_load(text)
    return loaded


@cache
def services(*, filled: bool = True) -> dict[str, Service]:
    """Every service by name; no file changes one of another file."""
    found: dict[str, Service] = {}
    for file in FILES:
        here = document(file, filled=filled)["services"]
        assert not found.keys() & here.keys()
        found |= here
    return found


def environment(service: Service) -> dict[str, str]:
    """A service's variables as its process gets them."""
    return {name: str(value) for name, value in service.get("environment", {}).items()}


def is_job(service: Service) -> bool:
    """It ends by itself."""
    return service.get("restart") == "no"


def ours(service: Service) -> bool:
    return str(service["image"]).startswith("headrace/")


def tool() -> list[str]:
    """Docker Compose, no engine: Docker's plugin, else Debian's package (make setup)."""
    if shutil.which("docker"):
        found = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
        if found.returncode == 0:
            return ["docker", "compose"]
    return ["docker-compose"]


def validate(
    folder: Path, files: Sequence[str] = FILES, variables: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """`docker compose config` over files of a folder; `variables` win over its .env."""
    chosen = [part for file in files for part in ("-f", str(folder / file))]
    return subprocess.run(
        [*tool(), *chosen, "config", "--quiet"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=folder,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/nonexistent", **(variables or {})},
    )
