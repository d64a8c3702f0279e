"""Chapter 6's videos: what a frame costs each model, and what it draws. `python benchmarks/movers.py`, two hours.

A *job* is one training and gives one row in `results/movers.json`, written when it is done; the same command continues
with the jobs that are missing. `--fresh` starts anew, `--kinds` and `--seeds` choose. `--weights` trains nothing else
than the network that the course ships, and writes it, in half precision, to `data/samples/video_painter.pt`.

The data are digits in black and white that bounce in 12 × 12 pixels (`load_bouncing_digits`): training videos of four
frames, each read once or twice, and test videos of 12 frames, of digits that no training has seen. Adam, batches of 8,
rate 0.01 falling by cosine; the loss is that of all frames but the first. A seed has its own videos, first weights and
batches, and all its trainings of one length see the same batches.

Every row has `kind`, `name`, `seed` and `job`, trainings also `steps`, `weights` (how many numbers) and `seconds` of
the processor, on one thread. Of what the test videos cost, in nats a frame above the floor, from frame 2 on:

- `nats`, the mean, and `error`, its standard error; `straight`, of frames that go on as before; `turn`, where the
  wall left two ways; `corner`, where it left one. `by_frame`: of each frame, of frame 0 null; frame 1 is in it too.

Of what is drawn, with the first two frames of 200 test videos given, lists being by frames ahead, 1 to 10:

- `lawful`: share of the frames that are the one before, moved as the law allows (`course_lib.measure.motion`), exactly;
  `unbroken`: share of the videos in which all have been so far. `unbroken_straight`, `unbroken_turn`: of the frames
  whose video has been unbroken before, the share that is lawful, where going on was possible and where not.
  `after_mistake`: share of lawful frames among all later ones than a video's first mistake; there, what counts as the
  digit is what was drawn last. `same_digit`: share of the frames that hold the given digit, pixel for pixel, anywhere.
- `lawful_on_true`, `lawful_on_true_straight`, `lawful_on_true_turn`: of one frame drawn after true ones.
- `judged`: share in which a judge finds the video's digit; `blank`: share without any ink.

rules: no training. `repeat` the last frame and `straight on` take each pixel for right but for a `slip`, as often as in
the training videos. `the law` draws one of the futures that are allowed, so it is the ceiling of all shares, and `the
law, independent pixels` mixes them, pixel by pixel: the least that a model with independent pixels can pay. In `the
test videos` are the `floor` in nats a frame, the `shares` of the three kinds of frames, and what the `judge` accepts.

main: the VPN and the baseline after 700 and 3,500 steps. `futures`: of 200 next frames drawn after each of 8
beginnings that leave two ways, the share of the one, of the other and of neither. `pixels`: at turns of two ways, how
likely the model holds what came, of the pixels that only one of the futures inks: the `first` and the `later` ones.

mirror: the same where nothing is uncertain. long: both after 7,000 steps, seed 0 alone; this VPN is what is shipped.

told: a VPN that is told no frame, one or two, its ConvLSTM beginning anew for every frame. hidden: a quarter of the
frames is hidden from what comes after them, in training. `hidden_0`, `hidden_1`, `hidden_2`: nats of frames that go
straight on, with none, the last and the last two hidden.

blocks: plain instead of multiplicative, with equal features and with equal weights. dilation: of the encoder's blocks.
size: a larger VPN. broken: `own frame hidden` from the decoder; `future seen`: the context comes one frame too early.
"""

import argparse
import sys
from functools import cache, cached_property
from pathlib import Path

import torch
from decoders import grow
from recipes import movers as of
from recipes.rows import Rows

from course_lib.device import make_generator

RESULTS = Path(__file__).parent / "results" / "movers.json"
WEIGHTS = Path(__file__).parents[1] / "data" / "samples" / "video_painter.pt"
SETTINGS = {
    "videos": 8000,
    "most_videos": 40_000,
    "frames": 4,
    "test": 400,
    "test_frames": 12,
    "given": 2,
    "draws": 200,
    "beginnings": 8,
    "futures": 200,
    "batch_size": 8,
    "lr": 0.01,
    "steps": [700, 3500],
    "long": 7000,
}


def jobs():
    """{kind: jobs}, a job being a name and a number of steps."""
    short, longer = SETTINGS["steps"]
    lengths = dict.fromkeys(of.configs(), (short, longer)) | {"broken": (short,), "size": (longer,)}
    every = {kind: [(name, n) for n in lengths[kind] for name in names] for kind, names in of.configs().items()}
    return {"rules": [()]} | every | {"long": [(name, SETTINGS["long"]) for name in of.configs()["main"]]}


