"""From raw columns to a KPI: step by step, and folded over equal parts of the steps, of which the day is one."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from observability.definitions import Kind, Kpi, PriceList
from observability.model import Array, Samples

GIB = 2.0**30
HOURS_PER_MONTH = 730.0  # 365 d · 24 h / 12, the month that cloud providers' monthly prices stand for

# From a usage query's unit (cores, bytes, bytes, bytes/s) to the price's unit per hour.
HOURLY = {"cpu": 1.0, "memory": 1 / GIB, "storage": 1 / GIB / HOURS_PER_MONTH, "network": 3600 / GIB}

Rows = np.ndarray[tuple[int, int], np.dtype[np.float64]]
Flags = np.ndarray[tuple[int], np.dtype[np.bool_]]


@dataclass(frozen=True)
class Counts:
    """What a ratio, a rate or a quantile is worked out from, for each step or each longer part; NaN where missing.

    ``rows``, of shape (rows, n), are the numerator and the denominator of a ratio, the count of a rate and the seconds
    that it took, or a histogram's cumulative counts, a row for each of its upper ``bounds``.
    """

    rows: Rows
    bounds: Array | None = None

    def totals(self, parts: int) -> Counts:
        """The sums over equal parts of the steps; NaN where all of a part is missing."""
        return Counts(_sums(self.rows, parts), self.bounds)


@dataclass(frozen=True)
class Folded:
    """A KPI over equal parts of the steps: ``values`` of shape (parts,), NaN where nothing defines it, and ``totals``,
    what was counted in each of the parts."""

    values: Array
    totals: Counts | None


def step_values(kpi: Kpi, samples: Samples, prices: PriceList | None = None, counts: Counts | None = None) -> Array:
    """The KPI at each step, in its unit: float64 of shape (steps,), NaN where it is undefined or was not observed.

    ``counts`` are its ``step_counts``, where they are at hand.
    """
    if kpi.kind is Kind.RATE:
        return kpi.scale * own_counts(kpi, samples) / samples.step_s
    if kpi.kind is Kind.UTILISATION:
        return _share(kpi, _column(samples, kpi.numerator), _column(samples, kpi.denominator))
    if kpi.kind is Kind.INCIDENTS:
        is_missing = np.isnan(_column(samples, kpi.denominator)) | _is_unknown(kpi, samples)
        firing = _column(samples, kpi.query)
        return np.where(is_missing, np.nan, np.where(np.isnan(firing), 0.0, firing))
    if kpi.kind is Kind.COST:
        costs = list(cost_per_hour(samples, prices).values())
        return np.sum(costs, axis=0, dtype=np.float64) if costs else _missing(samples)
    counts = step_counts(kpi, samples) if counts is None else counts
    return kpi.scale * _column(samples, kpi.query) if counts is None else _of_counts(kpi, counts)


def observed_share(kpi: Kpi, samples: Samples, prices: PriceList | None = None) -> Array:
    """How much of what the KPI needs was observed in each step, from 0 to 1, shape (steps,).

    Of counted KPIs the share of the expected targets that were seen whole, else whether the queries returned something.
    A step without traffic is observed, and has no ratio.
    """
    if kpi.kind is Kind.UTILISATION:
        return _is_seen(_column(samples, kpi.numerator) + _column(samples, kpi.denominator))
    if kpi.kind is Kind.COST:
        return _is_seen(step_values(kpi, samples, prices))
    query = kpi.denominator or kpi.query
    column = _is_seen(_column(samples, f"{query}.le.+Inf" if kpi.kind is Kind.QUANTILE else query))
    is_seen = (column > 0) & ~_is_unknown(kpi, samples)
    return np.where(is_seen, samples.columns.get(f"{query}.seen", column), 0.0)


def _is_seen(column: Array) -> Array:
    return (~np.isnan(column)).astype(np.float64)


def fold(kpi: Kpi, samples: Samples, values: Array, start: int = 0, stop: int | None = None) -> float | None:
    """The KPI over the steps ``start`` to ``stop`` (exclusive), by default all. None where nothing defines it.

    ``values`` are the ``step_values`` of all the samples.
    """
    counts = step_counts(kpi, samples)
    if counts is not None:
        counts = Counts(counts.rows[:, start:stop], counts.bounds)
    return optional(folded(kpi, part(samples, start, stop), values[start:stop], counts, 1).values)[0]


def folded(kpi: Kpi, samples: Samples, values: Array, counts: Counts | None, parts: int) -> Folded:
    """The KPI over each of ``parts`` equal parts of the steps: from the part's counts for ratios, rates and quantiles,
    else from its steps' values.

    ``values`` and ``counts`` are the ``step_values`` and the ``step_counts`` of all the steps.
    """
    totals = None if counts is None else counts.totals(parts)
    if not values.size:
        return Folded(np.full(parts, np.nan), totals)
    if kpi.kind is Kind.INCIDENTS:
        return Folded(_distinct_runs(kpi, samples, values, parts), None)
    if totals is not None and kpi.fold == "pooled":
        return Folded(_of_counts(kpi, totals), totals)
    return Folded((_highest if kpi.fold == "max" else _means)(values, parts), totals)


def optional(values: Array) -> tuple[float | None, ...]:
    """The same numbers, None for one that is none."""
    return tuple(value if np.isfinite(value) else None for value in values.tolist())


def step_counts(kpi: Kpi, samples: Samples) -> Counts | None:
    """What the KPI is worked out from at each step; None for kinds that do not come from counts."""
    if kpi.kind is Kind.RATIO:
        return Counts(np.array(ratio_counts(kpi, samples)))
    if kpi.kind is Kind.RATE:
        return Counts(np.array(_rate_counts(kpi, samples)))
    if kpi.kind is Kind.QUANTILE:
        bounds, cumulative = bucket_counts(samples, str(kpi.query))
        return Counts(cumulative, bounds)
    return None


def _of_counts(kpi: Kpi, counts: Counts) -> Array:
    """The KPI from what was counted in each of n steps or parts, shape (n,)."""
    if counts.bounds is not None:
        assert kpi.quantile is not None  # a KPI of this kind is not valid without
        return kpi.scale * histogram_quantile(kpi.quantile, counts.bounds, counts.rows)
    if kpi.kind is Kind.RATIO:
        return _share(kpi, counts.rows[0], counts.rows[1])
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(counts.rows[1] > 0, kpi.scale * counts.rows[0] / counts.rows[1], np.nan)


def own_counts(kpi: Kpi, samples: Samples) -> Array:
    """Of a rate: what was counted in each step itself, shape (steps,).

    Without what came together in a gap before the step and arrived with it; NaN where that is not known.
    """
    return _column(samples, kpi.query) - _earlier(kpi, samples)


def _earlier(kpi: Kpi, samples: Samples) -> Array:
    return samples.columns.get(f"{kpi.query}.earlier", np.zeros_like(_column(samples, kpi.query)))


def _rate_counts(kpi: Kpi, samples: Samples) -> tuple[Array, Array]:
    """Of a rate: what was counted in each step, and the seconds that it took.

    What arrives after a gap took the gap's steps too. A step of whose count nobody knows how long it took is left out,
    so that a gap which began the day before makes no burst.
    """
    counts, earlier = _column(samples, kpi.query), _earlier(kpi, samples)
    steps = np.arange(counts.size)
    seen = np.where(np.isnan(counts) & ~np.isnan(earlier), -1, steps)  # where neither is known, no gap goes on
    since = steps - np.concatenate([[-1], np.maximum.accumulate(seen)[:-1]])
    is_known = ~np.isnan(counts - earlier)
    took = np.where(earlier > 0, since, 1) * samples.step_s
    return np.where(is_known, counts, np.nan), np.where(is_known, took, np.nan)


def ratio_counts(kpi: Kpi, samples: Samples) -> tuple[Array, Array]:
    """Numerator and denominator per step. Events that were never seen are 0 where the total was seen, else missing;
    both are missing where one of them is unknown."""
    numerator, denominator = _column(samples, kpi.numerator), _column(samples, kpi.denominator)
    denominator = np.where(_is_unknown(kpi, samples), np.nan, denominator)
    return np.where(np.isnan(denominator), np.nan, np.where(np.isnan(numerator), 0.0, numerator)), denominator


def bucket_counts(samples: Samples, query: str) -> tuple[Array, Rows]:
    """Upper bounds in ascending order, shape (b,), and the cumulative counts per step, shape (b, steps)."""
    prefix = f"{query}.le."
    bounds = sorted((float(name.removeprefix(prefix)), name) for name in samples.columns if name.startswith(prefix))
    if not bounds or bounds[-1][0] != np.inf:
        return np.array([np.inf]), _missing(samples)[np.newaxis, :]
    found = np.array([samples.columns[name] for _, name in bounds])
    cumulative = np.where(np.isnan(found[-1]), np.nan, np.where(np.isnan(found), 0.0, found))
    for lower, row in itertools.pairwise(cumulative):  # maximum.accumulate takes ten times as long
        np.maximum(lower, row, out=row)
    return np.array([bound for bound, _ in bounds]), cumulative


def histogram_quantile(q: float, bounds: Array, cumulative: Rows) -> Array:
    """Prometheus' ``histogram_quantile`` for each column of ``cumulative``, shape (b, n) → (n,).

    Linear within the bucket, whose lower bound is 0 for the first one; a quantile beyond the last finite bound is that
    bound; NaN without observations. (Prometheus documentation, "Query functions", histogram_quantile;
    ``promql/quantile.go``, ``bucketQuantile``.) The last bound is +Inf.
    """
    total = cumulative[-1]
    if bounds.size < 2:
        return np.full(total.shape, np.nan)
    rank = q * total
    index = np.minimum((cumulative < rank).sum(axis=0), bounds.size - 1)
    columns = np.arange(total.size)
    low = np.where(index > 0, cumulative[np.maximum(index - 1, 0), columns], 0.0)
    inside = cumulative[index, columns] - low
    lower = np.where(index > 0, bounds[np.maximum(index - 1, 0)], min(0.0, float(bounds[0])))
    upper = bounds[np.minimum(index, bounds.size - 2)]
    with np.errstate(invalid="ignore", divide="ignore"):
        value = lower + (upper - lower) * (rank - low) / inside
    value = np.where(index == bounds.size - 1, bounds[-2], value)
    return np.where(total > 0, value, np.nan)


def cost_per_hour(samples: Samples, prices: PriceList | None) -> dict[str, Array]:
    """Per resource that has a price: cost per hour at each step, in the price list's currency; NaN without usage."""
    if prices is None:
        return {}
    costs = {
        resource: _column(samples, query) * HOURLY[resource] * price
        for query, (resource, price) in prices.usage.items()
    }
    if prices.fixed_per_hour is not None:
        costs["other"] = np.full(samples.steps, prices.fixed_per_hour)
    return costs


