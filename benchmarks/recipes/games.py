"""What the comparison of games is made of: recipes, the loop that plays them, and what their draws are held against."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import torch
import torch.nn.functional as F
from scipy.stats import rankdata

from course_lib.data.plane import Plane
from course_lib.device import make_generator, pick_device
from course_lib.measure.coverage import coverage, nearest
from course_lib.models.gan import Discriminator, GANConfig, Generator
from course_lib.models.vae import VAE
from course_lib.train import Session
from course_lib.train.game import discriminator_loss, generator_loss

WIDE, CELLS = 5.0, 100  # the square [-5, 5]² that histograms and searches know, and its cells along a side
TRUNCATED = math.sqrt(1 - 4.5 * math.exp(-4.5) / (1 - math.exp(-4.5)))  # the std, in σ, of what lies within 3 σ
NEGLIGIBLE = 6  # σ from a mode: the density is e^-18 of the mode's own


@dataclass(frozen=True)
class Play:
    """A recipe: the generator's loss, what keeps the discriminator in check, and how fast which of the two moves.

    `noise` is the std of what is added to all that the discriminator sees. `turns` are the discriminator's in a step,
    `ratio` is its rate over the generator's, `lr`, and `seen` its features. With `critic` it is Wasserstein's, and
    `penalty` the weight of (slope − 1)² between real and made points. `momentum` is Adam's first beta.
    """

    game: str = "non-saturating"
    r1: float = 0.0
    schedule: str = "constant"
    lr: float = 1e-3
    packing: int = 1
    spectral: bool = False
    noise: float = 0.0
    turns: int = 1
    ratio: float = 1.0
    seen: int = 64
    critic: bool = False
    penalty: float = 0.0
    momentum: float = 0.0


PLAIN, STABLE = Play(), Play(r1=0.1, schedule="cosine", lr=5e-3)  # as it was published; the defaults of `fit_gan`
RECIPES = {
    "plain": PLAIN,
    "minimax": replace(PLAIN, game="minimax"),
    "R1": replace(PLAIN, r1=0.1),
    "spectral norm": replace(PLAIN, spectral=True),
    "noise": replace(PLAIN, noise=0.1),
    "packing 2": replace(PLAIN, packing=2),
    "momentum": replace(PLAIN, momentum=0.9),
    "falling rate": replace(PLAIN, schedule="cosine"),
    "fast": replace(PLAIN, lr=5e-3),
    "fast, R1": replace(STABLE, schedule="constant"),
    "fast, falling rate": replace(STABLE, r1=0.0),
    "stable": STABLE,
}
CONTROLS = {  # with the share of the steps: the first two take as many seconds as the dearest recipe, spectral norm
    "plain": (PLAIN, 1.67),
    "fast, falling rate": (replace(STABLE, r1=0.0), 1.67),
    "stable, minimax": (replace(STABLE, game="minimax"), 1),
    "spectral norm for R1": (replace(STABLE, r1=0.0, spectral=True), 1),
    "noise for R1": (replace(STABLE, r1=0.0, noise=0.1), 1),
    "packing 2 for R1": (replace(STABLE, r1=0.0, packing=2), 1),
}
STILL = ("in the game", "plain", "R1", "spectral norm", "noise", "packing 2")
CRITIC = Play(critic=True, penalty=0.1, schedule="cosine", lr=5e-3)
SIGNALS = {  # with the share of the steps, so that all take about as long
    "stable": (STABLE, 1),
    "plain": (PLAIN, 1),
    "stable, 5 turns": (replace(STABLE, turns=5), 1 / 3),
    "critic, 5 turns": (replace(CRITIC, turns=5), 1 / 3),
    "critic, 1 turn": (CRITIC, 1),
}


def adam(momentum: float = 0.0) -> Callable:
    """The optimiser of `fit_gan`, with another first beta."""
    return partial(torch.optim.Adam, betas=(momentum, 0.99))


def begin(how: Play, seed: int, *, latent: int, features: int, depth: int) -> dict:
    """Two new players for points of the plane."""
    config = GANConfig(latent=latent, features=features, depth=depth, packing=how.packing, spectral=how.spectral)
    dice = make_generator(seed)
    g = Generator(config, generator=dice)
    d = Discriminator(replace(config, features=how.seen), generator=dice)
    return {"generator": g.to(pick_device()), "discriminator": d.to(pick_device())}


def play(players: dict, x: torch.Tensor, how: Play, *, steps: int, batch_size: int, generator, watch: Callable):
    """`fit_gan` with turns, noise, two rates and a critic; where `how` has none of these, the very same: its History.

    `watch(session)` is called after every step.
    """
    rates = {"generator": how.lr, "discriminator": how.lr * how.ratio}
    rest = {"optimizer": adam(how.momentum), "schedule": how.schedule, "progress": False}
    session = Session(players, lr=rates, steps=steps, generator=generator, **rest)
    g, d = (session.models[name] for name in ("generator", "discriminator"))
    x, draw_z = x.to(generator.device), partial(players["generator"].draw_z, batch_size, generator=generator)

    shown = partial(_noisy, noise=how.noise, generator=generator)
    for real in session.batches(x, batch_size):
        for turn in range(how.turns):
            if turn:
                real = x[torch.randint(len(x), (batch_size,), generator=generator, device=x.device)]
            with torch.no_grad():
                made = g(draw_z())
            session.minimise(_told_apart(d, shown(real), shown(made), how, generator), "discriminator")
        made = shown(g(draw_z()))
        session.minimise(-d(made) if how.critic else generator_loss(d, made, game=how.game), "generator")
        watch(session)
    return session.history


def alone(g: Generator, x: torch.Tensor, how: Play, *, steps: int, batch_size: int, features, depth, generator):
    """A new discriminator, trained by its side of a recipe for a generator that stands still."""
    config = GANConfig(features=features, depth=depth, packing=how.packing, spectral=how.spectral)
    d = Discriminator(config, generator=make_generator(generator.initial_seed()))
    rest = {"optimizer": adam(), "schedule": how.schedule, "progress": False}
    session = Session(d, lr=how.lr, steps=steps, generator=generator, **rest)
    shown = partial(_noisy, noise=how.noise, generator=generator)
    for real in session.batches(x, batch_size):
        made = g.sample(batch_size, generator=generator)
        session.minimise(_told_apart(session.model, shown(real), shown(made), how, generator))
    return d


def _noisy(x, *, noise, generator):
    return x + noise * torch.empty_like(x).normal_(generator=generator) if noise else x


def _told_apart(d, real, made, how, generator):
    """The discriminator's loss, or the critic's: Gulrajani et al. (2017), algorithm 1."""
    if not how.critic:
        return discriminator_loss(d, real, made, r1=how.r1)
    at = torch.empty_like(real[:, :1]).uniform_(generator=generator)
    between = (at * real + (1 - at) * made).requires_grad_()
    (slope,) = torch.autograd.grad(d(between).sum(), between, create_graph=True)
    return d(made) - d(real) + how.penalty * (slope.norm(dim=1) - 1).square()


def play_vae(model: VAE, x: torch.Tensor, *, steps: int, batch_size: int, generator, watch: Callable):
    """A VAE's training in the same terms: the rates of `STABLE`, and minus the ELBO, nats, is its loss."""
    rest = {"optimizer": adam(), "schedule": STABLE.schedule, "progress": False}
    session = Session(model, lr=STABLE.lr, steps=steps, generator=generator, **rest)
    for batch in session.batches(x, batch_size):
        session.minimise(-session.model.elbo(batch, generator=generator))
        watch(session)
    return session.history


