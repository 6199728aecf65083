"""Write the retrospective of the week, as Markdown and as JSON, from the artifacts of the earlier stages."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from observability import commands
from observability.commands import NowFlag
from observability.errors import ConfigError
from observability.layout import ANOMALIES, GA_DIR, GA_SUMMARY, INDEX, REGRESSIONS, REPORT, REPORT_DIR, STABILITY_DIR


def main(
    auto: Annotated[bool, typer.Option("--auto", help="Take every file from its default place.")] = False,
    ga_data: Annotated[Path | None, typer.Option(help="Folder of ga_kpi_summary.json.")] = None,
    seven_day_data: Annotated[Path | None, typer.Option("--7day-data", help="Folder of the day summaries.")] = None,
    regression: Annotated[Path | None, typer.Option(help="The regression summary.")] = None,
    anomalies: Annotated[Path | None, typer.Option(help="The anomalies.")] = None,
    output: Annotated[Path, typer.Option(help="The Markdown file; the JSON file goes beside it.")] = Path(
        f"{REPORT_DIR}/{REPORT}"
    ),
    now: NowFlag = None,
) -> None:
    """Write the retrospective of the week.

    It is made from the artifacts of the earlier stages, as Markdown and as JSON. A regression summary or anomalies that
    are not named, or with --auto not found, are reported as not assessed.
    --now is the generation time in the report; without it, the end of the week.

    Example: generate_retrospective.py --auto
    """
    from observability import stages
    from observability.store import Store

    store = Store()
    if auto:
        if ga_data is None:
            _check_one_service(Path())
        ga_data, seven_day_data = ga_data or Path(GA_DIR), seven_day_data or Path(STABILITY_DIR)
        regression = regression or _if_there(Path(REGRESSIONS))
        anomalies = anomalies or _if_there(Path(ANOMALIES))
    if ga_data is None or seven_day_data is None:
        raise ConfigError("The artifacts are not named; give --auto, or --ga-data and --7day-data.")
    _, written = stages.build_retrospective(
        store,
        ga_dir=str(ga_data),
        stability_key=str(seven_day_data),
        regressions_key=None if regression is None else str(regression),
        anomalies_key=None if anomalies is None else str(anomalies),
        output_key=str(output),
        now=None if now is None else commands.the_present(now),
    )
    commands.say(*written)


def _check_one_service(folder: Path) -> None:
    """A release with several services has one tree of artifacts per service, and none at its root."""
    services = sorted(path.parent.parent.name for path in folder.glob(f"*/{GA_DIR}/{GA_SUMMARY}"))
    several = (folder / f"{INDEX}.json").is_file() or not (folder / GA_DIR / GA_SUMMARY).is_file()
    if services and several:
        raise ConfigError(
            f"{GA_DIR}/{GA_SUMMARY} is not looked for here, because this folder holds one folder per service; run the "
            f"command in the one of {', '.join(services)} that you want."
        )


def _if_there(path: Path) -> Path | None:
    if path.is_file():
        return path
    commands.warn(f"{path} not found; what it holds is reported as not assessed.")
    return None
