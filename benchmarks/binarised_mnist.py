"""The models of chapters 4 and 7 on binarised MNIST: `python benchmarks/binarised_mnist.py pixel_cnn --minutes 20`.

Trains a model at a named size, by the clock or for `--steps`, prints the nats of 1,000 validation images as it goes,
and writes what came out on all 10,000 test images to `results/binarised_mnist_<run>.json`, the published figure beside
it. Ctrl-C loses nothing, and no crash more than the last few seconds: the same command again goes on from
`checkpoints/<run>.pt`, or, where that run is complete, evaluates it again; `--fresh` starts anew.

The pixel models' published figures are for Larochelle's images (`--source larochelle`), which the course cannot
download; the images drawn from MNIST are others of the same kind. With `--source dynamic`, as in the VAE's table, every
training image is drawn anew each time it is used. A VAE's nats are a bound with `--bound-samples`, and the 5,000 of the
published ones take ten minutes on a CPU. On a GPU, e.g. `pixel_cnn_large --steps 100000 --precision bf16-mixed`.
"""

import argparse
import json
import sys
import time
from collections import deque
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from binarised_mnist_sizes import SIZES, Size, VAESize
from tqdm.auto import tqdm

from course_lib.checkpoint import History, load
from course_lib.data import load_binarised_mnist, load_mnist
from course_lib.data.mnist import SOURCES, SPLITS
from course_lib.data.store import StoreError
from course_lib.device import make_generator, pick_device
from course_lib.train import NotFinite, fit

HERE = Path(__file__).parent
MARGIN = 0.95  # of the minutes are planned for: a machine is not always equally fast
DYNAMIC = "dynamic"  # the source that is no fixed set of training images
BOUND_SAMPLES = 5000  # as in the published tables
LOOKS = 20  # how often a run looks at the validation images
WATCHED = 1000  # validation images that it looks at; evenly spread, for Larochelle's are sorted by digit


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


def images(source):
    """What is trained on, and the validation and test images: (N, 1, 28, 28) long each.

    They are 0 and 1, except that the first of the "dynamic" ones are grey levels, for `Loss` to draw from.
    """
    if source != DYNAMIC:
        return [load_binarised_mnist(split, source=source) for split in SPLITS]
    return [load_mnist("train")[0], *(load_binarised_mnist(split, source="drawn") for split in SPLITS[1:])]


class Loss:
    """The loss of a size: x (B, 1, 28, 28) long -> (B,) nats. What it draws in training, it draws with `generator`."""

    def __init__(self, size: Size, source: str, generator: torch.Generator):
        self.size, self.dynamic, self.generator = size, source == DYNAMIC, generator

    def __call__(self, model, x):
        if not model.training:  # the same noise at every look, and none of what training draws
            return self.size.nats(model, x, make_generator(0, self.generator.device))
        if self.dynamic:  # a pixel is ink as often as it is dark
            x = (torch.rand(x.shape, device=x.device, generator=self.generator) < x / 255).long()
        return self.size.nats(model, x, self.generator)


class Watched:
    """`loss`, which also prints a line whenever all validation images have been through it."""

    def __init__(self, loss: Loss, images: int, steps: int, step: int):
        self.loss = loss
        self.images, self.steps, self.step = images, steps, step
        self.train, self.valid = deque(maxlen=200), []
        self.started = time.monotonic()

    def __call__(self, model, x):
        nats = self.loss(model, x)
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