# --- what draws are worth ----------------------------------------------------------------------------------------


def worth(plane: Plane, x: torch.Tensor) -> dict:
    """What draws x (N, 2) are worth, held against the density that is known."""
    found = coverage(x, plane.modes, plane.mode_std)
    mine = {"reached": found.reached, "high_quality": found.high_quality, "reverse_kl": found.reverse_kl}
    return mine | {"log_prob": plane.log_prob(x).mean().item(), "spread": spread(plane, x)}


def spread(plane: Plane, x: torch.Tensor, least: int = 20) -> float | None:
    """The std of draws within a mode over the truth's, the mean over all modes that have `least` draws: 1 is right.

    Draws that are more than 3 σ away belong to no mode; the truth is treated in the same way.
    """
    distance, mode = nearest(x, plane.modes)
    parts = [x[(distance <= 3 * plane.mode_std) & (mode == k)] for k in range(len(plane.modes))]
    stds = [part.var(0).mean().sqrt().item() for part in parts if len(part) >= least]
    return sum(stds) / len(stds) / (TRUNCATED * plane.mode_std) if stds else None


def js(plane: Plane, x: torch.Tensor) -> float:
    """The Jensen-Shannon divergence of draws x (N, 2) from the truth, nats, between cells of 0.1 by 0.1.

    Of N draws that are the truth it is not quite 0, but about (cells that are hit) / 8N.
    """
    at = ((x + WIDE) / (2 * WIDE) * CELLS).floor().long()
    inside = ((at >= 0) & (at < CELLS)).all(1)
    q = (at[inside, 0] * CELLS + at[inside, 1]).bincount(minlength=CELLS**2).double() / len(x)
    centres = (torch.arange(CELLS, dtype=torch.float64) + 0.5) * 2 * WIDE / CELLS - WIDE
    p = plane.log_prob(torch.cartesian_prod(centres, centres)).exp()
    p = p / p.sum()
    outside = 1 - inside.double().mean().item()  # where the truth has nothing
    m = (p + q) / 2
    kl = [torch.special.xlogy(part, part / m.clamp(min=1e-300)).sum().item() for part in (p, q)]
    return (sum(kl) + outside * math.log(2)) / 2


