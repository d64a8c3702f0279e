"""Who handed in what: folders as platforms, browsers and students leave them. Nobody is lost, nobody appears twice."""

import io
import json
import os
import sys
import zipfile
from pathlib import Path

import nbformat
import pytest

STUB = "raise NotImplementedError()"
TOOLS = Path(__file__).parents[1] / "tools" / "grading"


@pytest.fixture
def grading(monkeypatch):
    """The grader's modules that read submissions."""
    monkeypatch.syspath_prepend(str(TOOLS))
    import cells
    import collect

    yield collect, cells
    for name in ("cells", "collect"):
        sys.modules.pop(name, None)


def cell(name, text, *, locked=True, grade=True):
    known = {"grade_id": name, "grade": grade, "locked": locked, "solution": not locked, "schema_version": 3}
    return {"cell_type": "code", "source": text, "metadata": {"nbgrader": known}, "attachments": {}}


def assignment(number):
    """An assignment as it is handed out."""
    return [
        {"cell_type": "markdown", "source": f"# Assignment {number}", "metadata": {}, "attachments": {}},
        cell(
            "exercise1_solution", f"def answer{number}(x):\n    raise NotImplementedError()", locked=False, grade=False
        ),
        cell("exercise1_visible", f"assert answer{number}(1) == {number}, 'one gives the number itself'"),
        cell("exercise1_hidden", ""),
        cell(
            "exercise2_solution", f"def other{number}(x):\n    raise NotImplementedError()", locked=False, grade=False
        ),
        cell("exercise2_visible", f"assert other{number}(2) == {number}, 'two gives the number itself'"),
    ]


RELEASED = {f"0{number}_{name}": assignment(number) for number, name in ((2, "autoencoder"), (3, "sentences"))}
for number, theirs in zip((2, 3), RELEASED.values(), strict=True):
    for one in theirs[1:]:
        one["metadata"]["nbgrader"]["grade_id"] += f"_{number}"  # the two share no names


def work(name="02_autoencoder", answer="x + 1", metadata=True):
    cells = [dict(one, source=one["source"].replace(STUB, f"return {answer}"))
             for one in RELEASED[name]]  # fmt: skip
    nodes = [
        (nbformat.v4.new_code_cell if c["cell_type"] == "code" else nbformat.v4.new_markdown_cell)(
            c["source"], metadata=c["metadata"] if metadata else {}
        )
        for c in cells
    ]
    return nbformat.writes(nbformat.v4.new_notebook(cells=nodes))


CHAPTER = nbformat.writes(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("seed = 0")]))
WORK, OTHER = work(), work("03_sentences")


def archive(**files):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        for name, content in files.items():
            file.writestr(name, content)
    return out.getvalue()


def lay(folder, files):
    """Write {path: content}; each is a minute newer than the one before."""
    for minute, (name, content) in enumerate(files.items()):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        os.utime(path, (1e9 + 60 * minute, 1e9 + 60 * minute))
    return folder


def found(grading, folder):
    collect, _ = grading
    people = collect.find(folder, RELEASED, folder.parent / "unpacked")
    return {(s.student, (s.assignment or "")[:2]): s.path.name for s in people}


