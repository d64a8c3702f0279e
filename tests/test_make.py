"""What `make` and the tools do in a clone whose path has a space and Chinese in it."""

import os
import re
import shutil
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TARGETS = re.findall(r"^([a-z]+):.*##", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
# Nothing is installed: the clone borrows this environment, which counts as made.
MAKE = ["make", "--old-file", ".venv/course.stamp", "--old-file", ".venv/tools.stamp"]

pytestmark = pytest.mark.skipif(shutil.which("make") is None or os.name == "nt", reason="no make: the README says how")


@pytest.fixture(scope="module")
def borrowed(clone, run):
    """A function that runs a command in the clone, with this Python as its environment."""
    (clone / ".venv").symlink_to(sys.prefix)
    # Its library comes before whatever course_lib is installed here; and `make test` may be what runs these tests.
    environment = {"PYTHONPATH": str(clone), "MAKELEVEL": "", "MAKEFLAGS": "", "MFLAGS": ""}
    yield lambda command, **options: run(command, cwd=clone, env=environment, **options)
    (clone / ".venv").unlink()


def test_help_lists_every_target_and_every_target_is_understood(borrowed):
    said = borrowed([*MAKE, "help"], check=True).stdout
    assert [line.split()[0] for line in said.splitlines()] == TARGETS
    for target in TARGETS:
        plan = borrowed([*MAKE, "--dry-run", target], check=True).stdout
        assert "pip install" not in plan or target == "env", plan


INTEL = """#!/bin/sh
exec '{python}' -c 'import platform, runpy, sys
platform.system, platform.machine = lambda: "Darwin", lambda: "x86_64"
runpy.run_path(sys.argv[1], run_name="__main__")' "$@"
"""


def test_a_machine_without_pytorch_is_told_before_pip_starts(borrowed, clone, tmp_path):
    stub = tmp_path / "python3"
    stub.write_text(INTEL.format(python=sys.executable))
    stub.chmod(0o755)
    said = borrowed(["make", "env", "VENV=new", f"PYTHON={stub}"])
    assert said.returncode != 0 and "no longer built for Macs with an Intel processor" in said.stderr
    assert "Setting up" not in said.stdout and not (clone / "new").exists()


def test_an_environment_without_pip_is_made_again(borrowed, clone, tmp_path):
    """Debian's Python without python3-venv leaves one behind, and says which package to install."""
    asked, half, python = tmp_path / "asked", clone / "half" / "bin" / "python", tmp_path / "python3"
    half.parent.mkdir(parents=True)
    for path, script in {half: "exit 1", python: f'echo "$@" >> "{asked}"'}.items():
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
    assert borrowed(["make", "env", "VENV=half", f"PYTHON={python}"]).returncode != 0
    assert "-m venv half\n" in asked.read_text()
    shutil.rmtree(clone / "half")


def test_the_readme_names_every_target():
    text = (ROOT / "README.md").read_text("utf-8")
    assert [target for target in TARGETS if f"make {target}" not in text] == ["help", "clean"]


def test_the_library_is_the_clones(borrowed, clone):
    said = borrowed([".venv/bin/python", "-c", "import course_lib; print(course_lib.__file__)"], check=True).stdout
    assert said.strip() == str(clone / "course_lib" / "__init__.py")


def test_notebooks_are_as_current_as_here(borrowed, run):
    here = run([sys.executable, ROOT / "tools" / "notebooks.py", "--check"])
    there = borrowed([".venv/bin/python", "tools/notebooks.py", "--check"])
    assert (there.returncode, there.stdout, there.stderr) == (here.returncode, here.stdout, here.stderr)


def test_an_assignment_is_released_and_a_folder_without_submissions_refused(borrowed, clone):
    for source in sorted((clone / "coursework").glob("[0-9][0-9]_*.py"))[1:]:
        source.unlink()  # one stands for all
    said = borrowed([*MAKE, "release"], check=True).stdout
    name, _, path = said.strip().partition(": ")
    assert Path(path) == clone / "_build" / "coursework" / "release" / name / f"{name}.ipynb" and Path(path).is_file()
    (clone / "我的 class").mkdir()
    refused = borrowed([*MAKE, "grade", "SUBMISSIONS=我的 class"])
    assert refused.returncode != 0 and "我的 class holds no submissions" in refused.stderr
