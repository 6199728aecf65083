"""Collects some days in a process of its own and prints that process' peak memory in MB. Run by ``speed.peak_mb``."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from benchmarks.speed import collect


def peak_mb() -> float:
    """Linux's VmHWM. ``getrusage`` would count the memory of the process that started this one, too."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) * 1024 / 1e6


if __name__ == "__main__":
    url, size, days = sys.argv[1:]
    assert all(collect(url, int(size), int(days)))
    print(f"{peak_mb():.1f}")
