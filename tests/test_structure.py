"""The direction of the arrows between the rooms, read from the imports; and what the pure rooms must not do."""

import ast
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SHIPPED = ("observability", "retrospective", "dags", "scripts", "test_data")
OURS = (*SHIPPED, "benchmarks", "tests")

MODEL, ERRORS, HTTP_CONFIG = "observability.model", "observability.errors", "observability.http_config"
DEFINITIONS, REPORT = "observability.definitions", "observability.report"
ARTIFACTS, KPI, UNITS = "observability.artifacts", "observability.kpi", "observability.units"
EVENTS = "observability.events"
VERDICTS = "observability.verdicts"
COMPARABLE, COSTS = "observability.comparable", "observability.costs"
NOTIFY = "observability.notify"
TABLE = "observability.week_table"
PROMQL, RELEASE_YAML = "observability.promql", "observability.release_yaml"
CHECKS, FIELDS = "observability.release_checks", "observability.release_fields"
DETECTORS, CHANNELS = "observability.release_detectors", "observability.detection.channels"
BASELINE = "observability.judgement.baseline"  # which baselines there are, the judgement knows
# Room → what it may import of ours, besides itself. What is not named here joins the rooms, and may import them all.
MAY_IMPORT = {
    ERRORS: set(),
    UNITS: set(),
    HTTP_CONFIG: set(),
    MODEL: {ERRORS, HTTP_CONFIG},
    NOTIFY: {MODEL, HTTP_CONFIG},
    DEFINITIONS: {ERRORS, MODEL, NOTIFY},
    ARTIFACTS: {ERRORS, MODEL, DEFINITIONS},
    EVENTS: {MODEL, DEFINITIONS, ARTIFACTS},
    VERDICTS: {MODEL, DEFINITIONS, ARTIFACTS},
    REPORT: {ERRORS, MODEL, DEFINITIONS, ARTIFACTS, EVENTS, VERDICTS},
    COMPARABLE: {MODEL, ARTIFACTS},
    COSTS: {MODEL, ARTIFACTS, VERDICTS, UNITS},  # for what judges and for the report, which reads older files alone
    KPI: {ERRORS, MODEL, DEFINITIONS},
    PROMQL: set(),
    RELEASE_YAML: set(),
    CHECKS: {HTTP_CONFIG, MODEL, DEFINITIONS, PROMQL, RELEASE_YAML, BASELINE},
    FIELDS: {MODEL, NOTIFY, DEFINITIONS, RELEASE_YAML, CHECKS},
    DETECTORS: {DEFINITIONS, RELEASE_YAML, CHANNELS},  # which detectors there are, the detectors know
    "observability.release": {ERRORS, MODEL, DEFINITIONS, RELEASE_YAML, CHECKS, FIELDS, DETECTORS},
    "observability.judgement": {
        *(ERRORS, MODEL, DEFINITIONS, ARTIFACTS, EVENTS, VERDICTS),
        *(COMPARABLE, COSTS, KPI, UNITS),
    },
    "observability.detection": {ERRORS, MODEL, DEFINITIONS, ARTIFACTS, EVENTS, KPI, UNITS},
    "observability.sources": {ERRORS, MODEL, HTTP_CONFIG},
    "observability.store": {ERRORS, MODEL, ARTIFACTS},
    TABLE: {COMPARABLE, ERRORS, MODEL, DEFINITIONS, ARTIFACTS, "observability.judgement"},
    "observability.week_text": {MODEL, UNITS, TABLE, "observability.judgement"},
    "retrospective": {
        *(ERRORS, MODEL, DEFINITIONS, ARTIFACTS, EVENTS, VERDICTS),
        *(COMPARABLE, COSTS, REPORT, UNITS, "observability.store"),
    },
}
# Commands stand before the stages: neither the stages nor the DAGs, which are another door, know of them.
BEHIND_THE_COMMANDS = ("observability.stages", "dags")
COMMANDS = {
    "observability.__main__",
    "observability.cli",
    "observability.commands",
    "observability.ga_kpi_collector",
    "observability.stability_monitor_7day",
    "observability.anomaly_detector_lightweight",
    "observability.detect_csv",
    "observability.daily_health_reporter",
    "observability.regression_analyzer",
    "observability.slo_burn_down",
    "observability.retrospective_generator",
    "observability.run_week",
    "observability.init_release",
    "observability.show_week",
    "observability.record_week",
    "observability.rebuild_week",
    "observability.waiting",
    "observability.validate_release",
    "observability.watch_release",
    "observability.calibrate_incidents",
    "observability.gate_release",
}
REPORTERS = {"observability.stages", "observability.score_csv", "observability.cli"}
# Installed package → the only room that imports it.
AT_HOME = {
    "airflow": "dags",
    "river": "observability.detection",
    "matplotlib": "retrospective.plots",
    "prometheus_api_client": "observability.sources.prometheus",
    "prometheus_client": "observability.watching.metrics",
}
PURE = MAY_IMPORT.keys() - {"observability.sources", "observability.store"}
CLOCKS = {f"time.{clock}{unit}" for clock in ("time", "monotonic", "perf_counter") for unit in ("", "_ns")}
CLOCK_METHODS = {"now", "utcnow", "today"}


