"""Real weeks judged as the product does: false alarms, what is found of injected changes, and how sure that is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import figures, judgement_weeks
from benchmarks.event_scoring import Flags
from benchmarks.judgement_weeks import DAYS, GA, HOUR_S, HOURS, INJECTED, Window
from observability.artifacts import PreReleaseSummary, Verdict
from observability.definitions import DEFAULT_CHANNELS
from observability.detection import channels
from observability.errors import ConfigError
from observability.judgement.baseline import WEEK_BEFORE
from observability.judgement.regression import analyse
from observability.judgement.tested import FALSE_DISCOVERIES
from observability.model import Array

RESAMPLES = 10_000
MIDDLE = (0.025, 0.975)  # the ends of an interval, as quantiles of the resampled figures

Rated = NDArray[Any]  # of each window whether, or how much, it counts
KPIS_OF_A_SERVICE = 20
Hits = Mapping[str, Rated]
"""Figure → for each window whether it counts."""


@dataclass(frozen=True)
class Outcome:
    """What is said of one window against the week before GA. ``is_up``: the change is one for more. ``is_clear``: its p
    would be small enough if it were the only change among twenty KPIs (Benjamini and Hochberg)."""

    is_real: bool
    is_up: bool
    verdict: Verdict
    is_clear: bool = False


def weeks(found: Sequence[Window], left_out: Sequence[tuple[str, Window]], seed: int) -> dict[str, Any]:
    """The rates over all windows, per group and over the disjoint ones alone, with how sure they are."""
    if not found:
        raise ConfigError("The data has no fifteen days without a labelled point that can be judged.")
    outcomes = judge(found)
    hits = {**counted(outcomes), **as_episodes(found)}
    groups = np.array([window.series.group for window in found])
    everything = np.ones(len(found), dtype=np.bool_)
    is_disjoint = judgement_weeks.disjoint(found)
    clusters = np.array([window.series.cluster for window in found])
    return {
        **rates(hits, everything),
        "intervals": {name: interval(flags, clusters, np.random.default_rng(seed)) for name, flags in hits.items()},
        **sizes(found, everything, is_disjoint),
        "left_out": dict(sorted(Counter(why for why, _ in left_out).items())),
        "left_out_false_alarm_rate": _real_share([window for _, window in left_out]),
        "disjoint_alone": rates(hits, is_disjoint),
        "by_group": {
            name: {**rates(hits, groups == name), **sizes(found, groups == name, is_disjoint)}
            for name in sorted(set(groups.tolist()))
        },
        "verdicts": {name: shares([one.verdict for one in of]) for name, of in outcomes.items()},
    }


def judge(found: Sequence[Window]) -> dict[str, list[Outcome]]:
    """Each window with each of the injected changes, and as it is."""
    done = figures.progress(f"judging {len(found)} windows with {len(INJECTED)} changes", len(found))
    outcomes: dict[str, list[Outcome]] = {name: [] for name in INJECTED}
    for window in found:
        before = judgement_weeks.before(window)
        for name in INJECTED:
            outcomes[name].append(_judged(window, name, before))
        done()
    return outcomes


def _judged(window: Window, name: str, before: PreReleaseSummary) -> Outcome:
    ga, *days = judgement_weeks.released(window, INJECTED[name](window))
    row = next(row for row in analyse(ga, days, before).rows if row.baseline == WEEK_BEFORE)
    is_called = row.real is True and row.verdict != "inconclusive"  # which it is where it began before GA
    is_clear = row.p is not None and row.p <= FALSE_DISCOVERIES / KPIS_OF_A_SERVICE
    return Outcome(is_called, row.change is not None and row.change > 0, row.verdict, is_called and is_clear)


def _real_share(found: Sequence[Window]) -> float | None:
    """How many of them have a real change as they are; None where there are none."""
    real = [_judged(window, "as_is", judgement_weeks.before(window)).is_real for window in found]
    return sum(real) / len(real) if real else None


def counted(outcomes: Mapping[str, Sequence[Outcome]]) -> dict[str, Rated]:
    """A change is found where it is real and for more. A false alarm is a real one for the worse: a window counts half
    for either direction that its KPI could have."""
    real = {name: np.array([one.is_real for one in of]) for name, of in outcomes.items()}
    more = {name: real[name] & [one.is_up for one in of] for name, of in outcomes.items()}
    clear = {name: more[name] & [one.is_clear for one in of] for name, of in outcomes.items()}
    return {
        "false_alarm_rate": real["as_is"] / 2,
        "real_either_way": real["as_is"],
        "found_1_15": more["1_15"],
        "found_1_3": more["1_3"],
        "found_ramp": more["ramp"],
        "found_1_15_among_20": clear["1_15"],
        "found_1_3_among_20": clear["1_3"],
        "found_ramp_among_20": clear["ramp"],
        "spike_as_regression": more["spike"],
        "spike_extra": more["spike"] & ~more["as_is"],
        "spike_1_3_as_regression": more["spike_1_3"],
        "spike_5_as_regression": more["spike_5"],
        "inconclusive": np.array([one.verdict in {"inconclusive", "no data"} for one in outcomes["as_is"]])
        & ~real["as_is"],
    }


def as_episodes(found: Sequence[Window]) -> dict[str, Rated]:
    """Whether the online detectors, hour by hour from the first of the fifteen days on, alarm on the day of the spike
    of ×2, and whether they do on that day without it."""
    given = {name: [_whole(window, name) for window in found] for name in ("spike", "as_is")}
    done = figures.progress(f"detecting on {len(found)} windows, with a spike and without", 2)
    alarms = {name: _alarms_on_spike_day(found, hours, done) for name, hours in given.items()}
    return {"spike_as_episode": alarms["spike"], "no_spike_as_episode": alarms["as_is"]}


def _whole(window: Window, name: str) -> Array:
    return np.concatenate([window.hours[:GA].ravel(), INJECTED[name](window).ravel()])


def _alarms_on_spike_day(found: Sequence[Window], hours: Sequence[Array], done: figures.Done) -> Flags:
    times = [HOUR_S * np.arange(DAYS * HOURS, dtype=np.float64)] * len(found)
    starts = [(GA + window.spike_day) * HOURS for window in found]
    is_alarm = np.zeros(len(found), dtype=np.bool_)
    for channel in DEFAULT_CHANNELS:
        threshold = channels.bank_of(channel, 0).threshold
        scores = [one.score for one in channels.track(channel, times, hours)]
        is_alarm |= [(score[at : at + HOURS] >= threshold).any() for score, at in zip(scores, starts, strict=True)]
    done()
    return is_alarm


def rates(hits: Hits, among: Flags) -> dict[str, float]:
    return {name: float(flags[among].mean()) for name, flags in hits.items()}


def sizes(found: Sequence[Window], among: Flags, is_disjoint: Flags) -> dict[str, int]:
    of = [window for window, is_among in zip(found, among, strict=True) if is_among]
    return {
        "windows": len(of),
        "disjoint": int((among & is_disjoint).sum()),
        "series": len({window.series.name for window in of}),
        "clusters": len({window.series.cluster for window in of}),
    }


def shares(verdicts: Sequence[Verdict]) -> dict[str, float]:
    return {name: count / len(verdicts) for name, count in sorted(Counter(verdicts).items())}


def interval(flags: Rated, clusters: np.ndarray[Any, Any], random: np.random.Generator) -> tuple[float, float] | None:
    """Between what the rate lies in the middle 95 % of ``RESAMPLES`` draws of as many clusters, each with all of its
    windows; None where there is one cluster, which does not tell. (Field and Welsh, "Bootstrapping clustered data",
    JRSS B 69, 2007.)"""
    names, which = np.unique(clusters, return_inverse=True)
    if names.size < 2:
        return None
    sums = np.array([np.bincount(which, weights=flags), np.bincount(which)])
    draws = random.multinomial(names.size, np.full(names.size, 1 / names.size), RESAMPLES)
    hit, of = draws @ sums.T[:, 0], draws @ sums.T[:, 1]
    low, high = np.quantile(hit / of, MIDDLE).tolist()
    return low, high
