"""Execute the chapters whose source, or the library they use, changed: `make notebooks`.

A chapter is written in `chapters/sources/NN_name.py` (jupytext, py:percent). Its notebook, outputs included, is made
from it here and nowhere else, so that what is reviewed and what is shown cannot drift apart. What is stored is the
same on every run and every machine: no widget state (a stored widget without its kernel shows an error), no
timings, no memory addresses, no folders of the machine that ran it.
"""

import argparse
import ast
import hashlib
import os
import re
import sys
import tempfile
import time
from base64 import b64decode
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

ROOT = Path(__file__).resolve().parent.parent
LARGEST = 1_500_000  # bytes of a stored notebook; GitHub stops showing notebooks not far above
LONGEST_CELL = 600  # seconds; the budget of a whole chapter is 60 to 90
WIDGET = "application/vnd.jupyter.widget-view+json"
BAR = re.compile(r"\d+%\||\d+it \[")  # tqdm, with and without a known end
ADDRESS = re.compile(r"\bat 0x[0-9a-fA-F]{6,}")
ANSI = re.compile(r"\x1b\[[0-9;]*m")
METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"file_extension": ".py", "mimetype": "text/x-python", "name": "python"},
}


class ChapterError(Exception):
    """A chapter cannot be stored. The message says which one, which cell, and what to do."""


def chapters(root=ROOT):
    """The sources of all chapters, in the order of their numbers."""
    return sorted((root / "chapters" / "sources").glob("[0-9][0-9]_*.py"))


def notebook_of(source):
    """Where a chapter's notebook is stored: one folder up, where a learner looks for it."""
    return source.parents[1] / f"{source.stem}.ipynb"


def digest(*paths):
    """SHA-256 of the files' names and contents, blind to the line endings of the system."""
    sha = hashlib.sha256()
    for path in paths:
        content = path.read_bytes().replace(b"\r\n", b"\n")
        sha.update(f"{path.name}\0{len(content)}\0".encode() + content)
    return sha.hexdigest()


def library_of(source):
    """The files that a chapter reaches: its imports from `course_lib`, theirs, and what any of them says is shipped.

    Whoever reads a file of `data/`, or a result of `benchmarks/`, calls `shipped("name")`, and whoever reads one beside
    a module `with_name("name")`. A name that is computed could be any: then all of `data/` counts.
    """
    root = source.parents[2]
    package, data = root / "course_lib", root / "data"
    files, todo = set(), [source]
    while todo:
        path = todo.pop()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf8"))):
            asks = getattr(node.func, "id", getattr(node.func, "attr", None)) if isinstance(node, ast.Call) else None
            if asks in ("shipped", "with_name") and node.args:
                folders = (data, root / "benchmarks") if asks == "shipped" else (path.parent,)
                name = node.args[0].value if isinstance(node.args[0], ast.Constant) else None
                named = [folder / str(name) for folder in folders]
                found = data.rglob("*") if name is None and asks == "shipped" else named
                files.update(file for file in found if file.is_file())
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
            if isinstance(node, ast.ImportFrom):
                above = (package, *path.parents)[node.level] if node.level else root
                base = ".".join([*above.relative_to(root).parts, *filter(None, [node.module])])
                names = [base, *(f"{base}.{name}" for name in names)]
            for name in names:
                parts = name.split(".") if name.startswith("course_lib") else []
                for depth in range(1, len(parts) + 1):  # importing a.b.c runs a and a.b as well
                    module = root.joinpath(*parts[:depth])
                    for file in (module.with_suffix(".py"), module / "__init__.py"):
                        if file.is_file() and file not in files:
                            files.add(file)
                            todo.append(file)
    return sorted(files)


def fingerprint(source):
    """What a stored notebook was made from: the digests of its source and of the library it used."""
    return {"library": digest(*library_of(source)), "source": digest(source)}


def read_source(source):
    """The chapter as a notebook without outputs; a cell's id comes from its text, so it survives its neighbours."""
    notebook = jupytext.read(source, fmt="py:percent")
    seen = {}
    cells = []
    for cell in notebook.cells:
        name = hashlib.sha256(f"{cell.cell_type}\0{cell.source}".encode()).hexdigest()[:12]
        seen[name] = seen.get(name, 0) + 1
        cell.id = name if seen[name] == 1 else f"{name}-{seen[name]}"
        cell.metadata = {"tags": cell.metadata["tags"]} if cell.metadata.get("tags") else {}
        cells.append(cell)
    return nbformat.v4.new_notebook(cells=cells, metadata=METADATA)


def is_current(source):
    """Whether the notebook beside the source was made from it, and from the library as it is now."""
    stored = notebook_of(source)
    if not stored.is_file():
        return False
    return nbformat.read(stored, as_version=4).metadata.get("course") == fingerprint(source)


def place(source, notebook, number):
    """`02_autoencoder, cell 7 (`z = encode(x)`)`: where in a chapter something happened."""
    first = next((line for line in notebook.cells[number].source.splitlines() if line.strip()), "")
    return f"{source.stem}, cell {number + 1} (`{first.strip()}`)"


