"""Write what stands in `chapters/chapters.toml` where readers meet it: README.md, the first page, `_toc.yml`.

`make notebooks` runs this before anything else. Between two lines that name the source, each of the three files holds
a part that is made here; the rest of the file is written by hand.
"""

import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BEGIN, END = "chapters: made by tools/contents.py from chapters/chapters.toml", "chapters: end"


def read(root=ROOT):
    """What each chapter promises, {name: {title, blurb, seconds, …}}, in the order of the names."""
    return dict(sorted(tomllib.loads((root / "chapters" / "chapters.toml").read_text("utf-8")).items()))


def time_of(chapter):
    """How a reader is told the time: "under 45 seconds"."""
    return f"under {chapter['seconds']} seconds"


def table(chapters):
    """README's table: a row a chapter."""
    rows = ["| chapter | on two cores |", "|---|---|"]
    for name, chapter in chapters.items():
        rows.append(f"| [{chapter['title']}](chapters/{name}.ipynb) {chapter['blurb']} | {time_of(chapter)} |")
    return "\n".join(rows)


def cards(chapters):
    """The first page's cards, in MyST."""
    made = ["::::::{grid} 1 1 2 2", ":gutter: 3"]
    for name, chapter in chapters.items():
        made += ["", f":::::{{grid-item-card}} {chapter['title']}", f":link: {name}", ":link-type: doc"]
        made += [f":img-top: {chapter['picture']}", f":img-alt: {chapter['picture_shows']}", "", chapter["blurb"]]
        made += ["", "::::{card-footer}", f"{chapter['chinese']} · {time_of(chapter)} on a laptop", "::::", ":::::"]
    return "\n".join([*made, "::::::"])


def order(chapters):
    """The chapters' lines in `_toc.yml`."""
    return "\n".join(f"      - file: {name}" for name in chapters)


PARTS = {
    "README.md": (table, "<!-- {} -->\n\n", "\n\n<!-- {} -->"),
    "chapters/index.md": (cards, "<!-- {} -->\n\n", "\n\n<!-- {} -->"),
    "_toc.yml": (order, "      # {}\n", "\n      # {}"),
}


def filled(name, root=ROOT):
    """The file's text as it should be. Raises ValueError where one of the two lines is missing."""
    make, first, last = PARTS[name]
    first, last = first.format(BEGIN), last.format(END)
    text = (root / name).read_text("utf-8")
    before, found, rest = text.partition(first)
    _, ended, after = rest.partition(last)
    if not (found and ended):
        raise ValueError(f"{name}: expected the lines {first.strip()!r} and {last.strip()!r} around the chapters")
    return before + first + make(read(root)) + last + after


def main(root=ROOT):
    """Fill the three files, and say which of them changed."""
    for name in PARTS:
        text = filled(name, root)
        if text != (root / name).read_text("utf-8"):
            (root / name).write_text(text, "utf-8")
            print(f"{name}: written anew from chapters/chapters.toml")


if __name__ == "__main__":
    sys.exit(main())
