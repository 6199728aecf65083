"""What to write into a release file, from what a server has, each with a comment that says what it rests on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from observability.choice import ALERTS, ERRORS, REQUESTS, USAGE, Choice, is_usable
from observability.definitions import Kpi
from observability.model import Window
from observability.survey import Candidate, Seen

_LAST = ' with le="+Inf"'


@dataclass(frozen=True)
class Service:
    """``about``: what it rests on. ``only``: its KPIs, where it has fewer than others, for it ``lacks`` queries."""

    name: str
    about: str
    only: Sequence[str] = ()
    lacks: Sequence[str] = ()


@dataclass(frozen=True)
class Answer:
    """A query that the server has samples for. ``is_new``: it is not the catalog's."""

    query: str
    promql: str
    exporter: str
    about: str
    is_new: bool


@dataclass(frozen=True)
class Proposal:
    """``label`` is None where no label tells services apart. ``others``: services that were too many. ``only`` is empty
    where every KPI has samples. ``scales``: KPI → its scale, where a query's unit is not the catalog's. ``missing``: a
    sentence for each thing that was looked for and not found."""

    url: str
    window: Window
    label: str | None
    label_about: Sequence[str]
    services: Sequence[Service]
    others: Sequence[str]
    step_s: int
    step_about: str
    answers: Sequence[Answer]
    scales: Mapping[str, float]
    only: Sequence[str]
    missing: Sequence[str]


def propose(choice: Choice) -> Proposal:
    """Raises ``NotEnoughDataError`` where the server has no samples of any query."""
    return Proposal(
        url=choice.survey.server.url,
        window=choice.survey.window,
        label=choice.label,
        label_about=list(_label_about(choice)),
        services=[_service(choice, name) for name in choice.services],
        others=[name for name in choice.usable if name not in choice.services],
        step_s=choice.step_s,
        step_about=_step_about(choice),
        answers=list(_answers(choice)),
        scales=_scales(choice),
        only=[] if len(choice.kpis) == len(choice.release.kpis) else choice.kpis,
        missing=list(_missing(choice)),
    )


def _service(choice: Choice, name: str) -> Service:
    own = choice.kpis_of(name)
    if choice.label is None:
        about = f"no label tells services apart on {_shown(choice.anchor.candidate)}"
    elif choice.anchor.candidate.query == REQUESTS:
        rate = choice.traffic.get(name, 0.0)
        about = f"{rate:.3g} requests/s in the hour" if rate else "no requests in the hour"
    else:
        about = f"{choice.anchor.values(choice.label)[name]} series"
    if own == choice.kpis:
        return Service(name, about)
    lacks = {query for kpi in choice.kpis for query in choice.lacks(choice.release.kpis[kpi], name)}
    return Service(name, about, own, [f"{query}{_LAST * choice.is_histogram(query)}" for query in sorted(lacks)])


def _label_about(choice: Choice) -> Iterator[str]:
    metric = _shown(choice.anchor.candidate)
    labels = [*choice.survey.exporters.service_labels, *choice.survey.exporters.group_labels]
    for label in sorted(labels, key=lambda label: label != choice.label):
        values = choice.anchor.values(label)
        if values:
            joined = choice.joined(label)
            count, of = _number(len(values), "value"), f"{sum(map(bool, joined))} of {len(joined)} queries"
            yield f"{label}: {count} on {metric}; {of} have samples with them"


def _step_about(choice: Choice) -> str:
    if not choice.intervals:
        return "The scrape interval could not be measured; write it here."
    by_length: dict[int, list[str]] = {}
    for metric, seconds in choice.intervals.items():
        by_length.setdefault(seconds, []).append(metric)
    measured = [f"{seconds}s ({_first(metrics)})" for seconds, metrics in sorted(by_length.items())]
    which = "Measured" if len(measured) == 1 else "The longest of those measured"
    return f"{which}: {', '.join(measured)}."


