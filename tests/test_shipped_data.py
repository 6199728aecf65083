"""What test_data/ ships is what its generator writes. `make test-data` writes it again."""

import json
from pathlib import Path

import numpy as np
import pytest

from observability.release import load
from observability.sources.recording import Recording
from test_data.flat import PLACES, write_flat
from test_data.generate import RELEASE, SEED, write_recording
from test_data.truth import truth
from test_data.week import Week, generate

SHIPPED = Path(__file__).parents[1] / "test_data"
MOST_BYTES = 5_000_000


@pytest.fixture(scope="module")
def week() -> Week:
    return generate(SEED)


def test_the_recording(week: Week, tmp_path: Path) -> None:
    """Compared as numbers: another zlib packs the same text into other bytes."""
    write_recording(week, tmp_path)
    release = load(RELEASE)
    for day in range(-7, 8):
        window = release.calendar.window(day)
        shipped = Recording(SHIPPED / "recording").fetch(release.plan, window)
        written = Recording(tmp_path).fetch(release.plan, window)
        for service in release.services:
            assert list(shipped[service].columns) == list(written[service].columns)
            for name, values in written[service].columns.items():
                np.testing.assert_array_equal(shipped[service].columns[name], values, err_msg=f"{service} {day} {name}")
    assert (SHIPPED / "recording/recording.json").read_text() == (tmp_path / "recording.json").read_text()


def test_the_truth(week: Week) -> None:
    assert json.loads((SHIPPED / "truth.json").read_text()) == json.loads(json.dumps(truth(week)))


def test_the_flat_artifacts(tmp_path: Path) -> None:
    write_flat(RELEASE, SHIPPED / "recording", tmp_path)
    for place in PLACES.values():
        assert (SHIPPED / place).read_bytes() == (tmp_path / place).read_bytes(), place


def test_all_of_it_is_small() -> None:
    data = (path for path in SHIPPED.rglob("*") if path.suffix in {".json", ".gz"})
    assert sum(path.stat().st_size for path in data) < MOST_BYTES
