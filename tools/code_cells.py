"""Sphinx extension: code cells that are not the lesson fold, on the page, to one line that says what they do.

A chapter's cells carry their kind as a tag. Without one a cell is an idea, and open. `drawing` and `checking` fold,
and so does `setup`. This is done when the book is built, with <details>, so it needs no script; in the notebook they
are plain cells. What a folded cell shows stays in view.
"""

import ast
import json
from html import escape

from myst_nb.sphinx_ import HideCodeCellNode

FOLDED = ("setup", "drawing", "checking")


def claims(code):
    """How many claims a cell asserts: `assert` statements, and calls of the library's `assert_…`."""
    return sum(
        isinstance(node, ast.Assert)
        or (isinstance(node, ast.Call) and getattr(node.func, "id", "").startswith("assert_"))
        for node in ast.walk(ast.parse(code))
    )


def label(tags, code):
    """What the line of a folded cell says after "Show" and "Hide"; None for a cell that stays open."""
    if not set(FOLDED) & set(tags):
        return None
    if "setup" in tags:
        return "the installation"
    if "checking" not in tags:
        return "the drawing"
    n = claims(code)
    return f"the check: {n} claim{'s' * (n > 1)}" if n else "the measurement"


def fold(app, name, content):
    """Before a notebook is read: tell MyST-NB which cells to fold, and what their lines say."""
    if not str(app.env.doc2path(name)).endswith(".ipynb"):
        return
    notebook = json.loads(content[0])
    for cell in notebook["cells"]:
        tags = cell["metadata"].get("tags", [])
        says = cell["cell_type"] == "code" and label(tags, "".join(cell["source"]))
        if says:
            cell["metadata"]["tags"] = sorted({*tags, "hide-input"})
            cell["metadata"]["mystnb"] = {"code_prompt_show": says, "code_prompt_hide": says}
    content[0] = json.dumps(notebook)


def open_details(translator, node):
    """Instead of MyST-NB's own, which tells a screen reader "Toggle hidden content" whatever is hidden."""
    says = escape(node["prompt_show"])
    line = f'<span class="to-show">Show</span><span class="to-hide">Hide</span> {says}'
    translator.body.append(f'<details class="code-fold">\n<summary>{line}</summary>\n')


def close_details(translator, node):
    translator.body.append("</details>\n")


def setup(app):
    """Sphinx calls this when it loads the extension."""
    app.connect("source-read", fold)
    app.add_node(HideCodeCellNode, override=True, html=(open_details, close_details))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
