"""Assignments: the checks bite, a release gives nothing away, and one bad submission never stops a class.

A new assignment `coursework/NN_name.py` is covered without a change here; what it needs is its list of typical
mistakes, `tests/mistakes/NN_name.md`.
"""

import ast
import csv
import json
import re
import shutil
import subprocess
import sys
import textwrap
import warnings
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import jupytext
import nbformat
import psutil
import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "coursework").glob("[0-9][0-9]_*.py"))
HEADING = re.compile(r"^## (\w+): ([^\n]+)\n+```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
SOLUTION = re.compile(r"^( *)### BEGIN SOLUTION\n.*?### END SOLUTION", re.MULTILINE | re.DOTALL)
HIDDEN = re.compile(r"^ *### BEGIN HIDDEN TESTS\n(.*?)### END HIDDEN TESTS", re.MULTILINE | re.DOTALL)


@cache
def cells_of(source):
    """The code cells of an assignment as pairs (grade_id, text)."""
    cells = jupytext.read(source, fmt="py:percent").cells
    return [(c.metadata.get("nbgrader", {}).get("grade_id", ""), c.source) for c in cells if c.cell_type == "code"]


def exercises_of(source):
    """The names of an assignment's exercises: `exercise1_solution` is the solution of exercise1."""
    return [name.removesuffix("_solution") for name, _ in cells_of(source) if name.endswith("_solution")]


def solution_of(source, exercise):
    return dict(cells_of(source))[f"{exercise}_solution"]


def mistakes_of(source):
    """Triples (exercise, what is wrong, text); the stub that students get is everyone's first."""
    for exercise in exercises_of(source):
        yield exercise, "the stub", SOLUTION.sub(r"\1raise NotImplementedError()", solution_of(source, exercise))
    text = (ROOT / "tests" / "mistakes" / f"{source.stem}.md").read_text("utf-8")
    yield from (match.groups() for match in HEADING.finditer(text))


@contextmanager
def one_thread():
    """Networks this small are faster on one core, and many times so when another test keeps the others busy."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def states():
    """A function: source -> {exercise: the names that stand when it is reached}, from one run with all solutions."""
    import matplotlib

    matplotlib.use("agg")

    @cache
    def run(source):
        namespace, before = {"__name__": "assignment"}, {}
        with one_thread(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the training's many libraries; `make grade` does the same
            for name, text in cells_of(source):
                if name.endswith("_solution"):
                    before[name.removesuffix("_solution")] = dict(namespace)
                exec(compile(text, name, "exec"), namespace)
        return before

    return run


def run_checks(state, source, exercise, answer, only=("visible", "hidden")):
    """Run the checks of one exercise on an answer; raises what they raise, and AssertionError where one shows a value.

    For what a check cell ends in, nbgrader would read as points.
    """
    namespace = dict(state)
    exec(answer, namespace)
    for name, text in cells_of(source):
        if name in {f"{exercise}_{kind}" for kind in only}:
            tree = ast.parse(text)
            last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
            exec(compile(tree, name, "exec"), namespace)
            shown = eval(compile(ast.Expression(last.value), name, "eval"), namespace) if last else None
            assert shown is None, f"{name} ends in {shown!r}, which nbgrader would read as points"


def case(source, *rest):
    """One parameter set, with a name that says whose it is."""
    return pytest.param(source, *rest, id="-".join([source.stem, *rest[:2]]))


EXERCISES = [case(s, e) for s in SOURCES for e in exercises_of(s)]
MISTAKES = [case(s, *m) for s in SOURCES for m in mistakes_of(s)]
each_source = pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)


# --- the checks bite ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("source", "exercise"), EXERCISES)
def test_the_checks_pass_on_the_solution(states, source, exercise, capsys):
    state = states(source)[exercise]
    capsys.readouterr()
    run_checks(state, source, exercise, solution_of(source, exercise))
    assert capsys.readouterr().err == "", "nbgrader counts a check that writes to stderr as failed"


@pytest.mark.parametrize(("source", "exercise", "wrong", "answer"), MISTAKES)
def test_the_checks_refuse(states, source, exercise, wrong, answer):
    state = states(source)[exercise]
    if wrong == "the stub":
        with pytest.raises(NotImplementedError):
            run_checks(state, source, exercise, answer, only=["visible"])
        with pytest.raises((NotImplementedError, NameError)):  # it may need what the visible one defines
            run_checks(state, source, exercise, answer, only=["hidden"])
        return
    with pytest.raises(AssertionError) as error:
        run_checks(state, source, exercise, answer)
    assert len(str(error.value)) > 40, "a message must teach"
    if wrong.endswith("(subtle)"):
        run_checks(state, source, exercise, answer, only=["visible"])


@pytest.mark.parametrize(("source", "exercise"), EXERCISES)
def test_an_exercise_is_complete(source, exercise):
    names = {name for name, _ in cells_of(source)}
    assert {f"{exercise}_visible", f"{exercise}_hidden"} <= names
    known = [what for name, what, _ in mistakes_of(source) if name == exercise and what != "the stub"]
    assert len(known) >= 2, f"tests/mistakes/{source.stem}.md needs two typical mistakes of {exercise}"
    assert any(what.endswith("(subtle)") for what in known), "which mistake do only the hidden checks find?"
    (function,) = [n for n in ast.parse(solution_of(source, exercise)).body if isinstance(n, ast.FunctionDef)]
    assert len(function.body) <= 15
    assert "->" in ast.get_docstring(function), "the docstring is the specification: what comes out?"


# --- no answer stands ready ---------------------------------------------------------------------------------


def shape_of(function):
    """A function's body as text, its docstring and the choice of names aside."""
    body = function.body[1:] if ast.get_docstring(function) else function.body
    text = "".join(ast.dump(statement) for statement in body)
    return re.sub(r"Name\(id='\w+'", "Name(", text)


def functions(tree):
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]


