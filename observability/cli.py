"""`postga`: every stage command behind one door."""

from __future__ import annotations

from typing import Annotated

import typer

from observability import (
    __version__,
    anomaly_detector_lightweight,
    commands,
    daily_health_reporter,
    ga_kpi_collector,
    gate_release,
    init_release,
    rebuild_week,
    record_week,
    regression_analyzer,
    retrospective_generator,
    run_week,
    show_week,
    slo_burn_down,
    stability_monitor_7day,
    validate_release,
    watch_release,
)

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False, no_args_is_help=True)
app.command("init")(init_release.main)
app.command("run")(run_week.main)
app.command("watch")(watch_release.main)
app.command("gate")(gate_release.main)
app.command("record")(record_week.main)
app.command("rebuild")(rebuild_week.main)
app.command("validate")(validate_release.main)
app.command("show")(show_week.main)
app.command("baseline")(ga_kpi_collector.main)
app.command("day")(stability_monitor_7day.main)
app.command("detect")(anomaly_detector_lightweight.main)
app.command("health")(daily_health_reporter.main)
app.command("regressions")(regression_analyzer.main)
app.command("slo")(slo_burn_down.main)
app.command("retrospective")(retrospective_generator.main)


def _version(wanted: bool) -> None:
    if wanted:
        print(__version__)
        raise typer.Exit


@app.callback()
def postga(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_version)
    ] = False,
) -> None:
    """The week after a release, watched: baseline, daily summaries, anomalies, regressions, SLOs, retrospective.

    Exit codes: 0 ok, 1 the gate failed, 2 usage or configuration, 3 source unreachable, 4 not enough data,
    70 bug, 130 Ctrl-C, 143 SIGTERM.

    Example: postga run release.yaml --output-dir week
    """


def main() -> None:
    """The installed command."""
    commands.end(app)


if __name__ == "__main__":
    main()