def is_in(module: str, room: str) -> bool:
    return module == room or module.startswith(room + ".")


def imports(module: str, source: str) -> Iterator[tuple[str, bool]]:
    """What is imported, as absolute names that reach down to the imported thing, and whether inside a function."""
    tree = ast.parse(source)
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    inner = {node for function in functions for node in ast.walk(function)}
    for node in ast.walk(tree):
        for name in imported_by(node, module):
            yield name, node in inner


def imported_by(node: ast.AST, module: str) -> list[str]:
    match node:
        case ast.Import(names):
            return [alias.name for alias in names]
        case ast.ImportFrom(base, names, level):
            above = module.split(".")[:-level] if level else []
            return [".".join([*above, *filter(None, [base]), alias.name]) for alias in names]
        case ast.Call(function, [ast.Constant(str(name)), *_]):
            return [name] if ast.unparse(function).endswith(("import_module", "__import__")) else []
    return []


def forbidden_imports(module: str, source: str) -> list[str]:
    """The imports of a module that go against the arrows."""
    found = imports(module, source)
    return [f"{module} imports {name}" for name, inside in found if is_forbidden(module, name, inside)]


def is_forbidden(module: str, name: str, inside: bool) -> bool:
    for package, home in AT_HOME.items():
        if is_in(name, package):
            return not is_in(module, home)
    if not any(is_in(name, ours) for ours in OURS):
        return False
    for room, known in MAY_IMPORT.items():
        if is_in(module, room):
            return not any(is_in(name, other) for other in {room, *known})
    if is_in(module, "observability") and is_in(name, "retrospective"):
        return module not in REPORTERS or not inside
    return any(is_in(module, room) for room in BEHIND_THE_COMMANDS) and any(
        is_in(name, command) for command in COMMANDS
    )


