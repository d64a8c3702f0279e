"""The player in a real browser, from a file, with the network cable out: keyboard, mouse, finger, phone, dark mode."""

import base64
import io
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
import pytest
from IPython.display import HTML, Audio
from matplotlib.animation import FuncAnimation
from PIL import Image

from course_lib.show.catch import render
from course_lib.show.explore import explore
from course_lib.show.frames import Frame

X = np.linspace(-2, 2, 9)


def show_dot(x, y):
    _figure, (left, right) = plt.subplots(1, 2, figsize=(6, 3), layout="constrained")
    left.plot(x, y, "o", ms=12)
    left.set(xlim=(-3, 3), ylim=(-3, 3), xlabel="first code", ylabel="second code")
    right.imshow(np.outer(np.arange(8) * x, np.arange(8) + y), cmap="gray", vmin=-50, vmax=50)


def show_table(n):
    """Powers of two."""
    cells = "".join(f"<td>{2**k}</td>" for k in range(n))
    return HTML(f"<table><tr>{cells}</tr></table>")


def show_poem(lines):
    return "\n".join(["床前明月光 <1>", "疑是地上霜 <2>", "举头望明月 <3>", "低头思故乡 <4>"][:lines])


def animate(frames):
    """A moving dot."""
    figure, axes = plt.subplots(figsize=(3, 2), dpi=72)
    [dot] = axes.plot(0, 0, "o")
    animation = FuncAnimation(figure, lambda n: dot.set_data([n / 100], [0]) or [dot], frames=frames)
    return HTML(animation.to_jshtml(default_mode="once"))


def count(to):
    """As many lines as it says, written by a script."""
    lines = "".join(f"<p>{n}</p>" for n in range(to))
    return HTML(f"<div id=box></div><script>document.getElementById('box').innerHTML = '{lines}'</script>")


def play_tone(pitch):
    return Audio(np.sin(np.arange(352_000 // pitch) * pitch / 8000 * 2 * np.pi), rate=8000)  # 44 periods


@dataclass(frozen=True)
class Meter(Frame):
    """A kind of frame that the library does not know."""

    height: float
    kind = "meter"
    steady = True
    script = """(view, stored) => {
      const element = view.firstElementChild;
      return { element, show: (n) => { element.value = stored[n]; } };
    }"""

    @classmethod
    def of(cls, shown):
        return None

    def to_html(self, alt):
        return f'<meter aria-label="{alt}" value="{self.height}"></meter>'

    @classmethod
    def store(cls, frames):
        return [frame.height for frame in frames]


def show_model(model, steps):
    print(f"{model} after {steps} steps")


@pytest.fixture(scope="module")
def players():
    return {
        "figure": explore(show_dot, x=X, y=[-1, 0, 1], alt="the decoded image", labels={"x": "first code z₁"}),
        "html": explore(show_table, n=[1, 2, 30]),
        "animation": explore(animate, frames=[2, 3, 4]),
        "script": explore(count, to=[30, 10, 3]),
        "text": explore(show_poem, lines=[1, 2, 3, 4]),
        "sound": explore(play_tone, pitch=[220, 440, 880], alt="a tone", labels={"pitch": "pitch in hertz"}),
        "own": explore(Meter, height=[0.1, 0.5, 0.9], alt="a water level"),
        "strings": explore(show_model, model=["autoencoder", "VAE", "GAN"], steps=[10, 100]),
    }


@pytest.fixture(scope="module")
def address(players, tmp_path_factory):
    """A page with every player, and the first one twice."""
    parts = [f'<section id="{name}"><h2>{name}</h2>{e.player()}</section>' for name, e in players.items()]
    parts.append(f'<section id="again"><h2>again</h2>{players["figure"].player()}</section>')
    # The page's own colours in light and dark are what the theme of the book sets.
    style = "body { font: 16px sans-serif; margin: 16px } html[data-theme=dark] { background: #121212; color: #ddd }"
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><style>{style}</style>'
    file = tmp_path_factory.mktemp("page") / "players.html"
    main = f"<main><h1>Players</h1>{''.join(parts)}</main>"
    file.write_text(
        f'<!doctype html><html lang="en"><head><title>Players</title>{head}</head><body>{main}</body></html>', "utf-8"
    )
    return file.as_uri()


@pytest.fixture
def page(offline_page, address):
    offline_page.goto(address)
    offline_page.wait_for_function("document.querySelectorAll('canvas').length === 2")
    yield offline_page
    assert offline_page.problems == []


def slider(page, name, label):
    return page.locator(f"#{name}").get_by_role("slider", name=label, exact=True)


def canvas_pixels(page, name):
    url = page.locator(f"#{name} canvas").evaluate("canvas => canvas.toDataURL()")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.split(",")[1]))).convert("RGB"))


