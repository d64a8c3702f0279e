"""Chapter 8's games on the plane: each difficulty as a number, in an hour or two: `python benchmarks/games.py`.

A *job* is one training and gives one row or two in `results/games.json`. They are written when it is done, and the same
command continues with the jobs that are missing: Ctrl-C loses one training at most. `--fresh` starts anew. `--kinds`
and `--seeds` choose some of the jobs. `--table` trains nothing and prints what is stored. The truth is one of `plane`'s
two densities with modes, `data`: the ring of 8 or the grid of 25.

Every row has `kind`, `name`, `data`, `seed` (other data, other first weights, other batches), the `job` that made it,
and the `steps` of its training; `seconds` are those of the processor, on one thread, looks included. What 10,000 draws
are worth at the end:

- `reached`, how many modes (each has a tenth of what is due to it, within 3 σ); `high_quality`, the share within 3 σ of
  a mode, of which the truth has 0.989; `reverse_kl` over modes, nats; `reached_as_in_papers`, one such draw in 2,500.
- `log_prob`, the mean log-density of the draws, nats, beside `log_prob_truth`, the truth's own draws'. It is above that
  where draws keep to the middle of their modes: `spread`, the std within a mode over the truth's, the mean over modes.
- `js`, the Jensen-Shannon divergence in nats of 100,000 draws from the truth, between cells of 0.1 by 0.1: from 0 (as
  many draws of the truth give 0.004 on the ring, 0.006 on the grid) to log 2. It sees how a mode is filled.
- `energy`, the energy distance of 3,000 draws from 3,000 of the truth, in the plane's unit of length: 0 ± 0.001
  for the truth itself. It sees how far what is wrong has to go.
- `generator`, `discriminator` (`minus_elbo`): the mean loss of the last tenth, nats.
- `watched`, of recipes and signals: the same on the way (`js` and `energy` of signals alone), a list each, at 20 equal
  steps, `step`; the losses being means since the last look.

A training that diverged has `diverged`, what was said, and none of these.

recipe: `name` is a recipe, ten seeds of each. Most differ in one thing from `plain`, the game as it was published
(constant rate of 1e-3, nothing else; Adam without momentum, and `momentum` is 0.9). `fast` has a rate of 5e-3, and is
tried with R1, with a falling rate (cosine), and with both: `stable`, the defaults of `fit_gan`.

fooling: beside a recipe's row, for five seeds: where gradient ascent on the discriminator's logit leads from 500 points
in [-5, 5]². `sure` is the share of starts whose path has a point with D ≥ 0.99 more than 6 σ from every mode, `above`
of those with one that is held for more real there than the median of real data; `…_inside` counts such points in the
square alone, `…_distance` is how far from a mode the first of them is, in σ, the median over those found. `best` is
the median of the highest logits found out there, `real` the median logit of real data, `real_sure` the share of real
data with D ≥ 0.99. `auc_gap` and `auc_far`: how often a real point has a higher logit than one in the square, but more
than 6 σ from every mode, or than one that is 10 from the centre. A pack is one start, all points of it far.

still: five seeds, the same search and fields: a new discriminator of each kind, told data from what one generator makes
that stands still, from an early moment (a twentieth) of `plain`. `in the game` is the one that was there.

control: three seeds: `plain` and `fast, falling rate` for as many seconds as the dearest recipe takes; `stable` with
the minimax game, or with spectral norm, noise or packing for its R1.

signal: five seeds: does the loss tell? Beside both losses (an R1 penalty is part of the discriminator's) `estimate`:
(V + log 4) / 2 of the discriminator as it is, on 10,000 fresh points, or the critic's mean difference; for `stable` and
`plain`, at every second look, `fresh`: (V + log 4) / 2 of a new discriminator, trained to the end for this generator
alone. The VAE has `minus_elbo`, mean of the training since the last look, and `estimate`, that of 10,000 fresh points.
Five turns of the discriminator come with a third of the steps; `critic, slower` has five, a fifth of the rate and ten
times the penalty. `tells`: for each of these, and for `js`, `energy` and `bad` (1 − high_quality), their rank
correlation over all looks (`whole`), after a quarter of the training (`later`), there with the trend over the steps
taken out of the ranks (`detrended`; null where only a trend is there), and of the changes from look to look
(`changes`). Above 0: the signal falls as draws get better.

across: three seeds, the ring: the same at the end of generators, or decoders, of 4, 8, 16 and 64 `features`, their
opponent as ever: losses of the last tenth, `estimate`, and `fresh` for all games. Correlate over rows of one name.

contest: three seeds, the ring: the discriminator's rate over the generator's (`ratio`) and its features (`seen`; the
generator has 64), once from `plain`, and once from `stable`. `times` is 1, but for three cells that are also given five
times the steps.
"""

