"""The stored notebooks are what `make notebooks` makes of the sources; and `make notebooks` does what it promises."""

import ast
import importlib
import importlib.util
import inspect
import io
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import time
import tomllib
import types
import urllib.error
import urllib.request
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parent.parent
specification = importlib.util.spec_from_file_location("notebooks", ROOT / "tools" / "notebooks.py")
notebooks = importlib.util.module_from_spec(specification)
specification.loader.exec_module(notebooks)

SOURCES = notebooks.chapters()
MACHINE = re.compile(r"/(?:home|root|tmp|Users|work|var/folders)/|[A-Z]:\\\\?Users")
every_chapter = pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)


def stored(source):
    path = notebooks.notebook_of(source)
    assert path.is_file(), f"{source.stem} has no stored notebook: run `make notebooks`"
    return nbformat.read(path, as_version=4)


def outputs(notebook):
    return [(n, output) for n, cell in enumerate(notebook.cells, 1) for output in cell.get("outputs", [])]


def test_there_are_chapters():
    assert SOURCES, "no chapters/sources/NN_name.py found"


# What is stored


@every_chapter
def test_stored_notebook_is_made_from_its_source(source):
    written, kept = notebooks.read_source(source).cells, stored(source).cells
    same = [(c.id, c.cell_type, c.source, c.metadata) for c in written] == [
        (c.id, c.cell_type, c.source, c.metadata) for c in kept
    ]
    assert same, f"{source.stem}: the stored notebook's cells are not those of {source.name}: run `make notebooks`"


@every_chapter
def test_stored_notebook_is_current(source):
    made_from, now = stored(source).metadata.get("course", {}), notebooks.fingerprint(source)
    changed = " and ".join(part for part in now if made_from.get(part) != now[part])
    assert not changed, f"{source.stem}: its {changed} changed since it was executed: run `make notebooks`"


@every_chapter
def test_stored_notebook_is_clean(source):
    path, notebook = notebooks.notebook_of(source), stored(source)
    text = path.read_text(encoding="utf8")
    size = path.stat().st_size
    assert size <= notebooks.LARGEST, f"{source.stem} is {size / 1e6:.2f} MB; {notebooks.LARGEST / 1e6} are allowed"
    assert "jupyter.widget" not in text, f"{source.stem} carries widgets, which show an error without their kernel"
    for cell, output in outputs(notebook):
        where = f"{source.stem}, cell {cell}"
        shown = json.dumps({k: v for k, v in output.get("data", {}).items() if not k.startswith("image/")})
        shown += output.get("text", "")
        assert output.output_type != "error", f"{where} shows an error"
        assert output.get("name") != "stderr", f"{where} writes to stderr"
        assert not notebooks.ADDRESS.search(shown), f"{where} shows a memory address"
        assert not MACHINE.search(shown), f"{where} shows a folder of a machine: {MACHINE.search(shown)[0]}"


@every_chapter
def test_every_exploration_has_a_player(source):
    calls = [
        node
        for node in ast.walk(ast.parse(source.read_text(encoding="utf8")))
        if isinstance(node, ast.Call) and getattr(node.func, "id", None) == "explore"
    ]
    players = [
        o for _, o in outputs(stored(source)) if 'class="course-player"' in o.get("data", {}).get("text/html", "")
    ]
    assert len(players) == len(calls), f"{source.stem}: {len(calls)} calls of explore, {len(players)} players stored"


KINDS = {"setup", "drawing", "checking"}  # of code cells; what carries none of these tags is an idea


def kind(cell):
    """ "text", "idea", or what the page folds away: "setup", "drawing", "checking"."""
    return "text" if cell.cell_type != "code" else next(iter(KINDS & set(cell.metadata.get("tags", []))), "idea")


def length(cell):
    return len([line for line in cell.source.splitlines() if line.strip()])


@every_chapter
def test_no_line_of_prose_is_taken_for_a_command(source):
    """A line that begins with a per cent sign would be one, and the sentence around it would fall apart."""
    assert re.findall(r"^# *%(?!%).*", source.read_text("utf-8"), re.MULTILINE) == []


