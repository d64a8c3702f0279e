"""A WaveNet on real voices, the spoken digits: bits per sample, and the ten digits as it says them.

The model is told the speaker, and frame by frame which digit it is and where in the word; all else, the pitch too, it
draws. Two things are done to the recordings: each is brought to the same peak, 0.7, since theo is 20 dB quieter than
lucas, and then quantised by the μ-law to 256 levels. Bits per sample are of these levels. Only the frames of a word
count (`label` > 0), in training as in the numbers, and none of the zeros that follow it. On a GPU, e.g.
`--batch-size 64 --precision bf16-mixed`.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from course_lib.data.clips import FRAME
from course_lib.data.spoken_digits import SPEAKERS, load_spoken_digits
from course_lib.data.waveforms import mu_law_decode, mu_law_encode
from course_lib.device import make_generator
from course_lib.models.wavenet import WaveNet, WaveNetConfig
from course_lib.prob import categorical_log_prob
from course_lib.show.sounds import sound

from .recipe import Recipe

PEAK = 0.7  # of every recording, before it is quantised
ALPHA = 0.1  # what the bigram adds to each count
PAUSE = 0.15  # seconds between two words
CONFIG = WaveNetConfig(
    layers=16, stacks=2, features=32, skip_features=64, global_channels=len(SPEAKERS), local_channels=61
)


@dataclass(kw_only=True)
class Voices(Recipe):
    """Windows of words to train on, whole words to measure; `spoken_digits.wav` is what it says in the end."""

    config: WaveNetConfig = CONFIG
    load_clips: Callable = load_spoken_digits
    window: int = 25  # frames in one piece, 2,000 samples: many small updates learn more than few large ones
    held_out: int = 60  # the first clips of the train split, one of each digit and speaker, are not trained on
    lr: float = 5e-3
    batch_size: int = 2
    minutes: float = 25.0
    about = "WaveNet on spoken digits; writes data/samples/spoken_digits.wav"
    looks, unit, nats_a_unit = 10, "bits a sample, of 100 windows", math.log(2)

    def load(self, device, seed):
        clips, test = self.load_clips("train"), self.load_clips("test")
        self.words, self.test = (Words(part, device, self.config.levels, self.window) for part in (clips, test))
        held_out = min(self.held_out, len(clips) // 2)
        self.valid, self.learnt = range(held_out), range(held_out, len(clips))
        self.train, watched = self.words.windows(self.learnt), self.words.windows(self.valid)
        self.watched = tuple(t[:: max(1, len(t) // 100)] for t in watched)
        self.pairs = self.words.pairs(self.learnt)
        return {
            "clips": {"train": len(self.learnt), "valid": held_out, "test": len(test)},
            "window": self.words.window * FRAME,
        }

    def begin(self, generator):
        """A WaveNet that knows before it learns that levels are numbers, and how frequent each one is.

        The embedding and the last layer begin alike for neighbouring levels, the last bias at the log-frequencies.
        """
        counts, level = self.pairs.sum(0), torch.arange(self.config.levels)
        model = WaveNet(self.config, generator=generator)
        near = torch.exp(-0.5 * ((level[:, None] - level) / (len(level) / 32)) ** 2)
        with torch.no_grad():
            for weight in (model.embed.weight, model.head[3].weight[:, :, 0]):
                smooth = near @ weight
                weight.copy_(smooth * weight.std() / smooth.std())
            model.head[3].bias.copy_(((counts + 1) / (counts + 1).sum()).log())
        return model

    def loss(self, model, clip, first, *, generator):
        return self.words.nats(model, clip, first)

    def measure(self, model, *, seed, samples, progress):
        said, found, real = speak(model, self.test, make_generator(seed), progress)
        (samples / "spoken_digits.wav").write_bytes(sound(in_a_row(said, self.test.rate), self.test.rate).data)
        everything = range(len(self.test.levels))
        return {
            "receptive_field": model.receptive_field,
            "test_bits_per_sample": round(self.test.bits(model, everything), 4),
            "bits_are_of": f"samples of frames with label > 0, every recording at a peak of {PEAK}, mu-law",
            "test_samples": int(self.test.frames.sum()) * FRAME,
            "valid_bits_per_sample": round(self.words.bits(model, self.valid), 4),
            "bigram_test_bits_per_sample": round(bigram_bits(self.pairs, self.test.pairs(everything)), 4),
            "uniform_bits_per_sample": math.log2(self.config.levels),
            "drawn_words": len(said),
            "nearest_real_word_is_of_the_same": found,
            "nearest_real_word_to_real_ones_is_of_the_same": real,
            "samples_per_second_of_sample": round(samples_a_second(model, self.test)),
        }

    def headline(self, row):
        beside = f"bigram {row['bigram_test_bits_per_sample']:.3f}, uniform {row['uniform_bits_per_sample']:.0f}"
        on = f"on {row['clips']['test']} test clips"
        return f"{row['test_bits_per_sample']:.3f} bits per sample {on} ({beside})"


class Words:
    """Clips as the model takes them, on one device: levels, conditions, and which samples are of a word."""

    def __init__(self, clips, device, levels, window):
        self.V = levels
        loudest = clips.x.abs().amax(1, keepdim=True).clamp(min=1e-6)
        self.levels = mu_law_encode(PEAK * clips.x / loudest, levels).to(device)  # (N, T)
        self.speaker = F.one_hot(clips.speaker, len(SPEAKERS)).float().to(device)  # (N, G)
        self.local_condition = clips.local_condition.to(device)  # (N, F, L)
        self.frames = (clips.label > 0).sum(1).to(device)  # (N,)
        self.digit, self.voice, self.rate = clips.label[:, 0] - 1, clips.speaker, clips.rate
        self.window = min(window, self.local_condition.shape[1])

    def windows(self, which):
        """(clip, first frame) of the windows in clips `which`, (M,) each: every frame of a word is the middle of one.

        Where a window would leave the word, it is moved into it; a word shorter than a window has zeros behind.
        """
        pairs = []
        for n in which:
            frames = int(self.frames[n])
            first = (torch.arange(frames) - self.window // 2).clamp(0, max(0, frames - self.window))
            pairs.append(torch.stack([torch.full((frames,), n), first]))
        return tuple(torch.cat(pairs, 1))

    def nats(self, model, clip, first):
        """The loss of windows, (B,) each -> (B,): nats per sample of the word."""
        frame = first[:, None] + torch.arange(self.window, device=first.device)  # (B, W)
        x = self.levels.unflatten(1, (-1, FRAME))[clip[:, None], frame].flatten(1)  # (B, W * FRAME)
        logits = model(x, self.speaker[clip], self.local_condition[clip[:, None], frame])
        each = F.cross_entropy(logits.transpose(1, 2), x, reduction="none")
        heard = (frame < self.frames[clip, None]).repeat_interleave(FRAME, 1)
        return (each * heard).sum(1) / heard.sum(1)

    def heard(self, n):
        """The levels of clip `n` without the zeros behind."""
        return self.levels[n, : FRAME * self.frames[n]]

    @torch.no_grad()
    def bits(self, model, which):
        """Bits per sample of clips `which`, whole words, each from its begin."""
        nats = samples = 0
        for n in which:
            x, frames = self.heard(n)[None], self.frames[n]
            logits = model(x, self.speaker[n : n + 1], self.local_condition[n : n + 1, :frames])
            nats -= categorical_log_prob(logits, x).item()
            samples += x.numel()
        return nats / samples / math.log(2)

    def pairs(self, which):
        """How often each level (column) follows each (row) in clips `which`; before the first stands silence."""
        levels = self.V
        counts = torch.zeros(levels * levels)
        for n in which:
            x = self.heard(n).cpu()
            before = torch.cat([torch.tensor([levels // 2]), x[:-1]])
            counts += torch.bincount(levels * before + x, minlength=levels * levels)
        return counts.view(levels, levels)


def bigram_bits(train, test):
    """Bits per sample that the pairs of `test` cost under those of `train` (V, V), with ALPHA added to each count."""
    table = (train + ALPHA) / (train + ALPHA).sum(1, keepdim=True)
    return -((test * table.log2()).sum() / test.sum()).item()


def log_spectrum(x, rate, frames=40, bands=24):
    """A word (T,) as (frames, bands) in dB: power in bands evenly spaced in mel, the word stretched to `frames`.

    What is 50 dB below the loudest counts as silence, and the mean is taken out: loudness and length do not matter.
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
    decibels = decibels.clamp(min=decibels.max() - 50)
    decibels = F.interpolate(decibels[None], frames, mode="linear", align_corners=False)[0].T
    return decibels - decibels.mean()