def planned(wanted, size, minutes, trial, x, x_watched):
    """The plan: `wanted`, and how many steps `minutes` are where it does not say. A short trial of a model tells."""
    if wanted["steps"]:
        return Plan(**wanted, valid_every=max(1, wanted["steps"] // LOOKS))
    history, generator = History(), make_generator(wanted["seed"], pick_device())

    def seconds(steps, **more):
        nonlocal history
        before = history.seconds
        settings = {key: wanted[key] for key in ("batch_size", "lr", "precision")} | more
        settings |= {"steps": len(history.loss) + steps, "history": history, "progress": False}
        history = fit(trial, x, loss=Loss(size, wanted["source"], generator), generator=generator, **settings)
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


def run(name, size, wanted, minutes, samples, folder, progress):
    """Train as `wanted` says (its steps are None where `minutes` decide) and evaluate: the row, or None if stopped."""
    x, x_valid, x_test = images(wanted["source"])
    x_watched = x_valid[:: max(1, len(x_valid) // WATCHED)][:WATCHED]
    config, device = size.config(x.shape[1:]), pick_device()
    generator = make_generator(wanted["seed"], device)
    model = size.model(config, generator=generator).to(device)
    trial = size.model(config, generator=make_generator(wanted["seed"], device))
    checkpoint = folder / "checkpoints" / f"{name}.pt"
    plan = agreed(checkpoint.with_suffix(".json"), wanted, lambda: planned(wanted, size, minutes, trial, x, x_watched))
    history = load(checkpoint, model) if checkpoint.exists() else History()
    done, parameters = len(history.loss), sum(p.numel() for p in model.parameters())
    print(f"{name}: {parameters:,} parameters, {done} of {plan.steps} steps done", flush=True)
    if done < plan.steps:
        settings = {key: getattr(plan, key) for key in ("steps", "batch_size", "lr", "precision", "valid_every")}
        settings |= {"schedule": "cosine", "valid": x_watched, "checkpoint": checkpoint, "progress": progress}
        loss = Watched(Loss(size, plan.source, generator), len(x_watched), plan.steps, done)
        history = fit(model, x, loss=loss, generator=generator, **settings)
    if len(history.loss) < plan.steps:
        return None
    measured = size.measure(model, x_valid, x_test, samples=samples, seed=plan.seed, progress=progress)
    published, published_in = size.published_on(plan.source)
    return {
        "model": size.model.__name__,
        "size": plan.size,
        "config": asdict(config),
        "parameters": parameters,
        **measured,
        "published_test_nats": published,
        "published_in": published_in,
        "source": plan.source,
        "images": {"train": len(x), "valid": len(x_valid), "test": len(x_test)},
        "steps": plan.steps,
        "batch_size": plan.batch_size,
        "lr": plan.lr,
        "schedule": "cosine",
        "seed": plan.seed,
        "minutes": round(history.seconds / 60, 2),
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
    parser.add_argument("--source", choices=(*SOURCES, DYNAMIC), default="drawn", help="of the images (default: drawn)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--lr", type=above(float), help="at the start, from where it falls to 0 (default: the size's)")
    parser.add_argument("--batch-size", type=above(int), help="(default: the size's)")
    parser.add_argument("--precision", help="of training, e.g. bf16-mixed on a GPU (default: 32 bits)")
    parser.add_argument(
        "--bound-samples", type=above(int), help=f"of the bound that a VAE's nats are (default: {BOUND_SAMPLES})"
    )
    parser.add_argument("--run", help="name of checkpoint and row (default: the size's)")
    parser.add_argument("--fresh", action="store_true", help="delete this run's checkpoint and start anew")
    arguments = parser.parse_args(argv)
    size, name = sizes[arguments.size], arguments.run or arguments.size
    if Path(name).name != name or name == "..":
        parser.error(f"--run: expected a name, got {name!r}")
    if arguments.bound_samples and not isinstance(size, VAESize):
        parser.error(f"--bound-samples: {arguments.size} computes log p(x), not a bound on it")
    wanted = {key: getattr(arguments, key) for key in ("size", "steps", "source", "seed", "precision")}
    wanted |= {"batch_size": arguments.batch_size or size.batch_size, "lr": arguments.lr or size.lr}
    if arguments.fresh:
        for suffix in ("pt", "json"):
            (folder / "checkpoints" / f"{name}.{suffix}").unlink(missing_ok=True)
    try:
        row = run(name, size, wanted, arguments.minutes, arguments.bound_samples or BOUND_SAMPLES, folder, progress)
    except (StoreError, NotFinite, ValueError) as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        row = None
    if row is None:
        sys.exit("stopped: the same command goes on from here")
    path = folder / "results" / f"binarised_mnist_{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(row, indent=1) + "\n", "utf-8")
    most = "at most " if isinstance(size, VAESize) else ""
    print(f"{most}{row['test_nats']:.2f} nats on {row['images']['test']:,} test images -> {path.name}")
    return row


if __name__ == "__main__":
    main()
