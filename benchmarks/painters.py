"""Chapter 4's comparison of painters with its controls, for hours instead of seconds: `python benchmarks/painters.py`.

Each row is one training: a painter, its data, a seed (other creatures, other first weights, other batches), how many
steps its learning rate takes to fall to 0, and that rate (a row without one had that of the settings). It is written
to `results/painters.json` as soon as it is done, and the same command continues with the rows that are missing: Ctrl-C
loses one training at most. `--fresh` starts anew. `--time` trains nothing: it measures a step of every painter, in
short turns one after the other, and belongs on a quiet machine.
"""

import argparse
import statistics
import sys
import time
from itertools import product
from pathlib import Path

import torch
import torch.nn.functional as F
from recipes.painters import ALONG, BLIND, LARGER, PAINTERS, SUSPECTS, Copies, begin, creatures, telling
from recipes.rows import Rows
from tqdm.auto import tqdm

from course_lib.device import make_generator, pick_device
from course_lib.layers import MaskedConv2d
from course_lib.measure.sight import bits_each, looks
from course_lib.prob import bits_per_dim
from course_lib.train import Session

RESULTS = Path(__file__).parent / "results" / "painters.json"
SETTINGS = {"train": 4000, "test": 500, "valid": 500, "batch_size": 16, "lr": 8e-3, "schedule": "cosine"}
STEPS, SEEDS = (300, 1500, 3000), (0, 1, 2)
RATES = (1.6e-2, 3.2e-2)  # two and four times the rate of the settings: what is best at one need not be at another
LONG = {"raster LSTM": 3.2e-2, "filter only": 1.6e-2, "Diagonal BiLSTM": 1.6e-2, "Diagonal, no filter": 1.6e-2}
MARKS = (0, 50, 100, 200, 300, 600, 1000, 1500, 2000, 2500, 3000)  # steps after which a training is looked at
PLACES = list(product(range(3, 14, 3), range(3, 14, 3)))  # pixels whose looks are measured


def wanted(steps=STEPS, seeds=SEEDS):
    """The rows (data, painter, steps, seed, rate): all short ones, then seed after seed, then the other rates."""
    lr = SETTINGS["lr"]
    rows = [("creatures", name, *of, lr) for of in product(steps, seeds) for name in PAINTERS]
    rows += [(data, name, steps[0], seed, lr) for seed, data, name in product(seeds, Copies.ALL, BLIND)]
    rows.sort(key=lambda row: (row[2] != steps[0], row[0] != "creatures", row[3], row[2]))
    faster = [name for name in PAINTERS if name not in BLIND[:2]]
    for seed in seeds[:2]:
        rows += [("creatures", name, steps[0], seed, rate) for name, rate in product(faster, RATES)]
        rows += [("creatures", name, steps[0], seed, rate) for name, rate in product(SUSPECTS, (lr, *RATES))]
    longer = {name: rate for name, rate in LONG.items() if name in PAINTERS} | dict.fromkeys(LARGER, lr)
    return rows + [("creatures", name, steps[-1], seeds[0], rate) for name, rate in longer.items()]


def of_pixels(bits, x):
    """Bits a pixel: of all, where x continues from the left and not from above, and where from above only."""
    now, left, above = (F.pad(x, (w, 0, h, 0), value=-1)[:, 0, :16, :16] for h, w in ((0, 0), (0, 1), (1, 0)))
    parts = {"bits": now >= 0, "left": (now == left) & (now != above), "above": (now == above) & (now != left)}
    return {name: round(bits[part].mean().item(), 4) for name, part in parts.items()}


def strengths(model, x):
    """How strongly a pixel looks at the left and at the upper neighbour, and the sum over all: means over PLACES."""
    fields = [(looks(model, x[:16], i, j), i, j) for i, j in PLACES]
    each = [(field[i, j - 1], field[i - 1, j], field.sum()) for field, i, j in fields]
    names = ("looks_left", "looks_above", "looks_all")
    return {name: round(value, 5) for name, value in zip(names, torch.tensor(each).mean(0).tolist(), strict=True)}


