"""Chapter 7's comparison of decoders and its controls, for an hour instead of seconds: `python benchmarks/decoders.py`.

A *job* is one training, or a few that belong together, and gives one row or several in `results/decoders.json`. They
are written when it is done, and the same command continues with the jobs that are missing: Ctrl-C loses one training at
most. `--fresh` starts anew. `--time` trains nothing: it measures a step of the full model at each depth, in short turns
one after the other, and belongs on a quiet machine. `--kinds` and `--seeds` choose some of the jobs. All is on chapter
2's digits, 1000 to train, 350 to choose and 447 to measure, and its judge is trained anew for each seed.

Every row has `kind`, `name`, `seed` and the `job` that made it. Images of the prior, 2000 of them, are made in two
ways: a bare name is of the likeliest levels, `…_drawn` is of honest draws. (A PixelCNN's likeliest levels are chosen
pixel after pixel.)

- `refused`, `digits`, `copies`, and each `…_drawn`: the share that the judge refuses; how many different digits there
  are among the others (e^H of their shares); the share that is nearer to a training image than all but one in twenty
  of the test digits are.
- `nats_test`, `nats_valid`: −ELBO, nats an image, the mean over 20 codes for each; `kl` its second term on the test
  digits. `bound`: −log p(x) by `samples` importance weights, on the test digits: the true one is at most that, and it
  is less than −ELBO.
- `lr`, `steps`, `schedule`; `best_step` where the best state on the validation digits was kept.

table: plain (`plain, box | Gaussian | mixture | own codes`; `rebuilt_test`, −log p(x | its code), is no −ELBO), then
one change at a time: `sigma = 1`, `learnt sigma`, `+ schedule` (cosine, 3e-3 instead of 2e-3), `+ size` (128 features
and 2 layers instead of 64 and 1), `+ dropout`, `full` (three tones). `…, mixture` and `…, own codes`: the prior is
replaced by ten Gaussians fitted to draws of q(z | x) on the training images, or by these draws. `no KL, Gaussian |
mixture`: the full model trained without its KL, an autoencoder of the same size. Floors: `real digits`, `pixel
histograms`, and chapter 4's `Gated PixelCNN` with its own recipe (`exact` nats; `network_drawn` as in told).

gap: `full` and `two latents`, on every third test digit. `K` and `first`, `second`: −log p(x) by so many importance
weights, two independent runs. `elbo` (200 codes an image), `refined` the same with (mu, log_var) improved image by
image, and `from_refined` the bounds with that q, up to K = 1000. For two latents, `exact` by a grid, and `coarse` by
one with twice the step.

told: `histogram` of levels without places, `pixels` (evidence that is added up pixel by pixel), `network` (two
convolutions): the share of held-out images, half real and half made, that each gets right; `…_drawn` for draws.

pixel: `images` are test digits with one pixel at its other extreme. `auc_code`, of the price with the code kept, for
the judge's refusal; `auc_bound` that of the bound's change; `auc_levels` that of the levels changed; `auc_judge`, that
of the judge's own loudness (it also refuses by distance). `auc_exact` that of the change of the Gated PixelCNN's exact
log p(x), a model that does know relations. `within_…`: only variants of the same digit are compared, the mean over
digits. Each also for pixels `_inked` and `_wiped` alone.

beta: `beta`; `knows`, mutual information of code and test image, nats, at most ln 447 = 6.1; `active` latents, whose mu
varies by more than 0.01.

memory: `images`, `features`, `stopped` (by validation, the same training). −ELBO of `seen` and `new` (test) images;
`copies_new` of the validation digits; `home`, `home_self`: of what q(z | x) of training images gives, likeliest levels,
nearer than that to any training image, to its own; `test_self`: the same of test digits, to themselves.

collapse: decoders that see more and more by themselves: `sight`, told a code (`told`) or not (`exact` nats), and `how`:
"" or one or two of "slow" (a third of the rate), "annealed" (the KL's weight rises from 0 to 1 in the first half),
"long" (twice the steps), "same" (the code adds the same at every place, not to each its own), "hidden" (a share of the
pixels is blank in training, as in chapter 4). All are stopped by validation. `label_mu`, `label_code`: share of test
digits that a linear classifier names from mu, each latent in its own width (however narrow), and from a draw of q.
"slow" and "long" have seed 0 alone.

depth: `depth`, `budget` (seconds at `milliseconds_a_step`), `lr`, stopped by validation; `left_over` and
`left_over_drawn`: correlation of vertical neighbours in what the decoder did not expect, of test digits and of draws.

rate: `model`, `lr`, `times` (five times the steps, stopped by validation), as the table's rows with Gaussian codes for
plain.
"""

