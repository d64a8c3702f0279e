"""The rules of the house, read from the files themselves: a new file is covered without a change here.

Only the map in `course_lib/__init__.py` names modules, and that is its purpose: a new one says there where it lives.
"""

import ast
import re
import subprocess
import sys
import tomllib
from functools import cache
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
LIBRARY = ROOT / "course_lib"

# The map that `course_lib/__init__.py` carries: {room or module: floor}.
FLOORS = {
    name: int(line[0])
    for line in (ast.get_docstring(ast.parse((LIBRARY / "__init__.py").read_text("utf-8"))) or "").splitlines()
    if re.match(r"\d  `", line)
    for name in re.findall(r"`([\w.]+)`", line[:44])
}
HEAVY = {"matplotlib", "sklearn", "lightning", "lightning_fabric", "ipywidgets", "pooch", "requests"}


def module_name(path):
    """`course_lib/data/store.py` -> "data.store"; `course_lib/data/__init__.py` -> "data"."""
    parts = path.relative_to(LIBRARY).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def floor_of(module):
    """The floor of a module is its room's; the package itself lies below all, and must stay empty."""
    room = module.partition(".")[0]
    assert not room or room in FLOORS, f"course_lib has {room!r}, which its map does not show: add it in __init__.py"
    return FLOORS[room] if room else -1


def flat_of(module):
    """What may import itself freely: a room, or in `models` a family, for models never import each other."""
    parts = module.split(".")
    return tuple(parts[: 2 if parts[0] == "models" else 1]) if len(parts) > 1 or module in PACKAGES else None


@cache
def tree_of(path):
    """A file's syntax tree: each is read once, for many rules ask for all of them."""
    return ast.parse(path.read_text("utf-8"))


SOURCES = {module_name(path): path for path in sorted(LIBRARY.rglob("*.py"))}
PACKAGES = {name for name, path in SOURCES.items() if path.name == "__init__.py"}
each_module = pytest.mark.parametrize("module", SOURCES, ids=lambda name: name or "course_lib")


def imports(module, tree):
    """List what a module imports, wherever in the file: absolute names, a relative import resolved."""
    package = ["course_lib", *module.split(".")] if module else ["course_lib"]
    package = package if module in PACKAGES else package[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) + 1 - node.level] if node.level else []
            source = ".".join(start + ([node.module] if node.module else []))
            for alias in node.names:
                deeper = f"{source}.{alias.name}"  # `from .. import plots` imports a module, not a name
                yield deeper if deeper.removeprefix("course_lib.") in SOURCES else source


def wrong_imports(module, tree):
    """List the imports of a module that do not point down."""
    for name in imports(module, tree):
        top, _, target = name.partition(".")
        if top in {"chapters", "coursework", "tests", "tools", "benchmarks"}:
            yield f"{name}: the library is used by {top}, and never the other way round"
        if top != "course_lib":
            continue
        inside = flat_of(target) is not None and flat_of(target) == flat_of(module) and module != target
        if not (inside or floor_of(target) < floor_of(module)):
            yield f"{name}: floor {floor_of(target)}, imported from floor {floor_of(module)} ({module})"


@each_module
def test_imports_point_down(module):
    wrong = list(wrong_imports(module, tree_of(SOURCES[module])))
    assert not wrong, f"course_lib.{module} imports what is not below it: {'; '.join(wrong)}"


@pytest.mark.parametrize(
    ("module", "source", "right"),
    [
        ("prob", "from .device import pick_device", True),
        ("prob", "from course_lib import device", True),
        ("data", "from .digits import load_digits", True),
        ("data.mnist", "from .store import fetch", True),
        ("data.mnist", "from course_lib.data.store import fetch", True),
        ("data.mnist", "from .digits import LEVELS", True),
        ("data.mnist", "from ..measure.speech import snr", False),
        ("prob", "from .models import autoencoder", False),
        ("models.new", "from ..layers import MLP", True),
        ("models.new", "from .autoencoder import Autoencoder", False),
        ("models.pixel.new", "from .model import PixelModel", True),
        ("models.pixel.new", "from ..vae import rsample", False),
        ("decode", "from .layers import gate", False),
        ("show.explore", "from .player import Frames", True),
        ("show.plots", "from ..measure.speech import snr", False),
        ("device", "def f():\n    import course_lib.show.plots", False),
        ("check", "import chapters.something", False),
        ("show.explore", "from ..check import assert_shape", False),
        ("", "from .device import pick_device", False),
    ],
)
def test_the_rule_of_imports_bites(module, source, right):
    assert (list(wrong_imports(module, ast.parse(source))) == []) == right