@every_chapter
def test_code_cells_stay_short(source):
    """An idea has 8 lines in the median and 25 at most; what draws or checks is 30 at most (blank lines aside)."""
    cells = [cell for cell in notebooks.read_source(source).cells if cell.cell_type == "code"]
    ideas = [length(cell) for cell in cells if kind(cell) == "idea"]
    assert statistics.median(ideas) <= 8, f"{source.stem}: half of its ideas have more than 8 lines: {sorted(ideas)}"
    for cell in cells:
        most = 25 if kind(cell) == "idea" else 30
        assert length(cell) <= most, f"{source.stem}: {length(cell)} lines, {most} are enough:\n{cell.source[:200]}"


@every_chapter
def test_what_is_shown_is_its_cells_last_word(source):
    """A table or a picture that is made before the last line of a cell is not on the page."""
    cells = [cell for cell in notebooks.read_source(source).cells if cell.cell_type == "code"]
    imports = [node for cell in cells for node in ast.walk(ast.parse(cell.source)) if isinstance(node, ast.ImportFrom)]
    shows = {name.name for node in imports if (node.module or "").startswith("course_lib.show.") for name in node.names}
    for cell in cells:
        for statement in ast.parse(cell.source).body[:-1]:
            called = getattr(getattr(getattr(statement, "value", None), "func", None), "id", "")
            lost = isinstance(statement, ast.Expr) and called in shows
            assert not lost, f"{source.stem}: nobody sees what line {statement.lineno} shows:\n{cell.source[:200]}"


@every_chapter
def test_each_idea_is_read(source):
    """After an idea, and what draws or checks it, stands a sentence."""
    cells = notebooks.read_source(source).cells
    kinds = [kind(cell) for cell in cells]
    for number, cell in enumerate(cells):
        if kinds[number] == "idea":
            after = next((k for k in kinds[number + 1 :] if k in ("text", "idea")), None)
            assert after == "text", f"{source.stem}: nobody says what this idea shows:\n{cell.source[:200]}"


@every_chapter
def test_tags_are_known(source):
    known = KINDS | {"nbval-check-output"}
    for cell in notebooks.read_source(source).cells:
        tags = {tag for tag in cell.metadata.get("tags", []) if not tag.startswith("twin:")}
        assert tags <= known, f"{source.stem}: a cell is tagged {', '.join(tags - known)}; there are {', '.join(known)}"


@every_chapter
def test_code_is_as_wide_as_a_page_shows(source):
    width = tomllib.loads((source.parent / "ruff.toml").read_text("utf-8"))["line-length"]
    for number, cell in enumerate(notebooks.read_source(source).cells, 1):
        wide = [line for line in cell.source.splitlines() if cell.cell_type == "code" and len(line) > width]
        assert not wide, f"{source.stem}, cell {number}: more than {width} characters in {wide}"


# What every front end shows


@every_chapter
def test_a_chapter_begins_with_its_title_and_its_time(source):
    chapter = tomllib.loads((source.parents[1] / "chapters.toml").read_text("utf-8"))[source.stem]
    first = notebooks.read_source(source).cells[0].source
    assert first.startswith(f"# {chapter['title']}\n"), "chapters/chapters.toml has another title"
    assert f"Laptop: under {chapter['seconds']} seconds" in first, "chapters/chapters.toml has another time"


PAGES = sorted((ROOT / "chapters").glob("*.md"))
ROLE = re.compile(r"\{[a-z][\w:+-]*\}`")
LINK = re.compile(r"\]\(([^()\s]+)\)")


def prose(path):
    """A page, or the text of a chapter or an assignment."""
    if path.suffix == ".md":
        return path.read_text("utf-8")
    return "\n\n".join(cell.source for cell in notebooks.read_source(path).cells if cell.cell_type == "markdown")


def anchors(path):
    """The names of a page's headings, as GitHub, the book and (of small letters) JupyterLab make them."""
    headings = re.findall(r"^#+ (.+)$", prose(path), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}


READ = [*SOURCES, *sorted((ROOT / "coursework").glob("[0-9]*.py")), *PAGES]


