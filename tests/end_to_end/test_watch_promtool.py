"""The watcher's metrics and the page's configuration, judged by the real promtool."""

import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from observability.watching.metrics import Metrics
from tests.end_to_end.conftest import require_programs

PAGE = Path(__file__).parents[2] / "docs/watch.md"
START = datetime(2025, 11, 18, tzinfo=UTC)

WATCHED = """
rule_files: [rules.yml]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - {series: 'up{job="postga-watch"}', values: '1x20 0x20'}
      - {series: 'postga_watch_lag_seconds', values: '30x20 60+60x20'}
      - {series: 'postga_watch_notifications_pending{sink="webhook"}', values: '0x20 2x20'}
      - {series: 'postga_watch_samples_total', values: '0+9x20 180x20'}
      - {series: 'postga_watch_query_failures_total{query="cpu"}', values: '0x20 1+1x20'}
    alert_rule_test:
      - {eval_time: 20m, alertname: PostgaWatchDown}
      - {eval_time: 20m, alertname: PostgaWatchLags}
      - {eval_time: 20m, alertname: PostgaWatchCannotNotify}
      - {eval_time: 20m, alertname: PostgaWatchScoresNothing}
      - {eval_time: 20m, alertname: PostgaWatchQueriesFail}
      - eval_time: 40m
        alertname: PostgaWatchDown
        exp_alerts: [{exp_labels: {job: postga-watch, severity: high}, exp_annotations: {summary: "DOWN"}}]
      - eval_time: 40m
        alertname: PostgaWatchLags
        exp_alerts: [{exp_labels: {severity: high}, exp_annotations: {summary: "LAGS"}}]
      - eval_time: 40m
        alertname: PostgaWatchCannotNotify
        exp_alerts: [{exp_labels: {sink: webhook, severity: high}, exp_annotations: {summary: "WAITING"}}]
      - eval_time: 40m
        alertname: PostgaWatchScoresNothing
        exp_alerts: [{exp_labels: {severity: high}, exp_annotations: {summary: "NOTHING"}}]
      - eval_time: 40m
        alertname: PostgaWatchQueriesFail
        exp_alerts: [{exp_labels: {query: cpu, severity: high}, exp_annotations: {summary: "REFUSED"}}]
"""


def promtool(folder: Path, *arguments: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    require_programs()
    return subprocess.run(["promtool", *arguments], cwd=folder, input=given, capture_output=True, check=False)


def block(first_line: str) -> str:
    found = re.search(rf"```yaml\n{re.escape(first_line)}\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert found is not None, first_line
    return found[1]


def test_promtool_has_nothing_against_the_metrics(tmp_path: Path) -> None:
    metrics = Metrics(START, lambda: START, ["significance", "novelty"], ["http_requests"])
    metrics.sinks(lambda: {"webhook": 1}, lambda: {"webhook": 2})
    metrics.stepped(START, samples=3, seconds=0.1)
    done = promtool(tmp_path, "check", "metrics", given=metrics.exposition()[1])
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_promtool_has_nothing_against_the_page(tmp_path: Path) -> None:
    (tmp_path / "rules.yml").write_text(block("# rules.yml"), encoding="utf-8")
    configuration = "rule_files: [rules.yml]\n" + block("# prometheus.yml")
    (tmp_path / "prometheus.yml").write_text(configuration, encoding="utf-8")
    for what in (("check", "rules", "rules.yml"), ("check", "config", "prometheus.yml")):
        done = promtool(tmp_path, *what)
        assert done.returncode == 0, done.stderr.decode()


def test_the_rules_fire_when_they_should(tmp_path: Path) -> None:
    (tmp_path / "rules.yml").write_text(block("# rules.yml"), encoding="utf-8")
    summaries = {
        "DOWN": "postga watch is not running. Nothing is lost; it reads what it missed when it is started again.",
        "LAGS": "postga watch is 20m 0s behind: its server does not answer, or has old data.",
        "NOTHING": "postga watch has scored nothing for ten minutes: its server does not answer, or has no data.",
        "REFUSED": "Query cpu cannot be used: its KPIs are not scored. The watcher's stderr says why.",
        "WAITING": "2 notifications for webhook have been waiting for ten minutes.",
    }
    text = WATCHED
    for name, summary in summaries.items():
        text = text.replace(name, summary)
    (tmp_path / "test.yml").write_text(text, encoding="utf-8")
    done = promtool(tmp_path, "test", "rules", "test.yml")
    assert done.returncode == 0, (done.stdout + done.stderr).decode()


def test_a_rule_that_is_none_is_seen(tmp_path: Path) -> None:
    (tmp_path / "rules.yml").write_text(block("# rules.yml").replace("> 600", "> >"), encoding="utf-8")
    assert promtool(tmp_path, "check", "rules", "rules.yml").returncode != 0