import argparse
import statistics
import sys
import time
from dataclasses import replace
from functools import cache, partial
from itertools import product
from pathlib import Path

import torch
import torch.nn.functional as F
from recipes import decoders as of
from recipes.rows import Rows, rounded
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler
from tqdm.auto import tqdm

from course_lib.data import load_digits
from course_lib.device import make_generator
from course_lib.measure.judge import DigitJudge
from course_lib.models.autoencoder import Autoencoder, AutoencoderConfig
from course_lib.models.pixel.convolutional import GatedPixelCNN
from course_lib.models.pixel.model import PixelConfig
from course_lib.models.vae import rsample
from course_lib.prob import categorical_log_prob
from course_lib.train import Session

RESULTS = Path(__file__).parent / "results" / "decoders.json"
SETTINGS = {
    "steps": 800,
    "draws": 2000,
    "samples": 1000,  # importance weights of a bound
    "collapse_samples": 300,
    "few_samples": 100,  # where the bound is no more than company
    "collapse_batch": 50,
    "gap_every": 3,  # every third test digit: 149
    "K": [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000],
    "refining_steps": 400,
    "grid_step": 0.02,
    "epochs": 400,
    "hidden": 0.15,
    "milliseconds_a_step": {"1": 4.8, "2": 6.2, "4": 10.6, "8": 18.0},  # what equal time is counted by
    "budgets": [2, 4, 8, 16],
}
ESSENTIAL = ("table", "gap", "told", "pixel")
SEEDS = dict.fromkeys([*ESSENTIAL, "beta", "memory", "collapse"], 5) | {"depth": 3, "rate": 3}
HOW = {"slow": (1 / 3, 1, 0), "annealed": (1, 1, 0.5), "long": (1, 2, 0)}
FULL = of.LADDER["full"]


def wanted(kinds=SEEDS, seeds=range(5)):
    """The jobs (kind, job, seed): all of seed 0, then for the other seeds the essential, then their controls."""
    seeing = [*product(list(of.SIGHTS)[:-1], (True, False), ("",)), *(("PixelCNN 2", True, how) for how in HOW)]
    told = [*product(["Gated PixelCNN"], (True, False), ("hidden",)), ("Gated PixelCNN", True, "")]
    told += [(sight, True, "same") for sight in reversed(list(of.SIGHTS)[:-1])]
    told += [("PixelCNN 2", True, "same, annealed"), ("Gated PixelCNN", True, "same, hidden")]
    models = ("plain", "sigma = 1", "learnt sigma", "full")
    jobs = {
        "table": [("floors",), ("plain",), *((name,) for name in of.LADDER), ("no KL",), ("Gated PixelCNN",)],
        "gap": [("full",), ("two latents",)],
        "told": [("full",)],
        "pixel": [("full",), ("Gated PixelCNN",)],
        "beta": [(beta,) for beta in (0, 0.1, 1, 3, 10)],
        "collapse": [*seeing, ("nothing", True, "slow"), ("PixelCNN 2", False, "slow"), *told],
        "memory": list(product((50, 200, 1000), (16, 64, 256))),
        "depth": list(product((1, 2, 4, 8), SETTINGS["budgets"], (1e-3, 3e-3))),
        "rate": [*product(models, (1e-3, 3e-3, 6e-3), (1,)), *product(models, (3e-3,), (5,))],
    }
    every = [(kind, list(job), seed) for seed in seeds for kind in jobs if seed < SEEDS[kind] for job in jobs[kind]]
    every = [job for job in every if job[2] == 0 or job[1][-1] not in ("slow", "long")]
    every.sort(key=lambda job: (job[2] > 0, job[2] > 0 and job[0] not in ESSENTIAL))
    return [job for job in every if job[0] in kinds]


