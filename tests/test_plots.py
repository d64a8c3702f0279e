"""Pictures have axes, are shown once, and say what they cannot draw."""

import math

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg

from course_lib.show.planes import show_codes, show_decoded, show_density, show_em_step, show_points
from course_lib.show.plots import as_array, show_columns, show_curves, show_fields, show_images
from course_lib.show.waves import show_spectrograms, show_waves

X, Y = torch.randn(50, 2, generator=torch.Generator().manual_seed(0)), torch.arange(50) % 10
ROUND = torch.zeros(1, 2), torch.eye(2)[None]
PIXELS, TONE = torch.arange(32.0).view(2, 4, 4), torch.arange(400) % 8 / 8
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
        lambda: show_em_step(X, torch.ones(50, 1), ROUND, {"bound": [1, 2]}, gap=[1, 0], half_step=1, title="M"),
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


def test_rows_of_images_have_words_beside_them_and_room_for_them():
    images = torch.zeros(4, 1, 8, 8)
    figure = show_images(images, columns=2, rows=["above", "two\nlines"])
    figure.draw_without_rendering()
    words = {text.get_text(): text for ax in figure.axes for text in ax.texts}
    assert list(words) == ["above", "two\nlines"]
    first, second = (words[name].get_window_extent() for name in words)
    assert first.y0 > second.y1 and min(first.x0, second.x0) >= 0, "each beside its row, and nothing is cut off"
    with pytest.raises(ValueError, match="rows: expected words for each of the 2 rows, got 1"):
        show_images(images, columns=2, rows=["above"])


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
    honest, cheats = (ax.images[0].get_array() for ax in figure.axes[:2])
    strong, weak, unseen, future = cheats[0, 0], cheats[0, 1], cheats[0, 3], cheats[2, 3]
    assert strong.sum() < weak.sum() < 3 and strong[2] > strong[0], "seen is blue, the stronger the darker"
    assert unseen[0] > unseen[2] + 0.3, "what is before it and not seen is orange"
    assert future[0] > 0.7 and future[1] < 0.2, "the future is red"
    assert honest[2, 3].tolist() == [1, 1, 1] == cheats[1, 3].tolist(), "and white where it is not seen"
    named = [text.get_text() for text in figure.legends[0].get_texts()]
    assert named == ["out of sight", "not painted yet", "future, seen"]
    keys = [key.get_facecolor()[:3] for key in figure.legends[0].get_patches()]
    assert keys == [pytest.approx(unseen), (1, 1, 1), pytest.approx(future)], "the legend has the picture's own colours"
    bar = figure.axes[2].collections[-1].get_cmap()
    assert bar(1.0)[:3] == pytest.approx(strong) and bar(0.0)[:3] == pytest.approx(weak), "and so has the bar"
    alone = show_fields({"honest": torch.zeros(3, 4)}, at=(1, 2)).legends[0]
    assert [text.get_text() for text in alone.get_texts()] == ["out of sight", "not painted yet"], "no red, no word"


def test_columns_stand_in_order_and_one_has_its_colour():
    (ax,) = show_columns({"a": 0.5, "b": 0.0, 3: 2.0}, ylabel="share", coloured=["b"], ylim=(0, 3)).axes
    assert [bar.get_height() for bar in ax.patches] == [0.5, 0.0, 2.0]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["a", "b", "3"]
    colours = [bar.get_facecolor() for bar in ax.patches]
    assert colours[0] == colours[2] != colours[1] and ax.get_ylabel() == "share" and ax.get_ylim() == (0, 3)


def test_curves_name_their_axes_lines_and_floors():
    curves = {"Z = 2": ([0.1, 1, 10], [0, 0.2, 0.4])}
    figure = show_curves(curves, xlabel="strides", ylabel="share", floors={"real": 0.05}, xscale="log", ylim=(0, 1))
    figure.draw_without_rendering()
    (ax,) = figure.axes
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_ylim()) == ("strides", "share", (0, 1))
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["Z = 2", "real"]
    ticks = [label.get_text() for label in ax.get_xticklabels()]
    assert {"0.1", "0.2", "0.5", "1", "2", "5", "10"} <= set(ticks), "numbers and not powers"
    for order in {"xticks": [1, 8], "xscale": "log"}, {"xscale": "log", "xticks": [1, 8]}:
        figure = show_curves(curves, xlabel="strides", ylabel="share", **order)
        figure.draw_without_rendering()
        assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["1", "8"]


