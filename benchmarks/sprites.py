"""Chapter 4's painter, trained for minutes instead of seconds: `python benchmarks/sprites.py --minutes 5`.

Prints held-out bits/dim, and stores the first twelve creatures it paints in `data/samples/painted_creatures.png`, side
by side: those are the creatures at the top of the chapter.
"""

import argparse
from pathlib import Path

import torch
from PIL import Image

from course_lib.data import load_sprites
from course_lib.data.sprites import PALETTE, RGB_LEVELS
from course_lib.device import make_generator, pick_device
from course_lib.models.pixel.convolutional import GatedPixelCNN
from course_lib.models.pixel.model import PixelConfig
from course_lib.prob import bits_per_dim
from course_lib.train import fit

ROOT = Path(__file__).parents[1]


def nll(model, x):
    return -model.log_prob(x)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=5.0, help="of training (default: 5)")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    if arguments.minutes <= 0:
        parser.error(f"--minutes: expected a number above 0, got {arguments.minutes:g}")
    device = pick_device()
    generator = make_generator(arguments.seed, device)
    x = load_sprites(31_000, generator=make_generator(arguments.seed))
    config = PixelConfig(levels=16, height=16, width=16, features=40, depth=5)
    settings = {"loss": nll, "batch_size": 16, "lr": 5e-3, "generator": generator}
    trial = GatedPixelCNN(config, generator=generator)
    per_step = fit(trial, x[1000:], steps=60, progress=False, **settings).seconds / 60
    steps = int(60 * arguments.minutes / per_step)
    model = GatedPixelCNN(config, generator=generator)
    history = fit(model, x[1000:], steps=steps, schedule="cosine", **settings)
    with torch.no_grad():
        nats = torch.cat([nll(model, batch.to(device)) for batch in x[:1000].split(100)]).mean().item()
    bits = bits_per_dim(nats, x[0].numel())
    print(f"{bits:.3f} bits/dim, held out, after {steps} steps in {history.seconds / 60:.1f} minutes")
    strip = torch.cat(list(model.sample(12, generator=generator)[:, 0].cpu()), 1)  # (16, 12 · 16)
    picture = Image.fromarray(strip.numpy().astype("uint8"), "P")
    picture.putpalette((PALETTE * 255 / (RGB_LEVELS - 1)).round().int().flatten().tolist())
    picture.save(ROOT / "data" / "samples" / "painted_creatures.png", bits=4, optimize=True)


if __name__ == "__main__":
    main()
