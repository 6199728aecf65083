"""Which CSV files are scored, and where each one's scores go."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from observability.errors import ConfigError

ENDINGS = (".csv", ".csv.gz")
STDOUT = Path("-")


@dataclass(frozen=True)
class Job:
    """A CSV and where its scores go; ``plot`` is the picture's place, None if none is wanted."""

    source: Path
    target: Path
    plot: Path | None = None


def jobs(given: Sequence[str], out: Path, plot: bool) -> list[Job]:
    """One job per file that is named, lies in a named folder or matches a pattern.

    One file, named as such, has its scores in ``out``, or in the folder of that name if there is one. All else goes
    into the folder ``out``, under the files' own names.
    """
    sources = list({path.resolve(): path for one in given for path in _files(one)}.values())
    alone = len(given) == 1 and sources == [Path(given[0])]
    if out == STDOUT:
        if len(sources) > 1 or plot:
            raise ConfigError("--out - prints the scores of one file, without a plot; name a file or a folder.")
        return [Job(sources[0], STDOUT)]
    into_folder = out.is_dir() or not alone
    _check_place(out, into_folder)
    targets = [out / _plain(path.name) if into_folder else out for path in sources]
    found = [
        Job(source, target, _picture(target) if plot else None) for source, target in zip(sources, targets, strict=True)
    ]
    _check_apart(found)
    return found


def _files(given: str) -> list[Path]:
    """The file, the CSV files in the folder, or the files that match the pattern, in order."""
    path = Path(given)
    if path.is_dir():
        found = sorted(one for one in path.iterdir() if one.name.lower().endswith(ENDINGS) and one.is_file())
        if not found:
            raise ConfigError(f"{given} holds no file that ends in {' or '.join(ENDINGS)}; name another folder.")
        return found
    if path.exists():
        return [path]
    found = [one for one in map(Path, sorted(glob.glob(given))) if one.is_file()]  # noqa: PTH207 - it may be absolute
    if not found:
        raise ConfigError(
            f"{given} not found; name a CSV file, a folder of them, or a quoted pattern such as 'd/*.csv'."
        )
    return found


def _plain(name: str) -> str:
    return name.removesuffix(".gz")


def _picture(target: Path) -> Path:
    return Path(target.parent / _plain(target.name)).with_suffix(".png")


def _check_place(out: Path, into_folder: bool) -> None:
    if into_folder and out.exists() and not out.is_dir():
        raise ConfigError(f"{out} is a file, and the scores of several go into a folder; name one with --out.")
    if not into_folder and out.exists() and not out.is_file():
        raise ConfigError(f"{out} is no ordinary file; name one with --out, or - for stdout.")
    if not out.parent.is_dir():
        raise ConfigError(f"There is no folder {out.parent} for {out.name}; make it, or name another --out.")


def _check_apart(found: Sequence[Job]) -> None:
    """No file is written over by what is made of another one, or of itself."""
    read = {job.source.resolve() for job in found}
    written: dict[Path, Path] = {}
    for job in found:
        for place in filter(None, (job.target, job.plot)):
            if place.resolve() in read:
                raise ConfigError(f"{place} is read and would be written over; name another --out.")
            if written.get(place) == job.source:
                raise ConfigError(f"{place} would be the scores and the plot; name another --out.")
            if place in written:
                raise ConfigError(f"{written[place]} and {job.source} would both go to {place}; score them one by one.")
            written[place] = job.source
