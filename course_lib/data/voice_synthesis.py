"""A voice of few numbers: pulses of the glottis and noise of the mouth, through a cascade of resonators.

Everything here is time first, (T, N) or (F, N), so that one step in time is one row for all N sounds at once.
"""

import numpy as np

from .clips import FRAME

RATE = 8000  # samples a second

PHONES = ("·", "a", "e", "i", "o", "u", "m", "s", "f", "t")  # 0 is silence
VOWELS = ("a", "e", "i", "o", "u")
VOICED = tuple(PHONES.index(phone) for phone in "aeioum")  # the vocal cords sound
# Mean formants of 33 men, in Hz: those of hod, head, heed, hawed, who'd (Peterson & Barney 1952, Table II).
FORMANTS = {
    "a": (730.0, 1090.0, 2440.0),
    "e": (530.0, 1840.0, 2480.0),
    "i": (270.0, 2290.0, 3010.0),
    "o": (570.0, 840.0, 2410.0),
    "u": (300.0, 870.0, 2240.0),
}
# Where a consonant pulls the formants of its neighbours: the tongue behind the teeth (s, t) raises the second one,
# closed lips (m, f) lower it. Silence has none: it keeps those of the phone beside it.
_PULL = {"m": (250.0, 1000.0, 2200.0), "s": (320.0, 1750.0, 2600.0), "f": (320.0, 1050.0, 2250.0)}
_PULL["t"] = _PULL["s"]
_FOURTH = 3500.0  # Hz, the same for every phone
_BANDWIDTHS = (60.0, 90.0, 150.0, 250.0)  # Hz, of formants 1 to 4
_NASAL = (80.0, 300.0, 400.0, 500.0)  # the nose swallows what is high: wider resonances are weaker ones
_TOP = 3800.0  # Hz: no formant and no harmonic above it, for 4000 is all that 8000 samples a second can hold
# Strength of the pulses: closed phones let less through, and would be too soft beside an a.
_VOICE = {"a": 1.0, "e": 1.2, "i": 1.8, "o": 1.0, "u": 1.6, "m": 0.8}
_NOISE = {"s": (1.2, 3300.0, 500.0), "f": (0.4, 2000.0, 3000.0), "t": (1.6, 2900.0, 1000.0)}  # strength, Hz, width
_BURST = (1.0, 0.4, 0.1)  # the last frames of a t, after the silence in which the tongue closes the mouth
_BREATH = 0.012  # of the pulses' strength, as noise, so that no two periods are equal: in the end 30 dB below the voice


def utter(label, pitch, scale, noise):
    """Say `label` (F, N), indices of PHONES, on `pitch` (F, N) in Hz: (T, N) float64, of no particular loudness.

    `scale` (3, N) multiplies the formants of each sound, `noise` (T, N) is white, of variance 1. The vocal cords'
    pulses and a breath go through four resonators in a row (Klatt 1980, "Software for a cascade/parallel formant
    synthesizer", J. Acoust. Soc. Am. 67, eq. 1 to 3); the noise of s, f and t through one of its own.
    """
    frames = len(label)
    quick, smooth, slow = (_spread(frames, ms) for ms in (15, 20, 40))
    known = _neighbour(label)
    breath = noise + np.roll(noise, 1, axis=0)  # softer towards the top, as the pulses are
    pulses = glottis(smooth @ pitch) + _BREATH * breath
    sound = pulses * (smooth @ _look(_VOICE, 0.0, label))
    for k in range(4):
        if k < 3:
            centre = scale[k] * _look({p: f[k] for p, f in (FORMANTS | _PULL).items()}, _FOURTH, known)
        else:
            centre = scale.mean(0) * np.full(known.shape, _FOURTH)
        # A throat so short that a formant passes the top has none there: the more it does, the flatter the resonance.
        width = _look({"m": _NASAL[k]}, _BANDWIDTHS[k], known) + 3 * np.maximum(centre - _TOP + 300, 0)
        # A glide is straight to the ear, which hears ratios.
        sound = resonate(sound, np.exp(slow @ np.log(np.minimum(centre, _TOP))), slow @ width)
    strength, centre, width = (
        _look({p: n[i] for p, n in _NOISE.items()}, other, label) for i, other in enumerate((0.0, 3000.0, 3000.0))
    )
    hiss = np.diff(noise, axis=0, prepend=0) * (quick @ (strength * _bursts(label)))
    sound += resonate(hiss, quick @ centre, quick @ width, peak=True)
    return sound * soft_ends(label, 20)