@pytest.mark.parametrize(
    ("draw", "says"),
    [
        (lambda: show_images(torch.zeros(8, 8)), r"expected shape \(N, 1, H, W\) or \(N, H, W\).*got \(8, 8\)"),
        (lambda: show_images(torch.zeros(2, 3, 8, 8)), r"got \(2, 3, 8, 8\)"),
        (lambda: show_images(torch.zeros(0, 8, 8)), r"got \(0, 8, 8\)"),
        (lambda: show_images(torch.zeros(2, 8, 8), titles=["one"]), "titles: expected one for each of the 2"),
        (lambda: show_images(torch.zeros(2, 8, 8), crossed=[True] * 3), "crossed: expected one for each of the 2"),
        (lambda: show_images([[[1, 2], [3]]]), "images: expected rows of one length"),
        (lambda: show_images(PIXELS / 0), "images: expected finite numbers, got 32 of 32"),
        (lambda: show_fields({}, at=(0, 0)), r"fields: expected {title: \(H, W\)} of one or more, got an empty one"),
        (lambda: show_fields({"a": PIXELS}, at=(0, 0)), r"fields\['a'\]: expected shape \(H, W\).*got \(2, 4, 4\)"),
        (
            lambda: show_fields({"a": -PIXELS[0]}, at=(0, 0)),
            r"fields\['a'\]: expected strengths ≥ 0, got -15; .abs\(\)",
        ),
        (lambda: show_columns({}, ylabel="y"), "columns: expected one height ≥ 0 or more"),
        (lambda: show_columns({"a": -1}, ylabel="y"), "columns: expected one height ≥ 0 or more"),
        (lambda: show_columns({"a": 1}, ylabel="y", coloured=["b"]), "coloured: expected labels of columns, got 'b'"),
        (lambda: show_curves({}, xlabel="x", ylabel="y"), r"curves: expected {title: \(xs, ys\)} of one or more"),
        (lambda: show_curves({"a": TONE}, xlabel="x", ylabel="y"), r"curves\['a'\]: expected \(xs, ys\), got no such"),
        (
            lambda: show_curves({"a": ([1, 2], [3])}, xlabel="x", ylabel="y"),
            r"curves\['a'\]: expected as many xs \(N,\) as ys \(N,\), got \(2,\) and \(1,\)",
        ),
        (lambda: show_waves({}, 8000), r"waves: expected {title: \(T,\)} of one or more, got an empty one"),
        (lambda: show_spectrograms({}, 8000), "of one or more, got an empty one"),
        (lambda: show_waves({"a": TONE[None]}, 8000), r"waves\['a'\]: expected .* shape \(T,\), got \(1, 400\)"),
        (lambda: show_waves({"a": []}, 8000), r"waves\['a'\]: expected the samples of one clip, .* got \(0,\)"),
        (lambda: show_waves({"a": TONE}, 0), "rate: expected a whole number ≥ 1, got 0"),
        (lambda: show_waves({"a": [0.0, math.nan]}, 8000), r"waves\['a'\]: expected finite numbers, got 1 of 2"),
        (lambda: show_spectrograms({"a": [math.inf] * 400}, 8000), r"waves\['a'\]: expected finite numbers"),
        (lambda: show_spectrograms({"a": TONE}, 199), "rate: expected a whole number ≥ 200, got 199"),
        (
            lambda: show_spectrograms({"a": TONE, "b": TONE[:159]}, 8000),
            r"waves\['b'\]: expected at least 20 ms, 160 samples at 8000 a second, got 159; take a longer stretch",
        ),
    ],
)
def test_what_cannot_be_drawn_is_told(draw, says):
    plt.close("all")
    with pytest.raises(ValueError, match=says):
        draw()
    assert plt.get_fignums() == [], "what is refused leaves no empty figure below the cell"


DRESSES = {  # PIXELS and TONE are numbers that half precision holds
    "bfloat16 with a gradient": lambda x: x.bfloat16().requires_grad_(),
    "lists": lambda x: x.tolist(),
    "an array of float16": lambda x: x.numpy().astype(np.float16),
    "float16": lambda x: x.half(),
    "float64 with a gradient": lambda x: x.double().requires_grad_(),
    "float8": lambda x: x.to(torch.float8_e5m2),
    "an array": lambda x: x.numpy(),
    "a list of tensors": lambda x: list(x.bfloat16().requires_grad_()),
    "a tuple of arrays": lambda x: tuple(x.numpy()),
}


@pytest.mark.parametrize("dress", DRESSES.values(), ids=DRESSES)
def test_numbers_are_numbers_in_every_dress(dress):
    x = torch.tensor([[0.0, 1.0, -0.5], [2.0, 16.0, 1.25]])
    assert as_array("x", dress(x)).tolist() == x.tolist()
    assert as_array("x", dress(x)).dtype in (np.float32, np.float64), "of which NumPy has linear algebra"


def test_whole_numbers_and_truths_stay_what_they_are():
    assert as_array("x", torch.arange(3)).dtype == as_array("x", range(3)).dtype == np.int64
    assert as_array("x", [True, False]).dtype == as_array("x", torch.tensor([True])).dtype == bool
    assert as_array("x", torch.tensor(2.5).bfloat16()).shape == ()


@pytest.mark.parametrize("x", [torch.tensor([1j]), ["1", "2"], [1, None], None, {1: 2}, (n for n in range(3))])
def test_what_are_no_real_numbers_is_no_picture(x):
    with pytest.raises(TypeError, match="ys: expected real numbers, in a tensor, an array or lists, got"):
        as_array("ys", x)


def test_a_gap_is_allowed_where_it_is_seen():
    assert np.isnan(as_array("ys", [1, math.nan], gaps=True)[1])
    (ax,) = show_curves({"a": (range(3), [1, math.nan, 2])}, xlabel="x", ylabel="y").axes
    assert np.isnan(ax.lines[0].get_ydata()).tolist() == [False, True, False]


