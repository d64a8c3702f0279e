"""The book builds strictly, and a reader with the network cable out finds everything working on every page."""

import importlib.util
import re
from pathlib import Path

import pytest
import yaml
from axe_playwright_python.sync_playwright import Axe

ROOT = Path(__file__).resolve().parent.parent
specification = importlib.util.spec_from_file_location("book", ROOT / "tools" / "book.py")
book = importlib.util.module_from_spec(specification)
specification.loader.exec_module(book)

TOC = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf8"))
FILES = [chapter["file"] for part in TOC["parts"] for chapter in part["chapters"]]
CHAPTERS = [name for name in FILES if re.match(r"\d\d_", name)]
PAGES = [TOC["root"], *FILES]
LARGEST_PAGE = 2_500_000  # bytes

every_page = pytest.mark.parametrize("name", PAGES)
every_chapter = pytest.mark.parametrize("name", CHAPTERS)


@pytest.fixture(scope="session")
def html(tmp_path_factory):
    """The folder of the book, built once as a reader of a downloaded copy would: from no repository."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COURSE_REPOSITORY", "")
        page = book.build(tmp_path_factory.mktemp("book"))
    assert page, "the book does not build strictly: see the warnings above"
    return page.parent


@pytest.fixture
def open_page(html, open_offline):
    """A function that opens a page of the book from the disk, waits until its mathematics is set, and returns it."""

    def open_at(name, **options):
        page = open_offline(**options)
        page.goto((html / f"{name}.html").as_uri())
        page.wait_for_load_state("load")
        if page.locator(".math").count():
            page.wait_for_function("window.MathJax && MathJax.startup.promise")
            page.evaluate("MathJax.startup.promise")
        return page

    return open_at


@every_page
def test_page_needs_no_network_and_makes_no_errors(name, open_page):
    page = open_page(name)
    page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
    page.wait_for_load_state("networkidle")
    assert page.problems == []
    asked = page.evaluate(
        "[...document.querySelectorAll('link[href], script[src], img[src]')].map(e => e.href || e.src)"
    )
    assert [address for address in asked if not address.startswith(("file:", "data:"))] == []


@every_page
def test_page_is_small(name, html):
    size = (html / f"{name}.html").stat().st_size
    assert size <= LARGEST_PAGE, f"{name}.html has {size / 1e6:.2f} MB; {LARGEST_PAGE / 1e6} are allowed"


@every_page
def test_mathematics_is_typeset(name, open_page):
    page = open_page(name)
    written = page.locator(".bd-article .math")
    for formula in written.all():
        text = formula.text_content()
        assert formula.locator("mjx-container").count(), f"not typeset: {text}"
        assert formula.locator("mjx-merror, [data-mml-node=merror]").count() == 0, f"MathJax does not know: {text}"
        box = formula.locator("mjx-container").first.bounding_box()
        assert min(box["width"], box["height"]) > 2
    # innerText is what a reader sees; code is left out, where a dollar is a dollar.
    seen = page.evaluate(
        """() => {
          const article = document.querySelector('.bd-article').cloneNode(true);
          article.querySelectorAll('code, pre, script, style, mjx-container').forEach(e => e.remove());
          return article.innerText;
        }"""
    )
    assert not re.search(r"\\\(|\\\[|\$\$|\{(?:doc|term|cite|ref)[:\w]*\}", seen), "raw markup on the page"


# What a player shows, whatever it shows: the picture's pixels, the text, the sound.
SHOWN = """player => {
  const view = player.querySelector('.course-player-view');
  const canvas = view.querySelector('canvas'), audio = view.querySelector('audio');
  return canvas ? canvas.toDataURL() : audio ? audio.src : view.innerHTML.replace(/aria-label="[^"]*"/g, '');
}"""


@every_chapter
def test_every_slider_moves_by_keyboard_and_by_mouse(name, open_page):
    page = open_page(name)
    players = page.locator(".course-player").all()
    for number, player in enumerate(players, 1):
        sliders = player.locator("input[type=range]").all()
        assert sliders, f"{name}, player {number} has no slider"
        for slider in sliders:
            where = f"{name}, player {number}, slider {slider.get_attribute('name')}"
            slider.scroll_into_view_if_needed()
            steps = int(slider.get_attribute("max"))
            slider.focus()
            page.keyboard.press("Home")
            page.wait_for_timeout(150)
            seen, value = {player.evaluate(SHOWN)}, slider.input_value()
            for _ in range(steps):
                page.keyboard.press("ArrowRight")
                page.wait_for_timeout(60)
                seen.add(player.evaluate(SHOWN))
            assert slider.input_value() != value, f"{where}: the arrow keys do not move it"
            assert len(seen) > 1, f"{where}: nothing changes under the keyboard"
            assert slider.get_attribute("aria-valuetext"), f"{where}: a screen reader hears only a number of steps"

            box = slider.bounding_box()
            height = box["y"] + box["height"] / 2
            page.mouse.move(box["x"] + 8, height)
            page.mouse.down()
            seen = set()
            for step in range(6):
                page.mouse.move(box["x"] + 8 + (box["width"] - 16) * step / 5, height, steps=2)
                page.wait_for_timeout(80)
                seen.add(player.evaluate(SHOWN))
            page.mouse.up()
            assert int(slider.input_value()) == steps, f"{where}: the mouse does not drag it to its end"
            assert len(seen) > 1, f"{where}: nothing changes under the mouse"
    assert page.problems == []


@every_chapter
def test_every_exploration_is_on_the_page(name, html):
    text = (html / f"{name}.html").read_text(encoding="utf8")
    notebook = (ROOT / "chapters" / f"{name}.ipynb").read_text(encoding="utf8")
    assert text.count('class="course-player"') == notebook.count(r"class=\"course-player\"") > 0


@every_page
def test_dark_mode(name, open_page):
    """The button changes the page, and text stays readable on it."""
    page = open_page(name, color_scheme="light")
    paper = "getComputedStyle(document.querySelector('html')).getPropertyValue('--pst-color-background')"
    light = page.evaluate(paper)
    button = page.locator(".theme-switch-button").first
    for _ in range(3):  # it goes around system, light and dark
        if page.evaluate("document.documentElement.dataset.theme") == "dark":
            break
        button.click()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert page.evaluate(paper) != light
    assert page.problems == []


@pytest.mark.parametrize("width", [375, 1280])
@every_page
def test_nothing_overflows(name, width, open_page):
    page = open_page(name, viewport={"width": width, "height": 740})
    wide = page.evaluate(
        """() => {
          const right = document.documentElement.clientWidth + 1;
          const scrolls = e => e && (getComputedStyle(e).overflowX != 'visible' || scrolls(e.parentElement));
          return [...document.querySelectorAll('.bd-article *')]
            .filter(e => e.getBoundingClientRect().right > right && !scrolls(e.parentElement))
            .map(e => e.outerHTML.slice(0, 90));
        }"""
    )
    assert wide == []
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


# Flaws of others: the rule of axe-core, and how the element begins.
THEIRS = [
    # docutils marks each entry of a bibliography doc-biblioentry, and ARIA no longer lets a list contain these.
    ("aria-required-children", '<div role="list" class="citation-list">'),
]


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 375)])
@every_page
def test_accessibility(name, scheme, width, open_page):
    """axe-core finds nothing serious in the article: the part of the page that we write."""
    page = open_page(name, color_scheme=scheme, viewport={"width": width, "height": 740})
    serious = [
        f"{found['id']}: {found['help']}: {node['html'][:200]}"
        for found in Axe().run(page, context=".bd-article").response["violations"]
        if found["impact"] in ("serious", "critical")
        for node in found["nodes"]
        if not any(found["id"] == rule and node["html"].startswith(start) for rule, start in THEIRS)
    ]
    assert serious == []


def test_search_finds_a_word(open_page):
    page = open_page("index")
    page.keyboard.press("Control+k")
    page.locator("dialog[open] input[type=search]").fill("autoencoder")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search.html?q=autoencoder*")
    page.wait_for_selector("#search-results li a")
    found = page.locator("#search-results li a").evaluate_all("links => links.map(link => link.getAttribute('href'))")
    assert any(address.startswith(CHAPTERS[0]) for address in found), found
    assert page.problems == []


def test_one_search_field(open_page):
    """sphinx-book-theme 1.3.0 with the present pydata theme would show a second one above the page."""
    page = open_page("index")
    fields = page.locator("input[type=search]:visible, .search-button-field:visible, .search-button:visible")
    assert fields.count() == 1


def test_first_page_has_a_card_for_each_chapter(open_page):
    page = open_page("index")
    cards = page.locator(".sd-card")
    links = cards.locator("a.sd-stretched-link").evaluate_all("links => links.map(link => link.getAttribute('href'))")
    assert links == [f"{name}.html" for name in CHAPTERS]
    for card in cards.all():
        picture = card.locator("img")
        assert picture.evaluate("image => image.naturalWidth") > 0
        assert picture.get_attribute("alt")


def test_page_order_is_the_chapters_order():
    on_disk = sorted(path.stem for path in (ROOT / "chapters" / "sources").glob("[0-9][0-9]_*.py"))
    assert on_disk == CHAPTERS, "each chapter has one line in _toc.yml, in the order of the numbers"


def test_icons_are_drawn(open_page):
    """The theme's font draws them; its script of 1.5 MB, which would too, is left out."""
    page = open_page("index")
    icon = page.locator(".theme-switch-button i:visible, .theme-switch-button .fa-solid:visible").first
    assert icon.bounding_box()["width"] > 8
    assert page.evaluate("document.fonts.check('900 16px \"Font Awesome 6 Free\"')")


