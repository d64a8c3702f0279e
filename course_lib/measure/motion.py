"""Is this frame the one before, moved as the law allows? Exact answers, and no network, for one bouncing digit."""

import torch

from ..data.bouncing_digits import DIRECTIONS, WALLS
from ..expect import expect_count, expect_levels, expect_one_of

MANY = 2**31  # levels of ink: any


def futures(x: torch.Tensor, walls: str = "drawn") -> tuple[torch.Tensor, torch.Tensor]:
    """x (B, T, 1, H, W) long -> the four frames (B, T, 4, 1, H, W) that may follow each, and which do (B, T, 4) bool.

    They are the frame moved by each of `DIRECTIONS`. A direction is allowed if it keeps all ink inside, and if the law
    of `load_bouncing_digits` with these `walls` lets it follow the last step. Where there was none, as at the first
    frame and after one that is not its predecessor moved, all that stay inside are allowed; without ink, none is. Those
    that are allowed are equally likely. Raises TypeError and ValueError for what are no videos, and for other walls.
    """
    expect_levels("x", x, ("B", "T", 1, "H", "W"), MANY)
    expect_count("frames of x", x.shape[1])
    expect_one_of("walls", walls, WALLS)
    moved = torch.stack([x.roll(tuple(step.tolist()), (-2, -1)) for step in DIRECTIONS], 2)
    ink = (x > 0)[:, :, 0]
    goes = torch.stack([_room(ink.any(3)), _room(ink.any(2))], 3)  # (B, T, which way, axis): is there room?
    way = ((DIRECTIONS + 1) // 2).to(x.device)  # (4, axis): 0 back, 1 on
    free = goes.gather(2, way.expand(*x.shape[:2], 4, 2))  # (B, T, 4, axis)
    inside = free.all(3)
    going = torch.zeros_like(inside)  # the last step, if it was one
    going[:, 1:] = _steps(x, moved, inside)
    straight = going & inside
    if walls == "drawn":
        return moved, torch.where(straight.any(2, keepdim=True), straight, inside)
    # Like light: on each axis the step stays as it was if there is room, and turns around if not.
    was = (going[..., None] * way).sum(2, keepdim=True)  # (B, T, 1, axis)
    room = goes.gather(2, was)
    thrown = inside & ((way == was) == room).all(3)
    return moved, torch.where(going.any(2, keepdim=True), thrown, inside)


def lawful(x: torch.Tensor, walls: str = "drawn") -> torch.Tensor:
    """x (B, T, 1, H, W) long -> (B, T) bool: is each frame its predecessor, moved by a direction that is allowed?

    What is allowed, `futures` says, with the errors it raises. A first frame has no predecessor and counts as lawful.
    """
    moved, allowed = futures(x, walls)
    found = torch.ones(x.shape[:2], dtype=torch.bool, device=x.device)
    found[:, 1:] = _steps(x, moved, allowed).any(2)
    return found


def independent_nats(x: torch.Tensor, walls: str = "drawn") -> torch.Tensor:
    """What each frame costs the best predictor that draws its pixels independently: (B, T) nats, of frame 0 NaN.

    It knows the law and sees the state: each pixel's probability is the share of the allowed futures that have it. No
    network whose pixels are independent can be cheaper on average. A frame that breaks the law may cost infinity.
    Arguments and errors are those of `futures`.
    """
    moved, allowed = futures(x, walls)
    right = (moved[:, :-1] == x[:, 1:, None])[:, :, :, 0] & allowed[:, :-1, :, None, None]
    share = right.sum(2) / allowed[:, :-1].sum(2).clamp(min=1)[..., None, None]
    nats = torch.full(x.shape[:2], torch.nan, device=x.device)
    nats[:, 1:] = -share.log().sum((2, 3))
    return nats


def _room(ink):
    """Which of its lines have ink (B, T, L) bool -> (B, T, 2): is there a line to go back to, and one to go on to?"""
    some = ink.any(2)
    return torch.stack([some & ~ink[..., 0], some & ~ink[..., -1]], 2)


def _steps(x, moved, allowed):
    """Which of the allowed moves leads from each frame to the next: (B, T − 1, 4) bool, of which one at most."""
    return (moved[:, :-1] == x[:, 1:, None]).flatten(3).all(3) & allowed[:, :-1]
