"""The course directory: what nbgrader knows about the assignments, and the students' copies that it makes."""

import glob
import hashlib
import json
import os
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

# nbgrader calls `alembic` by name, which stands beside this Python also where no environment is activated
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])

import jupytext
import nbformat
from cells import read_cells
from nbconvert.preprocessors import ClearMetadataPreprocessor
from nbgrader.api import Gradebook
from nbgrader.converters import Autograde, GenerateAssignment, GenerateFeedback
from nbgrader.coursedir import CourseDirectory
from nbgrader.preprocessors import CheckCellMetadata, LimitOutput, SaveAutoGrades
from running import Run
from traitlets.config import Config


class Course:
    """A course directory of nbgrader, and `state.json`: what was released and graded, from which bytes."""

    def __init__(self, root: Path, timeout: int):
        root.mkdir(parents=True, exist_ok=True)
        self.root, self.timeout = root.resolve(), timeout
        self.state = {"released": {}, "graded": {}}
        if (self.root / "state.json").is_file():
            self.state = json.loads((self.root / "state.json").read_text("utf-8"))

    def file(self, step: str, name: str, student: str = ".", suffix: str = ".ipynb") -> Path:
        """Where nbgrader keeps a notebook at one of its steps."""
        return self.root / step / student / name / f"{name}{suffix}"

    def generate(self, name: str):
        """Make the students' notebook from the source, and enter its cells in the gradebook."""
        self._convert(GenerateAssignment, name, ".")

    def autograde(self, name: str, student: str):
        """Run a submission, and enter its points in the gradebook."""
        self._convert(Autograde, name, student)

    def feedback(self, name: str, student: str):
        """Write the page that shows a graded submission with its points."""
        self._convert(GenerateFeedback, name, student)

    def _convert(self, converter, name, student):
        """Run one of nbgrader's converters. Raises as it does, also KeyboardInterrupt."""
        config = Config()
        config.Run.timeout = self.timeout
        config.Autograde.autograde_preprocessors = [
            Run, ClearMetadataPreprocessor, LimitOutput, SaveAutoGrades, CheckCellMetadata
        ]  # fmt: skip
        with _plain(self.root) as root:
            place = CourseDirectory(root=str(root), assignment_id=name, student_id=student)
            converter(coursedir=place, config=config, force=True).start()

    def gradebook(self):
        """nbgrader's database of all grades."""
        return Gradebook(f"sqlite:///{self.root / 'gradebook.db'}")

    def save(self):
        """Write the state whole or not at all."""
        replace(self.root / "state.json", json.dumps(self.state, ensure_ascii=False, indent=1).encode())


@contextmanager
def _plain(root):
    """A path to `root` that is no pattern: nbgrader reads [ and * in paths as such."""
    if glob.escape(str(root)) == str(root):
        yield root
        return
    with tempfile.TemporaryDirectory() as folder:
        link = Path(folder) / "course"
        link.symlink_to(root, target_is_directory=True)
        yield link


def replace(path, content):
    """Put `content` at `path` in one step, so that nobody ever finds half a file."""
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(content)
    os.replace(part, path)


def release(course, sources):
    """Write the students' notebook of every source that changed; returns name -> cells of what they get."""
    released = {}
    for source in sources:
        name, text = source.stem, source.read_text("utf-8")
        digest = hashlib.sha256(text.encode()).hexdigest()
        target = course.file("release", name)
        if course.state["released"].get(name) != digest or not target.is_file():
            notebook = jupytext.reads(text, fmt="py:percent")
            for number, cell in enumerate(notebook.cells):
                cell.id = f"cell-{number}"
            course.file("source", name).parent.mkdir(parents=True, exist_ok=True)
            nbformat.write(notebook, course.file("source", name))
            try:
                course.generate(name)
            except Exception:
                raise SystemExit(
                    f"{name}: nbgrader cannot release it. If cells came or went after grading had begun, "
                    f"move {course.root} away and grade again. Details: {course.root / 'grading.log'}"
                ) from None
            course.state["released"][name] = digest
            course.save()
        released[name] = read_cells(target)
    return released