def test_a_module_without_a_floor_is_noticed():
    with pytest.raises(AssertionError, match="add it in __init__"):
        floor_of("novelty")


def test_the_map_shows_what_is_there():
    there = {name for name in SOURCES if name and ("." not in name)}
    assert FLOORS.keys() == there, "the map in course_lib/__init__.py and the folders differ"


def test_no_circle():
    """Within a room arrows may go any way but round."""
    arrows = {
        module: {n.removeprefix("course_lib.") for n in imports(module, tree_of(path))}
        for module, path in SOURCES.items()
        if module not in PACKAGES
    }
    while leaves := [module for module, targets in arrows.items() if not targets & arrows.keys()]:
        for module in leaves:
            del arrows[module]
    assert not arrows, f"these import each other in a circle, or one that does: {sorted(arrows)}"


LONG = [path for folder in ("course_lib", "tools") for path in sorted((ROOT / folder).rglob("*.py"))]


@pytest.mark.parametrize("path", LONG, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_file_is_read_in_one_sitting(path):
    lines = len(path.read_text("utf-8").splitlines())
    assert lines <= 250, f"{path.name} has {lines} lines, and 250 are enough: which two ideas does it hold?"


LIGHT = [f"course_lib.{name}".rstrip(".") for name in SOURCES if floor_of(name) <= 3]


@pytest.mark.parametrize("modules", [["course_lib"], LIGHT], ids=["the package", "floors 0 to 3"])
def test_importing_is_light(modules, run):
    code = f"import sys, {', '.join(modules)}; print(*({HEAVY} & sys.modules.keys()))"
    done = run([sys.executable, "-c", code], cwd=ROOT, check=True)
    assert done.stdout.split() == [], "every reader's first cell pays for these: import them where used"


# --- nothing is dead ----------------------------------------------------------------------------------------


def names_in(tree):
    """Collect every name that a piece of code mentions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.ImportFrom):
            yield from (alias.name for alias in node.names)


def dead_names(tree, used_elsewhere):
    """List the public names of a module that no other file uses, and that nothing used here needs either."""
    needs, alive = {}, set()
    for statement in tree.body:
        if isinstance(statement, ast.FunctionDef | ast.ClassDef):
            needs[statement.name] = set(names_in(statement))
        elif isinstance(statement, ast.Assign | ast.AnnAssign):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            for name in (name for target in targets for name in names_in(target)):
                needs[name] = set(names_in(statement)) - {name}
        elif not isinstance(statement, ast.Import | ast.ImportFrom):
            alive |= set(names_in(statement))
    alive = (alive | used_elsewhere) & needs.keys()
    while more := {name for one in alive for name in needs[one] & needs.keys()} - alive:
        alive |= more
    return sorted(name for name in needs.keys() - alive if not name.startswith("_"))


@cache
def mentioned(path):
    return frozenset(names_in(tree_of(path)))


@each_module
def test_nothing_is_dead(module):
    # to re-export a name, as an __init__ does, is not to use it
    users = [path for name, path in SOURCES.items() if name not in PACKAGES | {module}]
    for folder in ("chapters", "coursework", "benchmarks", "tools"):
        users += (ROOT / folder).rglob("*.py")
    used = frozenset().union(*map(mentioned, users))
    dead = dead_names(tree_of(SOURCES[module]), used)
    assert not dead, (
        f"course_lib.{module}: no chapter, assignment, benchmark, tool or other module uses "
        f"{', '.join(dead)}: use it or delete it"
    )


def test_the_rule_of_dead_names_bites():
    code = "LIMIT = 3\nclass E(Exception): pass\ndef f():\n    raise E(LIMIT)\ndef g(): pass\ndef _h(): pass"
    tree = ast.parse(code)
    assert dead_names(tree, {"f"}) == ["g"]
    assert dead_names(tree, set()) == ["E", "LIMIT", "f", "g"]


# --- the files that say what to install ---------------------------------------------------------------------


def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def requirements():
    """List what pyproject asks for, extras included, without references to the project's own extras."""
    lines = project()["dependencies"] + [
        line for extra in project()["optional-dependencies"].values() for line in extra
    ]
    every = [Requirement(line) for line in lines]
    return [one for one in every if canonicalize_name(one.name) != canonicalize_name(project()["name"])]


def pins(lines):
    """Read lines `name==version` as {name: version}, comments and other machines' lines aside."""
    found = {}
    for line in lines:
        line = line.partition("#")[0].strip()
        if not line:
            continue
        one = Requirement(line)
        exact = re.fullmatch(r"==([^*,]+)", str(one.specifier))
        assert exact, f"{line!r} is not an exact version, as in name==1.2.3"
        name = canonicalize_name(one.name)
        assert name not in found or one.marker, f"{name} is pinned twice"
        if one.marker is None or one.marker.evaluate():
            found[name] = exact[1]
    return found


def constraints():
    return pins((ROOT / "constraints.txt").read_text("utf-8").splitlines())


def test_python_is_3_11_or_newer():
    assert project()["requires-python"] == ">=3.11"


def test_every_dependency_is_pinned_to_a_version_that_pyproject_allows():
    pinned = constraints()
    for one in requirements():
        name = canonicalize_name(one.name)
        assert name in pinned, f"pyproject.toml asks for {name}, and constraints.txt has no line {name}==…"
        fits = one.specifier.contains(pinned[name])
        assert fits, f"pyproject.toml wants {one}, and constraints.txt pins {pinned[name]}"


def test_the_tests_run_with_the_pinned_versions():
    for name, version in constraints().items():
        try:
            installed = Version(metadata.version(name)).public  # without "+cpu"
        except metadata.PackageNotFoundError:
            continue  # of an extra that is not installed here
        assert installed == Version(version).public, f"{name}: {installed} is installed, {version} is pinned"


def test_environment_yml_installs_the_same():
    wanted = yaml.safe_load((ROOT / "environment.yml").read_text("utf-8"))["dependencies"]
    conda = [one for one in wanted if isinstance(one, str)]
    pip = next((one["pip"] for one in wanted if isinstance(one, dict)), [])
    python = [one for one in conda if re.match(r"python *(>=|=|==) *3\.1[1-9]", one)]
    assert python, "environment.yml must ask for python>=3.11"
    assert "pip" in conda and "-c constraints.txt" in pip, "environment.yml: pip must obey -c constraints.txt"
    course = next((re.fullmatch(r"-e \.(?:\[(.*)\])?", one) for one in pip if one.startswith("-e")), None)
    assert course, "environment.yml: its pip list must install the course, as in -e .[book]"
    extras = set(filter(None, (course[1] or "").split(",")))
    assert extras <= project().get("optional-dependencies", {}).keys(), "an extra that pyproject.toml lacks"
    conda_pins = [one for one in conda if not re.match(r"(python|pip|make|git)\b", one)]
    both = pins(
        [re.sub(r"(?<![=<>!~])=(?!=)", "==", one) for one in conda_pins]
        + [one for one in pip if not one.startswith("-")]
    )
    assert both.items() <= constraints().items(), "environment.yml pins another version than constraints.txt"


# --- nothing says where it was made -------------------------------------------------------------------------

FOLDERS = "work|root|home/[a-z]+|Users/[A-Za-z]+"
HOSTS = r"pypi\.org|files\.pythonhosted|registry\.npmjs|download\.pytorch\.org|conda\.anaconda"
MACHINE = re.compile(rf"(?<![\w.+/-])(?:file://)?/(?:{FOLDERS})/|{HOSTS}")
# pytorch.org's own index is the documented way to the small, CPU-only PyTorch, and it is the reader's choice.
ALLOWED = {("README.md", "download." + "pytorch.org")}


def files_of_the_repository():
    command = ["git", "ls-files", "-z", "-co", "--exclude-standard"]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.SubprocessError):
        pytest.skip("git cannot list the files here: this is no clone of the repository")
    return [ROOT / name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_nothing_names_a_machine_or_a_registry():
    found = []
    for path in files_of_the_repository():
        try:
            text, name = path.read_text("utf-8"), path.relative_to(ROOT).as_posix()
        except UnicodeDecodeError:
            continue  # a picture
        hits = {hit[0] for hit in MACHINE.finditer(text)}
        found += [f"{name}: {hit}" for hit in hits if (name, hit) not in ALLOWED]
    assert not found, "\n".join(found)


def test_the_rule_of_machines_bites():
    for text in ("see /{}/main", '"file:///{}/x"', "(/{}/x)", "PATH=/{}/bin"):
        assert MACHINE.search(text.format("work")) and MACHINE.search(text.format("root")), text
    assert MACHINE.search("https://pypi{}org/simple".format("."))
    for text in ("https://example.org/work/", "../work/", "a/root/b"):
        assert not MACHINE.search(text), text


def test_no_file_is_called_a_drawer():
    drawers = {"utils", "util", "helpers", "helper", "common", "misc"}
    found = [path for path in files_of_the_repository() if drawers & set(path.with_suffix("").parts[-1:])]
    assert not found, f"what has no better name has no place yet: {found}"
