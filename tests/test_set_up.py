"""The set-up of .venv by scripts/set_up.sh, with made-up Pythons on the PATH that write down what they are asked."""

import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "scripts" / "set_up.sh"
TOOLS = ("sh", "rm", "mkdir", "touch", "cp", "basename")
PACKAGES = Path(".venv/lib/python3/site-packages")

# Answers to the script's `-c` probes by the text in them, makes a .venv with a copy of itself, and logs all else.
PYTHON = """#!/bin/sh
case "$*" in
  *ensurepip*) exit {without_venv} ;;
  *version_info*) exit {wrong_version} ;;
esac
echo "$(basename "$0") $*" >> asked
case "$*" in
  *"-m venv"*)
    mkdir -p .venv/bin .venv/lib/python3/site-packages/pip-26.dist-info
    touch .venv/lib/python3/site-packages/pip-26.dist-info/RECORD
    cp "$0" .venv/bin/python ;;
  *"$FAIL"*) echo "no route to the index" >&2; exit 1 ;;
esac
"""
PIP = "python -m pip --quiet --disable-pip-version-check --no-input install"
INSTALLED = [f"{PIP} --require-hashes -r requirements.lock", f"{PIP} --no-deps -e ."]


class Machine:
    """A folder to set up, and a PATH that holds nothing but the tools of the script and the Pythons that are added."""

    def __init__(self, folder: Path) -> None:
        self.bin, self.checkout = folder / "bin", folder / "checkout"
        self.bin.mkdir()
        self.checkout.mkdir()
        for tool in TOOLS:
            (self.bin / tool).symlink_to(str(shutil.which(tool)))

    def add_python(self, name: str, without_venv: bool = False, wrong_version: bool = False) -> None:
        text = PYTHON.format(without_venv=int(without_venv or wrong_version), wrong_version=int(wrong_version))
        (self.bin / name).write_text(text)
        (self.bin / name).chmod(0o755)

    def set_up(self, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sh", str(SCRIPT), "requirements.lock"],
            cwd=self.checkout,
            env={"PATH": str(self.bin), "FAIL": "nothing", **environment},
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def asked(self) -> list[str]:
        return (self.checkout / "asked").read_text().splitlines()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_a_fresh_machine_is_set_up(machine: Machine) -> None:
    machine.add_python("python3")
    done = machine.set_up()
    assert done.returncode == 0, done.stderr
    assert machine.asked == ["python3 -m venv .venv", *INSTALLED]
    assert done.stderr.count("\n") == 1


def test_a_python_that_does_not_run_or_is_too_old_is_passed_over(machine: Machine) -> None:
    (machine.bin / "python3.13").write_text("#!/bin/sh\nexit 127\n")
    (machine.bin / "python3.13").chmod(0o755)
    machine.add_python("python3.12", without_venv=True)
    machine.add_python("python3", wrong_version=True)
    machine.add_python("python")
    assert machine.set_up().returncode == 0
    assert machine.asked[0] == "python -m venv .venv"


def test_the_python_that_is_named_is_taken(machine: Machine) -> None:
    machine.add_python("python3.13")
    machine.add_python("my-python")
    assert machine.set_up(PYTHON="my-python").returncode == 0
    assert machine.asked[0] == "my-python -m venv .venv"


@pytest.mark.parametrize(
    ("pythons", "named", "sentence"),
    [
        ({}, "", "No Python 3.11, 3.12 or 3.13 was found"),
        ({"python3": {"wrong_version": True}}, "", "No Python 3.11, 3.12 or 3.13 was found"),
        ({"python3": {"without_venv": True}}, "", "apt-get install python3-venv"),
        ({"python3": {}}, "python2", "PYTHON=python2 is not a Python 3.11, 3.12 or 3.13 that runs"),
    ],
)
def test_without_a_usable_python_one_sentence_says_what_to_do(
    machine: Machine, pythons: dict[str, dict[str, bool]], named: str, sentence: str
) -> None:
    for name, faults in pythons.items():
        machine.add_python(name, **faults)
    done = machine.set_up(PYTHON=named)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (machine.checkout / ".venv").exists()


def test_what_is_there_already_is_kept(machine: Machine) -> None:
    machine.add_python("python3")
    machine.set_up()
    assert machine.set_up().returncode == 0
    assert machine.asked == ["python3 -m venv .venv", *INSTALLED, *INSTALLED]


def test_a_failure_of_pip_is_told_and_leaves_what_is_there(machine: Machine) -> None:
    machine.add_python("python3")
    failed = machine.set_up(FAIL="--no-deps")
    assert failed.returncode == 2
    assert "pip could not install the packages" in failed.stderr
    assert machine.set_up().returncode == 0
    assert machine.asked == ["python3 -m venv .venv", *INSTALLED, *INSTALLED]


@pytest.mark.parametrize("half", ["numpy-2.5.5.dist-info", "pip-26.dist-info"])
def test_a_package_that_is_half_there_makes_the_set_up_begin_anew(machine: Machine, half: str) -> None:
    machine.add_python("python3")
    machine.set_up()
    (machine.checkout / PACKAGES / half).mkdir(exist_ok=True)
    (machine.checkout / PACKAGES / half / "RECORD").unlink(missing_ok=True)
    assert machine.set_up().returncode == 0
    assert machine.asked[3:] == ["python3 -m venv .venv", *INSTALLED]
    assert not (machine.checkout / PACKAGES / "numpy-2.5.5.dist-info").exists()
