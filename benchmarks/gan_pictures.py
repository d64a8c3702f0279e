"""Chapter 8's games for pictures, and their controls: `python benchmarks/gan_pictures.py`, an hour instead of seconds.

A *job* is one training, or two that belong together, and gives one row or several in `results/gan_pictures.json`. They
are written when it is done, and the same command continues with the jobs that are missing: Ctrl-C loses one training at
most. `--fresh` starts anew. `--kinds` and `--seeds` choose some of the jobs. Digits are chapter 2's, 1000 to train, 350
to set the judge and 447 to measure; the judge is trained anew for each seed. The game is the chapter's: dense players
of 128 features and 2 layers, 16 latents, batches of 128, rate 3e-3 falling by cosine, R1 0.3, 2000 steps.

Every row has `kind`, `name`, `seed` and the `job` that made it, and `steps` and `seconds` of the processor that its
training took on one thread (they depend on the machine). 2000 draws, or what else a name says, are worth:

- `refused`: share that the judge refuses; `digits`: how many different ones among the others (e^H of their shares).
- `copies`: share that is nearer to a training digit than all but one in twenty of the test digits are. `nearest`: the
  median distance to the nearest training digit, in levels. `nearer`: share that is nearer to one of 447 training digits
  than to one of the 447 test digits, 0.5 where nothing is learnt by heart.
- `told_histogram`, `told_pixels`, `told_network`: what a fresh classifier gets right of held-out images, half real and
  half made, as in chapter 7's `told`: from the levels without places, pixel by pixel, by two convolutions.
- `painter_nats`, `painter_spread`: mean and standard deviation of −log p(x), exact, by the seed's Gated PixelCNN
  (chapter 4's recipe, 800 steps): which relations are those of digits, asked of one who knows relations.
- `left_over`: correlation of vertical neighbours in what the seed's VAE (chapter 7's, 800 steps) does not expect of an
  image whose code it was asked for: the same smoother for all, so that what has no code can be asked too.
- `roughness`: rms of what a pixel differs from the mean of its four neighbours, levels. `mean_off`: by how much the
  mean image differs from that of the training digits, levels a pixel.

table: `real digits` (test), `other real digits` (validation; `told_…` for two halves of the training digits: guessing),
`Gated PixelCNN` (the one that measures) and `Gated PixelCNN, a game's time`, with `exact`, −log p of the test digits.
`GAN`, and at about its time: `VAE, drawn`, `VAE, drawn at 0.7` (temperature), `VAE, likeliest`, each also with a
mixture of ten Gaussians for a prior, `VAE, mixture, …`. So has chapter 2's autoencoder, as long: `autoencoder, mixture,
drawn` and `… likeliest`.

longer: `times` 3 and 10, of `GAN` and of the VAE (`VAE, drawn` …), one schedule over all the steps.

weak: `sees` "whole", "pixel" (64 networks of one pixel each, added up) or "linear", 600 steps and, but for "whole",
which is the table's, 2000. `loss_g`, `loss_d`: the players' losses in the last tenth, nats (log 2 = 0.693 and log 4 =
1.386 where D can tell nothing).

latent: 2, 8, 64 and 100 latents instead of 16, for 64 pixels.

fooling: `recipe` "R1 0.3", "no R1", "R1 10", "spectral" (no R1), "noise" (D sees through noise in training; no R1), of
2000 steps, the first two also of 600. 200 images of uniform noise climb D's logit (Adam, 0.05, 200 steps) and are
rounded. D's probability of real, medians: `real` (test digits), `draws` (its generator's), `noise` (before), `climbed`;
`real_95` is exceeded by one test digit in twenty. Shares of the climbed: `above_99` (D > 0.99), `beyond` (D above
`real_95`), `refused_climbed`. `real_above_99`: of test digits. `gap`: median logit of the climbed less that of the test
digits; `gap_spreads`: in standard deviations of the test digits' logits. `auc_draws`, `auc_noise`, `auc_climbed`: the
share of pairs in which D holds the test digit for more real. `refused`, `digits`, `copies`: of the generator's draws,
which says what each game was worth.

sprites: chapter 4's creatures, 4000 to train, 500 to measure. `real sprites`, and the GAN (128 features, 1 layer, 32
latents, batches of 32, rate 3e-3, R1 10) at `times` 1 (600 steps), 3 and 10. `variety`: pixels of 256 in which one
differs from the most similar of 250 others; `copied`: from the most similar of the training sprites (medians). `left`,
`above`, `mirror`: share of pixels with the colour of that neighbour, or of their mirror image; `colours` in a picture;
`told_network`, of held-out sprites (a half is guessing).
"""

