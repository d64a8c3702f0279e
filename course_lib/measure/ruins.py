"""Images that are no digits: four kinds to teach a judge with, and ten others, which it never meets, to try it on."""

import torch
import torch.nn.functional as F

from ..expect import expect_generator


def spoil(x, y, *, generator):
    """Four ways to ruin digits: x (N, 1, 8, 8) long, y (N,) -> (4N, 1, 8, 8) long, none of them a digit.

    In this order: pixels replaced by noise (30 to 100 % of them), a blend with a digit of another class, another
    class laid on top, and the four quarters shuffled.
    """
    expect_generator(generator)
    N, chance = len(x), {"device": x.device, "generator": generator}
    ink = torch.randint(17, x.shape, **chance)
    strength = 0.3 + 0.7 * torch.rand(N, 1, 1, 1, **chance)
    noisy = torch.where(torch.rand(x.shape, **chance) < strength, ink, x)

    partner = (y[:, None] != y).float().multinomial(1, generator=generator)
    other = x[partner[:, 0]]  # for each digit, one of another class
    weight = 0.3 + 0.4 * torch.rand(N, 1, 1, 1, **chance)
    blended = (weight * x + (1 - weight) * other).round().long()
    overlaid = torch.maximum(x, other)

    quarters = x.view(N, 2, 4, 2, 4).transpose(2, 3).reshape(N, 4, 16)
    order = torch.rand(N, 4, 1, **chance).argsort(1).expand(N, 4, 16)
    moved = quarters.gather(1, order).view(N, 2, 2, 4, 4)
    quartered = moved.transpose(2, 3).reshape(x.shape)
    return torch.cat([noisy, blended, overlaid, quartered])


def unseen_ruins(x: torch.Tensor, y: torch.Tensor, *, generator: torch.Generator) -> dict[str, torch.Tensor]:
    """Ten kinds of images that are no digits and are not made as `spoil` makes its own: {name: (N, 1, 8, 8) long}.

    The first seven are far from every digit; the last three are nearer, made of real strokes in wrong places. x (N, 1,
    8, 8) long and y (N,) are digits, of at least three classes.
    """
    expect_generator(generator)
    N, chance = len(x), {"device": x.device, "generator": generator}
    level, other, cut = torch.randint(17, (N,), **chance), torch.randint(4, 14, (N,), **chance), 1 + torch.arange(N) % 7
    side = (torch.arange(8) < cut[:, None]).to(x.device)[:, None, None, :].expand(N, 1, 8, 8)
    edge = torch.where(side, level.view(N, 1, 1, 1), ((level + other) % 17).view(N, 1, 1, 1))
    upright = (torch.arange(N, device=x.device) % 2 == 0).view(N, 1, 1, 1)

    period, start = torch.randint(1, 4, (N, 1), **chance), torch.randint(8, (N, 1), **chance)
    bars = ((torch.arange(8, device=x.device) + start) // period % 2)[:, None, None, :].expand(N, 1, 8, 8)
    checks = (bars + bars.mT) % 2
    striped = torch.stack([bars, bars.mT, checks])[torch.arange(N) % 3, torch.arange(N)]
    dark = torch.randint(8, 17, (N, 1, 1, 1), **chance)

    bell = torch.tensor([1.0, 2.0, 1.0], device=x.device)
    cloud = F.conv2d(torch.rand(N, 1, 10, 10, **chance), torch.outer(bell, bell)[None, None] / 16)
    low, high = cloud.amin((2, 3), keepdim=True), cloud.amax((2, 3), keepdim=True)

    def shuffled(images, axis):
        order = torch.rand(N, images.shape[axis], **chance).argsort(1)
        shape = [N if a == 0 else -1 if a == axis else 1 for a in range(images.ndim)]
        return images.gather(axis, order.view(shape).expand_as(images))

    apart = y[:, None] != y
    second = apart.float().multinomial(1, generator=generator)[:, 0]
    third = (apart & (y[second][:, None] != y)).float().multinomial(1, generator=generator)[:, 0]
    return {
        "blank": (torch.arange(N, device=x.device) % 17).view(N, 1, 1, 1).expand_as(x),
        "two areas": torch.where(upright, edge, edge.mT),
        "stripes": striped * dark,
        "black or white": 16 * torch.randint(2, x.shape, **chance),
        "clouds": (16 * (cloud - low) / (high - low)).round().long(),
        "negative": 16 - x,
        "scattered": shuffled(x.flatten(1), 1).view_as(x),
        "rows, columns": shuffled(shuffled(x, 2), 3),
        "rolled": x.roll(4, 3),
        "three blended": ((x + x[second] + x[third]) / 3).round().long(),
    }