def part(samples: Samples, start: int, stop: int | None) -> Samples:
    """The same samples, steps ``start`` to ``stop`` (exclusive) only; the window is left as it was."""
    return Samples(
        samples.service, samples.window, samples.step_s, {n: c[start:stop] for n, c in samples.columns.items()}
    )


def _sums(rows: Rows, parts: int) -> Rows:
    """Sums over equal parts, shape (rows, steps) → (rows, parts); NaN where all of a part is missing."""
    missing = np.isnan(rows)
    shape = (len(rows), parts, rows.shape[1] // parts)
    sums = np.where(missing, 0.0, rows).reshape(shape).sum(axis=2)
    return np.where(missing.reshape(shape).all(axis=2), np.nan, sums)


def _means(values: Array, parts: int) -> Array:
    """The mean of what was seen in each part, shape (parts,)."""
    rows = values.reshape(parts, -1)
    means: Array = rows.mean(axis=1)
    for number in np.flatnonzero(np.isnan(means)):  # to sum with 0 in the gaps would round differently
        seen = rows[number][~np.isnan(rows[number])]
        means[number] = seen.mean() if seen.size else np.nan
    return means


def _highest(values: Array, parts: int) -> Array:
    """The highest that was seen in each part, shape (parts,)."""
    highest: Array = np.fmax.reduce(values.reshape(parts, -1), axis=1, initial=np.nan)
    return highest


def _distinct_runs(kpi: Kpi, samples: Samples, values: Array, parts: int) -> Array:
    """Runs of firing alerts that were seen in each part, those that began before it included, shape (parts,)."""
    columns = np.array([_column(samples, kpi.query), _column(samples, f"{kpi.query}.started"), values])
    firing, started, known = columns.reshape(3, parts, -1)
    seen = ~np.isnan(firing)
    first = np.arange(parts), seen.argmax(axis=1)
    runs = firing[first] - started[first] + np.where(seen, started, 0.0).sum(axis=1)
    return np.where(np.isnan(known).all(axis=1), np.nan, np.where(seen.any(axis=1), runs, 0.0))


def _share(kpi: Kpi, numerator: Array, denominator: Array) -> Array:
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(denominator > 0, numerator / denominator, np.nan)
    return kpi.scale * (1.0 - share if kpi.complement else share)


def _is_unknown(kpi: Kpi, samples: Samples) -> Flags:
    """Where nobody knows what a query of the KPI returned: not to be taken for a query that returned nothing."""
    names = [f"{name}.unknown" for name in kpi.operands if f"{name}.unknown" in samples.columns]
    unknown = [samples.columns[name] > 0 for name in names]
    return np.any(unknown, axis=0) if unknown else np.zeros(_size(samples), dtype=np.bool_)


def _column(samples: Samples, name: str | None) -> Array:
    column = samples.columns.get(str(name))
    return _missing(samples) if column is None else column


def _missing(samples: Samples) -> Array:
    return np.full(_size(samples), np.nan)


def _size(samples: Samples) -> int:
    return next((column.size for column in samples.columns.values()), samples.steps)
