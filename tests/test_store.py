"""What can go wrong with a download goes wrong here, on a server of our own, and nothing wrong is ever kept.

After each failure three things hold: the error is one line that says what to do, the store holds no file that
it did not hold before, and the next call works.
"""

import errno
import gzip
import hashlib
import os
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pooch
import pytest

from course_lib.data import store
from course_lib.data.store import Download, StoreError, fetch, store_folder

ROOT = Path(__file__).resolve().parents[1]
CONTENT = bytes(range(256)) * 1000
PACKED = gzip.compress(CONTENT, mtime=0)
NAMES = ["toy/plain", "toy/packed"]


@pytest.fixture
def server(server):
    server.files = {"/plain": CONTENT, "/packed": PACKED}
    return server


def registry(port):
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    address = f"http://127.0.0.1:{port}"
    return {
        "toy/plain": Download(f"{address}/plain", sha256, len(CONTENT), "test", "none"),
        "toy/packed": Download(
            f"{address}/packed",
            sha256,
            len(CONTENT),
            "test",
            "none",
            archive_md5=hashlib.md5(PACKED, usedforsecurity=False).hexdigest(),
        ),
    }


@pytest.fixture
def course(tmp_path, monkeypatch, server):
    """The folder of an empty store whose registry points at our server."""
    folder = tmp_path / "store"
    monkeypatch.setenv("COURSE_DATA", str(folder))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(store, "REGISTRY", registry(server.server_port))
    return folder


def files_below(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def refusal(name):
    """Fetch, which must fail with one line; return that line."""
    with pytest.raises(StoreError) as caught:
        fetch(name)
    message = str(caught.value)
    assert "\n" not in message and len(message) < 600
    return message


def assert_nothing_kept_and_next_works(name, folder):
    assert files_below(folder) == []
    assert not list(folder.rglob(".download-*")), "a temporary folder was left behind"
    assert fetch(name).read_bytes() == CONTENT
    assert files_below(folder) == [name]


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_file_is_downloaded_once(course, server, name):
    assert fetch(name) == (course / name).resolve()
    assert fetch(name).read_bytes() == CONTENT
    assert files_below(course) == [name] and server.requests == 1


def test_a_download_moves_a_progress_bar_from_nothing_to_all(course, monkeypatch):
    moves = []
    monkeypatch.setattr("tqdm.tqdm.update", lambda bar, n: moves.append((bar.desc, n, bar.total)))
    fetch("toy/packed")
    assert moves[-1] == ("toy/packed", len(PACKED), len(PACKED)) and len(moves) > 1


def test_a_file_that_is_there_needs_no_network_and_no_permission_to_write(course, server):
    (course / "toy").mkdir(parents=True)
    (course / "toy" / "packed").write_bytes(CONTENT)  # as it is after decompression
    (course / "toy").chmod(0o555)
    assert fetch("toy/packed").read_bytes() == CONTENT and server.requests == 0


@pytest.mark.parametrize("name", NAMES)
def test_no_network(course, server, monkeypatch, name):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]  # nobody listens there once the block ends
    monkeypatch.setattr(store, "REGISTRY", registry(port))
    message = refusal(name)
    assert f"could not download {name} from http://127.0.0.1:{port}/{name[4:]} (no connection" in message
    assert f"at {course / name}, or set COURSE_DATA" in message
    assert ("a decompressed copy" in message) == (name == "toy/packed")
    monkeypatch.setattr(store, "REGISTRY", registry(server.server_port))
    assert_nothing_kept_and_next_works(name, course)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("mode", "says"),
    [
        ("cut", "cut in the middle"),
        ("cut, no length", "expected"),
        ("changed", "expected"),
        ("404", "the server answered 404"),
    ],
)
def test_a_download_that_is_not_right_is_not_kept(course, server, name, mode, says):
    server.mode = mode
    message = refusal(name)
    assert says in message and name in message and "nothing was kept" in message
    server.mode = "right"
    assert_nothing_kept_and_next_works(name, course)