@pytest.mark.parametrize("path", READ, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_citations_and_links_are_plain_and_lead_somewhere(path):
    text = prose(path)
    assert not ROLE.search(text), "a role, such as {cite:t}`…`, is shown raw wherever a notebook is opened"
    folder = path.parents[1] if path.parent.name == "sources" else path.parent
    for link in LINK.findall(text):
        name, _, anchor = link.partition("#")
        if re.match(r"\w+:", link):
            continue  # the web
        target = folder / name if name else path
        planned = target.suffix == ".ipynb" and (folder / "sources" / f"{target.stem}.py").is_file()
        assert target.is_file() or planned, f"{link}: no such file"
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), f"{link}: {target.name} has no such heading"


def test_the_rule_of_roles_bites():
    for text in ("{cite:t}`a`", "{doc}`b`", "{ref}`c <d>`", "{term}`e`"):
        assert ROLE.search(text)
    assert not ROLE.search("a set {a, b} and `code`, $x_{ij}$`")


# The first code cell, where the library is not installed


def first_cell(source):
    return next(cell for cell in notebooks.read_source(source).cells if cell.cell_type == "code")


def test_the_first_code_cell_is_the_same_everywhere():
    assert len({first_cell(source).source for source in SOURCES}) == 1
    assert all(first_cell(source).metadata["tags"] == ["setup"] for source in SOURCES)


@pytest.fixture
def run_first_cell(monkeypatch):
    """A function that runs the first cell as another machine would, and returns what was started there."""

    def run(installed, colab=None):
        started = []

        def ask(address):
            if not colab:
                raise urllib.error.URLError("no such server")
            return io.BytesIO(colab.encode())

        monkeypatch.setattr(importlib.util, "find_spec", lambda name: object() if installed else None)
        monkeypatch.setattr(subprocess, "run", lambda command, **_: started.append(command))
        monkeypatch.setattr(urllib.request, "urlopen", ask)
        if colab is not None:
            monkeypatch.setitem(sys.modules, "google.colab", types.ModuleType("google.colab"))
        exec(first_cell(SOURCES[0]).source, {})
        return started

    return run


SESSION = '[{"name": "02.ipynb", "path": "fileId=%s", "type": "notebook"}]'
ON_GITHUB = "https%3A//github.com/someone/course/blob/main/chapters/02_autoencoder.ipynb"


def test_where_the_library_is_the_first_cell_does_nothing(run_first_cell):
    assert run_first_cell(installed=True) == []


def test_without_the_library_the_first_cell_says_what_to_run(run_first_cell):
    with pytest.raises(ModuleNotFoundError, match=r"^course_lib is not installed: run `pip install -e \.`.*$"):
        run_first_cell(installed=False)


def test_on_colab_the_first_cell_installs_from_the_notebooks_own_repository(run_first_cell):
    """Simulated: Colab's session API names, as a fileId, the address that a notebook was opened from."""
    (command,) = run_first_cell(installed=False, colab=SESSION % ON_GITHUB)
    assert command == [sys.executable, "-m", "pip", "install", "--quiet", "git+https://github.com/someone/course@main"]


@pytest.mark.parametrize("colab", [SESSION % "1aBcD", ""], ids=["a copy on Drive", "no such API"])
def test_on_colab_from_elsewhere_the_first_cell_says_what_to_run(colab, run_first_cell):
    with pytest.raises(ModuleNotFoundError, match="course_lib is not installed"):
        run_first_cell(installed=False, colab=colab)


# Twins: what stands in a chapter and in the library is the same


def without_docstrings(tree):
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        is_text = isinstance(body, list) and body and isinstance(body[0], ast.Expr)
        if is_text and isinstance(body[0].value, ast.Constant) and isinstance(body[0].value.value, str):
            node.body = body[1:] or [ast.Pass()]
    return ast.dump(tree)


def without_types(function):
    """A page leaves them out: its comments say the shapes, which no annotation can."""
    for node in ast.walk(function):
        if isinstance(node, ast.arg):
            node.annotation = None
        elif isinstance(node, ast.FunctionDef):
            node.returns = None
    return function


