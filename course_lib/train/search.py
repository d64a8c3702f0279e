"""Completion without a painter: which codes of a generator make what is known of an image?"""

import math
from collections.abc import Callable

import torch
from tqdm.auto import tqdm

from ..expect import expect_bools, expect_count, expect_floats, expect_generator, expect_levels
from ..models.gan import Generator


def search_code(
    player: Generator,
    x: torch.Tensor,
    known: torch.Tensor,
    *,
    generator: torch.Generator,
    starts: int = 8,
    steps: int = 200,
    lr: float = 0.1,
    noise: float = 0.25,
    watch: Callable[[int, torch.Tensor], None] | None = None,
    progress: bool = True,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Search codes z that make what is known of x (B, …), from `starts` draws each: z (B, S, Z), misfit (B, S).

    x is as `Generator.observe` gives it, and `known`, bool, broadcasts to it: (H, W) is one for all. What is not known
    of x has no say. The weights stay as they are; Adam moves the codes, at a rate that falls from `lr` to 0 by cosine.
    What falls is −log p(z), up to a constant, plus the misfit at the known places, in nats: squared differences over
    2 `noise`², with numbers as the generator makes them (images from −1 to 1), or with a palette −log of the true
    colour's share. A uniform prior's codes are kept from −1 to 1. The best start of each image comes first.
    `watch(step, z)` is called after every step. Source: Yeh et al. (2017), section 3, without their discriminator.

    Raises TypeError or ValueError for other x and numbers, and where all or nothing of an image is known;
    ArithmeticError with step and advice where the search leaves the finite numbers.
    """
    expect_generator(generator)
    for name, count in {"starts": starts, "steps": steps}.items():
        expect_count(name, count)
    for name, number in {"lr": lr, "noise": noise}.items():
        if not 0 < number < float("inf"):
            raise ValueError(f"{name}: expected a finite number > 0, got {number}")
    c, known = player.config, _expect_part(player, x, known)
    B, kept = len(x), known.repeat_interleave(starts, 0)  # S codes of each image lie together
    target = torch.where(known, x, 0).repeat_interleave(starts, 0)  # a NaN that is not known would spoil the gradient
    z = player.draw_z(B * starts, generator=generator).requires_grad_()
    adam = torch.optim.Adam([z], lr=lr)

    def errors():  # misfit, −log p(z): (B · S,) each
        made = player(z)
        if c.palette:
            each = -made.gather(-1, target[..., None])[..., 0].clamp(min=1e-12).log()
        else:
            true = 2 * target / (c.levels - 1) - 1 if c.levels else target
            each = (made - true).square() / (2 * noise**2)
        prior = z.square().sum(1) / 2 if c.prior == "normal" else torch.zeros_like(z[:, 0])
        return torch.where(kept, each, 0.0).flatten(1).sum(1), prior

    bar = tqdm(range(1, steps + 1), disable=not progress, unit="step", mininterval=0.5)
    for step in bar:
        adam.param_groups[0]["lr"] = lr * (1 + math.cos(math.pi * (step - 1) / steps)) / 2
        loss = sum(errors())
        if not loss.isfinite().all():
            raise ArithmeticError(
                f"step {step}: the misfit of {(~loss.isfinite()).sum()} of {len(loss)} codes is NaN or infinite. Are "
                f"the generator's weights finite? If they are, try a smaller lr than {lr:g}, or more noise"
            )
        (z.grad,) = torch.autograd.grad(loss.sum(), z)  # the weights get none
        adam.step()
        if c.prior == "uniform":
            z.data.clamp_(-1, 1)
        if step % 10 == 0:
            bar.set_postfix_str(f"{loss.mean().item():.2f} nats", refresh=False)
        if watch:
            watch(step, z.detach().view(B, starts, -1).clone())
    with torch.no_grad():
        misfit, prior = (part.view(B, starts) for part in errors())
    order = (misfit + prior).argsort(1)
    found = z.detach().view(B, starts, -1)
    return found.gather(1, order[..., None].expand_as(found)), misfit.gather(1, order)


def _expect_part(player, x, known):
    """`known` in the shape of x. Raises where x cannot be `player`'s, and where all or nothing of an image is known."""
    c = player.config
    if c.levels:
        expect_levels("x", x, ("B", *c.shape), c.levels)
    else:
        expect_floats("x", x, ("B", *c.shape))
    expect_count("the number of images", len(x))
    expect_bools("known", known)
    try:
        known = known.to(x.device).expand_as(x)
    except RuntimeError:
        raise ValueError(f"known: expected a shape that broadcasts to {(*x.shape,)}, got {(*known.shape,)}") from None
    if (bad := (known & ~x.isfinite()).sum()) > 0:
        raise ValueError(f"x: expected finite numbers where it is known, got {bad} that are NaN or infinite")
    share = known.flatten(1)
    if (nothing := (~share.any(1)).sum()) > 0:
        raise ValueError(
            f"known: expected true somewhere in each image, got nothing for {nothing} of {len(x)}: every code fits; "
            "player.sample draws without it"
        )
    if (everything := share.all(1).sum()) > 0:
        raise ValueError(
            f"known: expected false somewhere in each image, got all of it for {everything} of {len(x)}: nothing is "
            "left to complete"
        )
    return known
