"""Chapter 4's models on binarised MNIST: `python benchmarks/binarised_mnist.py pixel_cnn --minutes 20`.

Trains a model at a named size, by the clock or for `--steps`, prints the nats of 1,000 validation images as it goes,
and writes what came out on all 10,000 test images to `results/binarised_mnist_<run>.json`, the published figure beside
it. Ctrl-C loses nothing, and no crash more than the last few seconds: the same command again goes on from
`checkpoints/<run>.pt`, or, where that run is complete, evaluates it again; `--fresh` starts anew.

The published figures are for Larochelle's images (`--source larochelle`), which the course cannot download; the images
drawn from MNIST are others of the same kind. On a GPU, e.g. `pixel_cnn_large --steps 100000 --precision bf16-mixed`.
"""

import argparse
import json
import sys
import time
from collections import deque
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from tqdm.auto import tqdm

from course_lib.checkpoint import History, load
from course_lib.data import load_binarised_mnist
from course_lib.data.mnist import SOURCES, SPLITS
from course_lib.data.store import StoreError
from course_lib.device import make_generator, pick_device
from course_lib.models.pixel_cnn import GatedPixelCNN, PixelCNN
from course_lib.models.pixel_rnn import DiagonalBiLSTM, GridLSTM, RasterLSTM, RowLSTM
from course_lib.pixels import PixelConfig
from course_lib.train import NotFinite, fit

HERE = Path(__file__).parent
MARGIN = 0.95  # of the minutes are planned for: a machine is not always equally fast
LOOKS = 20  # how often a run looks at the validation images
WATCHED = 1000  # validation images that it looks at; evenly spread, for Larochelle's are sorted by digit
PUBLISHED_IN = "van den Oord, Kalchbrenner and Kavukcuoglu (2016), Pixel recurrent neural networks, table 4"


@dataclass(frozen=True)
class Size:
    """A model, how large, and what it is trained with; `published` is the paper's test nats, its own size or not."""

    model: type
    features: int
    depth: int
    batch_size: int = 16
    lr: float = 2e-3
    published: float | None = None


SIZES = {
    "pixel_cnn": Size(PixelCNN, 48, 6, lr=4e-3, published=81.30),
    "gated_pixel_cnn": Size(GatedPixelCNN, 32, 5),
    "row_lstm": Size(RowLSTM, 32, 2, published=80.54),
    "diagonal_bilstm_1x32": Size(DiagonalBiLSTM, 32, 1, lr=6e-3, published=80.75),
    "diagonal_bilstm_7x16": Size(DiagonalBiLSTM, 16, 7, lr=4e-3, published=79.20),
    "grid_lstm": Size(GridLSTM, 24, 2),
    "raster_lstm": Size(RasterLSTM, 128, 1),
    # for a GPU
    "pixel_cnn_large": Size(
        PixelCNN, 256, 15, batch_size=64, lr=5e-4, published=81.30
    ),  # inside a block 128, the paper's h
    "gated_pixel_cnn_large": Size(GatedPixelCNN, 128, 12, batch_size=64, lr=5e-4),
}


@dataclass(frozen=True)
class Plan:
    """What a run is; it lies beside the checkpoint, so that what goes on is what began."""

    size: str
    steps: int
    valid_every: int
    batch_size: int
    lr: float
    source: str
    seed: int
    precision: str | None


def nll(model, x):
    """-log p(x): x (B, 1, 28, 28) long -> (B,) nats."""
    return -model.log_prob(x)


