"""``kill -9`` of ``postga watch`` at random moments: whatever is left, the same command goes on to the same events.

    python -m tests.torture [--kills 200] [--seed 5]

A fortnight is recorded, two services at a step of ten minutes, and replayed by the command itself, killed at a random
moment, started again in the same folder, and so on until it comes to the end. Its events and its log must then be those
of a run that nobody disturbed. Exit code 1 where they are not.
"""

from __future__ import annotations

import argparse
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from observability.definitions import Release
from observability.events import AnomalyEvents
from observability.layout import WATCH
from observability.model import Samples, SourceInfo
from observability.release import load
from observability.sources.evidence import Origin, encode_evidence
from observability.sources.recording import RECORDING, Recorded, evidence_path
from observability.watching import checkpoint
from tests.programs import SCRIPTS
from tests.watched import events_in, logged_in

KILLS, SEED = 200, 5
EARLY_AND_LATE = 0.2, 0.9  # of a whole run: it takes several starts to come to the end
DAYS = range(-7, 8)
RELEASE = """
release: shop-v2
ga: 2025-11-18T00:00:00Z
step: 10m
services: [shop, cart]
service_label: app
only: [db_connections, overall_error_rate, request_rate, p99_latency_ms]
"""
COMMAND = (str(SCRIPTS / "postga"), "watch", "release.yaml", "--recording", "recording", "--output-dir")
Values = NDArray[np.float64]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=KILLS, help=f"default: {KILLS}")
    parser.add_argument("--seed", type=int, default=SEED, help=f"default: {SEED}")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        wrong = torture(Path(folder), given.kills, given.seed)
    print(f"{given.kills} kills, seed {given.seed}: {wrong or 'always the same events'}")
    return 1 if wrong else 0


def torture(folder: Path, kills: int, seed: int) -> str:
    """What differs after so many kills; empty for nothing."""
    draw = random.Random(seed)
    record(folder)
    begun = time.monotonic()
    finish(folder, "undisturbed")
    lasts = time.monotonic() - begun
    events = [AnomalyEvents.model_validate_json(content) for content in events_in(folder / "undisturbed").values()]
    found = sum(len(one.anomalies) + len(one.new_levels) + len(one.incidents) for one in events)
    print(f"undisturbed, in {lasts:.1f} s: {found} events, {len(logged_in(folder / 'undisturbed'))} lines in the log")
    done = runs = 0
    while done < kills:
        runs += 1
        name = f"run {runs}"
        killed = kill_until_done(folder, name, lasts, draw, kills - done)
        done += len(killed)
        wrong = differences(folder / "undisturbed", folder / name)
        print(f"{name}, killed {', '.join(killed) or 'too late'}: {wrong or 'the same'}", flush=True)
        if wrong:
            return f"{name}: {wrong}"
        shutil.rmtree(folder / name)
    return ""


def kill_until_done(folder: Path, name: str, lasts: float, draw: random.Random, most: int) -> list[str]:
    """Start the command again and again, each time to kill it at a random moment of a whole run, until it comes to its
    end. When it was killed, in seconds after each start, and up to where it had kept what it knew."""
    killed: list[str] = []
    while len(killed) < most:
        moment = draw.uniform(*EARLY_AND_LATE) * lasts
        with started(folder, name) as process:
            try:
                process.wait(moment)
            except subprocess.TimeoutExpired:
                process.kill()
                killed.append(f"after {moment:.2f} s (at {kept(folder / name)})")
                continue
        break
    finish(folder, name)
    return killed


def kept(folder: Path) -> str:
    """How many steps the checkpoint knows of."""
    try:
        with np.load(folder / WATCH / checkpoint.FILE) as file:
            return f"step {int(file['stream.done'])}"
    except FileNotFoundError:
        return "the start"


def finish(folder: Path, name: str) -> None:
    with started(folder, name) as process:
        _, said = process.communicate(timeout=300)
    if process.returncode or b"warning" in said:
        raise AssertionError(said.decode())


def started(folder: Path, name: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([*COMMAND, name], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def differences(expected: Path, found: Path) -> str:
    if events_in(expected) != events_in(found):
        return "the events differ"
    if logged_in(expected) != logged_in(found):
        return "the log differs"
    left = {path.name for path in (found / WATCH).iterdir()} - {path.name for path in (expected / WATCH).iterdir()}
    return f"left behind: {', '.join(sorted(left))}" if left else ""


# The recording


def record(folder: Path) -> None:
    """A release file and a recording of it."""
    path = folder / "release.yaml"
    path.write_text(RELEASE)
    release = load(path)
    source = SourceInfo(prometheus="http://localhost:9090", step_s=release.step_s)
    weeks = {service: fortnight(release, seed) for seed, service in enumerate(release.services)}
    steps = release.day // release.step
    for number in DAYS:
        window, first = release.calendar.window(number), (number - DAYS[0]) * steps
        for service, columns in weeks.items():
            day = {name: values[first : first + steps] for name, values in columns.items()}
            samples = Samples(service, window, release.step_s, day)
            file = folder / "recording" / evidence_path(release.services, service, number)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(encode_evidence(samples, {}, Origin.of(release.plan, service, source)))
    recorded = Recorded.of(release.plan, release.calendar, source)
    (folder / "recording" / RECORDING).write_text(recorded.model_dump_json())


def fortnight(release: Release, seed: int) -> dict[str, Values]:
    """Two KPIs of requests and two of other kinds, with a daily course, gaps, two incidents and a level that moves."""
    draw = np.random.default_rng(seed)
    day = release.day // release.step
    steps = len(DAYS) * day
    busy = 1 + 0.3 * np.sin(np.arange(steps) / day * 2 * np.pi)
    requests = draw.poisson(6000 * busy).astype(float)
    errors = draw.poisson(0.002 * requests).astype(float)
    slow = draw.binomial(requests.astype(int), 0.002).astype(float)
    sessions = np.round(40 * busy + draw.normal(0, 1, steps))
    for start in (9 * day + 50, 12 * day + 15):
        off = slice(start, start + 6)
        errors[off], sessions[off] = 0.2 * requests[off], 200.0
        slow[off], requests[off] = 0.1 * requests[off], requests[off] / 3
    sessions[10 * day :] += 30
    fast = np.maximum(requests - slow, 0)
    buckets = {"0.1": np.floor(0.8 * fast), "0.5": fast, "+Inf": requests}
    columns = {"http_requests": requests, "http_errors": errors, "db_sessions": sessions}
    columns |= {f"http_latency.le.{bound}": values for bound, values in buckets.items()}
    for values in columns.values():
        values[draw.random(steps) < 0.01] = np.nan
    return columns


if __name__ == "__main__":
    sys.exit(main())
