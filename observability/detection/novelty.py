"""Novelty: has this KPI ever done this?"""

from __future__ import annotations

from observability.detection.estimator import OneSeries
from observability.detection.novelty_bank import NoveltyBank


class Novelty(OneSeries):
    """How far a KPI is outside everything that it has done so far. What it tells is news, not significance.

    Seven signals y are made of each value v, which arrives at t, Δ seconds after the one before it:

    - v itself; v − m; and v / (L + f), where m is the level of v, L that of |v|, f = 0.001 · (max v − min v),
      and the divisor is at least 0.001 |v|;
    - z₁ smoothed over ``fast_h``, where z₁ = (v − m) / (s + f) and s is the level of |v − m|;
    - z₂ smoothed over 3 and over 9 ``fast_h``, where z₂ = (v − b) / (sₕ + ``common`` · S + f), b is the expected value
      of this hour of the day (UTC), sₕ its mean deviation, and S, over 9 ``fast_h``, the mean deviation of all hours;
    - v − w smoothed over ``fast_h``, where w is the expected value of this hour of the week.

    Levels are exponentially weighted means over ``level_h``, in which all samples count alike at first; a weight is
    1 − e^(−min(Δ, 300 s)/memory), so that memories are in seconds, and in samples where these are rarer than every
    5 minutes, and no sample counts for a gap. b and sₕ take in ``hour_rate`` of an hour's samples per visit, w
    ``week_rate``: 1 − (1 − rate)^(min(Δ, 1 h)/1 h). The first sample of a bin is what the bin expects,
    and its sₕ is S then. In S, too, all samples count alike at first.

    Each signal has a range [lowest, highest]. Outside of it by q widths, at most 10, a signal gives ln(1 + q/``unit``)
    as evidence; a record of the third signal is measured on the scale of asinh. The evidence E of a sample is the sum
    over its signals. It was told if there is a score: E − ``tire`` · ln(1 + F), unless that is negative, or no more
    than ``rest_h`` have passed since the evidence E′ was told and E is at most ``again`` · E′. Then F, which halves
    every ``recover_h``, grows by E, or by E − E′ within ``rest_h``.

    Parameters
    ----------
    fast_h, level_h, warm_up_h, rest_h, recover_h
        Hours, of which a sample stands for at most five minutes: memory of the smoothed signals and of the levels; what
        is learned before anything is scored; when a record counts as a new one; half-life of the fatigue.
    hour_rate, week_rate
        Share of an hour's samples that the expected value of an hour of the day, or of the week, takes in, up to 0.999.
    common, clip, unit
        Share of the common scale in an hour's; largest z; widths outside the range that give ln 2 of evidence.
    again, tire
        Factor by which evidence must exceed what was just told; weight of the fatigue.

    State: 243 floats. A missing sample (NaN, ±inf, beyond ±1e300), and one that is not later than the last, scores 0
    and is not learned. The alarms do not change when the values are scaled; when they are shifted, those of the third
    signal do, because it measures values by their size. Source: a record of n like samples comes with probability 2/n
    (Arnold, Balakrishnan and Nagaraja, "Records", 1998, chapter 2), whatever their distribution; which signals, and the
    shipped values, were chosen by measurement, see docs/detector.md.

    >>> detector = Novelty(warm_up_h=1)
    >>> for step in range(1440):
    ...     detector.learn_one({"t": 60.0 * step}, 10.0 + step % 7)
    >>> detector.score_one({"t": 86400.0}, 16.0), round(detector.score_one({"t": 86400.0}, 19.0), 2)
    (0.0, 4.12)
    """

    def __init__(
        self,
        fast_h: float = 0.8,
        level_h: float = 48.0,
        hour_rate: float = 0.35,
        week_rate: float = 0.6,
        common: float = 0.1,
        clip: float = 10.0,
        unit: float = 0.075,
        warm_up_h: float = 2.0,
        rest_h: float = 8.5,
        again: float = 2.5,
        tire: float = 0.2,
        recover_h: float = 168.0,
    ) -> None:
        given = {name: value for name, value in locals().items() if name not in {"self", "__class__"}}
        self.__dict__.update(given)
        self.bank = NoveltyBank(1, **given)
