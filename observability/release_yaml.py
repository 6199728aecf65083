"""YAML that knows the line of each field, and what is wrong with it as problems that name file, line and field."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import yaml

FieldPath = tuple[str | int, ...]
Place = tuple[int, int]


@dataclass(frozen=True)
class Finding:
    """Something that is wrong with a field. ``path`` leads to it: keys, and positions in lists from 0."""

    path: FieldPath
    text: str
    severity: Literal["error", "warning"] = "error"


@dataclass(frozen=True)
class Problem:
    """A finding and where in the file it is: line and column from 1, or None where there is no file."""

    line: int | None
    column: int | None
    field: str
    text: str
    severity: Literal["error", "warning"] = "error"

    def sentence(self, file: str) -> str:
        """``release.yaml:12: services: …`` as one sentence."""
        place = file if self.line is None else f"{file}:{self.line}"
        parts = [place, *(["warning"] if self.severity == "warning" else []), *([self.field] if self.field else [])]
        stop = "" if self.text.endswith(("?", ".")) else "."
        return f"{': '.join(parts)}: {self.text}{stop}"


@dataclass(frozen=True)
class Document:
    """What a file holds. ``places`` maps a field's path, its parts as text, to its line and column."""

    data: Any = None
    places: Mapping[tuple[str, ...], Place] = field(default_factory=dict)
    problems: Sequence[Problem] = ()

    def problem(self, found: Finding) -> Problem:
        """At the field, or at the nearest one around it that is written in the file."""
        path = tuple(map(str, found.path))
        around = (path[:length] for length in range(len(path), -1, -1))
        line, column = next((self.places[part] for part in around if part in self.places), (None, None))
        return Problem(line, column, ".".join(path), found.text, found.severity)


def parse(text: str) -> Document:
    """The one document of a YAML text. One that cannot be read has no data, and one problem that says why."""
    try:
        return _read(Loader(text))
    except yaml.MarkedYAMLError as error:
        return Document(problems=[_syntax(error)])
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        return Document(problems=[Problem(line, None, "", f"not YAML: {error.reason}")])
    except (ValueError, IndexError, RecursionError) as error:  # of `!!int x`, `!!int`, and brackets in brackets
        return Document(problems=[Problem(1, None, "", f"not YAML: {error}")])


def _read(loader: Loader) -> Document:
    node = loader.get_single_node()
    if node is None:
        return Document()
    places: dict[tuple[str, ...], Place] = {(): _place(node)}
    twice = list(_walk(node, (), places, set()))
    return Document(loader.construct_document(node), places, twice)


class Loader(yaml.SafeLoader):
    """YAML without its guesses about times, so that `ga: 2025-11-18 00:00:00` is seen to be naive, and not made UTC."""


# A set, pairs or bytes are no field's value; without their constructors such a tag is one that is not known.
Loader.yaml_constructors = {
    tag: constructor
    for tag, constructor in yaml.SafeLoader.yaml_constructors.items()
    if tag is None or tag.rpartition(":")[2] in {"null", "bool", "int", "float", "str", "seq", "map"}
}
Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _walk(
    node: yaml.Node, path: tuple[str, ...], places: dict[tuple[str, ...], Place], seen: set[int]
) -> Iterator[Problem]:
    """Note the place of everything below the node; yields the keys that are written twice, because only the second one
    would count, and nobody would know. What an alias repeats is left out: it may repeat without end."""
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        written: set[Hashable] = set()
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            below = (*path, key.value)
            if key.value in written:
                text = f"the key '{key.value}' is written twice; leave one of them out"
                yield Problem(*_place(key), ".".join(below), text)
            written.add(key.value)
            places.setdefault(below, _place(key))
            yield from _walk(value, below, places, seen)
    elif isinstance(node, yaml.SequenceNode):
        for position, item in enumerate(node.value):
            places[*path, str(position)] = _place(item)
            yield from _walk(item, (*path, str(position)), places, seen)


def _place(node: yaml.Node) -> Place:
    return node.start_mark.line + 1, node.start_mark.column + 1


def _syntax(error: yaml.MarkedYAMLError) -> Problem:
    mark = error.problem_mark or error.context_mark
    said = [part for part in (error.context, error.problem) if part]
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, None)
    return Problem(line, column, "", f"not YAML: {', '.join(' '.join(part.split()) for part in said)}")
