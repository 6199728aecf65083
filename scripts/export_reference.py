"""Write docs/commands.md from the commands' own help, and docs/kpis.md from the catalog. Run by `make reference`."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from observability.cli import app
from observability.definitions import Kpi, Release
from observability.model import DEFAULT_URL
from observability.release import flags_release

DOCS = Path(__file__).parents[1] / "docs"


def commands_text() -> str:
    """The help of `postga` and of each verb, as a terminal shows it."""
    verbs = [verb.name or "" for verb in app.registered_commands]
    parts = ["# Commands\n\nWritten by `make reference` from the commands' own `--help`.\n"]
    for verb in ("", *verbs):
        name = f"postga {verb}".strip()
        parts.append(f"## {name}\n\n```\n{_help(verb)}\n```\n")
    return "\n".join(parts)


def _help(verb: str) -> str:
    code = "import sys; from observability.cli import app; app(sys.argv[1:], prog_name='postga')"
    environment = {**os.environ, "COLUMNS": "80", "PROMETHEUS_URL": ""}
    command = [sys.executable, "-c", code, *([verb] if verb else []), "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return re.sub(r"[ \t]+$", "", done.stdout, flags=re.MULTILINE).strip()


def kpis_text() -> str:
    """Every KPI of the catalog with its unit and direction, and every query with the exporter that it assumes."""
    release = flags_release(datetime(2025, 11, 18, tzinfo=UTC), DEFAULT_URL)
    lines = ["# KPIs", "", "Written by `make reference` from `observability/catalog/`.", ""]
    lines += ["| KPI | Unit | Direction | Kind | Queries | What it is |", "|---|---|---|---|---|---|"]
    lines += [_kpi_row(kpi, release) for kpi in release.kpis.values()]
    lines += ["", "## Queries", "", "`$match`, `$by` and `$step` are explained in `release-file.md`.", ""]
    for query in release.queries.values():
        lines += [f"**`{query.name}`** ({query.type}; {query.exporter})", "", "```promql", query.promql, "```", ""]
    lines += ["## Objectives", "", "| Objective | KPI | Target |", "|---|---|---|"]
    for slo in release.slos:
        target = f"{slo.objective:g} %" + (
            f" within {slo.threshold:g} {release.kpis[slo.kpi].unit}" if slo.threshold else ""
        )
        lines.append(f"| {slo.name} | `{slo.kpi}` | {target} |")
    return "\n".join(lines) + "\n"


def _kpi_row(kpi: Kpi, release: Release) -> str:
    queries = ", ".join(f"`{name}`" for name in kpi.operands) or "usage and `prices:`"
    return f"| `{kpi.name}` | {kpi.unit} | {kpi.direction} | {kpi.kind} | {queries} | {kpi.about} |"


def main() -> None:
    (DOCS / "commands.md").write_text(commands_text(), encoding="utf-8")
    (DOCS / "kpis.md").write_text(kpis_text(), encoding="utf-8")


if __name__ == "__main__":
    main()
