"""Build the course's book from its stored notebooks, strictly: `make book`. And, for Sphinx, two things it needs.

Run as a program it calls Jupyter Book and says where the book is. Loaded as a Sphinx extension (`_config.yml` names
it) it gives the pages their mathematics from the book's own folder, leads links in outputs to pages, and, when the
repository has a public address, adds the buttons that open a chapter on Colab or Binder. Neither executes a chapter,
needs torch or fetches anything.
"""

import argparse
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
GITHUB = re.compile(r"^(?:https://(?:[^@/]+@)?|git@|ssh://git@)github\.com[:/]([\w.-]+)/([\w.-]+?)(?:\.git)?/?$")

# MathJax comes in pieces. These typeset LaTeX with fonts and tell a screen reader what is written; its menu, its
# speech and its other formats stay behind: 1 MB of the 31 MB that sphinx-mathjax-offline carries. The fonts, and
# the extensions (for \boldsymbol, \cancel, \color), are fetched only by a page that uses them.
MATHJAX = [
    *("startup.js", "core.js", "a11y/assistive-mml.js"),
    *("input/tex.js", *(f"input/tex/extensions/{name}.js" for name in ("boldsymbol", "cancel", "color"))),
    *("output/chtml.js", "output/chtml/fonts/tex.js"),
]
MATHJAX_FONTS = "output/chtml/fonts/woff-v2"
NOTEBOOK_LINK = re.compile(r'<a href="(\w+)\.ipynb')
ICON_SCRIPT = re.compile(r'<script defer src="[^"]*scripts/fontawesome\.js[^"]*"></script>')


def repository_address(root=ROOT):
    """`https://github.com/owner/name`, from $COURSE_REPOSITORY or git's `origin`; None when it is not on GitHub."""
    address = os.environ.get("COURSE_REPOSITORY")
    if address is None:
        try:
            command = ["git", "-C", str(root), "remote", "get-url", "origin"]
            address = subprocess.run(command, capture_output=True, text=True, check=False).stdout
        except OSError:  # no git here: a downloaded copy of the course
            return None
    found = GITHUB.match(address.strip())
    return f"https://github.com/{found[1]}/{found[2]}" if found else None


def add_launch_buttons(app, config):
    """Tell the theme where the notebooks can be opened, if that is anywhere."""
    address = repository_address()
    if address is None:
        return
    config.html_theme_options["repository_url"] = address
    config.html_theme_options["path_to_docs"] = "chapters"
    config.html_theme_options["launch_buttons"] = {
        "notebook_interface": "jupyterlab",
        "colab_url": "https://colab.research.google.com",
        "binderhub_url": "https://mybinder.org",
    }


def copy_mathjax(app, error):
    """Put the pieces of MathJax that the pages load beside them."""
    if error is None and app.builder.format == "html":
        source = Path(importlib.util.find_spec("sphinx-mathjax-offline").origin).parent / "static" / "mathjax"
        target = Path(app.outdir) / "_static" / "mathjax"
        for name in MATHJAX:
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / name, target / name)
        shutil.copytree(source / MATHJAX_FONTS, target / MATHJAX_FONTS, dirs_exist_ok=True)


def drop_icon_script(app, error):
    """Leave out a script of 1.5 MB that draws, as vectors, the icons that the theme also has as a small font."""
    if error is None and app.builder.format == "html":
        for page in Path(app.outdir).glob("**/*.html"):
            text = page.read_text(encoding="utf8")
            if "scripts/fontawesome.js" in text:
                page.write_text(ICON_SCRIPT.sub("", text), encoding="utf8")
        for path in (Path(app.outdir) / "_static" / "scripts").glob("fontawesome.js*"):
            path.unlink()


def lead_to_pages(app, name, content):
    """In what a cell shows, a link to another chapter's notebook leads to its page, as links in the text do."""
    if not str(app.env.doc2path(name)).endswith(".ipynb"):
        return
    notebook = json.loads(content[0])
    for output in (output for cell in notebook["cells"] for output in cell.get("outputs", [])):
        if "text/html" in output.get("data", {}):
            shown = "".join(output["data"]["text/html"])
            output["data"]["text/html"] = NOTEBOOK_LINK.sub(r'<a href="\1.html', shown)
    content[0] = json.dumps(notebook)


def setup(app):
    """Sphinx calls this when it loads the extension."""
    app.connect("config-inited", add_launch_buttons)
    app.connect("source-read", lead_to_pages)
    app.connect("build-finished", copy_mathjax)
    app.connect("build-finished", drop_icon_script)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def build(output, root=ROOT):
    """Build into `output`/_build/html with every warning an error; return the first page's path, or None.

    It begins from nothing. Where Sphinx reads again only what changed, it warns again only about that: a link from an
    unchanged page to a heading that went, or the same mistake at the second call, would pass.
    """
    html = Path(output) / "_build" / "html"
    shutil.rmtree(html, ignore_errors=True)  # or the page of a chapter that went would stay
    command = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()", "build", str(root / "chapters")]
    command += ["--config", str(root / "_config.yml"), "--toc", str(root / "_toc.yml"), "--path-output", str(output)]
    command += ["--all", "-W", "-n", "--keep-going", "--quiet"]
    done = subprocess.run(command, cwd=root, check=False)
    page = html / "index.html"
    return page if done.returncode == 0 and page.is_file() else None


def main(arguments=None):
    """The command line. Returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--output", type=Path, default=ROOT, help="folder that receives _build/html")
    options = parser.parse_args(arguments)
    start = time.perf_counter()
    page = build(options.output.resolve())
    if page is None:
        print("The book was not built: see the warnings above.", file=sys.stderr)
        return 1
    print(f"The book stands, built in {time.perf_counter() - start:.0f} s. Open it in a browser:\n{page}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
