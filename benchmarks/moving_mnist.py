"""The field's table of video models, Moving MNIST: `python benchmarks/moving_mnist.py --size 32 --minutes 30`.

Two digits fly about in 20 frames of 64 × 64 (`load_moving_mnist`). The number is what one of the last ten frames costs
given all before it, in nats: the cross-entropy of its grey pixels, taken as probabilities of ink. Grey costs something
even if it is known exactly, so the floor is the pixels' own entropy, computed here for the very test videos. Published
(`published` in the row, at 64 × 64): baseline 110.1, VPN 87.6, floor 86.3. With `--size 32` the digits are 14 × 14,
each pixel the mean of 2 × 2, which makes other numbers, with a floor of their own.

Training videos are endless, of `--frames` frames, and the loss is that of all but the first two, since the law is the
same at all times. A run measures a step and plans how many the minutes are (or takes `--steps`), and writes
`results/<run>.json` with the command that made it. Ctrl-C loses nothing: the same command goes on from
`checkpoints/<run>.pt`; `--fresh` starts anew. On a GPU, e.g. `--features 128 --encoder 1 2 4 8 1 2 4 8 --decoder 12
--lr 3e-4 --precision bf16-mixed --steps 200000`.
"""

import argparse
import json
import math
import shlex
import sys
import time
from dataclasses import asdict
from pathlib import Path

import torch
from recipes.rows import ran_on
from train import agreed

from course_lib.data.moving_mnist import load_moving_mnist
from course_lib.data.store import StoreError
from course_lib.device import make_generator, pick_device
from course_lib.models.video_pixel_network import IndependentPixels, VideoPixelNetwork, VPNConfig
from course_lib.train import NotFinite, Session

HERE = Path(__file__).parent
MODELS = {"vpn": VideoPixelNetwork, "baseline": IndependentPixels}
FRAMES, PREDICTED = 20, 10  # of a test video, and how many of them count
UNCOUNTED = 2  # of a training video: before the second frame nobody knows where a digit goes
TRIAL = 7  # steps from which a run is planned; the first two do not count
PART = 10  # test videos at a time
PUBLISHED = {"baseline": 110.1, "VPN": 87.6, "floor": 86.3}
WHERE = "Kalchbrenner et al. (2017), Video Pixel Networks, table 1; nats a frame"


def as_words(x):
    """Shares of ink x (B, T, 1, H, W) -> shares of paper and of ink (B, T, 2, H, W)."""
    return torch.cat([1 - x, x], 2)


def nats(model, x):
    """What each frame of x (B, T, 1, H, W) costs given all before it, grey as a probability: (B, T)."""
    words = as_words(x)
    log_p = model.logits(words).float().log_softmax(-1)  # (B, T, 1, H, W, 2)
    return -(words[:, :, None].movedim(3, -1) * log_p).flatten(2).sum(2)


def entropy(x):
    """What they cost who knows every pixel's share: (B, T) nats."""
    x = x.double()
    return -(torch.xlogy(x, x) + torch.xlogy(1 - x, 1 - x)).flatten(2).sum(2)


def loss(model, x):
    return nats(model, x)[:, UNCOUNTED:].mean(1)


@torch.no_grad()
def worth(model, n, *, generator, size):
    """What the predicted frames of n test videos cost, and the floor of the same."""
    cost, floor = [], []
    for part in [min(PART, n - done) for done in range(0, n, PART)]:
        x = load_moving_mnist(part, generator=generator, frames=FRAMES, size=size, split="test")
        cost.append(nats(model, x)[:, -PREDICTED:].double().cpu())
        floor.append(entropy(x)[:, -PREDICTED:].cpu())
    cost, floor = torch.cat(cost), torch.cat(floor)
    gap = cost - floor
    return {
        "test_nats": round(cost.mean().item(), 3),
        "floor": round(floor.mean().item(), 3),
        "floor_error": error(floor),
        "above_floor": round(gap.mean().item(), 3),
        "above_floor_error": error(gap),
        "above_floor_by_frame": [round(one, 3) for one in gap.mean(0).tolist()],
    }


def error(nats):
    """The standard error of the mean over videos."""
    return round(nats.mean(1).std().item() / math.sqrt(len(nats)), 3)