def definition(text, name):
    found = [n for n in ast.parse(text).body if getattr(n, "name", None) == name]
    return without_docstrings(without_types(without_doors(found[0]))) if found else None


def without_doors(tree):
    """`tree` without its calls of `expect_…`: what a library says to a wrong argument is no part of an idea."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            node.body = [line for line in node.body if not ast.unparse(line).startswith("expect_")]
    return tree


@every_chapter
def test_twins_equal_the_library(source):
    """A cell tagged `twin:course_lib.layers.Name` defines Name as the library does, docstrings, types, doors aside."""
    for cell in notebooks.read_source(source).cells:
        for tag in cell.metadata.get("tags", []):
            if tag.startswith("twin:"):
                path = tag.removeprefix("twin:")
                module, name = path.rsplit(".", 1)
                library = inspect.getsource(getattr(importlib.import_module(module), name))
                here = definition(cell.source, name)
                assert here, f"{source.stem}: a cell is tagged {tag} and does not define {name}"
                assert here == definition(library, name), f"{source.stem}: {name} is not what {path} is"


@pytest.mark.parametrize(
    ("other", "same"),
    [
        ('def f(x: int):\n    """Other words."""\n    return x + 1', True),
        ("def f(x: int):\n    return x + 1  # a comment", True),
        ("def f(x: int):\n    expect_count('x', x)\n    return x + 1", True),
        ("def f(x: int):\n    return x + 2", False),
        ("def f(x) -> float:\n    return x + 1", True),
        ("def f(x, y):\n    return x + 1", False),
        ("def g(x: int):\n    return x + 1", False),
    ],
)
def test_twins_are_compared_by_their_trees(other, same):
    original = 'def f(x: int):\n    """Add one."""\n    return x + 1'
    assert (definition(other, "f") == definition(original, "f")) is same


# The tool, on a course of one small chapter

CHAPTER = """\
# %% [markdown]
# # A small chapter

# %% tags=["drawing"]
import base64
from IPython.display import Image, display
from tqdm.auto import tqdm
from course_lib.small import three

dot = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
display(Image(base64.b64decode(dot)))

# %%
for _ in tqdm(range(three)):
    print("step")

# %%
import os
import ipywidgets

