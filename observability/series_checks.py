"""What the labels of a query's series give away, before anything is collected. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from observability.definitions import Kpi, Objective, Release
from observability.sources.answer import Series


def too_many(series: Sequence[Series], service_label: str | None) -> str | None:
    """What to say of a gauge's series of one service, where they are not one."""
    if len(series) < 2:
        return None
    labels = sorted({name for one in series for name in one.metric if len(_values(series, name)) > 1})
    by = f"sum by ({service_label}) (…)" if service_label else "sum(…)"
    apart = f"; they differ in {', '.join(labels)}" if labels else ""
    return f"{len(series)} series, and a gauge is one{apart}; aggregate them, as in {by}"


def has_all_buckets(series: Sequence[Series]) -> bool:
    """Whether there is the bucket that counts everything, without which no quantile can be told."""
    return float("inf") in _bounds(series)


def undecided(release: Release, service: str, query: str, series: Sequence[Series]) -> Iterator[str]:
    """The service's objectives whose threshold lies between two bounds of the query's buckets."""
    bounds = _bounds(series)
    for slo in release.slos_of(service):
        kpi = release.kpis[slo.kpi]
        if kpi.query == query and slo.threshold is not None and slo.threshold / kpi.scale not in bounds:
            yield _between(slo, kpi, slo.threshold, bounds)


def _between(slo: Objective, kpi: Kpi, threshold: float, bounds: set[float]) -> str:
    scaled = [bound * kpi.scale for bound in bounds]
    below = max((bound for bound in scaled if bound < threshold), default=0.0)
    above = min((bound for bound in scaled if bound > threshold), default=float("inf"))
    return (
        f"{slo.name}: the threshold, {threshold:g} {kpi.unit}, is no bound of a bucket; the nearest are {below:g} and "
        f"{above:g} {kpi.unit}, and what lies between them cannot be decided"
    )


def _bounds(series: Sequence[Series]) -> set[float]:
    return {bound for text in _values(series, "le") if (bound := _number(text)) is not None}


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _values(series: Sequence[Series], label: str) -> set[str]:
    return {one.metric.get(label, "") for one in series}
