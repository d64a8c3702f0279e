"""What is installed is all that is needed: built, installed and used far away from the checkout, as wheel and editable.

The other tests run in the checkout, where a file lies beside the library whether it is packed or not. And what is
promised of Pythons and systems is asked of the index of packages.
"""

import importlib.util
import os
import re
import sys
import tomllib
import zipfile
from importlib import metadata
from itertools import product
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
DATA, RESULTS = ROOT / "data", ROOT / "benchmarks" / "results"
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
OFFLINE = ["--no-deps", "--no-index"]  # what the library needs is here, or no test would run


def files_below(folder):
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.fixture(scope="module")
def wheel(clone, run):
    """The wheel that is built from the clone."""
    run([*PIP, "wheel", *OFFLINE, "--no-build-isolation", "--wheel-dir", clone.parent, clone], check=True)
    (found,) = clone.parent.glob("*.whl")
    return found


# It says where the library is, then loads all that ships.
LOAD = """
import sys, site, wave
sys.path += sys.argv[1:]
site.addsitedir(sys.argv[1])
import course_lib
print(course_lib.__file__)
from PIL import Image
from course_lib.data import PoemGrammar, load_sprites, store
from course_lib.data.shipped import shipped
from course_lib.device import make_generator
from course_lib.show.explore import explore

assert len(PoemGrammar().sample(1, generator=make_generator(0))[0]) == 20
assert len(load_sprites(2, generator=make_generator(0))) > 0
assert store.REGISTRY
Image.open(shipped("samples/painted_creatures.png")).load()
assert shipped("results/painters.json").is_file()
assert wave.open(str(shipped("samples/spoken_digits.wav"))).getnframes() > 0
assert "course-player" in explore(lambda n: "one" * n, n=[1, 2], alt="one").player()
"""


@pytest.mark.parametrize("way", ["wheel", "editable"])
def test_an_installed_course_loads_everything_that_ships(way, clone, tmp_path, run, request):
    what = [request.getfixturevalue("wheel")] if way == "wheel" else ["--no-build-isolation", "--editable", clone]
    run([*PIP, "install", *OFFLINE, "--target", tmp_path / "site", *what], check=True)
    # -S: this environment's packages without its .pth files, one of which may lead back to the checkout
    packages = [folder for folder in sys.path if folder.endswith("-packages")]
    said = run([sys.executable, "-I", "-S", "-c", LOAD, tmp_path / "site", *packages], cwd=tmp_path, check=True).stdout
    assert said.strip() == str((tmp_path / "site" if way == "wheel" else clone) / "course_lib" / "__init__.py")


def test_nothing_is_missing_in_the_wheel(wheel):
    packed = set(zipfile.ZipFile(wheel).namelist())
    wanted = {f"course_lib/{name}" for name in files_below(ROOT / "course_lib")}
    wanted |= {f"course_lib/data/files/{name}" for name in files_below(DATA)}
    wanted |= {f"course_lib/data/files/results/{name}" for name in files_below(RESULTS)}
    missing = sorted(wanted - packed)
    assert not missing, (
        f"not in the wheel: {', '.join(missing)}; [tool.setuptools] in pyproject.toml names folder by folder"
    )


def test_pyproject_names_every_room():
    """A room that is missing here would be missing in the wheel only, where nobody who works on the course sees it."""
    listed = set(tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["packages"])
    rooms = {path.parent.relative_to(ROOT) for path in (ROOT / "course_lib").rglob("__init__.py")}
    folders = {Path("course_lib/data/files") / path.parent.relative_to(DATA) for path in DATA.rglob("*.*")}
    folders |= {Path("course_lib/data/files/results")}
    assert listed == {".".join(path.parts) for path in rooms | folders}


def test_what_students_get_is_enough_to_install_and_holds_no_solution():
    guide = (ROOT / "coursework" / "README.md").read_text("utf-8")
    names = re.search(r"git archive -o course.zip HEAD ([^`]+)`", guide)[1].split()
    assert [name for name in names if not (ROOT / name).exists()] == []
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    folders = {Path(folder).parts[0] for folder in project["tool"]["setuptools"]["package-dir"].values()}
    needed = {"chapters", "tools", "Makefile", "README.md", "LICENSE", "pyproject.toml", "constraints.txt"} | folders
    assert needed <= set(names) and not {"coursework", "tests"} & set(names)


