"""A learner opens a notebook in JupyterLab, runs all of it from the menu, and drags a slider."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parent.parent
CHAPTER = min((ROOT / "chapters").glob("[0-9][0-9]_*.ipynb"))

# That all chapters run in a fresh kernel is nbval's to show, and that no slider's position raises is test_chapters'.
# Here a small notebook shows, in the front end itself, what a slider can change: a picture, a text, a sound.
KINDS = """
from course_lib.show.explore import explore
from course_lib.show.plots import show_images

def square(size):
    image = torch.zeros(1, 1, 8, 8)
    image[..., :size, :size] = 1
    return show_images(image)

explore(square, size=[1, 4, 8])
===
def line(letter, times):
    return letter * times

explore(line, letter=["a", "b", "c"], times=[1, 2, 3, 4])
===
from course_lib.show.sounds import sound

def tone(hertz):
    return sound((hertz * torch.arange(800) / 8000 * 6.28).sin() / 2)

explore(tone, hertz=[220, 440])
===
from IPython.display import HTML

def count(to):
    return HTML(f"<p></p><script>document.querySelector('p').textContent = 'counts to {to}'</script>")

explore(count, to=[1, 2, 3])
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory, browser, patience):
    """The address of a JupyterLab on a chapter as it is stored, and a small notebook."""
    folder = tmp_path_factory.mktemp("lab")
    (folder / "course" / "chapters").mkdir(parents=True)
    for name in ("README.md", "chapters/references.md", f"chapters/{CHAPTER.name}"):
        shutil.copy(ROOT / name, folder / "course" / name)
    metadata = nbformat.read(CHAPTER, as_version=4).metadata  # the same kernel
    cells = [nbformat.v4.new_code_cell(code.strip()) for code in f"import torch{KINDS}".split("===")]
    cells.append(nbformat.v4.new_markdown_cell("As [Graves (2013)](references.md#graves2013) says."))
    kinds = nbformat.v4.new_notebook(cells=cells, metadata=metadata)
    nbformat.write(kinds, folder / "course" / "chapters" / "kinds.ipynb")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    own = {name: str(folder / name.lower()) for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "IPYTHONDIR")}
    own |= {name: str(folder / name.lower()) for name in ("JUPYTER_RUNTIME_DIR", "JUPYTERLAB_SETTINGS_DIR")}
    own |= {"JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"), "PYTHONPATH": str(ROOT)}
    environment = {key: value for key, value in os.environ.items() if key != "COURSE_PUBLISH"} | own
    options = [
        *("--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0"),
        *("--IdentityProvider.token=", "--ServerApp.password=", f"--ServerApp.root_dir={folder / 'course'}"),
        *("--LabApp.expose_app_in_browser=True", "--LabApp.extension_manager=readonly"),
        f"--LabApp.app_settings_dir={ROOT / 'tools' / 'lab'}",  # as `make lab` starts it
    ]
    address = f"http://127.0.0.1:{port}"
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *options], env=environment, stdout=log, stderr=subprocess.STDOUT
        )
    while True:
        try:
            urllib.request.urlopen(f"{address}/api/status", timeout=patience).close()
            break
        except (urllib.error.URLError, OSError):  # it does not listen yet
            assert server.poll() is None, (folder / "log").read_text()
            time.sleep(0.5)
    yield address
    server.terminate()
    server.wait(timeout=patience)


