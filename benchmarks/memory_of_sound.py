"""How much past does a sound need? WaveNets of several fields, trained alike: `python benchmarks/memory_of_sound.py`.

Each row of `ROWS` is one network, trained with `--seeds` 0 and 1 (default). Every prediction has all the past that it
has in drawing, and the conditions beside it: of words, a step is one whole clip; of notes, of which one at a time
teaches little, it is 40 ms of four clips, after as much of their past as the network sees. All rows of one kind predict
the same samples in the same order, for as many steps. Ctrl-C loses nothing: the same command
goes on, row by row, from `checkpoints/memory_of_sound/`. A row's numbers go to `results/memory_of_sound.json`, what it
draws to `data/samples/`: three sounds of each field, and the weights of the network that learnt Adam's voice alone.
"""

import argparse
import json
import math
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import torch
import torch.nn.functional as F
from recipes.rows import rounded

from course_lib.checkpoint import History
from course_lib.data import load_notes, load_words
from course_lib.data.clips import FRAME, Clips
from course_lib.data.waveforms import mu_law_decode, mu_law_encode
from course_lib.device import make_generator
from course_lib.layers import gate, initialised_by
from course_lib.measure.harmonics import harmonic_share, in_tune, note_share
from course_lib.measure.listening import Listener, burst_levels, unlike
from course_lib.models.wavenet import WaveNet, WaveNetConfig
from course_lib.show.sounds import sound
from course_lib.train import fit

HERE = Path(__file__).parent
RESULTS, SAMPLES = HERE / "results" / "memory_of_sound.json", HERE.parent / "data" / "samples"
ASKED = 80  # words or notes that each network is asked for
HEARD = {f"{kind} {ms} ms": f"{kind}_{ms}" for kind in ("words", "notes") for ms in (16, 64, 256)}  # to be listened to
SILENT = 6  # frames at either end of a word's 60, in which nothing ever sounds
LR = 1e-2
PIECE = 4  # frames
ADAM = 1  # in voices.SPEAKERS
STOCK = 1600, 16  # words, and the seed of all that chapter 5's three machines know: Adam's 408, whatever the row's seed
SHORT = 250  # steps of a row that leaves a part out


@dataclass(frozen=True)
class Row:
    """One network: what it learns from, its layers and stacks, how long it trains, and the part that it lacks."""

    data: str
    layers: int
    stacks: int
    steps: int
    without: str = ""


ROWS = {
    "words 16 ms": Row("words", 12, 2, 1200),
    "words 64 ms": Row("words", 16, 2, 1200),
    "words 256 ms": Row("words", 20, 2, 1200),
    "words 16 ms, 20 layers": Row("words", 20, 4, 1200),
    "notes 16 ms": Row("notes", 12, 2, 400),
    "notes 64 ms": Row("notes", 16, 2, 400),
    "notes 256 ms": Row("notes", 20, 2, 400),
    "notes 16 ms, 20 layers": Row("notes", 20, 4, 400),
    "Adam": Row("Adam", 16, 2, 2000),
    "all parts": Row("words", 12, 2, SHORT),
    "no gate": Row("words", 12, 2, SHORT, "gate"),
    "no residual": Row("words", 12, 2, SHORT, "residual"),
    "no skips": Row("words", 12, 2, SHORT, "skips"),
    "no smooth start": Row("words", 12, 2, SHORT, "smooth start"),
    "words 16 ms, as long as 256 ms": Row("words", 12, 2, 2000),
}


class Without(WaveNet):
    """A WaveNet that lacks one part. No gate: tanh alone. No residual: a layer hands on only what it adds. No skips:
    the end hears the last layer alone. No smooth start: torch's own first weights, where every level is a stranger.
    """

    def __init__(self, config, part, *, generator):
        super().__init__(config, generator=generator)
        self.part = part
        if part == "smooth start":
            with initialised_by(generator):
                self.embed.reset_parameters()
                self.head[3].reset_parameters()

    def forward(self, x, global_condition=None, local_condition=None):
        if self.part in ("", "smooth start"):
            return super().forward(x, global_condition, local_condition)
        B, T = x.shape
        conditioning = self.conditioning(B, T, global_condition, local_condition)
        h, skip = F.pad(self.embed(x[:, :-1]).transpose(1, 2), (1, 0)), 0
        for layer, conv in enumerate(self.convs):
            z = conv(h) + self._each_sample(conditioning[:, :, layer], T)
            g = z.chunk(2, 1)[0].tanh() if self.part == "gate" else gate(z)
            if self.part != "skips" or layer == len(self.adds):
                skip = skip + self.skips[layer](g)
            if layer < len(self.adds):
                h = self.adds[layer](g) + (h if self.part != "residual" else 0)
        return self.head(skip).transpose(1, 2)