def _answers(choice: Choice) -> Iterator[Answer]:
    for name in choice.release.queries:
        if name == ERRORS and choice.errors is not None:
            yield _answer(choice.errors, _errors_about(choice))
        elif name == ALERTS:
            about = "none firing is no series, so there is nothing to look for"
            yield _answer(choice.survey.candidates(name)[0], about)
        elif name in choice.chosen:
            yield _answer(choice.chosen[name].candidate, _answer_about(choice, choice.chosen[name]))


def _answer(candidate: Candidate, about: str) -> Answer:
    return Answer(candidate.query, candidate.promql, candidate.exporter, about, not candidate.is_default)


def _answer_about(choice: Choice, seen: Seen) -> str:
    candidate = seen.candidate
    what = _shown(candidate)
    if choice.release.queries[candidate.query].is_counted:
        number = _number(seen.series, "histogram") if choice.is_histogram(candidate.query) else f"{seen.series} series"
        what = f"{number} of {what}"
    others = {_shown(other.candidate) for other in choice.survey.seen[candidate.query]} - {_shown(candidate)}
    also = f"; there is also {', '.join(sorted(others))}" if others else ""
    of = f"{len(choice.of(seen))} of {len(choice.services)} services" if candidate.is_of_services else "all services"
    return f"{what} ({candidate.exporter}), for {of}{also}"


def _errors_about(choice: Choice) -> str:
    if choice.status is None:
        return "the exporter's own error codes"
    label, values, _ = choice.status
    return f"{label} is {', '.join(values[:10])}{', …' * (len(values) > 10)}"


def _scales(choice: Choice) -> dict[str, float]:
    scales = {name: seen.candidate.scale for name, seen in choice.chosen.items() if seen.candidate.scale is not None}
    return {
        kpi.name: scales[kpi.query]
        for kpi in choice.release.kpis.values()
        if kpi.query is not None and kpi.query in scales
    }


def _missing(choice: Choice) -> Iterator[str]:
    if choice.label is not None:
        for value in choice.anchor.values(choice.label):
            if not is_usable(value):
                yield f"the {choice.label} {json.dumps(value, ensure_ascii=False)} is left out: it cannot name a folder"
    reasons: dict[str, list[str]] = {}
    for name, kpi in choice.release.kpis.items():
        if name not in choice.kpis:
            lacking = [query for query in reversed(kpi.operands) if not choice.covered.get(query)]
            lacking.sort(key=lambda query: not choice.survey.seen.get(query))  # what can be mended first
            reasons.setdefault(_why(choice, lacking[0]) if lacking else _why_together(kpi), []).append(name)
    for why, names in reasons.items():
        yield f"{', '.join(names)}: {why}"


def _why(choice: Choice, query: str) -> str:
    if query == ERRORS and REQUESTS in choice.chosen:
        return f"no label of {_shown(choice.chosen[REQUESTS].candidate)} is known to hold the responses' status"
    found, own = choice.survey.seen.get(query, []), choice.survey.candidates(query)[0]
    cut = [one for one in choice.survey.candidates(query) if choice.is_histogram(query) and choice.survey.exists(one)]
    if cut and not found:
        return f'{_shown(cut[0])} has no bucket with le="+Inf" in the hour, and there is no quantile without it'
    if not found:
        return f"no samples of {_shown(own)} ({own.exporter}), nor of what could stand for it"
    labels = sorted({label for seen in found for labels, _ in seen.rows for label in labels})
    has = f"it has {', '.join(labels)}" if labels else "it has none that could"
    return f"{_shown(found[0].candidate)} has samples, but none whose {choice.label} is a service's ({has})"


def _why_together(kpi: Kpi) -> str:
    """Where each query has samples, but no service has enough of them."""
    return f"no service has {' and '.join(kpi.operands)}" if kpi.operands else f"no service has {' or '.join(USAGE)}"


def _shown(candidate: Candidate) -> str:
    return " and ".join(candidate.metrics)


def _number(count: int, of: str) -> str:
    return f"{count} {of}{'s' * (count != 1)}"


def _first(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
