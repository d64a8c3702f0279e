"""Release the students' notebooks, and grade what they hand in: `make release`, `make grade SUBMISSIONS=folder`.

An assignment is one source, `NN_name.py`, with its solutions and hidden checks. nbgrader makes the students' copy of
it and grades against it; around nbgrader stands what a class of 300 needs: any layout of the folder, one submission
after the other whatever is in it, nothing graded twice, and nothing lost on Ctrl-C.
"""

import argparse
import csv
import hashlib
import html
import io
import logging
import os
import shutil
import signal
import sys
import time
import warnings
from pathlib import Path

import nbformat
from cells import NotGradable, mend
from collect import find
from course import Course, release, replace

ROOT = Path(__file__).resolve().parents[2]
COURSE = ROOT / "_build" / "coursework"


def grade_one(course, submission, student, released):
    """Grade one submission. Returns (status, remarks); the points are in the gradebook."""
    name = submission.assignment
    if name is None or submission.path.is_dir():
        raise NotGradable("missing", "no notebook of an assignment here")
    notebook, remarks = mend(submission.path, released[name])
    target = course.file("submitted", name, student)
    target.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, target)
    course.autograde(name, student)
    status = "graded"
    try:
        course.feedback(name, student)
    except Exception as error:  # the work is graded, whatever its page is worth
        logging.exception("the page of %s, %s", submission.student, name)
        remarks.append(f"its feedback page could not be written ({type(error).__name__}); grading.log says why")
        write_page(course, submission.student, student, name, "Your work was graded, but this page could not be made")
    for cell in nbformat.read(course.file("autograded", name, student), as_version=4).cells:
        errors = [output for output in cell.get("outputs", []) if output.output_type == "error"]
        status = {"Timeout": "timeout", "KernelDied": "kernel died"}.get(errors[-1].ename if errors else "", status)
        known = cell.metadata.get("nbgrader", {})
        if known.get("grade") and errors:
            remarks.append(f"{known['grade_id']}: {errors[-1].ename}: {errors[-1].evalue}".rstrip(": ")[:200])
    return status, remarks


def set_to_zero(course, submission, student, why):
    """What cannot be run gets 0 points in the gradebook, and a feedback page that says why."""
    name = submission.assignment
    if name:
        for step in ("submitted", "autograded"):  # an earlier one may have been graded
            shutil.rmtree(course.file(step, name, student).parent, ignore_errors=True)
        with course.gradebook() as book:
            book.update_or_create_student(student)
            book.update_or_create_submission(name, student)
            for grade in book.find_submission_notebook(name, name, student).grades:
                grade.auto_score, grade.needs_manual_grade = 0, False
            book.db.commit()
    write_page(course, submission.student, student, name or "no notebook", f"This could not be graded: {why}")


def write_page(course, who, student, name, what):
    """A feedback page of one sentence."""
    page = course.file("feedback", name, student, ".html")
    page.parent.mkdir(parents=True, exist_ok=True)
    lines = f"<h1>{html.escape(who)}</h1><p>{html.escape(what)}.</p>"
    page.write_text("<!doctype html><meta charset='utf-8'>" + lines, "utf-8")


def points_of(course, name, student):
    """Points per exercise, and what could be had: ({exercise: points}, max). The exercise is the id up to its `_`."""
    points, most = {}, 0.0
    with course.gradebook() as book:
        for grade in book.find_submission_notebook(name, name, student).grades:
            exercise = grade.name.partition("_")[0]
            points[exercise] = points.get(exercise, 0.0) + (grade.score or 0.0)
            most += grade.max_score
    return dict(sorted(points.items())), most


def grade(course, folder, released, force):
    """Grade a folder of submissions, one after the other; returns how many could not be graded."""
    submissions = find(folder, released, course.root / "unpacked")
    if not submissions:
        raise SystemExit(f"{folder} holds no submissions: expected student/{next(iter(released))}.ipynb, or the like")
    in_class = {s.assignment for s in submissions} - {None}
    bad = skipped = 0
    for number, submission in enumerate(submissions, 1):
        if submission.assignment is None and len(in_class) == 1:
            submission = type(submission)(submission.student, submission.path, *in_class, submission.remark)
        name, key = submission.assignment, f"{submission.assignment}/{submission.student}"
        content = bytes_of(submission.path)
        digest = hashlib.sha256(content + course.state["released"].get(name, "").encode()).hexdigest()
        if course.state["graded"].get(key, {}).get("digest") == digest and not force:
            skipped += 1
            continue
        # nbgrader looks for students with glob patterns; %5B is a [ that is no pattern
        student = "".join(f"%{ord(c):02X}" if c in "[]*?%" else c for c in submission.student)
        started = time.monotonic()
        try:
            status, remarks = grade_one(course, submission, student, released)
        except Exception as error:  # whatever it is, the class goes on
            logging.exception("%s, %s", submission.student, name)
            if not isinstance(error, NotGradable):
                error = NotGradable("failed", f"nbgrader gave up ({type(error).__name__}); grading.log says why")
            status, remarks = error.status, [str(error)]
            set_to_zero(course, submission, student, str(error))
            bad += 1
        points, most = points_of(course, name, student) if name else ({}, 0)
        message = "; ".join(" ".join(remark.split()) for remark in [submission.remark, *remarks] if remark)
        head = {"student": submission.student, "assignment": name or ""}
        row = {**head, **points, "total": sum(points.values()), "max": most, "status": status, "message": message}
        course.state["graded"][key] = {"digest": None if status == "failed" else digest, "row": row}
        course.save()
        write_table(course)
        seconds = time.monotonic() - started
        print(f"[{number}/{len(submissions)}] {submission.student}, {name or 'no assignment'}: "
              f"{row['total']:g} of {most:g}, {status} ({seconds:.0f} s)", flush=True)  # fmt: skip
    print(f"{len(submissions)} submissions: {len(submissions) - skipped} graded now, {skipped} unchanged since")
    print(f"table: {course.root / 'grades.csv'}\nfeedback: {course.root / 'feedback'}")
    return bad