class Trial:
    """The digits, the judge of a seed, and the measures that most rows have."""

    def __init__(self, seed, share=1):
        self.seed = seed
        pairs = [load_digits(part) for part in ("train", "valid", "test")]
        (self.x, self.y), self.held, (self.test, self.y_test) = ([t[::share] for t in pair] for pair in pairs)
        self.valid = self.held[0]
        self.judge = DigitJudge((self.x, self.y), tuple(self.held), generator=make_generator(seed))
        self.chance = make_generator(10_000 + seed)  # of all measures; a training has one of its own

    def begin(self, kind):
        self.chance.manual_seed(10_000 + self.seed + 100 * list(SEEDS).index(kind))  # whatever was measured before

    def dice(self):
        return make_generator(self.seed)  # the same for every training of a seed

    def far(self, known):
        """How far from them all but one in twenty of the test digits are."""
        return of.distance(self.test, known).quantile(0.05)

    def images(self, likeliest, drawn, known=None):
        """What the judge says of them, and how many are copies of the training images `known`."""
        known, found = self.x if known is None else known, {}
        for way, x in (("", likeliest), ("_drawn", drawn)):
            if x is not None:
                label = self.judge.label(x)
                found["refused" + way] = (label < 0).float().mean().item()
                found["digits" + way] = of.different(label)
                found["copies" + way] = (of.distance(x, known) < self.far(known)).float().mean().item()
        return found

    @torch.no_grad()
    def codes(self, model, z, known=None):
        return self.images(*of.two_ways(model.decoder(z), self.chance), known)

    def prior(self, latent=of.LATENT):
        return torch.randn(SETTINGS["draws"], latent, generator=self.chance)

    @torch.no_grad()
    def nats(self, model, samples=None):
        samples = samples or SETTINGS["samples"]
        found = {
            f"nats_{part}": of.cost(model, x, generator=self.chance)
            for part, x in (("test", self.test), ("valid", self.valid))
        }
        found["kl"] = model.bound_terms(self.test, generator=self.chance)[1].mean().item()
        bound = model.log_prob_bound(self.test, samples=samples, generator=self.chance)
        return found | {"bound": -bound.mean().item(), "samples": samples}

    def vae(self, model, samples=None):
        """The common measures of a VAE."""
        return self.nats(model, samples) | self.codes(model, self.prior(model.config.latent))

    def learn(self, recipe, x=None, *, steps=None, beta=1.0, latent=of.LATENT, **more):
        """A VAE trained by its recipe, and how; with `valid`, the best (step, state) beside."""
        dice, steps = self.dice(), steps or SETTINGS["steps"]
        model = recipe.begin(dice, latent)

        def loss(model, x, *, generator, weight):
            return of.minus_elbo(model, x, generator=generator, weight=weight * beta)

        how = {"steps": steps, "lr": recipe.lr, "schedule": recipe.schedule}
        best = of.learn(model, self.x if x is None else x, loss, **how, generator=dice, **more)
        return model.eval(), how, best

    def best(self, recipe, **more):
        """As `learn`, stopped by validation."""
        model, how, (step, state) = self.learn(recipe, valid=self.valid, **more)
        model.load_state_dict(state)
        return model, how | {"best_step": step}

    @torch.no_grad()
    def around(self, model, x, times=1):
        """Draws of q(z | x): (times · B, Z)."""
        return rsample(*model.encoder(x.repeat(times, 1, 1, 1)), generator=self.chance)


def plain(trial, lr=2e-3, schedule="constant", steps=None, valid=None):
    """Chapter 2's autoencoder; its −log p(x | code) is what it is trained for, and stopped by."""
    dice, how = trial.dice(), {"steps": steps or SETTINGS["steps"], "lr": lr, "schedule": schedule}
    model = Autoencoder(AutoencoderConfig(latent=of.LATENT, features=64, depth=1), generator=dice)
    best = of.learn(
        model, trial.x, lambda m, x, **_: -categorical_log_prob(m(x), x), **how, generator=dice, valid=valid
    )
    if best:
        model.load_state_dict(best[1])
        how["best_step"] = best[0]
    with torch.no_grad():
        how["rebuilt_test"] = -categorical_log_prob(model(trial.test), trial.test).mean().item()
    return model.eval(), how


