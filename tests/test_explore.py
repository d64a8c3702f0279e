"""`explore` and its player, without a browser: what a function may show, what is stored, what is refused."""

import base64
import functools
import io
import re
from unittest.mock import Mock

import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from IPython.core.displaypub import CapturingDisplayPublisher
from IPython.core.interactiveshell import InteractiveShell
from IPython.display import HTML, Audio, Markdown, clear_output, display
from matplotlib.animation import FuncAnimation
from matplotlib.figure import Figure
from nbconvert import HTMLExporter
from nbformat.v4 import new_code_cell, new_notebook, new_output
from PIL import Image

from course_lib.show.catch import render
from course_lib.show.explore import explore
from course_lib.show.frames import Text
from course_lib.show.markup import Document, Markup
from course_lib.show.pictures import Picture
from course_lib.show.player import player
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


# What users of ipywidgets' `interact` do


def draw_bars(x):
    return plt.bar([1, 2], [x, 1])


@pytest.fixture
def expected_bars():
    plt.bar([1, 2], [3, 1])
    return render(lambda: plt.gcf(), {})


@pytest.mark.parametrize(
    "show",
    [
        lambda bars: plt.show(),
        lambda bars: (plt.show(), plt.gcf())[1],
        lambda bars: plt.show(block=False),
        lambda bars: plt.gca(),
        lambda bars: bars,
        lambda bars: [*bars],
        lambda bars: {"bars": [*bars]},
        lambda bars: (plt.gcf(), plt.gca()),
        lambda bars: ([1, 2], [3.0], bars),  # as plt.hist returns them
        lambda bars: np.array([[plt.gca()]]),  # as plt.subplots does
        lambda bars: 0.5,
    ],
)
def test_what_lies_in_a_figure_is_its_picture(show, expected_bars, monkeypatch):
    def show_as_a_notebook_does(*_, **__):
        plt.close("all")
        pytest.fail("the figure is shown beside the sliders")

    monkeypatch.setattr(plt, "show", show_as_a_notebook_does)
    assert render(lambda x: show(draw_bars(x)), {"x": 3}) == expected_bars


def test_plt_show_is_itself_again_also_after_an_error():
    show = plt.show
    render(say, {})
    with pytest.raises(ZeroDivisionError):
        render(lambda: 1 / 0, {})
    assert plt.show is show


def test_axes_of_a_figure_that_stays_and_a_subfigure():
    figure = Figure(figsize=(1, 1))
    axes = figure.subfigures(1, 2)[0].subplots()
    lines = axes.plot([1, 2])
    expected = render(lambda: figure, {})
    for shown in (axes, figure.subfigs[0], lines):
        assert render(lambda shown=shown: shown, {}) == expected


@pytest.mark.parametrize(
    ("shown", "words"),
    [
        (3.0, "3.0"),
        (True, "True"),
        (np.eye(2), "array([[1., 0.],\n       [0., 1.]])"),
        (torch.tensor([1, 2]), "tensor([1, 2])"),
        ([1, "two"], "[1, 'two']"),
        ({"a": 1}, "{'a': 1}"),
    ],
)
def test_numbers_and_arrays_are_what_a_notebook_writes_of_them(shown, words):
    assert render(lambda: shown, {}) == Text(words)


@pytest.mark.parametrize("mode", ["RGB", "L", "1", "P", "RGBA", "LA", "CMYK"])
def test_a_pillow_image_has_a_css_pixel_for_each_of_its_own(mode):
    image = Image.new("RGB", (20, 30), (200, 100, 0)).convert(mode)
    frame = render(lambda: image, {})
    assert 'width="20" height="30"' in frame.to_html("")
    assert np.array_equal(frame.pixels(), np.asarray(image.convert("RGB")))


def test_an_image_of_16_bits_is_scaled_and_not_clipped():
    image = Image.fromarray(np.array([[0, 0x8000, 0xFFFF]], np.uint16))
    assert render(lambda: image, {}).pixels()[0, :, 0].tolist() == [0, 0x80, 0xFF]


class Frieze:
    """As a data frame, a graph or an image of other libraries show themselves."""

    def __init__(self, **said):
        for name, what in said.items():
            setattr(self, f"_repr_{name}_", lambda what=what, **_: what)