A, B, N = "02_autoencoder", "03_sentences", "ipynb"
# {what is handed in} -> {(student, assignment): the file that is graded}
LAYOUTS = {
    "folders": (
        {f"ann/{A}.ipynb": WORK, f"ann/{B}.ipynb": OTHER, f"王 小明/{A}/{A}.ipynb": WORK},
        {("ann", "02"): f"{A}.ipynb", ("ann", "03"): f"{B}.ipynb", ("王 小明", "02"): f"{A}.ipynb"},
    ),
    "flat": (
        {f"lea__{A}.ipynb": WORK, f"kim_{A}.ipynb": WORK, f"{A} Jo Li.ipynb": WORK, f"{A}-max.ipynb": WORK},
        {("lea", "02"): f"lea__{A}.ipynb", ("kim", "02"): f"kim_{A}.ipynb", ("Jo Li", "02"): f"{A} Jo Li.ipynb",
         ("max", "02"): f"{A}-max.ipynb"},
    ),
    "the chapter lies beside the work": (
        {f"ann/chapters/{A}.ipynb": CHAPTER, f"ann/chapters/{B}.ipynb": CHAPTER, f"ann/{A} (1).ipynb": WORK},
        {("ann", "02"): f"{A} (1).ipynb"},
    ),
    "only the chapter": ({f"ann/{A}.ipynb": CHAPTER}, {("ann", "02"): f"{A}.ipynb"}),
    "homework, with the name behind": (
        {f"hw_{A}_kim.ipynb": WORK, f"hw_{A}_lea.ipynb": WORK, f"HW {A} Anna Lee.ipynb": WORK},
        {("kim", "02"): f"hw_{A}_kim.ipynb", ("lea", "02"): f"hw_{A}_lea.ipynb",
         ("Anna Lee", "02"): f"HW {A} Anna Lee.ipynb"},
    ),
    "copies": (
        {f"Copy of {A} (Kim).ipynb": WORK, f"Copy of {A} - Lea.ipynb": WORK, f"Kopie von Max {A}.ipynb": WORK},
        {("Kim", "02"): f"Copy of {A} (Kim).ipynb", ("Lea", "02"): f"Copy of {A} - Lea.ipynb",
         ("Max", "02"): f"Kopie von Max {A}.ipynb"},
    ),
    "a second download": (
        {f"noa__{A}.ipynb": WORK, f"noa__{A} (1).ipynb": WORK},
        {("noa", "02"): f"noa__{A} (1).ipynb"},
    ),
    "archives": (
        {"mia.zip": archive(**{f"homework/{A}.ipynb": WORK}), "noa.ZIP": archive(**{"n.zip": archive(x=CHAPTER)}),
         "kim.rar": b"Rar!", "lea.zip": b"PK no archive"},
        {("mia", "02"): f"{A}.ipynb", ("noa", ""): "noa.ZIP", ("kim", ""): "kim.rar", ("lea", ""): "lea.zip"},
    ),
    "an archive in a folder": (
        {"ann/work.zip": archive(**{f"../../{A}.ipynb": WORK, "__MACOSX/._x.ipynb": "?"}), f"ben/{A}.ipynb": WORK},
        {("ann", "02"): f"{A}.ipynb", ("ben", "02"): f"{A}.ipynb"},
    ),
    "endings": (
        {f"noa__{A}.ipynb.txt": WORK, f"lea/{A}.IPYNB": WORK, f"kim__{A}.ipynb.json": WORK},
        {("noa", "02"): f"noa__{A}.ipynb.txt", ("lea", "02"): f"{A}.IPYNB", ("kim", "02"): f"kim__{A}.ipynb.json"},
    ),
    "one folder too deep": (
        {f"Course-99/ann/{A}.ipynb": WORK, f"Course-99/ben/{A}.ipynb": WORK, "Course-99/cyd/answer.docx": b"x"},
        {("ann", "02"): f"{A}.ipynb", ("ben", "02"): f"{A}.ipynb", ("cyd", ""): "cyd"},
    ),
    "the whole class in one archive": (
        {"class.zip": archive(**{f"c/ann/{A}.ipynb": WORK, f"c/ben/{A}.ipynb": WORK}), "list.csv": "x"},
        {("ann", "02"): f"{A}.ipynb", ("ben", "02"): f"{A}.ipynb"},
    ),
    "one student alone is not a class": (
        {f"ann/{A}/{A}.ipynb": WORK, f"ann/{B}/{B}.ipynb": OTHER},
        {("ann", "02"): f"{A}.ipynb", ("ann", "03"): f"{B}.ipynb"},
    ),
    "Moodle's folders": (
        {f"Ann Lee_4711_assignsubmission_file_/{A}.ipynb": WORK,
         "Ann Lee_4711_assignsubmission_onlinetext_/onlinetext.html": "<p>sorry, late",
         f"Ann Lee_4712_assignsubmission_file_/{A}.ipynb": WORK},
        {("Ann Lee_4711", "02"): f"{A}.ipynb", ("Ann Lee_4712", "02"): f"{A}.ipynb"},
    ),
    "Moodle, flat": (
        {f"Ann Lee_4711_assignsubmission_file_{A}.ipynb": WORK,
         "Ann Lee_4711_assignsubmission_onlinetext_onlinetext.html": "<p>"},
        {("Ann Lee_4711", "02"): f"Ann Lee_4711_assignsubmission_file_{A}.ipynb"},
    ),
    "Canvas": (
        {f"leekim_1001_555_{A}.ipynb": WORK, f"leekim_1001_556_{A}-1.ipynb": WORK,
         f"roemax_LATE_77_9_{A}-2.ipynb": WORK},
        {("leekim_1001", "02"): f"leekim_1001_556_{A}-1.ipynb", ("roemax_77", "02"): f"roemax_LATE_77_9_{A}-2.ipynb"},
    ),
    "Blackboard": (
        {f"Homework 2_kim1_attempt_2026-11-02-10-00-00_{A}.ipynb": work(answer="new"),
         "Homework 2_kim1_attempt_2026-11-02-10-00-00.txt": "Name: Kim",
         f"Homework 2_kim1_attempt_2026-11-01-10-00-00_{A}.ipynb": WORK,
         "Homework 2_lea_attempt_2026-11-01-11-00-00.txt": "Name: Lea"},
        {("kim1", "02"): f"Homework 2_kim1_attempt_2026-11-02-10-00-00_{A}.ipynb",
         ("lea", ""): "Homework 2_lea_attempt_2026-11-01-11-00-00.txt"},
    ),
    "Google Classroom": (
        {f"Kim Lee - {A}.ipynb": WORK, f"Mo Li - Copy of {A}.ipynb": WORK},
        {("Kim Lee", "02"): f"Kim Lee - {A}.ipynb", ("Mo Li", "02"): f"Mo Li - Copy of {A}.ipynb"},
    ),
    "ILIAS": (
        {f"Sheet_2_1234/Submissions/Lee_Kim_klee_88/20261101103000_{A}.ipynb": work(answer="old"),
         f"Sheet_2_1234/Submissions/Lee_Kim_klee_88/20261102103000_{A}.ipynb": WORK,
         f"Sheet_2_1234/Submissions/Roe_Max_mroe_89/20261101103000_{A}.ipynb": WORK, "Sheet_2_1234/status.xlsx": b""},
        {("Lee_Kim_klee_88", "02"): f"20261102103000_{A}.ipynb",
         ("Roe_Max_mroe_89", "02"): f"20261101103000_{A}.ipynb"},
    ),
    "Gradescope": (
        {f"assignment_5_export/submission_11/{A}.ipynb": WORK, f"assignment_5_export/submission_12/{A}.ipynb": WORK,
         "assignment_5_export/submission_metadata.yml":
             "submission_11:\n  :submitters:\n  - :name: Kim Lee\n    :sid: '1'\n"},
        {("Kim Lee", "02"): f"{A}.ipynb", ("submission_12", "02"): f"{A}.ipynb"},
    ),
    "nothing of use": (
        {"ann/answer.docx": b"x", "ben.pdf": b"x", f"cyd/{A}.ipynb": "{", "README.txt": "x", "grades.csv": "x"},
        {("ann", ""): "ann", ("ben", ""): "ben.pdf", ("cyd", "02"): f"{A}.ipynb"},
    ),
    "names without the cells' names": (
        {f"ann/{A}.ipynb": work(metadata=False), "ben/my work.ipynb": work(metadata=False)},
        {("ann", "02"): f"{A}.ipynb", ("ben", "02"): "my work.ipynb"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
def test_everybody_is_found_once_however_the_folder_looks(grading, tmp_path, layout):
    files, expected = LAYOUTS[layout]
    assert found(grading, lay(tmp_path / "class [1]", files)) == expected


def test_an_archive_cannot_write_outside_and_a_bomb_is_refused(grading, tmp_path, monkeypatch):
    collect, _ = grading
    folder = lay(tmp_path / "class", {"eve.zip": archive(**{f"../../../{A}.ipynb": WORK, f"/{B}.ipynb": OTHER})})
    before = sorted(p for p in tmp_path.parent.rglob("*") if not p.is_relative_to(tmp_path / "unpacked"))
    assert set(found(grading, folder)) == {("eve", "02"), ("eve", "03")}
    assert sorted(p for p in tmp_path.parent.rglob("*") if not p.is_relative_to(tmp_path / "unpacked")) == before
    monkeypatch.setattr(collect, "MOST_BYTES", 100)
    (bomb,) = collect.find(lay(tmp_path / "new", {"eve.zip": archive(x_ipynb="", **{f"{A}.ipynb": WORK})}), RELEASED,
                           tmp_path / "other")  # fmt: skip
    assert bomb.assignment is None and "cannot be unpacked (it is larger" in bomb.remark


def test_what_stands_in_the_table_says_what_to_ask_for(grading, tmp_path):
    collect, _ = grading
    files = {"mia.zip": b"PK", "noa.zip": archive(notes="x"), "kim.7z": b"", f"lea/{A}.ipynb": WORK,
             f"lea/old/{A} (1).ipynb": WORK}  # fmt: skip
    remarks = {s.student: s.remark for s in collect.find(lay(tmp_path / "class", files), RELEASED, tmp_path / "u")}
    assert remarks["mia"].startswith("mia.zip cannot be unpacked")
    assert remarks["noa"] == "noa.zip holds no notebook; ask for it"
    assert remarks["kim"] == "kim.7z is an archive of a kind that is not unpacked; ask for the notebook itself"
    assert remarks["lea"] == f"2 notebooks, graded {Path('lea') / f'{A}.ipynb'}"


def mended(grading, tmp_path, text, released=RELEASED[A]):
    _, cells = grading
    path = tmp_path / "work.ipynb"
    path.write_text(text, encoding="utf-8")
    return cells.mend(path, released)


def test_pictures_pasted_into_the_text_stay_and_lost_ones_stop_nothing(grading, tmp_path):
    from nbconvert import HTMLExporter

    notebook = json.loads(WORK)
    pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    text = "look ![a](attachment:a.png) and ![b](attachment:b.png)"
    notebook["cells"].insert(1, {"cell_type": "markdown", "metadata": {}, "id": "x", "source": text,
                                 "attachments": {"a.png": {"image/png": pixel}, "c.png": 5}})  # fmt: skip
    made, remarks = mended(grading, tmp_path, json.dumps(notebook))
    nbformat.validate(made)
    assert remarks == [] and made.cells[1].attachments == {"a.png": {"image/png": pixel}}
    page, _ = HTMLExporter().from_notebook_node(made)
    assert pixel in page and "picture-that-was-lost:b.png" in page


def test_cells_that_lost_their_names_are_found_by_their_text(grading, tmp_path):
    made, remarks = mended(grading, tmp_path, work(answer="41 + x", metadata=False))
    assert remarks == ["all cells had lost their names (saved by another tool?), found by their text"]
    names = [c.metadata.get("nbgrader", {}).get("grade_id", "") for c in made.cells]
    assert names == [c["metadata"].get("nbgrader", {}).get("grade_id", "") for c in RELEASED[A]]
    assert "41 + x" in made.cells[1].source and "41 + x" in made.cells[4].source
    nbformat.validate(made)


def test_a_check_that_was_changed_is_put_back_and_a_strange_notebook_refused(grading, tmp_path):
    _, cells = grading
    changed = json.loads(WORK)
    changed["cells"][2]["source"] = "pass"
    del changed["cells"][4]
    _, remarks = mended(grading, tmp_path, json.dumps(changed))
    assert remarks == ["exercise1_visible_2 was changed, put back", "exercise2_solution_2 was deleted, put back"]
    with pytest.raises(cells.NotGradable, match="none of the assignment's cells; ask for the right file"):
        mended(grading, tmp_path, CHAPTER)
    for broken, why in (("", "the file is empty"), ("{", "JSONDecodeError"), ('{"cells": 3}', "TypeError")):
        with pytest.raises(cells.NotGradable, match=f"work.ipynb is no notebook .{why}.*ask for it again"):
            mended(grading, tmp_path, broken)