def expected_pixels(**values):
    return np.asarray(Image.open(io.BytesIO(render(show_dot, values).data)).convert("RGB"))


@pytest.fixture
def wait_until_drawn(eventually):
    """wait_until_drawn(page, name, **values): its strip is decoded in the background, and the picture right at last."""

    def wait(page, name, **values):
        expected = expected_pixels(**values)
        drawn = eventually(lambda: np.array_equal(canvas_pixels(page, name), expected), page)
        assert drawn, f"the picture of {name} is not the one at {values}"

    return wait


def test_the_start_is_in_the_middle(page, wait_until_drawn):
    wait_until_drawn(page, "figure", x=0.0, y=0)
    assert slider(page, "figure", "first code z₁").get_attribute("aria-valuetext") == "0"
    assert page.locator(".course-player-note").count() == 0
    assert page.locator("#figure canvas").evaluate("c => c.getBoundingClientRect().width") == 600  # 6 inches


def test_the_keyboard_moves_the_picture_its_value_and_its_alt_text(page, wait_until_drawn):
    x = slider(page, "figure", "first code z₁")
    x.focus()
    page.keyboard.press("ArrowRight")
    wait_until_drawn(page, "figure", x=0.5, y=0)
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowLeft")
    wait_until_drawn(page, "figure", x=0.5, y=-1)
    assert page.locator("#figure output").all_text_contents() == ["0.5", "−1"]
    assert x.get_attribute("aria-valuetext") == "0.5"
    picture = page.locator("#figure").get_by_role("img")
    assert picture.get_attribute("aria-label") == "the decoded image; first code z₁ = 0.5, y = −1"
    page.keyboard.press("Home")
    x.press("End")
    wait_until_drawn(page, "figure", x=2.0, y=-1)
    x.press("Home")
    page.keyboard.press("ArrowRight")
    wait_until_drawn(page, "figure", x=-1.5, y=-1)


def test_every_position_shows_its_own_frame(page, wait_until_drawn):
    x, y = slider(page, "figure", "first code z₁"), slider(page, "figure", "y")
    for row, x_value in enumerate(X):
        for column, y_value in enumerate([-1, 0, 1]):
            x.fill(str(row))
            y.fill(str(column))
            wait_until_drawn(page, "figure", x=x_value, y=y_value)


def test_the_mouse_drags(page, wait_until_drawn):
    box = slider(page, "figure", "first code z₁").bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] / 2, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 2, middle, steps=8)
    page.mouse.up()
    assert page.locator("#figure output").first.text_content() == "2"
    wait_until_drawn(page, "figure", x=2.0, y=0)  # and no frame that was on the way


def test_equal_players_on_a_page_are_two(page, wait_until_drawn):
    slider(page, "again", "first code z₁").press("ArrowRight")
    wait_until_drawn(page, "again", x=0.5, y=0)
    wait_until_drawn(page, "figure", x=0.0, y=0)
    assert page.locator(".course-player-sliders").count() == 9


def test_html_text_and_strings_change(page):
    slider(page, "html", "n").press("ArrowLeft")
    assert page.locator("#html td").all_text_contents() == ["1"]
    slider(page, "text", "lines").press("ArrowRight")
    assert page.locator("#text pre").text_content().split("\n")[-1] == "低头思故乡 <4>"
    slider(page, "strings", "model").press("Home")
    assert page.locator("#strings pre").text_content() == "autoencoder after 100 steps"
    assert page.locator("#strings output").all_text_contents() == ["autoencoder", "100"]
    assert page.locator("#strings pre").get_attribute("aria-label").endswith("model = autoencoder, steps = 100")