def test_whatever_a_notebook_can_show():
    png = Image.new("RGB", (2, 3), "red")._repr_png_()
    as_text = base64.b64encode(png).decode()
    picture = render(lambda: Image.new("RGB", (2, 3), "red"), {})
    for frieze, frame in [
        (Frieze(html="<table></table>", png=png), Markup("<table></table>")),
        (Frieze(html=None, svg="<svg></svg>"), Markup("<svg></svg>")),
        (Frieze(html=("<b></b>", {"isolated": True})), Markup("<b></b>")),
        (Frieze(png=png), picture),
        (Frieze(png=(as_text, {"width": 2})), picture),
        (Frieze(mimebundle={"text/plain": "x", "text/html": "<i></i>"}), Markup("<i></i>")),
        (Frieze(mimebundle=({"image/png": as_text}, {})), picture),
        (Frieze(mimebundle={"text/plain": "only words"}), Text("only words")),
    ]:
        assert render(lambda frieze=frieze: frieze, {}) == frame
    for mock in (Mock(), Frieze):
        with pytest.raises(TypeError, match=r"got (Mock|type)"):
            render(lambda mock=mock: mock, {})
    with pytest.raises(TypeError, match="got Frieze"):
        render(lambda: Frieze(mimebundle={"text/html": "<i></i>", WIDGET: {}}), {})


@pytest.fixture
def notebook():
    """IPython, as in a kernel; what it displays comes to `notebook.display_pub.outputs`."""
    shell = InteractiveShell.instance(history_load_length=0)
    shell.display_pub = CapturingDisplayPublisher()
    yield shell
    InteractiveShell.clear_instance()


def test_what_is_displayed_is_shown_and_nothing_twice(notebook):
    outputs = notebook.display_pub.outputs
    assert render(lambda: display(HTML("<b>bold</b>")), {}) == Markup("<b>bold</b>")
    assert render(lambda: display("words"), {}) == Text("'words'")

    def show_twice(x):
        figure = show_dot(x)
        display(Image.new("RGB", (2, 2)))
        return figure

    assert render(show_twice, {"x": 1}) == render(show_dot, {"x": 1})
    assert outputs == []

    def show_beside(x):
        display(HTML("beside"), ipywidgets.IntProgress())
        return show_dot(x)

    assert render(show_beside, {"x": 1}).kind == "figure"
    assert [*map(set, (o["data"] for o in outputs))] == [{"text/plain", "text/html"}, {"text/plain", WIDGET}]
    with pytest.raises(TypeError, match="got None, 0 new pyplot figures, 2 things displayed and nothing printed"):
        render(lambda: display(HTML("one"), HTML("two")), {})


def test_what_is_cleared_is_not_shown(notebook):
    assert render(lambda: (print("old"), clear_output(wait=True), print("new"))[1], {}) == Text("new")


# HTML with scripts


def animate(speed):
    figure, axes = plt.subplots(figsize=(1, 1))
    [dot] = axes.plot(0, 0, "o")
    return FuncAnimation(figure, lambda n: dot.set_data([n * speed / 100], [0]) or [dot], frames=3)


def test_html_with_scripts_is_a_document_of_its_own():
    frame = render(lambda: HTML("<p id='a'></p><SCRIPT>a.textContent = '1'</SCRIPT>"), {})
    assert type(frame) is Document
    start = frame.to_html('a "title"')
    assert '<iframe title="a &quot;title&quot;" sandbox="allow-scripts"' in start
    assert "<script" not in start.lower().split("srcdoc=")[0]
    assert "&lt;SCRIPT&gt;" in start


def test_an_animation_is_the_same_each_time_and_loads_nothing():
    frame = render(lambda: HTML(animate(1).to_jshtml()), {})
    assert type(frame) is Document
    assert frame == render(lambda: animate(1), {}), "and an animation itself is what its HTML is"
    assert "http" not in frame.document
    pages = [explore(animate, speed=[1, 2]).player() for _ in range(2)]
    assert pages[0] == pages[1]
    with pytest.raises(ValueError, match=r"at most 400 kB, got .* HTML with scripts smaller"):
        explore(lambda n: HTML(f"<script>{n}{'/' * 150_000}</script>"), n=[1, 2, 3]).player()