@cache
def clips_of(data: str, n: int, seed: int) -> Clips:
    """`n` words or notes of 48 frames, 0.48 s, silent at both ends; "Adam" are his of `n` words."""
    if data == "notes":
        return load_notes(n, generator=make_generator(seed), frames=48)
    clips, inner = load_words(n, generator=make_generator(seed)), slice(SILENT, -SILENT)
    clips = clips if data == "words" else clips[clips.speaker == ADAM]
    samples = slice(FRAME * SILENT, -FRAME * SILENT)
    cut = {name: getattr(clips, name)[:, inner] for name in ("label", "local_condition", "pitch")}
    return Clips(x=clips.x[:, samples], speaker=clips.speaker, **cut)


def conditions(clips: Clips) -> tuple[torch.Tensor, torch.Tensor]:
    """Who sounds, one-hot (N, 4), and what, frame by frame (N, F, L)."""
    return F.one_hot(clips.speaker, 4).float(), clips.local_condition


def train(row: Row, seed: int, checkpoint: Path, progress: bool) -> tuple[WaveNet, History]:
    """The trained model of a row, and its history; what lies at `checkpoint` is gone on with."""
    clips = clips_of(row.data, *(STOCK if row.data == "Adam" else (3000, seed)))
    sizes = {"layers": row.layers, "stacks": row.stacks, "features": 32, "skip_features": 32}
    config = WaveNetConfig(**sizes, global_channels=4, local_channels=clips.local_condition.shape[2])
    model = Without(config, row.without, generator=make_generator(seed))
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    settings = {"steps": row.steps, "lr": LR, "schedule": "cosine", "generator": make_generator(seed)}
    settings |= {"checkpoint": checkpoint, "progress": progress}
    x, told = mu_law_encode(clips.x), conditions(clips)
    if row.data != "notes":
        return model, fit(model, (x, *told), loss=nats, batch_size=1, **settings)

    places = torch.cartesian_prod(torch.arange(len(x)), torch.arange(1, clips.label.shape[1] - PIECE))
    return model, fit(model, tuple(places.T), loss=nats_of_pieces(x, *told), batch_size=4, **settings)


