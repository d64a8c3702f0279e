"""What students hand in: where it lies, whose it is, and what must be mended before it can be graded."""

import json
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

import nbformat


class NotGradable(Exception):
    """This submission cannot be run. `status` is one word for the table, the message says what the teacher can do."""

    def __init__(self, status: str, message: str):
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Submission:
    """One student's notebook. `assignment` is None where nothing shows which; `remark` is for the teacher."""

    student: str
    path: Path
    assignment: str | None
    remark: str = ""


def read_cells(path):
    """The cells of a notebook file, as plain dictionaries; their source is one string, their metadata a dictionary.

    Raises NotGradable for a file that is no notebook.
    """
    try:
        text = path.read_text("utf-8-sig")
        cells = json.loads(text)["cells"]
        kept = [
            {
                "cell_type": cell["cell_type"] if cell["cell_type"] in ("code", "markdown", "raw") else "raw",
                # half a Unicode pair, which some editors leave behind, could not be written again
                "source": "".join(cell["source"]).encode("utf-8", "replace").decode(),
                "metadata": cell["metadata"] if isinstance(cell.get("metadata"), dict) else {},
            }
            for cell in cells
        ]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        why = "the file is empty" if path.is_file() and not path.stat().st_size else f"{type(error).__name__}: {error}"
        raise NotGradable("unreadable", f"{path.name} is no notebook ({why}); ask for it again") from None
    return kept


def grade_id(cell):
    """The name under which nbgrader knows a cell, or None."""
    known = cell["metadata"].get("nbgrader")
    name = known.get("grade_id") if isinstance(known, dict) else None
    return name if isinstance(name, str) else None


def ids_of(cells):
    """The set of those names in a notebook."""
    return {grade_id(cell) for cell in cells} - {None}


def recognise(path, released):
    """Which assignment of `released` (name -> cells) a file belongs to: by its name, else by its cells, else None."""
    for name in released:
        if name in path.stem:
            return name
    try:
        ids = ids_of(read_cells(path))
    except NotGradable:
        return None
    overlap = {name: len(ids & ids_of(cells)) for name, cells in released.items()}
    best = max(overlap, key=overlap.get, default=None)
    return best if best and overlap[best] else None


def find(folder, released):
    """All submissions in a folder, by student: `student/…/x.ipynb`, or a flat `student_02_name.ipynb`.

    A student with several notebooks of one assignment is graded on the one with the plain name, else the newest;
    a student whose folder holds nothing recognisable is listed too, so that nobody is lost.
    """
    found, people = {}, {}
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith((".", "__MACOSX")):
            continue
        if entry.is_dir():
            files = [p for p in sorted(entry.rglob("*.ipynb")) if ".ipynb_checkpoints" not in p.parts]
            files = [p for p in files if not p.name.startswith(".")]
            people.setdefault(_name(entry.name), entry)
            for path in files:
                found.setdefault((_name(entry.name), recognise(path, released)), []).append(path)
        elif entry.suffix == ".ipynb":
            assignment = recognise(entry, released)
            student = _name(entry.stem.partition(assignment)[0] if assignment else entry.stem) or _name(entry.stem)
            people.setdefault(student, entry)
            found.setdefault((student, assignment), []).append(entry)
    submissions = []
    for student, entry in people.items():
        theirs = {key[1]: paths for key, paths in found.items() if key[0] == student}
        if len(theirs) > 1:
            theirs.pop(None, None)  # something besides the assignment, which is the student's own business
        for assignment, paths in sorted((theirs or {None: [entry]}).items(), key=str):
            plain = [p for p in paths if p.stem == assignment]
            best = max(plain or paths, key=lambda p: p.stat().st_mtime)
            remark = f"{len(paths)} notebooks, graded {best.relative_to(folder)}" if len(paths) > 1 else ""
            submissions.append(Submission(student, best, assignment, remark))
    return submissions


def mend(path, released):
    """A submission as nbgrader can take it: (notebook, remarks). `released` is the assignment as it was handed out.

    Cells that were deleted come back, as they were handed out, after the cell that preceded them. nbgrader itself
    puts back the text of locked cells. Raises NotGradable where nothing of the assignment is left.
    """
    cells = read_cells(path)
    if not ids_of(cells) & ids_of(released):
        raise NotGradable("another notebook", f"{path.name} has none of the assignment's cells; ask for the right file")
    remarks, after = [], -1
    for original in (cell for cell in released if grade_id(cell)):
        name = grade_id(original)
        places = [i for i, cell in enumerate(cells) if grade_id(cell) == name]
        if places:
            after = places[-1]
            theirs = cells[after]
            if original["metadata"]["nbgrader"]["locked"] and theirs["source"].strip() != original["source"].strip():
                remarks.append(f"{name} was changed, put back")
            # whatever became of the metadata, the cell is what it was handed out as
            theirs.update(cell_type=original["cell_type"], metadata=original["metadata"])
            for i in places[:-1]:
                cells[i]["metadata"] = {}  # a copy that the student made: an ordinary cell
        else:
            after += 1
            cells.insert(after, dict(original))
            remarks.append(f"{name} was deleted, put back")
    make = {
        "code": nbformat.v4.new_code_cell,
        "markdown": nbformat.v4.new_markdown_cell,
        "raw": nbformat.v4.new_raw_cell,
    }
    known = ids_of(released)
    nodes = []
    for i, cell in enumerate(cells):
        mine = {"nbgrader": cell["metadata"]["nbgrader"]} if grade_id(cell) in known else {}
        nodes.append(make[cell["cell_type"]](cell["source"], metadata=mine, id=f"cell-{i}"))
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    return nbformat.v4.new_notebook(cells=nodes, metadata={"kernelspec": kernel}), remarks


def _name(text):
    """A student's name as it is written everywhere: one Unicode form, no separators left over at its ends."""
    text = unicodedata.normalize("NFC", text)
    return re.sub(r"(_assignsubmission_file)?[\s_.\-–]*$", "", text).strip() or text.strip()
