"""Generate the weeks around a release: as OpenMetrics text, as a recording, and the truth about them as JSON."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # also when run as a file

from observability import release as release_file
from observability.model import SourceInfo
from test_data import openmetrics
from test_data.columns import by_day
from test_data.truth import truth
from test_data.week import Week, generate

SEED = 14
RELEASE = Path(__file__).with_name("release.yaml")
EXAMPLES = """\
examples:
  python test_data/generate.py openmetrics /tmp/week.om
  promtool tsdb create-blocks-from openmetrics --max-block-duration=24h /tmp/week.om /tmp/prometheus
  python test_data/generate.py recording test_data/recording
  python test_data/generate.py truth test_data/truth.json --seed 14
  python test_data/generate.py all test_data
"""


def write_openmetrics(week: Week, path: Path, days: range | None = None) -> None:
    """The samples of ``days`` (all by default) as one file for promtool; about 400 MB for fifteen days."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(openmetrics.text(week, days))


def write_recording(week: Week, root: Path) -> None:
    """The week as a recording of ``release.yaml``'s queries, without a server: see ``observability.sources``."""
    from observability.kpi import step_values
    from observability.sources.evidence import Origin, encode_evidence
    from observability.sources.recording import RECORDING, Recorded, evidence_path

    release = release_file.load(RELEASE)
    source = SourceInfo(prometheus=f"test_data/generate.py, seed {week.seed}", step_s=release.step_s)
    for service in release.services:
        for day, samples in by_day(week, service).items():
            kpis = {name: step_values(kpi, samples, release.prices) for name, kpi in release.kpis.items()}
            path = root / evidence_path(release.services, service, day)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encode_evidence(samples, kpis, Origin.of(release.plan, service, source)))
    index = Recorded.of(release.plan, release.calendar, source)
    (root / RECORDING).write_text(index.model_dump_json(indent=2) + "\n", encoding="utf-8")


def write_truth(week: Week, path: Path) -> None:
    path.write_text(json.dumps(truth(week), indent=1, allow_nan=False) + "\n", encoding="utf-8")


def write_all(week: Week, folder: Path) -> None:
    """What the repository ships: the recording, the truth, and one service's artifacts as flat files."""
    from test_data.flat import write_flat

    write_recording(week, folder / "recording")
    write_truth(week, folder / "truth.json")
    write_flat(RELEASE, folder / "recording", folder)


WRITERS: dict[str, tuple[Callable[[Week, Path], None], str, str]] = {
    "openmetrics": (write_openmetrics, "OUT.om", "text for promtool tsdb create-blocks-from openmetrics"),
    "recording": (write_recording, "OUT_DIR", "a recording that postga reads in place of a server"),
    "truth": (write_truth, "OUT.json", "counts, quantiles and events as they really are"),
    "all": (write_all, "OUT_DIR", "the recording, the truth and flat artifacts, as test_data/ ships them"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb, (_, metavar, about) in WRITERS.items():
        command = verbs.add_parser(verb, help=about, description=f"Write {about}.")
        command.add_argument("out", metavar=metavar, type=Path)
        command.add_argument("--seed", type=int, default=SEED, help="of the random numbers (default: %(default)s)")
    given = parser.parse_args(arguments)
    print(f"drawing fifteen days with seed {given.seed} …", file=sys.stderr)
    week = generate(given.seed)
    print(f"writing {given.out} …", file=sys.stderr)
    try:
        WRITERS[given.verb][0](week, given.out)
    except OSError as error:
        print(f"{given.out} cannot be written: {error.strerror}; name a path that can be.", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