def bytes_of(path):
    """A file's content, or nothing where it cannot be read: then reading it as a notebook says why."""
    try:
        return path.read_bytes() if path.is_file() else b""
    except OSError:
        return b""


def write_table(course):
    """Write `grades.csv` from everything that was ever graded here."""
    rows = [course.state["graded"][key]["row"] for key in sorted(course.state["graded"])]
    ends = ["total", "max", "status", "message"]
    exercises = sorted({key for row in rows for key in row} - {"student", "assignment", *ends})
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, ["student", "assignment", *exercises, *ends])
    table.writeheader()
    for row in rows:  # a cell that begins with = would be run by a spreadsheet
        table.writerow({k: f"'{v}" if isinstance(v, str) and v[:1] in tuple("=+-@") else v for k, v in row.items()})
    replace(course.root / "grades.csv", text.getvalue().encode("utf-8-sig"))  # -sig: for Excel


def keep_quiet(root, verbose):
    """What nbgrader and its libraries say goes to grading.log; to the screen only with --verbose."""
    handlers = [logging.FileHandler(root / "grading.log", encoding="utf-8")]
    handlers += [logging.StreamHandler()] * verbose
    logging.basicConfig(level=logging.INFO, handlers=handlers, format="%(asctime)s %(name)s %(message)s", force=True)
    logging.captureWarnings(True)
    warnings.simplefilter("default" if verbose else "ignore")


def main(arguments=None):
    """The command line. Returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--sources", type=Path, default=ROOT / "coursework", help="where the assignments' sources NN_name.py are"
    )
    parser.add_argument("--course", type=Path, default=COURSE, help="where everything made goes (default: _build/...)")
    parser.add_argument("--verbose", action="store_true", help="show what nbgrader says")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("release", help="write the students' notebooks")
    grading = commands.add_parser("grade", help="grade a folder of submissions")
    grading.add_argument("folder", type=Path)
    grading.add_argument("--timeout", type=int, default=60, help="seconds that one cell may take (default 60)")
    grading.add_argument("--force", action="store_true", help="grade again what has not changed")
    options = parser.parse_args(arguments)
    if options.command == "grade" and not (str(options.folder) not in ("", ".") and options.folder.is_dir()):
        parser.error(
            f"no folder {str(options.folder)!r}: name the folder of submissions (make grade SUBMISSIONS=folder)"
        )
    for stream in (sys.stdout, sys.stderr):  # a terminal that cannot print a student's name prints a ? for it
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    sources = sorted(options.sources.glob("[0-9][0-9]_*.py"))
    if not sources:
        parser.error(f"{options.sources} holds no assignment NN_name.py")
    course = Course(options.course, getattr(options, "timeout", 60))
    keep_quiet(course.root, options.verbose)
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    os.environ["PYTHONWARNINGS"] = "ignore"  # nbgrader gives 0 points to a check that writes to stderr
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # small networks are faster so, and never fight over the cores
    try:
        released = release(course, sources)
        if options.command == "release":
            print("\n".join(f"{name}: {course.file('release', name)}" for name in released))
            return 0
        return int(bool(grade(course, options.folder, released, options.force)))
    except KeyboardInterrupt:
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_REAL, 0)
        print("\nstopped; what was graded is kept, and the same command goes on from here", file=sys.stderr)
        return 130


def insist_on_ctrl_c():
    """Ctrl-C raises KeyboardInterrupt, again every five seconds until `main` has heard it.

    Between us and a kernel stand libraries that can swallow one: in a finaliser, or as a cancelled task.
    """

    def stop(signum, frame):
        if hasattr(signal, "setitimer"):  # not on Windows
            signal.setitimer(signal.ITIMER_REAL, 5)
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, stop)
    if hasattr(signal, "SIGALRM"):
        signal.signal(signal.SIGALRM, stop)


if __name__ == "__main__":
    insist_on_ctrl_c()
    sys.exit(main())