@pytest.mark.parametrize(
    "markup",
    [
        '<img src="https://example.org/a.png">',
        "<p></p><link rel=stylesheet href=//example.org/a.css>",
        '<script src="http://example.org/plot.js"></script>',
    ],
)
def test_a_page_does_without_the_network(markup):
    exploration = explore(lambda n: HTML(f"<a href='https://example.org'>{n}</a>{markup}"), n=[1, 2])
    with pytest.raises(ValueError, match=r"needs no network on a page, got some that loads .*example\.org/"):
        exploration.player()


def test_a_link_is_no_load():
    explore(
        lambda n: HTML(f"<a href='https://example.org'>{n}</a><script>n < 2; src='//x'</script>"), n=[1, 2]
    ).player()


def draw_two():
    plt.figure()
    plt.figure()


@pytest.mark.parametrize(
    ("function", "given"),
    [
        (lambda: object(), "got object"),
        (lambda: len, "got builtin_function"),
        (lambda: None, "got None, 0 new pyplot figures, 0 things displayed and nothing printed"),
        (draw_two, "got None, 2 new pyplot figures"),
        (lambda: [plt.figure(), plt.figure()], "got list"),
        (lambda: HTML, "got type"),
        (lambda: ipywidgets.IntSlider(), "got IntSlider"),
        (lambda: explore(say, word=["a"]), "got Exploration"),
        (lambda: Markdown("**bold**"), "got Markdown"),
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
        ((8, 16, 32), [8, 16, 32]),
        ((True, False), [True, False]),
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
    assert words([0.5, 1.0, np.inf]) == ["0.5", "1", "inf"]
    assert words([0.0, 1e-15, 1.0]) == ["0", "1e−15", "1"]
    assert words(["top-k", "greedy"]) == ["top-k", "greedy"]


def test_sliders_start_in_the_middle_or_where_they_are_told():
    three = {"x": np.linspace(0, 1, 3), "y": [4, 5, 6]}
    assert explore(show_dot, **three).position == {"x": 0.5, "y": 5}
    exploration = explore(show_dot, **three, start={"x": 1.0})
    assert exploration.position == {"x": 1.0, "y": 5}
    assert "x = 1, y = 5" in exploration.view.value, "and that is what is shown, here and on the page"
    assert 'x = 1, y = 5"' in exploration.player()


def test_alt_text_labels_and_their_defaults():
    exploration = explore(show_dot, x=[0.5], y=[-1], alt="the decoded image", labels={"x": "first code z₁"})
    assert exploration.describe(exploration.position) == "the decoded image; first code z₁ = 0.5, y = −1"
    assert exploration.controls["x"].description == "first code z₁"
    assert explore(show_dot, x=[1]).alt == "A dot in a square"
    assert explore(say, word=["a"]).alt == "say"
    assert explore(functools.partial(show_dot, y=1), x=[1]).alt == "A dot in a square"
    assert explore(functools.partial(functools.partial(say)), word=["a"]).alt == "say"
    assert explore(lambda x: "text", x=[1]).alt == "result"

    class Model(torch.nn.Module):
        def forward(self, x):
            return "text"

    assert explore(Model(), x=[1]).alt == "Model", "and not what its base class is for"


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
        (lambda: explore(say, word=[1.0, np.nan]), ValueError, "word: expected numbers or strings, got NaN"),
        (
            lambda: explore(say, word=(0, 10, 1)),
            ValueError,
            r"got \(0, 10, 1\), .* interact; write word=\[0, 10, 1\] for the values, word=range\(0, 11\) for the range",
        ),
        (lambda: explore(say, word=(0, 10)), ValueError, r"word=\[0, 10\] .*, word=range\(0, 11\) for"),
        (lambda: explore(say, word=(0, 10, 5)), ValueError, r"word=range\(0, 11, 5\) for"),
        (lambda: explore(say, word=(0.0, 1.0, 0.3)), ValueError, r"word=np.linspace\(0.0, 0.9, 4\) for"),
        (lambda: explore(say, word=(0.0, 1.0)), ValueError, r"word=np.linspace\(0.0, 1, 11\) for"),
        (lambda: explore(lambda x: "", y=[1]), TypeError, r"function takes \(x\), got a slider for y"),
        (lambda: explore(functools.partial(say), y=[1]), TypeError, r"say takes \(word\), got a slider for y"),
        (lambda: explore(say, wrod=["a"]), TypeError, r"say takes \(word\), got a slider for wrod; rename"),
        (lambda: explore(show_dot, y=[1]), TypeError, "show_dot needs x, got sliders for y; add one or a default"),
        (lambda: explore(say, word=["a"], labels={"wrod": "w"}), ValueError, r"labels: .* \(word\), got wrod"),
        (lambda: explore(say, word=["a"], start={"wrod": "a"}), ValueError, r"start: .* \(word\), got wrod"),
        (lambda: explore(say, word=["a"], start={"word": "b"}), ValueError, "start: .* values of word, got 'b'; they"),
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


class Counted(int):
    """A number that counts how often it is compared."""

    compared = 0

    def __eq__(self, other):
        Counted.compared += 1
        return int(self) == other

    __hash__ = int.__hash__


def test_a_long_slider_takes_as_long_as_it_is():
    exploration = explore(lambda x: "text", x=[Counted(n) for n in range(2000)])
    exploration.controls["x"].value = 7
    list(exploration.frames())
    assert Counted.compared < 20 * 2000


def test_an_old_ipywidgets_is_named(monkeypatch):
    monkeypatch.setattr(ipywidgets, "__version__", "7.7.1")
    with pytest.raises(ImportError, match=r'expected ipywidgets 8 or newer, got 7\.7\.1; .* "ipywidgets>=8"'):
        explore(say, word=["a"])


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
    assert set(bundle) == {"text/plain", "text/html", WIDGET}
    assert bundle["text/plain"].startswith("Exploration of")
    assert "100 x" in bundle["text/plain"]


def test_the_picture_at_the_start_is_in_the_output_beside_the_widget(notebook):
    exploration = explore(show_dot, x=[-1, 0, 1])
    display(exploration)
    picture, widget = (output["data"] for output in notebook.display_pub.outputs)
    assert render(show_dot, {"x": 0}).to_html("A dot in a square; x = 0") in picture["text/html"]
    assert repr(exploration) in picture["text/html"], "and how to move the sliders"
    assert set(widget) == {"text/plain", WIDGET}
    assert f".{exploration.still} {{ display: none }}" in exploration.widget.children[0].value
    assert f'class="{exploration.still}"' in picture["text/html"], "what the widget hides while it lives"
    cell = new_code_cell("explore(…)", outputs=[new_output("display_data", data) for data in (picture, widget)])
    page, _ = HTMLExporter().from_notebook_node(new_notebook(cells=[cell]))
    assert re.search('<img alt="A dot in a square; x = 0"[^>]* src="data:image/webp;', page)


# On a page


def test_publishing_is_one_output(publish, notebook):
    display(explore(say, word=["a", "b"]))
    [output] = notebook.display_pub.outputs
    assert set(output["data"]) == {"text/plain", "text/html", WIDGET}
    assert output["data"]["text/html"].startswith('<div class="course-player"')


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


def test_frames_that_look_alike_are_stored_once():
    """They differ in what is behind them, which on white paper nobody sees."""

    def show_pane(alpha):
        plt.figure(figsize=(1, 1)).patch.set_alpha(alpha)

    exploration = explore(show_pane, alpha=[0.0, 0.5, 1.0])
    assert len(set(exploration.frames())) == 1
    assert '"positions":[0,0,0]' in exploration.player()


def test_frames_that_differ_in_bytes_alone():
    frame = render(show_dot, {"x": 0})
    other = io.BytesIO()
    Image.open(io.BytesIO(frame.data)).save(other, "WEBP", lossless=True, quality=0, method=0)
    assert other.getvalue() != frame.data
    assert player([frame, Picture(other.getvalue())], [Slider.of("x", [1, 2])], "a")


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
