"""Which digit is said, if one is? Two judges of a drawn word that have heard recordings, and no generator.

`Recogniser` is a small network: it learns from recordings and from spoiled ones, and may answer *none*. `apart`
finds the recording that is most alike. They share the spectra that they see, and nothing else.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

from course_lib.data.clips import FRAME
from course_lib.layers import initialised_by

NONE = -1  # the answer where no digit is heard
QUIET = 0.02  # a word that never gets so loud (full scale is 1) is silence, and not looked at
SPAN = 40  # dB below the loudest, from where on all is silence
STEPS, BATCH, LR = 1000, 64, 4e-3  # of the network's training; a quarter of each batch is spoiled


def log_spectrum(x, rate, frames=40, bands=24):
    """A word (T,) as (frames, bands) in dB: power in bands evenly spaced in mel, the word stretched to `frames`.

    What is SPAN below the loudest counts as silence, and the mean is taken out: loudness and length do not matter.
    """
    size = round(0.032 * rate)
    power = torch.stft(x, size, FRAME, window=torch.hann_window(size), return_complex=True, pad_mode="constant")
    power = power.abs().square()  # (size // 2 + 1, time)
    mel = torch.linspace(0, 2595 * math.log10(1 + rate / 2 / 700), bands + 2)
    edge = 700 * (10 ** (mel / 2595) - 1)
    hertz = torch.linspace(0, rate / 2, len(power))
    up = (hertz - edge[:-2, None]) / (edge[1:-1] - edge[:-2])[:, None]
    down = (edge[2:, None] - hertz) / (edge[2:] - edge[1:-1])[:, None]
    decibels = 10 * torch.log10(torch.minimum(up, down).clamp(min=0) @ power + 1e-12)
    decibels = decibels.clamp(min=decibels.max() - SPAN)
    decibels = F.interpolate(decibels[None], frames, mode="linear", align_corners=False)[0].T
    return decibels - decibels.mean()


def spectra(words, rate):
    """Words, a list of (T,), as (B, frames, bands) in dB."""
    return torch.stack([log_spectrum(x, rate) for x in words])


def apart(words, real, rate):
    """How unlike each of `words` is to each of `real`, lists of (T,): (B, M) dB.

    The difference of log-spectra, root mean square over the bands, mean over the frames; the smallest is the nearest.
    """
    known = spectra(real, rate)
    return torch.stack([(known - one).square().mean(2).sqrt().mean(1) for one in spectra(words, rate)])


def hiss(x, *, generator):
    """Noise in the place of a word x (T,): as long, with no speech in it, and more or less with its sound.

    Its spectrum is anything from flat to the word's mean, its loudness from steady to the word's, smoothed over 50 ms.
    """
    coloured, shaped = torch.rand(2, generator=generator).tolist()
    noise = torch.fft.rfft(torch.randn(len(x), generator=generator))
    colour = F.avg_pool1d(torch.fft.rfft(x).abs()[None], 31, 1, 15)[0].clamp(min=1e-6)
    loudness = F.avg_pool1d(x.abs()[None], 401, 1, 200)[0].clamp(min=1e-6)
    noise = torch.fft.irfft(noise * colour**coloured, len(x)) * loudness**shaped
    return 0.7 * noise / noise.abs().max()


class Recogniser:
    """Ten digits and *none*, by a network of three convolutions over log-spectra.

    It learns from words (a list of (T,)) and their `digits` (N,), 0 to 9. A quarter of what it hears is spoiled, and to
    be called none: words backwards, and `hiss` in their place. All of it is bent at random, as voices and rooms
    bend it: longer, shorter, higher, lower, brighter, duller, over a floor of noise.
    """

    def __init__(self, words, digits, rate, *, generator, steps=STEPS):
        self.rate = rate
        real = spectra(words, rate)
        noise = spectra([hiss(x, generator=generator) for x in words], rate)
        self.scale = real.std()
        spoiled = torch.cat([real.flip(1), noise])
        answers = torch.cat([digits, torch.full((len(spoiled),), 10)])
        with initialised_by(generator):  # dropout, too, draws from torch's global source
            self.net = _network(*real.shape[1:])
            optimizer = torch.optim.AdamW(self.net.parameters(), lr=LR, weight_decay=0.01)
            schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
            heard = torch.cat([real, spoiled])
            for _ in range(steps):
                i = torch.randint(len(real), (BATCH - BATCH // 4,), generator=generator)
                j = torch.randint(len(real), len(heard), (BATCH // 4,), generator=generator)
                i = torch.cat([i, j])
                x = _bent(heard[i], generator) / self.scale
                loss = F.cross_entropy(self.net(x[:, None]), answers[i], label_smoothing=0.05)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
        self.net.eval()

    @torch.no_grad()
    def __call__(self, words):
        """Words, a list of (T,) -> (B,): the digit of each, or NONE."""
        found = self.net(spectra(words, self.rate)[:, None] / self.scale).argmax(1)
        loud = torch.tensor([bool(x.abs().max() >= QUIET) for x in words])
        return torch.where(loud & (found < 10), found, NONE)


def strangers(words, digits, voices, rate, *, generator, steps=STEPS):
    """How often a Recogniser is right about a person it has never heard: {voice: share}, each left out once."""
    right = {}
    for voice in voices.unique().tolist():
        others, theirs = (torch.where(kept)[0].tolist() for kept in (voices != voice, voices == voice))
        judge = Recogniser([words[n] for n in others], digits[others], rate, generator=generator, steps=steps)
        right[voice] = (judge([words[n] for n in theirs]) == digits[theirs]).float().mean().item()
    return right


def _network(frames, bands):
    def block(a, b, stride):
        return nn.Conv2d(a, b, 3, stride, padding=1), nn.BatchNorm2d(b), nn.ReLU()

    def half(length):
        return -(-length // 2)

    last = nn.Linear(64 * half(half(half(frames))) * half(half(half(bands))), 11)
    return nn.Sequential(*block(1, 16, 2), *block(16, 32, 2), *block(32, 64, 2), nn.Flatten(), nn.Dropout(0.3), last)


def _bent(x, generator):
    """Spectra (B, frames, bands) in dB as another mouth, room and microphone would have made them."""

    def between(low, high):
        return low + (high - low) * torch.rand(len(x), generator=generator)

    B, frames, bands = x.shape
    to = torch.zeros(B, 2, 3)
    to[:, 0, 0], to[:, 0, 2] = between(0.85, 1.15), between(-0.12, 0.12)  # bands: a longer or shorter throat
    to[:, 1, 1], to[:, 1, 2] = between(0.85, 1.15), between(-0.15, 0.15)  # frames: silence at the ends, or none
    grid = F.affine_grid(to, [B, 1, frames, bands], align_corners=False)
    x = F.grid_sample(x[:, None], grid, padding_mode="border", align_corners=False)[:, 0]
    across = torch.linspace(-1, 1, bands)
    x = x + between(-6, 6)[:, None, None] * across + between(-4, 4)[:, None, None] * torch.cos(math.pi * across)
    floor = x.amax((1, 2)) - between(20, SPAN)
    x = torch.maximum(x, floor[:, None, None]) + 2 * torch.randn(x.shape, generator=generator)
    return x - x.mean((1, 2), keepdim=True)