def table(trial, name):
    if name == "floors":
        counts = F.one_hot(trial.x, 17).sum(0) + 0.5
        logits = (counts / counts.sum(-1, keepdim=True)).log()
        exact = -categorical_log_prob(logits.expand(len(trial.test), -1, -1, -1, -1), trial.test).mean().item()
        both = of.two_ways(logits.expand(SETTINGS["draws"], -1, -1, -1, -1), trial.chance)
        yield {"name": "real digits"} | trial.images(trial.test, trial.test)
        yield {"name": "pixel histograms", "exact": exact} | trial.images(*both)
    elif name == "Gated PixelCNN":
        yield {"name": name} | gated(trial)
    elif name == "plain":
        model, how = plain(trial)
        with torch.no_grad():
            z = model.encoder(trial.x)
        ways = {"box": of.box_of, "Gaussian": of.gaussian_of, "mixture": of.mixture_of, "own codes": of.own_of}
        for way, density in ways.items():
            codes = density(z, trial.chance)(SETTINGS["draws"])
            yield {"name": f"plain, {way}"} | how | trial.codes(model, codes)
    elif name == "no KL":
        model, how, _ = trial.learn(FULL, beta=0)
        z = trial.around(model, trial.x, 5)
        for way, density in {"Gaussian": of.gaussian_of, "mixture": of.mixture_of}.items():
            codes = density(z, trial.chance)(SETTINGS["draws"])
            yield {"name": f"no KL, {way}"} | how | trial.codes(model, codes)
    else:
        model, how, _ = trial.learn(of.LADDER[name])
        yield {"name": name} | how | trial.vae(model)
        if name in ("sigma = 1", "learnt sigma", "full"):
            z = trial.around(model, trial.x, 5)
            for way, density in {"mixture": of.mixture_of, "own codes": of.own_of}.items():
                codes = density(z, trial.chance)(SETTINGS["draws"])
                yield {"name": f"{name}, {way}"} | how | trial.codes(model, codes)


def chapter_4(trial, steps=None):
    """Chapter 4's painter of digits, and how it was trained."""
    dice = trial.dice()
    model = GatedPixelCNN(PixelConfig(17, 1, 8, 8, features=40, depth=4), generator=dice)

    def loss(model, x, *, generator, **_):
        seen = torch.rand(len(x), 1, 8, 8, generator=generator) > SETTINGS["hidden"]
        return -categorical_log_prob(model(x, seen=seen), x)

    how = {"steps": steps or SETTINGS["steps"], "lr": 6e-3, "schedule": "cosine"}
    of.learn(model, trial.x, loss, **how, generator=dice, batch_size=32)
    return model.eval(), how


def gated(trial):
    """What it costs and draws, and how well a network tells its draws from digits."""
    model, how = chapter_4(trial)
    with torch.no_grad():
        exact = -model.log_prob(trial.test).mean().item()
    drawn = model.sample(SETTINGS["draws"] + len(trial.test), generator=trial.chance, progress=False)
    n, m = len(trial.x), len(trial.test)
    parts = (trial.x, drawn[:n]), (trial.test, drawn[-m:])
    right = of.told_apart(*parts, trial.chance, only=["network"])["network"]
    return how | {"exact": exact, "network_drawn": right} | trial.images(None, drawn[: SETTINGS["draws"]])


def gap(trial, name):
    two = name == "two latents"
    model, how, _ = trial.learn(FULL, latent=2 if two else of.LATENT)
    x, found = trial.test[:: SETTINGS["gap_every"]], {}
    found["K"] = [K for K in SETTINGS["K"] if K <= 1000 or not two]  # there the grid knows

    def bounds(q, most=None):
        log_w = of.log_weights(model, x, q, most or max(found["K"]), trial.chance)
        return [-of.bound_of(log_w, K) for K in found["K"] if len(log_w) >= K]

    with torch.no_grad():
        found |= {run: bounds(model.encoder(x)) for run in ("first", "second")}
    found["elbo"] = of.cost(model, x, generator=trial.chance, draws=200)
    q = of.refined(model, x, steps=SETTINGS["refining_steps"], generator=trial.chance)
    with torch.no_grad():
        elbos = [of.elbo_at(model, x, *q, trial.chance).mean() for _ in range(200)]
    found["refined"] = -sum(elbos).item() / 200
    found["from_refined"] = bounds(q, 1000)
    if two:
        for part, step in (("exact", SETTINGS["grid_step"]), ("coarse", 2 * SETTINGS["grid_step"])):
            found[part] = of.on_a_grid(model, x, step=step).mean().item()
    yield {"name": name} | how | found