def test_an_animation_plays_and_a_slider_changes_it(page, eventually):
    there = page.frame_locator("#animation iframe")
    there.get_by_role("button", name="Last frame").click()
    assert eventually(lambda: there.locator("input[type=range]").input_value() == "2", page), "its script has run"
    assert there.locator("img").evaluate("img => img.decode().then(() => img.naturalWidth)") == 216
    icons = "buttons => buttons.map(b => getComputedStyle(b.querySelector('i'), '::before').content)"
    assert '"▶"' in there.locator("button").evaluate_all(icons), "its icons come from no font in the network"
    slider(page, "animation", "frames").press("ArrowRight")
    assert eventually(lambda: there.locator("input[type=range]").get_attribute("max") == "3", page)
    there.get_by_role("button", name="Play", exact=True).click()
    assert eventually(lambda: there.locator("input[type=range]").input_value() == "3", page), "and it plays"


def test_html_with_scripts_is_as_high_as_it_is_and_has_a_name(page, eventually):
    def high():
        """Neither cut off nor longer than what is in it."""
        inside = there.locator("html").evaluate("root => root.getBoundingClientRect().height")
        return abs(page.locator("#script iframe").bounding_box()["height"] - inside) < 2

    there, control = page.frame_locator("#script iframe"), slider(page, "script", "to")
    positions = page.evaluate("history.length")
    for key, lines in [("End", 3), ("Home", 30), ("ArrowRight", 10)]:
        control.press(key)
        assert eventually(lambda lines=lines: there.locator("p").count() == lines, page)
        assert eventually(high, page)
        frame = page.locator("#script iframe")
        assert frame.get_attribute("title") == f"As many lines as it says, written by a script; to = {lines}"
        assert frame.get_attribute("title") == page.locator("#script [role=group] [role=group]").get_attribute(
            "aria-label"
        )
    assert page.evaluate("history.length") == positions, "the Back button leads to the page before"
    assert there.locator("html").evaluate("() => origin") == "null", "what runs there cannot reach the page"


def test_html_with_scripts_runs_in_a_widget_too(offline_page, eventually, tmp_path):
    """A widget writes what it shows as text into the page, of which scripts do not run."""
    (tmp_path / "empty.html").write_text("<!doctype html><title>Empty</title>")
    offline_page.goto((tmp_path / "empty.html").as_uri())
    view = explore(count, to=[3]).view.value
    offline_page.evaluate("html => { document.body.innerHTML = html; }", view)
    frame = offline_page.locator("iframe")
    assert eventually(lambda: offline_page.frame_locator("iframe").locator("p").count() == 3, offline_page)
    assert eventually(lambda: frame.bounding_box()["height"] < 200, offline_page)
    assert offline_page.problems == []


def test_a_new_kind_of_frame_is_one_class(page):
    meter = page.locator("#own meter")
    slider(page, "own", "height").press("ArrowRight")
    assert meter.evaluate("meter => meter.value") == 0.9
    assert meter.get_attribute("aria-label") == "a water level; height = 0.9"


def test_a_sound_is_exchanged_and_goes_on_playing(page, players):
    audio = page.locator("#sound audio")
    pitch = slider(page, "sound", "pitch in hertz")
    pitch.press("ArrowRight")
    assert audio.evaluate("audio => audio.paused")
    assert page.locator("#sound figcaption").text_content() == "0.05 s", "where the browser's clock says 0:00"
    data = base64.b64encode(players["sound"].value(pitch=880).data).decode()
    assert audio.evaluate("audio => audio.src") == f"data:audio/wav;base64,{data}"
    audio.evaluate("audio => { audio.loop = true; return audio.play() }")
    pitch.press("ArrowLeft")
    page.wait_for_function("!document.querySelector('#sound audio').paused")
    assert audio.get_attribute("aria-label") == "a tone; pitch in hertz = 440"


def test_it_runs_where_a_notebook_inserts_it(offline_page, players, tmp_path):
    """JupyterLab writes the output into an element that is not yet in the page and replaces each script by a copy."""
    (tmp_path / "empty.html").write_text("<!doctype html><title>Empty</title>")
    offline_page.goto((tmp_path / "empty.html").as_uri())
    offline_page.evaluate(
        """html => {
            const host = document.createElement("div");
            host.id = "figure";
            host.innerHTML = html + html;
            for (const script of [...host.getElementsByTagName("script")]) {
                const copy = document.createElement("script");
                copy.textContent = script.textContent;
                script.parentNode.replaceChild(copy, script);
            }
            document.body.append(host);
        }""",
        players["figure"].player(),
    )
    offline_page.wait_for_function("document.querySelectorAll('canvas').length === 2")
    assert offline_page.get_by_role("slider").count() == 4
    offline_page.get_by_role("slider", name="y").last.press("ArrowRight")
    assert offline_page.locator("output").all_text_contents() == ["0", "0", "0", "1"]
    assert offline_page.problems == []


