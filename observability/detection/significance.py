"""Significance: is this sample far from where this KPI is now, and from where it is at this hour?"""

from __future__ import annotations

from observability.detection.estimator import OneSeries
from observability.detection.significance_bank import SignificanceBank


class Significance(OneSeries):
    """How far a sample is from what is expected of its KPI, in scales of how much the KPI varies.

    A value v arrives at t, Δ seconds after the one before it. Expected is what lies between the level m and the mean b
    of this hour of the day (UTC); before the hour was seen for two hours in all, it is m alone. With e the distance of
    v from that interval, the score is

        min(e / (1.2533 S + f), 200) − ln(1 + F), and at least 0,

    where S is the mean absolute deviation from b (before, s, that from m), f = ``least`` · (highest − lowest value so
    far) + 10⁻¹² · the larger of their sizes, and F counts the runs (below) so far and fades over ``fatigue_days``. The
    alarms are the scores of ``threshold`` or more; the band is the interval, widened by
    (threshold + ln(1 + F)) (1.2533 S + f) on either side.

    What is learned afterwards is limited, so that an incident does not become normal. d is a deviation within
    ± ``limit`` (1.2533 spread + f), where the spread is that of the line; the first ten are not limited:

    - d = v − m: m += a d, s += a′ (|d| − s), with a = min(Δ/(Δ + ``level_h``), 1/``level_samples``), a′ likewise for
      ``spread_h`` and ``spread_samples``, and both at least 1/n for the n-th sample;
    - d = v − b: b += d p/(c + p), with p = min(Δ/1 h, 1), 1 for the first sample, and c the hours that this hour was
      seen for, at most ``season_days``; d is not limited in this while c < 2. The first sample of an hour is its b.
      Once c ≥ 1, S += a″ (|d| − S), with a″ as a′, and at least 1/n for the n-th such sample;
    - the lowest and the highest value, which by one sample grow at most by their distance, after the first ten. With
      the first sample of an hour they shrink towards m by g/``range_days`` of the way, and F is divided by
      1 + g/``fatigue_days``, where g is Δ within an hour and a day.

    A run begins when the first term of the score of a warm series reaches ``threshold``, goes on with each sample more
    than 3 scales off on the same side, and ends with the second in a row that is not; off from b if S < s, else from m.
    From its fourth sample on, and where c ≥ 2, a run is held: of it only the range is learned. An hour that was held
    for two hours in all, by runs that have not lasted ``settle_h`` and with no sample outside of runs in between, is
    unknown again, as if c were 0: what comes at the same hour day after day becomes what is expected. Its offset o is
    the mean of how far off its samples are, and u the mean absolute deviation from o: exponentially weighted, with q/(1
    + q), q = 4 min(Δ, 1 h)/``settle_h``, at most 1/24 and at least one over the length of the run. When the run is 24
    samples long and has lasted ``settle_h``, counting no gap for more than an hour, and rests (1.2533 u is at most 2
    scales), or after three times as long, or after an hour if o takes back the last move by within 2 scales, it is a
    new level: m and all b move by o, s and S become at least u, or 2 scales of mean absolute deviation if that is less,
    and ``bank.new_levels`` says so: from the mean of the b to that plus o.

    Parameters
    ----------
    level_h, spread_h, level_samples, spread_samples
        Memory of the level and of the spread: hours, or samples where those are rarer.
    season_days
        Days that the mean of an hour of the day reaches back.
    limit
        Scales that a deviation is learned as at most.
    least
        Share of the range so far that a scale is at least: with a threshold of 5, a move by 2.5 % of the range or less
        is never an alarm.
    range_days, fatigue_days
        Days over which the range and the number of runs are forgotten.
    settle_h
        Hours after which a run is a new level: a whole day, because a level is one at all its hours.
    warm_up
        Samples that are learned before any is scored.
    threshold
        Score of an alarm; it takes part in learning, too: see above.

    State: 90 floats. A missing sample (NaN, ±inf, beyond ±1e300), and one that is not later than the last, scores 0 and
    is not learned. The alarms do not change when the values are scaled, shifted or negated, nor when the clock is set
    to another time zone by whole hours. Source: the EWMA control chart (Roberts, "Control chart tests based on
    geometric moving averages", Technometrics 1, 1959), with mean absolute deviations and limited residuals for
    robustness (Huber, "Robust Statistics", 1981, chapter 3); the interval, the runs and the shipped values were chosen
    by measurement, see docs/detector.md.

    >>> detector = Significance()
    >>> for step in range(1440):
    ...     detector.learn_one({"t": 60.0 * step}, 10.0 + step % 7)
    >>> detector.score_one({"t": 86400.0}, 16.0) < 5 < detector.score_one({"t": 86400.0}, 30.0)
    True
    """

    def __init__(
        self,
        level_h: float = 2.0,
        level_samples: float = 50.0,
        spread_h: float = 4.0,
        spread_samples: float = 240.0,
        season_days: float = 5.0,
        limit: float = 4.0,
        least: float = 0.005,
        range_days: float = 30.0,
        fatigue_days: float = 30.0,
        settle_h: float = 24.0,
        warm_up: float = 24.0,
        threshold: float = 5.0,
    ) -> None:
        given = {name: value for name, value in locals().items() if name not in {"self", "__class__"}}
        self.__dict__.update(given)
        self.bank = SignificanceBank(1, **given)
