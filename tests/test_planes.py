"""What is drawn on the plane stands where its numbers say, in the colours of its shares."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb

from course_lib.show.planes import show_codes, show_crowds, show_decoded, show_density, show_em_step, show_points
from course_lib.show.plots import DIGIT_COLOURS, QUIET


def test_a_point_has_the_colours_of_its_shares():
    x, shares = torch.tensor([[0.0, 1.0], [2.0, -1.0]]), torch.tensor([[1.0, 0.0], [0.5, 0.5]])
    (points,) = show_points(x, shares=shares).axes[0].collections
    first, second = (np.array(to_rgb(colour)) for colour in DIGIT_COLOURS[:2])
    assert np.allclose(points.get_facecolors()[:, :3], [first, (first + second) / 2])
    assert np.allclose(points.get_offsets(), x)


def test_an_ellipse_is_two_standard_deviations_away():
    mean, covariance = torch.tensor([[1.0, -1.0]]), torch.tensor([[[2.0, 0.6], [0.6, 0.5]]])
    (line,) = show_points(torch.zeros(3, 2), ellipses=(mean, covariance)).axes[0].lines
    away = line.get_xydata() - mean.numpy()
    assert np.allclose(np.einsum("ni,ij,nj->n", away, np.linalg.inv(covariance[0]), away), 4, atol=1e-4)


def test_the_plane_is_shaded_by_the_density_and_the_right_way_up():
    figure = show_density(lambda x: -8 * (x - torch.tensor([2.0, -1.0])).square().sum(1))
    (shades,) = figure.axes[0].collections
    darkest = [path for path in shades.get_paths() if len(path.vertices)][-1].vertices
    assert np.allclose(darkest.mean(0), [2, -1], atol=0.1)
    assert np.ptp(darkest, axis=0).max() < 1, "only the top of the hill"


def test_crowds_stand_side_by_side_each_with_its_own_colours_and_ellipses():
    one, two = torch.zeros(3, 2), torch.ones(4, 2)
    coloured = {"x": two, "shares": torch.ones(4, 1), "ellipses": (torch.zeros(1, 2), torch.eye(2)[None])}
    left, right = show_crowds({"given": one, "found": coloured}).axes
    assert (left.get_title(), right.get_title()) == ("given", "found")
    assert [len(plane.collections[0].get_offsets()) for plane in (left, right)] == [3, 4]
    assert (len(left.lines), len(right.lines)) == (0, 1)
    assert np.allclose(right.collections[0].get_facecolors()[0, :3], to_rgb(DIGIT_COLOURS[0]))
    assert np.allclose(left.collections[0].get_facecolors()[0, :3], to_rgb(QUIET))


def test_a_step_of_em_stands_beside_its_curves_and_their_gap():
    given = torch.zeros(3, 2), torch.ones(3, 1), (torch.zeros(1, 2), torch.eye(2)[None])
    figure = show_em_step(*given, {"bound": [2.0, 3.0]}, gap=[0.25, 0.0], half_step=1, title="M: parameters")
    plane, climb, gap = figure.axes
    assert plane.get_title() == "M: parameters" and len(plane.collections) == len(plane.lines) == 1
    assert (gap.get_xlabel(), gap.get_ylabel(), climb.get_ylabel()) == ("half steps", "gap, nats", "nats per point")
    assert [text.get_text() for text in climb.get_legend().get_texts()] == ["bound"]
    curve, here = climb.lines
    assert curve.get_xydata().tolist() == [[0, 2], [1, 3]] and here.get_xdata() == [1, 1]
    assert [bar.get_height() for bar in gap.patches] == [0.25, 0]
    assert climb.get_xlim() == gap.get_xlim(), "one half step is one place in both"


def test_each_digit_is_named_where_its_codes_live_and_a_cross_marks_what_is_decoded():
    z, y = torch.randn(50, 2, generator=torch.Generator().manual_seed(0)), torch.arange(50) % 10
    plane, image = show_decoded(z, y, torch.full((8, 8), 7), at=(1.5, -0.5)).axes
    assert "z₁" in plane.get_xlabel() and "z₂" in plane.get_ylabel()
    named = {text.get_text(): text.get_position() for text in plane.texts}
    assert set(named) == {str(digit) for digit in range(10)}
    assert named["3"] == pytest.approx(z[y == 3].quantile(0.5, dim=0).tolist(), abs=1e-6)
    assert [line.get_xydata().tolist() for line in plane.lines] == [[[1.5, -0.5]]] * 2
    assert (image.images[0].get_array() == 7).all()


@pytest.mark.parametrize(
    ("draw", "says"),
    [
        (lambda: show_points(torch.zeros(3)), r"x: expected shape \(N, 2\).*got \(3,\)"),
        (
            lambda: show_points(torch.zeros(3, 2), shares=torch.ones(2, 1)),
            r"shares: expected shape \(3, K\).*got \(2, 1\)",
        ),
        (lambda: show_points(torch.zeros(3, 2), shares=torch.ones(3, 11)), r"with K ≤ 10, got \(3, 11\)"),
        (lambda: show_points([[0, np.nan]]), "x: expected finite numbers, got 1 of 2"),
        (
            lambda: show_points(torch.zeros(3, 2), ellipses=(torch.zeros(2, 2), torch.eye(2))),
            r"ellipses: expected means \(K, 2\) and covariances \(K, 2, 2\), got \(2, 2\) and \(2, 2\)",
        ),
        (
            lambda: show_points(torch.zeros(3, 2), ellipses=(torch.zeros(1, 2), -torch.eye(2)[None])),
            "ellipses: expected positive definite covariances",
        ),
        (lambda: show_crowds({}), "crowds: expected one crowd .* or more, got none"),
        (lambda: show_crowds({"a": torch.zeros(2, 2), "b": torch.zeros(3)}), r"x: expected shape \(N, 2\)"),
        (lambda: show_density(lambda x: x), r"log_prob: expected a function \(B, 2\) -> \(B,\), got \(25921, 2\)"),
        (lambda: show_density(lambda x: x[:, 0] / 0), "the density of log_prob: expected finite numbers"),
        (lambda: show_codes(torch.zeros(2, 2), [3, 10]), r"y: expected digits 0 to 9, shape \(N,\), got \[10\]"),
        (lambda: show_codes(torch.zeros(2, 2), [0.5, 1]), r"y: expected digits 0 to 9, shape \(N,\), got \[0.5\]"),
        (
            lambda: show_decoded(torch.zeros(2, 2), [1, 2], torch.zeros(1, 8, 8), at=(0, 0)),
            r"image: expected shape \(H, W\), got \(1, 8, 8\)",
        ),
        (
            lambda: show_decoded(torch.zeros(2, 2), [1, 2], torch.zeros(8, 8), at=(0,)),
            "at: expected a code, two numbers",
        ),
        (lambda: show_codes(torch.zeros(5, 3), torch.zeros(5)), r"z: expected shape \(N, 2\).*got \(5, 3\)"),
    ],
)
def test_what_is_not_of_the_plane_is_refused(draw, says):
    plt.close("all")
    with pytest.raises(ValueError, match=says):
        draw()
    assert plt.get_fignums() == [], "what is refused leaves no empty figure below the cell"


def test_a_density_may_have_a_gradient():
    w = torch.ones(2, dtype=torch.float64, requires_grad=True)
    assert show_density(lambda x: -(w * x).square().sum(1)).axes[0].collections


def test_points_lie_on_a_density():
    figure = show_density(lambda x: -x.square().sum(1), points=torch.tensor([[1.0, 2.0]]))
    assert figure.axes[0].collections[-1].get_offsets().tolist() == [[1.0, 2.0]]
    with pytest.raises(ValueError, match=r"x: expected shape \(N, 2\)"):
        show_density(lambda x: -x.square().sum(1), points=torch.zeros(3))