def test_a_strip_is_decoded_when_it_is_first_wanted(offline_page, address, wait_until_drawn):
    offline_page.add_init_script(
        "window.decoded = 0; const real = Image.prototype.decode;"
        "Image.prototype.decode = function () { window.decoded += this.isConnected ? 0 : 1; return real.call(this); }"
    )
    offline_page.goto(address)
    offline_page.wait_for_function("document.querySelectorAll('canvas').length === 2")
    assert offline_page.evaluate("window.decoded") == 0
    slider(offline_page, "figure", "y").press("ArrowRight")
    wait_until_drawn(offline_page, "figure", x=0.0, y=1)
    assert offline_page.evaluate("window.decoded") > 0


def test_no_name_leaks_and_no_id_collides(page, tmp_path):
    assert page.locator(".course-player [id], [id].course-player").count() == 0
    names = "Object.getOwnPropertyNames(window).filter(name => isNaN(name))"
    with_players = page.evaluate(names)
    (tmp_path / "empty.html").write_text("<!doctype html><title>Empty</title>")
    page.goto((tmp_path / "empty.html").as_uri())
    assert set(with_players) - set(page.evaluate(names)) == set()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 375])
def test_nothing_overflows_and_axe_finds_nothing_serious(open_offline, address, theme, width):
    from axe_playwright_python.sync_playwright import Axe

    page = open_offline(viewport={"width": width, "height": 800})
    page.goto(address)
    page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
    page.wait_for_function("document.querySelectorAll('canvas').length === 2")
    slider(page, "html", "n").press("End")  # thirty columns: the table scrolls, the page does not
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for control in page.get_by_role("slider").all():
        assert control.bounding_box()["height"] >= 24
        assert control.bounding_box()["width"] >= 90
    violations = Axe().run(page).response["violations"]
    assert [v["id"] for v in violations if v["impact"] in ("serious", "critical")] == []
    assert page.problems == []


def test_a_finger_taps_and_the_page_still_scrolls(open_offline, address, wait_until_drawn):
    page = open_offline(viewport={"width": 375, "height": 800}, has_touch=True, is_mobile=True, device_scale_factor=2)
    page.goto(address)
    page.wait_for_function("document.querySelectorAll('canvas').length === 2")
    x = slider(page, "figure", "first code z₁")
    box = x.bounding_box()
    x.tap(position={"x": box["width"] - 3, "y": box["height"] / 2})
    wait_until_drawn(page, "figure", x=2.0, y=0)
    assert x.evaluate("input => getComputedStyle(input).touchAction") == "pan-y"
    picture = page.locator("#figure canvas").bounding_box()
    assert picture["width"] <= 375 - 2 * 16
    assert picture["width"] == pytest.approx(2 * picture["height"], rel=0.01)
    assert page.problems == []


def test_a_phone_stacks_label_and_value_over_the_slider(open_offline, address):
    page = open_offline(viewport={"width": 375, "height": 800})
    page.goto(address)
    boxes = [page.locator(f"#figure .course-player-sliders {part}").first.bounding_box() for part in ("span", "output")]
    box = slider(page, "figure", "first code z₁").bounding_box()
    assert boxes[0]["y"] == pytest.approx(boxes[1]["y"], abs=4)
    assert box["y"] >= boxes[0]["y"] + boxes[0]["height"] - 1
    assert box["width"] > 300


def test_the_focus_is_seen(page):
    x = slider(page, "figure", "first code z₁")
    page.locator("#figure output").first.evaluate("() => document.body.focus()")
    page.keyboard.press("Tab")
    assert x.evaluate("input => input === document.activeElement")
    assert x.evaluate("input => getComputedStyle(input).outlineStyle") == "solid"


def test_without_javascript_the_start_is_a_picture_and_no_slider_is_dead(open_offline, address):
    page = open_offline(java_script_enabled=False)
    page.goto(address)
    picture = page.locator("#figure").get_by_role("img")
    assert picture.get_attribute("alt") == "the decoded image; first code z₁ = 0, y = 0"
    assert picture.bounding_box()["width"] == 600
    assert page.locator("#text pre").text_content().startswith("床前明月光 <1>")
    assert page.get_by_text("Run the cell to move the sliders.").count() == 9
    assert page.get_by_role("slider").count() == 0
    assert page.problems == []
