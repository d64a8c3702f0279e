"""How much past does a sound need? WaveNets of several fields, trained alike: `python benchmarks/memory_of_sound.py`.

Each row of `ROWS` is one network, trained with `--seeds` 0 and 1 (default). A step is one whole clip, from silence to
silence, so every prediction has all the past that it has in drawing, and the conditions are those of the whole clip.
All rows of one kind see the same clips in the same order, for as many steps. Ctrl-C loses nothing: the same command
goes on, row by row, from `checkpoints/memory_of_sound/`.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F

from course_lib.data import load_notes, load_words
from course_lib.data.clips import Clips
from course_lib.data.waveforms import mu_law_encode
from course_lib.device import make_generator
from course_lib.layers import gate, initialised_by
from course_lib.models.wavenet import WaveNet, WaveNetConfig
from course_lib.train import fit

HERE = Path(__file__).parent
SILENT = 6  # frames at either end of a word's 60, in which nothing ever sounds
LR = 1e-2
ADAM = 1  # in voices.SPEAKERS
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
    "notes 16 ms": Row("notes", 12, 2, 800),
    "notes 64 ms": Row("notes", 16, 2, 800),
    "notes 256 ms": Row("notes", 20, 2, 800),
    "notes 16 ms, 20 layers": Row("notes", 20, 4, 800),
    "Adam": Row("Adam", 16, 2, 2500),
    "all parts": Row("words", 12, 2, SHORT),
    "no gate": Row("words", 12, 2, SHORT, "gate"),
    "no residual": Row("words", 12, 2, SHORT, "residual"),
    "no skips": Row("words", 12, 2, SHORT, "skips"),
    "no smooth start": Row("words", 12, 2, SHORT, "smooth start"),
    "words 16 ms, as long as 256 ms": Row("words", 12, 2, 2000),
    "notes 16 ms, as long as 256 ms": Row("notes", 12, 2, 1333),
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


def stock() -> Clips:
    """Adam's words, some 400: the recordings that chapter 5's three machines share, whatever the seed."""
    clips = clips_of("words", 1600, 16)
    return clips[clips.speaker == ADAM]


def clips_of(data: str, n: int, seed: int) -> Clips:
    """`n` words or notes of 48 frames, 0.48 s, silent at both ends."""
    if data == "notes":
        return load_notes(n, generator=make_generator(seed), frames=48)
    clips, inner = load_words(n, generator=make_generator(seed)), slice(SILENT, -SILENT)
    samples = slice(80 * SILENT, -80 * SILENT)
    cut = {name: getattr(clips, name)[:, inner] for name in ("label", "local_condition", "pitch")}
    return Clips(x=clips.x[:, samples], speaker=clips.speaker, **cut)


def conditions(clips: Clips) -> tuple[torch.Tensor, torch.Tensor]:
    """Who sounds, one-hot (N, 4), and what, frame by frame (N, F, L)."""
    return F.one_hot(clips.speaker, 4).float(), clips.local_condition


def nats(model, x, who, what):
    """The mean over the samples of each clip: (B,)."""
    return -model.log_prob(x, who, what) / x.shape[1]


def train(row: Row, seed: int, checkpoint: Path, progress: bool):
    """The trained model of a row, and its history; what lies at `checkpoint` is gone on with."""
    clips = stock() if row.data == "Adam" else clips_of(row.data, 3000, seed)
    generator = make_generator(seed)
    local = clips.local_condition.shape[2]
    sizes = {"layers": row.layers, "stacks": row.stacks, "features": 32, "skip_features": 32}
    config = WaveNetConfig(**sizes, global_channels=4, local_channels=local)
    model = Without(config, row.without, generator=generator)
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    settings = {"steps": row.steps, "batch_size": 1, "lr": LR, "schedule": "cosine", "generator": make_generator(seed)}
    data = (mu_law_encode(clips.x), *conditions(clips))
    return model, fit(model, data, loss=nats, **settings, checkpoint=checkpoint, progress=progress)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", nargs="*", choices=ROWS, default=list(ROWS))
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1])
    parser.add_argument("--quiet", action="store_true")
    wanted = parser.parse_args(argv)
    torch.set_num_threads(1)
    for seed in wanted.seeds:
        for name in wanted.rows:
            file = name.replace(" ", "_").replace(",", "") + f"_{seed}.pt"
            path = HERE / "checkpoints" / "memory_of_sound" / file
            model, history = train(ROWS[name], seed, path, not wanted.quiet)
            print(
                f"{name}, seed {seed}: {model.receptive_field} samples, {history!r}, {history.seconds:.0f} s",
                flush=True,
            )


if __name__ == "__main__":
    main()
