"""The book builds strictly, and a reader with the network cable out finds everything working on every page."""

import importlib.util
import json
import re
import shutil
import tomllib
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
import yaml
from axe_playwright_python.sync_playwright import Axe

ROOT = Path(__file__).resolve().parent.parent


def tool(name):
    """A module of tools/, which is no package."""
    specification = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


book, code_cells, contents = tool("book"), tool("code_cells"), tool("contents")
TOC = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf8"))
FILES = [chapter["file"] for part in TOC["parts"] for chapter in part["chapters"]]
CHAPTERS = [name for name in FILES if re.match(r"\d\d_", name)]
PAGES = [TOC["root"], *FILES]
LARGEST_PAGE = 2_500_000  # bytes
WIDTH = tomllib.loads((ROOT / "chapters" / "sources" / "ruff.toml").read_text("utf-8"))["line-length"]

every_page = pytest.mark.parametrize("name", PAGES)
every_chapter = pytest.mark.parametrize("name", CHAPTERS)


def built(output, root=ROOT, repository=""):
    """The folder of the pages, built strictly from a clone of `repository`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COURSE_REPOSITORY", repository)
        page = book.build(output, root)
    assert page, "the book does not build strictly: see the warnings above"
    return page.parent


@pytest.fixture(scope="session")
def html(tmp_path_factory):
    """The folder of the book, built as a reader of a downloaded copy would: from no repository."""
    return built(tmp_path_factory.mktemp("book"))


LONG_LINE = "line = " + '"' + "x" * (WIDTH - 9) + '"'
SMALL = [
    ("markdown", [], "# 1 · Small: a page of every kind\n\nAs [Hinton (2006)](references.md#hinton2006) says."),
    ("code", ["setup"], "import sys"),
    ("code", [], LONG_LINE),
    ("code", ["drawing"], "print('a drawing')"),
    ("code", ["checking"], "assert 1\nfor n in range(2):\n    assert n < 2\nassert_close(1, 1)"),
    ("code", ["checking"], "assert 1 < 2"),
    ("code", ["checking", "nbval-check-output"], "print('seconds')"),
]


def write_small(folder, cells=SMALL):
    """A course of one page of every kind of cell, with this book's settings."""
    for name in ("_config.yml", "chapters/references.md", "tools", "chapters/_static"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, folder / name)
    toc = {"format": "jb-book", "root": "index", "chapters": [{"file": "01_small"}, {"file": "references"}]}
    (folder / "_toc.yml").write_text(json.dumps(toc))
    (folder / "chapters" / "index.md").write_text("# A page without code\n")
    notebook = nbformat.v4.new_notebook(metadata={"language_info": {"name": "python"}})
    for kind, tags, text in cells:
        cell = getattr(nbformat.v4, f"new_{kind}_cell")(text, metadata={"tags": tags})
        if kind == "code":
            cell.outputs = [nbformat.v4.new_output("stream", text=f"shown by {text[:12]}")]
        notebook.cells.append(cell)
    nbformat.write(notebook, folder / "chapters" / "01_small.ipynb")
    return folder


@pytest.fixture(scope="session")
def small(tmp_path_factory):
    """The folder of a small book, built from a clone of a repository on GitHub."""
    folder = tmp_path_factory.mktemp("深度 small")
    return built(folder, write_small(folder / "course"), "git@github.com:someone/course.git")


@pytest.fixture
def open_page(html, open_offline):
    """A function that opens a page of the book from the disk, waits until its mathematics is set, and returns it."""

    def open_at(name, folder=html, **options):
        page = open_offline(**options)
        page.goto((folder / f"{name}.html").as_uri())
        page.wait_for_load_state("load")
        if page.locator(".math").count():
            page.wait_for_function("window.MathJax && MathJax.startup.promise")
            page.evaluate("MathJax.startup.promise")
        return page

    return open_at


# Every page


