"""What the text of a query tells by itself."""

import pytest

from observability.model import DEFAULT_URL, Query, parse_instant
from observability.promql import are_matchers, defects, selectors
from observability.release import flags_release

CATALOG = flags_release(parse_instant("2025-11-18T00:00:00Z"), DEFAULT_URL)


@pytest.mark.parametrize("query", CATALOG.queries.values(), ids=lambda query: query.name)
def test_the_catalog_has_no_defects(query: Query) -> None:
    assert list(defects(query.promql)) == []


@pytest.mark.parametrize(
    ("promql", "said"),
    [
        ("", "no PromQL"),
        ("  ", "no PromQL"),
        ("sum(x{$match}", "'(' is not closed"),
        ("sum(x{$match)", "')' closes nothing"),
        ("x{$match}[5m)", "')' closes nothing"),
        ("x{$match})", "')' closes nothing"),
        ('x{a="b}', 'the quote " is not closed'),
        ("x{a='b}", "the quote ' is not closed"),
        ("x{$match,service='$service'}", "$service stands for nothing"),
        ("rate(x{$match}[$__rate_interval])", "$__rate_interval stands for nothing"),
        ("x{$match}[${step}]", "${step} stands for nothing"),
        ("x{$match,env='${env}'}", "${env} stands for nothing"),
        ("x{$matchers}", "$matchers stands for nothing"),
        ("sum by ($bytes) (x)", "$bytes stands for nothing"),
        ("x $match", "$match stands between braces"),
        ('x{a="$match"}', "not in quotes"),
    ],
)
def test_a_defect_is_said(promql: str, said: str) -> None:
    found = list(defects(promql))
    assert len(found) == 1
    assert said in found[0]


@pytest.mark.parametrize(
    "promql",
    [
        'x{code=~"5..$",$match}',
        'x{path=~"^/a(b|c)$|^/d{2}$",$match}',
        r"x{a='\'}{',$match}",
        r"x{a=`\`,$match}",
        "x{$match} # of (all",
        "sum by ($by) (rate(x{$match}[$step]))",
    ],
)
def test_what_only_looks_like_a_defect_is_none(promql: str) -> None:
    assert list(defects(promql)) == []


@pytest.mark.parametrize(
    ("promql", "expected"),
    [
        ("up", ["up"]),
        ("x{}", ["x"]),
        ('last_over_time(x_total{a="b",service=~"c|d"}[60s])', ['x_total{a="b",service=~"c|d"}']),
        ('{__name__=~"x_(a|b)",s="}"}', ['{__name__=~"x_(a|b)",s="}"}']),
        ("1 - avg(rate(x{mode='idle'}[5m]))", ["x{mode='idle'}"]),
        ("1 - sum(a[5m]) / sum(b:c[60s])", ["a", "b:c"]),
        ("sum by (pod, sum) (x offset 5m) / on (pod) group_left () y", ["x", "y"]),
        ("sum(x) by (pod) unless bool_metric > bool 1e3", ["x", "bool_metric"]),
        ("x and -Inf < nan # and z", ["x"]),
    ],
)
def test_selectors(promql: str, expected: list[str]) -> None:
    assert [str(one) for one in selectors(promql)] == expected


@pytest.mark.parametrize("text", ['a="b"', ' a="b" , c!~"d,e}" ', "a=~'x'", "a!=`x`"])
def test_matchers(text: str) -> None:
    assert are_matchers(text)


@pytest.mark.parametrize("text", ["a", "a=b", '{a="b"}', 'a="b",', 'a="b" c="d"', 'a=="b"', "a='b", '1a="b"', "up{}"])
def test_what_is_no_matchers(text: str) -> None:
    assert not are_matchers(text)