import argparse
import statistics
import time
from dataclasses import replace
from functools import cache, cached_property, partial
from itertools import product
from pathlib import Path

import decoders
import torch
from decoders import FULL, chapter_4, plain
from recipes import decoders as of
from recipes import gan_pictures as pictures
from recipes.rows import Rows

from course_lib.data import load_sprites
from course_lib.device import make_generator

RESULTS = Path(__file__).parent / "results" / "gan_pictures.json"
SETTINGS = {
    "steps": 2000,
    "short": 600,
    "vae_steps": 1800,  # about as long as a game
    "autoencoder_steps": 4000,
    "painter_steps": 220,
    "measuring_steps": 800,  # of the Gated PixelCNN and the VAE that measure, as in chapters 4 and 7
    "draws": 2000,
    "climbers": 200,
    "climbing_steps": 200,
    "sprite_steps": 600,
    "sprites": 4000,
    "sprites_held_out": 500,
}
RECIPES = {
    "R1 0.3": {},
    "no R1": {"r1": 0.0},
    "R1 10": {"r1": 10.0},
    "spectral": {"r1": 0.0, "config": replace(pictures.DIGITS, spectral=True)},
    "noise": {"r1": 0.0, "viewer": pictures.ThroughNoise},
}
SEES = {
    "whole": {},
    "pixel": {"viewer": pictures.OnePixelAtATime},
    "linear": {"sees": replace(pictures.DIGITS, depth=0)},
}
WAYS = ("histogram", "pixels", "network")


def jobs():
    short, long = SETTINGS["short"], SETTINGS["steps"]
    return {
        "table": [("floors",), ("GAN",), ("VAE",), ("Gated PixelCNN",), ("autoencoder",)],
        "weak": [("whole", short), *product(("pixel", "linear"), (short, long))],
        "fooling": [*product(("R1 0.3", "no R1"), (short,)), *product(RECIPES, (long,))],
        "latent": [(n,) for n in (2, 8, 64, 100)],
        "longer": [("GAN", 3), ("VAE", 3), ("GAN", 10), ("VAE", 10)],
        "sprites": [("floors",), (1,), (3,), (10,)],
    }


SLOW = (("longer", 10), ("sprites", 10))  # minutes


def wanted(kinds, seeds):
    """The jobs (kind, job, seed): all that is quick, kind by kind and seed after seed, then what takes minutes."""
    every = [(kind, list(job), seed) for kind, some in jobs().items() for seed in seeds for job in some]
    every.sort(key=lambda job: (job[0], job[1][-1]) in SLOW)
    return [job for job in every if job[0] in kinds]