def execute(source):
    """Run the chapter in a fresh kernel and return it with its outputs."""
    notebook = read_source(source)
    path = os.pathsep.join(filter(None, [str(source.parents[2]), os.environ.get("PYTHONPATH")]))
    client = NotebookClient(
        notebook,
        timeout=LONGEST_CELL,
        kernel_name="python3",
        resources={"metadata": {"path": str(source.parents[1])}},
        store_widget_state=True,  # without it ipywidgets' Output breaks; what it stores is stripped below
        coalesce_streams=True,  # where a stream is cut in pieces differs from run to run
        record_timing=False,
        extra_arguments=["--IPKernelApp.log_level=40"],  # its warnings are about networks; this kernel stays at home
    )
    # Not client.execute(): it answers Ctrl-C by itself, with a traceback of its own troubles.
    client.reset_execution_trackers()
    with client.setup_kernel(
        env={**os.environ, "COURSE_PUBLISH": "1", "PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1", "PYTHONPATH": path}
    ):
        for number, cell in enumerate(notebook.cells):
            try:
                client.execute_cell(cell, number)
            except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
                raise ChapterError(f"{place(source, notebook, number)} fails:\n{ANSI.sub('', str(error))}") from None
    return notebook


def strip(source, notebook):
    """Remove what a kernel leaves and a reader cannot use; refuse what nobody meant to show."""
    home = {str(Path.home()), str(source.parents[2]), tempfile.gettempdir()} - {"/"}
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type != "code":
            continue
        kept = []
        for output in cell.outputs:
            data = output.get("data", {})
            if output.output_type == "stream" and output.name == "stderr":
                lines = [line for line in re.split(r"[\r\n]+", ANSI.sub("", output.text)) if line.strip()]
                said = "\n".join(line for line in lines if not BAR.search(line))
                if said:
                    raise ChapterError(f"{place(source, notebook, number)} writes to stderr:\n{said}")
                continue
            if data.pop(WIDGET, None) and not data.keys() - {"text/plain"}:
                continue  # a progress bar: nothing is left of it without its kernel
            text = str(output.get("text", "")) + str({k: v for k, v in data.items() if not k.startswith("image/")})
            if found := ADDRESS.search(text):
                raise ChapterError(
                    f"{place(source, notebook, number)} shows a memory address ({found[0]}), which differs from run "
                    "to run: end the cell's last line with a semicolon, or show something a reader can use."
                )
            if found := next((folder for folder in home if f"{folder}{os.sep}" in text), None):
                raise ChapterError(f"{place(source, notebook, number)} shows a folder of this machine: {found}")
            kept.append(output)
        cell.outputs = kept
        cell.metadata.pop("execution", None)
    notebook.metadata = {**METADATA, "course": fingerprint(source)}
    return notebook


def write(path, content):
    """Put `content` (bytes) at `path` whole or not at all; leave the file alone when it holds just that."""
    if path.is_file() and path.read_bytes() == content:
        return
    path.parent.mkdir(exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}-", delete=False) as file:
        file.write(content)
    os.chmod(file.name, 0o644)
    os.replace(file.name, path)


def store(source, largest=LARGEST):
    """Execute a chapter; write its notebook and, from its first picture, the card of the first page."""
    notebook = strip(source, execute(source))
    content = (nbformat.writes(notebook, version=4) + "\n").encode()
    if len(content) > largest:
        heavy = max(range(len(notebook.cells)), key=lambda i: len(str(notebook.cells[i].get("outputs", ""))))
        raise ChapterError(
            f"{source.stem} would be stored in {len(content) / 1e6:.2f} MB; the budget is {largest / 1e6:.2f} MB. "
            f"The heaviest is {place(source, notebook, heavy)}: smaller pictures, or a coarser grid of sliders."
        )
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    picture = next((o.data["image/png"] for o in outputs if "image/png" in o.get("data", {})), None)
    write(notebook_of(source), content)
    if picture:
        write(source.parents[1] / "images" / f"{source.stem}.png", b64decode(picture))
    return len(content)


def main(arguments=None, root=ROOT):
    """The command line. Returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", help="chapters, such as 02 or 02_autoencoder (default: all)")
    parser.add_argument("--force", action="store_true", help="execute also what is current")
    parser.add_argument("--check", action="store_true", help="execute nothing; name what is not current, and fail")
    options = parser.parse_args(arguments)
    sources = [s for s in chapters(root) if not options.names or any(s.stem.startswith(n) for n in options.names)]
    if options.names and not sources:
        parser.error(f"no such chapter; there are {', '.join(s.stem for s in chapters(root))}")
    todo = [source for source in sources if options.force or not is_current(source)]
    if options.check:
        for source in todo:
            print(f"{source.stem}: the stored notebook is older than its source or the library; run `make notebooks`")
        return int(bool(todo))
    failures = 0
    for source in todo:
        print(f"{source.stem}: running ...", flush=True)
        start = time.perf_counter()
        try:
            size = store(source)
            print(f"{source.stem}: stored, {time.perf_counter() - start:.0f} s, {size / 1e6:.2f} MB", flush=True)
        except ChapterError as error:
            failures += 1
            print(f"\n{error}\n\n{source.stem}: not stored; what was there is untouched", file=sys.stderr, flush=True)
        except KeyboardInterrupt:
            print(f"\n{source.stem}: interrupted; what was stored is untouched", file=sys.stderr)
            return 130
    print(f"{len(sources) - len(todo)} of {len(sources)} chapters were current")
    return int(bool(failures))


if __name__ == "__main__":
    sys.exit(main())
