"""How many events a step's value stands on: a share or a quantile of a few of them is chance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from observability.definitions import Kind, Kpi
from observability.kpi import bucket_counts, own_counts, part, ratio_counts
from observability.model import Array, Samples


def surplus(kpi: Kpi, samples: Samples, steps: Sequence[int], expected: Array) -> Array | None:
    """How many events more or fewer there were in each of the steps than if the KPI had been as expected.

    The steps ascend; ``expected`` has a value per step, in the KPI's unit, and where it is NaN the answer is, too. Of a
    share these are events of its numerator, of a quantile those up to the expected value, of a rate the counted ones.
    None where nothing is counted: a gauge is as it is.
    """
    wanted, at = expected / kpi.scale, np.subtract(steps, steps[0])
    stretch = part(samples, steps[0], steps[-1] + 1)
    if kpi.kind is Kind.RATIO:
        numerator, denominator = (counts[at] for counts in ratio_counts(kpi, stretch))
        return np.fabs(numerator - denominator * (1.0 - wanted if kpi.complement else wanted))
    if kpi.kind is Kind.RATE:
        return np.fabs(own_counts(kpi, stretch)[at] - wanted * samples.step_s)
    if kpi.kind is Kind.QUANTILE:
        assert kpi.quantile is not None  # a KPI of this kind is not valid without
        bounds, cumulative = bucket_counts(stretch, str(kpi.query))
        ends, counts = np.append(0.0, bounds[:-1]), np.insert(cumulative, 0, 0.0, axis=0)[:, at]
        below = np.array([np.interp(value, ends, column[:-1]) for value, column in zip(wanted, counts.T, strict=True)])
        found: Array = np.fabs(below - kpi.quantile * counts[-1])
        return found
    return None
