"""A WaveNet on real voices, the spoken digits: `python benchmarks/spoken_digits.py --minutes 25`.

Trains by the clock or for `--steps`, writes what came out to `results/spoken_digits.json`, and lets the model say the
ten digits, which become `data/samples/spoken_digits.wav`. The model is told the speaker, and frame by frame which
digit it is and where in the word; all else, the pitch too, it draws. Ctrl-C loses nothing, and no crash more than the
last few seconds: the same command again goes on from `checkpoints/spoken_digits.pt`, or, where that run is complete,
measures and speaks again; `--fresh` starts anew. On a GPU, e.g. `--batch-size 64 --precision bf16-mixed`.

Two things are done to the recordings: each is brought to the same peak, 0.7, since theo is 20 dB quieter than lucas,
and then quantised by the μ-law to 256 levels. Bits per sample are of these levels. Only the frames of a word count
(`label` > 0), in training as in the numbers, and none of the zeros that follow it.
"""

import argparse
import json
import math
import sys
import time
from dataclasses import asdict
from pathlib import Path

import torch
import torch.nn.functional as F

from course_lib.checkpoint import History, load
from course_lib.data.clips import FRAME
from course_lib.data.spoken_digits import SPEAKERS, load_spoken_digits
from course_lib.data.store import StoreError
from course_lib.data.waveforms import mu_law_decode, mu_law_encode
from course_lib.device import make_generator, pick_device
from course_lib.models.wavenet import WaveNet, WaveNetConfig
from course_lib.prob import categorical_log_prob
from course_lib.show.sounds import sound
from course_lib.train import NotFinite, fit

ROOT = Path(__file__).parents[1]
PEAK = 0.7  # of every recording, before it is quantised
WINDOW = 25  # frames that are trained on in one piece, 2,000 samples: many small updates learn more than few large
VALID = 60  # the first clips of the train split, one of each digit and speaker, are not trained on
LOOKS = 10  # how often a run looks at windows from these
MARGIN = 0.95  # of the minutes are planned for: a machine is not always equally fast
ALPHA = 0.1  # what the bigram adds to each count
PAUSE = 0.15  # seconds between two words
CONFIG = WaveNetConfig(
    layers=16, stacks=2, features=32, skip_features=64, global_channels=len(SPEAKERS), local_channels=61
)


class Words:
    """Clips as the model takes them, on one device: levels, conditions, and which samples are of a word."""

    def __init__(self, clips, device, levels):
        loudest = clips.x.abs().amax(1, keepdim=True).clamp(min=1e-6)
        self.levels = mu_law_encode(PEAK * clips.x / loudest, levels).to(device)  # (N, T)
        self.speaker = F.one_hot(clips.speaker, len(SPEAKERS)).float().to(device)  # (N, G)
        self.local_condition = clips.local_condition.to(device)  # (N, F, L)
        self.frames = (clips.label > 0).sum(1).to(device)  # (N,)
        self.digit, self.voice, self.rate = clips.label[:, 0] - 1, clips.speaker, clips.rate
        self.window = min(WINDOW, self.local_condition.shape[1])

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

    def pairs(self, which, levels):
        """How often each level (column) follows each (row) in clips `which`; before the first stands silence."""
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


def begin(config, seed, counts, device):
    """A WaveNet that knows before it learns that levels are numbers, and how frequent each one is.

    The embedding and the last layer begin alike for neighbouring levels, and the last bias at the log-frequencies.
    """
    model = WaveNet(config, generator=make_generator(seed))
    level = torch.arange(config.levels)
    near = torch.exp(-0.5 * ((level[:, None] - level) / (config.levels / 32)) ** 2)
    with torch.no_grad():
        for weight in (model.embed.weight, model.head[3].weight[:, :, 0]):
            smooth = near @ weight
            weight.copy_(smooth * weight.std() / smooth.std())
        model.head[3].bias.copy_(((counts + 1) / (counts + 1).sum()).log())
    return model.to(device)


def planned(minutes, wanted, make_model, words, windows):
    """How many steps `minutes` are: a short trial tells."""
    settings = {key: wanted[key] for key in ("batch_size", "lr", "precision")} | {"loss": words.nats, "progress": False}
    model, history, seconds = make_model(), History(), 0.0
    for steps in (5, 30):  # the first steps are slower
        generator, before = make_generator(0, pick_device()), history.seconds
        asked = len(history.loss) + steps
        history = fit(model, windows, steps=asked, history=history, generator=generator, **settings)
        if len(history.loss) < asked:
            raise KeyboardInterrupt
        seconds = history.seconds - before
    return max(1, int(MARGIN * 60 * minutes * 30 / seconds))


def agreed(path, wanted, steps):
    """The plan that lies at `path`, or a new one, left there. Raises ValueError where that one is of another run."""
    if not path.exists():
        plan = wanted | {"steps": wanted["steps"] or steps()}
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(plan, indent=1) + "\n", "utf-8")
        return plan
    plan = json.loads(path.read_text("utf-8"))
    asked = {key: value for key, value in wanted.items() if (key, value) != ("steps", None)}  # minutes are not compared
    if differs := [f"{key} {plan[key]}, not {asked[key]}" for key in asked if asked[key] != plan[key]]:
        raise ValueError(f"{path} is of another run (it has {'; '.join(differs)}): --fresh replaces it")
    return plan


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


