"""Odd WAV files are read right or refused with a sentence. They are made here, byte by byte."""

import contextlib
import math
import struct
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import torch
from numpy.random import default_rng

from course_lib.data.wav import Wav
from course_lib.data.waveforms import read_wav
from course_lib.show.sounds import Sound

RATE = 8000
PCM, FLOAT, EXTENSIBLE = 1, 3, 65534
SAMPLES = [0, 1, -1, 2**22, -(2**23), 2**23 - 1]  # of 24 bits
UNKNOWN = 2**32 - 1  # the size that a program leaves in the header when it writes into a pipe


def chunk(name, data, size=None, order="<"):
    return name + struct.pack(order + "I", len(data) if size is None else size) + data + bytes(len(data) % 2)


def fmt(format=PCM, width=2, bits=None, *, channels=1, rate=RATE, block=None, more=b"", order="<"):
    block, bits = channels * width if block is None else block, 8 * width if bits is None else bits
    head = struct.pack(order + "HHIIHH", format, channels, rate, rate * block, block, bits)
    return chunk(b"fmt ", head + more, order=order)


def extensible(width, valid, format=PCM, order="<", **settings):
    """The header that new recorders write: sizes, which loudspeaker, and the format as a GUID."""
    ids = struct.pack(order + "IHH", format, 0, 0x10) + bytes.fromhex("800000aa00389b71")
    return fmt(EXTENSIBLE, width, more=struct.pack(order + "HHI", 22, valid, 4) + ids, order=order, **settings)


def riff(*chunks, kind=b"RIFF", size=None, order="<"):
    body = b"WAVE" + b"".join(chunks)
    return kind + struct.pack(order + "I", len(body) if size is None else size) + body


def pcm(width, order="little", bits=None):
    """SAMPLES as numbers of so many bits, at the upper end of `width` bytes."""
    bits = 8 * width if bits is None else bits
    numbers = [(n << 40 >> (64 - bits)) << (8 * width - bits) for n in SAMPLES]
    return b"".join(n.to_bytes(width, order, signed=True) for n in numbers)


def as_bits(bits):
    """What SAMPLES are when they have so many bits."""
    return [(n << 40 >> (64 - bits)) / 2 ** (bits - 1) for n in SAMPLES]


EXACT = as_bits(24)
FLOATS = struct.pack("<6f", *EXACT)
SIXTEEN = chunk(b"data", pcm(2))
RF64 = chunk(b"ds64", struct.pack("<QQQI", 80, 12, 6, 0)) + fmt() + chunk(b"data", pcm(2), UNKNOWN)