import argparse
import statistics
import sys
import time
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path

import torch
from recipes import games as of
from recipes.rows import Rows, rounded
from tqdm.auto import tqdm

from course_lib.data import load_plane
from course_lib.device import make_generator, pick_device
from course_lib.measure.coverage import coverage
from course_lib.models.vae import VAE, VAEConfig
from course_lib.train import NotFinite

RESULTS = Path(__file__).parent / "results" / "games.json"
SETTINGS = {
    "points": 20_000,
    "batch_size": 128,
    "latent": 2,
    "features": 64,
    "depth": 3,
    "draws": 10_000,
    "draws_all": 100_000,
    "draws_energy": 3000,
    "looks": 20,
    "steps": {"ring": 3000, "grid": 5000, "signal": 2000, "contest": 1000, "fresh": 500, "still": 1000},
    "batch_size_fresh": 256,
    "starts": 500,
}
DATA = ("ring", "grid")
RATIOS, SEEN = (0.1, 0.3, 1, 3, 10, 30), (2, 4, 16, 64)
PATIENT = (("plain", 1, 16), ("plain", 0.1, 64), ("stable", 0.1, 64))  # cells of the contest that are given more time
FEATURES = (4, 8, 16, 64)
SEEDS = {"recipe": 10, "still": 5, "signal": 5, "across": 3, "contest": 3, "control": 3}
GOOD = 0.9  # the share of high quality below which a run counts as failed


def wanted(kinds=SEEDS, seeds=range(10)):
    """The jobs (kind, job, seed): seed after seed, so that at any time all of a kind have as many."""
    jobs = {
        "recipe": list(product(of.RECIPES, DATA)),
        "still": list(product(of.STILL, DATA)),
        "signal": list(product([*of.SIGNALS, "VAE"], DATA)),
        "across": list(product(("stable", "plain", "critic, 5 turns", "VAE"), FEATURES)),
        "contest": [*product(("plain", "stable"), RATIOS, SEEN), *((*at, 5) for at in PATIENT)],
        "control": list(product(of.CONTROLS, DATA)),
    }
    every = [(kind, list(job), seed) for seed in seeds for kind in jobs if seed < SEEDS[kind] for job in jobs[kind]]
    return [job for job in every if job[0] in kinds]