def run(wanted, minutes, config, clips, held_out, folder, wav, progress):
    """Train as `wanted` says (its steps are None where `minutes` decide) and measure: the row, or None if stopped."""
    device = pick_device()
    words, test = Words(clips, device, config.levels), Words(held_out, device, config.levels)
    valid, train = range(min(VALID, len(clips) // 2)), range(min(VALID, len(clips) // 2), len(clips))
    windows, pairs = words.windows(train), words.pairs(train, config.levels)
    watched = words.windows(valid)
    watched = tuple(t[:: max(1, len(t) // 100)] for t in watched)

    def make_model():
        return begin(config, wanted["seed"], pairs.sum(0), device)

    model, checkpoint = make_model(), folder / "checkpoints" / "spoken_digits.pt"
    plan = agreed(checkpoint.with_suffix(".json"), wanted, lambda: planned(minutes, wanted, make_model, words, windows))
    history = load(checkpoint, model) if checkpoint.exists() else History()
    done, parameters = len(history.loss), sum(p.numel() for p in model.parameters())
    print(f"{parameters:,} parameters, {done} of {plan['steps']} steps done", flush=True)
    if done < plan["steps"]:
        settings = {key: plan[key] for key in ("steps", "batch_size", "lr", "precision")}
        settings |= {"schedule": "cosine", "valid": watched, "valid_every": max(1, plan["steps"] // LOOKS)}
        generator = make_generator(plan["seed"], device)
        settings |= {"generator": generator, "checkpoint": checkpoint, "progress": progress}
        history = fit(model, windows, loss=words.nats, **settings)
    if len(history.loss) < plan["steps"]:
        return None
    model.eval()
    said, found, real = speak(model, test, make_generator(plan["seed"]), progress)
    wav.parent.mkdir(parents=True, exist_ok=True)
    wav.write_bytes(sound(in_a_row(said, test.rate), test.rate).data)
    everything = range(len(held_out))
    return {
        "model": "WaveNet",
        "config": asdict(config),
        "parameters": parameters,
        "receptive_field": model.receptive_field,
        "test_bits_per_sample": round(test.bits(model, everything), 4),
        "bits_are_of": f"samples of frames with label > 0, every recording at a peak of {PEAK}, mu-law",
        "test_samples": int(test.frames.sum()) * FRAME,
        "valid_bits_per_sample": round(words.bits(model, valid), 4),
        "bigram_test_bits_per_sample": round(bigram_bits(pairs, test.pairs(everything, config.levels)), 4),
        "uniform_bits_per_sample": math.log2(config.levels),
        "clips": {"train": len(train), "valid": len(valid), "test": len(held_out)},
        "drawn_words": len(said),
        "nearest_real_word_is_of_the_same": found,
        "nearest_real_word_to_real_ones_is_of_the_same": real,
        "samples_per_second_of_sample": round(samples_a_second(model, test)),
        **plan,
        "schedule": "cosine",
        "window": words.window * FRAME,
        "seconds": round(history.seconds, 1),
        "device": torch.cuda.get_device_name() if device.type == "cuda" else device.type,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "valid_window_bits_after_steps": {str(s): round(nats / math.log(2), 3) for s, nats in history.valid},
    }


def main(argv=None, config=CONFIG, load_clips=load_spoken_digits, folder=ROOT / "benchmarks", wav=None, progress=True):
    def above(kind):
        def read(text):
            if not 0 < (value := kind(text)) < float("inf"):
                raise ValueError
            return value

        read.__name__ = f"{kind.__name__} (it must be above 0)"
        return read

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    how_long = parser.add_mutually_exclusive_group()
    how_long.add_argument(
        "--minutes", type=above(float), default=25.0, help="of training, from its start (default: 25)"
    )
    how_long.add_argument("--steps", type=above(int), help="to train for, instead of minutes")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--lr", type=above(float), default=5e-3, help="at the start, falls to 0 (default: 0.005)")
    parser.add_argument("--batch-size", type=above(int), default=2, help="windows of 2,000 samples (default: 2)")
    parser.add_argument("--precision", help="of training, e.g. bf16-mixed on a GPU (default: 32 bits)")
    parser.add_argument("--fresh", action="store_true", help="delete the checkpoint and start anew")
    arguments = parser.parse_args(argv)
    wanted = {key: getattr(arguments, key) for key in ("steps", "seed", "lr", "batch_size", "precision")}
    if arguments.fresh:
        for suffix in ("pt", "json"):
            (folder / "checkpoints" / f"spoken_digits.{suffix}").unlink(missing_ok=True)
    wav = wav or ROOT / "data" / "samples" / "spoken_digits.wav"
    try:
        clips, held_out = load_clips("train"), load_clips("test")
        row = run(wanted, arguments.minutes, config, clips, held_out, folder, wav, progress)
    except (StoreError, NotFinite, ValueError) as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        row = None
    if row is None:
        sys.exit("stopped: the same command goes on from here")
    path = folder / "results" / "spoken_digits.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(row, indent=1) + "\n", "utf-8")
    beside = f"bigram {row['bigram_test_bits_per_sample']:.3f}, uniform {row['uniform_bits_per_sample']:.0f}"
    on = f"on {row['clips']['test']} test clips"
    print(f"{row['test_bits_per_sample']:.3f} bits per sample {on} ({beside}) -> {path.name}")
    return row


if __name__ == "__main__":
    main()
