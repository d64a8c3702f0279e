"""`explore` and its player, without a browser: what a function may show, what is stored, what is refused."""

import base64
import functools
import io
import re

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from IPython.display import HTML, Audio
from matplotlib.figure import Figure
from PIL import Image

from course_lib.show.explore import explore
from course_lib.show.frames import Markup, Text
from course_lib.show.player import player, render
from course_lib.show.slider import Slider
from course_lib.show.sounds import Sound

WIDGET = "application/vnd.jupyter.widget-view+json"


def show_dot(x, y=0):
    """A dot in a square.

    It moves.
    """
    figure, axes = plt.subplots(figsize=(1, 1))
    axes.plot(x, y, "o")
    axes.set(xlim=(-2, 2), ylim=(-2, 2))
    return figure


def say(word="hello"):
    return f"<{word}>"


def play(pitch):
    return Audio(np.sin(np.arange(400) * pitch / 100), rate=8000)


@pytest.fixture
def publish(monkeypatch):
    monkeypatch.setenv("COURSE_PUBLISH", "1")


@pytest.fixture(autouse=True)
def no_figure_is_left(monkeypatch):
    monkeypatch.delenv("COURSE_PUBLISH", raising=False)
    plt.close("all")
    yield
    assert plt.get_fignums() == []


# What a function may show


def test_a_returned_figure_is_a_picture():
    frame = render(show_dot, {"x": 1})
    assert frame.kind == "figure"
    assert Image.open(io.BytesIO(frame.data)).size == (150, 150)  # 1 inch of 100 CSS pixels, at 1.5
    assert '<img alt="a &quot;dot&quot;" width="100" height="100"' in frame.to_html('a "dot"')


def test_a_drawn_figure_is_the_same_picture_as_a_returned_one():
    def draw_dot(x):
        show_dot(x)

    assert render(draw_dot, {"x": 1}) == render(show_dot, {"x": 1})


def test_a_figure_that_pyplot_does_not_know():
    assert render(lambda: Figure(figsize=(1, 1)), {}).kind == "figure"


def test_a_figure_keeps_its_size_whatever_is_in_it():
    with plt.rc_context({"savefig.bbox": "tight"}):
        assert Image.open(io.BytesIO(render(show_dot, {"x": 1}).data)).size == (150, 150)


def test_figures_of_others_stay_open():
    mine = plt.figure()
    render(show_dot, {"x": 1})
    assert plt.get_fignums() == [mine.number]
    plt.close(mine)


def test_a_string_is_plain_text():
    frame = render(say, {"word": "b"})
    assert frame == Text("<b>")
    assert "&lt;b&gt;" in frame.to_html("")
    assert "<b>" not in frame.to_html("")


def test_printed_text_is_text():
    assert render(lambda: print("一二"), {}) == Text("一二")


def test_what_is_printed_beside_a_picture_is_not_lost(capsys):
    def show_and_tell(x):
        print("x is", x)
        return show_dot(x)

    assert render(show_and_tell, {"x": 1}).kind == "figure"
    assert capsys.readouterr().out == "x is 1\n"


def test_html_is_html():
    frame = render(lambda: HTML("<b>bold</b>"), {})
    assert frame == Markup("<b>bold</b>")
    assert "<b>bold</b>" in frame.to_html("")


def test_a_sound_is_a_wav():
    frame = render(play, {"pitch": 3})
    assert (frame.mime, frame.data[:4], frame.caption) == ("audio/wav", b"RIFF", "0.05 s")
    assert '<audio controls preload="metadata" aria-label="a tone" src="data:audio/wav' in frame.to_html("a tone")


def draw_two():
    plt.figure()
    plt.figure()


@pytest.mark.parametrize(
    ("function", "given"),
    [
        (lambda: 3.0, "got float"),
        (lambda: None, "got None, nothing printed, and 0 new pyplot figures"),
        (draw_two, "got None, nothing printed, and 2 new pyplot figures"),
        (lambda: plt.figure().subplots(), "got Axes"),
        (lambda: HTML, "got type"),
        (lambda: Audio(url="https://example.org/a.wav"), "an Audio without"),
    ],
)
def test_anything_else_is_refused_by_name(function, given):
    with pytest.raises(TypeError, match=given):
        render(function, {})


def test_a_function_that_fails_leaves_no_figure():
    def fail():
        plt.figure()
        raise RuntimeError("after drawing")

    with pytest.raises(RuntimeError, match="after drawing"):
        render(fail, {})


# The grid


