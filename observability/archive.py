"""The evidence of a release, kept beside its artifacts: for each day the best of what was ever collected of it.

Nothing that was seen is lost by collecting again: a file that holds more than the one which takes its place is kept in
``evidence/replaced``, and is found again (``docs/decisions/0004-evidence-describes-itself.md``).
"""

from __future__ import annotations

import glob
import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from observability.definitions import Release
from observability.errors import ConfigError
from observability.layout import RECORDING, Layout
from observability.model import Samples, SourceInfo, format_instant, is_doubted, query_of

if TYPE_CHECKING:
    from observability.sources.evidence import Evidence, Origin

BESIDE = (".seen", ".earlier", ".started", ".unknown")  # columns that tell of others, and have a value at every step


@dataclass(frozen=True)
class Archive:
    """The evidence of one release below one root."""

    release: Release
    layout: Layout

    def best(self, number: int, server: str) -> dict[str, Evidence]:
        """Service → the best evidence of its day, where there is any of this server that is whole."""
        found = {service: self._generations(service, number, server) for service in self.release.services}
        return {service: self._best(generations) for service, generations in found.items() if generations}

    def lost(self, number: int, samples: Samples) -> list[str]:
        """The queries of which an earlier collection, of whichever server, saw more of the day than ``samples``."""
        earlier = self._generations(samples.service, number)
        names = [query.name for query in self.release.plan.queries]
        return [name for name in names if any(seen(one.samples, {name}) > seen(samples, {name}) for one in earlier)]

    def check(self, service: str, number: int) -> None:
        """Raises ``ConfigError`` where there is a file of the service's day that nobody can read."""
        from observability.sources.evidence import parse

        key = self.layout.evidence(service, number)
        if self.layout.store.exists(key):
            parse(self.layout.store.read_bytes(key, "copy it again"), self.layout.store.location(key))

    def check_whole(self, service: str, number: int) -> None:
        """Raises ``ConfigError`` where the file of the service's day is not what its name says."""
        key = self.layout.evidence(service, number)
        if self.layout.store.exists(key):
            self._decoded(key, service, number)

    def lacking(self, numbers: Iterable[int], server: str) -> dict[str, list[int]]:
        """Query of the plan → the days of which there is evidence, and not all of it holds the query. A file that
        nobody can read, or that is of another service or day, and that nothing stands in for, is refused."""
        lacking: dict[str, list[int]] = {query.name: [] for query in self.release.plan.queries}
        for number in numbers:
            best = self.best(number, server)
            for service in self.release.services:
                if service not in best:
                    self.check_whole(service, number)
            for name, days in lacking.items():
                if not all(name in evidence.held(self.release.plan) for evidence in best.values()):
                    days.append(number)
        return {name: days for name, days in lacking.items() if days}

    def keep(self, number: int, found: Mapping[str, Samples], before: Mapping[str, Evidence], info: SourceInfo) -> None:
        """Write the samples as the day's evidence, with what the evidence ``before`` holds of queries that the release
        no longer has, and at the root which release it is of."""
        from observability.kpi import step_values
        from observability.sources.evidence import Origin, encode_evidence
        from observability.sources.recording import Recorded

        for service, samples in found.items():
            kpis = self.release.kpis_of(service)
            values = {name: step_values(kpi, samples, self.release.prices) for name, kpi in kpis.items()}
            new = _with_others(_known(Origin.of(self.release.plan, service, info), samples), before.get(service))
            self._replace(service, number, new, encode_evidence(new.samples, values, new.origin))
        recorded = Recorded.of(self.release.plan, self.release.calendar, info)
        self.layout.store.write_bytes(RECORDING, (recorded.model_dump_json(indent=2) + "\n").encode())

    def _generations(self, service: str, number: int, server: str | None = None) -> list[Evidence]:
        """The day's evidence, and what it has replaced, of the same server (any, for None), window and step."""
        return [
            found
            for layout in (self.layout, self.layout.of_other_services)
            for found in self._generations_in(layout, service, number)
            if server is None or found.origin.source == server
        ]

    def _generations_in(self, layout: Layout, service: str, number: int) -> Iterator[Evidence]:
        """What can be read of the day in one layout; in another one than the release's, only what names the service."""
        for key in (
            layout.evidence(service, number),
            *layout.store.matching(layout.replaced(glob.escape(service), number, "*")),
        ):
            if not layout.store.exists(key):
                continue
            try:
                found = self._decoded(key, service, number)
            except ConfigError:
                continue
            if layout == self.layout or found.origin.service == service:
                yield found

    def _decoded(self, key: str, service: str, number: int) -> Evidence:
        from observability.sources.evidence import decode_evidence

        store, window = self.layout.store, self.release.calendar.window(number)
        data = store.read_bytes(key, "copy it again")
        return decode_evidence(data, service, window, self.release.step_s, store.location(key))

    def _best(self, generations: Sequence[Evidence]) -> Evidence:
        """Of each group of related queries the generation that holds most of them, of those one that the server did not
        warn of if there is any, and of those the one that saw most. What the release does not ask for is the newest's.
        """
        from observability.sources.evidence import Evidence, joined, select

        plan = self.release.plan
        newest, asked = generations[0], {query.name for query in plan.queries}
        others = [name for name in newest.origin.queries if name not in asked]
        queries = {name: newest.origin.queries[name] for name in others}
        parts = [select(newest.samples, others)]
        for group in related(self.release):
            best = max(generations, key=lambda found: _rank(found, found.held(plan) & group))
            names = sorted(best.held(plan) & group)
            parts.append(select(best.samples, names))
            queries |= {name: best.origin.queries[name] for name in names}
        origin = newest.origin.model_copy(update={"queries": queries})
        return Evidence(origin, joined(newest.samples, parts))

    def _replace(self, service: str, number: int, new: Evidence, content: bytes) -> None:
        """Write the evidence; what an older file holds beyond it is kept beside it, where ``_generations`` finds it."""
        store, key = self.layout.store, self.layout.evidence(service, number)
        if store.exists(key):
            old = store.read_bytes(key, "copy it again")
            if _loses(old, new, store.location(key)):
                store.write_bytes(self.layout.replaced(service, number, hashlib.sha256(old).hexdigest()[:8]), old)
        store.write_bytes(key, content)


