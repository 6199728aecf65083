"""The retrospective as Markdown. Figures are formatted here, once; the template only lays them out."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from observability.model import LAST_DAY
from observability.report import ReleaseIndex, Retrospective, ServiceEntry
from retrospective import tables
from retrospective.markdown import code, prose, table
from retrospective.status import STATUSES
from retrospective.tables import share, when
from retrospective.wording import count, listed

TEMPLATES = Path(__file__).parent / "templates"
SYMBOLS = {"EXCELLENT": "✓", "STABLE": "✓", "NEEDS ATTENTION": "▲", "CRITICAL": "✕"}
MOST_CHANGES, MOST_DECISIONS, MOST_WINDOWS, MOST_FIGURES = 20, 3, 10, 20
PRIORITIES = ("P0", "P1", "P2", "P3")


def to_markdown(retrospective: Retrospective) -> str:
    """The nine sections of the documents in their order, then what was not assessed, and the method."""
    report = retrospective
    changes = report.regressions[:MOST_CHANGES]
    left = len(report.regressions) - len(changes)
    return _render(
        "retrospective.md.j2",
        report=report,
        headline=_headline(report),
        status=f"{SYMBOLS[report.overall_status]} {report.overall_status}",
        at_a_glance=[*_at_a_glance(report)],
        decisions=[item for item in report.action_items if item.priority in {"P0", "P1"}][:MOST_DECISIONS],
        key_metrics=tables.key_metrics(report.key_metrics),
        folding=tables.folding(report.key_metrics) if report.key_metrics else "",
        left_out=tables.left_out(report.maintenance[:MOST_WINDOWS]),
        both_figures=tables.both_figures(report.both_figures[:MOST_FIGURES]),
        successes=tables.successes(report.successes),
        degradations=[*tables.degradations(report.degradations)],
        regressions=tables.changes(changes),
        regressions_left=f"{count(left, 'smaller change')} in the JSON file." if left else "",
        incidents=tables.incidents(report.incidents),
        anomaly_counts=tables.anomaly_counts(report.anomalies),
        anomalies=tables.anomalies(report.anomalies[: tables.MOST_ANOMALIES]),
        drifts=tables.drifts(report.unexpected_drifts),
        candidates=[*tables.candidates(report.unexpected_drifts)],
        new_levels=[*tables.new_levels(report.new_levels)],
        cost=tables.cost(report.cost_analysis),
        slos=tables.slos(report.slo_burn_downs),
        slo_notes=[*tables.slo_notes(report.slo_burn_downs)],
        recommendations=[_tagged(text) for text in report.recommendations_v1_0_2],
        actions=[(p, [i for i in report.action_items if i.priority == p]) for p in PRIORITIES if _has(report, p)],
        generated=f"Generated for {when(report.generation_timestamp)}; the same input gives the same file.",
    )


def index_markdown(index: ReleaseIndex) -> str:
    """One line per service with a link to its report, the worst first."""
    ordered = sorted(index.services, key=lambda entry: STATUSES.index(entry.overall_status))
    return _render(
        "index.md.j2",
        index=index,
        ga=when(index.ga_day_timestamp),
        number=count(len(ordered), "service"),
        services=table(
            ("Service", "Status", "Advice", "Why", "Coverage", "Report"), [_service(entry) for entry in ordered], (4,)
        ),
    )


@cache
def _templates() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        autoescape=False,  # Markdown, not HTML: `prose` and `code` escape
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"prose": prose, "code": code}
    return environment


def _render(template: str, **values: object) -> str:
    return _templates().get_template(template).render(**values)


def _service(entry: ServiceEntry) -> tuple[str, ...]:
    status = f"{SYMBOLS[entry.overall_status]} {entry.overall_status}"
    link = f"[report]({quote(entry.report)})"
    return code(entry.service), status, prose(entry.advice), prose(entry.why), share(entry.coverage), link


def _headline(report: Retrospective) -> str:
    known = {"week before GA": "before", "GA day": "ga_day"}
    baselines = [n for n, key in known.items() if any(getattr(m, key) is not None for m in report.key_metrics)]
    parts = [
        code(report.release) if report.release is not None else "release not named",
        f"GA {when(report.ga_day_timestamp)}",
        f"week to {when(report.seven_day_end_timestamp)}",
        f"baselines: {listed(baselines) or 'none'}",
    ]
    return " · ".join(parts)


def _of_detectors(report: Retrospective) -> str:
    """Several detectors may tell of one matter."""
    channels = {event.channel for event in report.anomalies}
    return f" of {len(channels)} detectors" if len(channels) > 1 else ""


def _at_a_glance(report: Retrospective) -> Iterator[str]:
    days = count(len(report.days_present), "complete daily summary", "complete daily summaries")
    yield f"{days} of {LAST_DAY}, coverage {share(report.coverage)}"
    yield ", ".join(
        [
            count(len(report.successes), "success", "successes"),
            count(len(report.degradations), "degradation"),
            count(len(report.unexpected_drifts), "unexpected drift"),
            count(len(report.anomalies), "anomaly", "anomalies") + _of_detectors(report),
            *_moved(report),
        ]
    )
    if report.maintenance:
        yield f"{count(len(report.maintenance), 'maintenance window')} left out of the verdicts"
    if report.health_by_day:
        scores = (
            f"day {day} {'?' if score is None else f'{score:.0f}'}" for day, score in report.health_by_day.items()
        )
        yield f"Health by day, 0 to 100: {', '.join(scores)}"
    if report.not_assessed:
        yield f"{count(len(report.not_assessed), 'entry', 'entries')} under Not assessed, and why"


def _moved(report: Retrospective) -> Iterator[str]:
    settled = sum(level.settled for level in report.new_levels)
    if settled:
        yield count(settled, "new level")
    if settled < len(report.new_levels):
        yield count(len(report.new_levels) - settled, "move without return", "moves without return")


def _tagged(text: str) -> tuple[str, str]:
    """``[P1] text`` as priority and text."""
    priority, _, rest = text.partition("] ")
    return priority.removeprefix("["), rest


def _has(report: Retrospective, priority: str) -> bool:
    return any(item.priority == priority for item in report.action_items)
