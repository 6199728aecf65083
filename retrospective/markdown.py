"""Text for Markdown that renders alike everywhere: escaped prose, code spans, pipe tables."""

from __future__ import annotations

import re
from collections.abc import Sequence

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~&!$@])")
_PLAIN_CODE = re.compile(r"[^\\`|]+")
# What is put into code spans: text in backticks, and names with an underscore, such as KPIs and files.
_NAMES = re.compile(r"`([^`\s](?:[^`]*[^`\s])?)`|([\w./-]*\w_[\w./-]*\w)")


def prose(text: str) -> str:
    """Escape what Markdown, GitHub and GitLab would interpret; names with underscores become code spans.

    >>> prose("p99_latency_ms rose <b>25 %</b> | *really*")
    '`p99_latency_ms` rose \\\\<b\\\\>25 %\\\\</b\\\\> \\\\| \\\\*really\\\\*'
    """
    parts, end = [], 0
    line = _one_line(text)
    for match in _NAMES.finditer(line):
        parts += [_escaped(line[end : match.start()]), code(match[1] or match[2])]
        end = match.end()
    return "".join([*parts, _escaped(line[end:])])


def code(text: str) -> str:
    """A code span; escaped text instead where a span would break in a table: ``|`` ends a cell even inside one."""
    line = _one_line(text)
    return f"`{line}`" if _PLAIN_CODE.fullmatch(line) else _escaped(line)


def row(*cells: str) -> str:
    """A table's row, of cells that are Markdown already."""
    return f"| {' | '.join(cells)} |"


def table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]], right: tuple[int, ...] = ()) -> str:
    """A pipe table; ``right`` are the columns of figures."""
    rule = ("---:" if column in right else "---" for column in range(len(header)))
    return "\n".join([row(*header), row(*rule), *(row(*cells) for cells in rows)])


def _escaped(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", text)


def _one_line(text: str) -> str:
    """Without line breaks and control characters, text direction marks among them."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())