SIGN_IN = b"\xef\xbb\xbf\n <!DOCTYPE html><title>Welcome to the hotel</title>"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("content_type", ["Text/HTML; charset=utf-8", None])
def test_a_network_that_answers_with_its_sign_in_page(course, server, monkeypatch, name, content_type):
    """It leads every address to its own page, which is there: 200. Only the header, or only the text, says HTML."""

    class Portal(server.RequestHandlerClass):
        def do_GET(self):
            away = self.path != "/sign-in"
            self.send_response(302 if away else 200)
            if away:
                self.send_header("Location", "/sign-in")
            elif content_type:
                self.send_header("Content-Type", content_type)
            self.end_headers()
            self.wfile.write(b"" if away else b"<?xml?>" + SIGN_IN if content_type else SIGN_IN)

    with monkeypatch.context() as patch:
        patch.setattr(server, "RequestHandlerClass", Portal)
        message = refusal(name)
    assert f"a web page in place of {name}" in message and "sign in" in message and "nothing was kept" in message
    assert "report" not in message
    assert_nothing_kept_and_next_works(name, course)


def test_a_right_file_that_is_a_web_page_is_kept(course, server, monkeypatch):
    right = store.REGISTRY["toy/plain"]
    server.files["/plain"] = SIGN_IN
    page = Download(right.url, hashlib.sha256(SIGN_IN).hexdigest(), len(SIGN_IN), "test", "none")
    monkeypatch.setitem(store.REGISTRY, "toy/plain", page)
    assert fetch("toy/plain").read_bytes() == SIGN_IN


def test_a_right_archive_with_other_content_is_refused(course, server, monkeypatch):
    right = store.REGISTRY["toy/packed"]
    wrong = Download(right.url, "0" * 64, right.size, "test", "none", archive_md5=right.archive_md5)
    monkeypatch.setitem(store.REGISTRY, "toy/packed", wrong)
    assert "SHA-256 expected 000000000000…" in refusal("toy/packed")
    monkeypatch.setitem(store.REGISTRY, "toy/packed", right)
    assert_nothing_kept_and_next_works("toy/packed", course)


def test_a_changed_file_in_the_store_is_refused_and_left_alone(course, server):
    path = fetch("toy/plain")
    path.write_bytes(CONTENT[:-1])
    message = refusal("toy/plain")
    expected, given = (hashlib.sha256(content).hexdigest()[:12] for content in (CONTENT, CONTENT[:-1]))
    assert expected in message and given in message and "move it away" in message and str(path) in message
    assert path.read_bytes() == CONTENT[:-1] and server.requests == 1, "it may be the user's"
    path.rename(path.with_name("mine"))  # what the message says to do
    assert fetch("toy/plain").read_bytes() == CONTENT


def test_an_unknown_name_is_refused(course):
    assert "'toy/none'; it knows toy/plain, toy/packed" in refusal("toy/none")


def test_course_data_that_is_a_file(course, monkeypatch, tmp_path):
    (tmp_path / "note.txt").write_text("mine")
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "note.txt"))
    message = refusal("toy/plain")
    assert "COURSE_DATA must be a folder" in message and "note.txt is a file" in message
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "note.txt" / "below"))
    assert "cannot read or write" in refusal("toy/plain")
    assert (tmp_path / "note.txt").read_text() == "mine"
    monkeypatch.setenv("COURSE_DATA", str(course))
    assert_nothing_kept_and_next_works("toy/plain", course)


def test_a_folder_where_the_file_should_be(course):
    (course / "toy" / "plain").mkdir(parents=True)
    assert "cannot read or write" in refusal("toy/plain")
    (course / "toy" / "plain").rmdir()
    assert_nothing_kept_and_next_works("toy/plain", course)


def failing(code):
    """Stand in for a call of the system that fails in this way."""

    def fail(*_, **__):
        raise OSError(code, os.strerror(code))

    return fail


def test_a_read_only_folder(course, monkeypatch):
    course.mkdir()
    course.chmod(0o555)
    with monkeypatch.context() as patch:
        if os.access(course, os.W_OK):  # to an administrator, and on Windows, those permissions mean nothing
            patch.setattr("pathlib.Path.mkdir", failing(errno.EROFS))
        message = refusal("toy/plain")
    course.chmod(0o755)
    assert str(course) in message and "set COURSE_DATA to a folder where you can" in message
    assert_nothing_kept_and_next_works("toy/plain", course)


