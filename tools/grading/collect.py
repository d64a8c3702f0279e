"""Who handed in what: a folder of submissions, as a learning platform or a class of 300 leaves it, read by content."""

import hashlib
import os
import re
import unicodedata
import zipfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import yaml
from cells import named, recognise

NOTEBOOK = re.compile(r"\.ipynb(\.(txt|json|html?))?$", re.IGNORECASE)  # a browser or a mail program adds a second one
# What platforms put beside the work: tables, the text typed into a form, what describes the export
ARTEFACTS = re.compile(r"(\.(csv|xlsx?|ya?ml|xml|ini|db)|onlinetext[^/]*|^readme[^/]*)$", re.IGNORECASE)
HIDDEN = re.compile(r"^(\.|__MACOSX$|Thumbs\.db$|desktop\.ini$)")
MOST_MEMBERS, MOST_BYTES = 20_000, 500_000_000  # of an archive; what is larger is no class's homework
# What opening an archive raises: broken, with a password, of an unknown method, or too large
UNPACKABLE = (OSError, zipfile.BadZipFile, RuntimeError, NotImplementedError, ValueError)
COUNTED = re.compile(r"[\s_]*\(\d+\)$")  # a browser's second download
NOISE = re.compile(  # what systems call a copy, and students their work, before or after the name
    r"^(copy of|copia de|copie de|kopie von|cópia de|副本|hw|homework|assignment|submission|final)(?![^\W\d_])"
    r"|(?<![^\W\d_])(copy of|copia de|copie de|kopie von|cópia de|copy|副本|hw|homework|assignment|submission|final)$",
    re.IGNORECASE,
)
ATTEMPT = re.compile(r"\d{4}-\d\d-\d\d-\d\d-\d\d-\d\d|^\d{14}(?=_)")  # Blackboard's and ILIAS's: when it was handed in
# How platforms name what one person handed in, a file or a folder
PLATFORMS = [
    re.compile(r"^(?P<who>.+_\d+)_assignsubmission_(file|onlinetext)_?(?P<rest>.*)$"),  # Moodle
    re.compile(r"^.+_(?P<who>[^_]+)_attempt_\d{4}(-\d\d){5}_?(?P<rest>.*)$"),  # Blackboard
    re.compile(r"^(?P<who>[^\W\d_][^\W_]*)_(LATE_)?(?P<id>\d+)_\d+_(?P<rest>.+)$"),  # Canvas
]


@dataclass(frozen=True)
class Submission:
    """One student's notebook. `assignment` is None where nothing shows which; `remark` is for the teacher."""

    student: str
    path: Path
    assignment: str | None
    remark: str = ""


def find(folder: Path, released: dict, unpacked: Path) -> list[Submission]:
    """All submissions in a folder, by student: in folders, in archives, or flat, as platforms and students name them.

    What a notebook is, its cells say, and only then its name. A student with several of one assignment is graded on
    the last attempt, where the platform says which, else on the one with the plain name, else on the newest. Whoever
    handed in anything at all is listed, so that nobody is lost. Archives are unpacked under `unpacked`.
    """
    folder = _without_wrapping(folder, released, unpacked)
    names = _gradescope(folder)
    people, found, broken = {}, {}, {}
    for entry in _entries(folder):
        files, why = _notebooks(entry, unpacked)
        known = {path: recognise(path, released) for path in files}
        student = names.get(entry.name) or who(entry.name, released, folder=entry.is_dir())
        if not files and not why and ARTEFACTS.search(entry.name):
            continue
        people.setdefault(student, entry)
        if why:
            broken.setdefault(student, (entry, why))
        for path, assignment in known.items():
            found.setdefault(student, {}).setdefault(assignment, []).append(path)
    submissions = []
    for student, entry in sorted(people.items()):
        theirs = found.get(student, {})
        if len(theirs) > 1:
            theirs.pop(None, None)  # something besides the assignment, which is the student's own business
        for path in theirs.pop(None, []):  # nothing of an assignment is in it: its name says what it should have been
            theirs.setdefault(named(path, released), []).append(path)
        for assignment, paths in sorted(theirs.items(), key=str):
            best = max(paths, key=lambda path: _rank(path, assignment))
            remark = f"{len(paths)} notebooks, graded {_short(best, folder, unpacked)}" if len(paths) > 1 else ""
            submissions.append(Submission(student, best, assignment, remark))
        if not theirs:
            entry, why = broken.get(student, (entry, ""))
            submissions.append(Submission(student, entry, None, why))
    return submissions


def who(name: str, released, folder: bool = False) -> str:
    """The person that a file's name speaks of: what is left of it without the assignment's name and the noise around.

    `released` are the assignments' names. A folder's name is the person's, but for what platforms add.
    """
    name = unicodedata.normalize("NFC", name).strip()
    stem = name if folder else re.sub(r"\.\w{1,5}$", "", NOTEBOOK.sub("", name))
    for platform in PLATFORMS:
        if match := platform.match(stem):
            parts = match.groupdict()
            return "_".join(filter(None, [parts["who"], parts.get("id")]))
    if folder:
        return name
    rest = COUNTED.sub("", stem)
    for assignment in released:
        before, here, after = rest.partition(assignment)
        if here:
            return "_".join(filter(None, [_bare(before), _bare(COUNTED.sub("", after))])) or stem
    return _bare(rest) or stem


