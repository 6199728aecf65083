"""What the benchmarks share: when and where they ran, how far they are, and how and where they tell their figures."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from argparse import Namespace
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from observability.errors import PostgaError

ROOT = Path(__file__).parents[1]
DETECTOR_PAGE = ROOT / "docs/detector.md"


class Done(Protocol):
    """Told that another step is done, or which part of it."""

    def __call__(self, part: float = 1.0, /) -> None: ...


def progress(text: str, total: int) -> Done:
    """Says what is being done; on a terminal, also how much of it is done."""
    if not sys.stderr.isatty():
        print(f"{text} …", file=sys.stderr)
        return lambda part=1.0: None
    print(f"{text} …", end="", file=sys.stderr, flush=True)
    whole = 0

    def done(part: float = 1.0, /) -> None:
        nonlocal whole
        share = (whole + part) / total
        whole += part == 1
        bar = "━" * round(20 * share)
        print(f"\r{text} {bar:─<20} {share:4.0%}", end="\n" if whole == total else "", file=sys.stderr, flush=True)

    return done


def tell(
    measure: Callable[[], dict[str, Any]],
    table: Callable[[dict[str, Any]], str],
    given: Namespace,
    block: str,
    page: Path | None = None,
) -> int:
    """Measure, print the report or its table, and write the table into its block of the page (the detector's, if none
    is named) where that is asked for. Gives the exit code."""
    try:
        report = measure()
    except PostgaError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("\ninterrupted.", file=sys.stderr)
        return 130
    print(json.dumps(report, indent=1, allow_nan=False) if given.json else table(report))
    if given.document:
        page = page or DETECTOR_PAGE
        page.write_text(filled_in(page.read_text(encoding="utf-8"), table(report), block), encoding="utf-8")
    return 0


def about() -> dict[str, str]:
    """When, where and what was measured."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{_processor()}, {os.cpu_count()} cores, {platform.system()}",
        "python": platform.python_version(),
        "commit": _git("describe", "--always", "--dirty", "--abbrev=12"),
    }


def _processor() -> str:
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return models[0].partition(": ")[2] if models else platform.machine()


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, cwd=ROOT)
    return done.stdout.strip() or "unknown"


def marks(name: str = "") -> tuple[str, str]:
    """What stands before and after a page's figures; by name where a page has several blocks of them."""
    figures = f"figures of {name}" if name else "figures"
    return f"<!-- {figures} -->\n", f"<!-- end of the {figures} -->"


def filled_in(document: str, figures: str, name: str = "") -> str:
    """The document with the figures between their marks."""
    begin, end = marks(name)
    before, _, rest = document.partition(begin)
    _, _, after = rest.partition(end)
    return f"{before}{begin}\n{figures}\n\n{end}{after}"