@every_page
def test_a_page_on_a_wide_window(name, open_page, html):
    """Light, 1280 pixels, then dark by its button."""
    page = open_page(name, color_scheme="light")
    page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
    page.wait_for_load_state("networkidle")
    asked = page.evaluate(
        "[...document.querySelectorAll('link[href], script[src], img[src]')].map(e => e.href || e.src)"
    )
    assert [address for address in asked if not address.startswith(("file:", "data:"))] == []
    size = (html / f"{name}.html").stat().st_size
    assert size <= LARGEST_PAGE, f"{name}.html has {size / 1e6:.2f} MB; {LARGEST_PAGE / 1e6} are allowed"
    assert_typeset(page)
    assert too_wide(page) == []
    assert cut_lines(page) == [], "code that scrolls out of sight"
    assert serious(page) == []

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


@every_page
def test_a_page_on_a_phone(name, open_page):
    """Dark, 375 pixels: nothing sticks out, no line of code is cut, and what is not the idea is folded."""
    page = open_page(name, color_scheme="dark", viewport={"width": 375, "height": 740})
    assert too_wide(page) == []
    assert cut_lines(page) == []
    assert serious(page) == []
    assert page.locator(".code-fold[open]").count() == 0
    assert page.problems == []


def assert_typeset(page):
    """Every formula is set, and none of the page's text is markup."""
    raw = page.evaluate(
        """[...document.querySelectorAll('.bd-article .math')].filter(formula => {
          const set = formula.querySelector('mjx-container'), box = set && set.getBoundingClientRect();
          const bad = !set || set.querySelector('mjx-merror, [data-mml-node=merror]');
          return bad || Math.min(box.width, box.height) <= 2;
        }).map(formula => formula.textContent)"""
    )
    assert raw == [], "not typeset, or unknown to MathJax"
    # innerText is what a reader sees; code is left out, where a dollar is a dollar.
    seen = page.evaluate(
        """() => {
          const article = document.querySelector('.bd-article').cloneNode(true);
          article.querySelectorAll('code, pre, script, style, mjx-container').forEach(e => e.remove());
          return article.innerText;
        }"""
    )
    assert not re.search(r"\\\(|\\\[|\$\$|\{(?:doc|term|cite|ref)[:\w]*\}", seen), "raw markup on the page"


def too_wide(page):
    """What sticks out of the page on the right, unless it scrolls inside itself."""
    wide = page.evaluate(
        """() => {
          const right = document.documentElement.clientWidth + 1;
          const scrolls = e => e && (getComputedStyle(e).overflowX != 'visible' || scrolls(e.parentElement));
          return [...document.querySelectorAll('.bd-article *')]
            .filter(e => e.getBoundingClientRect().right > right && !scrolls(e.parentElement))
            .map(e => e.outerHTML.slice(0, 90));
        }"""
    )
    whole = page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    return wide if whole else [*wide, "the page itself"]


def cut_lines(page):
    """The code in view that is wider than its frame."""
    return page.evaluate(
        """[...document.querySelectorAll('div.cell_input pre')]
          .filter(e => e.checkVisibility({contentVisibilityAuto: true}) && e.scrollWidth > e.clientWidth)
          .map(e => e.textContent.slice(0, 90))"""
    )


def serious(page, without=(".highlight",)):
    """What axe-core finds serious in what we write of a page. The colours of code, slow to judge, need it only once."""
    parts = [[part] for part in (".bd-article", ".code-switch") if page.locator(part).count()]
    parts = {"include": parts, "exclude": [[part] for part in without if page.locator(part).count()]}
    options = {"preload": False, "resultTypes": ["violations"]}  # nothing is loaded again to be looked at
    return [
        f"{found['id']}: {found['help']}: {node['html'][:200]}"
        for found in Axe().run(page, context=parts, options=options).response["violations"]
        if found["impact"] in ("serious", "critical")
        for node in found["nodes"]
    ]


# Sliders

# What a player shows, whatever it shows: the picture's pixels, the text, the sound.
SHOWN = """player => {
  const view = player.querySelector('.course-player-view');
  const canvas = view.querySelector('canvas'), audio = view.querySelector('audio');
  return canvas ? canvas.toDataURL() : audio ? audio.src : view.innerHTML.replace(/aria-label="[^"]*"/g, '');
}"""