class Trial(decoders.Trial):
    """Chapter 7's, with the two models that measure, and one list of measures for all images of digits."""

    def begin(self, kind):
        self.chance.manual_seed(20_000 + self.seed + 100 * list(jobs()).index(kind))  # whatever was measured before

    @cached_property
    def painter(self):
        return clocked(partial(chapter_4, self), SETTINGS["measuring_steps"])

    @cached_property
    def smoother(self):
        return self.learn(FULL, steps=SETTINGS["measuring_steps"])[0]

    @torch.no_grad()
    def judged(self, x):
        """What the judge and the training digits say of images x."""
        label, away = self.judge.label(x), of.distance(x, self.x)
        return {
            "refused": (label < 0).float().mean().item(),
            "digits": of.different(label),
            "copies": (away < self.far(self.x)).float().mean().item(),
            "nearest": away.median().item(),
            "nearer": pictures.nearer(x, self.x, self.test, self.chance),
        }

    def told(self, train, test):
        """Each classifier, from dice of its own, so that a job comes out the same whatever else it measures."""
        return {
            f"told_{way}": of.told_apart(train, test, make_generator(30_000 + self.seed), [way])[way] for way in WAYS
        }

    def structure(self, x):
        painter, z = self.painter[0], self.around(self.smoother, x)
        with torch.no_grad():
            nats = torch.cat([-painter.log_prob(part) for part in x.split(500)])
        return {
            "painter_nats": nats.mean().item(),
            "painter_spread": nats.std().item(),
            "left_over": of.residual_correlation(self.smoother, x, z),
            "roughness": pictures.roughness(x),
            "mean_off": (x.float().mean(0) - self.x.float().mean(0)).abs().mean().item(),
        }

    def worth(self, x):
        n, m = len(self.x), len(self.test)
        told = self.told((self.x, x[: min(n, len(x) - m)]), (self.test, x[-m:]))
        return self.judged(x) | told | self.structure(x)

    def play(self, steps, config=pictures.DIGITS, **more):
        """A game, and how it was trained."""
        began, knobs = time.process_time(), pictures.PLAY | more
        players, history = pictures.play(self.x, config, steps=steps, generator=self.dice(), **knobs)
        return players, history, {"steps": steps, "seconds": round(time.process_time() - began, 2)}

    def draws(self, players, n=None):
        return players["generator"].sample(n or SETTINGS["draws"], generator=self.chance)


def clocked(train, steps):
    """What `train(steps=…)` gives first, and how long it took."""
    began = time.process_time()
    model = train(steps=steps)[0]
    return model, {"steps": steps, "seconds": round(time.process_time() - began, 2)}


def from_game(trial, times=1):
    players, _, how = trial.play(times * SETTINGS["steps"])
    yield {"name": "GAN", "times": times} | how | trial.worth(trial.draws(players))


@torch.no_grad()
def from_codes(trial, model, z):
    """The decoder's images of codes z: drawn, drawn at temperature 0.7, and their likeliest levels."""
    logits = model.decoder(z)
    yield "drawn", pictures.draw_at(logits, 1, trial.chance)
    yield "drawn at 0.7", pictures.draw_at(logits, 0.7, trial.chance)
    yield "likeliest", logits.argmax(-1)


def from_vae(trial, times=1):
    model, how = clocked(partial(trial.learn, FULL), times * SETTINGS["vae_steps"])
    mixture = of.mixture_of(trial.around(model, trial.x, 5), trial.chance)
    for prior, z in {"": trial.prior(), "mixture, ": mixture(SETTINGS["draws"])}.items():
        for way, x in from_codes(trial, model, z):
            yield {"name": f"VAE, {prior}{way}", "times": times} | how | trial.worth(x)