@pytest.mark.parametrize(
    ("values", "plain"),
    [
        ([1, 2, 3], [1, 2, 3]),
        (range(3), [0, 1, 2]),
        (np.linspace(0, 1, 3), [0.0, 0.5, 1.0]),
        (np.arange(2), [0, 1]),
        (torch.tensor([1, 2]), [1, 2]),
        ([torch.tensor(1.5), np.int64(2)], [1.5, 2]),
        (("vae", "gan"), ["vae", "gan"]),
        (np.array(["a", "b"]), ["a", "b"]),
        ([True, False], [True, False]),
    ],
)
def test_values_arrive_as_plain_python(values, plain):
    seen = []
    exploration = explore(lambda x: seen.append(x) or "text", x=values)
    assert [position["x"] for position in exploration.positions] == plain
    list(exploration.frames())
    assert seen[1:] == plain
    assert [type(x) for x in seen[1:]] == [type(x) for x in plain]


def test_sliders_start_in_the_middle_and_the_last_moves_fastest():
    exploration = explore(say_both, a=[1, 2, 3], b=["xyz", "w"])
    assert exploration.position == {"a": 2, "b": "w"}
    assert exploration.positions[:3] == [{"a": 1, "b": "xyz"}, {"a": 1, "b": "w"}, {"a": 2, "b": "xyz"}]
    assert [frame.text for frame in exploration.frames()][:2] == ["1 xyz", "1 w"]
    assert exploration.value(a=3).text == "3 w"


def say_both(a, b):
    return f"{a} {b}"


def test_values_are_written_as_one_reads_them():
    def words(values):
        exploration = explore(lambda x: "text", x=values)
        return [label for label, _ in exploration.controls["x"].options]

    assert words(np.linspace(-3, 3, 9)) == ["−3", "−2.25", "−1.5", "−0.75", "0", "0.75", "1.5", "2.25", "3"]
    assert words([0.1 + 0.2, 1e-5, 16000.0, -7]) == ["0.3", "1e−05", "16000", "−7"]
    assert words([1.00001, 1.00002]) == ["1.00001", "1.00002"]  # as many digits as it takes to tell them apart
    assert words(np.array([-1, 1e-17, 1])) == ["−1", "0", "1"]
    assert words(["top-k", "greedy"]) == ["top-k", "greedy"]


def test_alt_text_labels_and_their_defaults():
    exploration = explore(show_dot, x=[0.5], y=[-1], alt="the decoded image", labels={"x": "first code z₁"})
    assert exploration.describe(exploration.position) == "the decoded image; first code z₁ = 0.5, y = −1"
    assert exploration.controls["x"].description == "first code z₁"
    assert explore(show_dot, x=[1]).alt == "A dot in a square"
    assert explore(say, word=["a"]).alt == "say"
    assert explore(functools.partial(show_dot, y=1), x=[1]).alt