@cache
def functions_of_the_library():
    """Triples (file, name, body as text) of every function."""
    files = sorted((ROOT / "course_lib").rglob("*.py"))
    return [(p.name, f.name, shape_of(f)) for p in files for f in functions(ast.parse(p.read_text("utf-8")))]


@pytest.mark.parametrize(("source", "exercise"), EXERCISES)
def test_no_answer_stands_ready_in_the_library(source, exercise):
    (answer,) = functions(ast.parse(solution_of(source, exercise)))
    for file, name, shape in functions_of_the_library():
        assert name != answer.name, f"{file} defines {answer.name}"
        assert shape != shape_of(answer), f"{file}: {name} is the answer"


# --- release and grade --------------------------------------------------------------------------------------


def grading_command(course, *arguments, sources=None):
    """The command line, as a teacher would type it."""
    command = [sys.executable, "-u", ROOT / "tools" / "grading" / "grading.py", "--course", course]
    return [*command, *(["--sources", sources] if sources else []), *map(str, arguments)]


@pytest.fixture(scope="session")
def grading(run):
    """A function that runs that command: grading(course, "grade", folder)."""
    return lambda *arguments, **options: run(grading_command(*arguments, **options))


@pytest.fixture(scope="session")
def course(tmp_path_factory, grading):
    """A course directory in which all assignments are released."""
    folder = tmp_path_factory.mktemp("course")
    done = grading(folder, "release")
    assert done.returncode == 0, done.stderr
    assert done.stderr == "", "nothing of nbgrader's noise is for the teacher"
    return folder


def released(course, name):
    return nbformat.read(course / "release" / name / f"{name}.ipynb", as_version=4)


def statements(code):
    """What a piece of code does, one text a statement, however it is broken into lines; imports aside."""
    tree = ast.parse(textwrap.dedent(code))
    simple = (n for n in ast.walk(tree) if isinstance(n, ast.stmt) and not hasattr(n, "body"))
    return {ast.unparse(n) for n in simple if not isinstance(n, ast.Import | ast.ImportFrom)}


