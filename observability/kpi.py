"""From raw columns to a KPI: step by step, and folded over any stretch of steps."""

from __future__ import annotations

import numpy as np

from observability.definitions import Kind, Kpi, PriceList
from observability.model import Array, Samples

GIB = 2.0**30
HOURS_PER_MONTH = 730.0  # 365 d · 24 h / 12, the month that cloud providers' monthly prices stand for

# From a usage query's unit (cores, bytes, bytes, bytes/s) to the price's unit per hour.
HOURLY = {"cpu": 1.0, "memory": 1 / GIB, "storage": 1 / GIB / HOURS_PER_MONTH, "network": 3600 / GIB}


def step_values(kpi: Kpi, samples: Samples, prices: PriceList | None = None) -> Array:
    """The KPI at each step, in its unit: float64 of shape (steps,), NaN where it is undefined or was not observed."""
    if kpi.kind is Kind.RATE:
        return kpi.scale * own_counts(kpi, samples) / samples.step_s
    if kpi.kind is Kind.RATIO:
        numerator, denominator = ratio_counts(kpi, samples)
        return _share(kpi, numerator, denominator)
    if kpi.kind is Kind.UTILISATION:
        return _share(kpi, _column(samples, kpi.numerator), _column(samples, kpi.denominator))
    if kpi.kind is Kind.QUANTILE:
        bounds, cumulative = bucket_counts(samples, str(kpi.query))
        return _quantile(kpi, bounds, cumulative)
    if kpi.kind is Kind.INCIDENTS:
        firing = np.nan_to_num(_column(samples, kpi.query))
        return np.where(np.isnan(_column(samples, kpi.denominator)) | _is_unknown(kpi, samples), np.nan, firing)
    if kpi.kind is Kind.COST:
        costs = list(cost_per_hour(samples, prices).values())
        return np.sum(costs, axis=0, dtype=np.float64) if costs else _missing(samples)
    return kpi.scale * _column(samples, kpi.query)


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
    """The KPI over the steps ``start`` to ``stop`` (exclusive), by default all: from their counts for ratios, rates and
    quantiles, else from the steps' values.

    ``values`` are the ``step_values`` of all the samples. None where nothing defines it.
    """
    stretch, values = part(samples, start, stop), values[start:stop]
    if kpi.kind is Kind.INCIDENTS:
        return _distinct_runs(stretch, kpi, values)
    if kpi.fold == "pooled" and kpi.kind is Kind.RATIO:
        numerator, denominator = ratio_counts(kpi, stretch)
        return _finite(_share(kpi, np.array([np.nansum(numerator)]), np.array([np.nansum(denominator)]))[0])
    if kpi.fold == "pooled" and kpi.kind is Kind.RATE:
        count, seconds = rate_totals(kpi, samples, start, stop)
        return kpi.scale * count / seconds if seconds > 0 else None
    if kpi.fold == "pooled" and kpi.kind is Kind.QUANTILE:
        bounds, cumulative = bucket_counts(stretch, str(kpi.query))
        return _finite(_quantile(kpi, bounds, np.nansum(cumulative, axis=1, keepdims=True))[0])
    seen = values[~np.isnan(values)]
    if not seen.size:
        return None
    return float(seen.max() if kpi.fold == "max" else seen.mean())


def own_counts(kpi: Kpi, samples: Samples) -> Array:
    """Of a rate: what was counted in each step itself, shape (steps,).

    Without what came together in a gap before the step and arrived with it; NaN where that is not known.
    """
    return _column(samples, kpi.query) - _earlier(kpi, samples)


def _earlier(kpi: Kpi, samples: Samples) -> Array:
    return samples.columns.get(f"{kpi.query}.earlier", np.zeros_like(_column(samples, kpi.query)))


def rate_totals(kpi: Kpi, samples: Samples, start: int = 0, stop: int | None = None) -> tuple[float, float]:
    """Of a rate: what was counted in the steps ``start`` to ``stop``, and the seconds that it took.

    What arrives after a gap took the gap's steps too. A step of whose count nobody knows how long it took is left out,
    so that a gap which began the day before makes no burst.
    """
    counts, earlier = _column(samples, kpi.query), _earlier(kpi, samples)
    steps = np.arange(counts.size)
    seen = np.where(np.isnan(counts) & ~np.isnan(earlier), -1, steps)  # where neither is known, no gap goes on
    since = steps - np.concatenate([[-1], np.maximum.accumulate(seen)[:-1]])
    took = np.where(earlier > 0, since, 1)
    known = ~np.isnan((counts - earlier)[start:stop])
    return float(counts[start:stop][known].sum()), float(took[start:stop][known].sum() * samples.step_s)


def ratio_counts(kpi: Kpi, samples: Samples) -> tuple[Array, Array]:
    """Numerator and denominator per step. Events that were never seen are 0 where the total was seen, else missing;
    both are missing where one of them is unknown."""
    numerator, denominator = _column(samples, kpi.numerator), _column(samples, kpi.denominator)
    denominator = np.where(_is_unknown(kpi, samples), np.nan, denominator)
    return np.where(np.isnan(denominator), np.nan, np.nan_to_num(numerator)), denominator


def bucket_counts(samples: Samples, query: str) -> tuple[Array, np.ndarray[tuple[int, int], np.dtype[np.float64]]]:
    """Upper bounds in ascending order, shape (b,), and the cumulative counts per step, shape (b, steps)."""
    prefix = f"{query}.le."
    bounds = sorted((float(name.removeprefix(prefix)), name) for name in samples.columns if name.startswith(prefix))
    if not bounds or bounds[-1][0] != np.inf:
        return np.array([np.inf]), _missing(samples)[np.newaxis, :]
    total = samples.columns[bounds[-1][1]]
    rows = [np.where(np.isnan(total), np.nan, np.nan_to_num(samples.columns[name])) for _, name in bounds]
    return np.array([bound for bound, _ in bounds]), np.maximum.accumulate(np.stack(rows), axis=0)


def histogram_quantile(q: float, bounds: Array, cumulative: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> Array:
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


def _distinct_runs(samples: Samples, kpi: Kpi, values: Array) -> float | None:
    """Runs of firing alerts that were seen in the stretch, those that began before it included."""
    if np.isnan(values).all():
        return None
    firing, started = _column(samples, kpi.query), _column(samples, f"{kpi.query}.started")
    seen = ~np.isnan(firing)
    if not seen.any():
        return 0.0
    firing, started = firing[seen], started[seen]
    return float(firing[0] - started[0] + started.sum())


def _quantile(kpi: Kpi, bounds: Array, cumulative: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> Array:
    assert kpi.quantile is not None  # a KPI of this kind is not valid without
    return kpi.scale * histogram_quantile(kpi.quantile, bounds, cumulative)


def _share(kpi: Kpi, numerator: Array, denominator: Array) -> Array:
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(denominator > 0, numerator / denominator, np.nan)
    return kpi.scale * (1.0 - share if kpi.complement else share)


def _is_unknown(kpi: Kpi, samples: Samples) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Where nobody knows what a query of the KPI returned: not to be taken for a query that returned nothing."""
    is_unknown = np.zeros(_missing(samples).size, dtype=np.bool_)
    for name in kpi.operands:
        is_unknown |= _column(samples, f"{name}.unknown") > 0
    return is_unknown


def _column(samples: Samples, name: str | None) -> Array:
    column = samples.columns.get(str(name))
    return _missing(samples) if column is None else column


def _missing(samples: Samples) -> Array:
    size = next((column.size for column in samples.columns.values()), samples.steps)
    return np.full(size, np.nan)


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