def _bare(text):
    """Without separators, brackets and words such as "copy of" and "homework" at its ends."""
    before = None
    while text != before:
        before = text
        text = re.sub(r"^[\s_.,\-–(\[]+|[\s_.,\-–)\]]+$", "", text)
        text = NOISE.sub("", text)
    return text


def _entries(folder):
    return [entry for entry in sorted(folder.iterdir()) if not HIDDEN.match(entry.name)]


def _notebooks(entry, unpacked):
    """The notebooks in a folder, an archive or a file, and why there is none where that can be said: (paths, why)."""
    if entry.is_dir():
        paths, why = [], ""
        for parent, folders, files in os.walk(entry):
            folders[:] = sorted(name for name in folders if not HIDDEN.match(name))
            for name in sorted(files):
                more, problem = _notebooks(Path(parent) / name, unpacked) if not HIDDEN.match(name) else ([], "")
                paths, why = paths + more, why or problem
        return paths, "" if paths else why
    if NOTEBOOK.search(entry.name):
        return [entry], ""
    if entry.suffix.lower() == ".zip":
        try:
            inside = unpack(entry, unpacked)
        except UNPACKABLE as error:
            return [], f"{entry.name} cannot be unpacked ({error}); ask for the notebook itself"
        paths, why = _notebooks(inside, unpacked)
        return paths, why if paths or why else f"{entry.name} holds no notebook; ask for it"
    if entry.suffix.lower() in (".rar", ".7z", ".gz", ".tar"):
        return [], f"{entry.name} is an archive of a kind that is not unpacked; ask for the notebook itself"
    return [], ""


def unpack(archive: Path, unpacked: Path) -> Path:
    """The folder in which the notebooks and archives of a .zip lie, unpacked once for the same bytes.

    Names that lead out of the folder stay inside it. Raises ValueError for an archive that is too large, and what
    `zipfile` raises for one that is broken or has a password.
    """
    target = unpacked / hashlib.sha256(archive.read_bytes()).hexdigest()[:16]
    if not target.is_dir():
        part = target.with_name(f".{target.name}.part")
        with zipfile.ZipFile(archive) as file:
            members = [m for m in file.infolist() if NOTEBOOK.search(m.filename) or m.filename.lower().endswith(".zip")]
            if len(file.infolist()) > MOST_MEMBERS or sum(m.file_size for m in members) > MOST_BYTES:
                raise ValueError("it is larger than any class's work")
            for member in members:
                if not any(HIDDEN.match(piece) for piece in Path(member.filename).parts if piece != ".."):
                    path = Path(file.extract(member, part))
                    when = member.date_time  # so that the newest of several can be told
                    os.utime(path, (_seconds(when), _seconds(when)))
        part.mkdir(parents=True, exist_ok=True)
        part.rename(target)
    return target


def _seconds(date_time):
    try:
        return datetime(*date_time).timestamp()
    except (ValueError, OverflowError, OSError):
        return 0.0


def _without_wrapping(folder, released, unpacked):
    """The folder in which people stand: not one that holds nothing but another folder, or an archive, of them all."""
    entries = [entry for entry in _entries(folder) if not ARTEFACTS.search(entry.name)]
    if len(entries) != 1 or NOTEBOOK.search(entries[0].name):
        return folder
    inner = entries[0]
    if inner.is_file():
        try:
            inner = unpack(inner, unpacked) if inner.suffix.lower() == ".zip" else None
        except UNPACKABLE:
            inner = None
    if inner is None:
        return folder
    several = {}  # which entries hold a notebook of one assignment: two of them are two people's
    for entry in _entries(inner):
        for path in _notebooks(entry, unpacked)[0]:
            assignment = recognise(path, released)
            mine = who(entry.name, released, folder=entry.is_dir())
            if assignment and mine != assignment:
                several.setdefault(assignment, set()).add(mine)
    deeper = _without_wrapping(inner, released, unpacked)
    crowded = any(len(people) > 1 for people in several.values())
    return deeper if deeper != inner else inner if crowded else folder


def _gradescope(folder):
    """{folder's name: student} from the description that Gradescope puts beside its export; else nothing."""
    try:
        about = yaml.safe_load((folder / "submission_metadata.yml").read_text("utf-8"))
        people = {name: [s.get(":name") or s.get("name") for s in (one.get(":submitters") or one.get("submitters"))]
                  for name, one in about.items()}  # fmt: skip
        return {str(name): ", ".join(map(str, submitters)) for name, submitters in people.items() if any(submitters)}
    except (OSError, ValueError, AttributeError, TypeError, yaml.YAMLError):
        return {}


def _rank(path, assignment):
    """The larger, the rather it is the one that counts."""
    attempt = ATTEMPT.findall(path.name) or [""]
    again = re.search(r"-(\d{1,3})$", NOTEBOOK.sub("", path.name))  # Canvas counts resubmissions so
    try:
        when = path.stat().st_mtime
    except OSError:
        when = 0.0
    plain = NOTEBOOK.sub("", path.name) == assignment
    return attempt[0], int(again[1]) if again else 0, plain, when, path.name


def _short(path, *roots):
    for root in roots:
        if path.is_relative_to(root):
            return path.relative_to(root)
    return path