def nats_of_pieces(x, who, what):
    """A loss for batches (clip, first frame): of PIECE frames there, at the first one's place in all of the batch."""

    def nats(model, clip, first):
        start = max(0, int(first[0]) - model.receptive_field // FRAME - 2)
        stop = min(int(first[0]) + PIECE + 1, what.shape[1])  # one frame more: conditions look ahead by one
        samples, frames = slice(start * FRAME, stop * FRAME), slice(start, stop)
        here = slice((int(first[0]) - start) * FRAME, (int(first[0]) - start + PIECE) * FRAME)
        logits = model(x[clip, samples], who[clip], what[clip, frames])[:, here]
        return F.cross_entropy(logits.transpose(1, 2), x[clip, samples][:, here], reduction="none").mean(1)

    return nats


def nats(model, x, who, what):
    """The mean over the samples of each clip: (B,)."""
    return -model.log_prob(x, who, what) / x.shape[1]


def draw(model: WaveNet, clips: Clips, seed: int) -> Clips:
    """The same, as the model draws it: `clips` are what it is asked for."""
    who, what = conditions(clips)
    told = {"global_condition": who, "local_condition": what, "generator": make_generator(seed), "progress": False}
    return replace(clips, x=mu_law_decode(model.sample(len(clips), length=clips.x.shape[1], **told).cpu()))


@torch.no_grad()
def bits(model: WaveNet, clips: Clips) -> float:
    """What a sample costs, the mean over those of frames with sound."""
    x, sounds = mu_law_encode(clips.x), (clips.label > 0).repeat_interleave(FRAME, 1)
    cost = [
        F.cross_entropy(model(x[part], *conditions(clips[part])).transpose(1, 2), x[part], reduction="none")
        for part in torch.arange(len(x)).split(10)
    ]
    return torch.cat(cost)[sounds].mean().item() / math.log(2)


class Words:
    """Measures drawn words beside real ones."""

    def __init__(self):
        self.asked, self.listener = clips_of("words", ASKED, 1000), Listener(clips_of("words", 300, 3000))
        self.real = self.listener.traits(clips_of("words", 200, 2000))

    def measure(self, clips: Clips) -> dict:
        right, bursts = self.listener.words_right(clips).float(), burst_levels(clips) >= self.listener.weakest_burst
        traits = self.listener.traits(clips)
        spread = {name: (traits[name].std() / self.real[name].std()).item() for name in ("F1", "F2")}
        far = {name: unlike(values, self.real[name]) for name, values in traits.items() if len(values) > 1}
        return {
            "words_right": right.mean().item(),
            "words_right_by_voice": [right[clips.speaker == voice].mean().item() for voice in range(4)],
            "t_bursts": bursts.float().mean().item(),
            "harmonics": harmonic_share(clips.x, clips.pitch).nanmean().item(),
            "in_tune": in_tune(clips.x, clips.pitch).float().mean().item(),
            **{f"spread_of_{name}": value for name, value in spread.items()},
            "unlike_real": far,
        }


class Notes:
    """Measures drawn notes and chords."""

    def __init__(self):
        self.asked = clips_of("notes", ASKED, 1000)

    def measure(self, clips: Clips) -> dict:
        share, one = note_share(clips), clips.label[:, 24] <= 7
        return {
            "harmonics": share.mean().item(),
            "harmonics_of_notes": share[one].mean().item(),
            "harmonics_of_chords": share[~one].mean().item(),
        }


def floors(judge) -> dict:
    """What the real ones reach, after 256 levels, and what hiss does."""
    noise = 0.1 * torch.randn(judge.asked.x.shape, generator=make_generator(0)).clamp(-5, 5)
    levels = mu_law_decode(mu_law_encode(judge.asked.x))
    return {name: judge.measure(replace(judge.asked, x=x)) for name, x in (("real", levels), ("hiss", noise))}


def measure(name: str, seed: int, model: WaveNet, history: History, judge) -> tuple[dict, torch.Tensor]:
    """A row of the results, and three of the sounds: the first of three voices, or the first three notes."""
    c, row = model.config, ROWS[name]
    asked = judge.asked[judge.asked.speaker == ADAM] if row.data == "Adam" else judge.asked
    found = {
        "row": name,
        "seed": seed,
        "without": row.without,
        "field": model.receptive_field,
        "layers": c.layers,
        "stacks": c.stacks,
        "parameters": sum(p.numel() for p in model.parameters()),
        "steps": row.steps,
        "seconds": round(history.seconds),
        "bits": bits(model, asked),
    }
    if row.steps == SHORT or row.data == "Adam":  # chapter 5 measures Adam's draws itself
        return found, torch.zeros(0)
    drawn = draw(model, asked, seed)
    firsts = range(3) if row.data == "notes" else [(drawn.speaker == voice).nonzero()[0, 0] for voice in (0, 1, 3)]
    return found | judge.measure(drawn), torch.cat([drawn.x[n] for n in firsts])


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", nargs="*", choices=ROWS, default=list(ROWS))
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1])
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    wanted = parser.parse_args(argv)
    torch.set_num_threads(1)
    results = {"command": "python benchmarks/memory_of_sound.py", "torch": torch.__version__, "rows": []}
    if RESULTS.exists():
        results = json.loads(RESULTS.read_text("utf-8"))
    judges = {}
    for seed, name in ((seed, name) for seed in wanted.seeds for name in wanted.rows):
        file = f"{name.replace(' ', '_').replace(',', '')}_{seed}.pt"
        model, history = train(ROWS[name], seed, HERE / "checkpoints" / "memory_of_sound" / file, not wanted.quiet)
        if len(history.loss) < ROWS[name].steps:
            raise SystemExit("stopped: the same command goes on from here")
        kind = "notes" if ROWS[name].data == "notes" else "words"
        if kind not in judges:
            judges[kind] = Notes() if kind == "notes" else Words()
            results[f"{kind}_floors"] = rounded(floors(judges[kind]))
        found, sounds = measure(name, seed, model, history, judges[kind])
        others = [row for row in results["rows"] if (row["row"], row["seed"]) != (name, seed)]
        results["rows"] = [*others, rounded(found)]
        results["rows"].sort(key=lambda row: (list(ROWS).index(row["row"]), row["seed"]))
        half = RESULTS.with_suffix(".half")
        half.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", "utf-8")
        half.replace(RESULTS)  # never half a file
        if seed == 0 and name in HEARD:
            (SAMPLES / f"memory_{HEARD[name]}.wav").write_bytes(sound(sounds).data)
        if seed == 0 and name == "Adam":
            halves = {key: value.half() for key, value in model.state_dict().items()}
            torch.save(halves, SAMPLES / "adam_wavenet.pt")
        print(f"{name}, seed {seed}: {found['bits']:.3f} bits, {found.get('harmonics', 0):.2f}", flush=True)


if __name__ == "__main__":
    main()
