"""The release file (YAML): what was released when, which services and KPIs are watched, and where their samples are."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from observability.definitions import Release
from observability.errors import ConfigError
from observability.model import Query

CATALOG = Path(__file__).parent / "catalog"

_STRING = re.compile(r"""\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|`[^`]*`""")
_SELECTOR = re.compile(r"\{[^{}]*\}")
_AGGREGATORS = "sum|avg|min|max|count|count_values|stddev|stdvar|topk|bottomk|quantile|group"
_AGGREGATION = re.compile(rf"\b(?:{_AGGREGATORS})\s*(?:by\b|without\b|\()", re.IGNORECASE)
_TO_ONE_SERIES = re.compile(rf"\b(?:{_AGGREGATORS})\s*(?:by\b|\()", re.IGNORECASE)
_FUNCTION = re.compile(r"\b(i?rate|increase|i?delta|deriv|histogram_\w+|(?:sum|avg|count)_over_time)\s*\(")

_SAID = {
    "string_type": "write it as text, in quotes where YAML would read something else",
    "tuple_type": "write a list, such as [a, b]",
    "model_type": "write fields with their values, such as {name: value}",
    "extra_forbidden": "there is no such field; check its spelling",
}


def flags_release(ga: datetime, url: str, step: timedelta = timedelta(seconds=60)) -> Release:
    """What flags alone describe: one service named ``default``, every default KPI, no label matchers."""
    return _build({"release": "release", "ga": ga, "prometheus": {"url": url}, "step": step}, "the command's flags")


def load(path: Path) -> Release:
    """Read a release file. Every problem is one ``ConfigError`` that names the file and the field."""
    try:
        data = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}); name a release file.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(data, dict):
        raise ConfigError(f"{path} is not a release file: it holds no fields such as `release:` and `ga:`.")
    return _build(data, str(path))


class _Loader(yaml.SafeLoader):
    """YAML without its guesses about times, so that `ga: 2025-11-18 00:00:00` is seen to be naive, and not made UTC."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """A key that is written twice is refused: only the second one would count, and nobody would know."""
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        twice = next((key for key in keys if keys.count(key) > 1), None)
        if twice is not None:
            raise yaml.constructor.ConstructorError(
                None, None, f"the key '{twice}' is written twice; leave one of them out", node.start_mark
            )
        return super().construct_mapping(node, deep)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _build(data: dict[str, Any], where: str) -> Release:
    catalog = yaml.load((CATALOG / "kpis.yaml").read_text(encoding="utf-8"), Loader=_Loader)
    fields = dict(data)
    only = fields.pop("only", None)
    fields["queries"] = _merged(catalog["queries"], fields.get("queries"), where, "queries", "promql")
    fields["kpis"] = _merged(catalog["kpis"], fields.get("kpis"), where, "kpis", "about")
    if only is not None:
        fields["kpis"] = {name: fields["kpis"][name] for name in _known(only, fields["kpis"], f"{where}: only")}
    if "slos" not in fields:
        defaults = yaml.load((CATALOG / "slos.yaml").read_text(encoding="utf-8"), Loader=_Loader)["slos"]
        fields["slos"] = [slo for slo in defaults if slo["kpi"] in fields["kpis"]]
    if isinstance(fields.get("services"), dict):
        fields["only_of"] = _selections(fields["services"], fields["kpis"], where)
        fields["services"] = list(fields["services"])
    if fields.get("services") and "service_label" not in fields:
        fields["service_label"] = "service"
    try:
        release = Release.model_validate(fields)
    except ValidationError as error:
        raise ConfigError(f"{where}: {_problems(error)}.") from None
    _check(release, where)
    return release


def _merged(defaults: dict[str, Any], given: object, where: str, section: str, short: str) -> dict[str, Any]:
    """The catalog's section with the release file's laid over it. A bare text is the one field ``short``."""
    if not isinstance(given, dict | None):
        raise ConfigError(f"{where}: {section}: write names and their definitions, not a {type(given).__name__}.")
    merged = {name: {"name": name, **entry} for name, entry in defaults.items()}
    for name, entry in (given or {}).items():
        fields = entry if isinstance(entry, dict) else {short: entry}
        merged[name] = {**merged.get(name, {"name": name}), **fields}
    return merged


def _selections(services: dict[str, Any], kpis: Mapping[str, Any], where: str) -> dict[str, list[str]]:
    """Service → the KPIs that its `only` keeps, for the services that have one."""
    selections = {}
    for service, entry in services.items():
        if entry is not None and (not isinstance(entry, dict) or set(entry) != {"only"}):
            raise ConfigError(f"{where}: services.{service}: write nothing, or `only: [...]` with the service's KPIs.")
        if entry is not None:
            selections[service] = _known(entry["only"], kpis, f"{where}: services.{service}.only")
    return selections


T = TypeVar("T")


def _known(names: object, known: Mapping[str, T], where: str) -> list[str]:
    if not isinstance(names, list) or not names:
        raise ConfigError(f"{where}: write a list of names, such as [p99_latency_ms].")
    for name in names:
        if not isinstance(name, str) or name not in known:
            close = difflib.get_close_matches(str(name), known, n=1)
            hint = f"did you mean '{close[0]}'?" if close else f"known are {', '.join(known)}."
            raise ConfigError(f"{where}: unknown KPI '{name}'; {hint}")
    return [str(name) for name in names]


def _problems(error: ValidationError) -> str:
    """All of pydantic's findings as one sentence of `field: what is wrong`."""
    errors = error.errors()
    items = {found["loc"][:-1] for found in errors}  # a list whose items are wrong is not too short as well
    return "; ".join(
        ".".join(str(part) for part in found["loc"])
        + ": "
        + _SAID.get(found["type"], found["msg"].removeprefix("Value error, ").rstrip("."))
        for found in errors
        if found["type"] != "too_short" or found["loc"] not in items
    )


def _check(release: Release, where: str) -> None:
    """What only the whole file can tell."""
    if len(set(release.services)) != len(release.services):
        raise ConfigError(f"{where}: services: a service is named twice.")
    if len(release.services) > 1 and release.service_label is None:
        raise ConfigError(f"{where}: service_label: several services need the label that tells them apart.")
    for unsafe in (s for s in release.services if not s.strip() or s in {".", ".."} or "/" in s or "\\" in s):
        raise ConfigError(f"{where}: services: '{unsafe}' cannot name a folder; leave out slashes.")
    if release.step_s < 1 or release.day % release.step or release.day < 24 * release.step:
        raise ConfigError(f"{where}: step: the day must be a whole number of steps of whole seconds, at least 24.")
    for name, kpi in release.kpis.items():
        for operand, kind in kpi.operands.items():
            if operand not in release.queries:
                raise ConfigError(f"{where}: kpis.{name}: unknown query '{operand}'; define it under `queries:`.")
            if release.queries[operand].type != kind:
                raise ConfigError(
                    f"{where}: kpis.{name}: query '{operand}' must be of type {kind} for kind {kpi.kind}."
                )
    for query in release.queries.values():
        _check_query(query, release, where)
    names = [slo.name for slo in release.slos]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"{where}: slos: two objectives are named '{name}'; give each a name of its own.")
    _known([slo.kpi for slo in release.slos] or list(release.kpis), release.kpis, f"{where}: slos")
    for slo in release.slos:
        kind = release.kpis[slo.kpi].kind
        if kind not in {"ratio", "quantile"} or (kind == "quantile") != (slo.threshold is not None):
            raise ConfigError(
                f"{where}: slos.{slo.name}: an objective is set on a ratio KPI, or with a threshold on a quantile KPI."
            )


def _check_query(query: Query, release: Release, where: str) -> None:
    """What makes a query's figures wrong without a word."""
    text = _STRING.sub('""', query.promql)
    if query.is_counted and _AGGREGATION.search(text):
        raise ConfigError(
            f"{where}: queries.{query.name}: a {query.type} query must return the raw series, because a sum over "
            "series hides their resets; leave the aggregation out."
        )
    function = _FUNCTION.search(text)
    if query.is_counted and function is not None:
        raise ConfigError(
            f"{where}: queries.{query.name}: a {query.type} query must return the raw series, because increases are "
            f"taken from them here; leave out {function[1]}()."
        )
    if query.type == "gauge" and len(release.services) > 1 and "$match" in text and _is_of_all(text, release):
        raise ConfigError(
            f"{where}: queries.{query.name}: this adds up all services, and each would be given the sum; tell them "
            "apart in each aggregation, as in sum by ($by) (…)."
        )


def _is_of_all(text: str, release: Release) -> bool:
    """Whether an aggregation drops the label that tells the services apart: neither $by nor its name is written."""
    written = _SELECTOR.sub("", text)
    kept = "$by" in written or re.search(rf"\b{release.service_label}\b", written)
    return not kept and _TO_ONE_SERIES.search(written) is not None
