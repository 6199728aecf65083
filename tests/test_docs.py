"""The documentation is about this code: references are generated, examples are loaded, links lead somewhere."""

import re
from pathlib import Path

import pytest

from observability.release import load
from scripts.export_reference import DOCS, commands_text, kpis_text

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_the_command_reference_is_current() -> None:
    assert (DOCS / "commands.md").read_text() == commands_text(), "run `make reference`"


def test_the_kpi_reference_is_current() -> None:
    assert (DOCS / "kpis.md").read_text() == kpis_text(), "run `make reference`"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def yaml_blocks() -> list[str]:
    return re.findall(r"```yaml\n(.*?)```", (DOCS / "release-file.md").read_text(), flags=re.DOTALL)


@pytest.mark.parametrize("block", yaml_blocks())
def test_the_examples_of_a_release_file_load(block: str, tmp_path: Path) -> None:
    head = "" if "release:" in block.splitlines()[0] else "release: shop-v2\nga: 2025-11-18T00:00:00Z\n"
    path = tmp_path / "release.yaml"
    path.write_text(head + block)
    assert load(path).kpis


def test_every_verb_is_in_the_readme() -> None:
    text = (ROOT / "README.md").read_text()
    for verb in re.findall(r"^## postga (\w+)$", (DOCS / "commands.md").read_text(), flags=re.MULTILINE):
        assert f"postga {verb}" in text, verb