def energy(x: torch.Tensor, real: torch.Tensor) -> float:
    """The energy distance of draws (N, 2) from the truth's draws (M, 2), N and M > 1: 0 in the mean for the same.

    2 E|x − real| − E|x − x'| − E|real − real'|, in the unit of length; unlike a histogram it knows how far is far.
    Source: Székely and Rizzo (2013), equation 2.1.
    """
    within = [torch.pdist(part).mean().item() for part in (x, real)]
    return 2 * torch.cdist(x, real).mean().item() - sum(within)


# --- what a discriminator holds for real -------------------------------------------------------------------------


def fooled(d: Discriminator, plane: Plane, real: torch.Tensor, *, generator, starts=500, steps=400, lr=0.05) -> dict:
    """Where gradient ascent on its logit leads, from `starts` points (packs) in the square: is it far from all modes?

    The share of starts whose path has a point more than 6 σ from every mode with D ≥ 0.99 (`sure`), or with a logit
    above the median of real data (`above`); each also inside the square alone. `…_distance` is the median, over those
    that were found, of how far the first such point is from a mode, in σ. `best` is the median of the highest logits
    that the paths reach out there, `real` that of real data; `real_sure` their share with D ≥ 0.99.
    """
    m = d.config.packing
    x = torch.empty(starts, m, 2).uniform_(-WIDE, WIDE, generator=generator).requires_grad_()
    with torch.no_grad():
        logits = d(real)
    level = {"sure": math.log(99), "above": logits.median().item()}
    names = [name + where for name in level for where in ("", "_inside")]
    at = {name: torch.full((starts,), math.nan) for name in names}
    best = torch.full((starts,), -math.inf)
    climber = torch.optim.Adam([x], lr=lr)
    for _ in range(steps + 1):
        logit = d.logits(x)
        with torch.no_grad():
            distance = nearest(x.flatten(0, 1), plane.modes)[0].view(starts, m).amin(1) / plane.mode_std
            far, inside = distance > NEGLIGIBLE, (x.abs() <= WIDE).flatten(1).all(1)
            best = torch.where(far, torch.maximum(best, logit), best)
            for name in names:
                found = far & (logit >= level[name.split("_")[0]]) & (inside if "_" in name else True)
                at[name] = torch.where(at[name].isnan() & found, distance, at[name])
        climber.zero_grad()
        (-logit.sum()).backward(inputs=[x])
        climber.step()
    row = {name: 1 - found.isnan().double().mean().item() for name, found in at.items()}
    medians = {f"{name}_distance": found.nanmedian().item() for name, found in at.items() if "_" not in name}
    row |= {name: None if math.isnan(value) else value for name, value in medians.items()}
    reached = best[best.isfinite()]
    row |= {"best": reached.median().item() if len(reached) else None, "real": level["above"]}
    row |= {"real_sure": (logits >= level["sure"]).double().mean().item()}
    square = torch.empty(len(real), 2).uniform_(-WIDE, WIDE, generator=generator)
    gap = square[nearest(square, plane.modes)[0] > NEGLIGIBLE * plane.mode_std]
    far = 10 * F.normalize(torch.empty(len(real), 2).normal_(generator=generator))
    with torch.no_grad():
        return row | {"auc_gap": auc(logits, d(gap)), "auc_far": auc(logits, d(far))}