@pytest.fixture
def open_lab(lab, browser, patience):
    """A function that opens a path in JupyterLab and waits until it is ready. Nothing else can be reached."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.route("**/*", lambda route: route.continue_() if route.request.url.startswith(lab) else route.abort())

    def open_at(path):
        page = context.new_page()
        page.set_default_timeout(1000 * patience)
        page.goto(f"{lab}/lab/workspaces/test{path}?reset")
        page.wait_for_selector("#jp-main-dock-panel")
        page.wait_for_function("window.jupyterapp && jupyterapp.restored")
        page.evaluate("jupyterapp.restored")
        return page

    yield open_at
    context.close()


# In the page: one entry a code cell, what it has shown so far and whether it has been run.
CELLS = """() => jupyterapp.shell.currentWidget.content.widgets.map((cell, index) => ({
  index, code: cell.model.type == 'code', source: cell.model.sharedModel.source,
  run: cell.model.executionCount, outputs: cell.model.type == 'code' ? cell.model.outputs.toJSON() : []
})).filter(cell => cell.code)"""


def run_all(page, eventually):
    """Run → Run All Cells, from the menu. Returns the code cells when the last is done, or one has failed."""
    page.wait_for_function("jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel?.status == 'idle'")
    page.locator(".lm-MenuBar-itemLabel", has_text=re.compile("^Run$")).click()
    page.locator(".lm-Menu-itemLabel", has_text=re.compile("^Run All Cells$")).click()

    def cells():
        return [cell for cell in page.evaluate(CELLS) if cell["source"].strip()]

    def done():
        failed = [o for cell in cells() for o in cell["outputs"] if o["output_type"] == "error"]
        status = page.evaluate("jupyterapp.shell.currentWidget.sessionContext.session.kernel.status")
        return failed or (all(cell["run"] for cell in cells()) and status == "idle")

    assert eventually(done, page), f"stuck at {[c['source'][:60] for c in cells() if not c['run']][:1]}"
    return cells()


def test_notebook_runs_and_its_sliders_move(open_lab, eventually):
    notebook = "kinds.ipynb"
    page = open_lab(f"/tree/chapters/{notebook}")
    cells = run_all(page, eventually)
    for cell in cells:
        for output in cell["outputs"]:
            error = f"{output.get('ename')}: {output.get('evalue')}" if output["output_type"] == "error" else ""
            assert not error, f"{notebook}: {error}, in the cell\n{cell['source']}"

    def changes(area, before):
        return eventually(lambda: shown(area) != before, page)

    explorations = [cell for cell in cells if re.search(r"^\s*(?:\w+ = )?explore\(", cell["source"], re.MULTILINE)]
    assert explorations
    for cell in explorations:
        page.evaluate(f"jupyterapp.shell.currentWidget.content.scrollToItem({cell['index']}, 'center')")
        area = page.locator(f".jp-Notebook .jp-Cell[data-windowed-list-index='{cell['index']}'] .jp-Cell-outputArea")
        where = f"{notebook}: in the cell\n{cell['source']}\n"
        area.locator(".noUi-handle").first.wait_for()
        for number in range(area.locator(".noUi-handle").count()):
            before, handle = shown(area), area.locator(".noUi-handle").nth(number)
            handle.scroll_into_view_if_needed()
            track, at = area.locator(".noUi-base").nth(number).bounding_box(), handle.bounding_box()
            middle, height = at["x"] + at["width"] / 2, at["y"] + at["height"] / 2
            right = middle > track["x"] + 0.6 * track["width"]  # of two values, a slider begins at the second
            page.mouse.move(middle, height)
            page.mouse.down()
            page.mouse.move(track["x"] + track["width"] * (0.1 if right else 0.9), height, steps=6)
            page.mouse.up()
            assert changes(area, before), f"{where}the picture stays as slider {number + 1} is dragged"
            before = shown(area)
            handle.focus()
            page.keyboard.press("ArrowRight" if right else "ArrowLeft")
            page.keyboard.press("ArrowRight" if right else "ArrowLeft")
            assert changes(area, before), f"{where}the picture stays under the arrow keys of slider {number + 1}"


def test_without_a_kernel_a_picture_is_seen(open_lab, eventually):
    """The stored notebook is opened by somebody else, or later: its kernel has gone, and with it every widget."""

    def still(page, number):
        """What stands in for the widget of the cell, scrolled to where it can be seen."""
        page.evaluate(f"jupyterapp.shell.currentWidget.content.scrollToItem({number}, 'center')")
        there = page.locator(f".jp-Cell[data-windowed-list-index='{number}'] [class^=course-still-]")
        there.wait_for(state="attached")
        return there

    page = open_lab("/tree/chapters/kinds.ipynb")
    cells = [cell["index"] for cell in run_all(page, eventually) if cell["outputs"]]
    for cell in cells:
        there = still(page, cell)
        page.locator(f".jp-Cell[data-windowed-list-index='{cell}'] .noUi-handle").first.wait_for()
        assert eventually(there.is_hidden, page), "a widget that lives hides what stands in for it"
    assert page.frame_locator(".jp-Notebook .widget-html-content iframe").get_by_text("counts to 2").is_visible()
    page.evaluate("jupyterapp.commands.execute('docmanager:save')")
    page.evaluate("jupyterapp.shell.currentWidget.sessionContext.shutdown()")
    again = open_lab("/tree/chapters/kinds.ipynb")
    # Another kernel, which knows of no widget.
    again.wait_for_function("jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel?.status == 'idle'")
    still(again, cells[0]).get_by_role("img", name="square; size = 4").wait_for()
    still(again, cells[1]).get_by_text("bbb", exact=True).wait_for()
    still(again, cells[2]).locator("audio").wait_for()
    still(again, cells[3]).frame_locator("iframe").get_by_text("counts to 2").wait_for()


def shown(area):
    """What an exploration shows beside its sliders: the picture, or the text; not the alt text, which moves too."""
    picture = area.locator(".widget-html-content img")
    if picture.count():
        return picture.first.get_attribute("src")
    return re.sub(r'aria-label="[^"]*"', "", area.locator(".widget-html-content").last.inner_html())


def test_a_citation_opens_the_references_at_its_entry(open_lab, eventually):
    page = open_lab("/tree/chapters/kinds.ipynb")
    page.get_by_role("link", name="Graves (2013)").click()
    heading = page.locator(".jp-MarkdownViewer h3", has_text="graves2013")
    heading.wait_for()
    there = "e => e.getBoundingClientRect().top < innerHeight / 2"
    assert eventually(lambda: heading.evaluate(there), page), "the references opened, but not at the entry"


def test_learner_sees_nothing_of_the_teachers_tools(open_lab):
    """nbgrader is installed for those who teach; its menus, panels and commands stay out of a learner's way."""
    page = open_lab(f"/tree/chapters/{CHAPTER.name}")
    page.wait_for_function("jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel")
    commands = page.evaluate("jupyterapp.commands.listCommands()")
    assert [command for command in commands if "nbgrader" in command.lower()] == []
    words = page.locator("body").inner_text()
    for menu in page.locator(".lm-MenuBar-itemLabel").all():
        menu.click()
        words += page.locator(".lm-Menu").last.inner_text()
        page.keyboard.press("Escape")
    assert "Run All Cells" in words
    assert not re.search(r"nbgrader|formgrader|assignment", words, re.IGNORECASE)


def test_the_readme_opens_as_a_page_and_nothing_asks_about_news(open_lab):
    page = open_lab("/tree/README.md")
    page.locator(".jp-MarkdownViewer h1", has_text="From vectors to objects").wait_for()
    page.wait_for_timeout(1_000)
    assert page.get_by_text("Jupyter news").count() == 0
