"""Which word is this, and does it sound like a voice? Judges of the course's voices, whose phones are known by frame.

Words are judged by a recogniser that learnt on real clips, and a *t* must burst: the silence before the burst is no t.
How natural they are is a distance between distributions, so it has two sides. A machine that always says the mean is as
far off as one that scatters too much.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F

from ..data.clips import FRAME, Clips
from ..data.voices import PHONES, VOWELS
from ..expect import expect_tensor
from .harmonics import harmonic_share
from .speech import formants

BANDS = 20  # of 200 Hz each: enough to tell the phones apart
FAINTEST = 1e-5  # of a band's power, beside a sound of level 1: what is weaker counts as silence
HIGH = 2000  # Hz: a burst and an s lie above, a voice's strength below
LOST = 0.02  # of the real bursts count as too weak, so that the threshold is theirs
_T, _S = PHONES.index("t"), PHONES.index("s")
_VOWELS = [PHONES.index(vowel) for vowel in VOWELS]
TRAITS = ("F1", "F2", "harmonics", "brightness", "burst of t", "level of s")


def spectra(clips: Clips) -> torch.Tensor:
    """What is around each frame: (N, F, 60), the dB of 20 bands in 30 ms, of the frame before, this one and the next.

    Each clip is first brought to the same power in the frames that should sound: how loud it is shall not matter.
    """
    windows = _level(clips)[..., None].reciprocal() * F.pad(clips.x, (FRAME, FRAME)).unfold(1, 3 * FRAME, FRAME)
    power = torch.fft.rfft(windows * torch.hann_window(3 * FRAME)).abs().square() / FRAME
    db = 10 * (F.adaptive_avg_pool1d(power[..., 1:], BANDS) + FAINTEST).log10()
    return torch.cat([db.roll(1, 1), db, db.roll(-1, 1)], 2)


def segments(clips: Clips) -> list[list[tuple[int, int, int]]]:
    """The phones of each clip in their order, silence left out: (phone, first frame, frame after the last)."""
    found = []
    for label in clips.label.tolist():
        cuts = [0, *(k for k in range(1, len(label)) if label[k] != label[k - 1]), len(label)]
        found.append([(label[a], a, b) for a, b in pairwise(cuts) if label[a]])
    return found


def burst_levels(clips: Clips) -> torch.Tensor:
    """How loud each *t* bursts: dB above 2 kHz in its loudest 5 ms, beside the clip's level: (number of t,) float32.

    The burst is looked for in the last four frames of the t and the first of what follows.
    """
    loud = _high(clips.x).square().unfold(1, FRAME // 2, FRAME // 4).mean(2)  # every 2.5 ms
    found = [
        loud[n, 4 * (b - 4) : 4 * (b + 1)].amax() / level.square()
        for n, (level, phones) in enumerate(zip(_level(clips)[:, 0], segments(clips), strict=True))
        for phone, _, b in phones
        if phone == _T
    ]
    return 10 * (torch.stack(found) + FAINTEST).log10() if found else torch.zeros(0)


class Listener:
    """Hears phones, as it learnt to from real `clips`: by a linear classifier of `spectra`, frame by frame."""

    def __init__(self, clips: Clips):
        from sklearn.discriminant_analysis import LinearDiscriminantAnalysis  # here: who only draws need not wait

        sounds = clips.label > 0
        self._classifier = LinearDiscriminantAnalysis().fit(spectra(clips)[sounds].numpy(), clips.label[sounds].numpy())
        self.weakest_burst = burst_levels(clips).quantile(LOST).item()
        kinds, mouths = _mouths(clips)
        self._centres = {kind: mouths[kinds == kind].nanmean(0) for kind in kinds.unique().tolist()}

    def hears(self, clips: Clips) -> torch.Tensor:
        """The phone that it hears in each frame, some phone in each: (N, F) long."""
        heard = self._classifier.predict(spectra(clips).flatten(0, 1).numpy())
        return torch.from_numpy(heard).view(clips.label.shape)

    def phones_right(self, clips: Clips) -> list[list[bool]]:
        """For each phone of each clip: is it what most of its frames sound like, and, for a t, does it burst?"""
        heard, bursts = self.hears(clips), iter((burst_levels(clips) >= self.weakest_burst).tolist())
        right = []
        for n, phones in enumerate(segments(clips)):
            like = [heard[n, a:b].mode().values.item() == phone for phone, a, b in phones]
            there = [phone != _T or next(bursts) for phone, _, _ in phones]
            right.append([one and other for one, other in zip(like, there, strict=True)])
        return right

    def words_right(self, clips: Clips) -> torch.Tensor:
        """The clips of which every phone is right: (N,) bool."""
        return torch.tensor([all(phones) for phones in self.phones_right(clips)])

    def traits(self, clips: Clips) -> dict[str, torch.Tensor]:
        """What tells a voice from an imitation, a value for each place that shows it: {one of `TRAITS`: (places,)}.

        *F1*, *F2* (log) and *brightness* (dB above 2 kHz beside all) are how far a vowel is from the mean of its
        speaker and vowel; *harmonics* is the share of a clip's voiced power that repeats with its pitch, as dB beside
        the rest; *burst of t* and *level of s* are dB above 2 kHz beside the clip's level. What a clip has no place
        for, and a vowel without two formants, is left out.
        """
        kinds, mouths = _mouths(clips)
        away = torch.stack([mouth - self._centres[kind] for kind, mouth in zip(kinds.tolist(), mouths, strict=True)])
        share = harmonic_share(clips.x, clips.pitch)
        share = share[~share.isnan()].clamp(0.001, 0.999)
        values = *away.T, 10 * (share / (1 - share)).log10(), burst_levels(clips), _hiss_levels(clips)
        f1, f2, brightness, harmonics, burst, hiss = (each[~each.isnan()] for each in values)
        return dict(zip(TRAITS, (f1, f2, harmonics, brightness, burst, hiss), strict=True))


def unlike(drawn: torch.Tensor, real: torch.Tensor) -> float:
    """How far apart two distributions are, in standard deviations of the `real` one: values (n,), (m,) -> at least 0.

    It is the mean distance between equal quantiles (Wasserstein's first, over the standard deviation). Two draws of one
    distribution are near 0; one value for ever, be it the very mean, is near 0.8 (of a Gaussian); and so is a scatter
    1.8 times or 2 times as wide. It has two sides: to be better than real is to be unlike. Raises TypeError or
    ValueError for what are no values, and for real ones that do not differ.
    """
    for name, values in (("drawn", drawn), ("real", real)):
        expect_tensor(name, values)
        if values.dim() != 1 or len(values) < 2 or not values.isfinite().all():
            raise ValueError(f"{name}: expected two finite values or more, shape (n,), got {tuple(values.shape)}")
    if not (spread := real.double().std()) > 0:
        raise ValueError("real: expected values that differ, got equal ones; there is no spread to compare with")
    at = (torch.arange(200, dtype=torch.float64) + 0.5) / 200
    apart = drawn.double().quantile(at) - real.double().quantile(at)
    return (apart.abs().mean() / spread).item()


def _mouths(clips):
    """Of each vowel its kind (places,), speaker and vowel in one, and log F1, log F2 and brightness (places, 3)."""
    kinds, values = [], []
    high = _high(clips.x)
    for n, phones in enumerate(segments(clips)):
        for phone, a, b in phones:
            if phone in _VOWELS:
                x, above = clips.x[n, a * FRAME : b * FRAME], high[n, a * FRAME : b * FRAME]
                kinds.append(int(clips.speaker[n]) * len(PHONES) + phone)
                loud = x.square().mean().clamp(min=1e-10)
                bright = 10 * (above.square().mean() / loud + FAINTEST).log10()
                resonances = formants(x).log() if loud > 1e-9 else torch.full((2,), torch.nan, dtype=torch.float64)
                values.append(torch.cat([resonances, bright[None].double()]))
    return torch.tensor(kinds), torch.stack(values)


def _hiss_levels(clips):
    """How loud each s is above 2 kHz, in dB beside the clip's level: (number of s,)."""
    high, levels = _high(clips.x), _level(clips)[:, 0]
    power = [
        high[n, a * FRAME : b * FRAME].square().mean() / levels[n].square()
        for n, phones in enumerate(segments(clips))
        for phone, a, b in phones
        if phone == _S
    ]
    return 10 * (torch.stack(power) + FAINTEST).log10() if power else torch.zeros(0)


def _level(clips):
    """The root mean square of each clip in the frames that should sound: (N, 1)."""
    sounds = (clips.label > 0).repeat_interleave(FRAME, 1)
    return ((clips.x.square() * sounds).sum(1, keepdim=True) / sounds.sum(1, keepdim=True)).sqrt().clamp(min=1e-6)


def _high(x):
    """What of x (N, T) lies above 2 kHz."""
    spectrum = torch.fft.rfft(x)
    spectrum[:, torch.fft.rfftfreq(x.shape[1], 1 / 8000) < HIGH] = 0
    return torch.fft.irfft(spectrum, n=x.shape[1])
