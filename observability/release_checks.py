"""What only the whole release file can tell: names that lead nowhere, and what would make figures wrong silently."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta

from observability.definitions import Direction, Objective, Release
from observability.http_config import has_credentials, is_server_url
from observability.judgement.baseline import BUILT_IN
from observability.model import DAYS_BEFORE, DEFAULT_URL, LAST_DAY, Query, format_instant
from observability.promql import STRING, are_matchers, defects
from observability.release_yaml import FieldPath, Finding

FIRST_YEAR, LAST_YEAR = 2000, 2200
LONGEST_DAY = timedelta(days=31)
LONGEST_NAME = 200  # bytes; file systems take 255, and some of them for a suffix
LONGEST_BASELINE = 40  # letters of a name that heads a column
MOST_BAD = 50.0  # per cent

_STRING_OR_COMMENT = re.compile(rf"({STRING})|#[^\n]*")
_SELECTOR = re.compile(r"\{[^{}]*\}")
_AGGREGATORS = "sum|avg|min|max|count|count_values|stddev|stdvar|topk|bottomk|quantile|group"
_AGGREGATION = re.compile(rf"\b(?:{_AGGREGATORS})\s*(?:by\b|without\b|\()", re.IGNORECASE)
_TO_ONE_SERIES = re.compile(rf"\b(?:{_AGGREGATORS})\s*(?:by\b|\()", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_BASELINE = re.compile(rf"[A-Za-z0-9._-]{{1,{LONGEST_BASELINE}}}")
_TIME_SHIFT = re.compile(r"(?<![\w:])offset(?![\w:])|@", re.IGNORECASE)
_FUNCTION = re.compile(r"\b(i?rate|increase|i?delta|deriv|histogram_\w+|(?:sum|avg|count)_over_time)\s*\(")


@dataclass(frozen=True)
class Written:
    """The names in the file, those of broken entries too, so that what refers to them is not called unknown.

    ``services``, ``slos`` and ``maintenance`` are the positions of the entries that the release has. ``broken``: the
    fields that could not be read at all, and in whose place the release has a default. ``left_out``: the KPIs that
    ``only`` does not keep.
    """

    queries: Collection[str]
    kpis: Collection[str]
    services: list[int]
    slos: list[int]
    maintenance: list[int]
    broken: Collection[str] = frozenset()
    left_out: Collection[str] = frozenset()


def check(release: Release, written: Written) -> Iterator[Finding]:
    """Everything that is wrong with a release whose fields are each right by themselves."""
    out_of_bounds = list(_bounds(release))
    yield from out_of_bounds
    broken = {*written.broken, *(str(found.path[0]) for found in out_of_bounds)}
    for needs, checks in _CHECKS:
        if not needs & broken:
            yield from checks(release, written)


def fits_a_folder(name: str) -> bool:
    """Whether a folder can have a name of this length and with these characters, besides slashes."""
    return len(name.encode(errors="replace")) <= LONGEST_NAME and _CONTROL.search(name) is None


def wrong_baseline(name: str) -> str | None:
    """What to say of a name that a baseline cannot have."""
    if name in BUILT_IN:
        return f"'{name}' is the name of a baseline that is always there; give it another one"
    if not _BASELINE.fullmatch(name):
        return f"{name!a} cannot name a baseline; use up to {LONGEST_BASELINE} letters, digits, dots, - and _"
    return None


def unknown(name: object, known: Iterable[str], what: str) -> str | None:
    """What to say of a name that is not known, with the nearest one that is."""
    names = list(known)
    if name in names:
        return None
    close = difflib.get_close_matches(str(name), names, n=1)
    hint = f"did you mean '{close[0]}'?" if close else f"known are {', '.join(names)}"
    return f"unknown {what} '{name}'; {hint}"


def _bounds(release: Release) -> Iterator[Finding]:
    """Times that no calendar can be made of."""
    if not FIRST_YEAR <= release.ga.year <= LAST_YEAR:
        yield Finding(("ga",), f"the year {release.ga.year} is none of {FIRST_YEAR} to {LAST_YEAR}; check it")
    if release.day > LONGEST_DAY:
        yield Finding(("day",), f"a day of a rehearsal may take {LONGEST_DAY.days} d at most")


def _server(release: Release, _: Written) -> Iterator[Finding]:
    """The text does not repeat a URL that may hold a secret."""
    url = release.prometheus.url
    if has_credentials(url) or ("@" in url and not is_server_url(url)):
        text = (
            "a user and a password do not belong in a release file; write `basic_auth`, or give them in PROMETHEUS_URL"
        )
        yield Finding(("prometheus", "url"), text)
    elif not is_server_url(url):
        shown = "" if re.search("[?#]", url) else f" '{url}'"
        yield Finding(("prometheus", "url"), f"the URL{shown} cannot be used; write it like {DEFAULT_URL}")


def _services(release: Release, written: Written) -> Iterator[Finding]:
    services, named = release.services, set[str]()
    for position, service in zip(written.services, services, strict=True):
        if service in named:
            yield Finding(("services", position), f"'{service}' is named twice; leave one of them out")
        named.add(service)
        if not service.strip() or service in {".", ".."} or "/" in service or "\\" in service:
            yield Finding(("services", position), f"'{service}' cannot name a folder; leave out slashes")
        elif not fits_a_folder(service):
            shown = f"{service[:20]!a}{'…' * (len(service) > 20)}"
            text = f"{shown} cannot name a folder; write at most {LONGEST_NAME} bytes, without control characters"
            yield Finding(("services", position), text)
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
    text = _STRING_OR_COMMENT.sub(lambda found: '""' if found[1] else "", query.promql)
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
    elif query.is_counted and text.rstrip().endswith("]"):
        yield f"a {query.type} query is a plain selector or last_over_time(…[$step]); leave out the range"
    elif query.is_counted and _TIME_SHIFT.search(_SELECTOR.sub("", text)):
        yield f"a {query.type} query must return the series of its own time; leave out offset and @"
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
    if slo.kpi in written.left_out:
        yield Finding((*path, "kpi"), f"'{slo.kpi}' is not in `only`; name it there, or leave the objective out")
    elif text is not None:
        yield Finding((*path, "kpi"), text)
    elif slo.kpi in release.kpis:
        kind = release.kpis[slo.kpi].kind
        if kind not in {"ratio", "quantile"} or (kind == "quantile") != (slo.threshold is not None):
            text = "an objective is set on a ratio KPI, or with a threshold on a quantile KPI"
            yield Finding(path, f"{slo.name}: {text}; {slo.kpi} is a {kind}")
        else:
            yield from _share(slo, (*path, "objective"), release.kpis[slo.kpi].direction)


def _share(slo: Objective, path: FieldPath, direction: Direction) -> Iterator[Finding]:
    """An objective that is most likely a fraction, or the share of the other events."""
    if slo.threshold is None and direction is Direction.LOWER_IS_BETTER:
        if slo.objective > MOST_BAD:
            share = f"{slo.objective:g} %"
            text = f"it allows {share} of bad events; for {share} of good ones write {100 - slo.objective:g}"
            yield Finding(path, text, "warning")
    elif slo.objective < 1:
        text = f"{slo.objective:g} is in per cent; for {100 * slo.objective:g} % write {100 * slo.objective:g}"
        yield Finding(path, text, "warning")


def _maintenance(release: Release, written: Written) -> Iterator[Finding]:
    for position, window in zip(written.maintenance, release.maintenance, strict=True):
        if "services" in window.model_fields_set and not window.services:
            said = "no service is named; leave the field out for all of them"
            yield Finding(("maintenance", position, "services"), said)
        for item, service in enumerate(window.services):
            text = unknown(service, release.services, "service")
            if text is not None:
                yield Finding(("maintenance", position, "services", item), text)


def _baselines(release: Release, _: Written) -> Iterator[Finding]:
    for name, path in release.baselines.items():
        wrong = wrong_baseline(name)
        if wrong is not None:
            yield Finding(("baselines", name), wrong)
        elif not path.strip() or _CONTROL.search(path):
            yield Finding(("baselines", name), "write the path of a summary, or of a folder of summaries")


def _watched(release: Release, written: Written) -> Iterator[Finding]:
    """A window elsewhere changes nothing, and is most often of another year or month."""
    start, end = release.ga - DAYS_BEFORE * release.day, release.ga + (LAST_DAY + 1) * release.day
    for position, window in zip(written.maintenance, release.maintenance, strict=True):
        if window.end <= start or window.start >= end:
            watched = f"{format_instant(start)} to {format_instant(end)}"
            yield Finding(
                ("maintenance", position), f"outside of what is watched, {watched}; check its date", "warning"
            )
        elif window.start <= release.ga and window.end >= end:
            text = "it covers the GA day and all days after it, so that nothing is judged; check its dates"
            yield Finding(("maintenance", position), text, "warning")


_Check = Callable[[Release, Written], Iterator[Finding]]
# What a check looks at; where one of these fields cannot be read, the check is left out.
_CHECKS: tuple[tuple[set[str], _Check], ...] = (
    ({"prometheus"}, _server),
    ({"services", "service_label"}, _services),
    ({"matchers"}, _matchers),
    ({"step", "day"}, _steps),
    ({"queries", "kpis"}, _operands),
    ({"queries"}, _queries),
    ({"kpis", "slos"}, _slos),
    ({"services", "maintenance"}, _maintenance),
    ({"baselines"}, _baselines),
    ({"ga", "day", "maintenance"}, _watched),
)