def round_in(of):
    return [of(part) for part in ROUND]


DRAWN = {
    "images": lambda of: show_images(of(PIXELS), titles=["a", "b"]),
    "colours": lambda of: show_images(of(PIXELS[None, ..., 0, :3] / 32)),
    "fields": lambda of: show_fields({"a": of(PIXELS[1])}, at=(1, 2)),
    "curves": lambda of: show_curves({"a": (of(TONE), of(TONE))}, xlabel="x", ylabel="y"),
    "points": lambda of: show_points(of(PIXELS[0, :2, :2]), shares=of(torch.eye(2)), ellipses=round_in(of)),
    "density": lambda of: show_density(lambda x: -x.square().sum(1), ellipses=round_in(of)),
    "EM": lambda of: show_em_step(
        of(PIXELS[0, :2, :2]),
        of(torch.eye(2)),
        round_in(of),
        {"a": of(TONE[:5])},
        gap=of(TONE[:5].abs()),
        half_step=1,
        title="E",
    ),
    "codes": lambda of: show_codes(of(PIXELS[0, :2, :2]), of(PIXELS[0, 0, :2])),
    "decoded": lambda of: show_decoded(
        of(PIXELS[0, :2, :2]), of(PIXELS[0, 0, :2]), of(PIXELS[0]), at=of(PIXELS[0, 0, :2])
    ),
    "waves": lambda of: show_waves({"a": of(TONE)}, 8000),
    "spectrograms": lambda of: show_spectrograms({"a": of(TONE)}, 8000),
}


@pytest.mark.parametrize("draw", DRAWN.values(), ids=DRAWN)
def test_a_picture_is_the_same_whatever_holds_its_numbers(draw):
    def pixels(figure):
        FigureCanvasAgg(figure).draw()
        return np.asarray(figure.canvas.buffer_rgba())

    plain = pixels(draw(lambda x: x))
    assert len(np.unique(plain)) > 2
    for name in ("bfloat16 with a gradient", "lists", "an array of float16"):
        assert (pixels(draw(DRESSES[name])) == plain).all(), name


def test_heights_and_titles_may_be_tensors():
    half = torch.tensor(0.5).bfloat16().requires_grad_()
    (ax,) = show_curves({"a": ([0, 1], [half, half])}, xlabel="x", ylabel="y", floors={"f": half}).axes
    assert [list(line.get_ydata()) for line in ax.lines] == [[0.5, 0.5]] * 2
    titles = [ax.get_title() for ax in show_images(PIXELS, titles=torch.tensor([7, 3])).axes]
    assert titles == ["7", "3"]


# --- spectrograms ---------------------------------------------------------------------------------------------


def shades(waves, rate):
    """How dark each is, {title: (frequencies, times)}: decibels, and from 0 (white) to 1 (black)."""
    images = [ax.images[0] for ax in show_spectrograms(waves, rate).axes]
    return [(np.asarray(im.get_array()), np.asarray(im.norm(im.get_array()).clip(0, 1))) for im in images]


@pytest.mark.parametrize("rate", [8000, 12800, 16000, 22050, 44100, 48000])
def test_a_tone_is_one_line_at_every_rate(rate):
    hertz = 0.1234 * rate
    ((decibels, _),) = shades({"tone": torch.sin(2 * math.pi * hertz * torch.arange(rate // 4) / rate)}, rate)
    frequencies = np.linspace(0, rate / 2, len(decibels))
    assert abs(frequencies[decibels.mean(1).argmax()] - hertz) < 1 / 0.02, "in its place"
    aside = decibels[abs(frequencies - hertz) >= 400]
    assert aside.max() < decibels.max() - 60, "400 Hz away, white"


def test_at_8000_a_second_a_spectrogram_has_the_bands_it_always_had():
    ((decibels, _),) = shades(HISS, 8000)
    assert decibels.shape == (129, 33)


def test_silence_is_white_and_what_can_be_heard_is_not():
    tone = torch.sin(torch.arange(800.0))
    (_, silence), (_, step), (_, loud) = shades({"no": 0 * tone, "a step": (tone / 2**15), "loud": tone}, 8000)
    assert (silence == 0).all()
    assert step.max() > 0.9, "one step of 16 bits"
    assert loud.max() == 1


def test_few_samples_a_second_are_drawn_too():
    (ax,) = show_spectrograms({"slow": torch.sin(torch.arange(300.0))}, 300).axes
    assert ax.images[0].get_extent() == [0, 1, 0, 0.15]


def test_a_frame_stands_around_the_pixel_it_is_asked_for():
    figure = show_images(torch.zeros(2, 1, 8, 8), framed=[(2, 5), None])
    (frame,) = figure.axes[0].patches
    assert (frame.get_xy(), frame.get_width(), frame.get_height()) == ((4.5, 1.5), 1, 1)
    assert not figure.axes[1].patches
    with pytest.raises(ValueError, match="framed: expected one for each of the 2 images, got 1"):
        show_images(torch.zeros(2, 1, 8, 8), framed=[None])
