"""WAV files, taken apart: what their header says, and their samples.

No library can be trusted with them. The standard module (Python 3.11) knows neither floating point nor the block size,
and refuses WAVE_FORMAT_EXTENSIBLE. SciPy 1.17 reads 8 bits in 2 bytes as twice 8 bits, and gives a cut file the warning
that it gives a whole one from a pipe. libsndfile 1.2 (soundfile) takes 24 bits in 4 bytes apart by threes, and shortens
a cut file without a word. To find that out means to read the header; what is left to a library is a line of NumPy.
"""

import struct
from typing import NamedTuple

import numpy as np

_ORDERS = {b"RIFF": "<", b"RIFX": ">", b"RF64": "<", b"BW64": "<"}
_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 65534
_OTHERS = {2: "ADPCM", 6: "A-law", 7: "mu-law", 17: "ADPCM", 85: "MP3"}
# How the identifier of a format in WAVE_FORMAT_EXTENSIBLE goes on behind the format.
_TAILS = {"<": bytes.fromhex("00001000800000aa00389b71"), ">": bytes.fromhex("00000010800000aa00389b71")}
# Who writes into a pipe cannot come back and fill the size in: ffmpeg leaves FFFFFFFF there, SoX 7FFFF000. So large a
# file would be more than a day of what is read here: no clip that was cut.
_UNKNOWN = 0x7FFFF000
_SAVE = "save it as 16-bit PCM in the program that recorded it"


class Wav(NamedTuple):
    """`frames` (T, bytes of all channels) uint8, and what the header says about them."""

    frames: np.ndarray
    order: str  # of a number's bytes, as NumPy has it: "<" the least first, ">" the greatest
    format: int
    channels: int
    rate: int
    bits: int

    @classmethod
    def of(cls, content: bytes) -> "Wav":
        """Take the bytes of a file apart: PCM or floating point, RIFF, RIFX (the greatest byte first) or RF64.

        Raises ValueError for what is no such file, for a header that contradicts itself, and for a file that is cut.
        """
        if content[:4] not in _ORDERS or content[8:12] != b"WAVE":
            raise ValueError(f"not a WAV file, which begins with RIFF: it begins with {content[:12]!r}; get it again")
        order, header, long, place = _ORDERS[content[:4]], b"", None, 12
        while len(head := content[place : place + 8]) == 8:  # chunk by chunk: a name, a size, so many bytes
            name, size = struct.unpack(order + "4sI", head)
            place += 8
            if name == b"data":
                break
            if name == b"fmt ":
                header = content[place : place + size]
            if name == b"ds64" and len(content) >= place + 16:  # in RF64: a size that 4 bytes cannot hold
                long = struct.unpack_from("<8xQ", content, place)[0]
            place += size + size % 2
        else:
            raise ValueError("not a WAV file that holds samples, or cut in its header; get it again")
        if len(header) < 16:
            raise ValueError("not a WAV file that says before its samples what they are; get it again")
        format, channels, rate, block, bits = struct.unpack(order + "HHI4xHH", header[:16])
        if format == _EXTENSIBLE and header[28:40] == _TAILS[order]:
            format = struct.unpack_from(order + "I", header, 24)[0]
        _expect_format(format, channels, rate, block, bits)
        if long is not None and size == 2**32 - 1:
            size = long
        elif size >= _UNKNOWN:
            size = min(size, len(content) - place)
        promised, got = size // block, min(size, len(content) - place) // block
        if got < promised:
            raise ValueError(f"cut: its header promises {promised} samples, {got} are there; get it again")
        frames = np.frombuffer(content, np.uint8, got * block, place).reshape(got, block)
        return cls(frames, order, format, channels, rate, bits)

    @property
    def seconds(self) -> float:
        return len(self.frames) / self.rate

    def samples(self) -> np.ndarray:
        """(T,) float32 in [-1, 1], of a file of one channel. Raises ValueError for louder ones and for NaN."""
        width = self.frames.shape[1]
        if self.format == _FLOAT:
            x = self.frames.view(f"{self.order}f{width}")[:, 0]
            if bad := (~np.isfinite(x)).sum():
                raise ValueError(f"expected finite samples, got {bad} of {len(x)} that are NaN or infinite; {_SAVE}")
            if (peak := np.abs(x).max()) > 1:
                quieter = f"`ffmpeg -i old.wav -af volume={0.99 / peak:.3g} -c:a pcm_s16le new.wav` makes it quieter"
                raise ValueError(f"expected samples in [-1, 1], got one of size {peak:.6g}; {quieter}")
            return x.astype(np.float32)
        if self.bits <= 8:  # alone without a sign, as the format has it
            return (self.frames[:, 0].astype(np.float32) - 128) / 128
        # Numbers belong at the upper end of their bytes. At the lower, 24 bits in 4 bytes would be 256 times too quiet.
        least_first = self.frames if self.order == "<" else self.frames[:, ::-1]
        if least_first[:, : width - -(-self.bits // 8)].any():
            raise ValueError(f"expected {self.bits} bits at the upper end of {width} bytes, got more below; {_SAVE}")
        wide = np.zeros((len(least_first), 8), np.uint8)  # with zeros below, any number of bits is 64
        wide[:, 8 - width :] = least_first
        return (wide.view("<i8")[:, 0] / 2.0**63).astype(np.float32)


def _expect_format(format, channels, rate, block, bits):
    if format not in (_PCM, _FLOAT):
        name = _OTHERS.get(format, "something else")
        raise ValueError(
            f"expected PCM or floating point, got {name} (format {format}); "
            "`ffmpeg -i old.wav -c:a pcm_s16le new.wav` makes PCM of it"
        )
    width = block // max(channels, 1)
    if format == _FLOAT:
        fits = bits in (32, 64) and bits == 8 * width
    else:  # 8 bits and fewer have no sign, more have one: in 2 bytes nobody can say what they have
        fits = 0 < bits <= 8 * width <= 64 and not (bits <= 8 and width > 1)
    if not (fits and rate and block == channels * width):
        raise ValueError(
            f"its header contradicts itself: {channels} channels of {bits} bits in {block} bytes, "
            f"{rate} times a second; {_SAVE}"
        )