def related(release: Release) -> list[set[str]]:
    """The names of the plan's queries, those together that a KPI relates: a ratio of one answer's errors to another's
    requests would be 0 where the second answer is of a server that has forgotten them."""
    plan = {query.name for query in release.plan.queries}
    groups = [{name} for name in plan]
    for kpi in release.kpis.values():
        linked = [group for group in groups if group & kpi.operands.keys()]
        groups = [group for group in groups if group not in linked]
        if linked:
            groups.append(set().union(*linked))
    return groups


def seen(samples: Samples, queries: Collection[str]) -> int:
    """How many steps of these queries' columns have a value."""
    return sum(
        int((values == values).sum())  # NaN is not equal to itself
        for name, values in samples.columns.items()
        if query_of(name) in queries and not name.endswith(BESIDE)
    )


def doubted(samples: Samples, queries: Collection[str]) -> bool:
    """Whether the server itself warned of its answer to one of the queries."""
    return any(is_doubted(warning, queries) for warning in samples.warnings)


def unknown(samples: Samples) -> set[str]:
    """The queries whose answer nobody knows."""
    return {query_of(name) for name in samples.columns if name.endswith(".unknown")}


def _rank(found: Evidence, held: Collection[str]) -> tuple[int, bool, int]:
    return len(held), not doubted(found.samples, held), seen(found.samples, held)


def _known(origin: Origin, samples: Samples) -> Evidence:
    """The evidence that the samples are: it does not hold what nobody knows."""
    from observability.sources.evidence import Evidence, select

    queries = {name: query for name, query in origin.queries.items() if name not in unknown(samples)}
    return Evidence(origin.model_copy(update={"queries": queries}), select(samples, queries))


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
    if (table.origin.source, table.origin.service or new.origin.service) != (new.origin.source, new.origin.service):
        return True
    if not table.origin.queries.items() <= new.origin.queries.items():
        return True
    before = replace(samples, columns=table.columns)
    return any(seen(before, {name}) > seen(samples, {name}) for name in table.origin.queries)


def _with_others(new: Evidence, before: Evidence | None) -> Evidence:
    """The new evidence, and what the old one holds of queries that the release no longer has."""
    from observability.sources.evidence import Evidence, joined, select

    if before is None:
        return new
    old = {name: query for name, query in before.origin.queries.items() if name not in new.origin.queries}
    origin = new.origin.model_copy(update={"queries": {**new.origin.queries, **old}})
    return Evidence(origin, joined(new.samples, [new.samples, select(before.samples, old)]))