def another(player, seen):
    """Whether a player shows, by now, what was not seen before."""
    return lambda: player.evaluate(SHOWN) not in seen


@every_chapter
def test_every_slider_moves_by_keyboard_and_by_mouse(name, open_page, eventually):
    page = open_page(name)
    players = page.locator(".course-player").all()
    stored = (ROOT / "chapters" / f"{name}.ipynb").read_text(encoding="utf8")
    assert len(players) == stored.count(r"class=\"course-player\"") > 0, "every exploration is on the page"
    for number, player in enumerate(players, 1):
        sliders = player.locator("input[type=range]").all()
        assert sliders, f"{name}, player {number} has no slider"
        for slider in sliders:
            where = f"{name}, player {number}, slider {slider.get_attribute('name')}"
            slider.scroll_into_view_if_needed()
            steps = int(slider.get_attribute("max"))
            slider.focus()
            page.keyboard.press("Home")
            page.wait_for_timeout(100)
            seen, value = {player.evaluate(SHOWN)}, slider.input_value()
            for _ in range(steps):
                page.keyboard.press("ArrowRight")
                page.wait_for_timeout(50)
                seen.add(player.evaluate(SHOWN))
                if len(seen) > 2:
                    break
            assert slider.input_value() != value, f"{where}: the arrow keys do not move it"
            moved = len(seen) > 1 or eventually(another(player, seen), page)
            assert moved, f"{where}: nothing changes under the keyboard"
            assert slider.get_attribute("aria-valuetext"), f"{where}: a screen reader hears only a number of steps"

            box = slider.bounding_box()
            height = box["y"] + box["height"] / 2
            page.mouse.move(box["x"] + 8, height)
            page.mouse.down()
            seen = set()
            for step in range(4):
                page.mouse.move(box["x"] + 8 + (box["width"] - 16) * step / 3, height, steps=2)
                page.wait_for_timeout(60)
                seen.add(player.evaluate(SHOWN))
            page.mouse.up()
            assert int(slider.input_value()) == steps, f"{where}: the mouse does not drag it to its end"
            moved = len(seen) > 1 or eventually(another(player, seen), page)
            assert moved, f"{where}: nothing changes under the mouse"
    assert page.problems == []


# Kinds of code cells


@pytest.mark.parametrize(
    ("tags", "code", "says"),
    [
        ([], "assert 1", None),
        (["twin:course_lib.layers.gate"], "x = 1", None),
        (["setup"], "x = 1", "the installation"),
        (["drawing"], "assert 1", "the drawing"),
        (["checking"], "x = 1", "the measurement"),
        (["checking"], "assert_causal(model, x)", "the check: 1 claim"),
        (["checking"], "assert 1\nif 1:\n    assert 2", "the check: 2 claims"),
    ],
)
def test_what_the_line_of_a_folded_cell_says(tags, code, says):
    assert code_cells.label(tags, code) == says


FOLDS = ["installation", "drawing", "check: 3 claims", "check: 1 claim", "measurement"]


def test_cells_fold_without_a_script(small, open_page):
    page = open_page("01_small", small, java_script_enabled=False)
    lines = page.locator(".code-fold > summary")
    assert lines.all_inner_texts() == [f"Show the {what}" for what in FOLDS]
    codes = page.locator("div.cell_input")
    assert [code.is_visible() for code in codes.all()] == [False, True, *[False] * 4]
    assert all(output.is_visible() for output in page.locator("div.cell_output").all())
    lines.nth(2).click()
    assert codes.nth(3).is_visible()
    assert lines.nth(2).inner_text() == "Hide the check: 3 claims"
    assert cut_lines(page) == []  # the idea is as wide as the formatter allows


