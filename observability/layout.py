"""Which file is where. One service: flat, as the documents have it. Several: the same tree under ``<service>/``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from observability.store import Store

GA_DIR, STABILITY_DIR, REPORT_DIR = "ga_kpis", "stability", "docs/final"
GA_SUMMARY, PRE_RELEASE = "ga_kpi_summary.json", "pre_release_summary.json"
ANOMALIES, REGRESSIONS, SLO = "anomaly_events.json", "regression_summary.json", "slo_burn_down.json"
REPORT = "GA_7DAY_RETROSPECTIVE.md"
WATCH = "watch"  # the folder of the watcher
RECORDING, INDEX, LEDGER = "recording.json", "index", "run_ledger.json"


@dataclass(frozen=True)
class Layout:
    """The artifacts of a release below one root. The two folders are the ones that flags can rename."""

    store: Store
    services: tuple[str, ...]
    ga_dir: str = GA_DIR
    stability_dir: str = STABILITY_DIR

    def key(self, service: str, *parts: str) -> str:
        return str(PurePosixPath(*([service] if len(self.services) > 1 else []), *parts))

    def ga_summary(self, service: str) -> str:
        return self.key(service, self.ga_dir, GA_SUMMARY)

    def pre_release(self, service: str) -> str:
        return self.key(service, self.ga_dir, PRE_RELEASE)

    def day_summary(self, service: str, number: int) -> str:
        return self.key(service, self.stability_dir, f"day_{number:02d}_summary.json")

    def health(self, service: str, number: int) -> str:
        return self.key(service, self.stability_dir, f"day_{number:02d}_HEALTH.json")

    def anomalies(self, service: str) -> str:
        return self.key(service, ANOMALIES)

    def regressions(self, service: str) -> str:
        return self.key(service, REGRESSIONS)

    def regressions_text(self, service: str) -> str:
        return beside_as_text(self.regressions(service))

    def slo(self, service: str) -> str:
        return self.key(service, SLO)

    def evidence(self, service: str, number: int) -> str:
        return self.key(service, "evidence", f"day_{number:02d}.csv.gz")

    def replaced(self, service: str, number: int, generation: str) -> str:
        """Evidence that another one of the same day has replaced, and that held more."""
        return self.key(service, "evidence", "replaced", f"day_{number:02d}-{generation}.csv.gz")

    def report(self, service: str) -> str:
        return self.key(service, REPORT_DIR, REPORT)

    @property
    def of_other_services(self) -> Layout:
        """The layout that was this one's before one service became several, or several became one."""
        return replace(self, services=self.services[:1] if len(self.services) > 1 else self.services * 2)

    @property
    def folders(self) -> list[str]:
        """The folders below the root that artifacts and evidence lie in."""
        names = ("", self.ga_dir, self.stability_dir, REPORT_DIR, "evidence", "evidence/replaced")
        return sorted({"", *(self.key(service, name) for service in self.services for name in names)})


def beside_as_text(key: str) -> str:
    """The key of the Markdown beside a JSON artifact."""
    return f"{key.removesuffix('.json')}.md"