def clock_reads(module: str, source: str) -> list[str]:
    """Where a module reads the clock, which pure rooms are given."""
    calls = [ast.unparse(node.func) for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    read = [call for call in calls if call in CLOCKS or ("." in call and call.rsplit(".", 1)[1] in CLOCK_METHODS)]
    return [f"{module} reads {name}" for name in read + [name for name, _ in imports(module, source) if name in CLOCKS]]


def modules(*folders: str) -> Iterator[tuple[str, str]]:
    """Dotted name and source of each module in the folders that exist."""
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield ".".join(path.relative_to(ROOT).with_suffix("").parts), path.read_text(encoding="utf-8")


def hiding(names: set[str]) -> set[str]:
    """The names that a standard-library or an installed module has too."""
    return names & (set(sys.stdlib_module_names) | set(packages_distributions()))


def test_the_arrows_hold() -> None:
    assert [wrong for module, source in modules(*SHIPPED) for wrong in forbidden_imports(module, source)] == []


def test_the_pure_rooms_do_not_read_the_clock() -> None:
    found = [(m, source) for m, source in modules(*SHIPPED) if any(is_in(m, room) for room in PURE)]
    assert found
    assert [read for module, source in found for read in clock_reads(module, source)] == []


def test_no_module_hides_an_installed_one_from_a_command_that_is_run_as_a_file() -> None:
    top = ROOT / "observability"
    names = {path.stem for path in top.glob("*.py")} | {path.parent.name for path in top.glob("*/*.py")}
    assert names >= {"model", "judgement"}
    assert hiding(names) == set()


def test_a_hidden_module_is_seen() -> None:
    assert hiding({"stages", "statistics", "numpy"}) == {"statistics", "numpy"}


def test_no_module_is_named_utils() -> None:
    assert [module for module, _ in modules(*OURS) if module.endswith(".utils")] == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("observability.errors", "from observability.model import Window"),
        ("observability.model", "import observability.release"),
        ("observability.model", "from observability import artifacts"),
        ("observability.artifacts", "from .store import read"),
        ("observability.judgement.slo", "from observability.sources.prometheus import Prometheus"),
        ("observability.judgement.slo", "from ..store import read"),
        ("observability.judgement.slo", "from .. import stages"),
        ("observability.detection.bank", "from observability.judgement import summary"),
        ("observability.sources.recording", "from observability.store import write"),
        ("observability.store", "if True:\n    import observability.stages"),
        ("observability.store", "def f():\n    from retrospective import assemble"),
        ("retrospective.assemble", "from observability.judgement import slo"),
        ("retrospective.assemble", "import importlib\nimportlib.import_module('observability.stages')"),
        ("observability.stages", "from retrospective import assemble"),
        ("observability.stages", "def f():\n    from observability.cli import main"),
        ("observability.progress", "def f():\n    import retrospective.render"),
        ("dags.week", "from observability import ga_kpi_collector"),
        ("observability.stages", "def f():\n    import airflow.sdk"),
        ("dags.week", "import river"),
        ("observability.detection.bank", "import matplotlib.pyplot as plt"),
        ("retrospective.render", "from matplotlib import figure"),
        ("observability.sources.retry", "from prometheus_api_client import PrometheusConnect"),
        ("scripts.record", "from prometheus_api_client import PrometheusConnect"),
        ("observability.watching.loop", "from prometheus_client import Counter"),
    ],
)
def test_an_import_against_the_arrows_is_seen(module: str, source: str) -> None:
    assert len(forbidden_imports(module, source)) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("observability.model", "from observability.errors import ConfigError\nimport numpy"),
        ("observability.artifacts", "from .model import Window"),
        ("observability.judgement.slo", "from .summary import fold\nfrom observability.artifacts import SloDay"),
        ("observability.detection.bank", "import river.anomaly"),
        ("observability.sources.prometheus", "import prometheus_api_client, requests"),
        ("observability.store", "from observability.artifacts import Artifact"),
        ("retrospective.plots", "import matplotlib"),
        ("retrospective.assemble", "from observability.store import read"),
        ("observability.stages", "from observability import judgement\ndef f():\n    import retrospective.assemble"),
        ("observability.judgement.__init__", "from . import slo\nfrom .summary import fold"),
        ("observability.cli", "from observability.ga_kpi_collector import main"),
        ("dags.week", "import airflow.sdk\nfrom observability import stages"),
        ("scripts.generate_retrospective", "from retrospective import assemble"),
        ("observability.model", "import observability_of_others, riverside"),
    ],
)
def test_an_import_along_the_arrows_is_fine(module: str, source: str) -> None:
    assert forbidden_imports(module, source) == []


@pytest.mark.parametrize(
    "source",
    [
        "datetime.now()",
        "datetime.now(UTC)",
        "dt.datetime.utcnow()",
        "pd.Timestamp.now('UTC')",
        "date.today()",
        "time.time()",
        "from time import monotonic",
        "def f(at=time.perf_counter()): ...",
    ],
)
def test_reading_the_clock_is_seen(source: str) -> None:
    assert len(clock_reads("observability.model", source)) == 1


def test_handling_instants_is_not_reading_the_clock() -> None:
    source = "instant.time()\nnow(release)\nclock()\nimport time\ntime.sleep(1)"
    assert clock_reads("retrospective.assemble", source) == []