@pytest.mark.parametrize("width", [375, 1280])
def test_the_switch_over_a_page_with_code(width, small, open_page):
    page = open_page("01_small", small, viewport={"width": width, "height": 740})
    group = page.get_by_role("group", name="Code")
    assert group.get_by_role("radio", name="ideas").is_checked()
    codes, outputs = page.locator("div.cell_input"), page.locator("div.cell_output")

    def in_view():
        return [code.is_visible() for code in codes.all()]

    assert in_view() == [False, True, *[False] * 4]
    group.get_by_role("radio", name="ideas").focus()
    page.keyboard.press("ArrowRight")
    assert in_view() == [True] * 6
    page.reload()
    assert group.get_by_role("radio", name="all").is_checked() and in_view() == [True] * 6
    group.get_by_text("none").click()
    assert in_view() == [False] * 6 and not page.locator(".code-fold > summary").first.is_visible()
    assert all(output.is_visible() for output in outputs.all())
    box = group.bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= width
    assert page.problems == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_code_and_its_lines_are_readable(scheme, small, open_page):
    page = open_page("01_small", small, color_scheme=scheme)
    page.get_by_role("radio", name="all").check(force=True)
    assert serious(page, without=()) == []


def test_a_page_without_code_has_no_switch(small, open_page):
    assert open_page("index", small).locator(".code-switch").count() == 0


def test_a_full_line_fits_beside_a_scroll_bar(small, open_page):
    """A wide window of 1280 pixels, less the 15 that a bar takes which is not drawn here."""
    page = open_page("01_small", small, viewport={"width": 1265, "height": 740})
    assert cut_lines(page) == []


# What a chapter is called


@pytest.mark.parametrize("name", contents.PARTS)
def test_the_chapters_stand_once_and_everywhere_the_same(name):
    assert contents.filled(name) == (ROOT / name).read_text("utf-8"), "run `python tools/contents.py`"


def test_chapters_toml_lists_the_chapters():
    on_disk = sorted(path.stem for path in (ROOT / "chapters" / "sources").glob("[0-9][0-9]_*.py"))
    assert on_disk == CHAPTERS == list(contents.read())
    for name, chapter in contents.read().items():
        assert chapter["title"].startswith(f"{int(name[:2])} · "), f"{name}: a title begins with its number"
        assert chapter["seconds"] <= 90
        assert (ROOT / "chapters" / chapter["picture"]).is_file()


def test_a_file_without_its_two_lines_is_refused(tmp_path):
    (tmp_path / "_toc.yml").write_text("root: index")
    with pytest.raises(ValueError, match=r"_toc\.yml: expected the lines .*chapters\.toml"):
        contents.filled("_toc.yml", tmp_path)


def test_a_title_is_in_the_tab_the_side_bar_and_the_search(small, open_page):
    page = open_page("01_small", small)
    title = "1 · Small: a page of every kind"
    assert page.title().startswith(title)
    assert page.locator(".bd-sidebar-primary .bd-links").get_by_text(title).count() == 1
    assert title in json.loads(re.search(r"\((.*)\)", (small / "searchindex.js").read_text("utf-8"))[1])["titles"]


def test_first_page_has_a_card_for_each_chapter(open_page):
    page = open_page("index")
    cards = page.locator(".sd-card")
    links = cards.locator("a.sd-stretched-link").evaluate_all("links => links.map(link => link.getAttribute('href'))")
    assert links == [f"{name}.html" for name in CHAPTERS]
    for card, chapter in zip(cards.all(), contents.read().values(), strict=True):
        assert card.locator(".sd-card-title").inner_text() == chapter["title"].replace("'", "’")  # as it is typeset
        picture = card.locator("img")
        assert picture.evaluate("image => image.naturalWidth") > 0
        assert picture.get_attribute("alt") == chapter["picture_shows"]


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


@pytest.mark.slow
@every_chapter
def test_without_a_repository_there_is_a_download_and_no_launch_button(name, html):
    text = (html / f"{name}.html").read_text(encoding="utf8")
    assert not re.search(r"colab\.research|mybinder", text)
    assert f'href="_sources/{name}.ipynb"' in text
    assert (html / "_sources" / f"{name}.ipynb").read_bytes() == (ROOT / "chapters" / f"{name}.ipynb").read_bytes()


