"""A tree of beginnings that grows from left to right, as text in the reader's fonts: what a search keeps and drops."""

import html
from collections.abc import Sequence
from typing import NamedTuple

from IPython.display import HTML

from ..expect import expect_one_of

STEP, ROW, RADIUS = 33, 40, 10  # from node to node, in pixels: ten steps fit on a phone
# How a node and the line to it look; each is readable on white and on the book's dark grey.
KINDS = {
    "best": ("#4477aa", "3", "1"),
    "greedy": ("#cc7711", "3", "1"),
    "kept": ("#4477aa", "1.3", "1"),
    "lost": ("#8899aa", "1.3", "0.75"),
    "dropped": ("#cc3311", "1", "0.6"),
}


class Node(NamedTuple):
    """`label` stands in the circle and `note` below it; `parent` is its parent's place in the column before.

    `kind` is "best", on the path that is best so far; "greedy", on the path that always takes the likeliest step;
    "kept"; "lost", kept once but no longer; or "dropped".
    """

    parent: int
    label: str
    note: str
    kind: str = "kept"


def show_tree(columns: Sequence[Sequence[Node]], *, rows: int = 0, steps: int = 0, spread: bool = False) -> HTML:
    """The nodes of each step as a column, from top to bottom, each joined to its parent, the first to the root.

    The picture has room for `rows` × `steps` nodes at least, so that it keeps its size under a slider. With `spread`,
    every column fills the whole height, for trees that are shown whole. Returns HTML.
    Raises ValueError for no column, for a parent that is not there, and for an unknown kind.
    """
    if not columns or not all(columns):
        raise ValueError("columns: expected one node or more in each of one column or more")
    rows, steps = max(rows, *map(len, columns)), max(steps, len(columns))
    width, height = steps * STEP + 20, rows * ROW
    root = _at(-1, 0, [None], height, spread)
    shapes, texts = {kind: "" for kind in KINDS}, {kind: "" for kind in KINDS}  # in groups: a page holds many trees
    for n, column in enumerate(columns):
        for i, node in enumerate(column):
            expect_one_of("kind", node.kind, KINDS)
            x, y = _at(n, i, column, height, spread)
            x0, y0 = root
            if n:
                if not 0 <= node.parent < len(columns[n - 1]):
                    last = len(columns[n - 1]) - 1
                    raise ValueError(f"parent: expected 0 to {last}, a place in the column before, got {node.parent}")
                x0, y0 = _at(n - 1, node.parent, columns[n - 1], height, spread)
            x0 += RADIUS if n else 3
            middle = (x0 + x - RADIUS) / 2
            shapes[node.kind] += f'<path d="M{x0} {y0:g}C{middle:g} {y0:g} {middle:g} {y:g} {x - RADIUS} {y:g}"/>'
            shapes[node.kind] += f'<circle cx="{x}" cy="{y:g}" r="{RADIUS}"/>'
            texts[node.kind] += f'<text x="{x}" y="{y + 5:g}">{html.escape(node.label)}</text>'
            texts[node.kind] += f'<text x="{x}" y="{y + 20:g}" font-size="10">{html.escape(node.note)}</text>'
    groups = f'<rect x="{root[0] - 3}" y="{root[1] - 3:g}" width="6" height="6" rx="3"/>'
    for kind, (colour, thick, opacity) in KINDS.items():
        dashed = ' stroke-dasharray="3 3"' if kind == "dropped" else ""
        style = f'fill="none" stroke="{colour}" stroke-width="{thick}"{dashed}'
        if shapes[kind]:
            groups += f'<g opacity="{opacity}"><g {style}>{shapes[kind]}</g>{texts[kind]}</g>'
    nodes = [node.kind for column in columns for node in column]
    alt = f"a tree of {len(columns)} steps: " + ", ".join(
        f"{nodes.count(kind)} {kind}" for kind in KINDS if kind in nodes
    )
    return HTML(
        f'<div role="group" aria-label="{alt}" tabindex="0" style="overflow-x: auto">'
        f'<svg viewBox="0 0 {width} {height}" '
        f'style="width: {width}px" role="img" aria-label="{alt}" fill="currentColor" text-anchor="middle" '
        f'font-size="14">{groups}</svg></div>'
    )


def _at(n, i, column, height, spread):
    y = height * (i + 0.5) / len(column) if spread else (i + 0.5) * ROW
    return 5 + (n + 1) * STEP, y - 4  # below it is the note
