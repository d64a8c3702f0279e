"""The store finds a data file, downloads it if it is missing, and never hands out one it has not verified.

It is a folder, `$COURSE_DATA` or else the user's cache folder; `data/registry.toml` lists what can lie in it.
"""

import codecs
import errno
import gzip
import hashlib
import io
import os
import re
import shutil
import tempfile
import textwrap
import tomllib
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from .shipped import shipped


class StoreError(RuntimeError):
    """A data file cannot be had. The message is one line: what failed, and what to do about it."""


@dataclass(frozen=True)
class Download:
    """Where a file, or a folder, comes from, and the content (SHA-256, size in bytes) that makes it the right one."""

    url: str
    sha256: str
    size: int
    source: str
    licence: str
    archive_md5: str = ""  # given where the address serves a .gz: the MD5 of that
    members: str = ""  # given for a folder whose address serves a .zip: which files in that are the folder's


def _read_registry(toml: str) -> dict[str, Download]:
    """Read a registry as {name: Download}, in its order; a folder, "name/", with `files` gives one for each file."""
    registry = {}
    for name, entry in tomllib.loads(toml).items():
        if "files" in entry:
            for sha256, size, file in map(str.split, entry.pop("files").splitlines()):
                one = {**entry, "url": entry["url"] + file, "sha256": sha256, "size": int(size)}
                registry[name + file] = Download(**one)
        else:
            registry[name] = Download(**entry)
    return registry


REGISTRY = _read_registry(shipped("registry.toml").read_text("utf-8"))


def store_folder() -> Path:
    """Say where the store is: `$COURSE_DATA`, or the user's cache folder if that is unset. It need not exist.

    A relative `COURSE_DATA` is looked for below the current folder, then below the repository: a notebook
    runs in its own folder, and `COURSE_DATA=../data` was typed in another. Raises StoreError if it is a file.
    """
    if not os.environ.get("COURSE_DATA"):
        import pooch  # here and below, so that importing the course does not pay for pooch

        return pooch.os_cache("deep-generative-course")
    given = Path(os.environ["COURSE_DATA"]).expanduser()
    # An absolute path swallows the folder that it is joined to; a new folder is made below the current one.
    here, repository = Path.cwd() / given, Path(__file__).parents[2] / given
    folder = repository if repository.exists() and not here.exists() else here
    if folder.exists() and not folder.is_dir():
        raise StoreError(
            f"COURSE_DATA must be a folder, but {folder} is a file: set it to a folder, or "
            "unset it to use the default cache folder"
        )
    return folder.resolve()


def fetch(name: str) -> Path:
    """Return the path of a data file, such as "text/names.txt", or folder, "fsdd/recordings/"; download a missing one.

    The content is verified by SHA-256 at every call (0.03 s for the largest file, 0.1 s for the folder), so the path
    that you get is always the right one. What was changed is refused, and left where it is: it may be yours. Many
    processes may fetch the same file at once. Raises StoreError in every bad case: one line, with what to do.
    """
    if name not in REGISTRY:
        known = textwrap.shorten(", ".join(REGISTRY), 300, placeholder=" …")
        raise StoreError(f"the course knows no data file {name!r}; it knows {known}")
    download, path = REGISTRY[name], store_folder() / name
    try:
        if not path.exists():
            _download(name, download, path)
        given = _content(path, download)
    except OSError as error:
        raise StoreError(_disk_trouble(error, name, download, path)) from None
    if given != download.sha256:
        raise StoreError(
            f"{path} is not the {'folder' if download.members else 'file'} that the course knows (SHA-256 expected "
            f"{download.sha256[:12]}…, given {given[:12]}…): move it away and run again to "
            "download the right one, or set COURSE_DATA to another folder"
        )
    return path


