"""The fields of a release file one by one: what pydantic finds wrong with them, in the words of the file."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from observability.definitions import DEFAULT_SERVICE, Kpi, Maintenance, Objective, PriceList, Release
from observability.model import PrometheusSettings, Query
from observability.notify import Notify
from observability.release_checks import Written
from observability.release_yaml import FieldPath, Finding

FILLED_IN = {"only_of", "channels"}  # fields of a release that its file does not have
SHORT = {"only", "detectors"}  # fields of the file from which they are filled in

_SECTIONS: dict[str, type[BaseModel]] = {
    "prometheus": PrometheusSettings,
    "prices": PriceList,
    "queries": Query,
    "kpis": Kpi,
    "slos": Objective,
    "maintenance": Maintenance,
    "notify": Notify,
}
_IN_PARTS = {
    "services",
    "queries",
    "kpis",
    "slos",
    "maintenance",
    "baselines",
}  # a broken entry leaves the others as they are
# In the place of fields that must be there, for looking at the rest of the file.
_STAND_INS: dict[str, Any] = {"release": "release", "ga": datetime(2000, 1, 1, tzinfo=UTC), "slos": []}
_SAID = {  # pydantic's type of error → what to say of it, with the error's context
    "missing": "is missing; this field is required",
    "string_type": "write it as text, in quotes where YAML would read something else",
    "tuple_type": "write a list, such as [a, b]",
    "dict_type": "write names with their values, such as {{name: value}}",
    "model_type": "write fields with their values, such as {{name: value}}",
    "float_type": "write a number",
    "float_parsing": "write a number",
    "finite_number": "write a finite number",
    "int_type": "write a whole number",
    "int_parsing": "write a whole number",
    "int_from_float": "write a whole number",
    "bool_type": "write true or false",
    "bool_parsing": "write true or false",
    "greater_than": "must be greater than {gt:g}",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than": "must be less than {lt:g}",
    "less_than_equal": "must be at most {le:g}",
    "enum": "must be one of {expected}",
    "literal_error": "must be one of {expected}",
    "string_too_short": "must not be empty",
    "too_short": "must not be empty",
    "string_pattern_mismatch": "must have the form {pattern}",
}


def validated(fields: dict[str, Any]) -> tuple[Release | None, Written, list[Finding]]:
    """The release, without what cannot be read of it; what is written in its file; and why something cannot be read.

    None where nothing is left to look at. What is wrong with the whole is for ``release_checks``.
    """
    try:
        return Release.model_validate(fields), _written(fields, set()), []
    except ValidationError as error:
        findings = list(dict.fromkeys(_findings(error, fields)))
    broken = {found.path[:2] if found.path[0] in _IN_PARTS else found.path[:1] for found in findings}
    try:
        release = Release.model_validate(_without(fields, broken))
    except ValidationError:
        release = None
    return release, _written(fields, broken), _hinted(findings, fields)


def no_such_field(name: object, parent: FieldPath) -> str:
    """What to say of a field that its parent does not have."""
    model = _model_at(parent)
    known = {*(model.model_fields if model else ()), *(() if parent else SHORT)} - FILLED_IN
    return f"there is no such field; {_nearest(name, known) or 'check its spelling'}"


def _model_at(path: FieldPath) -> type[BaseModel] | None:
    """What the fields at the path are those of."""
    if not path:
        return Release
    model = _SECTIONS.get(str(path[0]))
    for part in path[2 if path[0] in _IN_PARTS else 1 :]:
        if isinstance(part, int):  # an item of a list has the fields of the list's items
            continue
        field = model.model_fields.get(str(part)) if model else None
        types = (field.annotation, *get_args(field.annotation)) if field else ()
        model = next((one for one in types if isinstance(one, type) and issubclass(one, BaseModel)), None)
    return model


def _nearest(name: object, known: set[str]) -> str:
    close = difflib.get_close_matches(str(name), sorted(known), n=1)
    return f"did you mean '{close[0]}'?" if close else ""


def _findings(error: ValidationError, fields: dict[str, Any]) -> Iterator[Finding]:
    errors = error.errors(include_input=False, include_url=False)
    lists = {found["loc"][:-1] for found in errors}  # a list whose items are wrong is not too short as well
    for found in errors:
        path = _as_written(tuple(part for part in found["loc"] if part != "[key]"), fields)
        if found["type"] == "extra_forbidden":
            yield Finding(path, no_such_field(path[-1], path[:-1]))
        elif found["type"] != "too_short" or found["loc"] not in lists:
            said = _SAID.get(found["type"])
            text = found["msg"].removeprefix("Value error, ").rstrip(".")
            yield Finding(path, text if said is None else said.format_map(found.get("ctx", {})))


def _as_written(path: FieldPath, fields: dict[str, Any]) -> FieldPath:
    """The path without the position of an entry that stands where the file may have a list of them."""
    value: Any = fields
    for length, part in enumerate(path):
        if part == 0 and not isinstance(value, list) and not (isinstance(value, dict) and part in value):
            return path[:length] + path[length + 1 :]
        if isinstance(value, dict):
            value = value.get(part)
        else:
            value = value[part] if isinstance(value, list) and isinstance(part, int) else None
    return path


def _hinted(findings: list[Finding], fields: dict[str, Any]) -> list[Finding]:
    """The findings, with all that a new query or KPI lacks as one: it is most often a misspelt one of the catalog."""
    lacks = [found for found in findings if found.text == _SAID["missing"] and found.path[0] in {"queries", "kpis"}]
    hinted = [found for found in findings if found not in lacks]
    for section, name in dict.fromkeys(found.path[:2] for found in lacks):
        names = ", ".join(str(found.path[2]) for found in lacks if found.path[:2] == (section, name))
        hint = _nearest(name, {str(other) for other in fields[str(section)] if other != name})
        text = f"the catalog has none of this name, and a new one needs {names} too"
        hinted.append(Finding((section, name), f"{text}; {hint}" if hint else text))
    return hinted


def _without(fields: dict[str, Any], broken: set[FieldPath]) -> dict[str, Any]:
    """The fields without those that are broken, and without the broken entries of sections."""
    rest = {name: value for name, value in fields.items() if (name,) not in broken}
    rest |= {name: value for name, value in _STAND_INS.items() if (name,) in broken}
    for section in {str(path[0]) for path in broken if len(path) > 1}:
        left = [path[1] for path in broken if path[0] == section and len(path) > 1]
        entries = rest.get(section)
        if isinstance(entries, dict):
            rest[section] = {name: entry for name, entry in entries.items() if name not in left}
        elif isinstance(entries, list):
            rest[section] = [entry for position, entry in enumerate(entries) if position not in left]
    return rest


def _written(fields: dict[str, Any], broken: set[FieldPath]) -> Written:
    def positions(section: str) -> list[int]:
        entries = fields.get(section, [DEFAULT_SERVICE] if section == "services" else [])
        count = len(entries) if isinstance(entries, list) and (section,) not in broken else 0
        return [position for position in range(count) if (section, position) not in broken]

    return Written(
        queries=[str(name) for name in fields["queries"]],
        kpis=[str(name) for name in fields["kpis"]],
        services=positions("services"),
        slos=positions("slos"),
        maintenance=positions("maintenance"),
        broken={str(path[0]) for path in broken if len(path) == 1},
    )