class FullDisk:
    """A file on a disk that has room for 1,000 more bytes."""

    def __init__(self, path, mode):
        self.file, self.room = Path(path).open(mode), 1000  # noqa: SIM115, closed by close()

    def write(self, chunk):
        self.file.write(chunk[: self.room])
        self.room -= len(chunk)
        if self.room < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def flush(self):
        self.file.flush()

    def close(self):
        self.file.close()


@pytest.mark.parametrize("name", NAMES)
def test_the_disk_fills_up_during_the_download(course, monkeypatch, name):
    with monkeypatch.context() as patch:
        patch.setattr(pooch.downloaders, "open", FullDisk, raising=False)
        message = refusal(name)
    assert f"the disk is full: {name} needs 0.3 MB in {(course / name).parent}" in message
    assert "COURSE_DATA" in message
    assert_nothing_kept_and_next_works(name, course)


@pytest.mark.parametrize(
    ("call", "code"),
    [("tempfile.mkdtemp", errno.EROFS), ("shutil.copyfileobj", errno.ENOSPC), ("os.replace", errno.EACCES)],
)
def test_the_disk_fails_at_each_later_step(course, monkeypatch, call, code):
    with monkeypatch.context() as patch:
        patch.setattr(call, failing(code))
        message = refusal("toy/packed")
    assert ("the disk is full" in message) == (code == errno.ENOSPC)
    assert "COURSE_DATA" in message
    assert_nothing_kept_and_next_works("toy/packed", course)


def test_an_interrupted_download_leaves_nothing(course, monkeypatch):
    def interrupted(self, url, output_file, pooch):
        Path(output_file).write_bytes(CONTENT[:1000])
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(pooch.HTTPDownloader, "__call__", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fetch("toy/plain")
    assert_nothing_kept_and_next_works("toy/plain", course)


CHILD = """
import sys
sys.path.insert(0, "tests")
from test_store import CONTENT, registry, store
store.REGISTRY = registry(int(sys.argv[1]))
path = store.fetch(sys.argv[2])
sys.exit(path.read_bytes() != CONTENT)
"""


def test_two_processes_at_once_both_end_right(course, server, run):
    server.mode = "together"  # the server makes sure that both are in the middle at the same time
    command = [sys.executable, "-W", "error", "-c", CHILD, str(server.server_port), "toy/packed"]
    with ThreadPoolExecutor(2) as pool:
        children = list(pool.map(partial(run, cwd=ROOT), [command] * 2))
    for child in children:
        assert child.returncode == 0, child.stderr
    assert server.requests == 2 and files_below(course) == ["toy/packed"]
    assert not list(course.rglob(".download-*"))


def test_windows_refuses_to_replace_a_file_that_another_process_reads(course, monkeypatch):
    def other_was_first(ready, path):
        Path(path).write_bytes(CONTENT)
        raise PermissionError(errno.EACCES, "being used by another process")

    monkeypatch.setattr("os.replace", other_was_first)
    assert fetch("toy/plain").read_bytes() == CONTENT


def test_where_the_store_is(monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_DATA", "")
    assert store_folder() == pooch.os_cache("deep-generative-course")
    monkeypatch.setenv("COURSE_DATA", "~/course-data")
    assert store_folder() == (Path.home() / "course-data").resolve()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COURSE_DATA", "tests/mistakes")
    assert store_folder() == ROOT / "tests" / "mistakes", "typed at the repository, used in a notebook elsewhere"
    (tmp_path / "tests" / "mistakes").mkdir(parents=True)
    assert store_folder() == (tmp_path / "tests" / "mistakes").resolve(), "both are there: the nearer one"
    monkeypatch.setenv("COURSE_DATA", "new")
    assert store_folder() == (tmp_path / "new").resolve(), "a new folder: below the current one"


def test_the_registry_says_all_that_is_needed():
    for name, download in store.REGISTRY.items():
        assert download.url.startswith("https://") and len(download.sha256) == 64 and download.size > 0, name
        assert download.source and download.licence, f"{name}: whose is it, and may we?"
        assert bool(download.archive_md5) == download.url.endswith(".gz"), name
