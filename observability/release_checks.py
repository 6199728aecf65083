"""What only the whole release file can tell: names that lead nowhere, and what would make figures wrong silently."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass

from observability.definitions import Objective, Release
from observability.model import DAYS_BEFORE, LAST_DAY, Query, format_instant
from observability.promql import STRING, are_matchers, defects
from observability.release_yaml import Finding

_STRING = re.compile(STRING)
_SELECTOR = re.compile(r"\{[^{}]*\}")
_AGGREGATORS = "sum|avg|min|max|count|count_values|stddev|stdvar|topk|bottomk|quantile|group"
_AGGREGATION = re.compile(rf"\b(?:{_AGGREGATORS})\s*(?:by\b|without\b|\()", re.IGNORECASE)
_TO_ONE_SERIES = re.compile(rf"\b(?:{_AGGREGATORS})\s*(?:by\b|\()", re.IGNORECASE)
_FUNCTION = re.compile(r"\b(i?rate|increase|i?delta|deriv|histogram_\w+|(?:sum|avg|count)_over_time)\s*\(")


@dataclass(frozen=True)
class Written:
    """The names in the file, those of broken entries too, so that what refers to them is not called unknown.

    ``services``, ``slos`` and ``maintenance`` are the positions of the entries that the release has. ``broken``: the
    fields that could not be read at all, and in whose place the release has a default.
    """

    queries: Collection[str]
    kpis: Collection[str]
    services: list[int]
    slos: list[int]
    maintenance: list[int]
    broken: Collection[str] = frozenset()


def check(release: Release, written: Written) -> Iterator[Finding]:
    """Everything that is wrong with a release whose fields are each right by themselves."""
    for needs, checks in _CHECKS:
        if not needs & set(written.broken):
            yield from checks(release, written)


def unknown(name: object, known: Iterable[str], what: str) -> str | None:
    """What to say of a name that is not known, with the nearest one that is."""
    names = list(known)
    if name in names:
        return None
    close = difflib.get_close_matches(str(name), names, n=1)
    hint = f"did you mean '{close[0]}'?" if close else f"known are {', '.join(names)}"
    return f"unknown {what} '{name}'; {hint}"


def _services(release: Release, written: Written) -> Iterator[Finding]:
    services, named = release.services, set[str]()
    for position, service in zip(written.services, services, strict=True):
        if service in named:
            yield Finding(("services", position), f"'{service}' is named twice; leave one of them out")
        named.add(service)
        if not service.strip() or service in {".", ".."} or "/" in service or "\\" in service:
            yield Finding(("services", position), f"'{service}' cannot name a folder; leave out slashes")
    if len(services) > 1 and release.service_label is None:
        yield Finding(("service_label",), "several services need the label that tells them apart")


def _matchers(release: Release, _: Written) -> Iterator[Finding]:
    if release.matchers and not are_matchers(release.matchers):
        text = f'these are not label matchers: {release.matchers}; write them like env="prod",region=~"eu-.*"'
        yield Finding(("matchers",), f"{text}, without braces")


def _steps(release: Release, _: Written) -> Iterator[Finding]:
    if release.step_s < 1 or release.day % release.step or release.day < 24 * release.step:
        yield Finding(("step",), "the day must be a whole number of steps of whole seconds, at least 24")


def _operands(release: Release, written: Written) -> Iterator[Finding]:
    for name, kpi in release.kpis.items():
        for operand, kind in kpi.operands.items():
            if operand not in written.queries:
                close = difflib.get_close_matches(operand, written.queries, n=1)
                hint = f"did you mean '{close[0]}'?" if close else "define it under `queries:`"
                yield Finding(("kpis", name), f"unknown query '{operand}'; {hint}")
            elif operand in release.queries and release.queries[operand].type != kind:
                yield Finding(("kpis", name), f"query '{operand}' must be of type {kind} for kind {kpi.kind}")


def _queries(release: Release, _: Written) -> Iterator[Finding]:
    for name, query in release.queries.items():
        broken = list(dict.fromkeys(defects(query.promql)))
        for text in broken or _silently_wrong(query, release):
            yield Finding(("queries", name), text)


def _silently_wrong(query: Query, release: Release) -> Iterator[str]:
    """What makes a query's figures wrong without a word."""
    text = _STRING.sub('""', query.promql)
    function = _FUNCTION.search(text)
    if query.is_counted and _AGGREGATION.search(text):
        yield (
            f"a {query.type} query must return the raw series, because a sum over series hides their resets; leave the "
            "aggregation out"
        )
    elif query.is_counted and function is not None:
        yield (
            f"a {query.type} query must return the raw series, because increases are taken from them here; leave out "
            f"{function[1]}()"
        )
    if query.type == "gauge" and len(release.services) > 1 and "$match" in text and _is_of_all(text, release):
        yield (
            "this adds up all services, and each would be given the sum; tell them apart in each aggregation, as in "
            "sum by ($by) (…)"
        )


def _is_of_all(text: str, release: Release) -> bool:
    """Whether an aggregation drops the label that tells the services apart: neither $by nor its name is written."""
    written = _SELECTOR.sub("", text)
    kept = "$by" in written or re.search(rf"\b{release.service_label}\b", written)
    return not kept and _TO_ONE_SERIES.search(written) is not None


def _slos(release: Release, written: Written) -> Iterator[Finding]:
    names: set[str] = set()
    for position, slo in zip(written.slos, release.slos, strict=True):
        if slo.name in names:
            yield Finding(("slos", position), f"two objectives are named '{slo.name}'; give each a name of its own")
        names.add(slo.name)
        yield from _slo(slo, ("slos", position), release, written)


def _slo(slo: Objective, path: tuple[str, int], release: Release, written: Written) -> Iterator[Finding]:
    text = unknown(slo.kpi, written.kpis, "KPI")
    if text is not None:
        yield Finding((*path, "kpi"), text)
    elif slo.kpi in release.kpis:
        kind = release.kpis[slo.kpi].kind
        if kind not in {"ratio", "quantile"} or (kind == "quantile") != (slo.threshold is not None):
            text = "an objective is set on a ratio KPI, or with a threshold on a quantile KPI"
            yield Finding(path, f"{slo.name}: {text}; {slo.kpi} is a {kind}")


def _maintenance(release: Release, written: Written) -> Iterator[Finding]:
    for position, window in zip(written.maintenance, release.maintenance, strict=True):
        for item, service in enumerate(window.services):
            text = unknown(service, release.services, "service")
            if text is not None:
                yield Finding(("maintenance", position, "services", item), text)


def _watched(release: Release, written: Written) -> Iterator[Finding]:
    """A window elsewhere changes nothing, and is most often of another year or month."""
    start, end = release.ga - DAYS_BEFORE * release.day, release.ga + (LAST_DAY + 1) * release.day
    for position, window in zip(written.maintenance, release.maintenance, strict=True):
        if window.end <= start or window.start >= end:
            watched = f"{format_instant(start)} to {format_instant(end)}"
            yield Finding(
                ("maintenance", position), f"outside of what is watched, {watched}; check its date", "warning"
            )


_Check = Callable[[Release, Written], Iterator[Finding]]
# What a check looks at; where one of these fields cannot be read, the check is left out.
_CHECKS: tuple[tuple[set[str], _Check], ...] = (
    ({"services", "service_label"}, _services),
    ({"matchers"}, _matchers),
    ({"step", "day"}, _steps),
    ({"queries", "kpis"}, _operands),
    ({"queries"}, _queries),
    ({"kpis", "slos"}, _slos),
    ({"services", "maintenance"}, _maintenance),
    ({"ga", "day", "maintenance"}, _watched),
)
