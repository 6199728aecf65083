#!/usr/bin/env bash
# Smoke test of the retrospective on the shipped test data, from any folder. Ends with 1 at the first thing that is wrong.
set -u

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd) || exit 1
cd "$ROOT" || exit 1
if [ -z "${PYTHON:-}" ]; then
  if [ -x .venv/bin/python ]; then PYTHON=.venv/bin/python; else PYTHON=python3; fi
fi

GA=test_data/ga_kpis
DAYS=test_data/stability
REGRESSION=test_data/regression/regression_summary.json
ANOMALIES=test_data/anomalies/anomaly_events.json
MARKDOWN=test_output/GA_7DAY_RETROSPECTIVE.md
JSON=test_output/GA_7DAY_RETROSPECTIVE.json
LINE=============================================================

passed() { printf '  ✓ %s\n' "$1"; }
failed() {
  printf '  ✗ %s\n\n%s\nSMOKE TEST FAILED\n%s\n' "$1" "$LINE" "$LINE" >&2
  exit 1
}
need() { [ -s "$1" ] || failed "$2 not found: $ROOT/$1; write the test data with: make test-data"; }

printf '%s\nPhase 14.6 - End-to-End Pipeline Smoke Test\n%s\n\n' "$LINE" "$LINE"

echo "Step 1: Verifying test data..."
need "$GA/ga_kpi_summary.json" "GA KPI summary"
passed "GA KPI summary found"
for day in 1 2 3 4 5 6 7; do need "$DAYS/day_0${day}_summary.json" "Summary of day $day"; done
passed "All 7 daily summaries found"
need "$REGRESSION" "Regression summary"
passed "Regression summary found"
need "$ANOMALIES" "Anomaly events"
passed "Anomaly events found"

printf '\nStep 2: Running retrospective generator...\n'
rm -f "$MARKDOWN" "$JSON"
"$PYTHON" scripts/generate_retrospective.py --ga-data "$GA" --7day-data "$DAYS" --regression "$REGRESSION" \
  --anomalies "$ANOMALIES" --output "$MARKDOWN" || failed "The retrospective generator ended with exit code $?"

printf '\nStep 3: Verifying outputs...\n'
[ -s "$MARKDOWN" ] || failed "Markdown report not written: $ROOT/$MARKDOWN"
passed "Markdown report generated"
[ -s "$JSON" ] || failed "JSON report not written: $ROOT/$JSON"
passed "JSON report generated"
"$PYTHON" - "$JSON" <<'PYTHON' || failed "JSON structure is not that of a retrospective"
import json
import sys

lists = (
    "successes degradations unexpected_drifts slo_burn_downs recommendations_v1_0_2 process_improvements action_items"
).split()
texts = ["generation_timestamp", "ga_day_timestamp", "seven_day_end_timestamp", "overall_status", "advice", "why"]
with open(sys.argv[1], encoding="utf-8") as file:
    report = json.load(file)
wrong = [key for key in lists if not isinstance(report.get(key), list)]
wrong += [key for key in texts if not isinstance(report.get(key), str)]
if not isinstance(report.get("cost_analysis", {}).get("cost_trend"), str):
    wrong.append("cost_analysis.cost_trend")
if wrong:
    sys.exit(f"missing, or of the wrong type: {', '.join(wrong)}")
PYTHON
passed "JSON structure validated"

printf '\nStep 4: Validating Markdown sections...\n'
while IFS= read -r section; do
  grep -qxF "## $section" "$MARKDOWN" || failed "Section missing in $MARKDOWN: $section"
done <<'SECTIONS'
Executive Summary
What Went Well ✅
What Could Be Improved ⚠️
Unexpected Drifts 📊
Cost Analysis 💰
SLO Compliance Summary
Recommendations for v1.0.2 🚀
Process Improvements 🔧
Action Items
SECTIONS
passed "All expected Markdown sections found"

printf '\n%s\nSMOKE TEST PASSED\n%s\n\n' "$LINE" "$LINE"
printf 'Reports generated:\n  - Markdown: %s\n  - JSON: %s\n\nQuick Stats:\n' "$MARKDOWN" "$JSON"
"$PYTHON" - "$JSON" <<'PYTHON' || failed "The quick stats could not be read from $JSON"
import json
import sys

with open(sys.argv[1], encoding="utf-8") as file:
    report = json.load(file)
stats = {
    "Successes": len(report["successes"]),
    "Degradations": len(report["degradations"]),
    "Unexpected Drifts": len(report["unexpected_drifts"]),
    "Cost Trend": report["cost_analysis"]["cost_trend"],
    "Recommendations": len(report["recommendations_v1_0_2"]),
    "Process Improvements": len(report["process_improvements"]),
    "Action Items": len(report["action_items"]),
}
for name, value in stats.items():
    print(f"  - {name}: {value}")
PYTHON
