"""The models of chapters 4 and 7 on binarised MNIST, the published figures beside their nats.

The pixel models' published figures are for Larochelle's images (`--source larochelle`), which the course cannot
download; the images drawn from MNIST are others of the same kind. With `--source dynamic`, as in the VAE's table, every
training image is drawn anew each time it is used.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch

from course_lib.data import load_binarised_mnist, load_mnist
from course_lib.data.mnist import SOURCES, SPLITS
from course_lib.device import make_generator
from course_lib.expect import expect_one_of
from course_lib.models.pixel.model import PixelConfig
from course_lib.models.vae import VAE, VAEConfig

from .recipe import Recipe, mean_nats

DYNAMIC = "dynamic"  # the source that is no fixed set of training images
PIXEL_RNN = "van den Oord, Kalchbrenner and Kavukcuoglu (2016), Pixel recurrent neural networks, table 4"
IWAE = "Burda, Grosse and Salakhutdinov (2016), Importance weighted autoencoders"


@dataclass
class Images(Recipe):
    """A painter, how large, and what it is trained with; `published` is the paper's test nats, its own size or not."""

    model: type
    features: int
    depth: int
    published: float | None = None
    looked_at: int = 1000  # validation images on the way; evenly spread, for Larochelle's are sorted by digit
    options: ClassVar[dict] = {"source": "drawn"}
    unit = "nats an image"

    @property
    def about(self):
        return f"{self.model.__name__}, {self.features} features, depth {self.depth}, on binarised MNIST"

    def load(self, device, seed, source):
        expect_one_of("source", source, (*SOURCES, DYNAMIC))
        self.dynamic = source == DYNAMIC
        kind = "drawn" if self.dynamic else source
        x = load_mnist("train")[0] if self.dynamic else load_binarised_mnist("train", source=kind)  # grey, or 0 and 1
        self.x_valid, self.x_test = (load_binarised_mnist(split, source=kind) for split in SPLITS[1:])
        self.train = (x,)
        self.watched = (self.x_valid[:: max(1, len(self.x_valid) // self.looked_at)][: self.looked_at],)
        published, where = self.published_on(source)
        images = {"train": len(x), "valid": len(self.x_valid), "test": len(self.x_test)}
        return {"published_test_nats": published, "published_in": where, "images": images}

    def published_on(self, source):
        """The paper's nats for such images, and where they stand."""
        return self.published, PIXEL_RNN if self.published else None

    def begin(self, generator):
        return self.model(PixelConfig(2, *self.x_test.shape[1:], self.features, self.depth), generator=generator)

    def loss(self, model, x, *, generator):
        """x (B, 1, 28, 28) long -> (B,) nats."""
        if self.dynamic and model.training:  # a pixel is ink as often as it is dark
            x = (torch.rand(x.shape, device=x.device, generator=generator) < x / 255).long()
        return self.nats(model, x, generator)

    def nats(self, model, x, generator):
        """What is trained, of images of zeros and ones: -log p(x), (B,). It draws nothing."""
        return -model.log_prob(x)

    def measure(self, model, *, seed, samples, progress):
        test, seconds = mean_nats(lambda x: -model.log_prob(x), self.x_test, model, "test", progress)
        valid, _ = mean_nats(lambda x: -model.log_prob(x), self.x_valid, model, "valid", progress)
        return {"test_nats": test, "valid_nats": valid, "test_seconds": seconds}

    def headline(self, row):
        return f"{row['test_nats']:.2f} nats on {row['images']['test']:,} test images"


@dataclass(kw_only=True)
class Codes(Images):
    """A VAE, trained with the bound of so many `samples`: one is the ELBO. Its nats are at most what the row says.

    That is a bound with `--bound-samples`; the 5,000 of the published ones take ten minutes on a CPU. `published` is
    for images drawn anew at every use, `published_static` for images drawn once.
    """

    model: type = VAE
    latent: int = 50
    samples: int = 1
    published_static: float | None = None
    options: ClassVar[dict] = {"source": "drawn", "bound_samples": 5000}

    def load(self, device, seed, source, bound_samples):
        self.bound_samples = bound_samples
        return super().load(device, seed, source)

    def published_on(self, source):
        if source == DYNAMIC:
            return self.published, f"{IWAE}, table 1" if self.published else None
        return self.published_static, f"{IWAE}, appendix D" if self.published_static else None

    def begin(self, generator):
        shape, sizes = tuple(self.x_test.shape[1:]), {"features": self.features, "depth": self.depth}
        return VAE(VAEConfig(shape, "bernoulli", latent=self.latent, **sizes), generator=generator)

    def nats(self, model, x, generator):
        """Minus the bound, (B,), with codes drawn by `generator`."""
        if self.samples == 1:
            return -model.elbo(x, generator=generator)
        return -model.log_prob_bound(x, samples=self.samples, generator=generator)

    def measure(self, model, *, seed, samples, progress):
        device, many = next(model.parameters()).device, self.bound_samples

        def mean(nats, x, what):
            noise = make_generator(seed, device)  # the same in every measurement of this seed
            return mean_nats(lambda batch: -nats(batch, generator=noise), x, model, what, progress)

        def bound(batch, generator):
            return model.log_prob_bound(batch, samples=many, generator=generator)

        elbos = {
            f"{what}_minus_elbo": mean(model.elbo, x, what)[0]
            for what, x in (("test", self.x_test), ("valid", self.x_valid))
        }
        test, seconds = mean(bound, self.x_test, f"test, {many} samples")
        return {
            "trained_with": "the ELBO" if self.samples == 1 else f"the bound with {self.samples} samples",
            "test_nats": test,
            "test_nats_are": f"minus the bound on log p(x) with {many} samples from q(z | x), all test images",
            **elbos,
            "test_seconds": seconds,
        }

    def headline(self, row):
        return f"at most {super().headline(row)}"
