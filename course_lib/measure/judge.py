"""Is this image a digit? A judge that has seen real digits and spoiled ones, and no generator."""

import numpy as np
import torch
from sklearn.svm import SVC

from ..expect import expect_levels
from .ruins import spoil

GAMMA = 0.2  # how fast the likeness of two images fades with their squared distance, ink from 0 to 1


class DigitJudge:
    """Is it a digit, and which? An image is refused when it is far from every real digit, or when nobody claims it.

    *Far* is the distance to the nearest training digit. The claims are those of ten support vector machines, one a
    digit: *is this a 0? a 1? …* Each has met its own digit, the other nine, and spoiled ones. Neither rule is enough:
    a machine that is far from all it has met answers with its bias, whatever it sees, and a blend of two digits is
    near. How far is too far, and how quiet too quiet, is set on held-out digits (Chow 1970, the reject option).
    """

    def __init__(self, train, valid, *, generator: torch.Generator, refused: float = 0.03):
        """`train` and `valid` are pairs x (N, 1, 8, 8) long, y (N,) long.

        `refused` is the share of `valid` that is refused, half of it as far. Raises TypeError or ValueError for other
        images and for another share.
        """
        x, y = train
        expect_levels("train images", x, ("N", 1, 8, 8), levels=17)
        if not 0 < refused < 1:
            raise ValueError(f"refused: expected a share above 0 and below 1, got {refused}")
        self.seen = torch.cat([_ink(x), _ink(spoil(x, y, generator=generator))])  # (N, 64), the real ones first
        self.real = self.seen[: len(x)]
        labels = torch.cat([y, torch.full((len(self.seen) - len(y),), -1, device=y.device)]).cpu().numpy()
        claims = [SVC(C=10, gamma=GAMMA).fit(self.seen.cpu().numpy(), labels == digit) for digit in range(10)]
        # What each of the ten learnt is a weight for every image it has seen: all are asked at once, on any device.
        weights = np.zeros((len(self.seen), 10), dtype=np.float32)
        for digit, claim in enumerate(claims):
            weights[claim.support_, digit] = claim.dual_coef_[0]
        self.weights = torch.as_tensor(weights, device=x.device)
        self.bias = torch.tensor([claim.intercept_[0] for claim in claims], dtype=torch.float32, device=x.device)

        distance, loudest = self.distance(valid[0]), self.loudness(valid[0]).amax(1)
        self.farthest = distance.quantile(1 - refused / 2)
        near = loudest[distance <= self.farthest]
        self.quietest = near.quantile((refused * len(distance) - (len(distance) - len(near))) / len(near))

    def distance(self, x: torch.Tensor) -> torch.Tensor:
        """x (B, 1, 8, 8) long -> (B,): how far the nearest training digit is, in full pixels.

        It is the root of the squared differences, ink from 0 to 1, added up over the pixels. Raises TypeError or
        ValueError for other images.
        """
        expect_levels("x", x, ("B", 1, 8, 8), levels=17)
        return torch.cat([torch.cdist(part, self.real).amin(1) for part in _ink(x).split(2000)])

    def loudness(self, x: torch.Tensor) -> torch.Tensor:
        """x (B, 1, 8, 8) long -> (B, 10): how loudly each of the ten claims each image.

        Raises TypeError or ValueError for other images.
        """
        expect_levels("x", x, ("B", 1, 8, 8), levels=17)
        near = [torch.exp(-GAMMA * torch.cdist(part, self.seen).square()) for part in _ink(x).split(2000)]
        return torch.cat([part @ self.weights + self.bias for part in near])

    def label(self, x: torch.Tensor) -> torch.Tensor:
        """x (B, 1, 8, 8) long -> (B,) long: the digit with the loudest claim, or −1 where the image is no digit."""
        loudest, digit = self.loudness(x).max(1)
        return torch.where((self.distance(x) <= self.farthest) & (loudest >= self.quietest), digit, -1)

    def invalid_share(self, x: torch.Tensor) -> float:
        """The share of the images x (B, 1, 8, 8) long that are no digits."""
        return (self.label(x) < 0).float().mean().item()


def _ink(x):
    return x.flatten(1).float() / 16