class Watched:
    """`nll`, the loss, which also prints a line whenever all validation images have been through it."""

    def __init__(self, images: int, steps: int, step: int):
        self.images, self.steps, self.step = images, steps, step
        self.train, self.valid = deque(maxlen=200), []
        self.started = time.monotonic()

    def __call__(self, model, x):
        nats = nll(model, x)
        if model.training:
            self.step += 1
            self.train.append(nats.detach().mean())
        else:
            self.valid.append(nats)
            if sum(map(len, self.valid)) == self.images:
                valid, train = torch.cat(self.valid).mean(), torch.stack(tuple(self.train)).mean()
                minutes = (time.monotonic() - self.started) / 60
                line = f"step {self.step:6d} of {self.steps}  {minutes:6.1f} min"
                tqdm.write(f"{line}  train {train:7.2f}  valid {valid:7.2f} nats", file=sys.stdout)
                sys.stdout.flush()
                self.valid = []
        return nats


def planned(wanted, minutes, trial, x, x_watched):
    """The plan: `wanted`, and how many steps `minutes` are where it does not say. A short trial of a model tells."""
    if wanted["steps"]:
        return Plan(**wanted, valid_every=max(1, wanted["steps"] // LOOKS))
    history = History()

    def seconds(steps, **more):
        nonlocal history
        before = history.seconds
        settings = {key: wanted[key] for key in ("batch_size", "lr", "precision")} | more
        settings |= {"steps": len(history.loss) + steps, "history": history, "progress": False}
        history = fit(trial, x, loss=nll, generator=make_generator(wanted["seed"], pick_device()), **settings)
        if len(history.loss) < history.steps:
            raise KeyboardInterrupt
        return history.seconds - before

    seconds(3)  # the first steps are slower
    count = min(200, max(3, int(9 / seconds(3))))  # for about three seconds
    step = seconds(count) / count
    look = max(1e-3, seconds(1, valid=x_watched, valid_every=1) - step)
    looks = min(LOOKS, max(1, int(6 * minutes / look)))  # they take at most a tenth of the time
    steps = max(1, int((MARGIN * 60 * minutes - looks * look) / step))
    return Plan(**wanted | {"steps": steps}, valid_every=max(1, steps // looks))


def evaluate(model, x, what, progress):
    """The mean of -log p(x) over x (N, C, H, W) long, in nats an image."""
    device, total = next(model.parameters()).device, 0.0
    with torch.no_grad():
        for batch in tqdm(x.split(100), desc=what, unit="batch", delay=2, disable=not progress):
            total -= model.log_prob(batch.to(device)).sum().item()
    return total / len(x)


def agreed(path, wanted, make_plan):
    """The plan that lies at `path`, or a new one, left there. Raises ValueError where that one is of another run."""
    if not path.exists():
        plan = make_plan()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(plan), indent=1) + "\n", "utf-8")
        return plan
    plan = Plan(**json.loads(path.read_text("utf-8")))
    asked = {key: value for key, value in wanted.items() if (key, value) != ("steps", None)}  # minutes are not compared
    if differs := [
        f"{key} {getattr(plan, key)}, not {asked[key]}" for key in asked if asked[key] != getattr(plan, key)
    ]:
        raise ValueError(
            f"{path} is of another run (it has {'; '.join(differs)}): give this one a name with --run, "
            "or replace that one with --fresh"
        )
    return plan


def run(name, size, wanted, minutes, folder, progress):
    """Train as `wanted` says (its steps are None where `minutes` decide) and evaluate: the row, or None if stopped."""
    x, x_valid, x_test = (load_binarised_mnist(split, source=wanted["source"]) for split in SPLITS)
    x_watched = x_valid[:: max(1, len(x_valid) // WATCHED)][:WATCHED]
    config, device = PixelConfig(2, *x.shape[1:], size.features, size.depth), pick_device()
    generator = make_generator(wanted["seed"], device)
    model = size.model(config, generator=generator).to(device)
    trial = size.model(config, generator=make_generator(wanted["seed"], device))
    checkpoint = folder / "checkpoints" / f"{name}.pt"
    plan = agreed(checkpoint.with_suffix(".json"), wanted, lambda: planned(wanted, minutes, trial, x, x_watched))
    history = load(checkpoint, model) if checkpoint.exists() else History()
    done, parameters = len(history.loss), sum(p.numel() for p in model.parameters())
    print(f"{name}: {parameters:,} parameters, {done} of {plan.steps} steps done", flush=True)
    if done < plan.steps:
        settings = {key: getattr(plan, key) for key in ("steps", "batch_size", "lr", "precision", "valid_every")}
        settings |= {"schedule": "cosine", "valid": x_watched, "checkpoint": checkpoint, "progress": progress}
        loss = Watched(len(x_watched), plan.steps, done)
        history = fit(model, x, loss=loss, generator=generator, **settings)
    if len(history.loss) < plan.steps:
        return None
    began = time.monotonic()
    test = evaluate(model, x_test, "test", progress)
    seconds = time.monotonic() - began
    return {
        "model": size.model.__name__,
        "size": plan.size,
        "config": asdict(config),
        "parameters": parameters,
        "test_nats": round(test, 3),
        "valid_nats": round(evaluate(model, x_valid, "valid", progress), 3),
        "published_test_nats": size.published,
        "published_in": PUBLISHED_IN if size.published else None,
        "source": plan.source,
        "images": {"train": len(x), "valid": len(x_valid), "test": len(x_test)},
        "steps": plan.steps,
        "batch_size": plan.batch_size,
        "lr": plan.lr,
        "schedule": "cosine",
        "seed": plan.seed,
        "minutes": round(history.seconds / 60, 2),
        "test_seconds": round(seconds, 1),
        "device": torch.cuda.get_device_name() if device.type == "cuda" else device.type,
        "precision": plan.precision or "32",
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        f"valid_nats_of_{len(x_watched)}_after_steps": {str(step): round(nats, 3) for step, nats in history.valid},
    }


def main(argv=None, sizes=SIZES, folder=HERE, progress=True):
    def above(kind):
        def read(text):
            if not 0 < (value := kind(text)) < float("inf"):
                raise ValueError
            return value

        read.__name__ = f"{kind.__name__} (it must be above 0)"
        return read

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("size", choices=sizes)
    how_long = parser.add_mutually_exclusive_group()
    how_long.add_argument(
        "--minutes", type=above(float), default=20.0, help="of training, from its start (default: 20)"
    )
    how_long.add_argument("--steps", type=above(int), help="to train for, instead of minutes")
    parser.add_argument("--source", choices=SOURCES, default="drawn", help="of the images (default: drawn)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--lr", type=above(float), help="at the start, from where it falls to 0 (default: the size's)")
    parser.add_argument("--batch-size", type=above(int), help="(default: the size's)")
    parser.add_argument("--precision", help="of training, e.g. bf16-mixed on a GPU (default: 32 bits)")
    parser.add_argument("--run", help="name of checkpoint and row (default: the size's)")
    parser.add_argument("--fresh", action="store_true", help="delete this run's checkpoint and start anew")
    arguments = parser.parse_args(argv)
    size, name = sizes[arguments.size], arguments.run or arguments.size
    if Path(name).name != name or name == "..":
        parser.error(f"--run: expected a name, got {name!r}")
    wanted = {key: getattr(arguments, key) for key in ("size", "steps", "source", "seed", "precision")}
    wanted |= {"batch_size": arguments.batch_size or size.batch_size, "lr": arguments.lr or size.lr}
    if arguments.fresh:
        for suffix in ("pt", "json"):
            (folder / "checkpoints" / f"{name}.{suffix}").unlink(missing_ok=True)
    try:
        row = run(name, size, wanted, arguments.minutes, folder, progress)
    except (StoreError, NotFinite, ValueError) as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        row = None
    if row is None:
        sys.exit("stopped: the same command goes on from here")
    path = folder / "results" / f"binarised_mnist_{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(row, indent=1) + "\n", "utf-8")
    print(f"{row['test_nats']:.2f} nats on {row['images']['test']:,} test images -> {path.name}")
    return row


if __name__ == "__main__":
    main()
