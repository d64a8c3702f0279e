"""A game is drawn where its numbers say: densities, beliefs, draws, and a map of who wins."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from course_lib.show.games import show_contest, show_line_game, show_map

X = torch.linspace(-1, 1, 5)


def test_a_game_on_a_line_has_its_densities_and_both_discriminators():
    given = {"real": X.abs(), "made": X * 0 + 0.5, "judge": X * 0 + 0.25, "best": torch.where(X < 0, torch.nan, 0.75)}
    ax = show_line_game(X, **given, title="step 3").axes[0]
    made, judge, best = (line.get_xydata() for line in ax.lines[:3])
    assert np.allclose(made, torch.stack([X, given["made"]], 1)) and np.allclose(judge[:, 1], 0.25)
    assert np.isnan(best[:2, 1]).all() and np.allclose(best[2:, 1], 0.75)
    assert ax.get_title() == "step 3" and ax.collections, "the data's density is an area"


def test_beliefs_are_blue_where_real_and_the_right_way_up():
    field = torch.full((21, 21), 0.5)
    field[15:, :5] = 1.0  # x₁ large, x₂ small
    figure = show_contest({"now": (torch.tensor([[1.0, -2.0]]), field)}, modes=torch.zeros(3, 2), radius=0.5)
    ax = figure.axes[0]
    shade, points = ax.collections
    assert np.allclose(points.get_offsets(), [[1, -2]]) and len(ax.patches) == 3 and ax.patches[0].radius == 0.5
    colours = shade.get_facecolors()[:, :3]
    middle, real = colours[len(colours) // 2], colours[-1]
    assert np.ptp(middle) < 0.05 and middle.min() > 0.9, "one half is white"
    assert real[2] > real[0], "real is blue"
    sure = [path for path in shade.get_paths() if len(path.vertices)][-1].vertices
    assert sure[:, 0].min() > 1 and sure[:, 1].max() < -2


def test_a_map_has_a_number_in_each_cell_and_one_scale():
    values = {"a": [[8.0, 2.5]], "b": [[0.0, 4.0]]}
    words = {"xlabel": "features", "ylabel": "rate", "unit": "modes"}
    left, right, bar = show_map(values, rows=[1], columns=[4, 16], **words).axes
    assert [text.get_text() for text in left.texts] == ["8", "2.5"]
    assert [text.get_text() for text in right.texts] == ["0", "4"]
    assert left.images[0].get_clim() == right.images[0].get_clim() == (0, 8) and bar.get_ylabel() == "modes"


@pytest.mark.parametrize(
    ("draw", "says"),
    [
        (lambda: show_line_game(X, real=X, made=X[:3], judge=X, best=X), "made: expected shape"),
        (lambda: show_line_game(X, real=X, made=X * torch.nan, judge=X, best=X), "finite"),
        (lambda: show_contest({"now": (torch.zeros(3), torch.zeros(4, 4))}), "expected x"),
        (lambda: show_contest({"now": (torch.zeros(3, 2), torch.zeros(4, 5))}), "a field"),
        (lambda: show_contest({}), "contests"),
        (lambda: show_map({"a": [[1.0]]}, rows=[1, 2], columns=[1], xlabel="", ylabel="", unit=""), "expected shape"),
    ],
)
def test_what_is_no_game_is_refused(draw, says):
    plt.close("all")
    with pytest.raises((ValueError, TypeError), match=says):
        draw()
    assert plt.get_fignums() == [], "what is refused leaves no empty figure below the cell"
