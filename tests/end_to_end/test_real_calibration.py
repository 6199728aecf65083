"""Calibrating on a real server gives what calibrating on a recording of the same time gives."""

from pathlib import Path

from tests.programs import ROOT, postga

TIME = ("--start", "2025-11-12T00:00:00Z", "--end", "2025-11-14T00:00:00Z")


def test_a_server_and_a_recording_of_it_say_the_same(prometheus_url: str, tmp_path: Path) -> None:
    release = str(ROOT / "test_data/release.yaml")
    of_server = postga(tmp_path, "watch", release, "--calibrate", *TIME, "--prometheus-url", prometheus_url)
    recording = str(ROOT / "test_data/recording")
    of_recording = postga(tmp_path, "watch", release, "--calibrate", *TIME, "--recording", recording)
    assert (of_server.returncode, of_server.stderr) == (0, "")
    assert of_server.stdout == of_recording.stdout
    assert list(tmp_path.iterdir()) == []