def recognised(said, asked, real, rate):
    """Of words `said` (a list of (T,)), how many have their nearest of `real` in digit, in speaker, and in both.

    `asked` and the first two of each of `real` are (digit, speaker), and its third is the word (T,). Near is a small
    difference of log-spectra, root mean square over the bands, mean over the frames.
    """
    spectra = torch.stack([log_spectrum(x, rate) for *_, x in real])  # (M, frames, bands)
    same = torch.zeros(3, dtype=torch.long)
    for x, (digit, speaker) in zip(said, asked, strict=True):
        apart = (spectra - log_spectrum(x, rate)).square().mean(2).sqrt().mean(1)
        found = real[int(apart.argmin())]
        right = found[0] == digit, found[1] == speaker
        same += torch.tensor([*right, all(right)])
    return dict(zip(("digit", "speaker", "both"), same.tolist(), strict=True))


def speak(model, words, generator, progress):
    """Sample a word for the first clip of each digit and speaker, as long as it: waveforms, and what was asked.

    Also what `recognised` finds: for them, and, as the most that can be hoped for, for those real clips themselves.
    """
    kinds = list(zip(words.digit.tolist(), words.voice.tolist(), strict=True))
    firsts = [kinds.index(kind) for kind in sorted(set(kinds))]
    steps = FRAME * int(words.frames[firsts].max())
    conditions = {
        "global_condition": words.speaker[firsts],
        "local_condition": words.local_condition[firsts, : steps // FRAME],
    }
    x = model.sample(len(firsts), length=steps, generator=generator, progress=progress, **conditions).cpu()
    levels = model.config.levels
    said = [mu_law_decode(row[: len(words.heard(n))], levels) for row, n in zip(x, firsts, strict=True)]
    waves = [mu_law_decode(words.heard(n).cpu(), levels) for n in range(len(kinds))]
    others = [(*kinds[n], waves[n]) for n in range(len(kinds)) if n not in firsts]
    asked = [kinds[n] for n in firsts]
    return (
        dict(zip(asked, said, strict=True)),
        recognised(said, asked, others, words.rate),
        recognised([waves[n] for n in firsts], asked, others, words.rate),
    )


def in_a_row(said, rate):
    """One word of each digit, by another speaker each time where there are several, with pauses between: (T,)."""
    pause, words = torch.zeros(round(PAUSE * rate)), []
    for digit in sorted({digit for digit, _ in said}):
        speakers = [speaker for d, speaker in said if d == digit]
        words += [said[digit, speakers[digit % len(speakers)]], pause]
    x = torch.cat(words[:-1])
    return 0.9 * x / x.abs().max()


def samples_a_second(model, words):
    """The speed of `sample` for one word of a second, after a short one that warms up."""
    for steps in (10 * FRAME, FRAME * words.local_condition.shape[1]):
        conditions = {
            "global_condition": words.speaker[:1],
            "local_condition": words.local_condition[:1, : steps // FRAME],
        }
        start = time.perf_counter()
        model.sample(1, length=steps, generator=make_generator(0), progress=False, **conditions)
    return steps / (time.perf_counter() - start)