@each_source
def test_a_release_gives_nothing_away(course, source):
    from nbgrader.nbgraderformat import MetadataValidator

    notebook = released(course, source.stem)
    MetadataValidator().validate_nb(notebook)
    text = "\n".join(cell.source for cell in notebook.cells)
    assert "BEGIN SOLUTION" not in text
    assert "HIDDEN TESTS" not in text
    secrets = [m[0] for _, cell in cells_of(source) for m in (*SOLUTION.finditer(cell), *HIDDEN.finditer(cell))]
    assert len(secrets) == 2 * len(exercises_of(source))
    handed_out = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    assert not set().union(*map(statements, secrets)) & set().union(*map(statements, handed_out))
    assert not any(cell.get("outputs") for cell in notebook.cells)
    assert text.count("raise NotImplementedError()") >= len(exercises_of(source))


TINY = """
# %% [markdown]
# # Tiny

# %% nbgrader={"grade": false, "grade_id": "exercise1_solution", "locked": false, "schema_version": 3, "solution": true}
def double(x):
    ### BEGIN SOLUTION
    return 2 * x
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "exercise1_visible", "locked": true, "points": 1, "schema_version": 3, "solution": false}
assert double(1) == 2, "twice one is two"

# %% nbgrader={"grade": true, "grade_id": "exercise1_hidden", "locked": true, "points": 2, "schema_version": 3, "solution": false}
### BEGIN HIDDEN TESTS
assert double(-3) == -6
### END HIDDEN TESTS

# %% nbgrader={"grade": false, "grade_id": "exercise2_solution", "locked": false, "schema_version": 3, "solution": true}
def half(x):
    ### BEGIN SOLUTION
    return x / 2
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "exercise2_visible", "locked": true, "points": 2, "schema_version": 3, "solution": false}
assert half(2) == 1
"""  # noqa: E501

DOUBLE, HALF = "def double(x):\n    return x + x", "def half(x):\n    return x / 2"
LEAVES = (  # a process that would outlive its kernel: a session of its own, and its parent gone
    "import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', 'import subprocess, sys; subprocess.Popen("
    '[sys.executable, "-c", "import time; time.sleep(987.125)"], start_new_session=True)\'],'
    " start_new_session=True).wait()\n"
)
TIMEOUT = 15  # seconds for a cell of these: what is right takes none of them, however busy the machine
# what the student wrote for (exercise 1, exercise 2) -> points, status, and a word of the message
ANSWERS = {
    "perfect": (DOUBLE, HALF, 3, 2, "graded", ""),
    "half [1] *?": ("def double(x):\n    return 2", HALF, 1, 2, "graded", "exercise1_hidden: AssertionError"),
    "loop": (DOUBLE, "import time\ndef half(x):\n    while True: time.sleep(1)", 3, 0, "timeout",
             f"stopped after {TIMEOUT} s"),
    "exit": (DOUBLE, "exit()\nimport os\nos._exit(1)", 3, 0, "kernel died", "exercise2_visible"),
    "syntax": ("def double(x) return", HALF, 0, 2, "graded", "NameError"),
    "stderr": (DOUBLE, "import sys\nprint(1, file=sys.stderr)\n" + HALF, 3, 2, "graded", ""),
    "warns": (DOUBLE, "def half(x):\n    import logging\n    logging.warning(1)\n    return x / 2", 3, 2, "graded", ""),
    "deaf": (DOUBLE, "import time\ndef half(x):\n    while True:\n        try: time.sleep(1)\n"
             "        except KeyboardInterrupt: pass", 3, 0, "timeout", f"stopped after {TIMEOUT} s"),
    "displays": (DOUBLE + "\ndisplay({'text/plain': 5, 'text/html': None}, raw=True)", HALF, 3, 2, "graded", ""),
    "no folder": (DOUBLE + "\nimport os, shutil\nshutil.rmtree(os.getcwd())", HALF, 3, 2, "graded", ""),
    "leaves": (DOUBLE, LEAVES + HALF, 3, 2, "graded", ""),
    "flood": (DOUBLE, HALF + "\nfor i in range(3000): print('x' * 1000)", 3, 2, "graded", ""),
    "=cmd()": (DOUBLE + "\nraise ValueError('x' * 10**7)", HALF, 3, 2, "graded", ""),
}  # fmt: skip
# where it lies, where not in a folder of the student's, under the assignment's name
PLACES = {"flood": "flood__01_tiny.ipynb", "=cmd()": "=cmd()/01_tiny/my work.ipynb"}  # this one is known by its cells


