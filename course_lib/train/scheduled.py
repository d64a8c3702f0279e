"""Scheduled sampling: a training that now and then reads what the model has just written, instead of the truth."""

import torch

from ..decode import draw
from ..expect import expect_generator, expect_levels
from ..prob import categorical_log_prob


def scheduled_sampling(model, x: torch.Tensor, *, truth: float, generator: torch.Generator) -> torch.Tensor:
    """-Σ_t log p(x_t | inputs before t), where a coin says for each input what it is: x (B, T) long -> (B,) nats.

    With probability `truth` an input is the true character, otherwise the one that the model drew at that place, given
    the inputs before it. The targets are true either way. At truth 1 this is teacher forcing, -log p(x) exactly; below,
    it is no likelihood. What is drawn is a constant: no gradient passes through it. The model has `begin` and `step`
    for the draws, and gives all logits at once when called with the inputs.

    Raises ValueError for a `truth` outside [0, 1]; TypeError and ValueError for another x.
    Source: Bengio et al. (2015), section 2.4.
    """
    return -categorical_log_prob(model(mixed_inputs(model, x, truth=truth, generator=generator)), x)


@torch.no_grad()
def mixed_inputs(model, x: torch.Tensor, *, truth: float, generator: torch.Generator) -> torch.Tensor:
    """x (B, T) long with some characters replaced by what the model draws there, given those before, mixed as they are.

    As `scheduled_sampling` says, which raises the same. The last character is nobody's input, and stays.
    """
    expect_generator(generator)
    expect_levels("x", x, ("B", "T"), 2**62)
    if not 0 <= truth <= 1:
        raise ValueError(f"truth: expected a probability, of reading the true character, from 0 to 1, got {truth}")
    inputs = x.clone()
    if truth == 1 or x.shape[1] < 2:
        return inputs
    own = torch.rand(x.shape, generator=generator, device=generator.device).to(x.device) >= truth
    logits, state = model.step(None, model.begin(len(x)))
    expect_levels("x", x, ("B", "T"), logits.shape[1])
    for t in range(x.shape[1] - 1):
        inputs[:, t] = torch.where(own[:, t], draw(logits, generator=generator), x[:, t])
        if t < x.shape[1] - 2:
            logits, state = model.step(inputs[:, t], state)
    return inputs
