"""Where the numbers live, and where chance comes from."""

import torch


def pick_device() -> torch.device:
    """The fastest device at hand: a CUDA GPU, else Apple's GPU, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def make_generator(seed: int, device: torch.device | str = "cpu") -> torch.Generator:
    """A source of random numbers on `device` that starts at `seed`: the same seed, the same numbers.

    Tensors drawn from it must be made on the same device: `torch.randn(8, device=device, generator=generator)`.
    """
    return torch.Generator(device).manual_seed(seed)
