"""How many of MNIST's modes does a generator reach? `python benchmarks/stacked_mnist.py --minutes 30`.

A stacked image is three digits, drawn at random, as the three colours of one image: 1,000 modes, all equally likely
(Metz et al. 2017). A classifier that has learnt MNIST reads 26,000 draws, colour by colour, and as many real ones, as a
floor. `--colours 1` is MNIST itself, with ten modes. A run measures a step and plans how many the minutes are (or takes
`--steps`), and writes `results/<run>.json` with the command that made it. Ctrl-C loses nothing: the same command goes
on from `checkpoints/<run>.pt`; `--fresh` starts anew. On a GPU, e.g. `--steps 50000 --features 64`.
"""

import argparse
import json
import shlex
import sys
import time
from dataclasses import asdict
from pathlib import Path

import torch
import torch.nn.functional as F
from recipes.rows import ran_on
from torch import nn
from train import agreed

from course_lib.data import load_mnist
from course_lib.data.mnist import LEVELS
from course_lib.data.store import StoreError
from course_lib.device import make_generator, pick_device
from course_lib.layers import initialised_by
from course_lib.measure.coverage import mode_kl
from course_lib.models.gan import Discriminator, GANConfig, Generator
from course_lib.train import NotFinite, fit, fit_gan

HERE = Path(__file__).parent
DRAWS = 26_000  # as many as in the published table
TRIAL = 12  # steps from which a run is planned; the first two do not count
READING = {"steps": 1500, "batch_size": 128, "lr": 1e-3, "schedule": "cosine"}  # of the classifier's training
PUBLISHED = {  # modes reached, of 1,000, and the reverse KL in nats
    "DCGAN": (99.0, 3.40),
    "VEEGAN": (150.0, 2.95),
    "DCGAN, again": (78.9, 4.50),  # the same networks and draws as the next, but for the packing
    "PacDCGAN2": (1000.0, 0.06),
}
WHERE = "the first two Srivastava et al. (2017), VEEGAN; the others Lin et al. (2018), PacGAN, table 2, ten trials"


class Stacks:
    """Digits x (N, 1, H, W) put on top of each other at random: `draw(n)` is (n, colours, H, W) long."""

    def __init__(self, x, colours):
        self.x, self.colours = x, colours

    def draw(self, n, *, generator):
        chosen = torch.randint(len(self.x), (n, self.colours), device=generator.device, generator=generator)
        return self.x[chosen.to(self.x.device), 0]


