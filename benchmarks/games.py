"""How often each recipe for a game fails: `python benchmarks/games.py`, half an hour on one core.

Each row is one training on the plane: its density (the ring of 8 modes or the grid of 25), a recipe, a rate and a seed
(other data, other first weights, other batches). Recipes change one thing at a time, first from the game as it was
published, then from the recipe of `fit_gan`. A row holds what 10,000 draws are worth at the end, and on the way, beside
both players' losses. It is written to `results/games.json` as soon as it is done, and the same command continues with
the rows that are missing: Ctrl-C loses one training at most. `--fresh` starts anew. `--table` trains nothing: it prints
how many runs of each recipe failed. Seconds are those of the processor, on one thread, and depend on the machine.
"""

import argparse
import json
import math
import os
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from tqdm.auto import tqdm

from course_lib.data import load_plane
from course_lib.device import make_generator, pick_device
from course_lib.measure.coverage import coverage
from course_lib.models.gan import Discriminator, GANConfig, Generator
from course_lib.train import NotFinite, fit_gan

RESULTS = Path(__file__).parent / "results" / "games.json"
SETTINGS = {"points": 20_000, "batch_size": 128, "features": 64, "depth": 3, "latent": 2, "draws": 10_000, "looks": 20}
STEPS = {"ring": 3000, "grid": 5000}
SEEDS = tuple(range(10))
GOOD = 0.9  # the share of draws within 3 σ of a mode below which a run counts as failed; the truth has 0.989


@dataclass(frozen=True)
class Play:
    """What a recipe changes: the generator's loss, the penalty, how the rate goes, and what the discriminator is."""

    game: str = "non-saturating"
    r1: float = 0.0
    schedule: str = "constant"
    lr: float = 1e-3
    packing: int = 1
    spectral: bool = False


STABLE = {"r1": 0.1, "schedule": "cosine", "lr": 5e-3}  # the defaults of `fit_gan`
PLAYS = {
    "minimax": Play("minimax"),
    "non-saturating": Play(),
    "faster": Play(lr=5e-3),
    "R1": Play(r1=0.1),
    "packing 2": Play(packing=2),
    "spectral norm": Play(spectral=True),
    "falling rate": Play(schedule="cosine"),
    "stable": Play(**STABLE),
    "stable, minimax": Play("minimax", **STABLE),
    "stable, no R1": Play(**STABLE | {"r1": 0.0}),
    "stable, constant rate": Play(**STABLE | {"schedule": "constant"}),
    "stable, slower": Play(**STABLE | {"lr": 1e-3}),
    "stable, packing 2": Play(**STABLE, packing=2),
}


def wanted(plays=PLAYS, seeds=SEEDS):
    """The rows (data, play, seed): seed after seed, so that every recipe has as many at any time."""
    return [(data, name, seed) for seed in seeds for data in STEPS for name in plays]


def worth(plane, x):
    """What draws x (N, 2) are worth, held against the density that is known."""
    found = coverage(x, plane.modes, plane.mode_std)
    rounded = {"high_quality": round(found.high_quality, 4), "reverse_kl": round(found.reverse_kl, 4)}
    return {"reached": found.reached} | rounded | {"log_prob": round(plane.log_prob(x).mean().item(), 4)}