def table(trial, name):
    if name == "floors":
        halves = [part[torch.randperm(len(part), generator=trial.chance)] for part in (trial.x, trial.test)]
        told = trial.told(*[(part[: len(part) // 2], part[len(part) // 2 :]) for part in halves])
        real = trial.judged(trial.test) | trial.structure(trial.test)
        del real["nearer"]  # they are the held-out ones
        yield {"name": "real digits"} | real
        yield {"name": "other real digits"} | trial.judged(trial.valid) | told | trial.structure(trial.valid)
    elif name == "Gated PixelCNN":
        quick = clocked(partial(chapter_4, trial), SETTINGS["painter_steps"])
        for also, (model, how) in (("", trial.painter), (", a game's time", quick)):
            x = model.sample(SETTINGS["draws"], generator=trial.chance, progress=False)
            with torch.no_grad():
                nats = -model.log_prob(trial.test).mean().item()
            yield {"name": name + also, "exact": nats} | how | trial.worth(x)
    elif name == "autoencoder":
        model, how = clocked(partial(plain, trial), SETTINGS["autoencoder_steps"])
        with torch.no_grad():
            z = of.mixture_of(model.encoder(trial.x), trial.chance)(SETTINGS["draws"])
        for way, x in from_codes(trial, model, z):
            if way != "drawn at 0.7":
                yield {"name": f"autoencoder, mixture, {way}"} | how | trial.worth(x)
    else:
        yield from (from_game if name == "GAN" else from_vae)(trial)


def longer(trial, name, times):
    yield from (from_game if name == "GAN" else from_vae)(trial, times)


def weak(trial, sees, steps):
    players, history, how = trial.play(steps, **SEES[sees])
    last = max(1, steps // 10)
    nats = {f"loss_{name[0]}": statistics.mean(history.losses[name][-last:]) for name in players}
    yield {"name": f"{sees}, {steps} steps", "sees": sees} | how | nats | trial.worth(trial.draws(players))


def latent(trial, n):
    players, _, how = trial.play(SETTINGS["steps"], replace(pictures.DIGITS, latent=n))
    yield {"name": f"{n} latents", "latent": n} | how | trial.worth(trial.draws(players))


def fooling(trial, recipe, steps):
    players, _, how = trial.play(steps, **RECIPES[recipe])
    viewer, made = players["discriminator"], trial.draws(players)
    start = 2 * torch.rand(SETTINGS["climbers"], 1, 8, 8, generator=trial.chance) - 1
    climbed = pictures.climb(viewer, start, SETTINGS["climbing_steps"])
    sets = {"real": trial.test, "draws": made, "noise": ((start + 1) * 8).round().long(), "climbed": climbed}
    with torch.no_grad():
        logits = {name: viewer(x) for name, x in sets.items()}
    real, top = logits["real"], logits["climbed"]
    gap, limit = (top.median() - real.median()).item(), real.quantile(0.95)
    found = {name: each.sigmoid().median().item() for name, each in logits.items()}
    found |= {"real_95": limit.sigmoid().item(), "real_above_99": (real.sigmoid() > 0.99).float().mean().item()}
    found |= {"above_99": (top.sigmoid() > 0.99).float().mean().item(), "beyond": (top > limit).float().mean().item()}
    found |= {"gap": gap, "gap_spreads": gap / max(1e-9, real.std().item())}
    found |= {f"auc_{name}": pictures.auc(real, logits[name]) for name in ("draws", "noise", "climbed")}
    row = {"name": f"{recipe}, {steps} steps", "recipe": recipe} | how | found
    yield row | {"refused_climbed": trial.judge.invalid_share(climbed)} | trial.judged(made)


def sprites(trial, times):
    n, m = SETTINGS["sprites"], SETTINGS["sprites_held_out"]
    x = load_sprites(n + m, generator=make_generator(trial.seed))
    known, held_out, how, name = x[:n], x[n:], {}, "real sprites"
    if times == "floors":
        made = load_sprites(n + m, generator=make_generator(40_000 + trial.seed))
    else:
        began, steps, dice = time.process_time(), times * SETTINGS["sprite_steps"], trial.dice()
        players, _ = pictures.play(known, pictures.SPRITES, steps=steps, generator=dice, **pictures.PLAY_SPRITES)
        how = {"steps": steps, "seconds": round(time.process_time() - began, 2)}
        name, made = "GAN", trial.draws(players, min(n, 2000) + m)
    seen = min(len(made) - m, 2000)
    right = pictures.told_sprites((known[:seen], made[:seen]), (held_out, made[-m:]), trial.chance)
    some = made[: m // 2], made[m // 2 : m]
    found = {"variety": pictures.differ(*some).median().item()}
    found["copied"] = pictures.differ(made[:m], known).median().item()
    yield {"name": name, "times": times} | how | found | pictures.of_sprites(made[:m]) | {"told_network": right}


KINDS = {"table": table, "weak": weak, "fooling": fooling, "latent": latent, "longer": longer, "sprites": sprites}


def main(argv=None, path=RESULTS, share=1):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fresh", action="store_true", help="forget the rows that are stored")
    parser.add_argument("--kinds", nargs="*", choices=KINDS, default=list(KINDS))
    parser.add_argument("--seeds", nargs="*", type=int, default=list(range(5)))
    asked = parser.parse_args(argv)
    found = Rows(path, "python benchmarks/gan_pictures.py", SETTINGS, {})
    found.begin(asked.fresh)
    trial = cache(partial(Trial, share=share))
    shown = ("refused", "copies", "told_network", "above_99")
    decoders.grow(found, wanted(asked.kinds, asked.seeds), trial, KINDS, shown)


if __name__ == "__main__":
    main()
