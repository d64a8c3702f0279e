"""What is drawn of a code is where its numbers say: posteriors, the Gaussians beside them, and hanging columns."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from course_lib.show.latents import show_gaps, show_posteriors


@pytest.fixture(autouse=True)
def nothing_open():
    plt.close("all")  # what another file's tests left


TICKS = torch.linspace(-3, 3, 61)
IMAGES = torch.zeros(2, 1, 8, 8)


def hills(*middles):
    z = torch.cartesian_prod(TICKS, TICKS).view(61, 61, 2)
    return torch.stack([(-20 * (z - torch.tensor(m)).square().sum(-1)).exp() for m in middles])


def test_a_posterior_is_shaded_where_it_is_and_its_gaussian_is_two_deviations_wide():
    mu, sigma = torch.tensor([[2.0, -1.0], [0.0, 1.0]]), torch.tensor([[0.3, 0.1], [0.2, 0.2]])
    figure = show_posteriors(IMAGES, hills((2.0, -1.0), (0.0, 1.0)), TICKS, {"q": (mu, sigma)})
    plane = figure.axes[2]
    (shades,) = plane.collections
    darkest = [path for path in shades.get_paths() if len(path.vertices)][-1].vertices
    assert np.allclose(darkest.mean(0), [2, -1], atol=0.1), "z₁ to the right, z₂ upwards"
    ellipse = plane.lines[-1].get_xydata()
    assert np.allclose(((ellipse - [2, -1]) / [0.3, 0.1]).__pow__(2).sum(1), 4, atol=1e-4)
    (left, right), (low, high) = plane.get_xlim(), plane.get_ylim()
    assert left < 1.4 and 2.6 < right < 3.5 and low < -1.2 and -0.8 < high < 0, "only what there is to see"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["q"]


def test_columns_hang_from_their_line_one_part_below_the_other():
    figure = show_gaps({"a": [1.0, 2.0], "b": [0.5, 0.0]}, top="log p(x)", ylabel="nats below", xlabel="images")
    (ax,) = figure.axes
    first, second = ([(bar.get_y(), bar.get_height()) for bar in bars] for bars in ax.containers)
    assert first == [(0, -1), (0, -2)] and second == [(-1, -0.5), (-2, 0)]
    assert ax.texts[0].get_text() == "log p(x)" and ax.yaxis.get_major_formatter()(-2, 0) == "2"


@pytest.mark.parametrize(
    ("draw", "says"),
    [
        (lambda: show_posteriors(IMAGES, hills((0.0, 0.0)), TICKS, {"q": (IMAGES, IMAGES)}), r"densities \(N, T, T\)"),
        (
            lambda: show_posteriors(IMAGES[:1], hills((0.0, 0.0)), TICKS, {"q": (torch.zeros(1, 3), torch.ones(1, 2))}),
            r"gaussians\['q'\]: expected mu and sigma \(1, 2\)",
        ),
        (
            lambda: show_gaps({"a": [1.0], "b": [1.0, 2.0]}, top="", ylabel="", xlabel=""),
            r"parts: expected \(N,\) each",
        ),
        (
            lambda: show_posteriors(
                IMAGES[:1], 0 * hills((0.0, 0.0)), TICKS, {"q": (torch.zeros(1, 2), torch.ones(1, 2))}
            ),
            "densities ≥ 0, each above 0 somewhere",
        ),
        (
            lambda: show_posteriors(
                IMAGES[:1], hills((0.0, 0.0)), TICKS, dict.fromkeys("abc", (torch.zeros(1, 2), torch.ones(1, 2)))
            ),
            "one or two gaussians",
        ),
        (lambda: show_gaps({"a": []}, top="", ylabel="", xlabel=""), "of one or more numbers"),
        (lambda: show_gaps({"a": [-1.0]}, top="", ylabel="", xlabel=""), "expected heights ≥ 0, got a negative one"),
    ],
)
def test_what_cannot_be_drawn_is_said_and_leaves_no_figure(draw, says):
    with pytest.raises(ValueError, match=says):
        draw()
    assert not plt.get_fignums()
