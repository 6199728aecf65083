"""Score every KPI since GA with the online detector, and write the anomalies."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

if __package__ in {None, ""}:  # run as a file: the packages lie one folder up
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import typer

from observability import commands
from observability.commands import NowFlag, RecordingFlag, ReleaseFlag, UrlFlag
from observability.folder import alone_in


def main(
    output_file: Annotated[Path, typer.Option(help="Where the anomalies go; evidence is looked for beside it.")] = Path(
        "anomaly_events.json"
    ),
    baseline: Annotated[Path, typer.Option(help="The GA summary, for the GA instant.")] = Path(
        "ga_kpis/ga_kpi_summary.json"
    ),
    z_threshold: Annotated[
        float | None,
        typer.Option(min=0.1, help="Standard deviations that raise an alarm. [default: 3.0 if --ewma-alpha is given]"),
    ] = None,
    ewma_alpha: Annotated[
        float | None,
        typer.Option(
            min=0.0001, max=0.9999, help="EWMA smoothing factor per sample. [default: 0.3 if --z-threshold is given]"
        ),
    ] = None,
    prometheus_url: UrlFlag = None,
    release: ReleaseFlag = None,
    recording: RecordingFlag = None,
    now: NowFlag = None,
) -> None:
    """Score every KPI since GA, and write the anomalies.

    Without --z-threshold and --ewma-alpha a slower EWMA with a higher threshold scores; the output says which.

    Example: anomaly_detector_lightweight.py --prometheus-url http://localhost:9090 --output-file anomaly_events.json
    --baseline ga_kpis/ga_kpi_summary.json --z-threshold 3.0
    """
    from observability import gather, readers, stages
    from observability.layout import Layout
    from observability.store import Store

    found = commands.the_release(release, prometheus_url, lambda: readers.read_ga(Store(), str(baseline)).timestamp)
    layout = Layout(Store(output_file.parent), found.services)
    if release is not None and len(found.services) == 1 and baseline.is_file():
        readers.read_baselines(found, layout, baseline)  # refuses that of another service or GA
    source = gather.open_source(found, recording)
    with alone_in(layout), commands.progress("scoring") as advance:
        written = stages.detect(
            found,
            source,
            layout,
            stages.detector_setting(ewma_alpha, z_threshold),
            now=commands.the_present(now),
            anomalies_name=output_file.name,
            advance=advance,
        )
    commands.say(*written)


if __name__ == "__main__":
    commands.run(main)