def told(trial, name):
    model, how, _ = trial.learn(FULL)
    n, m, found = len(trial.x), len(trial.test), {}
    for way, mean in (("", True), ("_drawn", False)):
        made = model.sample(n + m, generator=trial.chance, mean=mean)
        right = of.told_apart((trial.x, made[:n]), (trial.test, made[n:]), trial.chance)
        found |= {kind + way: share for kind, share in right.items()}
    yield {"name": name} | how | found


def one_pixel(x):
    """Every digit with each of its pixels at the other extreme: (B, 64, 1, 8, 8), and the levels changed (B, 64)."""
    flat = x.flatten(1)
    other = torch.where(flat > 8, 0, 16)
    variants = torch.where(torch.eye(64, dtype=torch.bool), other[:, None], flat[:, None])
    return variants.unflatten(2, (1, 8, 8)), other - flat


@torch.no_grad()
def changed(model, x):
    """As `one_pixel`, and what each change costs a VAE with the code kept: −log p(x' | z), less what x does (B, 64)."""
    variants, levels = one_pixel(x)
    nats, flat = -model(x).log_softmax(-1).flatten(1, 3), x.flatten(1)  # (B, 64, V)
    price = nats.gather(2, (flat + levels)[..., None]) - nats.gather(2, flat[..., None])
    return variants, levels, price[..., 0]


@torch.no_grad()
def dearer(log_prob, x, variants):
    """By how much each variant is less likely than the image itself: (B, 64) nats."""
    each = torch.cat([log_prob(part) for part in variants.flatten(0, 1).split(2000)])
    return log_prob(x)[:, None] - each.view(len(x), -1)


def pixel(trial, name, samples=20):
    x = trial.test[trial.judge.label(trial.test) == trial.y_test]
    if name == "full":
        model, how, _ = trial.learn(FULL)
        variants, levels, price = changed(model, x)
        how["bound_samples"] = samples
        bound = partial(model.log_prob_bound, samples=samples, generator=trial.chance)
        scores = {"code": price, "bound": dearer(bound, x, variants), "levels": levels.abs()}
        scores["judge"] = -trial.judge.loudness(variants.flatten(0, 1)).amax(1).view(len(x), 64)
    else:
        model, how = chapter_4(trial)
        variants, levels = one_pixel(x)
        scores = {"exact": dearer(model.log_prob, x, variants)}
    refused = (trial.judge.label(variants.flatten(0, 1)) < 0).view(len(x), 64)
    found = {"digits_right": len(x), "images": refused.numel(), "refused_share": refused.float().mean().item()}
    for which, part in (("", levels != 0), ("_inked", levels > 0), ("_wiped", levels < 0)):
        for score, values in scores.items():
            found[f"auc_{score}{which}"] = roc_auc_score(refused[part], values[part])
            found[f"within_{score}{which}"] = within(refused, values, part)
    yield {"name": name} | how | found


def within(refused, values, part):
    """As the AUC, but only variants of the same digit are compared: the mean over digits that have both kinds."""
    each = [
        roc_auc_score(no[here], value[here])
        for no, value, here in zip(refused, values, part, strict=True)
        if 0 < no[here].sum() < here.sum()
    ]
    return sum(each) / len(each) if each else 0.5


