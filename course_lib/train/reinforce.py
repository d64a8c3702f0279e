"""REINFORCE: a model that writes learns from a verdict on the whole, however the verdict comes about."""

from collections.abc import Callable

import torch

from ..decode import draw, write
from ..expect import expect_count, expect_floats, expect_generator, expect_one_of
from ..prob import categorical_log_prob

BASELINES = ("others", "greedy", "none")
PATIENCE = 50  # batches in a row, from the first, whose rewards are all one number: then there is nothing to learn


class Reinforce:
    """A loss for `fit` or a `Session`: `loss(model, given)`, given (B, T) long, T < length -> (B,) nats.

    The model writes B texts of `length` that begin with `given` (T may be 0: `x.new_zeros(B, 0)`), and `reward` judges
    the wholes: (B, length) long -> (B,) floats, on any device. The gradient of the loss is an unbiased estimate of that
    of the mean reward, downwards:

        -(reward - baseline) · ∇ log p(what was written | given)

    `baseline` is "others", the mean worth of the batch's other texts; "greedy", the reward of what the model writes
    without drawing (Rennie et al., 2017, eq. 6); or "none". With `start`, a copy of the model, on its device and left
    as it is, each text pays `leash` · (log p - log p_start) of its reward, in nats: so what goes up is the mean reward
    less `leash` · KL(model ‖ start). `generator` is the one that trains, if the run is to be resumed.

    `history` has of each call the mean reward (without the leash), and the mean of -log p, which estimates the entropy
    in nats a text. The loss itself says nothing: its mean is near 0 from first to last, only its gradient counts.

    Raises ValueError for a reward that is not finite, or that has been the same number for every text of the first 50
    batches; for a leash that is negative, or has no start, or one that is the model itself; for a single text and the
    baseline of the others. Source: Williams (1992), equation 4.
    """

    def __init__(
        self,
        reward: Callable[[torch.Tensor], torch.Tensor],
        *,
        length: int,
        generator: torch.Generator,
        baseline: str = "others",
        start=None,
        leash: float = 0.0,
    ):
        expect_count("length", length)
        expect_generator(generator)
        expect_one_of("baseline", baseline, BASELINES)
        if not 0 <= leash < float("inf") or (leash and start is None):
            raise ValueError(f"leash: expected a number of 0 or more, beside start= if it is above 0, got {leash}")
        self.reward, self.length, self.generator, self.baseline = reward, length, generator, baseline
        self.start, self.leash = start, leash
        self.history: list[tuple[float, float]] = []
        self._seen: float | None = None  # the only reward so far; None once there were two

    def __call__(self, model, given: torch.Tensor) -> torch.Tensor:
        B = len(given)
        self._expect_company(model, B)
        x = write(model, B, self.length, choose=lambda logits, t: draw(logits, generator=self.generator), given=given)
        rewards = self._judge(x)
        self._expect_difference(rewards)
        log_p = log_prob_of_rest(model, x, given.shape[1])
        worth = rewards
        if self.leash:
            with torch.no_grad():
                worth = rewards - self.leash * (log_p - log_prob_of_rest(self.start, x, given.shape[1]))
        self.history.append((rewards.mean().item(), -log_p.mean().item()))
        return -(worth - self._baseline(model, given, worth)).detach() * log_p

    def _baseline(self, model, given, worth):
        if self.baseline == "greedy":
            different = given if given.shape[1] else given[:1]  # where nothing is given, all are one text
            x = write(model, len(different), self.length, choose=lambda logits, t: logits.argmax(1), given=different)
            return self._judge(x)
        return (worth.sum() - worth) / (len(worth) - 1) if self.baseline == "others" else 0.0

    def _judge(self, x):
        rewards = self.reward(x)
        expect_floats("reward", rewards, (len(x),))
        if not rewards.isfinite().all():
            raise ValueError(f"reward: expected finite numbers, got {rewards[~rewards.isfinite()][0]} for a text")
        return rewards.to(x.device)

    def _expect_company(self, model, B):
        if self.baseline == "others" and B == 1:
            raise ValueError('given: expected two texts or more, for the baseline "others" needs others, got 1')
        if self.leash and next(iter(model.parameters())) is next(iter(self.start.parameters())):
            raise ValueError(
                "start: expected a copy of the model, got the one that is trained; copy.deepcopy makes one"
            )

    def _expect_difference(self, rewards):
        """A batch of equals happens, and most often where all is well; 50 from the start are a mistake."""
        if self._seen is None and self.history:
            return
        first = rewards[0].item() if self._seen is None else self._seen
        self._seen = first if (rewards == first).all() else None
        if self._seen is not None and len(self.history) + 1 >= PATIENCE:
            raise ValueError(
                f"reward: expected one that tells texts apart, got {first:g} for all of the first "
                f"{PATIENCE * len(rewards):,}; nothing can be learnt from it (is a success too rare to be drawn?)"
            )


def log_prob_of_rest(model, x: torch.Tensor, T: int) -> torch.Tensor:
    """log p(x[:, T:] | x[:, :T]) of texts x (B, length) long, T < length -> (B,) nats."""
    return categorical_log_prob(model(x)[:, T:], x[:, T:])
