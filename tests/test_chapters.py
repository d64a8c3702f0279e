"""What a chapter claims holds for other seeds too, and no position of any slider can raise."""

import ast
from pathlib import Path

import jupytext
import matplotlib.pyplot as plt
import pytest
from matplotlib.figure import Figure

from course_lib.explore import Exploration, explore

CHAPTERS = sorted((Path(__file__).parents[1] / "chapters").glob("[0-9][0-9]_*.py"))


def run(source, seed):
    """Execute a chapter's code cells with another seed; yields what each cell shows. Its own assertions do the work."""
    text = source.read_text("utf-8")
    assert text.count("\nseed = 0\n") == 1, (
        f"{source.name}: one line `seed = 0` is what this test, and a reader, changes"
    )
    namespace = {"__name__": "chapter"}
    for cell in jupytext.reads(text.replace("\nseed = 0\n", f"\nseed = {seed}\n"), fmt="py:percent").cells:
        if cell.cell_type != "code":
            continue
        tree = ast.parse(cell.source)
        shown = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, source.name, "exec"), namespace)
        value = eval(compile(ast.Expression(shown.value), source.name, "eval"), namespace) if shown else None
        for figure in {value} if isinstance(value, Figure) else {plt.figure(number) for number in plt.get_fignums()}:
            figure.draw_without_rendering()  # as a notebook would; a character that the font lacks is an error
        if shown:
            yield value
        plt.close("all")


@pytest.mark.parametrize("source", CHAPTERS, ids=lambda path: path.stem)
@pytest.mark.parametrize("seed", [1, 2])
def test_claims_hold_for_other_seeds_and_sliders_at_every_position(source, seed, monkeypatch):
    monkeypatch.setenv("TQDM_DISABLE", "1")
    explored = [shown for shown in run(source, seed) if isinstance(shown, Exploration)]
    assert explored, f"{source.name}: a chapter has something to play with"
    if seed == 1:  # once is enough: the functions are the same
        for exploration in explored:
            assert sum(1 for _ in exploration.frames()) == len(exploration.positions)


# Chinese is text and no part of a figure: matplotlib's own font would draw boxes, and warns of each. That a warning
# in a stored notebook is refused, whatever it says, is for test_notebooks.

CHINESE = "import matplotlib.pyplot as plt\nfigure = plt.figure()\nfigure.suptitle('床前明月光')\n"


@pytest.mark.parametrize("last", ["figure", "None", "(plt.close(), figure)[1]"])
def test_a_figure_with_a_missing_glyph_fails_its_chapter(tmp_path, last):
    source = tmp_path / "chapter.py"
    source.write_text(f"# %%\nseed = 0\n# %%\n{CHINESE}{last}\n", "utf-8")
    with pytest.raises(UserWarning, match=r"Glyph 24202 .* missing from"):
        list(run(source, 1))
    plt.close("all")


def test_an_exploration_with_a_missing_glyph_fails():
    def show(n):
        plt.figure().suptitle("床前明月光"[:n])

    with pytest.raises(UserWarning, match=r"Glyph 24202 .* missing from"):
        explore(show, n=[0, 1]).frames()
