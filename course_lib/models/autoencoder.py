"""The autoencoder: an image into a code, and the code back into an image. It has no `sample`, on purpose."""

from dataclasses import dataclass

import torch
from torch import nn

from ..expect import expect_floats, expect_levels
from ..layers import MLP, initialised_by


@dataclass(frozen=True)
class AutoencoderConfig:
    """Sizes of an autoencoder. `latent` is Z; `features` and `depth` are those of the hidden layers, each side."""

    levels: int = 17
    channels: int = 1
    height: int = 8
    width: int = 8
    latent: int = 2
    features: int = 128
    depth: int = 2


class Autoencoder(nn.Module):
    """x (B, C, H, W) long -> z (B, Z) -> logits (B, C, H, W, V); after Hinton and Salakhutdinov (2006).

    `encoder` and `decoder` are plain networks. There is no `log_prob`, for z is not integrated out, and no
    `sample`, for no distribution of z was ever named: there is nothing to draw a code from (chapter 2).
    """

    def __init__(self, config: AutoencoderConfig, *, generator: torch.Generator | None = None):
        super().__init__()
        self.config = c = config
        pixels = c.channels * c.height * c.width
        hidden = [c.features] * c.depth
        with initialised_by(generator):
            self.encoder_net = MLP([pixels, *hidden, c.latent])
            self.decoder_net = MLP([c.latent, *hidden, c.levels * pixels])

    def encoder(self, x: torch.Tensor) -> torch.Tensor:
        """x (B, C, H, W) long -> z (B, Z). Raises TypeError or ValueError for other images."""
        c = self.config
        expect_levels("x", x, ("B", c.channels, c.height, c.width), c.levels)
        ink = x.flatten(1).to(self.encoder_net[0].weight.dtype) / (c.levels - 1)
        return self.encoder_net(2 * ink - 1)  # −1 … 1, where a network starts best

    def decoder(self, z: torch.Tensor) -> torch.Tensor:
        """z (B, Z) -> logits (B, C, H, W, V). Raises TypeError or ValueError for other codes."""
        c = self.config
        expect_floats("z", z, ("B", c.latent))
        return self.decoder_net(z).view(-1, c.levels, c.channels, c.height, c.width).movedim(1, -1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x (B, C, H, W) long -> logits (B, C, H, W, V) of the image it makes of x."""
        return self.decoder(self.encoder(x))
