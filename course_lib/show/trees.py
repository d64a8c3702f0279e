"""A tree of beginnings that grows from left to right, as text in the reader's fonts: what a search keeps and drops."""

import html
from collections.abc import Sequence
from typing import NamedTuple

from IPython.display import HTML

from ..expect import expect_one_of

STEP, ROW = 72, 38  # from node to node, in pixels
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
    lines, nodes = [], []
    for n, column in enumerate(columns):
        for i, node in enumerate(column):
            expect_one_of("kind", node.kind, KINDS)
            if n and not 0 <= node.parent < len(columns[n - 1]):
                last = len(columns[n - 1]) - 1
                raise ValueError(f"parent: expected 0 to {last}, a place in the column before, got {node.parent}")
            colour, thick, opacity = KINDS[node.kind]
            x, y = _at(n, i, column, height, spread)
            x0, y0 = _at(n - 1, node.parent, columns[n - 1], height, spread) if n else (0, y)
            dashed = ' stroke-dasharray="3 3"' if node.kind == "dropped" else ""
            bend = f"M{x0 + 13 * (n > 0)} {y0:g} C{x - 40} {y0:g} {x - 36} {y:g} {x - 13} {y:g}"
            style = f'stroke="{colour}" stroke-width="{thick}" opacity="{opacity}"'
            lines.append(f'<path d="{bend}" fill="none" {style}{dashed}/>' if n else "")
            nodes.append(
                f'<g opacity="{opacity}"><circle cx="{x}" cy="{y:g}" r="13" fill="none" stroke="{colour}" '
                f'stroke-width="{thick}"{dashed}/><text x="{x}" y="{y + 5:g}" text-anchor="middle" font-size="15">'
                f'{html.escape(node.label)}</text><text x="{x + 15}" y="{y - 6:g}" font-size="10.5">'
                f"{html.escape(node.note)}</text></g>"
            )
    return HTML(
        f'<svg viewBox="0 0 {width} {height}" style="width: 100%; max-width: {width}px; height: auto" '
        f'fill="currentColor" role="img">{"".join(lines + nodes)}</svg>'
    )


def _at(n, i, column, height, spread):
    return 20 + n * STEP, height * (i + 0.5) / len(column) if spread else (i + 0.5) * ROW
