"""The whole week in one go: every stage in its order, each only when its inputs have changed since it last ran."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

from observability import __version__, readers, stages
from observability.definitions import Release
from observability.errors import NotEnoughDataError
from observability.layout import INDEX, RECORDING, Layout
from observability.ledger import Ledger
from observability.model import DAYS_BEFORE, FIRST_DAY, LAST_DAY, SERVER_WARNED, format_instant
from observability.named_baselines import Reference, is_of_others_alone, keys_of, read_named
from observability.report import ReleaseIndex, Retrospective, ServiceEntry
from observability.store import beside
from observability.verdicts import RegressionSummary, SloBurnDown, SloReport
from observability.watching.folder import watcher_of

if TYPE_CHECKING:
    from observability.sources import Source

OF_THE_COMPARISON = {"baselines", "good_day"}  # fields of the release that concern the regressions alone
WORST_FIRST = ("CRITICAL", "NEEDS ATTENTION", "STABLE", "EXCELLENT")
Report = Callable[[str, bool], None]
"""Told after each stage: its name, and whether it ran or was found unchanged."""


@dataclass(frozen=True)
class Week:
    """One release's week below one root.

    ``identity`` is what the samples depend on besides the release file: the server's URL, or a recording's digest.
    ``warn`` is told of days without data, which do not stop the week. ``afresh``: every stage runs, whatever the ledger
    says, and the ledger stays as it is. ``folder`` is what the release's baselines are relative to.
    """

    release: Release
    source: Source
    layout: Layout
    identity: str
    now: datetime
    report: Report
    warn: Callable[[str], None]
    afresh: bool = False
    folder: str = ""

    def run(self) -> ReleaseIndex:
        """Every stage whose time has come. Raises ``NotEnoughDataError`` while days are to come, or none has data."""
        over = [n for n in range(LAST_DAY + 1) if self.now >= self.release.calendar.window(n).end]
        if len(self.release.services) == 1:
            stages.delete_index(self.layout.store)
        if over:
            self._baseline()
            days = [number for number in over if number >= FIRST_DAY and self._day(number)]
            self._anomalies(over)
            for service in self.services:
                self._health(service, days)
            self._check_named()
        if len(over) <= LAST_DAY:
            name = f"day {len(over)}" if over else "the GA day"
            raise NotEnoughDataError(
                f"{max(len(over) - 1, 0)} of {LAST_DAY} days are over, and {name} ends at "
                f"{format_instant(self.release.calendar.window(len(over)).end)}; run the same command then."
            )
        if not days:
            raise NotEnoughDataError("None of the seven days has data, so there is nothing to report.")
        entries = [self._conclude(service, days) for service in self.services]
        return self._index(entries)

    @property
    def services(self) -> list[str]:
        """The services that had data on the GA day: only they can be judged."""
        return [s for s in self.release.services if self.layout.store.exists(self.layout.ga_summary(s))]

    @cached_property
    def _ledger(self) -> Ledger:
        return Ledger.open(self.layout.store)

    @cached_property
    def _about(self) -> tuple[str, ...]:
        left_out = {"prometheus", "notify", *OF_THE_COMPARISON}
        return (__version__, self.release.model_dump_json(exclude=left_out), self.identity)

    @property
    def _comparison(self) -> str:
        return self.release.model_dump_json(include=OF_THE_COMPARISON)

    def references_of(self, service: str) -> list[Reference]:
        """The baselines that the release file names and that the service has: not each service is in each of them."""
        references = [Reference(name, path, self.folder) for name, path in self.release.baselines.items()]
        several, store = len(self.release.services) > 1, self.layout.store
        return [one for one in references if not (several and is_of_others_alone(store, one, service))]

    def _check_named(self) -> None:
        """Whether the baselines that the release file names can be read: best known before the week is over."""
        store = self.layout.store
        for service in self.services:
            key = self.layout.ga_summary(service)
            for reference in self.references_of(service):
                read_named(store, reference, readers.read_ga(store, key), key)

    def _once(
        self,
        stage: str,
        inputs: Sequence[str],
        outputs: Sequence[str],
        action: Callable[[], object],
        *more: str,
    ) -> None:
        if self.afresh:
            action()
            self.report(stage, True)
            return
        if self._is_doubted(outputs):
            self._ledger.forget(stage)
        self.report(stage, self._ledger.once(stage, self._ledger.digest(inputs, *self._about, *more), outputs, action))

    def _is_doubted(self, outputs: Sequence[str]) -> bool:
        """Whether the server warned of what a stage's summaries rest on, and can be asked again."""
        from observability.sources.recording import Recording

        store, said = self.layout.store, SERVER_WARNED.encode()
        summaries = [key for key in outputs if key.endswith("summary.json") and store.exists(key)]
        return not isinstance(self.source, Recording) and any(said in store.read_bytes(key, "") for key in summaries)

    def _baseline(self) -> None:
        services, layout = self.release.services, self.layout
        outputs = [key for s in services for key in (layout.ga_summary(s), layout.pre_release(s))]
        outputs += [layout.evidence(s, n) for s in services for n in range(-DAYS_BEFORE, 1)] + [RECORDING]

        def collect() -> None:
            stages.collect_ga(self.release, self.source, layout, now=self.now, warn=self.warn)

        self._once("GA day and the week before it", [], outputs, collect)
        missing = readers.missing_baselines(self.release, layout)
        if missing is not None:
            self.warn(missing)

    def _day(self, number: int) -> bool:
        """Collect a day that is over; whether it has data."""
        services, layout = self.release.services, self.layout
        baselines = readers.read_baselines(self.release, layout)
        outputs = [layout.day_summary(s, number) for s in baselines] + [layout.evidence(s, number) for s in services]

        def collect() -> None:
            stages.collect_day(self.release, self.source, layout, number, baselines, now=self.now, warn=self.warn)

        try:
            self._once(f"day {number}", [layout.ga_summary(service) for service in services], outputs, collect)
        except NotEnoughDataError as error:
            self.warn(str(error))
            return False
        return True

    def _anomalies(self, over: Sequence[int]) -> None:
        services, layout = self.release.services, self.layout
        watcher = watcher_of(layout)
        if watcher is not None:
            self.report(f"anomalies: a watcher{watcher} keeps them current", False)
            return
        until = self.release.calendar.window(over[-1]).end
        self._once(
            "anomalies",
            [layout.evidence(s, n) for s in services for n in range(-DAYS_BEFORE, LAST_DAY + 1)],
            [layout.anomalies(service) for service in services],
            lambda: stages.detect(self.release, self.source, layout, now=until),
        )

    def _health(self, service: str, days: Sequence[int]) -> None:
        store, layout, anomalies = self.layout.store, self.layout, self.layout.anomalies(service)
        summaries = [layout.day_summary(service, number) for number in days]
        outputs, ga = [layout.health(service, number) for number in days], layout.ga_summary(service)

        def assess() -> None:
            for number, summary, output in zip(days, summaries, outputs, strict=True):
                stages.report_health(store, summary, anomalies, output, number, ga)

        inputs = [ga, layout.pre_release(service), *summaries, anomalies]
        self._once(f"health of {service}", inputs, outputs, assess)

    def _conclude(self, service: str, days: Sequence[int]) -> ServiceEntry:
        """Regressions, burn-downs and the retrospective of one service."""
        store, layout = self.layout.store, self.layout
        ga, summaries = layout.ga_summary(service), [layout.day_summary(service, number) for number in days]
        stability, inputs = beside(summaries[0], ""), [ga, layout.pre_release(service), *summaries]
        regressions, slo, anomalies = layout.regressions(service), layout.slo(service), layout.anomalies(service)
        references, report = self.references_of(service), layout.report(service)
        named = [key for reference in references for key in keys_of(store, reference, service)]
        report_json = report.removesuffix(".md") + ".json"

        def judge() -> None:
            stages.analyse_regressions(
                store,
                ga,
                stability,
                regressions,
                days,
                references=references,
                good_day=self.release.good_day,
                warn=self.warn,
            )
            stages.burn_down(store, ga, stability, slo, days)

        def retrospective() -> None:
            stages.build_retrospective(
                store,
                ga_dir=beside(ga, ""),
                stability_key=stability,
                regressions_key=regressions,
                anomalies_key=anomalies,
                output_key=report,
                numbers=days,
            )

        self._once(
            f"regressions and SLOs of {service}",
            [*inputs, *named],
            [regressions, layout.regressions_text(service), slo],
            judge,
            self._comparison,
        )
        health = [layout.health(service, number) for number in days]
        self._once(
            f"retrospective of {service}",
            [*inputs, regressions, anomalies, *health],
            [report, report_json],
            retrospective,
        )
        found = store.read(report_json, Retrospective, "delete it and run again")
        return ServiceEntry(
            service=service,
            overall_status=found.overall_status,
            advice=found.advice,
            why=found.why,
            coverage=found.coverage,
            report=report,
        )

    @property
    def verdicts(self) -> dict[str, tuple[RegressionSummary, Sequence[SloBurnDown]]]:
        """Service → what the finished week was judged to be."""
        store, layout, again = self.layout.store, self.layout, "delete it and run again"
        return {
            service: (
                store.read(layout.regressions(service), RegressionSummary, again),
                store.read(layout.slo(service), SloReport, again).slo_burn_downs,
            )
            for service in self.services
        }

    def _index(self, entries: Sequence[ServiceEntry]) -> ReleaseIndex:
        """The services, the worst first; written where there are several."""
        ranked = sorted(entries, key=lambda entry: (WORST_FIRST.index(entry.overall_status), entry.service))
        index = ReleaseIndex(release=self.release.release, ga_day_timestamp=self.release.ga, services=tuple(ranked))
        if len(self.release.services) > 1:
            stages.write_index(self.layout.store, index)
        return index


def stage_count(release: Release) -> int:
    """How many stages a whole week has."""
    return 2 + LAST_DAY + 3 * len(release.services)


def report_location(week: Week, index: ReleaseIndex) -> str:
    """The page to open: the only service's report, or the index."""
    several = len(week.release.services) > 1
    return week.layout.store.location(f"{INDEX}.md" if several else index.services[0].report)
