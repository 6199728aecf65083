"""One service's artifacts as flat files, where the documents look for test data."""

from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from observability import gather
from observability.layout import ANOMALIES, GA_DIR, GA_SUMMARY, PRE_RELEASE, REGRESSIONS, STABILITY_DIR, Layout
from observability.model import FIRST_DAY, LAST_DAY
from observability.release import load
from observability.store import Store
from observability.week import Week
from test_data.events import CHECKOUT

DAYS = range(FIRST_DAY, LAST_DAY + 1)
PLACES = {
    f"{GA_DIR}/{GA_SUMMARY}": f"{GA_DIR}/{GA_SUMMARY}",
    f"{GA_DIR}/{PRE_RELEASE}": f"{GA_DIR}/{PRE_RELEASE}",
    **{f"{STABILITY_DIR}/day_{n:02d}_summary.json": f"{STABILITY_DIR}/day_{n:02d}_summary.json" for n in DAYS},
    **{f"{STABILITY_DIR}/day_{n:02d}_HEALTH.json": f"health/day_{n:02d}_HEALTH.json" for n in DAYS},
    REGRESSIONS: f"regression/{REGRESSIONS}",
    ANOMALIES: f"anomalies/{ANOMALIES}",
}


def write_flat(release: Path, recording: Path, folder: Path) -> None:
    """Run the week on the recording, and copy the checkout service's artifacts to ``folder``."""
    found = load(release)
    with TemporaryDirectory() as output:
        week = Week(
            release=found,
            source=gather.open_source(found, recording),
            layout=Layout(Store(output), found.services),
            identity="generated",
            now=found.calendar.window(LAST_DAY).end + timedelta(days=1),
            report=lambda stage, ran: None,
            warn=print,
        )
        week.run()
        for made, place in PLACES.items():
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
            (folder / place).write_bytes((Path(output) / CHECKOUT / made).read_bytes())
