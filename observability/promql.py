"""What can be told of PromQL from its text alone, without the server that reads it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

STRING = r"""(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`)"""

_NAME = r"[a-zA-Z_:][\w:]*"
_MATCHER = rf"([a-zA-Z_]\w*)\s*(=~|!~|!=|=)\s*({STRING})"
_MATCHERS = re.compile(rf"\s*{_MATCHER}(?:\s*,\s*{_MATCHER})*\s*")
_SELECTOR = re.compile(rf"({_NAME})?\s*\{{((?:[^\"'`{{}}]|{STRING})*)\}}")
_APART = re.compile(rf"({STRING})|(#[^\n]*)|([\"'`])|([(\[{{])|([)\]}}])|(\$(?:\{{\w+\}}|\w+))")
_CLOSES = {")": "(", "]": "[", "}": "{"}
_NOT_A_METRIC = re.compile(
    rf"{STRING}|#[^\n]*|\[[^\]]*\]|\b(?:by|without|on|ignoring|group_left|group_right)\b\s*\([^()]*\)"
)
_BARE = re.compile(rf"(?<![\w:.]){_NAME}(?![\w:]|\s*\()")
_WORDS = {"and", "atan2", "bool", "group_left", "group_right", "inf", "nan", "offset", "or", "unless"}
_PLACEHOLDERS = ("$match", "$by", "$step")


@dataclass(frozen=True)
class Matcher:
    """``label op value``; ``value`` as it is written, in its quotes."""

    label: str
    op: str
    value: str

    def __str__(self) -> str:
        return f"{self.label}{self.op}{self.value}"


@dataclass(frozen=True)
class Selector:
    """A metric's name, or None where only matchers select the series, and the matchers."""

    name: str | None
    matchers: tuple[Matcher, ...] = ()

    def __str__(self) -> str:
        inside = ",".join(map(str, self.matchers))
        return f"{self.name or ''}{{{inside}}}" if inside or self.name is None else self.name


def selectors(promql: str) -> list[Selector]:
    """The vector selectors of a query without placeholders: first those with matchers, then the bare names."""
    found = [Selector(match[1], tuple(matchers(match[2]))) for match in _SELECTOR.finditer(promql)]
    rest = _NOT_A_METRIC.sub(" ", _SELECTOR.sub(" ", promql))
    return found + [Selector(name) for name in _BARE.findall(rest) if name.lower() not in _WORDS]


def matchers(text: str) -> Iterator[Matcher]:
    """The label matchers in the text between two braces."""
    for label, op, value in re.findall(_MATCHER, text):
        yield Matcher(label, op, value)


def are_matchers(text: str) -> bool:
    """Whether the text is label matchers with commas between them, and nothing else."""
    return _MATCHERS.fullmatch(text) is not None


def defects(promql: str) -> Iterator[str]:
    """What is surely wrong with a query of a release file: brackets and quotes without their other halves, and
    placeholders that stand for nothing."""
    if not promql.strip():
        yield "there is no PromQL in it"
    opened: list[str] = []
    for found in _APART.finditer(promql):
        string, _, quote, opening, closing, placeholder = found.groups()
        if string is not None:
            yield from _in_quotes(string)
        elif quote is not None:
            yield f"the quote {quote} is not closed"
            return
        elif opening is not None:
            opened.append(opening)
        elif closing is not None:
            if not opened or opened.pop() != _CLOSES[closing]:
                yield f"'{closing}' closes nothing that is open; check the brackets"
                return
        elif placeholder is not None:
            yield from _placeholder(placeholder, opened)
    if opened:
        yield f"'{opened[-1]}' is not closed"


def _in_quotes(string: str) -> Iterator[str]:
    for name in re.findall(r"\$(?:\{\w+\}|[a-zA-Z_]\w*)", string):
        if name not in _PLACEHOLDERS:
            yield _unknown(name)
        elif name == "$match":
            yield "$match is several matchers and stands between braces, not in quotes, as in up{$match}"


def _placeholder(name: str, opened: list[str]) -> Iterator[str]:
    if name not in _PLACEHOLDERS:
        yield _unknown(name)
    elif name == "$match" and opened[-1:] != ["{"]:
        yield "$match stands between braces, as in up{$match}"


def _unknown(name: str) -> str:
    return f"{name} stands for nothing here; known are {', '.join(_PLACEHOLDERS)}"
