"""Why a query returns nothing, found out by asking the server for less and less of it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal, Protocol

from observability.definitions import Release
from observability.model import Window, one_of
from observability.promql import Matcher, Selector, matchers, selectors

MOST_NAMED = 10
MOST_LABELS = 25  # of a metric, that are searched for a service's name

Cause = Literal["no metric", "no label", "no service", "excluded", "unknown"]


class Labels(Protocol):
    """What is asked of ``sources.prometheus.Prometheus``."""

    def label_names(self, selector: str, window: Window) -> list[str]: ...

    def label_values(self, label: str, selector: str | None, window: Window) -> list[str]: ...


@dataclass(frozen=True)
class Reason:
    """``cause`` and what to say of it: what is missing on the server, and what there is instead."""

    cause: Cause
    text: str


class Absence:
    """Asks one server about the series that it had in a window. What was asked before is not asked again."""

    def __init__(self, server: Labels, window: Window, release: Release) -> None:
        self._service_label = release.service_label
        self._of_all = {matcher.label for matcher in matchers(release.matchers)}
        self._names = cache(lambda selector: server.label_names(selector, window))
        self._values = cache(lambda label, selector: server.label_values(label, selector, window))

    @property
    def metrics(self) -> list[str]:
        """The names of all metrics."""
        return self._values("__name__", None)

    def reason(self, promql: str, services: Sequence[str]) -> Reason:
        """Why a rendered query has no series of these services."""
        for selector in selectors(promql):
            found = self._of_selector(selector, services)
            if found is not None:
                return found
        return Reason("unknown", f"there are series of it about that time, but nothing in the hour of {promql}")

    def _of_selector(self, selector: Selector, services: Sequence[str]) -> Reason | None:
        """Metric, service, other matchers: the first that leaves nothing. None where all of them leave something."""
        named = [matcher for matcher in selector.matchers if matcher.label == "__name__"]
        known = Selector(selector.name, tuple(named))
        if not self._names(str(known)):
            return self._no_metric(known)
        others = [matcher for matcher in selector.matchers if matcher.label != "__name__"]
        for matcher in sorted(others, key=lambda one: one.label != self._service_label):
            is_service = matcher.label == self._service_label
            narrowed = Matcher(matcher.label, "=~", one_of(services)) if is_service else matcher
            narrower = Selector(known.name, (*known.matchers, narrowed))
            if not self._names(str(narrower)):
                return self._no_value(known, matcher, services if is_service else ())
            known = narrower
        return None

    def _no_metric(self, selector: Selector) -> Reason:
        if selector.name is None:
            return Reason("no metric", f"the server has no metric that fits {selector}")
        close = difflib.get_close_matches(selector.name, self.metrics, n=3)
        hint = f"did you mean {_listed(close, ' or ')}?" if close else "check its name, and that something exports it"
        return Reason("no metric", f"the server has no metric {selector.name}; {hint}")

    def _no_value(self, selector: Selector, matcher: Matcher, services: Sequence[str]) -> Reason:
        """Of a matcher that fits none of the selector's series. Texts that would be the same but for the metric do not
        name it: they are said once, for all of the queries."""
        where, label = str(selector), matcher.label
        labels = [name for name in self._names(where) if name != "__name__"]
        elsewhere = self._named_by(where, labels, services)
        if label not in labels and (elsewhere or label in self._of_all):
            asked = "service_label" if services else "matchers"
            return Reason("no label", f"there is no label {label}, which `{asked}` asks for{elsewhere}")
        if label not in labels:
            return Reason("no label", f"{where} has no label {label}; it has {_listed(labels)}")
        values = self._values(label, where)
        if not services:
            return Reason("excluded", f"no series of {where} has {matcher}; its {label} is {_listed(values)}")
        close = [near for service in services for near in difflib.get_close_matches(service, values, n=1)]
        never = f"the label {label} is never {_listed(services, ' or ')}"
        if close:
            return Reason("no service", f"{never}; did you mean {_listed(close, ' or ')}?")
        return Reason("no service", f"{never}{elsewhere or f'; of {selector.name or where} it is {_listed(values)}'}")

    def _named_by(self, where: str, labels: Sequence[str], services: Sequence[str]) -> str:
        """Which other label names the services, if one does. Of several, the one that looks most like it."""
        if not services:
            return ""
        found = [name for name in labels[:MOST_LABELS] if set(services) & set(self._values(name, where))]
        best = min(found, key=lambda name: (not re.search("service|app", name), name), default=None)
        return f"; the label {best} names the services: write service_label: {best}" if best else ""


def _listed(names: Sequence[str], last: str = ", ") -> str:
    shown = [name or '""' for name in names[:MOST_NAMED]]
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    *others, final = shown or ["nothing"]
    return (f"{', '.join(others)}{last}{final}" if others else final) + more