def auc(high: torch.Tensor, low: torch.Tensor) -> float:
    """How often one of `high` (N,) is above one of `low` (M,)."""
    place = ranks(torch.cat([high, low]))
    return ((place[: len(high)].mean() - (len(high) + 1) / 2) / len(low)).item()


# --- does the loss tell? -----------------------------------------------------------------------------------------


@torch.no_grad()
def distance(critic: Discriminator, real: torch.Tensor, made: torch.Tensor) -> float:
    """What a critic holds the distance of the two for, in its own unit: the mean difference of what it says of them."""
    return (critic(real).mean() - critic(made).mean()).item()


@torch.no_grad()
def estimate(d: Discriminator, real: torch.Tensor, made: torch.Tensor) -> float:
    """(V(D, G) + log 4) / 2: what D says the Jensen-Shannon divergence is, at least."""
    v = F.logsigmoid(d(real)).mean() + F.logsigmoid(-d(made)).mean()
    return (v.item() + math.log(4)) / 2


def fresh_estimate(g: Generator, x: torch.Tensor, real: torch.Tensor, *, generator, **sizes) -> float:
    """`estimate` by a new discriminator, trained to the end for a generator that stands still."""
    d = alone(g, x, replace(STABLE, r1=0.0), generator=generator, **sizes)
    return estimate(d, real, g.sample(len(real), generator=generator))


def tells(watched: dict[str, list]) -> dict:
    """{signal: {quality: {"whole", "later", "detrended", "changes"}}}: rank correlations of what was watched.

    The qualities are those that fall as draws get better, of `js`, `energy` and `bad`, the share far from all modes.
    The last three ways are after a quarter of the looks: as it is, with the trend over the steps taken out of both
    ranks, and of what changes from look to look. None where one of the two does not move.
    """
    watched = watched | {"bad": [None if q is None else 1 - q for q in watched["high_quality"]]}
    signals = [name for name in ("generator", "discriminator", "minus_elbo", "estimate", "fresh") if name in watched]
    return {name: {of: _together(watched, name, of) for of in ("js", "energy", "bad")} for name in signals}


def _together(watched, signal, quality):
    seen = [look for look in zip(watched["step"], watched[quality], watched[signal], strict=True) if None not in look]
    if not seen:
        return None
    every = torch.tensor(seen, dtype=torch.float64).T
    _, *whole = every
    step, *later = every[:, every.shape[1] // 4 :]
    return {
        "whole": correlation(*map(ranks, whole)),
        "later": correlation(*map(ranks, later)),
        "detrended": correlation(*(without(step, ranks(part)) for part in later)),
        "changes": correlation(*(ranks(part.diff()) for part in later)),
    }


def ranks(values: torch.Tensor) -> torch.Tensor:
    return torch.as_tensor(rankdata(values.numpy()))


def without(step, values):
    """Values (N,) less the straight line over the step that fits them best."""
    step, values = step - step.mean(), values - values.mean()
    return values - step * (step * values).sum() / step.square().sum().clamp(min=1e-12)


def correlation(one: torch.Tensor, other: torch.Tensor) -> float | None:
    """Of (N,) and (N,); None where one of them does not move."""
    one, other = (part - part.mean() for part in (one, other))
    scale = (one.norm() * other.norm()).item() if len(one) > 2 else 0.0
    return round((one @ other).item() / scale, 3) if scale > 1e-9 else None
