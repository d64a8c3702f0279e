"""Persistent contrastive divergence: a Boltzmann machine learns from data, and from chains that never start anew."""

import torch

from ..expect import expect_count, expect_generator
from ..models.boltzmann import RestrictedBoltzmannMachine


class PersistentChains:
    """A loss for `fit`: `loss(machine, x)`, x (B, D) long -> (B,), the free energy of x less that of the chains' x.

    Its gradient estimates that of −log p(x): log Z's is what the machine's own draws say, and these are the `chains`
    that it keeps and moves on by `steps` before every update. The loss itself says nothing: both its parts move
    together. Source: Tieleman (2008).
    """

    def __init__(self, *, chains: int = 100, steps: int = 1, generator: torch.Generator):
        expect_count("chains", chains)
        expect_count("steps", steps)
        expect_generator(generator)
        self.chains, self.steps, self.generator = chains, steps, generator
        self.x: torch.Tensor | None = None  # where the chains are, (chains, D) long

    def __call__(self, machine: RestrictedBoltzmannMachine, x: torch.Tensor) -> torch.Tensor:
        self.x = machine.sample(self.chains, steps=self.steps, generator=self.generator, start=self.x)
        return machine.free_energy(x) - machine.free_energy(self.x).mean()
