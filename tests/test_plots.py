"""Pictures have axes, are shown once, and say what they cannot draw."""

import matplotlib.pyplot as plt
import pytest
import torch

from course_lib.show.planes import show_codes, show_decoded, show_density, show_em_step, show_points
from course_lib.show.plots import show_curves, show_fields, show_images
from course_lib.show.waves import show_spectrograms, show_waves

X, Y = torch.randn(50, 2, generator=torch.Generator().manual_seed(0)), torch.arange(50) % 10
ROUND = torch.zeros(1, 2), torch.eye(2)[None]
HISS = {"hiss": torch.rand(800, generator=torch.Generator().manual_seed(0)) - 0.5}


@pytest.mark.parametrize(
    "draw",
    [
        lambda: show_images(torch.zeros(7, 1, 8, 8), columns=5),
        lambda: show_images(torch.rand(3, 16, 16, 3)),
        lambda: show_fields({"a": torch.rand(4, 5), "b": torch.zeros(4, 5)}, at=(2, 3)),
        lambda: show_codes(X, Y),
        lambda: show_decoded(X, Y, torch.zeros(8, 8), at=(0, 0)),
        lambda: show_curves({"a": ([1, 10], [0, 1])}, xlabel="steps", ylabel="nats", floors={"uniform": 4.1}),
        lambda: show_points(X, shares=torch.ones(50, 1), ellipses=ROUND, title="points"),
        lambda: show_density(lambda x: -x.square().sum(1)),
        lambda: show_em_step(X, torch.ones(50, 1), ROUND, {"bound": [1, 2]}, half_step=1, title="M"),
        lambda: show_waves(HISS, 8000, labels=[(0, 50, "a")]),
        lambda: show_spectrograms(HISS | {"again": HISS["hiss"]}, 8000, columns=2),
    ],
)
def test_a_figure_is_handed_over_and_not_left_to_pyplot(draw):
    plt.close("all")  # what other tests have left
    figure = draw()
    figure.draw_without_rendering()
    assert plt.get_fignums() == [], "pyplot would show it a second time"


def test_images_stand_in_order_with_titles_and_crosses():
    images = torch.arange(3).view(3, 1, 1, 1).expand(3, 1, 8, 8)
    figure = show_images(images, titles=["a", "b", "c"], crossed=[False, True, False], columns=2, caption="three")
    assert figure.get_supxlabel() == "three"
    filled = [ax for ax in figure.axes if ax.images]
    assert [ax.get_title() for ax in filled] == ["a", "b", "c"]
    assert [int(ax.images[0].get_array()[0, 0]) for ax in filled] == [0, 1, 2]
    assert [len(ax.lines) for ax in filled] == [0, 1, 0]
    assert {ax.images[0].get_clim() for ax in filled} == {(0, 16)}, "ink means the same in every picture"


def test_images_in_colour_are_shown_as_they_are():
    colours = torch.rand(2, 4, 5, 3, generator=torch.Generator().manual_seed(0))
    shown = [ax.images[0].get_array() for ax in show_images(colours).figure.axes]
    assert [array.shape for array in shown] == [(4, 5, 3)] * 2
    assert torch.equal(torch.as_tensor(shown[1].data), colours[1])
    with pytest.raises(ValueError, match=r"got \(2, 4, 5, 3\) of int64"):
        show_images(colours.long())


def test_fields_tell_the_seen_from_the_unseen_and_from_the_future():
    field = torch.zeros(3, 4)
    field[0, 0], field[0, 1], field[2, 3] = 1.0, 1e-6, 0.5  # strong, weak, and after the pixel
    figure = show_fields({"honest": field * (torch.arange(12).view(3, 4) < 6), "cheats": field}, at=(1, 2))
    honest, cheats = (ax.images[0].get_array() for ax in figure.axes)
    strong, weak, unseen, future = cheats[0, 0], cheats[0, 1], cheats[0, 3], cheats[2, 3]
    assert strong.sum() < weak.sum() < 3 and strong[2] > strong[0], "seen is blue, the stronger the darker"
    assert unseen[0] > unseen[2] + 0.3, "what is before it and not seen is orange"
    assert future[0] > 0.7 and future[1] < 0.2, "the future is red"
    assert honest[2, 3].tolist() == [1, 1, 1] == cheats[1, 3].tolist(), "and white where it is not seen"
    named = [text.get_text() for text in figure.legends[0].get_texts()]
    assert named == ["seen", "before it, and not seen", "the future, seen"]


def test_curves_name_their_axes_lines_and_floors():
    curves = {"Z = 2": ([0.1, 1, 10], [0, 0.2, 0.4])}
    figure = show_curves(curves, xlabel="strides", ylabel="share", floors={"real": 0.05}, xscale="log", ylim=(0, 1))
    figure.draw_without_rendering()
    (ax,) = figure.axes
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_ylim()) == ("strides", "share", (0, 1))
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["Z = 2", "real"]
    ticks = [label.get_text() for label in ax.get_xticklabels()]
    assert {"0.1", "0.2", "0.5", "1", "2", "5", "10"} <= set(ticks), "numbers and not powers"


@pytest.mark.parametrize(
    ("draw", "says"),
    [
        (lambda: show_images(torch.zeros(8, 8)), r"expected shape \(N, 1, H, W\) or \(N, H, W\).*got \(8, 8\)"),
        (lambda: show_images(torch.zeros(2, 3, 8, 8)), r"got \(2, 3, 8, 8\)"),
        (lambda: show_images(torch.zeros(0, 8, 8)), r"got \(0, 8, 8\)"),
        (lambda: show_images(torch.zeros(2, 8, 8), titles=["one"]), "titles: expected one for each of the 2"),
        (lambda: show_images(torch.zeros(2, 8, 8), crossed=[True] * 3), "crossed: expected one for each of the 2"),
    ],
)
def test_what_cannot_be_drawn_is_told(draw, says):
    with pytest.raises(ValueError, match=says):
        draw()


def test_a_frame_stands_around_the_pixel_it_is_asked_for():
    figure = show_images(torch.zeros(2, 1, 8, 8), framed=[(2, 5), None])
    (frame,) = figure.axes[0].patches
    assert (frame.get_xy(), frame.get_width(), frame.get_height()) == ((4.5, 1.5), 1, 1)
    assert not figure.axes[1].patches
    with pytest.raises(ValueError, match="framed: expected one for each of the 2 images, got 1"):
        show_images(torch.zeros(2, 1, 8, 8), framed=[None])