LICENCES = {"MIT", "CC BY 4.0", "CC BY-SA 4.0"}
ROW = re.compile(r"^\| `([^`]+)` \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)


def test_the_readme_of_data_tells_what_each_file_is_who_made_it_and_what_is_allowed():
    rows = {
        name: [words.strip() for words in rest] for name, *rest in ROW.findall((DATA / "README.md").read_text("utf-8"))
    }
    assert rows.keys() == files_below(DATA) - {"README.md"}
    for name, (what, made_by, licence) in rows.items():
        assert what and licence in LICENCES, f"{name}: {licence}"
        command = re.fullmatch(r"`python (\S+\.py)[^`]*`", made_by)
        assert made_by == "hand" or (command and (ROOT / command[1]).is_file()), f"{name}: by hand, or which command?"


# Where it can be installed

PYTHONS = ["3.11.2", "3.12.0", "3.13.0", "3.14.0"]  # the first is Debian 12's own
# What uv calls them: Debian 12's and Ubuntu 24.04's Linux, macOS 14 on Apple's processors, Windows.
SYSTEMS = ["x86_64-manylinux_2_36", "aarch64-manylinux_2_39", "aarch64-apple-darwin", "x86_64-pc-windows-msvc"]


@pytest.mark.parametrize("python", PYTHONS)
def test_every_pin_admits_every_promised_python(python):
    """What the packages here say of themselves, for which no index is asked."""
    refused = []
    for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines():
        name = line.partition("#")[0].partition("==")[0].strip()
        try:
            wanted = metadata.metadata(name).get("Requires-Python") if name else None
        except metadata.PackageNotFoundError:
            continue  # of an extra that is not installed here
        if wanted and python not in Requirement(f"python{wanted}").specifier:
            refused.append(f"{line} needs Python {wanted}")
    assert refused == []


AS_TESTED = ["--all-extras", "--constraint", "constraints.txt"]
OLDEST = ["--resolution", "lowest-direct"]


@pytest.fixture
def resolve(tmp_path, run):
    """A function that says why the packages, as wheels, cannot be installed there; "" where they can.

    pip reads the conditions in requirements as those of the Python that runs it, uv as those of the one that is asked.
    """

    def resolve(python, system, mac="14.0", which=AS_TESTED):
        command = [sys.executable, "-m", "uv", "pip", "compile", "--no-build", *which, "pyproject.toml"]
        command += ["--python-version", python, "--python-platform", system, "--cache-dir", tmp_path]
        command += ["--python", sys.executable, "--no-python-downloads"]
        done = run(command, cwd=ROOT, env={"MACOSX_DEPLOYMENT_TARGET": mac})
        if done.returncode == 2:
            no_index = f"no index of packages answers (UV_DEFAULT_INDEX can name one):\n{done.stderr}"
            (pytest.fail if os.environ.get("COURSE_CI") == "1" else pytest.skip)(no_index)
        return done.stderr if done.returncode or "yanked" in done.stderr else ""

    return resolve


@pytest.mark.slow
def test_it_can_be_installed_wherever_that_is_promised(resolve):
    said = {where: resolve(*where) for where in product(PYTHONS, SYSTEMS)}
    cannot = [f"Python {python} on {system}: {why}" for (python, system), why in said.items() if why]
    assert not cannot, "\n".join(cannot)


@pytest.mark.slow
@pytest.mark.parametrize("system", SYSTEMS)
def test_the_oldest_that_is_promised_can_be_installed(system, resolve):
    assert resolve(PYTHONS[0], system, which=OLDEST) == ""


def test_a_learner_is_promised_no_version_that_nobody_tried():
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]
    assert [one for one in wanted if ">=" not in one] == []


def refusal(*machine):
    """What `make env` says of a machine before it begins."""
    specification = importlib.util.spec_from_file_location("python_fits", ROOT / "tools" / "python_fits.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module.refusal(*machine)


@pytest.mark.parametrize("python", [(3, 11, 2), (3, 14, 9)])
@pytest.mark.parametrize(
    "machine",
    [("Linux", "x86_64", ""), ("Linux", "aarch64", ""), ("Darwin", "arm64", "14.0"), ("Windows", "AMD64", "")],
)
def test_a_promised_machine_is_not_refused(python, machine):
    assert refusal(python, *machine) is None


REFUSED = {
    ("3.15.0", "x86_64-manylinux_2_36", "14.0"): ((3, 15, 0), "Linux", "x86_64", ""),
    ("3.12.0", "x86_64-apple-darwin", "15.0"): ((3, 12, 0), "Darwin", "x86_64", "15.0"),
    ("3.12.0", "aarch64-apple-darwin", "13.0"): ((3, 12, 0), "Darwin", "arm64", "13.6.1"),
}


def test_a_machine_that_is_refused_hears_what_to_do():
    assert "Python 3.11 to 3.14, and this is 3.10; name one with PYTHON=" in refusal((3, 10, 9), "Linux", "x86_64", "")
    newer, intel, old = (refusal(*machine) for machine in REFUSED.values())
    assert "this is 3.15; name one with PYTHON=" in newer
    assert "Intel processor" in intel and "Colab or Binder" in intel
    assert "macOS 14 or newer, and this is 13.6.1" in old and "Colab or Binder" in old


@pytest.mark.slow
@pytest.mark.parametrize("where", REFUSED)
def test_a_machine_that_is_refused_has_no_pytorch(where, resolve):
    """When this fails there is a build: allow the machine in tools/python_fits.py, and promise it above."""
    assert "torch" in resolve(*where)
