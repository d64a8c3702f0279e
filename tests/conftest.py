"""What several tests share: patience, a browser, a store, a server whose downloads go wrong; imported when asked."""

import hashlib
import os
import shutil
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NO_BROWSER = "no Chromium found: install it with `sudo apt-get install chromium`, or set CHROMIUM to its path"

# The only clock of the tests: seconds after which something hangs. Nothing takes a tenth of it, but the machine may be
# busy with other things, and then a test is slower, and passes.
PATIENCE = 900


@pytest.fixture(scope="session")
def patience():
    """Seconds for which a test may wait for anything: a process, an answer, a change on a page."""
    return PATIENCE


@pytest.fixture(scope="session")
def eventually():
    """eventually(what, page): whether `what()` comes true while the page goes on."""

    def eventually(what, page):
        end = time.monotonic() + PATIENCE
        while not (true := what()) and time.monotonic() < end:
            page.wait_for_timeout(50)
        return true

    return eventually


@pytest.fixture(scope="session")
def run():
    """`subprocess.run` as the tests want it: run(command, **options), what it says as text, one thread, no haste.

    With check=True a command that fails is the test's failure, which says what the command said.
    """

    def run(command, *, check=False, env=None, **options):
        done = subprocess.run(
            [str(part) for part in command],
            env={**os.environ, "OMP_NUM_THREADS": "1", **(env or {})},
            **{"capture_output": True, "text": True, "encoding": "utf-8", "timeout": PATIENCE} | options,
        )
        if check and done.returncode:
            pytest.fail(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}", pytrace=False)
        return done

    return run


@pytest.fixture(scope="session")
def clone(tmp_path_factory):
    """A copy of the course in a folder whose name has a space and Chinese in it, to build and to make things in."""
    made = shutil.ignore_patterns(".git", ".venv", "_build", "*.egg-info", ".*cache*", "__pycache__", "checkpoints")
    return shutil.copytree(ROOT, tmp_path_factory.mktemp("深度 course") / "the clone", ignore=made)


@pytest.fixture(scope="session")
def browser():
    """A headless Chromium. Where there is none the test is skipped; with COURSE_CI=1 it fails."""
    names = (os.environ.get("CHROMIUM"), "chromium", "chromium-browser", "google-chrome")
    path = next((found for name in names if name and (found := shutil.which(name))), None)
    if path is None:
        (pytest.fail if os.environ.get("COURSE_CI") == "1" else pytest.skip)(NO_BROWSER)
    from playwright.sync_api import sync_playwright

    quiet = ["--disable-background-networking", "--no-first-run", "--disable-component-update", "--disable-sync"]
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu", *quiet])
        yield chromium
        chromium.close()


@pytest.fixture
def open_offline(browser):
    """A function that opens a new page with the network cable out; its arguments are those of `new_context`.

    `page.problems` lists what a reader without a network would miss: requests that failed or went anywhere but to
    the disk, and errors in the console.
    """
    contexts = []

    def open_page(**options):
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, "offline": True} | options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(1000 * PATIENCE)
        page.problems = []

        def local_only(route):
            if route.request.url.startswith(("file:", "data:", "blob:")):
                route.continue_()
            else:
                page.problems.append(f"request to {route.request.url[:200]}")
                route.abort()

        context.route("**/*", local_only)
        page.on("requestfailed", lambda request: page.problems.append(f"request failed: {request.url[:200]}"))
        page.on("pageerror", lambda error: page.problems.append(f"error in the page: {error}"))
        page.on("console", lambda m: page.problems.append(f"console: {m.text}") if m.type == "error" else None)
        return page

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture
def offline_page(open_offline):
    """A page of 1280 × 900 with the network cable out; see `open_offline` for `page.problems`."""
    return open_offline()


@pytest.fixture
def put(tmp_path):
    """put(content): a file clip.wav that holds these bytes, and its path."""

    def put(content):
        (tmp_path / "clip.wav").write_bytes(content)
        return tmp_path / "clip.wav"

    return put


@pytest.fixture
def put_files(tmp_path, monkeypatch):
    """put_files({name: bytes}): they lie in a store of their own, and are all that it knows."""
    from course_lib.data import store

    def put(files):
        registry = {}
        for name, content in files.items():
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_bytes(content)
            sha256 = hashlib.sha256(content).hexdigest()
            registry[name] = store.Download("http://127.0.0.1:9/", sha256, len(content), "test", "none")
        monkeypatch.setattr(store, "REGISTRY", registry)
        monkeypatch.setenv("COURSE_DATA", str(tmp_path))

    return put


@pytest.fixture
def need_real(monkeypatch):
    """need_real("text/names.txt"): the store is a folder that holds the real file, or the test is skipped.

    Nothing is downloaded for a test.
    """

    def need(name):
        folders = [os.environ.get("COURSE_DATA"), ROOT.parent / "shared" / "data"]
        folder = next((folder for folder in folders if folder and (Path(folder) / name).exists()), None)
        if folder is None:
            pytest.skip(f"no real {name} here: COURSE_DATA can name a folder with it")
        monkeypatch.setenv("COURSE_DATA", str(folder))

    return need


class Server(ThreadingHTTPServer):
    """Serves the bytes in `files`, {path: content}, in the manner that `mode` says, and counts the requests."""

    mode = "right"
    requests = 0

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answer)
        self.files = {}
        self.together = threading.Barrier(2, timeout=PATIENCE)  # "together" answers only when two ask at once


class Answer(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.requests += 1
        body, mode = self.server.files[self.path], self.server.mode
        if mode == "404":
            return self.send_error(404)
        if mode == "changed":
            body = body[:-1] + bytes([body[-1] ^ 1])
        if mode == "together":
            self.server.together.wait()
        self.send_response(200)
        if mode != "cut, no length":
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2])
        if mode == "together":
            self.wfile.flush()
            self.server.together.wait()  # both are now in the middle of their files
        if not mode.startswith("cut"):
            self.wfile.write(body[len(body) // 2 :])

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    """A `Server` on this machine, without files; a module that wants some overrides it by one of the same name."""
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()