class Reader(nn.Module):
    """Which digit is it? x (B, 1, H, W) long -> logits (B, 10)."""

    def __init__(self, size, *, generator):
        super().__init__()
        height, width = size
        with initialised_by(generator):
            self.net = nn.Sequential(
                nn.Conv2d(1, 32, 4, stride=2, padding=1),
                nn.ReLU(),
                nn.Conv2d(32, 64, 4, stride=2, padding=1),
                nn.ReLU(),
                nn.Flatten(),
                nn.Linear(64 * (height // 4) * (width // 4), 10),
            )

    def forward(self, x):
        return self.net(2 * x / (LEVELS - 1) - 1)


def reader(x, y, seed, progress):
    """A classifier that has learnt digits x (N, 1, H, W), y (N,), with some noise in them, as draws have some."""
    generator = make_generator(seed, x.device)
    model = Reader(x.shape[2:], generator=make_generator(seed)).to(x.device)

    def loss(model, x, y):
        return F.cross_entropy(model(x), y, reduction="none")

    fit(model, (x, y), loss=loss, generator=generator, progress=progress, **READING)
    return model


@torch.no_grad()
def modes_of(model, x):
    """The mode of each stack x (B, colours, H, W) long: its digits, read as one number, (B,) long."""
    found = torch.zeros(len(x), dtype=torch.long)
    for colour in x.split(1, 1):
        found = 10 * found + torch.cat([model(part).argmax(1).cpu() for part in colour.split(1000)])
    return found


def worth(model, x, modes):
    """How many modes stacks x reach, and how evenly."""
    mode = modes_of(model, x)
    return {"modes": len(mode.unique()), "reverse_kl": round(mode_kl(mode, modes), 4)}


def drawn(generator_of_images, n, seed, device):
    """n draws, in parts that fit into memory."""
    dice = make_generator(seed, device)
    sizes = [min(1000, n - done) for done in range(0, n, 1000)]
    return torch.cat([generator_of_images.sample(size, generator=dice) for size in sizes])


def seconds_a_step(play):
    times = []
    play(steps=TRIAL, watch=lambda step: times.append(time.monotonic()), progress=False)
    if len(times) < TRIAL:
        raise KeyboardInterrupt
    return (times[-1] - times[1]) / (TRIAL - 2)


def read(argv):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--minutes", type=float, default=30.0, help="of training (default: 30)")
    length.add_argument("--steps", type=int, help="to train for, instead of minutes")
    parser.add_argument("--colours", type=int, choices=(1, 3), default=3, help="digits in an image (default: 3)")
    parser.add_argument("--packing", type=int, default=2, help="images that are judged together (default: 2)")
    parser.add_argument("--features", type=int, default=32, help="of the networks at full size (default: 32)")
    parser.add_argument("--latent", type=int, default=64)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--lr", type=float, default=1e-3, help="at the start, from where it falls to 0 (default: 1e-3)")
    parser.add_argument("--r1", type=float, default=1.0, help="weight of the gradient penalty (default: 1)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--run", help="name of checkpoint and row (default: stacked_mnist, or mnist_gan)")
    parser.add_argument("--fresh", action="store_true", help="delete this run's checkpoint and start anew")
    asked = vars(parser.parse_args(argv))
    name = asked.pop("run") or ("stacked_mnist" if asked["colours"] == 3 else "mnist_gan")
    return asked, name, asked.pop("fresh")


def main(argv=None, folder=HERE, progress=True):
    argv = sys.argv[1:] if argv is None else argv
    wanted, name, fresh = read(argv)
    checkpoint, device, seed = folder / "checkpoints" / f"{name}.pt", pick_device(), wanted["seed"]
    if fresh:
        for suffix in (".pt", ".json"):
            checkpoint.with_suffix(suffix).unlink(missing_ok=True)
    try:
        x, y = load_mnist("train", device)
        stacks, modes = Stacks(x, wanted["colours"]), 10 ** wanted["colours"]
        sizes = {key: wanted[key] for key in ("latent", "features", "packing")}
        config = GANConfig((wanted["colours"], *x.shape[2:]), LEVELS, convolutional=True, depth=2, **sizes)

        def play(**more):
            dice = make_generator(seed, device)
            kinds = {"generator": Generator, "discriminator": Discriminator}
            players = {key: kind(config, generator=dice).to(device) for key, kind in kinds.items()}
            settings = {key: wanted[key] for key in ("batch_size", "lr", "r1")} | {"generator": dice}
            return players, fit_gan(players, stacks.draw, **settings, **more)

        def plan():
            return {"steps": wanted["steps"] or max(1, int(0.95 * 60 * wanted["minutes"] / seconds_a_step(play)))}

        steps = agreed(checkpoint.with_suffix(".json"), wanted, plan)["steps"]
        players, history = play(steps=steps, checkpoint=checkpoint, progress=progress)
        if len(history.loss) < steps:
            raise KeyboardInterrupt
    except (StoreError, NotFinite, ValueError) as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit("stopped: the same command goes on from here")
    model, (x_test, y_test) = reader(x, y, seed, progress), load_mnist("test", device)
    draws = drawn(players["generator"], DRAWS, seed, device)
    row = {
        "command": shlex.join(["python", "benchmarks/stacked_mnist.py", *(word for word in argv if word != "--fresh")]),
        "of": modes,
        **worth(model, draws, modes),
        "real": worth(model, stacks.draw(DRAWS, generator=make_generator(seed, device)), modes),
        "draws": DRAWS,
        "published": PUBLISHED if modes == 1000 else None,
        "published_in": WHERE if modes == 1000 else None,
        "reader_right": round((modes_of(model, x_test) == y_test.cpu()).float().mean().item(), 4),
        "config": asdict(config),
        **{key: value for key, value in wanted.items() if key != "minutes"},
        "steps": steps,
        "parameters": {key: sum(p.numel() for p in one.parameters()) for key, one in players.items()},
        "minutes": round(history.seconds / 60, 2),
        **ran_on(device),
    }
    path = folder / "results" / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(row, indent=1) + "\n", "utf-8")
    print(f"{row['modes']} of {modes} modes, reverse KL {row['reverse_kl']:.3f} nats -> {path.name}")
    return json.loads(path.read_text("utf-8"))


if __name__ == "__main__":
    main()
