"""A WaveNet on real voices, the spoken digits: bits per sample, and the ten digits as it says them.

The model is told the speaker, and frame by frame which digit it is and where in the word; all else, the pitch too, it
draws. Two things are done to the recordings: each is brought to the same peak, 0.7, since theo is 20 dB quieter than
lucas, and then quantised by the μ-law to 256 levels. Bits per sample are of these levels. Only the frames of a word
count (`label` > 0), in training as in the numbers, and none of the zeros that follow it.

It is then told what the labels of each test recording say, and draws a word for each. Of each digit's draws the first
that a `Recogniser` accepts is kept, and how many it accepts stands in the row; as a choice is as good as its judge,
a second one, the nearest real recording, says what it makes of all draws, and of the ten that were chosen.
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
from course_lib.show.sounds import sound

from .recipe import Recipe
from .recogniser import NONE, STEPS, Recogniser, apart, hiss, strangers

PEAK = 0.7  # of every recording, before it is quantised
ALPHA = 0.1  # what the bigram adds to each count
FEW = 5  # frames, of which all lengths in training are multiples
PAUSE = 0.15  # seconds between two words
CONFIG = WaveNetConfig(
    layers=16, stacks=2, features=32, skip_features=64, global_channels=len(SPEAKERS), local_channels=61
)


@dataclass(kw_only=True)
class Voices(Recipe):
    """A word a step to train on, whole words to measure; `spoken_digits.wav` is what it says in the end."""

    config: WaveNetConfig = CONFIG
    load_clips: Callable = load_spoken_digits
    speakers: tuple = ("jackson", "nicolas")
    held_out: int = 20  # the first clips of the train split, one of each digit and speaker, are not trained on
    lr: float = 5e-3
    batch_size: int = 1  # many small updates learn more than few large ones
    minutes: float = 20.0
    temperature: float = 1.0
    judge_steps: int = STEPS
    about = "WaveNet on spoken digits; writes data/samples/spoken_digits.wav"
    looks, unit, nats_a_unit = 10, "bits a sample", math.log(2)

    def load(self, device, seed):
        told = torch.tensor([SPEAKERS.index(name) for name in self.speakers])
        clips, test = (part[torch.isin(part.speaker, told)] for part in map(self.load_clips, ("train", "test")))
        self.words, self.test = (Words(part, device, self.config.levels) for part in (clips, test))
        held_out = min(self.held_out, len(clips) // 2)
        self.valid, self.learnt = torch.arange(held_out), torch.arange(held_out, len(clips))
        self.train, self.watched = (self.learnt.to(device),), (self.valid.to(device),)
        self.pairs = self.words.pairs(self.learnt)
        return {"speakers": self.speakers, "clips": {"train": len(self.learnt), "valid": held_out, "test": len(test)}}

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

    def loss(self, model, clip, *, generator):
        return self.words.nats(model, clip).sum(1) / (FRAME * self.words.frames[clip])

    def measure(self, model, *, seed, samples, progress):
        generator, rate = make_generator(seed), self.test.rate
        said = speak(model, self.test, self.temperature, generator, progress)
        real = [self.test.wave(n) for n in range(len(said))]
        digit, voice, everything = self.test.digit, self.test.voice, torch.arange(len(said))
        judge, of_strangers = self.judges(generator)
        hissed = [hiss(x, generator=generator) for x in real]
        accepted = judge(said) == digit
        chosen = choose(accepted, digit, voice)
        near, near_real = apart(said, real, rate), apart(real, real, rate).fill_diagonal_(math.inf)
        near, near_real = (distance.argmin(1) for distance in (near, near_real))
        ten = in_a_row([said[n] for n in chosen], rate)
        (samples / "spoken_digits.wav").write_bytes(sound(torch.cat(ten), rate).data)
        return {
            "receptive_field": model.receptive_field,
            "test_bits_per_sample": round(self.test.bits(model, everything), 4),
            "bits_are_of": f"samples of frames with label > 0, every recording at a peak of {PEAK}, mu-law",
            "test_samples": int(self.test.frames.sum()) * FRAME,
            "valid_bits_per_sample": round(self.words.bits(model, self.valid), 4),
            "bigram_test_bits_per_sample": round(bigram_bits(self.pairs, self.test.pairs(everything)), 4),
            "uniform_bits_per_sample": math.log2(self.config.levels),
            "temperature": self.temperature,
            "drawn_words": len(said),
            "accepted_by_the_recogniser": int(accepted.sum()),
            "accepted_of_each_digit": [int(accepted[digit == d].sum()) for d in digit.unique()],
            "accepted_of_the_real_ones": int((judge(real) == digit).sum()),
            "refused_of_the_real_ones_backwards": int((judge([x.flip(0) for x in real]) == NONE).sum()),
            "refused_of_hiss_in_their_place": int((judge(hissed) == NONE).sum()),
            "recogniser_right_about_strangers": of_strangers,
            "nearest_real_word_is_of_the_same": same(near, digit, voice),
            "nearest_real_word_to_real_ones_is_of_the_same": same(near_real, digit, voice),
            "chosen": [f"{SPEAKERS[voice[n]]}, draw {1 + int((digit[:n] == digit[n]).sum())}" for n in chosen],
            "chosen_that_the_recogniser_accepts": int(accepted[chosen].sum()),
            "chosen_whose_nearest_real_word_is_of_the_same_digit": int((digit[near] == digit)[chosen].sum()),
            "chosen_at_decibels": [round(10 * x.square().mean().log10().item(), 1) for x in ten[::2]],
            "samples_per_second_of_sample": round(samples_a_second(model, self.test)),
        }

    def judges(self, generator):
        """A Recogniser that has heard all of the training recordings; and how often such a one is right of strangers.

        It hears the recordings as the model does, quantised, and all people's, not only those whom the model imitates.
        """
        heard = Words(self.load_clips("train"), "cpu", self.config.levels)
        waves, settings = [heard.wave(n) for n in range(len(heard.digit))], {"generator": generator}
        right = strangers(waves, heard.digit, heard.voice, heard.rate, **settings, steps=self.judge_steps)
        right = {SPEAKERS[voice]: round(share, 3) for voice, share in right.items()}
        return Recogniser(waves, heard.digit, heard.rate, **settings, steps=self.judge_steps), right

    def headline(self, row):
        beside = f"bigram {row['bigram_test_bits_per_sample']:.3f}, uniform {row['uniform_bits_per_sample']:.0f}"
        on = f"on {row['clips']['test']} test clips"
        return f"{row['test_bits_per_sample']:.3f} bits per sample {on} ({beside})"


class Words:
    """Clips as the model takes them, on one device: levels, conditions, and which samples are of a word."""

    def __init__(self, clips, device, levels):
        self.V = levels
        loudest = clips.x.abs().amax(1, keepdim=True).clamp(min=1e-6)
        self.levels = mu_law_encode(PEAK * clips.x / loudest, levels).to(device)  # (N, T)
        self.speaker = F.one_hot(clips.speaker, len(SPEAKERS)).float().to(device)  # (N, G)
        self.local_condition = clips.local_condition.to(device)  # (N, F, L)
        self.frames = (clips.label > 0).sum(1).to(device)  # (N,)
        self.digit, self.voice, self.rate = clips.label[:, 0] - 1, clips.speaker, clips.rate

    def told(self, n):
        """What the model is told of clips `n` (B,): who speaks, and the frames of the longest and one of silence.

        A frame's condition reaches the model beside its neighbours', so each word has a frame of silence behind it. Up
        to FEW of them: a processor prepares its convolutions for each length anew, and here there are twenty.
        """
        frames = min(FEW * (int(self.frames[n].max()) // FEW + 1), self.local_condition.shape[1])
        return {"global_condition": self.speaker[n], "local_condition": self.local_condition[n, :frames]}

    def nats(self, model, n):
        """Clips `n` (B,) -> (B, T): nats of each sample of their words, from the begin, and 0 behind them."""
        told = self.told(n)
        frames = told["local_condition"].shape[1]
        x = self.levels[n, : FRAME * frames]
        nats = F.cross_entropy(model(x, **told).transpose(1, 2), x, reduction="none")
        heard = torch.arange(frames, device=x.device) < self.frames[n, None]
        return nats * heard.repeat_interleave(FRAME, 1)

    def heard(self, n):
        """The levels of clip `n` without the zeros behind."""
        return self.levels[n, : FRAME * self.frames[n]]

    def wave(self, n):
        """Clip `n` as the model hears it, (T,) in [-1, 1]."""
        return mu_law_decode(self.heard(n).cpu(), self.V)

    @torch.no_grad()
    def bits(self, model, which):
        """Bits per sample of clips `which`, whole words, each from its begin."""
        nats = sum(self.nats(model, which[i : i + 1]).sum().item() for i in range(len(which)))
        return nats / (FRAME * self.frames[which].sum().item()) / math.log(2)

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


def speak(model, words, temperature, generator, progress):
    """A word drawn for each clip, as long as it, told what its labels say: a list of (T,)."""
    told = words.told(torch.arange(len(words.digit)))
    steps = FRAME * told["local_condition"].shape[1]
    settings = {"generator": generator, "temperature": temperature, "progress": progress}
    x = model.sample(len(words.digit), length=steps, **settings, **told).cpu()
    return [mu_law_decode(row[: len(words.heard(n))], words.V) for n, row in enumerate(x)]


def choose(accepted, digit, voice):
    """For each digit, the first of its draws that is accepted, or the first of all if none is; indices.

    The voices take turns, draw by draw, and from digit to digit another one begins.
    """
    voices, chosen = voice.unique().tolist(), []
    for d in digit.unique().tolist():
        by_voice = [torch.where((digit == d) & (voice == v))[0].tolist() for v in voices]
        first = d % len(voices)
        turns = [n for draws in zip(*by_voice[first:], *by_voice[:first], strict=True) for n in draws]
        chosen.append(next((n for n in turns if accepted[n]), turns[0]))
    return chosen


def same(near, digit, voice):
    """Of how many words the nearest one has the same digit, the same speaker, both."""
    right = digit[near] == digit, voice[near] == voice
    return {"digit": int(right[0].sum()), "speaker": int(right[1].sum()), "both": int((right[0] & right[1]).sum())}


def in_a_row(words, rate):
    """Words with pauses between, a list of (T,); each word equally loud, by its root mean square, the peak at 0.9."""
    words = [x / x.square().mean().sqrt().clamp(min=1e-6) for x in words]
    loudest = max(x.abs().max() for x in words)
    row = [part for x in words for part in (0.9 * x / loudest, torch.zeros(round(PAUSE * rate)))]
    return row[:-1]


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
