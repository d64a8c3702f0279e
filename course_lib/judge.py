"""Is this image a digit? A judge that has seen real digits and spoiled ones, and no generator."""

import numpy as np
import torch
from sklearn.svm import SVC

from .expect import expect_levels


def spoil(x: torch.Tensor, y: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Four ways to ruin digits: x (N, 1, 8, 8) long, y (N,) -> (4N, 1, 8, 8) long, none of them a digit.

    In this order: pixels replaced by noise (30 to 100 % of them), a blend with a digit of another class, another
    class laid on top, and the four quarters shuffled.
    """
    N, device = len(x), x.device
    chance = torch.rand(N, 1, 1, 1, device=device, generator=generator)
    ink = torch.randint(17, x.shape, device=device, generator=generator)
    hit = torch.rand(x.shape, device=device, generator=generator) < 0.3 + 0.7 * chance
    other = torch.multinomial((y[:, None] != y).float(), 1, generator=generator)[:, 0]  # a partner of another class
    weight = 0.3 + 0.4 * torch.rand(N, 1, 1, 1, device=device, generator=generator)
    quarters = x.view(N, 2, 4, 2, 4).transpose(2, 3).reshape(N, 4, 16)
    order = torch.rand(N, 4, 1, device=device, generator=generator).argsort(1).expand(N, 4, 16)
    shuffled = quarters.gather(1, order).view(N, 2, 2, 4, 4).transpose(2, 3).reshape(x.shape)
    blend = (weight * x + (1 - weight) * x[other]).round().long()
    return torch.cat([torch.where(hit, ink, x), blend, torch.maximum(x, x[other]), shuffled])


class DigitJudge:
    """Ten small classifiers, one a digit: *is this a 0? a 1? …* An image that none of them claims is no digit.

    Each is a support vector machine that has met its own digit, the other nine, and spoiled digits. How loud a
    claim must be is set on held-out digits: one real digit in twenty is refused (Chow 1970, the reject option).
    """

    def __init__(self, train, valid, *, generator: torch.Generator, refused: float = 0.05):
        """`train` and `valid` are pairs x (N, 1, 8, 8) long, y (N,) long; `refused` is the share of `valid` refused."""
        x, y = train
        ruined = spoil(x, y, generator)
        images = np.concatenate([_ink(x), _ink(ruined)])
        labels = np.concatenate([y.cpu().numpy(), np.full(len(ruined), -1)])
        self.claims = [SVC(C=10, gamma=0.2).fit(images, labels == digit) for digit in range(10)]
        self.threshold = np.quantile(self._loudness(valid[0]).max(1), refused)

    def label(self, x: torch.Tensor) -> torch.Tensor:
        """x (B, 1, 8, 8) long -> (B,) long: the digit with the loudest claim, or −1 where the image is no digit.

        Raises TypeError or ValueError for other images.
        """
        loudness = self._loudness(x)
        label = np.where(loudness.max(1) >= self.threshold, loudness.argmax(1), -1)
        return torch.as_tensor(label, device=x.device)

    def invalid_share(self, x: torch.Tensor) -> float:
        """The share of the images x (B, 1, 8, 8) that are no digits."""
        return (self.label(x) < 0).float().mean().item()

    def _loudness(self, x):
        expect_levels("x", x, ("B", 1, 8, 8), levels=17)
        return np.stack([claim.decision_function(_ink(x)) for claim in self.claims], axis=1)


def _ink(x):
    return x.flatten(1).cpu().numpy() / 16
