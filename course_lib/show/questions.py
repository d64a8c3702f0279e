"""A tree of questions, with a link on each leaf: text in the reader's fonts, which wraps where the page is narrow."""

import html
from collections.abc import Mapping
from typing import NamedTuple

from IPython.display import HTML

LINE, STEP = "#8899aa", "1.1rem"  # the colour of the branches, readable on white and on dark grey; how far they indent
LEAVES = ["#4477aa", "#228833", "#a85c00", "#aa3377"]  # of leaves, by the group that they name
CARD = "display: inline-block; padding: 0.25rem 0.6rem; border-radius: 0.4rem; line-height: 1.35;"


class Leaf(NamedTuple):
    """`name` stands on the leaf, and leads to the page `link` if there is one; `note` stands beside it.

    Leaves of one `group`, 0 to 3, have one colour.
    """

    name: str
    note: str = ""
    link: str = ""
    group: int = 0


class Question(NamedTuple):
    """`text` is asked; `answers` {words: what comes next} are questions or leaves."""

    text: str
    answers: Mapping[str, "Question | Leaf"]


def show_questions(tree: Question) -> HTML:
    """The questions below each other, each answer indented below its own, and leaves at the ends. Returns HTML.

    Raises TypeError for an answer that is neither a question nor a leaf, ValueError for a question without answers and
    for a group that has no colour.
    """
    leaves = [leaf.name for leaf in leaves_of(tree)]
    alt = html.escape(f"a tree of questions with {len(leaves)} leaves: {', '.join(leaves)}", quote=True)
    return HTML(
        f'<div role="group" aria-label="{alt}" tabindex="0" style="max-width: 44rem; line-height: 1.4; '
        f'overflow-x: auto">{_written(tree)}</div>'
    )


def leaves_of(tree: "Question | Leaf") -> list[Leaf]:
    """All leaves, from top to bottom. Raises as `show_questions` does."""
    if isinstance(tree, Leaf):
        if tree.group not in range(len(LEAVES)):
            raise ValueError(f"group: expected 0 to {len(LEAVES) - 1}, got {tree.group} of {tree.name!r}")
        return [tree]
    if not isinstance(tree, Question):
        raise TypeError(f"answers: expected a Question or a Leaf, got {type(tree).__name__}")
    if not tree.answers:
        raise ValueError(f"answers: expected one or more to {tree.text!r}, got none")
    return [leaf for after in tree.answers.values() for leaf in leaves_of(after)]


def _written(node):
    if isinstance(node, Leaf):
        return _card(node)
    rows, last = "", len(node.answers) - 1
    for n, (answer, after) in enumerate(node.answers.items()):
        # Each row draws its own piece of the line that goes down, and its own branch to the right.
        down = "height: 1.05rem" if n == last else "bottom: 0"
        lines = (
            f'<span style="position: absolute; left: 0; top: 0; {down}; border-left: 2px solid {LINE}"></span>'
            f'<span style="position: absolute; left: 0; top: 1.05rem; width: 0.7rem; border-top: 2px solid {LINE}">'
            "</span>"
        )
        said = f'<span style="opacity: 0.75; margin-right: 0.5em">{html.escape(answer)}</span>'
        rows += (
            f'<div style="position: relative; margin-left: 0.35rem; padding: 0.3rem 0 0.1rem {STEP}">{lines}{said}'
            f"{_written(after)}</div>"
        )
    return f"<b>{html.escape(node.text)}</b>{rows}"


def _card(leaf):
    name, colour = html.escape(leaf.name), LEAVES[leaf.group]
    style = f"{CARD} background: {colour}; color: #fff; font-weight: 600; text-decoration: none"
    link = html.escape(leaf.link, quote=True)
    card = f'<a href="{link}" style="{style}">{name}</a>' if link else f'<span style="{style}">{name}</span>'
    note = f' <span style="font-size: 0.85em">{html.escape(leaf.note)}</span>' if leaf.note else ""
    return card + note
