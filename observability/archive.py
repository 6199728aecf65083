"""The evidence of a release, kept beside its artifacts: for each day the best of what was ever collected of it.

Nothing that was seen is lost by collecting again: a file that holds more than the one which takes its place is kept in
``evidence/replaced``, and is found again (``docs/decisions/0004-evidence-describes-itself.md``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from observability.definitions import Release
from observability.errors import ConfigError
from observability.layout import RECORDING, Layout
from observability.model import Plan, Query, Samples, SourceInfo, format_instant, is_doubted, query_of

if TYPE_CHECKING:
    from observability.sources.evidence import Evidence

BESIDE = (".seen", ".earlier", ".started")  # columns that tell of another one's values, and have one at every step


@dataclass(frozen=True)
class Archive:
    """The evidence of one release below one root."""

    release: Release
    layout: Layout

    def best(self, number: int, server: str, doubted: bool = True) -> dict[str, Evidence]:
        """Service → the best evidence of its day, where there is any of this server that is whole; unless ``doubted``,
        without the answers that the server itself warned of."""
        found = {service: self._generations(service, number, server) for service in self.release.services}
        return {service: self._best(generations, doubted) for service, generations in found.items() if generations}

    def lost(self, number: int, samples: Samples) -> list[str]:
        """The queries of which an earlier collection, of whichever server, saw more of the day than ``samples``."""
        earlier = self._generations(samples.service, number)
        names = [query.name for query in self.release.plan.queries]
        return [name for name in names if any(_seen(one.samples, {name}) > _seen(samples, {name}) for one in earlier)]

    def check(self, service: str, number: int) -> None:
        """Raises ``ConfigError`` where there is a file of the service's day that nobody can read."""
        from observability.sources.evidence import parse

        key = self.layout.evidence(service, number)
        if self.layout.store.exists(key):
            parse(self.layout.store.read_bytes(key, "copy it again"), self.layout.store.location(key))

    def lacking(self, numbers: Iterable[int], server: str) -> dict[str, list[int]]:
        """Query of the plan → the days of which there is evidence, and not all of it holds the query. A file that
        nobody can read, and that nothing stands in for, is refused."""
        lacking: dict[str, list[int]] = {query.name: [] for query in self.release.plan.queries}
        for number in numbers:
            best = self.best(number, server)
            for service in self.release.services:
                if service not in best:
                    self.check(service, number)
            for query in self.release.plan.queries:
                if not all(evidence.origin.holds(query) for evidence in best.values()):
                    lacking[query.name].append(number)
        return {name: days for name, days in lacking.items() if days}

    def keep(self, number: int, found: Mapping[str, Samples], before: Mapping[str, Evidence], info: SourceInfo) -> None:
        """Write the samples as the day's evidence, with what the evidence ``before`` holds of queries that the release
        no longer has, and at the root which release it is of."""
        from observability.kpi import step_values
        from observability.sources.evidence import Evidence, Origin, encode_evidence
        from observability.sources.recording import Recorded

        for service, samples in found.items():
            kpis = self.release.kpis_of(service)
            values = {name: step_values(kpi, samples, self.release.prices) for name, kpi in kpis.items()}
            new = _with_others(Evidence(Origin.of(self.release.plan, info), samples), before.get(service))
            self._replace(service, number, new, encode_evidence(new.samples, values, new.origin))
        recorded = Recorded.of(self.release.plan, self.release.calendar, info)
        self.layout.store.write_bytes(RECORDING, (recorded.model_dump_json(indent=2) + "\n").encode())

    def _generations(self, service: str, number: int, server: str | None = None) -> list[Evidence]:
        """The day's evidence, and what it has replaced, of the same server (any, for None), window and step."""
        from observability.sources.evidence import decode_evidence

        store, window = self.layout.store, self.release.calendar.window(number)
        generations = []
        for key in (
            self.layout.evidence(service, number),
            *store.matching(self.layout.replaced(service, number, "*")),
        ):
            try:
                data = store.read_bytes(key, "")
                found = decode_evidence(data, service, window, self.release.step_s, store.location(key))
            except ConfigError:
                continue
            if server is None or found.origin.source == server:
                generations.append(found)
        return generations

    def _best(self, generations: Sequence[Evidence], doubted: bool) -> Evidence:
        """Of each group of queries the generation that holds all of it and saw most of it, of those that the server did
        not warn of if there are any; a group that none holds is left out. What the release does not ask for is the
        newest's."""
        from observability.sources.evidence import Evidence, Origin, joined, select

        newest, asked = generations[0], {query.name for query in self.release.plan.queries}
        others = [name for name in newest.origin.queries if name not in asked]
        queries = {name: newest.origin.queries[name] for name in others}
        parts = [select(newest.samples, others)]
        for group in _groups(self.release):
            names = {query.name for query in group}
            holders = [found for found in generations if all(found.origin.holds(query) for query in group)]
            sure = [found for found in holders if not _is_doubted(found.samples, names)]
            if sure or (holders and doubted):
                best = max(sure or holders, key=lambda found: _seen(found.samples, names))
                parts.append(select(best.samples, names))
                queries |= {name: best.origin.queries[name] for name in names}
        return Evidence(Origin(source=newest.origin.source, queries=queries), joined(newest.samples, parts))

    def _replace(self, service: str, number: int, new: Evidence, content: bytes) -> None:
        """Write the evidence; what an older file holds beyond it is kept beside it, where ``_generations`` finds it."""
        store, key = self.layout.store, self.layout.evidence(service, number)
        if store.exists(key):
            old = store.read_bytes(key, "copy it again")
            if _loses(old, new, store.location(key)):
                store.write_bytes(self.layout.replaced(service, number, hashlib.sha256(old).hexdigest()[:8]), old)
        store.write_bytes(key, content)