def soft_ends(label, ms):
    """How loud each sample of `label` (F, N) is, (T, N): 0 in silence, 1 from `ms` milliseconds within the sound."""
    return np.clip(2 * (_spread(len(label), 2 * ms) @ (label > 0)) - 1, 0, 1)


def glottis(pitch):
    """Air pressure of the vocal cords, whose `pitch` is (T, N) in Hz: pulses, of variance near 1.

    The flow of one period is u² − u³ while the cords are open (Klatt & Klatt 1990), and what is heard is its slope.
    It is summed harmonic by harmonic, those near half the sampling rate fading out: nothing folds back as a whistle,
    and the pitch is exact to a fraction of a sample.
    """
    u = (np.arange(4096) + 0.5) / 4096 / 0.6  # of the time in which the cords are open: 0.6 of a period
    slope = np.where(u < 1, 2 * u - 3 * u**2, 0)
    strengths = np.fft.rfft(slope) / (4096 * slope.std()) * 2
    turn = np.exp(2j * np.pi * np.cumsum(pitch, 0) / RATE)
    harmonic, sound = np.ones_like(turn), np.zeros_like(pitch)
    for k in range(1, int(_TOP / pitch.min()) + 1):
        harmonic *= turn
        sound += (
            (strengths[k] * harmonic).real * np.clip((_TOP - k * pitch) / 400, 0, 1) / (1 + (k * pitch / 2500) ** 2)
        )
    return sound


def resonate(x, centre, width, *, peak=False):
    """Let `x` (T, N) ring at `centre` Hz, `width` Hz wide, both (T, N): 1 at 0 Hz, or with `peak` 1 at the centre."""
    decay = np.exp(-np.pi * width / RATE)
    one, two = 2 * decay * np.cos(2 * np.pi * centre / RATE), -(decay**2)
    x = x * ((1 - decay) * np.abs(1 - decay * np.exp(-4j * np.pi * centre / RATE)) if peak else 1 - one - two)
    y = np.empty_like(x)
    last = before = np.zeros(x.shape[1])
    for t in range(len(x)):
        y[t] = x[t] + one[t] * last + two[t] * before
        last, before = y[t], last
    return y


def _spread(frames, ms):
    """From frames to samples, (T, F): a window of `ms`, round at its ends, slides over the frames."""
    width = ms * RATE / 1000
    edges = np.arange(frames + 1) * FRAME - (np.arange(frames * FRAME)[:, None] + 0.5)  # (T, F + 1)
    part = np.clip(edges / width, -0.5, 0.5)
    within = np.diff(part + np.sin(2 * np.pi * part) / (2 * np.pi), axis=1)
    return within / within.sum(1, keepdims=True)


def _look(table, other, label):
    """The values of phones in `table`, `other` for those that are not in it: (F, N)."""
    return np.array([table.get(phone, other) for phone in PHONES])[label]


def _neighbour(label):
    """`label` with each silence replaced by the phone before it, or at the start by the one after it."""
    frames = np.arange(len(label))[:, None]
    before = np.maximum.accumulate(np.where(label > 0, frames, -1), 0)
    first = (label > 0).argmax(0)
    return np.take_along_axis(label, np.where(before < 0, first, before), 0)


def _bursts(label):
    """1, but in a t: closed at first, and `_BURST` in its last frames."""
    closed = label == PHONES.index("t")
    last = closed & ~np.vstack([closed[1:], np.zeros_like(closed[:1])])
    shape = np.where(closed, 0.0, 1.0)
    for back, strength in enumerate(reversed(_BURST)):
        shape[: len(label) - back][last[back:]] = strength
    return shape