def trained(data, play, seed, steps):
    """One training: its row."""
    how, s, generator = PLAYS[play], SETTINGS, make_generator(seed)
    plane = load_plane(data)
    x = plane.sample(s["points"], generator=generator)
    sizes = {name: s[name] for name in ("latent", "features", "depth")}
    config = GANConfig(packing=how.packing, spectral=how.spectral, **sizes)
    kinds = {"generator": Generator, "discriminator": Discriminator}
    players = {name: kind(config, generator=generator).to(pick_device()) for name, kind in kinds.items()}
    watched, dice = [], make_generator(1000 + seed, pick_device())  # looking changes nothing of the run

    def watch(step):
        if step % max(1, steps // s["looks"]) == 0:
            draws = players["generator"].sample(s["draws"], generator=dice).cpu()
            watched.append({"step": step} | (worth(plane, draws) if draws.isfinite().all() else {}))

    row = {"data": data, "play": play, "seed": seed, "steps": steps}
    rest = {"batch_size": s["batch_size"], "lr": how.lr, "game": how.game, "r1": how.r1, "schedule": how.schedule}
    began = time.process_time()
    try:
        history = fit_gan(players, x, steps=steps, generator=generator, watch=watch, progress=False, **rest)
    except NotFinite as error:
        return row | {"diverged": str(error), "watched": watched}
    row["seconds"] = round(time.process_time() - began, 1)
    if len(history.loss) < steps:
        raise KeyboardInterrupt
    every = len(history.loss) // len(watched)
    for n, seen in enumerate(watched):
        part = slice(n * every, (n + 1) * every)
        seen |= {name: round(statistics.mean(losses[part]), 3) for name, losses in history.losses.items()}
    draws = players["generator"].sample(s["draws"], generator=dice).cpu()
    papers = coverage(draws[:2500], plane.modes, plane.mode_std, least=0)
    return row | worth(plane, draws) | {"reached_as_in_papers": papers.reached, "watched": watched}


def failed(row):
    """Did it end with a mode missing, or too many draws between the modes, or no numbers at all?"""
    return row.get("reached", 0) < len(load_plane(row["data"]).modes) or row["high_quality"] < GOOD


def table(rows):
    """Lines that say of each recipe in how many runs it failed, and what it is worth in the middle run."""
    yield f"{'data':6s}{'recipe':24s}{'failed':>9s}{'mode lost':>11s}{'high quality':>14s}{'reverse KL':>12s}{'s':>7s}"
    for data in STEPS:
        for name in PLAYS:
            mine = [row for row in rows if (row["data"], row["play"]) == (data, name)]
            if not mine:
                continue
            modes = len(load_plane(data).modes)
            missing = sum(row.get("reached", 0) < modes for row in mine)
            middle = (
                statistics.median(row.get(what, bad) for row in mine)
                for what, bad in (("high_quality", 0.0), ("reverse_kl", math.log(modes)), ("seconds", 0.0))
            )
            quality, kl, seconds = middle
            count = f"{sum(map(failed, mine))} of {len(mine)}"
            yield f"{data:6s}{name:24s}{count:>9s}{missing:>11d}{quality:>14.3f}{kl:>12.4f}{seconds:>7.1f}"


def stored(path):
    return json.loads(path.read_text("utf-8")) if path.exists() else {}


def write(path, *rows, fresh=False):
    """Add rows to what is stored: a line a row, and never half a file."""
    about = {"command": "python benchmarks/games.py", "settings": SETTINGS, "steps": STEPS, "torch": torch.__version__}
    before = {} if fresh else stored(path)
    head = json.dumps(about, indent=1)
    lines = ",\n  ".join(json.dumps(row) for row in [*before.get("rows", []), *rows])
    half = path.with_suffix(".half")
    half.write_text(f'{head[:-2]},\n "rows": [\n  {lines}\n ]\n}}\n', "utf-8")
    os.replace(half, path)


def main(argv=None, path=RESULTS, plays=PLAYS, seeds=SEEDS, steps=STEPS):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", action="store_true", help="print how often each recipe failed, and train nothing")
    parser.add_argument("--fresh", action="store_true", help="forget the rows that are stored")
    asked = parser.parse_args(argv)
    found = stored(path)
    if found.get("settings", SETTINGS) != SETTINGS and not asked.fresh:
        raise ValueError(f"{path} has rows of other settings, {found['settings']}: --fresh replaces them")
    if asked.fresh or not found:
        write(path, fresh=True)
    if not asked.table:
        done = {(row["data"], row["play"], row["seed"]) for row in stored(path)["rows"]}
        for data, play, seed in tqdm([row for row in wanted(plays, seeds) if row not in done], desc="trainings"):
            row = trained(data, play, seed, steps[data])
            write(path, row)
            said = "diverged" if "diverged" in row else f"{row['reached']} modes, {row['high_quality']:.3f} of quality"
            tqdm.write(f"{data:6s}{play:24s} seed {seed}: {said}", file=sys.stdout)
            sys.stdout.flush()
    print(*table(stored(path)["rows"]), sep="\n")


if __name__ == "__main__":
    main()
