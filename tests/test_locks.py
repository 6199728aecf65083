"""The locks: exact, hashed, from PyPI alone, and in agreement with one another and with pyproject.toml."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
HOSTS = {"pypi.org", "files.pythonhosted.org"}
EXPORTS = ("requirements.lock", "requirements-dev.txt")

PINNED = re.compile(
    r"(?P<name>[a-z0-9-]+)(\[[a-z0-9,-]+\])?==(?P<version>\S+)( ; .+?)?(?P<hashes>( --hash=sha256:\w{64})+)"
)

Pin = tuple[str, str]


def hosts(text: str) -> set[str]:
    return set(re.findall(r"\w+://([^/\s\"']*)", text))


def requirements(text: str) -> Iterator[str]:
    """The requirements of an export, each on one line, without the comments."""
    for line in text.replace("\\\n", " ").splitlines():
        bare = re.sub(r"(^|\s)#.*", "", line).strip()
        if bare:
            yield re.sub(r"\s+", " ", bare)


def pins(text: str) -> dict[Pin, set[str]]:
    """Name and version of each requirement → its hashes. One that is not pinned, or not hashed, is an error."""
    found: dict[Pin, set[str]] = {}
    for requirement in requirements(text):
        match = PINNED.fullmatch(requirement)
        if match is None:
            raise ValueError(f"not pinned with hashes: {requirement}")
        found[match["name"], match["version"]] = set(re.findall(r"sha256:\w{64}", match["hashes"]))
    return found


def locked() -> dict[Pin, set[str]]:
    """The same of uv.lock, without the project itself."""
    packages = tomllib.loads(read("uv.lock"))["package"]
    return {
        (package["name"], package["version"]): {file["hash"] for file in files(package)}
        for package in packages
        if "registry" in package["source"]
    }


def files(package: dict[str, Any]) -> list[dict[str, str]]:
    sdist = [package["sdist"]] if "sdist" in package else []
    return sdist + package.get("wheels", [])


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["uv.lock", *EXPORTS])
def test_a_lock_names_no_other_host(name: str) -> None:
    assert hosts(read(name)) <= HOSTS


def test_uv_lock_names_no_folder_and_no_repository() -> None:
    sources = [package["source"] for package in tomllib.loads(read("uv.lock"))["package"]]
    assert [s for s in sources if s != {"registry": "https://pypi.org/simple"}] == [{"editable": "."}]


@pytest.mark.parametrize("name", EXPORTS)
def test_an_export_agrees_with_uv_lock(name: str) -> None:
    exported = pins(read(name))
    assert exported
    assert differing(exported, locked()) == []


def test_who_develops_has_all_that_runs() -> None:
    assert differing(pins(read("requirements.lock")), pins(read("requirements-dev.txt"))) == []


def test_the_exports_hold_what_pyproject_asks_for() -> None:
    project = tomllib.loads(read("pyproject.toml"))
    runs = project["project"]["dependencies"]
    develops = [*project["dependency-groups"]["dev"], *project["project"]["optional-dependencies"]["airflow"]]
    assert unmet(runs, pins(read("requirements.lock"))) == []
    assert unmet([r for r in develops if not r.startswith("postga")], pins(read("requirements-dev.txt"))) == []


def differing(some: dict[Pin, set[str]], whole: dict[Pin, set[str]]) -> list[Pin]:
    """Those of ``some`` that ``whole`` lacks, or has with other hashes."""
    return [pin for pin, hashes in some.items() if whole.get(pin) != hashes]


def unmet(wanted: list[str], pinned: dict[Pin, set[str]]) -> list[str]:
    """The requirements that no pin satisfies."""
    parsed = [Requirement(text) for text in wanted]
    return [str(r) for r in parsed if not any(meets(pin, r) for pin in pinned)]


def meets(pin: Pin, requirement: Requirement) -> bool:
    name, version = pin
    return name == canonicalize_name(requirement.name) and requirement.specifier.contains(version)


HASH = f"--hash=sha256:{'0' * 64}"


def test_hosts_are_found_in_any_writing() -> None:
    text = 'url = "https://mirror.example/a.whl"\n--find-links file:///opt/wheels\ngit+ssh://git@host/x'
    assert hosts(text) == {"mirror.example", "", "git@host"}


def test_pins_are_read() -> None:
    text = (
        f"# made by hand\na-b==1.0 ; python_full_version < '3.12' \\\n    {HASH}\n    # via c\nd[x]==2 \\\n    {HASH}\n"
    )
    assert pins(text) == {("a-b", "1.0"): {f"sha256:{'0' * 64}"}, ("d", "2"): {f"sha256:{'0' * 64}"}}


@pytest.mark.parametrize(
    "line",
    [
        "a==1.0",
        f"a>=1.0 {HASH}",
        f"a {HASH}",
        "-e .",
        "./a.whl",
        "--index-url https://pypi.org/simple",
        "a==1 --hash=md5:0",
    ],
)
def test_a_loose_requirement_is_an_error(line: str) -> None:
    with pytest.raises(ValueError, match="not pinned"):
        pins(line)


def test_a_requirement_out_of_range_is_unmet() -> None:
    assert unmet(["a>=2", "b", "C_d"], {("a", "1.0"): set(), ("c-d", "1"): set()}) == ["a>=2", "b"]