# What is refused


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: explore("text", x=[1]), TypeError, "function: expected a function, got str; write its name"),
        (lambda: explore(say), ValueError, "expected at least one, got none; for instance"),
        (lambda: explore(say, word=[]), ValueError, "word: expected at least one value, got none; write"),
        (lambda: explore(say, word="abc"), TypeError, "word: expected a sequence of values, got 'abc'; write"),
        (lambda: explore(say, word=3), TypeError, "word: expected a sequence of values, got 3"),
        (lambda: explore(say, word={"a", "b"}), TypeError, "word: expected a sequence"),
        (lambda: explore(say, word=np.float64(3)), TypeError, "word: expected a sequence"),
        (
            lambda: explore(say, word=torch.tensor(3)),
            TypeError,
            "word: expected a sequence of values, got the single 3",
        ),
        (lambda: explore(say, word=[None]), TypeError, "word: expected numbers or strings, got NoneType"),
        (lambda: explore(say, word=np.eye(2)), TypeError, "word: expected numbers or strings, got list"),
        (lambda: explore(say, word=["a", "b", "a"]), ValueError, "word: expected different values, got 'a' twice"),
        (lambda: explore(say, wrod=["a"]), TypeError, r"say takes \(word\), got a slider for wrod; rename"),
        (lambda: explore(show_dot, y=[1]), TypeError, "show_dot needs x, got sliders for y; add one or a default"),
        (lambda: explore(say, word=["a"], labels={"wrod": "w"}), ValueError, r"labels: .* \(word\), got wrod"),
    ],
)
def test_bad_input_is_refused_with_what_to_do(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_a_function_may_take_any_keyword():
    assert explore(lambda **values: str(values), a=[1], b=[2]).value().text == "{'a': 1, 'b': 2}"


def test_the_first_call_lets_exceptions_through_and_says_where():
    with pytest.raises(ZeroDivisionError) as caught:
        explore(lambda x: str(1 / x), x=[0.0])
    assert caught.value.__notes__ == ["explored at x = 0.0"]


# In a kernel


def test_moving_a_slider_changes_the_picture():
    exploration = explore(show_dot, x=[-1, 0, 1])
    before = exploration.view.value
    assert 'alt="A dot in a square; x = 0"' in before
    exploration.controls["x"].value = 1
    assert exploration.view.value != before
    assert exploration.view.value == render(show_dot, {"x": 1}).to_html("A dot in a square; x = 1")


def test_an_error_stands_where_the_picture_was_and_goes_again():
    exploration = explore(lambda x: f"one over x is {1 / x}", x=[0, 1, 2], alt="an inverse")
    exploration.controls["x"].value = 0
    assert "ZeroDivisionError: division by zero\nat an inverse; x = 0" in exploration.view.value
    assert 'role="alert"' in exploration.view.value
    exploration.controls["x"].value = 2
    assert "one over x is 0.5" in exploration.view.value


def test_only_the_position_that_is_looked_at_costs_time():
    calls = []
    exploration = explore(lambda x: calls.append(x) or "text", x=range(100))
    bundle = exploration._repr_mimebundle_()
    assert calls == [50]
    assert set(bundle) == {"text/plain", WIDGET}
    assert bundle["text/plain"].startswith("Exploration of")
    assert "100 x" in bundle["text/plain"]


# On a page


def test_publishing_adds_a_player(publish):
    bundle = explore(show_dot, x=[-1, 0, 1], y=[0, 1])._repr_mimebundle_(include=None, exclude=None)
    assert set(bundle) == {"text/plain", "text/html", WIDGET}
    page = bundle["text/html"]
    assert page.startswith('<div class="course-player" data-positions="6" data-kind="figure"')
    assert 'alt="A dot in a square; x = 0, y = 1"' in page.split("<script>")[0]  # without JavaScript: the start
    assert "http" not in page
    assert "{{" not in page


def test_publishing_renders_when_made_so_that_an_error_stops_the_notebook(publish):
    with pytest.raises(ZeroDivisionError) as caught:
        explore(lambda x: str(1 / x), x=[0, 1])
    assert caught.value.__notes__ == ["explored at x = 0"]


@pytest.mark.parametrize(
    ("function", "sliders"),
    [(show_dot, {"x": [0, 1]}), (say, {"word": ["a", "b"]}), (play, {"pitch": [1, 2]})],
)
def test_the_same_exploration_gives_the_same_html(function, sliders):
    assert explore(function, **sliders).player() == explore(function, **sliders).player()


def test_different_explorations_have_different_names():
    name = re.compile('data-player="([0-9a-f]{12})"')
    one, other = (explore(say, word=words).player() for words in (["a", "b"], ["a", "c"]))
    assert name.search(one)[1] != name.search(other)[1]


def test_nothing_in_a_text_ends_the_script():
    page = explore(say, word=["/script><b>", "!--<script>", "{{id}}"], alt='</div>"').player()
    assert page.count("</script>") == 1
    assert page.count("<script>") == 1
    assert '"<{{id}}>"'.replace("<", "\\u003c") in page


def test_equal_frames_are_stored_once():
    tone, slider = Sound(b"RIFF" + bytes(3000)), [Slider.of("x", range(20))]
    once, often = player([tone] * 20, slider, "a"), player([tone, Sound(b"x")] * 10, slider, "a")
    assert abs(len(once) - len(often)) < 200
    assert len(explore(lambda x: show_dot(0), x=range(20)).player()) < 12_000


def test_what_does_not_change_is_stored_once():
    points = np.random.default_rng(0).normal(size=(2, 500))

    def show_cloud(x):
        _figure, axes = plt.subplots(figsize=(2, 2))
        axes.scatter(*points, c=points[0], s=5)
        axes.plot(x, 0, "k+")

    sizes = [len(explore(show_cloud, x=np.linspace(-2, 2, n)).player()) for n in (1, 13)]
    assert sizes[1] - sizes[0] < 0.25 * sizes[0]


def test_a_player_that_is_too_large_is_refused():
    noise = np.random.default_rng(0)

    def show_noise(x):
        figure = plt.figure(figsize=(3, 3))
        figure.figimage(noise.random((450, 450)))

    with pytest.raises(ValueError, match=r"at most 400 kB, got \d{3,4} kB in 4 positions, 4 of them.*fewer positions"):
        explore(show_noise, x=range(4)).player()


def test_strips_fit_into_a_phone():
    def show_words(words):
        plt.figure(figsize=(8, 1)).suptitle(words)  # 1200 pixels: four side by side are too wide

    page = explore(show_words, words=[letter * 60 for letter in "abcdefghijkl"]).player()
    strips = re.findall(r'"data:image/webp;base64,([^"]+)"', page.split("const data = ")[1])
    widths = [Image.open(io.BytesIO(base64.b64decode(strip))).width for strip in strips]
    assert len(widths) > 2
    assert max(widths) <= 4096


def test_figures_of_different_sizes_are_refused():
    with pytest.raises(ValueError, match="figures of one size, got 300×150 and 150×150 pixels; give the figure"):
        explore(lambda x: plt.figure(figsize=(x, 1)), x=[1, 2]).player()


def test_frames_of_different_kinds_are_refused():
    with pytest.raises(ValueError, match="same kind of frame at every position, got figure and text"):
        explore(lambda x: show_dot(x) if x else "nothing", x=[0, 1]).player()
