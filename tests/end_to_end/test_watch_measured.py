"""The watcher's benchmark, small, on a real Prometheus: what it measures is what was loaded."""

from benchmarks import watch
from tests.end_to_end.conftest import require_programs


def test_every_series_is_read_in_every_step() -> None:
    require_programs()
    report = watch.measure(series=20, steps=12, seed=1)
    assert report["steps"] == 12
    assert report["points_per_step"] >= report["series"] == 20
    assert 0 < report["reading_s"] < report["step_s"] <= report["step_p99_s"]
    assert 0 < report["mb_at_end"] <= report["peak_mb"]
    assert report["growth"] is None