def _download(name: str, download: Download, path: Path) -> None:
    """Download to a temporary folder beside `path`, verify there, and only then move to `path` in one step.

    On the same disk the move is atomic: nobody ever sees half a file, and of two processes at once the second
    puts the same bytes over the first's. The temporary folder is removed whatever happens.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".download-") as folder:
        arrived, ready = Path(folder) / "arrived", Path(folder) / "ready"
        content_type = _receive(name, download, arrived, path)
        if download.members:
            _unpack(download, arrived, ready)
        elif download.archive_md5:
            if (given := _hash(arrived, "md5")) != download.archive_md5:
                raise StoreError(_not_the_file(name, download, arrived, content_type, "MD5", given))
            with gzip.open(arrived) as packed, open(ready, "wb") as unpacked:
                shutil.copyfileobj(packed, unpacked)
        else:
            ready = arrived
        if (given := _content(ready, download)) != download.sha256:
            raise StoreError(_not_the_file(name, download, arrived, content_type, "SHA-256", given))
        try:
            os.replace(ready, path)
        except OSError:
            # Another process was first: Windows does not replace a file that somebody reads, and nobody a folder with
            # files in it. `fetch` verifies what is there.
            if not path.exists():
                raise


def _receive(name: str, download: Download, arrived: Path, path: Path) -> str:
    """Write what the address serves to `arrived`, with a progress bar, or say why not and what to do.

    Returns what the server calls it: its Content-Type, "" when it says nothing.
    """
    import pooch
    import requests  # pooch downloads with it, and its errors are what we meet
    from tqdm import tqdm

    answers = []
    try:
        # pooch sets the total again once the server has said it: the size that arrives, hence "identity"
        with tqdm(desc=name, total=download.size, unit="B", unit_scale=True, leave=False) as bar:
            ask = {
                "headers": {"Accept-Encoding": "identity"},
                "hooks": {"response": lambda answer, **_: answers.append(answer)},
            }
            pooch.HTTPDownloader(bar, chunk_size=2**16, **ask)(download.url, str(arrived), None)
    except requests.RequestException as error:
        reason = f"no connection, {type(error).__name__}"
        if isinstance(error, requests.exceptions.ChunkedEncodingError) or arrived.stat().st_size > 0:
            reason = "cut in the middle"
        elif error.response is not None:
            reason = f"the server answered {error.response.status_code}"
        copy = "a decompressed copy" if download.archive_md5 else "a copy"
        copy = f"a folder with its {download.members}" if download.members else copy
        raise StoreError(
            f"could not download {name} from {download.url} ({reason}); nothing was kept: check "
            f"the network and run again, put {copy} at {path}, or set COURSE_DATA to a folder "
            f"with {name}"
        ) from None
    finally:
        for answer in answers:  # pooch leaves the connection open when the disk fills up, or at a 404
            answer.close()
    return answers[-1].headers.get("Content-Type", "")


def _unpack(download: Download, arrived: Path, ready: Path) -> None:
    """Write those files of the archive `arrived` that are `members` into the new folder `ready`, side by side.

    Nothing else in the archive is written, no name can lead out of `ready`, and no more bytes than `size` are written.
    What is wrong with the archive otherwise shows in the content, which is verified next.
    """
    ready.mkdir()
    try:
        # From memory: there, a changed address inside the archive is no OSError, which would look like the disk's.
        with zipfile.ZipFile(io.BytesIO(arrived.read_bytes())) as archive:
            found = [one for one in archive.infolist() if PurePosixPath(one.filename).match(download.members)]
            if sum(one.file_size for one in found) != download.size:
                return
            for one in found:
                file = PurePosixPath(one.filename).name
                if re.fullmatch(r"\w[\w.-]*", file):  # no drive, no backslash: it is a plain name on every system
                    (ready / file).write_bytes(archive.read(one))
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError):
        return  # cut, changed, or packed in a way that Python cannot read


def _not_the_file(name: str, download: Download, arrived: Path, content_type: str, kind: str, given: str) -> str:
    with open(arrived, "rb") as file:
        start = file.read(1000).removeprefix(codecs.BOM_UTF8).lstrip().lower()
    if content_type.lower().startswith("text/html") or start.startswith((b"<!doctype html", b"<html")):
        # A hotel's, a train's or a campus's network answers so, for everybody, until somebody has signed in.
        return (
            f"what came for {download.url} is a web page in place of {name}, probably the sign-in page of this "
            "network; nothing was kept: open any page in a browser, sign in there, and run again"
        )
    expected = download.archive_md5 if kind == "MD5" else download.sha256
    return (
        f"what {download.url} sent is not {name} as the course knows it ({kind} expected "
        f"{expected[:12]}…, given {given[:12]}…); nothing was kept: run again, and if it "
        "stays so, the file has changed at its source: please report it"
    )


def _content(path: Path, download: Download) -> str:
    """The SHA-256 of a file; for a folder, that of the lines "name sha256" of its files that count, sorted by name.

    The archive that a folder came in has no say: its bytes change when the same files are packed again.
    """
    if not download.members:
        return _hash(path)
    files = sorted(path.glob(PurePosixPath(download.members).name), key=lambda file: file.name)
    return hashlib.sha256("".join(f"{file.name} {_hash(file)}\n" for file in files).encode()).hexdigest()


def _hash(path: Path, kind: str = "sha256") -> str:
    import pooch

    return pooch.file_hash(str(path), alg=kind)


def _disk_trouble(error: OSError, name: str, download: Download, path: Path) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            f"the disk is full: {name} needs {download.size / 1e6:.1f} MB in {path.parent}; nothing was "
            "kept: free some space, or set COURSE_DATA to a folder on another disk"
        )
    return (
        f"cannot read or write {path} ({error.strerror or error}): set COURSE_DATA to a folder where you "
        f"can, or to one that already holds {name}"
    )