@torch.no_grad()
def of_codes(trial, model):
    """What the codes say: mutual information, active latents, and the digit."""
    mu, log_var = model.encoder(trial.x)
    mu_test, log_var_test = model.encoder(trial.test)
    found = {"knows": of.knows(model, trial.test, trial.chance), "active": (mu.var(0) > 0.01).sum().item()}
    drawn = (rsample(m, v, generator=trial.chance) for m, v in ((mu, log_var), (mu_test, log_var_test)))
    for part, (z, z_test) in {"label_mu": (mu, mu_test), "label_code": tuple(drawn)}.items():
        scale = StandardScaler().fit(z.numpy())
        line = LogisticRegression(max_iter=5000).fit(scale.transform(z.numpy()), trial.y.numpy())
        found[part] = line.score(scale.transform(z_test.numpy()), trial.y_test.numpy())
    return found


def beta(trial, weight):
    model, how, _ = trial.learn(FULL, beta=weight)
    yield (
        {"name": f"beta {weight}", "beta": weight}
        | how
        | trial.vae(model, SETTINGS["few_samples"])
        | of_codes(trial, model)
    )


def memory(trial, n, features):
    known = trial.x[:n]
    recipe = replace(FULL, features=features, dropout=0.0)
    steps = SETTINGS["epochs"] * len(known) // min(len(known), 100)
    model, how, (step, state) = trial.learn(recipe, known, steps=steps, valid=trial.valid, looks=40)
    for stopped in (False, True):
        if stopped:
            model.load_state_dict(state)
            how["best_step"] = step
        row = {"name": f"{n} images, {features} features" + stopped * ", stopped", "images": n, "features": features}
        found = {"stopped": stopped} | how | trial.nats(model, SETTINGS["few_samples"])
        found |= trial.codes(model, trial.prior(), known)
        found["seen"], found["new"] = of.cost(model, known, generator=trial.chance), found["nats_test"]
        far = trial.far(known)
        found["copies_new"] = (of.distance(trial.valid, known) < far).float().mean().item()
        at_home, rebuilt = (model.observe(trial.around(model, x)) for x in (known, trial.test))
        for part, away in (
            ("home", of.distance(at_home, known)),
            ("home_self", of.to_itself(at_home, known)),
            ("test_self", of.to_itself(rebuilt, trial.test)),
        ):
            found[part] = (away < far).float().mean().item()
        yield row | found


def collapse(trial, sight, told, how):
    ways = how.split(", ")
    slower, longer, warm = HOW.get(ways[-1], (1, 1, 0))
    dice = trial.dice()
    more = {"same": "same" in ways, "hidden": of.HIDDEN if "hidden" in ways else 0.0}
    begin = of.SightedVAE if told else partial(of.painter, latent=0)
    model = begin(sight, generator=dice, **more)
    settings = {"steps": longer * SETTINGS["steps"], "lr": FULL.lr * slower, "schedule": "cosine"}
    loss = of.minus_elbo if told else of.minus_log_prob
    step, state = of.learn(
        model,
        trial.x,
        loss,
        **settings,
        generator=dice,
        valid=trial.valid,
        warm=warm,
        batch_size=SETTINGS["collapse_batch"],
    )
    model.load_state_dict(state)
    model.eval()
    name = f"sees {sight}{', told' * told}{', ' * bool(how)}{how}"
    row = {"name": name, "sight": sight, "told": told, "how": how} | settings | {"best_step": step}
    with torch.no_grad():
        if not told:
            exact = {part: -model.log_prob(x).mean().item() for part, x in (("", trial.test), ("_valid", trial.valid))}
            drawn = model.paint(SETTINGS["draws"], generator=trial.chance)
            yield row | {f"exact{part}": nats for part, nats in exact.items()} | trial.images(None, drawn)
            return
        z = trial.prior()
        both = model.decoder_net.paint(len(z), z), model.decoder_net.paint(len(z), z, generator=trial.chance)
        yield row | trial.nats(model, SETTINGS["collapse_samples"]) | of_codes(trial, model) | trial.images(*both)


def depth(trial, layers, budget, lr):
    steps = round(1000 * budget / SETTINGS["milliseconds_a_step"][str(layers)])
    model, how = trial.best(replace(FULL, depth=layers, lr=lr), steps=steps)
    z = trial.around(model, trial.test)
    drawn = model.observe(z, generator=trial.chance)
    found = {"left_over": of.residual_correlation(model, trial.test, z)}
    found["left_over_drawn"] = of.residual_correlation(model, drawn, z)
    name = {"name": f"depth {layers}, {budget} s, rate {lr}", "depth": layers, "budget": budget}
    yield name | how | trial.vae(model, SETTINGS["few_samples"]) | found