READ = {
    "12 bits in 2 bytes": (riff(fmt(PCM, 2, 12), chunk(b"data", pcm(2, bits=12))), as_bits(12)),
    "20 bits in 3 bytes": (riff(fmt(PCM, 3, 20), chunk(b"data", pcm(3, bits=20))), as_bits(20)),
    "24 bits in 4 bytes": (riff(fmt(PCM, 4, 24), chunk(b"data", pcm(4, bits=24))), EXACT),
    "36 bits in 5 bytes": (riff(fmt(PCM, 5, 36), chunk(b"data", pcm(5, bits=36))), EXACT),
    "64 bits": (riff(fmt(PCM, 8), chunk(b"data", pcm(8))), EXACT),
    "5 bits": (riff(fmt(PCM, 1, 5), chunk(b"data", bytes([128, 0, 248]))), [0, -1, 15 / 16]),
    "1 bit": (riff(fmt(PCM, 1, 1), chunk(b"data", bytes([128, 0]))), [0, -1]),
    "float32": (riff(fmt(FLOAT, 4), chunk(b"data", FLOATS)), EXACT),
    "float32, as it should be": (
        riff(fmt(FLOAT, 4, more=b"\0\0"), chunk(b"fact", b"\6\0\0\0"), chunk(b"data", FLOATS)),
        EXACT,
    ),
    "float64": (riff(fmt(FLOAT, 8), chunk(b"data", struct.pack("<6d", *EXACT))), EXACT),
    "extensible": (riff(extensible(2, 16), SIXTEEN), as_bits(16)),
    "extensible, 24 bits in 4 bytes": (riff(extensible(4, 24), chunk(b"data", pcm(4, bits=24))), EXACT),
    "extensible, 8 bits in 2 bytes": (riff(extensible(2, 8), chunk(b"data", pcm(2, bits=8))), as_bits(8)),
    "extensible, float32": (riff(extensible(4, 32, FLOAT), chunk(b"data", FLOATS)), EXACT),
    "from a pipe": (riff(fmt(), chunk(b"data", pcm(2), UNKNOWN), size=UNKNOWN), as_bits(16)),
    "from a pipe of SoX": (riff(fmt(), chunk(b"data", pcm(2), 0x7FFFF000), size=0x7FFFF024), as_bits(16)),
    "from a pipe, stopped": (riff(fmt(), chunk(b"data", pcm(2), UNKNOWN))[:-1], as_bits(16)[:-1]),
    "RIFX": (
        riff(fmt(order=">"), chunk(b"data", pcm(2, "big"), order=">"), kind=b"RIFX", order=">"),
        as_bits(16),
    ),
    "RIFX, 24 bits in 4 bytes": (
        riff(fmt(PCM, 4, 24, order=">"), chunk(b"data", pcm(4, "big", 24), order=">"), kind=b"RIFX", order=">"),
        EXACT,
    ),
    "RIFX, extensible float32": (
        riff(
            extensible(4, 32, FLOAT, ">"),
            chunk(b"data", struct.pack(">6f", *EXACT), order=">"),
            kind=b"RIFX",
            order=">",
        ),
        EXACT,
    ),
    "RF64": (riff(RF64, kind=b"RF64", size=UNKNOWN), as_bits(16)),
    "BW64": (riff(RF64, kind=b"BW64", size=UNKNOWN), as_bits(16)),
    "other chunks, of odd sizes": (
        riff(chunk(b"bext", bytes(7)), fmt(), chunk(b"junk", b"abc"), SIXTEEN, chunk(b"LIST", b"xyz")),
        as_bits(16),
    ),
    "a comment that is cut": (riff(fmt(), SIXTEEN, chunk(b"LIST", bytes(20)))[:-9], as_bits(16)),
    "a wrong size of the whole": (riff(fmt(), SIXTEEN, size=3), as_bits(16)),
    "half a sample": (riff(fmt(), chunk(b"data", pcm(2) + b"\7")), as_bits(16)),
}
REFUSED = {
    "8 bits in 2 bytes": (fmt(PCM, 2, 8), "contradicts itself: 1 channels of 8 bits in 2 bytes.*save it as 16-bit PCM"),
    "24 bits in 2 bytes": (fmt(PCM, 2, 24), "contradicts itself: 1 channels of 24 bits in 2 bytes"),
    "72 bits": (fmt(PCM, 9), "contradicts itself: 1 channels of 72 bits"),
    "no bits": (fmt(PCM, 2, 0), "contradicts itself: 1 channels of 0 bits"),
    "no channels": (fmt(channels=0), "contradicts itself: 0 channels"),
    "no block": (fmt(block=0), "contradicts itself: 1 channels of 16 bits in 0 bytes"),
    "a block that no channels share": (
        fmt(channels=3, block=4),
        "contradicts itself: 3 channels of 16 bits in 4 bytes",
    ),
    "no time": (fmt(rate=0), "contradicts itself: .*, 0 times a second"),
    "float16": (fmt(FLOAT, 2), "contradicts itself: 1 channels of 16 bits"),
    "A-law": (fmt(6, 1), r"expected PCM or floating point, got A-law \(format 6\); `ffmpeg"),
    "mu-law": (fmt(7, 1, more=b"\0\0"), "got mu-law"),
    "mu-law, extensible": (extensible(1, 8, 7), "got mu-law"),
    "ADPCM": (fmt(17, 1, 4, block=256), "got ADPCM"),
    "a format of its own": (
        fmt(EXTENSIBLE, 2, more=struct.pack("<HHI", 22, 16, 4) + bytes(16)),
        "something else",
    ),
    "extensible without its extension": (fmt(EXTENSIBLE, 2), "something else"),
    "no format": (b"", "not a WAV file that says before its samples what they are; get it again"),
    "half a format": (chunk(b"fmt ", bytes(9)), "not a WAV file that says before its samples what they are"),
    "stereo": (fmt(channels=2), "expected one channel, got 2"),
    "another rate": (fmt(rate=44100), "8000 samples a second, got 44100"),
    "24 bits at the lower end of 4 bytes": (
        fmt(PCM, 4, 24) + chunk(b"data", struct.pack("<6i", *SAMPLES)),
        "expected 24 bits at the upper end of 4 bytes, got more below; save it",
    ),
    "louder than 1": (
        fmt(FLOAT, 4) + chunk(b"data", struct.pack("<2f", 0.5, -1.5)),
        r"in \[-1, 1\], got one of size 1.5; `ffmpeg .* volume=0.66 .* makes it quieter",
    ),
    "much louder": (fmt(FLOAT, 8) + chunk(b"data", struct.pack("<d", 1e300)), "got one of size 1e\\+300"),
    "not finite": (
        fmt(FLOAT, 4) + chunk(b"data", struct.pack("<3f", 0, math.nan, math.inf)),
        "expected finite samples, got 2 of 3 that are NaN or infinite",
    ),
    "a size of 0": (fmt() + chunk(b"data", pcm(2), 0), "its header says that it holds no samples"),
    "an empty pipe": (fmt() + chunk(b"data", b"", UNKNOWN), "its header says that it holds no samples"),
    "cut": (fmt() + chunk(b"data", pcm(2)[:-4], 12), "cut: its header promises 6 samples, 4 are there; get it again"),
    "cut, float": (fmt(FLOAT, 4) + chunk(b"data", FLOATS[:-6], 24), "promises 6 samples, 4 are there"),
    "a chunk that leads nowhere": (fmt() + chunk(b"junk", b"abc", 2**31) + SIXTEEN, "or cut in its header"),
}