def wanted(kinds, seeds):
    """The jobs (kind, job, seed), seed after seed, the short ones first; `long` comes last, and once."""
    every = [(kind, list(job), seed) for seed in seeds for kind, some in jobs().items() for job in some]
    every = [job for job in every if job[0] in kinds and (job[0] != "long" or job[2] == 0)]
    return sorted(every, key=lambda job: (job[0] == "long", job[2], job[1][1] if job[1] else 0))


class Trial:
    """A seed's videos, and what a model is worth on them."""

    def __init__(self, seed):
        self.seed = seed

    def begin(self, kind):
        pass  # every job has dice of its own

    @cache  # noqa: B019 - a few trials live as long as the command
    def test(self, walls):
        dice = make_generator(30_000 + self.seed)
        return of.data_of(SETTINGS["test"], SETTINGS["test_frames"], walls, "test", dice)

    def train(self, walls, steps):
        n = min(max(SETTINGS["videos"], steps * SETTINGS["batch_size"]), SETTINGS["most_videos"])
        return of.data_of(n, SETTINGS["frames"], walls, "train", make_generator(20_000 + self.seed)).x

    def few(self, walls):
        """The test videos that are drawn on."""
        data, n = self.test(walls), SETTINGS["draws"]
        return type(data)(data.x[:n], data.floor[:n], data.corner[:n], data.labels[:n])

    @cached_property
    def beginnings(self):
        return of.before_turns(self.test("drawn").x, SETTINGS["beginnings"])

    def dice(self):
        return make_generator(40_000 + self.seed)

    def taught(self, kind, config, steps, walls="drawn"):
        knobs = {key: SETTINGS[key] for key in ("batch_size", "lr")} | {"generator": make_generator(self.seed)}
        model, seconds = of.trained(kind, config, self.train(walls, steps), steps=steps, **knobs)
        return model, {"steps": steps, "seconds": seconds, "weights": of.weights(model)}

    def worth(self, model, walls="drawn"):
        cost = of.worth(of.nats_of(model, self.test(walls).x), self.test(walls), walls)
        return cost | of.drawn(of.next_frame_of(model, self.dice()), self.few(walls), SETTINGS["given"], walls)


def rules(trial):
    few = trial.test("drawn")
    yield from of.rules(trial.train("drawn", 1), few, SETTINGS["given"], trial.dice())


def both(trial, name, steps):
    model, how = trial.taught(*of.configs()["main"][name], steps)
    row = {"name": name} | how | trial.worth(model)
    row["pixels"] = of.ghost_pixels(model, trial.test("drawn").x)
    row["futures"] = of.futures_of(of.next_frame_of(model, trial.dice()), trial.beginnings, SETTINGS["futures"])
    if name == "VPN":
        blind = of.Blind(model.config)
        blind.load_state_dict(model.state_dict())
        row["own_frame_hidden"] = of.worth(of.nats_of(blind, trial.test("drawn").x), trial.test("drawn"))["nats"]
    yield row


def mirror(trial, name, steps):
    model, how = trial.taught(*of.configs()["mirror"][name], steps, "mirror")
    yield {"name": name} | how | trial.worth(model, "mirror")


def changed(kind):
    """Rows of one training, with one thing changed."""

    def rows(trial, name, steps):
        model, how = trial.taught(*of.configs()[kind][name], steps)
        yield {"name": name} | how | trial.worth(model)

    return rows


def hidden(trial, name, steps):
    one, config = of.configs()["hidden"][name]
    model, how = trial.taught(of.with_some_hidden(one, 50_000 + trial.seed), config, steps)
    yield {"name": name} | how | of.hidden_worth(model, trial.test("drawn"))


KINDS = {"rules": rules, "main": both, "mirror": mirror, "hidden": hidden, "long": both}
KINDS |= {kind: changed(kind) for kind in ("told", "blocks", "dilation", "size", "broken")}


def ship(path):
    trial = Trial(0)
    model, _ = trial.taught(*of.configs()["main"]["VPN"], SETTINGS["long"])
    torch.save({name: value.half() for name, value in model.state_dict().items()}, path)


def main(argv=None, path=RESULTS, weights=WEIGHTS):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", action="store_true", help="train the network that the course ships, and no other")
    parser.add_argument("--fresh", action="store_true", help="forget the rows that are stored")
    parser.add_argument("--kinds", nargs="*", choices=KINDS, default=list(KINDS))
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    asked = parser.parse_args(argv)
    if asked.weights:
        ship(weights)
        return
    found = Rows(path, "python benchmarks/movers.py", SETTINGS, {})
    try:
        found.begin(asked.fresh)
    except ValueError as error:
        sys.exit(str(error))
    shown = ("steps", "nats", "turn", "straight", "lawful_on_true", "hidden_1", "seconds")
    grow(found, wanted(asked.kinds, asked.seeds), cache(Trial), KINDS, shown)


if __name__ == "__main__":
    main()
