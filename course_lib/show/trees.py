"""A tree of beginnings that grows from left to right, as text in the reader's fonts: what a search keeps and drops."""

import html
from collections.abc import Sequence
from typing import NamedTuple

from IPython.display import HTML

from ..expect import expect_one_of

STEP, ROW = 51, 36  # from node to node, in pixels
# How a node and the line to it look; each is readable on white and on the book's dark grey.
KINDS = {
    "best": ("#4477aa", "3", "1"),
    "greedy": ("#cc3311", "3", "1"),
    "kept": ("#4477aa", "1.3", "1"),
    "lost": ("#8899aa", "1.3", "0.75"),
    "dropped": ("#cc3311", "1", "0.6"),
}


class Node(NamedTuple):
    """`label` stands in the circle and `note` beside it; `parent` is its parent's place in the column before.

    `kind` is "best", on the path that is best so far; "greedy", on the path that always takes the likeliest step;
    "kept"; "lost", kept once but no longer; or "dropped".
    """

    parent: int
    label: str
    note: str
    kind: str = "kept"


def show_tree(columns: Sequence[Sequence[Node]], *, rows: int = 0, steps: int = 0, spread: bool = False) -> HTML:
    """The nodes of each step as a column, from top to bottom, each joined to its parent; the root is not drawn.

    The picture has room for `rows` × `steps` nodes at least, so that it keeps its size under a slider. With `spread`,
    every column fills the whole height, for trees that are shown whole. Returns HTML.
    Raises ValueError for no column, for a parent that is not there, and for an unknown kind.
    """
    if not columns or not all(columns):
        raise ValueError("columns: expected one node or more in each of one column or more")
    rows, steps = max(rows, *map(len, columns)), max(steps, len(columns))
    width, height = steps * STEP + 40, rows * ROW
    shapes, texts = {kind: "" for kind in KINDS}, {kind: "" for kind in KINDS}  # in groups: a page holds many trees
    for n, column in enumerate(columns):
        for i, node in enumerate(column):
            expect_one_of("kind", node.kind, KINDS)
            x, y = _at(n, i, column, height, spread)
            if n:
                if not 0 <= node.parent < len(columns[n - 1]):
                    last = len(columns[n - 1]) - 1
                    raise ValueError(f"parent: expected 0 to {last}, a place in the column before, got {node.parent}")
                x0, y0 = _at(n - 1, node.parent, columns[n - 1], height, spread)
                shapes[node.kind] += f'<path d="M{x0 + 12} {y0:g}C{x - 33} {y0:g} {x - 30} {y:g} {x - 12} {y:g}"/>'
            shapes[node.kind] += f'<circle cx="{x}" cy="{y:g}" r="12"/>'
            texts[node.kind] += f'<text x="{x}" y="{y + 5:g}">{html.escape(node.label)}</text>'
            texts[node.kind] += f'<text x="{x + 24}" y="{y - 7:g}" font-size="10">{html.escape(node.note)}</text>'
    groups = ""
    for kind, (colour, thick, opacity) in KINDS.items():
        dashed = ' stroke-dasharray="3 3"' if kind == "dropped" else ""
        style = f'fill="none" stroke="{colour}" stroke-width="{thick}"{dashed}'
        if shapes[kind]:
            groups += f'<g opacity="{opacity}"><g {style}>{shapes[kind]}</g>{texts[kind]}</g>'
    return HTML(
        f'<div style="overflow-x: auto"><svg viewBox="0 0 {width} {height}" style="width: {width}px" role="img" '
        f'fill="currentColor" text-anchor="middle" font-size="14">{groups}</svg></div>'
    )


def _at(n, i, column, height, spread):
    return 20 + n * STEP, height * (i + 0.5) / len(column) if spread else (i + 0.5) * ROW
