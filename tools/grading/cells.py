"""What a student's notebook holds: read, recognised, and mended so that it can be graded."""

import json
import re
import unicodedata
from pathlib import Path

import nbformat

MAKE = {
    "code": nbformat.v4.new_code_cell,
    "markdown": nbformat.v4.new_markdown_cell,
    "raw": nbformat.v4.new_raw_cell,
}


class NotGradable(Exception):
    """This submission cannot be run. `status` is one word for the table, the message says what the teacher can do."""

    def __init__(self, status: str, message: str):
        super().__init__(message)
        self.status = status


def read_cells(path: Path) -> list[dict]:
    """The cells of a notebook file, as plain dictionaries; their source is one string, their metadata a dictionary.

    Raises NotGradable for a file that is no notebook.
    """
    try:
        cells = json.loads(path.read_text("utf-8-sig"))["cells"]
        return [
            {
                "cell_type": cell["cell_type"] if cell["cell_type"] in MAKE else "raw",
                # half a Unicode pair, which some editors leave behind, could not be written again
                "source": "".join(cell["source"]).encode("utf-8", "replace").decode(),
                "metadata": cell["metadata"] if isinstance(cell.get("metadata"), dict) else {},
                "attachments": cell["attachments"] if isinstance(cell.get("attachments"), dict) else {},
            }
            for cell in cells
        ]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        try:
            why = "the file is empty" if not path.stat().st_size else f"{type(error).__name__}: {error}"
        except OSError:
            why = f"{type(error).__name__}: {error}"
        raise NotGradable("unreadable", f"{path.name} is no notebook ({why}); ask for it again") from None


def grade_id(cell):
    """The name under which nbgrader knows a cell, or None."""
    known = cell["metadata"].get("nbgrader")
    name = known.get("grade_id") if isinstance(known, dict) else None
    return name if isinstance(name, str) else None


def ids_of(cells):
    """The set of those names in a notebook."""
    return {grade_id(cell) for cell in cells} - {None}


def recognise(path: Path, released: dict) -> str | None:
    """Which assignment of `released` (name -> cells) a file holds, by its cells; by its name where it cannot be read.

    A cell is known by its name or, where another tool has dropped the names, by its text: half of the checks suffice.
    """
    try:
        cells = read_cells(path)
    except NotGradable:
        return named(path, released)
    overlap = {name: len(ids_of(cells) & ids_of(theirs)) for name, theirs in released.items()}
    if not any(overlap.values()):
        overlap = {name: _share_of_checks(cells, theirs) for name, theirs in released.items()}
    best = max(overlap, key=overlap.get, default=None)
    return best if best and overlap[best] else None


def named(path: Path, released) -> str | None:
    """The assignment whose name stands in a file's name, or None."""
    name = unicodedata.normalize("NFC", path.name)
    return next((assignment for assignment in released if assignment in name), None)


def _share_of_checks(cells, released):
    checks = {_text(c) for c in released if c["metadata"].get("nbgrader", {}).get("grade") and len(_text(c)) > 20}
    share = len(checks & {_text(cell) for cell in cells}) / max(1, len(checks))
    return share if share >= 0.5 else 0


def _text(cell):
    """A cell's text, however its lines end."""
    return "\n".join(line.rstrip() for line in cell["source"].strip().splitlines())


def mend(path: Path, released: list[dict]) -> tuple[nbformat.NotebookNode, list[str]]:
    """A submission as nbgrader can take it: (notebook, remarks). `released` is the assignment as it was handed out.

    Cells that were deleted come back, as they were handed out, after the cell that preceded them. nbgrader itself
    puts back the text of locked cells. Raises NotGradable where nothing of the assignment is left.
    """
    cells, remarks, after = read_cells(path), [], -1
    if not ids_of(cells) & ids_of(released):
        if not _share_of_checks(cells, released):
            what = f"{path.name} has none of the assignment's cells; ask for the right file"
            raise NotGradable("another notebook", what)
        _name_by_text(cells, released)
        remarks.append("all cells had lost their names (saved by another tool?), found by their text")
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
            if _text(original):  # a hidden check is handed out empty: nothing is missed
                remarks.append(f"{name} was deleted, put back")
    known = ids_of(released)
    nodes = [_node(cell, f"cell-{i}", grade_id(cell) in known) for i, cell in enumerate(cells)]
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    return nbformat.v4.new_notebook(cells=nodes, metadata={"kernelspec": kernel}), remarks


def _name_by_text(cells, released):
    """Give cells without names those of the cells handed out that have the same text, or define the same function."""
    free, last = list(range(len(cells))), -1
    for original in (cell for cell in released if grade_id(cell)):
        function = re.search(r"^def (\w+)\(", original["source"], re.MULTILINE)
        locked = original["metadata"]["nbgrader"]["locked"]
        if not (locked or function):
            continue
        places = free if locked else reversed(free)  # of two answers, the last counts, as in a kernel
        if not _text(original):  # a hidden check is handed out empty: only the next cell can be it
            places = [last + 1] if last + 1 in free else []
        for i in list(places):
            theirs = cells[i]
            mine = _text(theirs) == _text(original) if locked else f"def {function[1]}(" in theirs["source"]
            if theirs["cell_type"] == original["cell_type"] and mine:
                theirs["metadata"] = original["metadata"]
                free.remove(i)
                last = i
                break


def _node(cell, name, known):
    """A cell as nbformat has it, with what may stay of the student's: the text, and pictures in it."""
    source, more = cell["source"], {}
    if cell["cell_type"] != "code":
        pictures = {key: value for key, value in cell.get("attachments", {}).items() if _is_picture(value)}
        more = {"attachments": pictures} if pictures else {}
        # without its picture, a reference would stop the page that shows the work
        source = re.sub(
            r"attachment:([^)\s\"']+)", lambda m: m[0] if m[1] in pictures else f"picture-that-was-lost:{m[1]}", source
        )
    metadata = {"nbgrader": cell["metadata"]["nbgrader"]} if known else {}
    return MAKE[cell["cell_type"]](source, metadata=metadata, id=name, **more)


def _is_picture(value):
    return isinstance(value, dict) and all(isinstance(data, str) for data in value.values())
