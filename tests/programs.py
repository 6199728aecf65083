"""The commands, run as programs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
SCRIPTS = Path(sys.executable).parent


def stage(name: str, folder: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    """A stage command, run as a file."""
    return program([sys.executable, str(ROOT / name)], folder, *flags)


def postga(folder: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    return program([str(SCRIPTS / "postga")], folder, *flags)


def program(command: list[str], folder: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*command, *flags], cwd=folder, capture_output=True, text=True, check=False, timeout=60)
