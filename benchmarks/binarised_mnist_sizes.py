"""The named sizes of `binarised_mnist.py`: a model, what it is trained with, and how its nats are measured.

What differs between a model that computes log p(x) and one that computes a bound is here, and nothing else is.
"""

import time
from dataclasses import dataclass

import torch
from tqdm.auto import tqdm

from course_lib.device import make_generator
from course_lib.models.pixel.convolutional import GatedPixelCNN, PixelCNN
from course_lib.models.pixel.model import PixelConfig
from course_lib.models.pixel.recurrent import DiagonalBiLSTM, GridLSTM, RasterLSTM, RowLSTM
from course_lib.models.vae import VAE, VAEConfig

PIXEL_RNN = "van den Oord, Kalchbrenner and Kavukcuoglu (2016), Pixel recurrent neural networks, table 4"
IWAE = "Burda, Grosse and Salakhutdinov (2016), Importance weighted autoencoders"


@dataclass(frozen=True)
class Size:
    """A model, how large, and what it is trained with; `published` is the paper's test nats, its own size or not."""

    model: type
    features: int
    depth: int
    batch_size: int = 16
    lr: float = 2e-3
    published: float | None = None

    def config(self, shape):
        return PixelConfig(2, *shape, self.features, self.depth)

    def nats(self, model, x, generator):
        """What is trained: x (B, 1, 28, 28) long -> -log p(x), (B,). It draws nothing."""
        return -model.log_prob(x)

    def published_on(self, source):
        """The paper's nats for such images, and where they stand."""
        return self.published, PIXEL_RNN if self.published else None

    def measure(self, model, x_valid, x_test, *, samples, seed, progress):
        """What the row says of the trained model: nats an image, and how long those of the test images took."""
        test, seconds = mean(lambda x: self.nats(model, x, None), x_test, model, "test", progress)
        valid, _ = mean(lambda x: self.nats(model, x, None), x_valid, model, "valid", progress)
        return {"test_nats": test, "valid_nats": valid, "test_seconds": seconds}


@dataclass(frozen=True)
class VAESize(Size):
    """A VAE, trained with the bound of so many `samples`: one is the ELBO. Its nats are at most what the row says.

    `published` is for images drawn anew at every use, `published_static` for images drawn once.
    """

    latent: int = 50
    samples: int = 1
    published_static: float | None = None

    def config(self, shape):
        return VAEConfig(tuple(shape), "bernoulli", latent=self.latent, features=self.features, depth=self.depth)

    def nats(self, model, x, generator):
        """What is trained: x (B, 1, 28, 28) long -> minus the bound, (B,), with codes drawn by `generator`."""
        if self.samples == 1:
            return -model.elbo(x, generator=generator)
        return -model.log_prob_bound(x, samples=self.samples, generator=generator)

    def published_on(self, source):
        if source == "dynamic":
            return self.published, f"{IWAE}, table 1" if self.published else None
        return self.published_static, f"{IWAE}, appendix D" if self.published_static else None

    def measure(self, model, x_valid, x_test, *, samples, seed, progress):
        def noise():  # the same in every measurement of this seed
            return make_generator(seed, next(model.parameters()).device)

        def minus_elbo(x, what, generator):
            return mean(lambda batch: -model.elbo(batch, generator=generator), x, model, what, progress)[0]

        def minus_bound(x, what, generator):
            def nats(batch):
                return -model.log_prob_bound(batch, samples=samples, generator=generator)

            return mean(nats, x, model, what, progress)

        elbos = {
            f"{what}_minus_elbo": minus_elbo(x, what, noise()) for what, x in (("test", x_test), ("valid", x_valid))
        }
        test, seconds = minus_bound(x_test, f"test, {samples} samples", noise())
        return {
            "trained_with": "the ELBO" if self.samples == 1 else f"the bound with {self.samples} samples",
            "test_nats": test,
            "test_nats_are": f"minus the bound on log p(x) with {samples} samples from q(z | x), all test images",
            "bound_samples": samples,
            **elbos,
            "test_seconds": seconds,
        }


def mean(nats, x, model, what, progress):
    """The mean of `nats(batch)`, (B,), over x (N, C, H, W) long, rounded for the row; and the seconds that it took."""
    device, total, began = next(model.parameters()).device, 0.0, time.monotonic()
    with torch.no_grad():
        for batch in tqdm(x.split(100), desc=what, unit="batch", delay=2, disable=not progress):
            total += nats(batch.to(device)).sum().item()
    return round(total / len(x), 3), round(time.monotonic() - began, 1)


SIZES = {
    "pixel_cnn": Size(PixelCNN, 48, 6, lr=4e-3, published=81.30),
    "gated_pixel_cnn": Size(GatedPixelCNN, 32, 5),
    "row_lstm": Size(RowLSTM, 32, 2, published=80.54),
    "diagonal_bilstm_1x32": Size(DiagonalBiLSTM, 32, 1, lr=6e-3, published=80.75),
    "diagonal_bilstm_7x16": Size(DiagonalBiLSTM, 16, 7, lr=4e-3, published=79.20),
    "grid_lstm": Size(GridLSTM, 24, 2),
    "raster_lstm": Size(RasterLSTM, 128, 1),
    # the paper's widths; where it has tanh there is a SiLU, and the second layer is residual
    "vae": VAESize(VAE, 200, 2, batch_size=100, lr=1.5e-3, published=86.76, published_static=88.71),
    "iwae_50": VAESize(VAE, 200, 2, batch_size=20, lr=1e-3, published=84.78, samples=50, published_static=87.10),
    # for a GPU
    "pixel_cnn_large": Size(
        PixelCNN, 256, 15, batch_size=64, lr=5e-4, published=81.30
    ),  # inside a block 128, the paper's h
    "gated_pixel_cnn_large": Size(GatedPixelCNN, 128, 12, batch_size=64, lr=5e-4),
    "iwae_50_large": VAESize(VAE, 512, 2, batch_size=80, lr=1e-3, published=84.78, samples=50, published_static=87.10),
}
