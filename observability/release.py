"""The release file (YAML): what was released when, which services and KPIs are watched, and where their samples are."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from observability.definitions import Release
from observability.errors import ConfigError
from observability.model import PrometheusSettings
from observability.release_checks import check, unknown
from observability.release_detectors import channels, defects
from observability.release_fields import FILLED_IN, SHORT, no_such_field, validated
from observability.release_yaml import FieldPath, Finding, Loader, Problem, parse

CATALOG = Path(__file__).parent / "catalog"


def flags_release(ga: datetime, url: str, step: timedelta = timedelta(seconds=60)) -> Release:
    """What flags alone describe: one service named ``default``, every default KPI, no label matchers. The URL may have
    credentials, which one in a release file may not."""
    release, findings = _build({"release": "release", "ga": ga, "step": step})
    if release is None:
        problem = Problem(None, None, ".".join(map(str, findings[0].path)), findings[0].text)
        raise ConfigError(problem.sentence("the command's flags"))
    return release.model_copy(update={"prometheus": PrometheusSettings(url=url)})


def load(path: Path) -> Release:
    """Read a release file. What is wrong with it is one ``ConfigError``: the first problem, and how to see the rest."""
    release, problems = examine(path)
    if release is not None:
        return release
    first, *others = [problem for problem in problems if problem.severity == "error"]
    more = f" (and {len(others)} more: postga validate {path})" if others else ""
    raise ConfigError(first.sentence(str(path)) + more)


def examine(path: Path) -> tuple[Release | None, list[Problem]]:
    """The release, None where there is an error in its file, and all problems of the file in the order of its lines."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}); name a release file.") from None
    except UnicodeDecodeError as error:
        return None, [Problem(None, None, "", f"not YAML: {error}")]
    document = parse(text)
    release, problems = None, list(document.problems)
    if isinstance(document.data, dict):
        release, findings = _build(document.data)
        problems += [document.problem(found) for found in findings]
    elif not problems:
        problems = [Problem(1, None, "", "not a release file: it holds no fields such as `release:` and `ga:`")]
    problems = sorted(dict.fromkeys(problems), key=lambda problem: (problem.line or 0, problem.column or 0))
    return (None if any(problem.severity == "error" for problem in problems) else release), problems


def _build(data: dict[str, Any]) -> tuple[Release | None, list[Finding]]:
    """The release, None where it has an error, and what is wrong with it."""
    findings: list[Finding] = []
    fields = _completed(data, findings)
    release, written, invalid = validated(fields)
    findings += invalid
    if release is not None and "channels" in fields:
        findings += defects(release.channels)
    if release is not None:
        named = _catalog("kpis.yaml")["kpis"].keys() | {*(data["kpis"] if isinstance(data.get("kpis"), dict) else ())}
        findings += check(release, replace(written, left_out=named - fields["kpis"].keys()))
    if isinstance(data.get("services"), dict):
        findings = [_of_mapping(found, list(data["services"])) for found in findings]
    return (None if any(found.severity == "error" for found in findings) else release), findings


def _completed(data: dict[str, Any], findings: list[Finding]) -> dict[str, Any]:
    """The release's fields: the file's, laid over the catalog's."""
    catalog = _catalog("kpis.yaml")
    fields = {name: value for name, value in data.items() if name not in SHORT | FILLED_IN}
    findings += [Finding((name,), no_such_field(name, ())) for name in data if name in FILLED_IN]
    for section, short in (("queries", "promql"), ("kpis", "about")):
        fields[section] = _merged(catalog[section], data.get(section), section, short, findings)
    if "only" in data:
        kept = _known(data["only"], fields["kpis"], ("only",), findings)
        fields["kpis"] = {name: fields["kpis"][name] for name in kept or fields["kpis"]}
    if "slos" not in fields:
        fields["slos"] = [slo for slo in _catalog("slos.yaml")["slos"] if slo["kpi"] in fields["kpis"]]
    if isinstance(fields.get("services"), dict):
        fields["only_of"] = _selections(fields["services"], fields["kpis"], findings)
        fields["services"] = list(fields["services"])
    if fields.get("services") and "service_label" not in fields:
        fields["service_label"] = "service"
    if "detectors" in data:
        fields["channels"] = channels(data["detectors"], findings)
    return fields


def _catalog(name: str) -> dict[str, Any]:
    data: dict[str, Any] = yaml.load((CATALOG / name).read_text(encoding="utf-8"), Loader=Loader)
    return data


def _merged(
    defaults: dict[str, Any], given: object, section: str, short: str, findings: list[Finding]
) -> dict[str, Any]:
    """The catalog's section with the release file's laid over it. A bare text is the one field ``short``."""
    merged = {name: {"name": name, **entry} for name, entry in defaults.items()}
    if not isinstance(given, dict | None):
        text = f"write names and their definitions, such as {{name: value}}, not a {type(given).__name__}"
        findings.append(Finding((section,), text))
        given = None
    for name, entry in (given or {}).items():
        fields = entry if isinstance(entry, dict) else {short: entry}
        if "name" in fields:
            findings.append(Finding((section, name, "name"), f"leave it out; '{name}' is the name"))
        merged[name] = {**merged.get(name, {}), **fields, "name": name}
    return merged


def _selections(services: dict[str, Any], kpis: Collection[str], findings: list[Finding]) -> dict[str, list[str]]:
    """Service → the KPIs that its `only` keeps, for the services that have one."""
    selections = {}
    for service, entry in services.items():
        path: FieldPath = ("services", service)
        if isinstance(entry, dict) and set(entry) == {"only"}:
            kept = _known(entry["only"], kpis, (*path, "only"), findings)
            selections.update({service: kept} if kept else {})
        elif entry is not None:
            findings.append(Finding(path, "write nothing, or `only: [...]` with the service's KPIs"))
    return selections


def _known(names: object, known: Collection[str], path: FieldPath, findings: list[Finding]) -> list[str]:
    """Those of the names that are KPIs."""
    if not isinstance(names, list) or not names:
        findings.append(Finding(path, "write a list of names, such as [p99_latency_ms]"))
        return []
    said = {position: unknown(name, known, "KPI") for position, name in enumerate(names)}
    findings += [Finding((*path, position), text) for position, text in said.items() if text is not None]
    return [name for position, name in enumerate(names) if said[position] is None]


def _of_mapping(found: Finding, services: list[Any]) -> Finding:
    """Of services that are keys, by their names instead of their positions."""
    if found.path[:1] == ("services",) and len(found.path) > 1 and isinstance(found.path[1], int):
        position = found.path[1]
        if position < len(services) and position not in services:
            return Finding(("services", str(services[position]), *found.path[2:]), found.text, found.severity)
    return found
