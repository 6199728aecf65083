"""How many events a step's value stands on: a share or a quantile of a few of them is chance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from observability.definitions import Kind, Kpi
from observability.kpi import bucket_counts, own_counts, ratio_counts
from observability.model import Array, Samples


def surplus(kpi: Kpi, samples: Samples, steps: Sequence[int], expected: Array) -> Array | None:
    """In each of the steps, how many events more or fewer there were than if the KPI had been as expected.

    ``expected`` has a value per step, in the KPI's unit; NaN, and the surplus is too. Of a share these are events of
    its numerator, of a quantile those up to the expected value, of a rate the counted ones. None where nothing is
    counted: a gauge is as it is.
    """
    wanted = expected / kpi.scale
    if kpi.kind is Kind.RATIO:
        numerator, denominator = (counts[steps] for counts in ratio_counts(kpi, samples))
        return np.abs(numerator - denominator * (1.0 - wanted if kpi.complement else wanted))
    if kpi.kind is Kind.RATE:
        return np.abs(own_counts(kpi, samples)[steps] - wanted * samples.step_s)
    if kpi.kind is Kind.QUANTILE:
        assert kpi.quantile is not None  # a KPI of this kind is not valid without
        bounds, cumulative = bucket_counts(samples, str(kpi.query))
        ends, counts = np.append(0.0, bounds[:-1]), cumulative[:, steps]
        columns = zip(wanted, np.insert(counts[:-1], 0, 0.0, axis=0).T, strict=True)
        below = np.array([np.interp(value, ends, column) for value, column in columns])
        return np.abs(below - kpi.quantile * counts[-1])
    return None
