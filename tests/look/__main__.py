"""Pages of loadgen in headless Chromium, as docs/images shows them: `make screenshots`.

Fails where a page writes to the console. What is printed is for looking at: nobody compares pixels.
"""

import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from html import escape
from pathlib import Path

from headrace_native.spec import ROOT

IMAGES = ROOT / "docs" / "images"
PHONE = 390
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-quic", "--enable-logging=stderr",
)  # fmt: skip
DARK = ("--blink-settings=preferredColorScheme=0", "--force-dark-mode")


@dataclass(frozen=True, slots=True)
class Shot:
    """One picture. `pages` of a phone stand beside each other; 0: a desktop's width."""

    name: str
    height: int
    dark: bool = False
    phones: int = 0


RUN = (
    Shot("report-desktop", 1_750),
    Shot("report-dark", 1_750, dark=True),
    Shot("report-phone", 1_250, phones=3),
    Shot("report-phone-dark", 1_250, dark=True, phones=3),
)
SEARCH = (Shot("find-max", 1_150),)


def phones(page: Path, count: int, height: int) -> str:
    """A page that shows `page` at a phone's width, and goes on beside it."""
    frames = "".join(
        f'<div style="width:{PHONE}px;height:{height}px;overflow:hidden">'
        f'<iframe src="{escape(page.as_uri())}" style="width:{PHONE}px;border:0;'
        f'height:{height * count}px;margin-top:-{height * i}px"></iframe></div>'
        for i in range(count)
    )
    style = "margin:0;display:flex;gap:24px;padding:0 24px;background:#8a939c"
    return f'<!doctype html><body style="{style}">{frames}'


def take(page: Path, shot: Shot, folder: Path) -> list[str]:
    """Write docs/images/<name>.png. Returns what the page said on the console."""
    width, shown = 1_280, page
    if shot.phones:
        width = shot.phones * (PHONE + 24) + 24
        shown = folder / f"{shot.name}.html"
        shown.write_text(phones(page, shot.phones, shot.height))
    target = IMAGES / f"{shot.name}.png"
    done = subprocess.run(
        [
            "chromium", *FLAGS, *(DARK if shot.dark else ()),
            f"--user-data-dir={folder / shot.name}", f"--window-size={width},{shot.height}",
            f"--screenshot={target}", shown.as_uri(),
        ],
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    colours = [
        "pngquant",
        "--force",
        "--skip-if-larger",
        "--output",
        str(target),
        "--",
        str(target),
    ]
    subprocess.run(colours, check=False)
    print(f"{target.relative_to(ROOT)}: {target.stat().st_size // 1000} kB")
    return re.findall(r"CONSOLE.*", done.stderr)


def main(pages: list[str]) -> int:
    """First the page of a run, then, if given, that of a search."""
    IMAGES.mkdir(exist_ok=True)
    said: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        for page, shots in zip(pages, (RUN, SEARCH), strict=False):
            for shot in shots:
                said += take(Path(page).resolve(), shot, Path(folder))
    for line in said:
        print(f"console: {line}", file=sys.stderr)
    return 1 if said else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