def answered(notebook, answers):
    """A student's notebook: the release, with text of their own in the cells named."""
    notebook = nbformat.from_dict(json.loads(nbformat.writes(notebook)))
    for cell in notebook.cells:
        cell.source = answers.get(cell.metadata.get("nbgrader", {}).get("grade_id"), cell.source)
    return notebook


def hand_in(folder, name, notebook):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(notebook if isinstance(notebook, str) else nbformat.writes(notebook), encoding="utf-8")


def table(course):
    with (course / "grades.csv").open(encoding="utf-8-sig", newline="") as file:
        return {row["student"].removeprefix("'"): row for row in csv.DictReader(file)}


@pytest.fixture(scope="session")
def tiny(tmp_path_factory, grading):
    """The sources of a tiny assignment, a course directory in which it is released, and the released notebook."""
    sources = tmp_path_factory.mktemp("sources")
    (sources / "01_tiny.py").write_text(TINY.lstrip(), encoding="utf-8")
    course = tmp_path_factory.mktemp("tiny")
    assert grading(course, "release", sources=sources).returncode == 0
    return sources, course, released(course, "01_tiny")


def cmdline(process):
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def test_a_class_is_graded_whatever_it_hands_in(tmp_path, tiny, grading):
    sources, empty_course, handed_out = tiny
    course, folder = shutil.copytree(empty_course, tmp_path / "course [a-z]*"), tmp_path / "class [1]"
    expected = {}
    for student, (one, two, *row) in ANSWERS.items():
        notebook = answered(handed_out, {"exercise1_solution": one, "exercise2_solution": two})
        hand_in(folder, PLACES.get(student, f"{student}/01_tiny.ipynb"), notebook)
        expected[student] = tuple(row)
    hand_in(folder, "=cmd()/notes.ipynb", nbformat.v4.new_notebook())

    right = answered(handed_out, {"exercise1_solution": DOUBLE, "exercise2_solution": HALF})
    tampered = answered(right, {"exercise1_visible": "pass", "exercise1_hidden": "100", "exercise1_solution": ""})
    tampered.cells = [c for c in tampered.cells if "exercise2" not in str(c.metadata)]
    hand_in(folder, "tampered/01_tiny/01_tiny.ipynb", tampered)
    put_back = "exercise1_hidden was changed, put back; exercise2_solution was deleted, put back"
    expected["tampered"] = (0, 0, "graded", put_back)
    hand_in(folder, "broken/01_tiny.ipynb", '{"cells": [')
    expected["broken"] = (0, 0, "unreadable", "no notebook")
    hand_in(folder, "empty/01_tiny.ipynb", "")
    expected["empty"] = (0, 0, "unreadable", "the file is empty")
    other = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1 + 1")])
    hand_in(folder, "other/01_tiny.ipynb", other)
    expected["other"] = (0, 0, "another notebook", "none of the assignment's cells")
    odd = json.loads(nbformat.writes(right))
    odd["cells"].append({"cell_type": "?", "source": ["\ud83d"], "metadata": {"nbgrader": {"grade_id": [1]}}})
    hand_in(folder, "odd/01_tiny.ipynb", json.dumps(odd))
    expected["odd"] = (3, 2, "graded", "")
    hand_in(folder, "nothing/answer.txt", "42")
    expected["nothing"] = (0, 0, "missing", "no notebook")

    done = grading(course, "grade", folder, "--timeout", TIMEOUT, sources=sources)
    assert done.stderr == ""
    rows = table(course)
    got = {s: (float(r["exercise1"]), float(r["exercise2"]), r["status"]) for s, r in rows.items()}
    assert got == {student: row[:3] for student, row in expected.items()}
    for student, row in rows.items():
        assert expected[student][3] in row["message"], row
        assert float(row["total"]) == float(row["exercise1"]) + float(row["exercise2"])
        assert row["max"] == "5.0"
    assert done.stdout.count("01_tiny: ") == len(expected), done.stdout
    assert len(list((course / "feedback").glob("*/01_tiny/01_tiny.html"))) == len(expected)
    assert all(path.stat().st_size < 1_000_000 for path in (course / "feedback").rglob("*.html"))

    assert not [p for p in psutil.process_iter() if "987.125" in " ".join(cmdline(p))], "it still runs"

    # once more: only what changed is graded, and what was graded stays in the table
    hand_in(folder, "empty/01_tiny.ipynb", right)
    hand_in(folder, "perfect/01_tiny.ipynb", '{"cells": 3}')
    again = grading(course, "grade", folder, "--timeout", TIMEOUT, sources=sources)
    assert again.stdout.count("01_tiny: ") == 2, again.stdout
    changed = table(course)
    assert (changed["empty"]["total"], changed["perfect"]["total"]) == ("5.0", "0.0")
    unchanged = rows.keys() - {"empty", "perfect"}
    assert {s: changed[s] for s in unchanged} == {s: rows[s] for s in unchanged}


