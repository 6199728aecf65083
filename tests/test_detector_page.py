"""docs/detector.md is about this code: its figures were measured with the parameters that are shipped."""

import re
from fnmatch import fnmatch

import pytest

from benchmarks import figures, hosts_data
from benchmarks.channel import settings, settings_table
from observability.definitions import Channel
from observability.detection.channels import in_effect

# Block → its rows, by their first cells. Without one of them the page does not say how good the detector is.
ROWS = {
    "kpi": [
        "threshold",
        "F1",
        "precision",
        "recall",
        "median delay, samples",
        "false alarms per 1,000 points",
        "F1, all parameters ±25 %, median (lowest) of 40 draws",
    ],
    "nab": [
        "novelty, best threshold",
        "that threshold",
        "at its own threshold, *",
        "threshold chosen on half of the files, tested on the other",
        "parameters (best of 60 sets) and threshold chosen on half of the files, tested on the other",
        "40 draws of all parameters ±25 %, median",
    ],
    "hosts": [
        "F1",
        "its middle 95 %, events resampled",
        "precision",
        "recall",
        "median delay, samples (minutes)",
        "false incidents per host and week",
        "quiet time in alarm",
        "F1, threshold chosen on the other hosts",
        "F1, all parameters and the threshold ±25 %, median (lowest) of 40 draws",
    ],
    "speed": [
        *(f"{size} series, score and learn" for size in ("1,000", "10,000", "100,000", "1,000,000")),
        "significance over river's GaussianScorer",
        "novelty over river's GaussianScorer",
        "a step of a million series, both",
        "cost of a sample, a million series over 10,000, significance",
        "cost of a sample, a million series over 10,000, novelty",
        "bytes per series, all",
    ],
}
MEASURED = {
    "kpi": settings(Channel(name="significance")),
    "nab": settings(Channel(name="novelty")),
    "hosts": hosts_data.settings(),
}
SHIPPED = {name: in_effect(Channel(name=name)) for name in ("significance", "novelty")} | {
    "incidents": hosts_data.shipped()
}


def block(name: str) -> str:
    begin, end = figures.marks(name)
    text = figures.DETECTOR_PAGE.read_text(encoding="utf-8")
    assert (text.count(begin), text.count(end)) == (1, 1)
    return text.partition(begin)[2].partition(end)[0]


@pytest.mark.parametrize("name", ROWS)
def test_the_figures_say_when_and_of_what(name: str) -> None:
    assert re.search(r"^\d{4}-\d\d-\d\d, .+, commit `[0-9a-f]{7,40}(-dirty)?`\.$", block(name), re.MULTILINE)


@pytest.mark.parametrize(("name", "row"), [(name, row) for name, rows in ROWS.items() for row in rows])
def test_every_figure_is_there(name: str, row: str) -> None:
    cells = [line.strip("|").split("|") for line in block(name).splitlines() if line.startswith("|")]
    values = [first_value for first, first_value, *_ in cells if fnmatch(first.strip(), row)]
    assert len(values) == 1, f"measure it again with --document: docs/detector.md has no '{row}'"
    assert re.search(r"\d", values[0]), f"measure it again with --document: '{row}' is '{values[0].strip()}'"


def test_all_three_profiles_of_nab_are_there() -> None:
    assert "| NAB | standard | low FP | low FN |" in block("nab").splitlines()


def test_both_kinds_of_hosts_are_there() -> None:
    assert "| at the shipped threshold | machine | omi | target |" in block("hosts").splitlines()


@pytest.mark.parametrize("name", MEASURED)
def test_the_parameters_on_the_page_are_those_in_the_code(name: str) -> None:
    channel = MEASURED[name]["channel"]
    head, line, *rows = settings_table(MEASURED[name])
    found = block(name).splitlines()
    assert head in found, f"docs/detector.md does not say with which parameters {channel} was measured"
    at = found.index(head)
    told = [line for line in found[at + 2 :] if line.startswith("|")]
    assert found[at + 1] == line
    assert told == rows, f"{channel} was measured with other parameters; measure it again with --document"


@pytest.mark.parametrize("name", SHIPPED)
def test_the_section_of_a_channel_gives_its_parameters_as_they_are_shipped(name: str) -> None:
    """Several stand in one row: "| `hour_rate`, `week_rate` | 0.35, 0.6 | …"."""
    page = figures.DETECTOR_PAGE.read_text(encoding="utf-8")
    section = page.partition(f"\n## {name.capitalize()}\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`[^|]+`) \| ([^|]+) \|", section, re.MULTILINE)
    told = {
        parameter.strip("` "): float(value)
        for parameters, values in rows
        for parameter, value in zip(parameters.split(","), values.split(","), strict=True)
    }
    assert told == SHIPPED[name]
