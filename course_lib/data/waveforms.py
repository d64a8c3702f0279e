"""Sound as numbers: 256 levels and back, and files of it.

A waveform is a tensor (T,) of floats in [-1, 1], `rate` samples a second.
"""

import math
from pathlib import Path

import torch

from ..expect import expect_count, expect_levels, expect_tensor
from .wav import Wav

_CONVERT = "`ffmpeg -i old.wav -c:a pcm_s16le -ac 1 -ar {} new.wav` makes a file that can be read"


def mu_law_encode(x: torch.Tensor, levels: int = 256) -> torch.Tensor:
    """Quantise samples in [-1, 1], a float tensor of any shape, to levels 0 … `levels` - 1, long, finely near 0.

    With μ = levels - 1 and f(x) = sign(x) ln(1 + μ|x|) / ln(1 + μ), the level is floor(μ (f(x) + 1) / 2 + 1/2).
    That is the nearest of `levels` points that lie evenly in [-1, 1], the first at -1 and the last at 1; a level's
    cell is what is nearer to its point than to any other, and a tie goes up. So silence, x = 0, has the level
    `levels` // 2, 128 of 256; where `levels` is even, it is a tie, and what it decodes to is as small as a cell:
    0.00009 of full scale. Computed in float64 on the CPU, for float32 would miss the level of 1 sample in 100,000.

    Raises TypeError for what is no float tensor, ValueError for samples outside [-1, 1] or not finite and for
    levels < 2. Sources: ITU-T G.711 (1988); van den Oord et al. (2016), WaveNet, section 2.2.
    """
    expect_count("levels", levels, 2)
    mu = levels - 1
    expect_waveform("x", x, any_shape=True)
    exact = x.detach().to("cpu", torch.float64)  # Apple's GPU has no float64
    f = exact.sign() * torch.log1p(mu * exact.abs()) / math.log1p(mu)
    return torch.floor(mu * (f + 1) / 2 + 0.5).long().to(x.device)


def mu_law_decode(k: torch.Tensor, levels: int = 256) -> torch.Tensor:
    """Turn levels, long of any shape, back into samples in [-1, 1], float32: `mu_law_encode` of them gives `k` again.

    With y = 2k/μ - 1, the point of level k, the sample is sign(y) ((1 + μ)^|y| - 1) / μ. It grows with k, from -1
    to 1. Raises TypeError for what is no long tensor, ValueError for levels out of range.
    """
    expect_count("levels", levels, 2)
    mu = levels - 1
    expect_tensor("k", k)
    expect_levels("k", k, tuple(k.shape), levels)
    y = 2 * k.to("cpu", torch.float64) / mu - 1
    return (y.sign() * torch.expm1(y.abs() * math.log1p(mu)) / mu).float().to(k.device)


def read_wav(path: str | Path, rate: int = 8000) -> torch.Tensor:
    """Read a WAV file as (T,) float32 in [-1, 1]: PCM or floating point, one channel, `rate` samples a second.

    PCM may have 1 to 64 bits, in as many bytes as they need or more, plain or as WAVE_FORMAT_EXTENSIBLE; floating
    point 32 or 64. RIFF, RIFX (the greatest byte first) and RF64 are read, and what a program wrote into a pipe, whose
    header cannot know how long it gets. Nothing is converted silently. Raises FileNotFoundError, and ValueError with
    what to do for a file that is not WAV, of another format, cut, empty, stereo, louder than 1, not finite or of
    another rate, and for a header that contradicts itself.
    """
    expect_count("rate", rate)
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: there is no such file, seen from {Path.cwd()}; check its name and folder")
    try:
        wav = Wav.of(Path(path).read_bytes())
        if not len(wav.frames):
            raise ValueError("its header says that it holds no samples; record or copy it again")
        if wav.channels != 1:
            convert = _CONVERT.format(rate)
            raise ValueError(f"expected one channel, got {wav.channels}; {convert}, with the mean of the channels")
        if wav.rate != rate:
            part = math.gcd(wav.rate, rate)
            raise ValueError(
                f"expected {rate} samples a second, got {wav.rate}; read it with rate={wav.rate}, then "
                f"scipy.signal.resample_poly(x, {rate // part}, {wav.rate // part}) resamples it"
            )
        return torch.from_numpy(wav.samples())
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def expect_waveform(name: str, x: torch.Tensor, *, any_shape: bool = False, loudest: float = 1.0) -> None:
    """`x` must hold finite floats in [-`loudest`, `loudest`], of shape (T,) with T ≥ 1, or else of `any_shape`.

    Raises TypeError for another type or dtype, ValueError for what is in it; both say what to do.
    """
    expect_tensor(name, x)
    if not x.is_floating_point():
        raise TypeError(f"{name}: expected floats in [-1, 1], got {x.dtype}; {name} / 32768 converts 16-bit PCM")
    if not any_shape and (x.dim() != 1 or not len(x)):
        given = tuple(x.shape)
        raise ValueError(
            f"{name}: expected the samples of one clip, shape (T,), got {given}; {name}[0] takes the first"
        )
    if not x.isfinite().all():
        bad = int((~x.isfinite()).sum())
        raise ValueError(f"{name}: expected finite samples, got {bad} of {x.numel()} that are NaN or infinite")
    peak = x.abs().max().item() if x.numel() else 0.0
    if peak > loudest:
        raise ValueError(
            f"{name}: expected samples in [-1, 1], got one of size {peak:.6g}; divide by it, "
            f"{name} / {name}.abs().max()"
        )