def seconds_a_step(play):
    times = []
    play(TRIAL, watch=lambda: times.append(time.monotonic()))
    if len(times) < TRIAL:
        raise KeyboardInterrupt
    return (times[-1] - times[1]) / (TRIAL - 2)


def read(argv):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--minutes", type=float, default=30.0, help="of training (default: 30)")
    length.add_argument("--steps", type=int, help="to train for, instead of minutes")
    parser.add_argument("--model", choices=MODELS, default="vpn")
    parser.add_argument("--size", type=int, default=64, help="of a frame, in pixels (default: 64)")
    parser.add_argument("--frames", type=int, default=6, help="of a training video, 3 or more (default: 6)")
    parser.add_argument("--features", type=int, default=16)
    parser.add_argument("--encoder", type=int, nargs="*", default=[1, 2], help="dilations of its blocks (1 2)")
    parser.add_argument("--decoder", type=int, default=2, help="how many blocks it has (default: 2)")
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--lr", type=float, default=0.01, help="at the start, from where it falls to 0 (default: 0.01)")
    parser.add_argument("--precision", help="of training, e.g. bf16-mixed on a GPU (default: 32 bits)")
    parser.add_argument("--test", type=int, default=1000, help="how many test videos (default: 1000)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--run", help="name of checkpoint and row (default: moving_mnist_<model>_<size>)")
    parser.add_argument("--fresh", action="store_true", help="delete this run's checkpoint and start anew")
    asked = vars(parser.parse_args(argv))
    name = asked.pop("run") or f"moving_mnist_{asked['model']}_{asked['size']}"
    return asked, name, asked.pop("fresh")


def main(argv=None, folder=HERE, progress=True):
    argv = sys.argv[1:] if argv is None else argv
    wanted, name, fresh = read(argv)
    checkpoint, device, seed, size = (
        folder / "checkpoints" / f"{name}.pt",
        pick_device(),
        wanted["seed"],
        wanted["size"],
    )
    if fresh:
        for suffix in (".pt", ".json"):
            checkpoint.with_suffix(suffix).unlink(missing_ok=True)
    try:
        sizes = {"features": wanted["features"], "encoder": tuple(wanted["encoder"]), "decoder": wanted["decoder"]}
        config = VPNConfig(levels=2, height=size, width=size, **sizes)

        def play(steps, watch=lambda: None, **more):
            """A model that has been trained, and its history."""
            model, dice = MODELS[wanted["model"]](config, generator=make_generator(seed)), make_generator(seed, device)
            rest = {"schedule": "cosine", "generator": dice, "precision": wanted["precision"]} | more
            session = Session(model.to(device), lr=wanted["lr"], steps=steps, **{"progress": False} | rest)

            def videos():
                return load_moving_mnist(
                    wanted["batch_size"], generator=dice, frames=wanted["frames"], size=size, split="train"
                )

            for x in session.batches(videos):
                session.minimise(loss(session.model, x))
                watch()
            return model, session.history

        def plan():
            return {"steps": wanted["steps"] or max(1, int(0.95 * 60 * wanted["minutes"] / seconds_a_step(play)))}

        steps = agreed(checkpoint.with_suffix(".json"), wanted, plan)["steps"]
        model, history = play(steps, checkpoint=checkpoint, progress=progress)
        if len(history.loss) < steps:
            raise KeyboardInterrupt
        found = worth(model.eval(), wanted["test"], generator=make_generator(seed, device), size=size)
    except (StoreError, NotFinite, ValueError) as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit("stopped: the same command goes on from here")
    row = {
        "command": shlex.join(["python", "benchmarks/moving_mnist.py", *(word for word in argv if word != "--fresh")]),
        **found,
        "digit": round(size * 28 / 64),
        "published": PUBLISHED if size == 64 else None,
        "published_in": WHERE if size == 64 else None,
        "config": asdict(config),
        **{key: value for key, value in wanted.items() if key not in ("minutes", *sizes)},
        "steps": steps,
        "parameters": sum(p.numel() for p in model.parameters()),
        "minutes": round(history.seconds / 60, 2),
        **ran_on(device),
    }
    path = folder / "results" / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(row, indent=1) + "\n", "utf-8")
    print(f"{row['test_nats']:.2f} nats a frame, {row['above_floor']:.2f} above the floor -> {path.name}")
    return json.loads(path.read_text("utf-8"))


if __name__ == "__main__":
    main()
