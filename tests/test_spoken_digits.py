"""Spoken digits: the folder arrives whole or not at all, and the clips are what was recorded.

A small archive of our own stands for the real one, on a server of our own; the real recordings are tested where they
lie already.
"""

import errno
import hashlib
import io
import math
import os
import random
import shutil
import socket
import warnings
import zipfile
from pathlib import Path

import pytest
import torch

from course_lib.data import store
from course_lib.data.clips import FRAME, Clips
from course_lib.data.spoken_digits import HATS, SPEAKERS, load_spoken_digits
from course_lib.data.store import Download, StoreError, fetch
from course_lib.data.waveforms import read_wav
from course_lib.device import make_generator
from course_lib.show.sounds import sound

NAME = "fsdd/recordings/"
LENGTHS = {"3_theo_0": 1200, "0_george_4": 81, "9_lucas_5": 8000, "1_jackson_49": 9000, "1_george_49": 80}


def recording(name):
    """What our toy speakers say: noise, another for each name."""
    return torch.rand(LENGTHS[name], generator=make_generator(len(name) + LENGTHS[name])) - 0.5


FILES = {f"{name}.wav": sound(recording(name)).data for name in LENGTHS}


def pack(files, folder="fsdd-1.0.10/recordings/", others=(("fsdd-1.0.10/README.md", b"read me"),), **kind):
    """A zip archive of `files` in `folder`, and of other members, as bytes."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", **kind) as archive:
        for name, content in [*others, *((folder + name, content) for name, content in files.items())]:
            archive.writestr(name, content)
    return packed.getvalue()


def content_hash(files):
    lines = "".join(f"{name} {hashlib.sha256(files[name]).hexdigest()}\n" for name in sorted(files))
    return hashlib.sha256(lines.encode()).hexdigest()


@pytest.fixture
def server(server):
    server.files = {"/fsdd.zip": pack(FILES)}
    return server


def registry(port, files=FILES):
    url, size = f"http://127.0.0.1:{port}/fsdd.zip", sum(map(len, files.values()))
    return {NAME: Download(url, content_hash(files), size, "test", "none", members="recordings/*.wav")}


@pytest.fixture
def course(tmp_path, monkeypatch, server):
    """The folder of an empty store whose registry points at our server."""
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "store"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(store, "REGISTRY", registry(server.server_port))
    return tmp_path / "store"


def files_below(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


RIGHT = {NAME + name: content for name, content in FILES.items()}


def refusal():
    with pytest.raises(StoreError) as caught:
        fetch(NAME)
    message = str(caught.value)
    assert "\n" not in message and len(message) < 600
    return message


def assert_nothing_kept_and_next_works(folder, server):
    assert files_below(folder.parent) == {}, "also beside the store, nothing"
    assert not (folder / NAME).exists() and not list(folder.rglob(".download-*"))
    server.mode, server.files["/fsdd.zip"] = "right", pack(FILES)
    assert fetch(NAME) == (folder / NAME).resolve() and files_below(folder) == RIGHT


# --- the folder arrives -------------------------------------------------------------------------------------


def test_a_missing_folder_is_downloaded_once(course, server):
    assert fetch(NAME) == fetch(NAME) == (course / NAME).resolve()
    assert files_below(course) == RIGHT and server.requests == 1


def test_the_container_may_change_when_the_content_does_not(course, server):
    turned = dict(reversed(FILES.items()))
    server.files["/fsdd.zip"] = pack(turned, "other-name/recordings/", others=(), compression=zipfile.ZIP_DEFLATED)
    fetch(NAME)
    assert files_below(course) == RIGHT


def test_a_folder_that_is_there_needs_no_network_and_may_hold_more(course, server, monkeypatch):
    (course / NAME).mkdir(parents=True)
    for name, content in {**RIGHT, f"{NAME}.DS_Store": b"a Mac was here"}.items():
        (course / name).write_bytes(content)
    monkeypatch.setattr(store, "_download", None)
    assert fetch(NAME) and server.requests == 0


def one_changed(files, by=1):
    name = sorted(files)[0]
    return {**files, name: files[name][:-1] + bytes([files[name][-1] ^ by])}


@pytest.mark.parametrize(
    "archive",
    [
        pack(one_changed(FILES)),
        pack(dict(list(FILES.items())[1:])),
        pack({**FILES, "0_theo_0.wav": b""}),
        pack({**FILES, "0_theo_0.wav": FILES["3_theo_0.wav"]}),
        pack({name.upper() if name[0] == "3" else name: content for name, content in FILES.items()}),
        pack(FILES, "fsdd-1.0.10/"),
        pack({}),
        pack(FILES)[:-1],
        pack(FILES).replace(FILES["3_theo_0.wav"][-100:], bytes(100)),
        b"",
    ],
    ids=[
        "changed",
        "missing",
        "empty-one-more",
        "one-more",
        "renamed",
        "elsewhere",
        "none",
        "cut",
        "crc",
        "nothing",
    ],
)
def test_other_content_is_refused(course, server, archive):
    server.files["/fsdd.zip"] = archive
    message = refusal()
    assert f"is not {NAME} as the course knows it (SHA-256 expected {content_hash(FILES)[:12]}…" in message
    assert "nothing was kept" in message
    assert_nothing_kept_and_next_works(course, server)


def test_a_web_page_in_place_of_the_archive_is_called_one(course, server):
    server.files["/fsdd.zip"] = b"<html>log in first</html>"
    assert f"a web page in place of {NAME}" in refusal()
    assert_nothing_kept_and_next_works(course, server)


@pytest.mark.parametrize(
    "evil", ["../evil.wav", "/evil.wav", "..\\evil.wav", "C:evil.wav", "recordings/../../../evil.wav", "..wav"]
)
def test_no_member_is_written_outside(course, server, evil, tmp_path):
    """A member that says it belongs elsewhere; its bytes are in the sum, so that only its name can be refused."""
    content = FILES["3_theo_0.wav"]
    files = {name: one for name, one in FILES.items() if one != content}
    server.files["/fsdd.zip"] = pack(files, others=[(f"x/recordings/{evil}", content)])
    assert "nothing was kept" in refusal()
    (tmp_path / "arrived").write_bytes(server.files["/fsdd.zip"])
    store._unpack(store.REGISTRY[NAME], tmp_path / "arrived", tmp_path / "ready")
    written = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    plain = {f"ready/{name}" for name in [*files, "evil.wav"]}  # flat and inside, it may lie: it is not kept
    assert written <= {"arrived", *plain}, "Windows takes C: and \\ for more than a part of a name"
    (tmp_path / "arrived").unlink(), shutil.rmtree(tmp_path / "ready")
    assert_nothing_kept_and_next_works(course, server)


def test_an_archive_with_changed_bytes_is_never_the_disks_fault(course, server, tmp_path):
    whole, chance = pack(FILES), random.Random(0)
    for number in range(200):
        changed = bytearray(whole)
        for _ in range(chance.randint(1, 5)):  # where the archive's table of contents is
            changed[-chance.randint(1, 500)] = chance.choice([0, 1, 255, chance.randrange(256)])
        (tmp_path / "arrived").write_bytes(changed)
        with warnings.catch_warnings(action="ignore"):
            store._unpack(store.REGISTRY[NAME], tmp_path / "arrived", tmp_path / f"ready-{number}")


def test_an_archive_that_blows_up_is_not_unpacked(course, server, monkeypatch):
    server.files["/fsdd.zip"] = pack({**FILES, "bomb.wav": bytes(10**7)}, compression=zipfile.ZIP_DEFLATED)
    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.write_bytes", None)
        assert "nothing was kept" in refusal()
    assert_nothing_kept_and_next_works(course, server)


@pytest.mark.parametrize(
    ("mode", "says"), [("cut", "cut in the middle"), ("cut, no length", "expected"), ("404", "answered 404")]
)
def test_a_download_that_fails_is_not_kept(course, server, mode, says):
    server.mode = mode
    message = refusal()
    assert says in message and NAME in message and "nothing was kept" in message
    assert_nothing_kept_and_next_works(course, server)


def test_no_network(course, server, monkeypatch):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]  # nobody listens there once the block ends
    monkeypatch.setattr(store, "REGISTRY", registry(port))
    message = refusal()
    assert "(no connection" in message and f"put a folder with its recordings/*.wav at {course / NAME}, or" in message
    monkeypatch.setattr(store, "REGISTRY", registry(server.server_port))
    assert_nothing_kept_and_next_works(course, server)


def failing(code):
    def fail(*_, **__):
        raise OSError(code, os.strerror(code))

    return fail


@pytest.mark.parametrize("call", ["tempfile.mkdtemp", "pathlib.Path.mkdir", "pathlib.Path.write_bytes", "os.replace"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS])
def test_the_disk_fails_at_each_step(course, server, monkeypatch, call, code):
    with monkeypatch.context() as patch:
        patch.setattr(call, failing(code))
        message = refusal()
    assert ("the disk is full: fsdd/recordings/ needs 0.0 MB" in message) == (code == errno.ENOSPC)
    assert "COURSE_DATA" in message
    assert_nothing_kept_and_next_works(course, server)


def test_an_interrupted_download_leaves_nothing(course, server, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.write_bytes", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fetch(NAME)
    assert_nothing_kept_and_next_works(course, server)


@pytest.mark.parametrize("what", ["changed", "missing", "one more", "a file", "empty"])
def test_a_changed_folder_in_the_store_is_refused_and_left_alone(course, server, what):
    path = fetch(NAME)
    if what == "changed":
        (path / "3_theo_0.wav").write_bytes(b"mine")
    elif what == "one more":
        (path / "0_me_0.wav").write_bytes(b"mine")
    elif what == "missing":
        (path / "3_theo_0.wav").unlink()
    else:
        path.rename(path.with_name("away"))
        path.write_bytes(b"mine") if what == "a file" else path.mkdir()
    before = files_below(course)
    message = refusal()
    assert "is not the folder that the course knows" in message and "move it away" in message and str(path) in message
    assert files_below(course) == before and server.requests == 1, "it may be the user's"
    path.rename(path.with_name("mine"))
    assert fetch(NAME) == path


def test_the_second_of_two_finds_what_the_first_has_put(course, monkeypatch):
    right_move = os.replace

    def other_was_first(ready, path):
        other = Path(ready).with_name("other")
        other.mkdir()
        for name, content in FILES.items():
            (other / name).write_bytes(content)
        right_move(other, path)
        right_move(ready, path)  # the system refuses: the folder there has files in it

    monkeypatch.setattr("os.replace", other_was_first)
    assert fetch(NAME) and files_below(course) == RIGHT


# --- the clips ----------------------------------------------------------------------------------------------


def test_clips_are_the_recordings_with_silence_behind(course):
    clips = load_spoken_digits("test")
    assert len(clips) == 2 and clips.rate == 8000 and clips.x.shape == (2, 8000)
    assert clips.x.dtype == clips.local_condition.dtype == clips.pitch.dtype == torch.float32
    assert clips.speaker.tolist() == [SPEAKERS.index("theo"), SPEAKERS.index("george")]
    for n, name in enumerate(["3_theo_0", "0_george_4"]):  # by recording first
        length = LENGTHS[name]
        assert torch.equal(clips.x[n, :length], read_wav(course / NAME / f"{name}.wav"))
        assert (clips.x[n, length:] == 0).all()
        frames = math.ceil(length / FRAME)  # the last one may have a few samples only
        assert clips.label[n].tolist() == [int(name[0]) + 1] * frames + [0] * (100 - frames)
    assert clips.pitch.shape == (2, 100) and (clips.pitch == 0).all()


def test_local_says_where_in_the_word_a_frame_is(course):
    clips = load_spoken_digits("test")
    three = clips.local_condition[0]
    assert three.shape == (100, 10 * HATS + 1)
    assert torch.allclose(three.sum(1), torch.ones(100)) and (three >= 0).all()
    assert (three[:15, :18] == 0).all() and (three[:15, 24:] == 0).all(), "only columns of digit 3"
    assert torch.equal(three[15:, -1], torch.ones(85)) and (three[15:, :-1] == 0).all()
    for f in range(15):
        place = 5 * (f + 0.5) * 80 / 1200
        expected = [max(0, 1 - abs(place - i)) for i in range(HATS)]
        assert three[f, 18:24].tolist() == pytest.approx(expected, abs=1e-5), f
    assert clips.local_condition[1, 1, HATS - 1] == 1, "a last frame of one sample is the end, and not beyond it"


def test_long_recordings_are_cut_where_they_are_asked_to_be(course):
    clips = load_spoken_digits("train")
    assert clips.speaker.tolist() == [SPEAKERS.index(name) for name in ("lucas", "george", "jackson")]
    assert torch.equal(clips.x[2], recording_as_written("1_jackson_49")[:8000])
    assert (clips.label[2] == 2).all()
    last = clips.local_condition[2, -1, 6:12]
    assert last[4] > 0.5 and last.sum() == pytest.approx(1), "a word that is cut has not come to its end"
    short, long = load_spoken_digits("train", seconds=0.01), load_spoken_digits("train", seconds=1.5)
    assert short.x.shape == (3, 80) and short.label.shape == (3, 1)
    assert torch.equal(long.x[2, :9000], recording_as_written("1_jackson_49")) and long.x.shape == (3, 12000)
    assert torch.equal(short.x, long.x[:, :80]) and torch.equal(short.local_condition, long.local_condition[:, :1])


def recording_as_written(name):
    return (recording(name) * 2**15).round() / 2**15


def test_what_is_not_to_be_had_is_refused(course):
    with pytest.raises(ValueError, match="split: expected one of 'train', 'test', got 'valid'"):
        load_spoken_digits("valid")
    for seconds in (0, -1.0, 0.009, math.nan, math.inf):
        with pytest.raises(ValueError, match=r"seconds: expected 0.01 or more"):
            load_spoken_digits("test", seconds=seconds)


def some_clips(**other):
    N, F = 4, 3
    label = torch.arange(N * F).view(N, F)
    parts = {
        "x": torch.rand(N, F * FRAME),
        "speaker": torch.arange(N),
        "label": label,
        "local_condition": torch.rand(N, F, 2),
        "pitch": label.float(),
    }
    return Clips(**{**parts, **other})


def test_clips_are_cut_by_slices_and_indices():
    clips = some_clips(rate=16000)
    assert len(clips) == 4
    for which in (slice(1, 3), torch.tensor([3, 0, 3]), torch.tensor([True, False, True, False]), slice(0, 0)):
        part = clips[which]
        assert isinstance(part, Clips) and part.rate == 16000
        for name in ("x", "speaker", "label", "local_condition", "pitch"):
            assert torch.equal(getattr(part, name), getattr(clips, name)[which])
    for which in (1, torch.tensor(1)):
        with pytest.raises(TypeError, match=r"they stay a batch: clips\[3:4\]"):
            clips[which]


@pytest.mark.parametrize(
    ("other", "error", "says"),
    [
        ({"x": torch.zeros(4, 241)}, ValueError, "x: expected a whole number of frames of 80 samples, got 241"),
        ({"x": torch.zeros(240)}, ValueError, r"x: expected shape \(N, T\)"),
        ({"x": torch.zeros(4, 240).long()}, TypeError, "x: expected a floating-point tensor"),
        ({"speaker": torch.zeros(3).long()}, ValueError, r"speaker: expected shape \(4\), got \(3,\)"),
        ({"label": torch.zeros(4, 2).long()}, ValueError, r"label: expected shape \(4, 3\), got \(4, 2\)"),
        ({"label": torch.full((4, 3), -1)}, ValueError, "label: expected levels 0"),
        (
            {"local_condition": torch.zeros(4, 2, 5)},
            ValueError,
            r"local_condition: expected shape \(4, 3, L\), got \(4, 2, 5\)",
        ),
        ({"pitch": torch.zeros(4, 3).long()}, TypeError, "pitch: expected a floating-point tensor"),
    ],
)
def test_clips_that_do_not_fit_together_are_refused(other, error, says):
    with pytest.raises(error, match=says):
        some_clips(**other)


# --- the real ones ------------------------------------------------------------------------------------------


def test_the_real_spoken_digits(need_real):
    need_real(f"{NAME}0_george_0.wav")
    for split, N, sounding, loudest in [("train", 2700, 119163, 1.0), ("test", 300, 13047, 0.9551)]:
        clips = load_spoken_digits(split)
        assert clips.x.shape == (N, 8000) and clips.local_condition.shape == (N, 100, 61)
        assert torch.equal(clips.speaker, torch.arange(6).repeat(N // 6))
        assert torch.equal(clips.label[:, 0], torch.arange(10).repeat_interleave(6).repeat(N // 60) + 1)
        assert clips.x.abs().max().item() == pytest.approx(loudest, abs=1e-3) and clips.x.abs().max() <= 1
        assert (clips.label > 0).sum() == sounding
        assert torch.allclose(clips.local_condition.sum(2), torch.ones(N, 100), atol=1e-5)
    longer = load_spoken_digits("test", seconds=2.3)
    assert (longer.label[:, 100] > 0).sum() == 2, "so many are cut at one second"


def test_the_registry_knows_the_real_archive():
    download = store.REGISTRY[NAME]
    assert download.members == "recordings/*.wav" and "v1.0.10" in download.url and download.url.endswith(".zip")