def missing(plan: Plan, kept: Mapping[str, Evidence]) -> set[str]:
    """The queries of the plan that the evidence of one of the services does not hold."""
    return {
        query.name
        for query in plan.queries
        if not all(service in kept and kept[service].origin.holds(query) for service in plan.services)
    }


def _groups(release: Release) -> list[list[Query]]:
    """The plan's queries, those together that a KPI relates: a ratio of one answer's errors to another's requests would
    be 0 where the second answer is of a server that has forgotten them."""
    groups = [{query.name} for query in release.plan.queries]
    for kpi in release.kpis.values():
        related = [group for group in groups if group & kpi.operands.keys()]
        groups = [group for group in groups if group not in related]
        if related:
            groups.append(set().union(*related))
    return [[query for query in release.plan.queries if query.name in group] for group in groups]


def _seen(samples: Samples, queries: Collection[str]) -> int:
    """How many steps of these queries' columns have a value."""
    return sum(
        int((values == values).sum())  # NaN is not equal to itself
        for name, values in samples.columns.items()
        if query_of(name) in queries and not name.endswith(BESIDE)
    )


def _is_doubted(samples: Samples, queries: Collection[str]) -> bool:
    return any(is_doubted(warning, queries) for warning in samples.warnings)


def _loses(old: bytes, new: Evidence, where: str) -> bool:
    """Whether the old file holds another window, server or query than the new one, or saw more of the same."""
    from observability.sources.evidence import parse

    try:
        table = parse(old, where)
    except ConfigError:
        return False
    samples = new.samples
    if len(table.times) != samples.steps or table.times[0] != format_instant(samples.window.start):
        return True
    if table.origin.source != new.origin.source or not table.origin.queries.items() <= new.origin.queries.items():
        return True
    before = replace(samples, columns=table.columns)
    return any(_seen(before, {name}) > _seen(samples, {name}) for name in table.origin.queries)


def _with_others(new: Evidence, before: Evidence | None) -> Evidence:
    """The new evidence, and what the old one holds of queries that the release no longer has."""
    from observability.sources.evidence import Evidence, Origin, joined, select

    if before is None:
        return new
    old = {name: query for name, query in before.origin.queries.items() if name not in new.origin.queries}
    origin = Origin(source=new.origin.source, queries={**new.origin.queries, **old})
    return Evidence(origin, joined(new.samples, [new.samples, select(before.samples, old)]))