slider = ipywidgets.IntSlider()
shown = slider._repr_mimebundle_() | {"text/plain": "a slider", "text/html": "<b>a player</b>"}
display(shown, raw=True)
print(os.environ["COURSE_PUBLISH"])
"""


@pytest.fixture
def course(tmp_path):
    """A course in a temporary folder: one chapter, and a library of one constant."""
    for name, text in {"chapters/sources/01_small.py": CHAPTER, "course_lib/small.py": "three = 3\n"}.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf8")
    (tmp_path / "course_lib" / "__init__.py").touch()
    (tmp_path / "course_lib" / "unused.py").touch()
    return tmp_path


@pytest.fixture
def change(course):
    """Append a cell to the chapter."""
    path = course / "chapters" / "sources" / "01_small.py"
    return lambda cell: path.write_text(f"{CHAPTER}\n# %%\n{cell}\n", encoding="utf8")


def files(course):
    return {p.name: p.read_bytes() for p in sorted((course / "chapters").rglob("*")) if p.suffix in (".ipynb", ".png")}


@pytest.mark.slow
def test_notebooks_are_stored_once_and_the_same_each_time(course, capsys):
    assert notebooks.main([], course) == 0
    first = files(course)
    assert set(first) == {"01_small.ipynb", "01_small.png"}
    notebook = nbformat.reads(first["01_small.ipynb"].decode(), as_version=4)
    kept = [o.data if "data" in o else o.text for _, o in outputs(notebook)]
    assert kept[1] == "step\nstep\nstep\n"  # the bar itself is gone
    assert kept[2] == {"text/plain": "a slider", "text/html": "<b>a player</b>"}
    assert kept[3:] == ["1\n"]
    assert "widgets" not in notebook.metadata
    assert notebook.cells[1].metadata == {"tags": ["drawing"]}

    capsys.readouterr()
    assert notebooks.main([], course) == 0
    assert "running" not in capsys.readouterr().out
    assert notebooks.main(["--force", "01"], course) == 0
    assert files(course) == first


DEPENDS = {  # what changes, and whether the chapter's notebook is then stale
    "chapters/sources/01_small.py": True,
    "course_lib/small.py": True,
    "course_lib/imported.py": True,
    "course_lib/unused.py": False,
    "course_lib/page.html": True,
    "course_lib/other.html": False,
    "course_lib/__pycache__/small.pyc": False,
    "data/table.csv": True,
    "data/samples/word.wav": True,
    "data/unused.toml": False,
    "benchmarks/results/run.json": True,
    "benchmarks/results/unused.json": False,
}


@pytest.mark.parametrize(("changed", "stale"), DEPENDS.items())
def test_what_a_notebook_depends_on(changed, stale, course, capsys, monkeypatch):
    monkeypatch.setattr(notebooks, "execute", notebooks.read_source)
    for name in DEPENDS:
        (course / name).parent.mkdir(parents=True, exist_ok=True)
        (course / name).touch()
    (course / "course_lib" / "small.py").write_text(
        "from .imported import x\npage = Path(__file__).with_name('page.html')\nthree = shipped('table.csv')\n"
    )
    source = course / "chapters" / "sources" / "01_small.py"
    source.write_text(
        source.read_text() + "\n# %%\nword = shipped('samples/word.wav')\nrun = shipped('results/run.json')\n"
    )
    assert notebooks.main(["--check"], course) == 1
    assert "01_small" in capsys.readouterr().out
    assert notebooks.main([], course) == 0 == notebooks.main(["--check"], course)
    with (course / changed).open("a") as file:
        file.write("\n# another line\n")
    assert notebooks.main(["--check"], course) == stale


def test_a_shipped_file_whose_name_is_computed_could_be_any(course):
    (course / "data").mkdir()
    (course / "data" / "some.toml").touch()
    (course / "course_lib" / "small.py").write_text("three = [shipped(name) for name in names]\n")
    (source,) = notebooks.chapters(course)
    assert course / "data" / "some.toml" in notebooks.library_of(source)


def test_unknown_chapter_is_refused(course, capsys):
    with pytest.raises(SystemExit):
        notebooks.main(["77"], course)
    assert "01_small" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("1 / 0", r"cell 5 \(`1 / 0`\) fails(.|\n)*ZeroDivisionError"),
        ("import warnings; warnings.warn('take care')", r"cell 5 .*stderr(.|\n)*take care"),
        ("object()", r"cell 5 .*memory address"),
        ("print(os.getcwd() + '/file')", r"cell 5 .*folder of this machine"),
        ("from IPython.display import HTML\nHTML('x' * 2_000_000)", r"2\.\d\d MB; the budget is 1\.50 MB(.|\n)*cell 5"),
    ],
)
def test_what_is_refused_leaves_the_old_notebook(course, change, cell, message, capsys):
    path = course / "chapters" / "01_small.ipynb"
    path.write_text("what was stored before")
    change(cell)
    assert notebooks.main(["--force"], course) == 1
    assert re.search(message, capsys.readouterr().err)
    assert path.read_text() == "what was stored before"
    assert not [p for p in path.parent.iterdir() if p.name.startswith(".")]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for one process")
@pytest.mark.slow
def test_interrupted_leaves_the_old_notebook(course, change, patience):
    path = course / "chapters" / "01_small.ipynb"
    path.write_text("what was stored before")
    started = course / "started"
    change(f"open({str(started)!r}, 'w').close()\nimport time\ntime.sleep({2 * patience})")
    # A process that a shell started in the background ignores Ctrl-C, and so would this one, its child.
    code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    code += f"import sys; sys.path.insert(0, {str(ROOT / 'tools')!r}); import notebooks, pathlib; "
    code += f"sys.exit(notebooks.main(['--force'], pathlib.Path({str(course)!r})))"
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)
    while not started.exists():
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=patience)
    assert process.returncode == 130, said
    assert "interrupted" in said
    assert path.read_text() == "what was stored before"
