"""Pictures of an image on its way: what they show, and which arguments they refuse."""

import matplotlib.colors
import pytest
import torch

from course_lib.data import load_sprites
from course_lib.data.sprites import to_rgb
from course_lib.device import make_generator
from course_lib.show.painting import CELL_COLOURS, show_choice, show_completions, show_skew, show_walk

X = load_sprites(3, generator=make_generator(0))  # (3, 1, 16, 16)
P = torch.arange(1, 17) / 136


def test_a_canvas_shows_what_is_painted_and_nothing_else():
    i, j = 7, 9
    canvas, words = show_choice(X[0], 7 * 16 + 9).axes
    shown, whole = torch.as_tensor(canvas.images[0].get_array().data), to_rgb(X[:1])[0]
    assert torch.equal(shown[:i], whole[:i]) and torch.equal(shown[i, :j], whole[i, :j])
    assert (shown[i, j:] == 0.85).all() and (shown[i + 1 :] == 0.85).all()
    frame = canvas.patches[0]
    assert frame.get_xy() == (j - 0.5, i - 0.5)
    assert next(text.get_text() for text in words.texts if text.get_text()).startswith("known: 121 pixels")


def test_bars_have_the_palettes_colours_and_the_mark_is_over_what_came():
    pixel = int(X[0, 0].flatten().argmax())
    came = int(X[0, 0].max())
    _, bars = show_choice(X[0], pixel, P).axes
    assert [bar.get_height() for bar in bars.patches] == pytest.approx(P.tolist())
    colours = to_rgb(torch.arange(16).view(16, 1, 1, 1))[:, 0, 0].tolist()
    assert [bar.get_facecolor()[:3] for bar in bars.patches] == [pytest.approx(colour) for colour in colours]
    assert bars.lines[0].get_xdata()[0] == came
    assert f"{-P[came].log2():.2f} bits" in bars.get_title()


def rectangles():
    knows = torch.zeros(3, 4, 3, 4, dtype=torch.bool)
    for i in range(3):
        for j in range(4):
            knows[i, j, : i + 1, : j + 1] = True
    return knows


def test_a_walk_colours_what_has_arrived_and_names_three_messages():
    (ax,) = show_walk(rectangles(), 6).axes  # six have worked: 1 + 2 + 3 + 4 + 2 + 4 cells are coloured
    colours = [matplotlib.colors.to_hex(patch.get_facecolor()) for patch in ax.patches if patch.get_fill()]
    assert sum(colour in CELL_COLOURS for colour in colours) == 16 and len(colours) == 144
    assert {text.get_text() for text in ax.texts} - {""} == {"right", "down", "through"}
    (last,) = show_walk(rectangles(), 12).axes
    assert {text.get_text() for text in last.texts} - {""} == {"through"}, "the last cell has no neighbour to tell"


def test_a_skewed_column_has_one_colour():
    numbers = torch.arange(1, 13).view(3, 4)
    skewed = torch.tensor([[1, 2, 3, 4, -1, -1], [-1, 5, 6, 7, 8, -1], [-1, -1, 9, 10, 11, 12]])
    image, moved = show_skew(numbers, skewed).axes
    colour = {text.get_text(): patch.get_facecolor() for text, patch in zip(image.texts, image.patches, strict=True)}
    assert colour["3"] == colour["6"] == colour["9"] != colour["2"]
    again = {text.get_text(): patch.get_facecolor() for text, patch in zip(moved.texts, moved.patches, strict=True)}
    assert {number: again[number] for number in colour} == colour


def test_completions_stand_beside_what_was_given():
    known = (torch.arange(16)[:, None] < 8).expand(16, 16)
    figure = show_completions(X, known, X.flip(0)[:, None].expand(3, 2, 1, 16, 16))
    shown = [torch.as_tensor(ax.images[0].get_array().data) for ax in figure.axes]
    assert len(shown) == 12 and torch.equal(shown[0], to_rgb(X)[0]) and torch.equal(shown[3], to_rgb(X)[2])
    assert torch.equal(shown[1][:8], shown[0][:8]) and (shown[1][8:] == 0.85).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: show_choice(X[0], 256), "pixel: expected a number below 256.*got 256"),
        (lambda: show_choice(X[0], 0, P[:3]), r"p: expected a probability for each of the 16 colours, got \(3,\)"),
        (lambda: show_walk(torch.ones(4, 4, 4, 4), 1), r"knows: expected shape .* got \(4, 4, 4, 4\)"),
        (lambda: show_skew(torch.ones(3, 4), torch.ones(3, 4)), r"got \(3, 4\) and \(3, 4\)"),
        (lambda: show_completions(X, torch.ones(16, 16), X), r"expected x \(n, 1, H, W\), known"),
    ],
)
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
