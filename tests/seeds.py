"""What the chapters claim holds for other seeds too: `make seeds`, which takes as long as it needs.

`make test` does not collect this file: there nbval runs each chapter once, as it is stored, with seed 0.
"""

import ast
import os
from pathlib import Path

import jupytext
import matplotlib.pyplot as plt
import pytest
import torch
from matplotlib.figure import Figure

SEEDS = [int(seed) for seed in os.environ.get("COURSE_SEEDS", "1 2 3 4").split()]
CHAPTERS = sorted((Path(__file__).parents[1] / "chapters" / "sources").glob("[0-9][0-9]_*.py"))


def run_chapter(source, seed, knobs=(), until=None):
    """Execute a chapter's code cells with another seed; yields what each cell shows. Its own assertions do the work.

    `knobs` are other lines to change: pairs of how the line begins and what it becomes. The first cell in which the
    words `until` stand is not reached.
    """
    lines = source.read_text("utf-8").split("\n")
    for begins, becomes in (("seed = 0", f"seed = {seed}"), *knobs):
        found = [n for n, line in enumerate(lines) if line.startswith(begins)]
        assert len(found) == 1, f"{source.name}: one line `{begins}` is what this test, and a reader, changes"
        lines[found[0]] = becomes
    namespace, nobodys = {"__name__": "chapter"}, torch.get_rng_state()
    for cell in jupytext.reads("\n".join(lines), fmt="py:percent").cells:
        if until and until in cell.source:
            return
        if cell.cell_type != "code":
            continue
        tree = ast.parse(cell.source)
        shown = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, source.name, "exec"), namespace)
        value = eval(compile(ast.Expression(shown.value), source.name, "eval"), namespace) if shown else None
        for figure in {value} if isinstance(value, Figure) else {plt.figure(number) for number in plt.get_fignums()}:
            figure.draw_without_rendering()  # as a notebook would; a character that the font lacks is an error
        assert torch.equal(torch.get_rng_state(), nobodys), f"{source.name}: draws from a source that it never seeded"
        if shown:
            yield value
        plt.close("all")


@pytest.mark.parametrize("source", CHAPTERS, ids=lambda path: path.stem)
@pytest.mark.parametrize("seed", SEEDS)
def test_claims_hold_for_other_seeds(source, seed, monkeypatch):
    monkeypatch.setenv("TQDM_DISABLE", "1")
    monkeypatch.chdir(source.parents[1])  # where a notebook runs, too
    for _ in run_chapter(source, seed):
        pass