class Data:
    """What a row is about: images to train, to watch and to report, and what is special to measure on them."""

    def __init__(self, name, seed):
        self.creatures = name == "creatures"
        n = sum(SETTINGS[part] for part in ("train", "test", "valid"))
        source = creatures if self.creatures else Copies(name)
        self.train, self.test, self.valid = source(n, seed).split([SETTINGS[p] for p in ("train", "test", "valid")])
        self.telling = telling(self.test) if self.creatures else source.copied(self.test)
        self.floor = None if self.creatures else round(source.bits(self.test), 4)


def trained(data, painter, steps, seed, lr, progress):
    """One training: its row."""
    generator = make_generator(seed)
    model = begin(painter, generator).to(pick_device())
    settings = {"lr": lr, "schedule": "cosine", "steps": steps, "generator": generator}
    session, watched = Session(model, **settings, progress=progress), []

    def watch(step):
        bits = bits_each(model, data.valid)
        seen = {"step": step, **of_pixels(bits, data.valid)}
        recent = session.history.loss[-50:]
        if recent:
            seen["train"] = round(bits_per_dim(statistics.mean(recent), 256), 4)
        watched.append(seen | (strengths(model, data.valid) if painter in ALONG else {}))

    watch(0)
    for batch in session.batches((data.train,), SETTINGS["batch_size"]):
        session.minimise(-session.model.log_prob(*batch))
        if session.step in MARKS or session.step == steps:
            watch(session.step)
    if session.step < steps:
        raise KeyboardInterrupt
    bits = bits_each(model, data.test)
    masked = sum((m.mask == 0).sum().item() for m in model.modules() if isinstance(m, MaskedConv2d))
    row = {"weights": sum(p.numel() for p in model.parameters()), "masked": masked, **of_pixels(bits, data.test)}
    row |= {"telling": round(bits[data.telling].mean().item(), 4), "watched": watched}
    row["telling_share"] = round(data.telling.float().mean().item(), 4)
    return row if data.floor is None else row | {"floor": data.floor}


def timed(rounds=15, turn=10):
    """Milliseconds that a step of each painter takes: the median of `rounds` turns, all painters in every round."""
    data, sessions = creatures(512, 0), {}
    for name in PAINTERS:
        generator = make_generator(0)
        model = begin(name, generator).to(pick_device())
        session = Session(model, lr=1e-4, steps=10**6, generator=generator, progress=False)
        sessions[name] = session, session.batches((data,), SETTINGS["batch_size"])
    taken = {name: [] for name in PAINTERS}
    for _ in tqdm(range(rounds + 1), desc="rounds"):
        for name, (session, batches) in sessions.items():
            start = time.perf_counter()
            for _ in range(turn):
                session.minimise(-session.model.log_prob(*next(batches)))
            taken[name].append(1e3 * (time.perf_counter() - start) / turn)
    return {name: round(statistics.median(times[1:]), 2) for name, times in taken.items()}


def at_its_rate(row):
    """(data, painter, steps, seed, rate) of a stored row."""
    return *(row[part] for part in ("data", "painter", "steps", "seed")), row.get("lr", SETTINGS["lr"])


def main(argv=None, path=RESULTS, steps=STEPS, seeds=SEEDS):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--time", action="store_true", help="measure a step of every painter, and train nothing")
    parser.add_argument("--fresh", action="store_true", help="forget the rows that are stored")
    asked = parser.parse_args(argv)
    rows = Rows(path, "python benchmarks/painters.py", SETTINGS, {"milliseconds_a_step": {}, "timed_on": ""})
    rows.begin(asked.fresh)
    if asked.time:
        rows.add(milliseconds_a_step=timed(), timed_on=f"{torch.get_num_threads()} threads, {pick_device().type}")
        return
    key = ("data", "painter", "steps", "seed", "lr")
    done = {at_its_rate(row) for row in rows.read()["rows"]}
    data, of = None, None
    for at in tqdm([row for row in wanted(steps, seeds) if row not in done], desc="trainings"):
        if of != (at[0], at[3]):
            data, of = Data(at[0], at[3]), (at[0], at[3])
        row = dict(zip(key, at, strict=True)) | trained(data, *at[1:], progress=False)
        rows.add(row)
        said = f"{at[0]:16s}{at[1]:22s}{at[2]:5d} steps, seed {at[3]}, rate {at[4]}: {row['bits']:.3f} bits/pixel"
        tqdm.write(said, file=sys.stdout)
        sys.stdout.flush()


if __name__ == "__main__":
    main()
