"""Pictures of videos say what they show: what was given, what was drawn, and what a pixel sees of the past."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb

from course_lib.show.plots import BLIND, LEAK
from course_lib.show.videos import DRAWN, GIVEN, show_film, show_moment, show_past, show_stills


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


FILM = torch.arange(3 * 4 * 5).view(3, 1, 4, 5) % 2  # T, C, H, W


def panels(figure):
    return [ax for ax in figure.axes if ax.images]


def test_a_film_is_a_row_of_frames_grey_where_they_were_given():
    figure = show_film({"one": FILM, "two": 1 - FILM}, given=1, first=4)
    shown = panels(figure)
    assert [ax.images[0].get_cmap().name for ax in shown] == [GIVEN.name, DRAWN.name, DRAWN.name] * 2
    for ax, frame in zip(shown, [*FILM, *(1 - FILM)], strict=True):
        assert np.array_equal(ax.images[0].get_array(), frame[0])
    assert [ax.get_title() for ax in shown] == ["4", "5", "6", "", "", ""]


def test_wrong_frames_are_struck_out():
    figure = show_film({"one": FILM, "two": FILM}, wrong={"two": torch.tensor([False, True, False])})
    assert [len(ax.lines) for ax in panels(figure)] == [0, 0, 0, 0, 1, 0]


def test_a_moment_is_one_frame_of_each_film():
    for frame, colours in enumerate([GIVEN, DRAWN, DRAWN]):
        shown = panels(show_moment({"one": FILM, "two": 1 - FILM}, frame, given=1))
        assert [ax.get_title() for ax in shown] == ["one", "two"]
        assert [ax.images[0].get_cmap().name for ax in shown] == [colours.name] * 2
        assert np.array_equal(shown[1].images[0].get_array(), 1 - FILM[frame, 0])


def test_stills_put_a_frame_around_a_pixel():
    figure = show_stills({"true": FILM[0, 0], "p": FILM[1, 0] / 2}, given=["true"], framed={"p": (1, 3)})
    true, p = panels(figure)
    assert true.images[0].get_cmap().name == GIVEN.name
    assert p.images[0].get_cmap().name == DRAWN.name
    assert not true.patches
    assert p.patches[0].get_xy() == (2.5, 0.5)


def test_what_a_pixel_sees_has_the_colours_of_the_fields():
    field = torch.ones(2, 2, 2)
    field[0, 0, 0] = field[1, 1, 1] = 0  # before the pixel and out of sight; after it and unseen
    seen = [np.asarray(ax.images[0].get_array()) for ax in panels(show_past({"a": field}, at=(1, 0, 1)))[:2]]
    assert np.allclose(seen[0][0, 0], to_rgb(BLIND))
    assert np.allclose(seen[1][1, 1], 1)
    for place in ((0, 1), (1, 0)):  # itself and what comes after it
        assert np.allclose(seen[1][place], to_rgb(LEAK))
    assert seen[1][0, 0][2] > seen[1][0, 0][0]  # blue


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: show_film({}), "films"),
        (lambda: show_film({"a": FILM[0, 0]}), r"expected frames \(T, H, W\) of ink from 0 to 1, got shape \(4, 5\)"),
        (lambda: show_film({"a": 2 * FILM}), "ink from 0 to 1"),
        (lambda: show_film({"a": FILM, "b": FILM[:2]}), r"as many frames of each, got \[3, 2\]"),
        (lambda: show_moment({"a": FILM}, 3), "expected a number below 3, the frames of the films, got 3"),
        (lambda: show_past({"a": torch.ones(2, 2)}, at=(0, 0, 0)), r"one shape \(T, H, W\), got \(2, 2\)"),
        (lambda: show_past({"a": -torch.ones(2, 2, 2)}, at=(0, 0, 0)), "strengths ≥ 0"),
    ],
)
def test_what_cannot_be_shown_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
