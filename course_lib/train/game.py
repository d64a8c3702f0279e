"""A game of two networks in one call: the loop of chapter 8, with what keeps it stable."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F

from ..checkpoint import History
from ..expect import expect_count, expect_one_of, expect_tensor
from ..models.gan import Discriminator, Generator
from .keeper import NotFinite
from .session import Session

PLAYERS = {"generator": Generator, "discriminator": Discriminator}
GAMES = ("non-saturating", "minimax")
ADVICE = "In a game it may also help to punish a steep discriminator more, with a larger r1."


def discriminator_loss(
    discriminator: Discriminator, real: torch.Tensor, made: torch.Tensor, *, r1: float = 0.0
) -> torch.Tensor:
    """Its error in nats about B real observations and B made ones, the sum of two cross-entropies: (B,).

    Together with `r1` / 2 times the squared gradient of its logit at the real ones, which has no unit of nats: a
    discriminator that is steep where the data lie would throw the generator about, even once it is right. Sources:
    Goodfellow et al. (2014), algorithm 1; Mescheder, Geiger and Nowozin (2018), equation 9.
    """
    seen = discriminator.inputs(real)
    if r1:
        seen = seen.detach().requires_grad_()
    logits = discriminator.logits(seen)
    error = F.softplus(-logits) + F.softplus(discriminator(made))
    if not r1:
        return error
    (slope,) = torch.autograd.grad(logits.sum(), seen, create_graph=True)
    return error + r1 / 2 * slope.square().flatten(1).sum(1)


def generator_loss(discriminator: Discriminator, made: torch.Tensor, *, game: str = "non-saturating") -> torch.Tensor:
    """What B made observations cost the generator: (B,) nats.

    "minimax" is log(1 − D), which is flat where D is sure of itself; "non-saturating" is −log D, steep just there.
    Source: Goodfellow et al. (2014), section 3. Raises ValueError for another game.
    """
    expect_one_of("game", game, GAMES)
    logits = discriminator(made)
    return -F.softplus(logits) if game == "minimax" else F.softplus(-logits)


def fit_gan(
    players: dict[str, torch.nn.Module],
    x: torch.Tensor | Callable[..., torch.Tensor],
    *,
    steps: int,
    generator: torch.Generator,
    batch_size: int = 128,
    lr: float | dict[str, float] = 5e-3,
    game: str = "non-saturating",
    r1: float = 0.1,
    schedule: str = "cosine",
    watch: Callable[[int], None] | None = None,
    precision: str | None = None,
    history: History | None = None,
    checkpoint: str | Path | None = None,
    progress: bool = True,
) -> History:
    """Train {"generator": Generator, "discriminator": Discriminator} on x (N, …): a turn of each in every step.

    `x` may also be a function that draws n observations, x(n, generator=generator), as `load_plane("ring").sample` is.
    The discriminator moves first. Both use Adam without momentum (betas 0 and 0.99), as what they aim at moves too;
    with `schedule="cosine"` their rates fall from `lr` to 0, and the game comes to rest. `r1` is the weight of the
    gradient penalty (`discriminator_loss`), `game` the generator's loss. `watch(step)` is called after every step.
    The rest is as in `fit`; `history.losses` has both players' losses, in nats but for the penalty.

    Raises NotFinite with step and advice where a loss or a gradient stops being a number: both players are back at
    their last good state. TypeError or ValueError for other players or data, and for a batch smaller than a pack.
    """
    _expect_players(players, x, batch_size)
    expect_one_of("game", game, GAMES)
    if not 0 <= r1 < float("inf"):
        raise ValueError(f"r1: expected a weight ≥ 0, got {r1}")
    adam = partial(torch.optim.Adam, betas=(0.0, 0.99))
    rest = {"precision": precision, "history": history, "checkpoint": checkpoint, "progress": progress}
    session = Session(players, lr=lr, steps=steps, generator=generator, optimizer=adam, schedule=schedule, **rest)
    g, d = (session.models[name] for name in PLAYERS)
    draw_z = partial(players["generator"].draw_z, generator=generator)
    data = (x, batch_size) if isinstance(x, torch.Tensor) else (partial(x, batch_size, generator=generator),)
    try:
        for real in session.batches(*data):  # with a name it would outlive an error, and with it what it has borrowed
            with torch.no_grad():
                made = g(draw_z(batch_size))
            session.minimise(discriminator_loss(d, real, made, r1=r1), "discriminator")
            session.minimise(generator_loss(d, g(draw_z(batch_size)), game=game), "generator")
            if watch:
                watch(session.step)
    except NotFinite as error:
        raise NotFinite(f"{error} {ADVICE}", error.history) from error
    return session.history


def _expect_players(players, x, batch_size):
    """Raises where these two cannot play for x."""
    given = {name: type(one).__name__ for name, one in players.items()} if isinstance(players, dict) else players
    if not isinstance(players, dict) or players.keys() != PLAYERS.keys():
        raise ValueError(f"players: expected {{'generator': Generator, 'discriminator': Discriminator}}, got {given}")
    if not all(isinstance(players[name], kind) for name, kind in PLAYERS.items()):
        raise TypeError(f"players: expected a Generator and a Discriminator, got {given}")
    mine, other = (players[name].config for name in PLAYERS)
    if (mine.shape, mine.levels, mine.palette) != (other.shape, other.levels, other.palette):
        raise ValueError(f"players: expected two of the same observations, got {mine} and {other}")
    expect_count("batch_size", batch_size)
    if batch_size < other.packing:
        raise ValueError(
            f"batch_size: expected {other.packing} or more, which the discriminator sees at once, got {batch_size}"
        )
    if not callable(x):  # what a function draws is seen when it has drawn it
        expect_tensor("x", x)
        players["discriminator"].inputs(x[: other.packing].to(next(players["discriminator"].parameters()).device))