def rate(trial, name, lr, times):
    row = {"name": f"{name}, rate {lr}" + (times > 1) * f", {times} times", "model": name, "times": times}
    steps, stop = times * SETTINGS["steps"], {"valid": trial.valid} if times > 1 else {}
    if name == "plain":
        model, how = plain(trial, lr, "constant", steps, **stop)
        with torch.no_grad():
            z = model.encoder(trial.x)
        for way, density in {"Gaussian": of.gaussian_of, "mixture": of.mixture_of}.items():
            codes = density(z, trial.chance)(SETTINGS["draws"])
            yield row | {"name": f"{row['name']}, {way}", "codes": way} | how | trial.codes(model, codes)
        return
    recipe = replace(of.LADDER[name], lr=lr)
    model, how = trial.best(recipe, steps=steps) if stop else trial.learn(recipe, steps=steps)[:2]
    yield row | how | trial.vae(model, SETTINGS["few_samples"])


KINDS = {
    "table": table,
    "gap": gap,
    "told": told,
    "pixel": pixel,
    "beta": beta,
    "memory": memory,
    "collapse": collapse,
    "depth": depth,
    "rate": rate,
}


def timed(rounds=15, turn=10):
    """Milliseconds that a step of the full model takes at each depth: the median of `rounds` turns."""
    x, sessions = load_digits("train")[0], {}
    for layers in SETTINGS["milliseconds_a_step"]:
        dice = make_generator(0)
        model = replace(FULL, depth=int(layers)).begin(dice)
        session = Session(model, lr=1e-4, steps=10**6, generator=dice, progress=False)
        sessions[layers] = session, session.batches((x,), 100), partial(of.minus_elbo, generator=dice)
    taken = {layers: [] for layers in sessions}
    for _ in tqdm(range(rounds + 1), desc="rounds"):
        for layers, (session, batches, loss) in sessions.items():
            start = time.perf_counter()
            for _ in range(turn):
                session.minimise(loss(session.model, *next(batches)))
            taken[layers].append(1e3 * (time.perf_counter() - start) / turn)
    return {layers: round(statistics.median(times[1:]), 2) for layers, times in taken.items()}


def grow(found, jobs, trial, kinds, shown):
    """Make the rows of the `jobs` that are not stored yet, by {kind: function}; say of each row what is `shown`."""
    done = [(row["kind"], row["job"], row["seed"]) for row in found.read()["rows"]]
    for kind, job, seed in tqdm([at for at in jobs if at not in done], desc="jobs"):
        trial(seed).begin(kind)
        rows = [{"kind": kind, "seed": seed, "job": job} | rounded(row) for row in kinds[kind](trial(seed), *job)]
        found.add(*rows)
        for row in rows:
            said = {name: row[name] for name in shown if name in row}
            tqdm.write(f"{kind}, seed {seed}: {row['name']} {said}", file=sys.stdout)
        sys.stdout.flush()


def main(argv=None, path=RESULTS, share=1):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--time", action="store_true", help="measure a step at each depth, and train nothing")
    parser.add_argument("--fresh", action="store_true", help="forget the rows that are stored")
    parser.add_argument("--kinds", nargs="*", choices=KINDS, default=list(KINDS))
    parser.add_argument("--seeds", nargs="*", type=int, default=list(range(5)))
    asked = parser.parse_args(argv)
    found = Rows(path, "python benchmarks/decoders.py", SETTINGS, {"timed": {}, "timed_on": ""})
    found.begin(asked.fresh)
    if asked.time:
        found.add(timed=timed(), timed_on=f"{torch.get_num_threads()} threads, cpu")
        return
    trial = cache(partial(Trial, share=share))
    shown = ("nats_test", "bound", "exact", "refused", "refused_drawn")
    grow(found, wanted(asked.kinds, asked.seeds), trial, KINDS, shown)


if __name__ == "__main__":
    main()
