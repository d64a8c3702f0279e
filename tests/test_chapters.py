"""What a chapter claims holds for other seeds too, and no position of any slider can raise."""

import ast
import os
from dataclasses import replace
from functools import partial
from pathlib import Path

import jupytext
import matplotlib.pyplot as plt
import pytest
import torch
from matplotlib.figure import Figure

from course_lib.data import Corpus, PoemGrammar, Vocabulary, load_vowels
from course_lib.device import make_generator
from course_lib.show.explore import Exploration, explore

# nbval runs seed 0; `make seeds` names another, for which `make test` has not the time.
SEEDS = [int(seed) for seed in os.environ.get("COURSE_SEEDS", "1").split()]
CHAPTERS = sorted((Path(__file__).parents[1] / "chapters" / "sources").glob("[0-9][0-9]_*.py"))


def run(source, seed, knobs=()):
    """Execute a chapter's code cells with another seed; yields what each cell shows. Its own assertions do the work.

    `knobs` are other lines to change: pairs of how the line begins and what it becomes.
    """
    lines = source.read_text("utf-8").split("\n")
    for begins, becomes in (("seed = 0", f"seed = {seed}"), *knobs):
        found = [n for n, line in enumerate(lines) if line.startswith(begins)]
        assert len(found) == 1, f"{source.name}: one line `{begins}` is what this test, and a reader, changes"
        lines[found[0]] = becomes
    namespace = {"__name__": "chapter"}
    for cell in jupytext.reads("\n".join(lines), fmt="py:percent").cells:
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
@pytest.mark.parametrize("seed", SEEDS)
def test_claims_hold_for_other_seeds_and_sliders_at_every_position(source, seed, monkeypatch):
    monkeypatch.setenv("TQDM_DISABLE", "1")
    monkeypatch.chdir(source.parents[1])  # where a notebook runs, too
    explored = [shown for shown in run(source, seed) if isinstance(shown, Exploration)]
    assert explored, f"{source.name}: a chapter has something to play with"
    if seed == 1:  # once is enough: the functions are the same
        for exploration in explored:
            assert sum(1 for _ in exploration.frames()) == len(exploration.positions)


def made_up(name, length=None):
    """A corpus like the real one of that name, which CI has not got: quatrains, words of 3 to 11, or windows."""
    poems = PoemGrammar().sample(400, make_generator(0))
    if name == "names":
        poems = [poem[: 3 + n % 9] for n, poem in enumerate(poems)]
    if length:
        text = "\n".join(poems)
        poems = [text[n : n + length] for n in range(0, len(text) - length + 1, length)]
    return Corpus(name, "text", tuple(poems[:-100]), tuple(poems[-100:]), Vocabulary([*poems, "\n"]))


@pytest.mark.parametrize("name", ["tang", "names", "shakespeare"])
def test_chapter_3_runs_on_other_texts_by_one_argument(name, monkeypatch):
    monkeypatch.setenv("TQDM_DISABLE", "1")
    monkeypatch.setattr(f"course_lib.data.load_{name}", partial(made_up, name))
    source = next(path for path in CHAPTERS if path.stem == "03_pixelrnn_sentences")
    knobs = [('source = "poems"', f'source = "{name}"'), ("steps = 3500", "steps = 30")]
    for shown in run(source, 1, knobs):
        if isinstance(shown, Exploration):
            assert sum(1 for _ in shown.frames()) == len(shown.positions)


def strangers(split):
    """Clips in the form of the real spoken digits, which CI has not got: vowels, called digits of six people."""
    clips = load_vowels(60 if split == "test" else 120, make_generator(len(split)), frames=100)
    each = torch.arange(len(clips))
    label = (clips.label > 0) * (1 + each // 6 % 10)[:, None]
    local = torch.cat([clips.local_condition] * 6, 2)[:, :, :61]
    return replace(clips, speaker=each % 6, label=label, local_condition=local, pitch=torch.zeros_like(clips.pitch))


def test_chapter_5_runs_on_real_voices_by_one_argument(monkeypatch):
    monkeypatch.setenv("TQDM_DISABLE", "1")
    monkeypatch.setattr("course_lib.data.load_spoken_digits", strangers)
    source = next(path for path in CHAPTERS if path.stem == "05_wavenet")
    monkeypatch.chdir(source.parents[1])
    knobs = [('source = "voices"', 'source = "spoken digits"'), ("steps = 1250", "steps = 30")]
    for shown in run(source, 1, knobs):
        if isinstance(shown, Exploration):
            assert sum(1 for _ in shown.frames()) == len(shown.positions)


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