# Where the repository lives


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("https://github.com/someone/course", "https://github.com/someone/course"),
        ("https://github.com/someone/course.git\n", "https://github.com/someone/course"),
        ("https://token@github.com/someone/course.git", "https://github.com/someone/course"),
        ("git@github.com:someone/my.course.git", "https://github.com/someone/my.course"),
        ("ssh://git@github.com/someone/course.git", "https://github.com/someone/course"),
        ("https://gitlab.com/someone/course.git", None),
        ("https://github.com.example.org/someone/course", None),
        ("/srv/git/course.git", None),
        ("", None),
    ],
)
def test_repository_address(address, expected, monkeypatch):
    monkeypatch.setenv("COURSE_REPOSITORY", address)
    assert book.repository_address() == expected


def test_repository_address_comes_from_git(tmp_path, monkeypatch):
    monkeypatch.delenv("COURSE_REPOSITORY", raising=False)
    assert book.repository_address(tmp_path) is None
    (tmp_path / ".git").mkdir()
    for name, text in {
        "config": '[remote "origin"]\n\turl = git@github.com:someone/course.git\n',
        "HEAD": "ref: refs/heads/main\n",
    }.items():
        (tmp_path / ".git" / name).write_text(text)
    (tmp_path / ".git" / "objects").mkdir()
    (tmp_path / ".git" / "refs").mkdir()
    assert book.repository_address(tmp_path) == "https://github.com/someone/course"