@pytest.mark.parametrize(("content", "expected"), READ.values(), ids=READ)
def test_an_odd_file_is_read_right(put, content, expected):
    x = read_wav(put(content))
    assert x.dtype == torch.float32 and x.tolist() == torch.tensor(expected, dtype=torch.float64).float().tolist()
    assert Sound(content).caption == f"{len(x) / RATE:.2g} s", "a player says the same length"


@pytest.mark.parametrize(("chunks", "says"), REFUSED.values(), ids=REFUSED)
def test_an_odd_file_is_refused_with_a_sentence(put, chunks, says):
    with pytest.raises(ValueError, match=f"clip.wav: .*{says}"):
        read_wav(put(riff(chunks if b"data" in chunks else chunks + SIXTEEN)))


def test_a_large_file_that_is_cut_is_not_taken_for_one_from_a_pipe(put):
    sizes = chunk(b"ds64", struct.pack("<QQQI", 2**33 + 72, 2**33, 2**32, 0))
    with pytest.raises(ValueError, match=f"cut: its header promises {2**32} samples, 6 are there"):
        read_wav(put(riff(sizes, fmt(), chunk(b"data", pcm(2), UNKNOWN), kind=b"RF64", size=UNKNOWN)))


@pytest.mark.parametrize("kind", ["float32", "extensible", "RF64", "from a pipe", "24 bits in 4 bytes"])
def test_an_odd_file_with_changed_bytes_is_read_or_refused_and_nothing_else(put, kind):
    whole, chance = READ[kind][0], default_rng(0)
    for _ in range(500):
        changed = bytearray(whole)
        for place in chance.integers(0, len(whole), chance.integers(1, 4)):
            changed[place] = chance.choice([0, 1, 255, chance.integers(256)])
        with contextlib.suppress(ValueError):
            x = read_wav(put(changed))
            assert x.dim() == 1 and x.abs().max() <= 1, changed


# SciPy's own odd files, where its wheel brings them: of one channel, whether they are read; of several, and the rest.
SCIPYS = sorted((Path(scipy.io.__file__).parent / "tests/data").glob("*.wav"))
SCIPYS_CUT = {"-early-eof.wav": "cut: ", "-no-data.wav": "cut in its", "-incomplete-chunk.wav": "cut in its"}
SCIPYS_OTHERS = {"-ulaw.wav": "got mu-law", "-inconsistent.wav": "contradicts itself"}


@pytest.mark.parametrize("path", SCIPYS, ids=lambda path: path.name)
def test_scipys_own_odd_files(path):
    for end, says in (SCIPYS_CUT | SCIPYS_OTHERS).items():
        if path.name.endswith(end):
            with pytest.raises(ValueError, match=says):
                read_wav(path, 44100)
            return
    content = path.read_bytes()
    wav = Wav.of(content)
    assert f"{wav.channels}ch" in path.name and f"{wav.rate}Hz" in path.name
    if wav.channels > 1:
        with pytest.raises(ValueError, match=f"expected one channel, got {wav.channels}"):
            read_wav(path, wav.rate)
    width = wav.frames.shape[1] // wav.channels
    data = content[content.rindex(b"data") + 8 :][: wav.frames.size]
    first = [data[n : n + width] for n in range(0, len(data), width * wav.channels)]
    if "float" in path.name:
        code = (">" if "-be" in path.name else "<") + ("f" if width == 4 else "d")
        expected = [struct.unpack(code, number)[0] for number in first]
    elif width == 1:
        expected = [number[0] / 128 - 1 for number in first]
    else:
        order = "big" if "-be-" in path.name else "little"
        expected = [int.from_bytes(number, order, signed=True) / 2 ** (8 * width - 1) for number in first]
    alone = wav._replace(frames=np.ascontiguousarray(wav.frames[:, :width]), channels=1).samples()
    assert len(first) > 1 and np.abs(alone - np.array(expected)).max() < 2**-24
    if wav.channels == 1:
        assert torch.equal(read_wav(path, wav.rate), torch.from_numpy(alone))