def test_a_right_and_an_empty_answer_are_graded(course, tmp_path, grading):
    """One assignment stands for all: of each, the tests above run every check on the solution and on the stub."""
    source = SOURCES[0]
    notebook = released(course, source.stem)
    right = {f"{e}_solution": solution_of(source, e) for e in exercises_of(source)}
    hand_in(tmp_path, f"王 小明 Müller/{source.stem}.ipynb", answered(notebook, right))
    hand_in(tmp_path, f"stub/{source.stem}/{source.stem}.ipynb", notebook)
    done = grading(course, "grade", tmp_path, "--timeout", 600)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = {s: r for s, r in table(course).items() if r["assignment"] == source.stem}
    assert (rows["王 小明 Müller"]["total"], rows["王 小明 Müller"]["message"]) == (rows["stub"]["max"], "")
    assert (rows["stub"]["total"], rows["stub"]["status"]) == ("0.0", "graded")


def test_ctrl_c_keeps_what_was_graded(tmp_path, tiny, patience):
    sources, empty_course, handed_out = tiny
    course, folder = shutil.copytree(empty_course, tmp_path / "course"), tmp_path / "class"
    hand_in(folder, "a/01_tiny.ipynb", answered(handed_out, {"exercise2_solution": HALF}))
    endless = "import time\nwhile True: time.sleep(1)"
    hand_in(folder, "b/01_tiny.ipynb", answered(handed_out, {"exercise1_solution": endless}))
    command = grading_command(course, "grade", folder, "--timeout", patience, sources=sources)
    with subprocess.Popen([*map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert "a, 01_tiny: 2 of 5" in process.stdout.readline()
        process.send_signal(2)
        _, said = process.communicate(timeout=patience)
    assert process.returncode == 130
    assert said.strip() == "stopped; what was graded is kept, and the same command goes on from here"
    assert {s: r["total"] for s, r in table(course).items()} == {"a": "2.0"}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no interval timer")
def test_a_ctrl_c_that_somebody_swallows_comes_again(run, patience):
    script = (
        "import os, signal, sys, time\n"
        "sys.path.insert(0, sys.argv[1])\n"
        "import grading\n"
        "grading.insist_on_ctrl_c()\n"
        "try:\n    os.kill(os.getpid(), signal.SIGINT)\nexcept KeyboardInterrupt:\n    print('swallowed')\n"
        f"try:\n    time.sleep({patience})\nexcept KeyboardInterrupt:\n    print('heard')\n"
    )
    done = run([sys.executable, "-c", script, ROOT / "tools" / "grading"])
    assert done.stdout.split() == ["swallowed", "heard"], done.stderr


@pytest.mark.parametrize("folder", ["", "empty"])  # "" is what `make grade` gives without SUBMISSIONS
def test_a_folder_that_is_none_is_named(course, tmp_path, folder, grading):
    (tmp_path / "empty").mkdir()
    done = grading(course, "grade", tmp_path / folder if folder else "")
    assert done.returncode != 0
    assert ("holds no submissions" if folder == "empty" else "no folder") in done.stderr
    assert "Traceback" not in done.stderr
