"""What a mouth did, measured in the sound: linear prediction, and the resonances (formants) that tell vowels apart."""

import math

import torch

from ..data.waveforms import expect_waveform

_WINDOW, _HOP = 0.030, 0.010  # seconds; three periods of a low voice, within which a mouth hardly moves
_PRE_EMPHASIS = 0.97  # takes out that a voice has less and less of high frequencies, which is no resonance
_BROADEST = 400  # Hz of bandwidth; a broader pole shapes the spectrum's slope, and is no formant
_MARGIN = 150  # Hz from 0 and from rate / 2, where poles also do other work


def lpc(x: torch.Tensor, order: int) -> torch.Tensor:
    """Linear prediction: a (order + 1,), float64, a[0] = 1, for which Σ_i a[i] x[t - i] is as small as can be.

    So 1 / A(z), A with these coefficients, is a filter that gives x its spectrum, and `scipy.signal.lfilter(a, [1], x)`
    is what was fed into it. By the autocorrelation method, after a Hamming window: the filter is always stable.

    Raises TypeError for what is no float tensor, ValueError for another shape than (T,) with T > order ≥ 1, for
    samples that are not finite and for silence. Source: Makhoul (1975), Linear prediction: a tutorial review.
    """
    from scipy.linalg import solve_toeplitz  # here, so that importing the course does not pay for it

    expect_waveform("x", x, loudest=math.inf)
    if not isinstance(order, int) or not 1 <= order < len(x):
        raise ValueError(f"order: expected a whole number from 1 to {len(x) - 1}, below the samples, got {order!r}")
    windowed = _floats(x) * torch.hamming_window(len(x), periodic=False, dtype=torch.float64)
    r = torch.stack([windowed[: len(x) - lag] @ windowed[lag:] for lag in range(order + 1)])
    if r[0] == 0:
        raise ValueError("x: silence predicts nothing and has no resonances; give a part with sound in it")
    r[0] *= 1 + 1e-9  # noise at -90 dB: a pure tone, too, then has one solution
    a = solve_toeplitz(r[:order].numpy(), -r[1:].numpy())
    return torch.cat([torch.ones(1, dtype=torch.float64), torch.from_numpy(a)])


def formants(x: torch.Tensor, rate: int = 8000, order: int = 10) -> torch.Tensor:
    """Measure the first two resonances of a vowel x (T,): [F1, F2] in Hz, float64.

    The middle half of x, or 30 ms if that is longer, is cut into windows of 30 ms, 10 ms apart. In each, a resonance is
    a pole of `lpc` narrower than 400 Hz, 150 Hz or more from 0 and from rate / 2; the lowest is F1, the next F2. Their
    medians over the windows are returned, so that a bad window does no harm; nan for what fewer than half of them have.
    `order` is two for each resonance expected below rate / 2, and two for the slope. A voice of pitch p shows a
    resonance only at multiples of p: it is found within 5 % for a low voice, and within about p / 4 for a high one.

    Raises TypeError and ValueError as `lpc`, ValueError for less than 30 ms of sound and for silence.
    Source: Markel and Gray (1976), Linear prediction of speech, chapter 7.
    """
    expect_waveform("x", x, loudest=math.inf)
    length, hop, T = round(_WINDOW * rate), round(_HOP * rate), len(x)
    if length > T:
        raise ValueError(
            f"x: expected at least 30 ms, {length} samples at {rate} a second, got {T}; take a longer part"
        )
    if length <= order:
        raise ValueError(f"order: expected less than the {length} samples of a window, got {order}")
    start = min(T // 4, (T - length) // 2)
    middle = _floats(x)[start : T - start]
    middle = torch.cat([middle[:1], middle[1:] - _PRE_EMPHASIS * middle[:-1]])
    windows = [window for window in middle.unfold(0, length, hop) if window.any()]
    if not windows:
        raise ValueError("x: silence has no formants, and its middle is silent; give a part with sound in it")
    found = torch.stack([_resonances(lpc(window, order), rate) for window in windows])  # (windows, 2)
    enough = 2 * found.isfinite().sum(0) >= len(windows)
    return torch.where(enough, found.nanquantile(0.5, dim=0), math.nan)


def _resonances(a, rate):
    """The two lowest resonances of 1 / A(z) in Hz, nan for one that is not there."""
    poles = torch.linalg.eigvals(_companion(a))
    frequency = poles.angle() * rate / (2 * math.pi)
    bandwidth = -poles.abs().log() * rate / math.pi
    right = (frequency > _MARGIN) & (frequency < rate / 2 - _MARGIN) & (bandwidth < _BROADEST)
    lowest = frequency[right].sort().values[:2]
    return torch.cat([lowest, torch.full((2 - len(lowest),), math.nan, dtype=torch.float64)])


def _companion(a):
    """The matrix whose eigenvalues are the roots of a[0] z^n + a[1] z^(n-1) + … + a[n], with a[0] = 1."""
    matrix = torch.diag(torch.ones(len(a) - 2, dtype=a.dtype), -1)
    matrix[0] = -a[1:]
    return matrix


def _floats(x):
    return x.detach().to("cpu", torch.float64)


def snr(clean: torch.Tensor, noisy: torch.Tensor) -> float:
    """Compare two waveforms (T,): the signal-to-noise ratio in dB, 10 log10(Σ clean² / Σ (noisy - clean)²).

    It is inf where the two are equal. `noisy` may leave [-1, 1]. Raises TypeError and ValueError as `sound`, and
    ValueError for different lengths and a `clean` that is silence.
    """
    expect_waveform("clean", clean)
    expect_waveform("noisy", noisy, loudest=math.inf)
    if clean.shape != noisy.shape:
        raise ValueError(f"noisy: expected the {len(clean)} samples of clean, got {len(noisy)}; cut the longer one")
    signal = clean.double().square().sum().item()
    noise = (noisy.double() - clean.double()).square().sum().item()
    if signal == 0:
        raise ValueError("clean: silence has no signal-to-noise ratio; give a clip with sound in it")
    return 10 * math.log10(signal / noise) if noise else math.inf
