"""What is installed is all that is needed: built, installed and used far away from the checkout, as wheel and editable.

The other tests run in the checkout, where a file lies beside the library whether it is packed or not.
"""

import re
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DATA = ROOT / "data"
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
    missing = sorted(wanted - packed)
    assert not missing, (
        f"not in the wheel: {', '.join(missing)}; [tool.setuptools] in pyproject.toml names folder by folder"
    )


def test_pyproject_names_every_room():
    """A room that is missing here would be missing in the wheel only, where nobody who works on the course sees it."""
    listed = set(tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["packages"])
    rooms = {path.parent.relative_to(ROOT) for path in (ROOT / "course_lib").rglob("__init__.py")}
    folders = {Path("course_lib/data/files") / path.parent.relative_to(DATA) for path in DATA.rglob("*.*")}
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