@every_chapter
def test_without_a_repository_there_is_a_download_and_no_launch_button(name, html):
    text = (html / f"{name}.html").read_text(encoding="utf8")
    assert not re.search("colab|mybinder", text)
    assert f'href="_sources/{name}.ipynb"' in text
    assert (html / "_sources" / f"{name}.ipynb").is_file()


def test_with_a_repository_chapters_open_on_colab_and_binder(tmp_path, monkeypatch, open_offline):
    monkeypatch.setenv("COURSE_REPOSITORY", "git@github.com:someone/course.git")
    first = book.build(tmp_path)
    assert first
    chapter = first.parent / f"{CHAPTERS[0]}.html"
    text = chapter.read_text(encoding="utf8")
    assert f"https://colab.research.google.com/github/someone/course/blob/main/chapters/{CHAPTERS[0]}.ipynb" in text
    assert f"https://mybinder.org/v2/gh/someone/course/main?urlpath=lab/tree/chapters/{CHAPTERS[0]}.ipynb" in text
    page = open_offline()
    page.goto(chapter.as_uri())
    logos = page.locator(".dropdown-launch-buttons img")
    assert logos.count() == 2
    assert all(logo.evaluate("image => image.complete && image.naturalWidth > 0") for logo in logos.all())
    assert page.problems == []


def test_the_build_is_strict(tmp_path, capfd):
    """A link to nowhere stops the build: in a copy of the pages, without the chapters, there are several."""
    copy = tmp_path / "course"
    (copy / "chapters").mkdir(parents=True)
    for name in ("_config.yml", "_toc.yml", "chapters/index.md", "chapters/notation.md"):
        (copy / name).write_bytes((ROOT / name).read_bytes())
    (copy / "tools").mkdir()
    (copy / "tools" / "book.py").write_bytes((ROOT / "tools" / "book.py").read_bytes())
    assert book.build(tmp_path / "out", copy) is None
    assert "WARNING" in capfd.readouterr().err
