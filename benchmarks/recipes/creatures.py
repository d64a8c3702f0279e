"""Chapter 4's painter, trained for minutes instead of seconds; the first twelve creatures that it paints are kept."""

from dataclasses import dataclass

import torch
from PIL import Image

from course_lib.data import load_sprites
from course_lib.data.sprites import PALETTE, RGB_LEVELS
from course_lib.device import make_generator
from course_lib.models.pixel.convolutional import GatedPixelCNN
from course_lib.models.pixel.model import PixelConfig
from course_lib.prob import bits_per_dim

from .recipe import Recipe, mean_nats


@dataclass(kw_only=True)
class Creatures(Recipe):
    """Held-out bits/dim, and `painted_creatures.png`, side by side: the creatures at the top of the chapter."""

    features: int = 40
    depth: int = 5
    held_out: int = 1000
    drawn: int = 31_000
    lr: float = 5e-3
    minutes: float = 5.0
    about = "GatedPixelCNN on drawn sprites; writes data/samples/painted_creatures.png"
    unit = "nats a creature"

    def load(self, device, seed):
        x = load_sprites(self.drawn, generator=make_generator(seed))
        self.x_test, self.train = x[: self.held_out], (x[self.held_out :],)
        self.watched = (self.x_test[:200],)
        return {"images": {"train": len(self.train[0]), "test": len(self.x_test)}}

    def begin(self, generator):
        config = PixelConfig(levels=16, height=16, width=16, features=self.features, depth=self.depth)
        return GatedPixelCNN(config, generator=generator)

    def loss(self, model, x, *, generator):
        return -model.log_prob(x)

    def measure(self, model, *, seed, samples, progress):
        nats, _ = mean_nats(lambda x: -model.log_prob(x), self.x_test, model, "test", progress)
        generator = make_generator(seed, next(model.parameters()).device)
        drawn = model.sample(12, generator=generator, progress=progress)[:, 0].cpu()
        strip = torch.cat(list(drawn), 1)  # (16, 12 · 16)
        picture = Image.fromarray(strip.numpy().astype("uint8"), "P")
        picture.putpalette((PALETTE * 255 / (RGB_LEVELS - 1)).round().int().flatten().tolist())
        picture.save(samples / "painted_creatures.png", bits=4, optimize=True)
        return {"test_bits_per_dim": round(bits_per_dim(nats, self.x_test[0].numel()), 4)}

    def headline(self, row):
        return f"{row['test_bits_per_dim']:.3f} bits/dim on {row['images']['test']:,} creatures"