class Trial:
    """The truth and its data for a seed, and one training of a game for them, looked at on its way."""

    def __init__(self, data, seed):
        self.data, self.seed, self.plane = data, seed, load_plane(data)
        self.x = self.plane.sample(SETTINGS["points"], generator=make_generator(seed))
        self.real = self.plane.sample(SETTINGS["draws"], generator=make_generator(1000 + seed))  # never trained on
        self.chance = make_generator(2000 + seed, pick_device())  # of all looks: they change nothing of the training

    def dice(self):
        return make_generator(self.seed, pick_device())

    def worth(self, model, whole=False):
        """What the model's draws are worth now; with `whole`, also held against the truth as a whole."""
        x = model.sample(SETTINGS["draws_all" if whole else "draws"], generator=self.chance).cpu()
        if not x.isfinite().all():
            return {}
        n, found = SETTINGS["draws_energy"], of.worth(self.plane, x[: SETTINGS["draws"]])
        if whole:
            found |= {"js": of.js(self.plane, x), "energy": of.energy(x[:n], self.real[:n])}
        return found

    def train(self, play, model, steps, look=lambda step: {}, whole=False):
        """The row of a training, `play(x, steps=…, watch=…)`; `look` adds to what is seen of the draws on the way."""
        every, seen = max(1, steps // SETTINGS["looks"]), []

        def watch(session):
            if session.step % every == 0:
                seen.append({"step": session.step} | self.worth(model, whole) | look(session.step))

        row, began = {"steps": steps}, time.process_time()
        how = {"steps": steps, "batch_size": SETTINGS["batch_size"], "generator": self.dice()}
        try:
            history = play(self.x, watch=watch, **how)
        except NotFinite as error:
            return row | {"diverged": str(error)}
        row["seconds"] = round(time.process_time() - began, 1)
        if len(history.loss) < steps:
            raise KeyboardInterrupt
        watched, last = {name: rounded([one.get(name) for one in seen]) for name in seen[-1]}, {}
        for name, nats in (history.losses or {"minus_elbo": history.loss}).items():
            watched[name] = rounded([statistics.mean(nats[step - every : step]) for step in watched["step"]])
            last[name] = statistics.mean(nats[-max(1, steps // 10) :])
        found = self.worth(model, whole=True)
        if not found:
            return row | {"diverged": "what it draws is infinite, or no number"}
        draws = model.sample(2500, generator=self.chance).cpu()
        papers = coverage(draws, self.plane.modes, self.plane.mode_std, least=0).reached
        found |= {"log_prob_truth": self.plane.log_prob(self.real).mean().item(), "reached_as_in_papers": papers}
        return row | rounded(last | found) | {"watched": watched}

    def fooled(self, d):
        """Where ascent on the logit of a discriminator leads."""
        chance = make_generator(3000 + self.seed)
        return rounded(of.fooled(d.cpu(), self.plane, self.real, generator=chance, starts=SETTINGS["starts"]))

    def game(self, how, steps, features=SETTINGS["features"], **more):
        """The players of a game and the row of its training; `features` are the generator's."""
        players = of.begin(how, self.seed, features=features, **sizes("latent", "depth"))
        if "look" in more:
            more["look"] = partial(more["look"], players)
        return players, self.train(partial(of.play, players, how=how), players["generator"], steps, **more)


def sizes(*names):
    return {name: SETTINGS[name] for name in names}


def without_watched(row):
    return {name: value for name, value in row.items() if name != "watched"}


def recipe(trial, name):
    players, row = trial.game(of.RECIPES[name], SETTINGS["steps"][trial.data])
    yield row
    if trial.seed < 5 and "diverged" not in row:
        yield {"kind": "fooling", "steps": row["steps"]} | trial.fooled(players["discriminator"])


def still(trial, name):
    s = SETTINGS
    early = max(1, s["steps"][trial.data] // 20)
    players, _ = trial.game(of.PLAIN, early)
    d = players["discriminator"]
    if name != "in the game":
        rest = {"steps": s["steps"]["still"], "generator": trial.dice()} | sizes("batch_size", "features", "depth")
        d = of.alone(players["generator"], trial.x, of.RECIPES[name], **rest)
    yield {"steps": s["steps"]["still"] if name != "in the game" else early} | trial.fooled(d)


def control(trial, name):
    how, times = of.CONTROLS[name]
    yield {"times": times} | without_watched(trial.game(how, round(times * SETTINGS["steps"][trial.data]))[1])


def contest(trial, name, ratio, seen, times=1):
    how = replace({"plain": of.PLAIN, "stable": of.STABLE}[name], ratio=ratio, seen=seen)
    row = without_watched(trial.game(how, times * SETTINGS["steps"]["contest"])[1])
    yield {"ratio": ratio, "seen": seen, "times": times} | row


def signal(trial, name):
    row = vae(trial, look=True) if name == "VAE" else signalled(trial, name, look=True)
    yield row if "diverged" in row else row | {"tells": of.tells(row["watched"])}


def across(trial, name, features):
    row = vae(trial, features) if name == "VAE" else signalled(trial, name, features)
    yield {"features": features} | without_watched(row)


def signalled(trial, name, features=SETTINGS["features"], look=False):
    """The row of a game with its signals, which are looked at on the way or at the end alone."""
    how, times = of.SIGNALS[name]
    steps = round(times * SETTINGS["steps"]["signal"])

    def seen(players, step):
        g, d = players["generator"], players["discriminator"]
        made = g.sample(SETTINGS["draws"], generator=trial.chance)
        found = {"estimate": (of.distance if how.critic else of.estimate)(d, trial.real.to(made.device), made)}
        often = name in ("stable", "plain") and step // max(1, steps // SETTINGS["looks"]) % 2 == 0
        if often or not look:
            own = {"steps": SETTINGS["steps"]["fresh"], "batch_size": SETTINGS["batch_size_fresh"]}
            rest = own | sizes("features", "depth") | {"generator": trial.dice()}
            found["fresh"] = of.fresh_estimate(g, trial.x, trial.real.to(made.device), **rest)
        return found

    more = {"look": seen, "whole": True} if look else {}
    players, row = trial.game(how, steps, features, **more)
    return row if look or "diverged" in row else row | rounded(seen(players, steps))


def vae(trial, features=SETTINGS["features"], look=False):
    """The row of a VAE with a decoder of these features, trained at the rates of the stable recipe."""
    own = sizes("latent", "depth") | {"features": features}
    config = VAEConfig(shape=(2,), likelihood="gaussian", **own)
    model = VAE(config, generator=make_generator(trial.seed)).to(pick_device())

    @torch.no_grad()
    def seen(step):
        x = trial.real.to(trial.chance.device)
        return {"estimate": -model.elbo(x, generator=trial.chance).mean().item()}

    more = {"look": seen, "whole": True} if look else {}
    row = trial.train(partial(of.play_vae, model), model, SETTINGS["steps"]["signal"], **more)
    return row if look or "diverged" in row else row | rounded(seen(row["steps"]))


KINDS = {"recipe": recipe, "still": still, "signal": signal, "across": across, "contest": contest, "control": control}


def made(kind, job, seed):
    """The rows of a job."""
    name, *more = job
    data = more.pop() if more[-1] in DATA else DATA[0]
    for row in KINDS[kind](Trial(data, seed), name, *more):
        yield {"kind": kind, "name": job[0], "data": data, "seed": seed, "job": job} | row


def stored(rows, at):
    """Whether the job `at` has its rows, which several processes may be at."""
    return any((row["kind"], row["job"], row["seed"]) == at for row in rows.read()["rows"])


def in_short(row):
    if row["kind"] == "still":
        return f"{row['sure']:.0%} of starts fool it"
    return "diverged" if "diverged" in row else f"{row['reached']} modes, {row['high_quality']:.1%} of high quality"


def failed(row):
    """Did it end with a mode missing, or too many draws between the modes, or no numbers at all?"""
    return row.get("reached", 0) < len(load_plane(row["data"]).modes) or row["high_quality"] < GOOD


def main(argv=None, path=RESULTS):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", action="store_true", help="print what is stored, and train nothing")
    parser.add_argument("--fresh", action="store_true", help="forget the rows that are stored")
    parser.add_argument("--kinds", nargs="+", choices=SEEDS, default=list(SEEDS), help="which rows to make")
    parser.add_argument("--seeds", nargs="+", type=int, default=range(max(SEEDS.values())), help="of which seeds")
    asked = parser.parse_args(argv)
    rows = Rows(path, "python benchmarks/games.py", SETTINGS, {})
    if not asked.table:
        rows.begin(asked.fresh)
        for at in tqdm(wanted(asked.kinds, asked.seeds), desc="trainings"):
            if stored(rows, at):
                continue
            first, *more = made(*at)
            if stored(rows, at):  # by another process, meanwhile
                continue
            rows.add(first, *more)
            kind, job, seed = at
            tqdm.write(f"{kind} {job}, seed {seed}: {in_short(first)}", file=sys.stdout)
            sys.stdout.flush()
    print(*table(rows.read().get("rows", [])), sep="\n")


def table(rows):
    """What is stored, in lines: of each kind what its rows say together."""
    for kind, lines in TABLES.items():
        mine = [row for row in rows if row["kind"] == kind]
        if mine:
            yield from ("", f"{kind}: {len(mine)} rows", *lines(mine))


def grouped(rows, *by):
    """{(their values): rows}, in the order in which they come."""
    found = {}
    for row in rows:
        found.setdefault(tuple(row[name] for name in by), []).append(row)
    return found


def middle(rows, name, *path):
    """The median over rows, None where no row has it; `path` leads on into what row[name] is."""
    values = []
    for row in rows:
        value = row.get(name)
        for step in path:
            value = (value or {}).get(step)
        values.append(value)
    values = [value for value in values if value is not None]
    return statistics.median(values) if values else None


def cell(value, form=".3f", width=10):
    return f"{'–' if value is None else format(value, form):>{width}s}"


def of_runs(rows):
    names = ("high_quality", "reverse_kl", "spread", "js", "energy", "log_prob", "seconds")
    yield f"{'data':6s}{'recipe':24s}{'failed':>10s}{'mode lost':>10s}" + "".join(f"{name:>13s}" for name in names)
    for (data, name), mine in sorted(grouped(rows, "data", "name").items(), key=lambda group: group[0][0] == "grid"):
        missing = sum(row.get("reached", 0) < len(load_plane(data).modes) for row in mine)
        said = f"{data:6s}{name:24s}{f'{sum(map(failed, mine))} of {len(mine)}':>10s}{missing:>10d}"
        yield said + "".join(cell(middle(mine, what), ".4f", 13) for what in names)


def of_fooling(rows):
    names = ("sure", "sure_inside", "above", "above_inside", "above_distance", "best", "real", "auc_gap", "auc_far")
    yield f"{'data':6s}{'recipe':24s}{'runs':>5s}" + "".join(f"{name:>15s}" for name in names)
    for (data, name), mine in sorted(grouped(rows, "data", "name").items(), key=lambda group: group[0][0] == "grid"):
        yield f"{data:6s}{name:24s}{len(mine):5d}" + "".join(cell(middle(mine, what), width=15) for what in names)


def of_signals(rows):
    ways = ("whole", "later", "detrended", "changes")
    yield f"{'data':6s}{'game':18s}{'signal':15s}{'with':8s}{'runs':>5s}" + "".join(f"{way:>11s}" for way in ways)
    for (data, name), mine in grouped(rows, "data", "name").items():
        signals = next((row["tells"] for row in mine if "tells" in row), {})
        for said, quality in product(signals, ("js", "energy", "bad")):
            line = "".join(cell(middle(mine, "tells", said, quality, way), ".2f", 11) for way in ways)
            yield f"{data:6s}{name:18s}{said:15s}{quality:8s}{len(mine):5d}{line}"


def of_across(rows):
    qualities = ("js", "energy", "bad")
    yield f"{'game':18s}{'signal':15s}{'runs':>5s}" + "".join(f"{quality:>9s}" for quality in qualities)
    for (name,), mine in grouped(rows, "name").items():
        mine = [row | {"bad": 1 - row["high_quality"]} for row in mine if "diverged" not in row]
        for said in ("generator", "discriminator", "minus_elbo", "estimate", "fresh"):
            if any(said in row for row in mine):
                ranks = {key: of.ranks(torch.tensor([row[key] for row in mine])) for key in (said, *qualities)}
                line = "".join(cell(of.correlation(ranks[said], ranks[q]), ".2f", 9) for q in qualities)
                yield f"{name:18s}{said:15s}{len(mine):5d}{line}"


def of_contest(rows):
    for name, times in sorted({(row["name"], row.get("times", 1)) for row in rows}):
        mine = [row for row in rows if (row["name"], row.get("times", 1)) == (name, times)]
        for what, form in (("reached", ".0f"), ("high_quality", ".2f"), ("reverse_kl", ".2f")):
            steps = times * SETTINGS["steps"]["contest"]
            yield f"{name}, {steps} steps, {what}: the discriminator's features down, its relative rate across"
            yield " " * 6 + "".join(f"{ratio:>8g}" for ratio in RATIOS)
            for seen in SEEN:
                cells = ([row for row in mine if (row["ratio"], row["seen"]) == (ratio, seen)] for ratio in RATIOS)
                yield f"{seen:6d}" + "".join(cell(middle(part, what), form, 8) for part in cells)


TABLES = {
    "recipe": of_runs,
    "control": of_runs,
    "fooling": of_fooling,
    "still": of_fooling,
    "signal": of_signals,
    "across": of_across,
    "contest": of_contest,
}


if __name__ == "__main__":
    main()
