"""What a pipeline asks to fail on: regressions, an advised rollback, missed objectives. Nothing passes unassessed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from observability.definitions import Direction
from observability.errors import ConfigError
from observability.verdicts import Regression, RegressionSummary, SloBurnDown

Condition = Literal["regression", "rollback", "slo"]
CONDITIONS: tuple[Condition, ...] = get_args(Condition)
MOST_NAMED = 5
USERS_SEE = frozenset({"availability", "errors", "latency"})


@dataclass(frozen=True)
class Answer:
    """One condition of one service. ``found`` is None where nothing at all could be assessed, or where what users see
    was lost since GA.

    ``why`` says what was found, or why there is no answer; ``untested`` names what was not assessed beside the rest.
    """

    found: bool | None
    why: str = ""
    untested: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """What to end with: sentences on what was found, what has no answer, and what was assessed only in part."""

    found: str | None = None
    unknown: str | None = None
    warnings: tuple[str, ...] = ()


def conditions(flags: Iterable[str]) -> tuple[Condition, ...]:
    """Those that ``--fail-on`` names: given several times, or with commas between them."""
    named = [name.strip() for flag in flags for name in flag.split(",")]
    for name in named:
        if name not in CONDITIONS:
            raise ConfigError(f"--fail-on '{name}' is none of {', '.join(CONDITIONS)}; give one or several of them.")
    return tuple(condition for condition in CONDITIONS if condition in named)


def ask(wanted: Sequence[Condition], judged: Mapping[str, tuple[RegressionSummary, Sequence[SloBurnDown]]]) -> Outcome:
    """The conditions asked of each service's verdicts."""
    answers = [
        (f"{service}: " if len(judged) > 1 else "", condition, _answer(condition, summary, slos))
        for service, (summary, slos) in judged.items()
        for condition in wanted
    ]
    return Outcome(
        found=_sentence("", [f"{of}{answer.why}" for of, _, answer in answers if answer.found]),
        unknown=_sentence(
            " cannot be answered", [f"{of}{answer.why}" for of, _, answer in answers if answer.found is None]
        ),
        warnings=tuple(
            f"--fail-on {condition}: {of}not assessed: {_listed(answer.untested)}"
            for of, condition, answer in answers
            if answer.found is not None and answer.untested
        ),
    )


def _sentence(start: str, parts: Sequence[str]) -> str | None:
    return f"--fail-on{start}: {'; '.join(parts)}." if parts else None


def _answer(condition: Condition, summary: RegressionSummary, slos: Sequence[SloBurnDown]) -> Answer:
    if condition == "regression":
        return _regression(summary)
    return _rollback(summary) if condition == "rollback" else _slo(slos)


def _regression(summary: RegressionSummary) -> Answer:
    """By the baseline that decides. A KPI of which neither direction is worse can prove no regression, and no
    absence of one. Without a regression, a KPI that users see and that has had no data since GA leaves it open."""
    rows = [row for row in summary.rows if row.role == "decides" and row.direction is not Direction.TWO_SIDED]
    tested = [row for row in rows if row.verdict in {"pass", "fail"}]
    untested = tuple(dict.fromkeys(row.metric_name for row in rows if row not in tested))
    failed = list(dict.fromkeys(row.metric_name for row in tested if row.verdict == "fail"))
    if failed:
        return Answer(True, f"regression of {_listed(failed)}", untested)
    lost = list(dict.fromkeys(row.metric_name for row in rows if _is_lost(row)))
    if lost:
        return Answer(None, f"{_listed(lost)} had data before GA and {'has' if len(lost) == 1 else 'have'} none since")
    return Answer(False, untested=untested) if tested else Answer(None, _untestable(rows))


def _is_lost(row: Regression) -> bool:
    is_gone = row.verdict == "no data" and row.baseline_value is not None and row.current_value is None
    return is_gone and row.category in USERS_SEE


def _untestable(rows: Sequence[Regression]) -> str:
    if not rows:
        return "there is no KPI with a baseline that decides"
    return f"no KPI could be tested against {', '.join(dict.fromkeys(row.baseline for row in rows))}"


def _rollback(summary: RegressionSummary) -> Answer:
    advised = summary.rollback_recommendation
    if advised is None or advised.should_rollback is None:
        return Answer(None, "whether to roll back could not be assessed")
    return Answer(advised.should_rollback, "a rollback is advised")


def _slo(slos: Sequence[SloBurnDown]) -> Answer:
    decided = {slo.slo_name: slo.verdict for slo in slos if slo.verdict in {"pass", "fail"}}
    untested = tuple(slo.slo_name for slo in slos if slo.slo_name not in decided)
    missed = [name for name, verdict in decided.items() if verdict == "fail"]
    if missed:
        return Answer(True, f"overspent error budget of {_listed(missed)}", untested)
    if decided:
        return Answer(False, untested=untested)
    return Answer(None, "no objective could be assessed" if slos else "there is no objective")


def _listed(names: Sequence[str]) -> str:
    more = [f"{len(names) - MOST_NAMED} more"] if len(names) > MOST_NAMED else []
    return ", ".join([*names[:MOST_NAMED], *more])