def test_with_a_repository_chapters_open_on_colab_and_binder(small, open_page):
    text = (small / "01_small.html").read_text(encoding="utf8")
    assert "https://colab.research.google.com/github/someone/course/blob/main/chapters/01_small.ipynb" in text
    assert "https://mybinder.org/v2/gh/someone/course/main?urlpath=lab/tree/chapters/01_small.ipynb" in text
    page = open_page("01_small", small)
    logos = page.locator(".dropdown-launch-buttons img")
    assert logos.count() == 2
    assert all(logo.evaluate("image => image.complete && image.naturalWidth > 0") for logo in logos.all())
    assert page.problems == []


def test_a_citation_leads_to_its_reference(small, open_page):
    page = open_page("01_small", small)
    page.get_by_role("link", name="Hinton (2006)").click()
    page.wait_for_url("**/references.html#hinton2006")
    assert page.locator("#hinton2006").is_visible()


def test_a_link_in_an_output_leads_to_a_page():
    """On GitHub and in JupyterLab it leads to the notebook, which is where the book's page comes from."""
    app = SimpleNamespace(env=SimpleNamespace(doc2path=lambda name: f"{name}.ipynb"))
    shown = '<a href="03_b.ipynb">b</a> <a href="03_b.ipynb#c" style="">c</a> <a href="https://d.org/e.ipynb">d</a>'
    content = [json.dumps({"cells": [{"outputs": [{"data": {"text/html": [shown]}}]}, {"source": shown}]})]
    book.lead_to_pages(app, "01_a", content)
    output, text = json.loads(content[0])["cells"]
    assert re.findall(r'href="([^"]*)"', output["outputs"][0]["data"]["text/html"]) == [
        "03_b.html",
        "03_b.html#c",
        "https://d.org/e.ipynb",
    ]
    assert text["source"] == shown


@pytest.mark.slow
def test_the_build_is_strict(tmp_path, capfd):
    """A link to a page or a reference that is not there stops the build."""
    links = [("markdown", [], "# 1 · Small\n\n[No page](nowhere.md), [no paper](references.md#nobody1900)")]
    assert book.build(tmp_path / "out", write_small(tmp_path / "course", links)) is None
    said = capfd.readouterr().err
    assert "nowhere.md" in said and "nobody1900" in said


@pytest.mark.slow
def test_an_earlier_build_changes_nothing(tmp_path, capfd):
    """Built again after any change, a book gets what it would get in an empty folder: the same warnings and pages."""
    page = [("markdown", [], "# 1 · Small\n\nAs [Hinton (2006)](references.md#hinton2006) says.")]
    course, out = write_small(tmp_path / "course", page), tmp_path / "out"
    references, toc = course / "chapters" / "references.md", course / "_toc.yml"
    whole, listed = references.read_text("utf-8"), toc.read_text("utf-8")

    assert book.build(out, course)
    references.write_text(whole.replace("# hinton2006", "# another2006"), "utf-8")
    for _ in range(2):
        assert book.build(out, course) is None, "an unchanged page's link leads nowhere, and nothing is said"
        assert "hinton2006" in capfd.readouterr().err
    references.write_text(whole + "\n```{nothing}\n```\n", "utf-8")
    for _ in range(2):
        assert book.build(out, course) is None, "a mistake in a page that did not change since is forgotten"
    references.write_text(whole, "utf-8")
    toc.write_text(listed.replace('{"file": "01_small"}, ', ""), "utf-8")
    assert book.build(out, course)
    assert not (out / "_build" / "html" / "01_small.html").exists(), "a page that went is still published"


def test_the_workflow_publishes_what_make_book_builds():
    """It installs what pyproject.toml calls `book`, and nothing that only a chapter needs."""
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "pages.yml").read_text("utf-8"))
    steps = workflow["jobs"]["publish"]["steps"]
    commands = [step["run"] for step in steps if "run" in step]
    extra = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]["book"]
    asked = [word.strip('"') for word in commands[0].split()[commands[0].split().index("constraints.txt") + 1 :]]
    assert asked == extra
    assert "python tools/book.py" in commands
    assert all(re.fullmatch(r"actions/[\w-]+@v\d+", step["uses"]) for step in steps if "uses" in step)
