"""Where the numbers live, and where chance comes from."""

import os
from functools import cache

import torch


def pick_device() -> torch.device:
    """The fastest device at hand: a CUDA GPU, else Apple's GPU, else the CPU, on which torch gets one thread.

    One, because two make the course's small networks a fifth faster on a quiet machine and four times slower on a busy
    one, where each waits for the other. `torch.set_num_threads(4)`, later, or OMP_NUM_THREADS=4 in the environment
    says otherwise, and then that holds: only the first call touches the threads.
    """
    _one_thread()
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


@cache  # once: whoever sets the number of threads afterwards means it
def _one_thread():
    if not os.environ.get("OMP_NUM_THREADS"):
        torch.set_num_threads(1)


def make_generator(seed: int, device: torch.device | str = "cpu") -> torch.Generator:
    """A source of random numbers on `device` that starts at `seed`: the same seed, the same numbers.

    Tensors drawn from it must be made on the same device: `torch.randn(8, device=device, generator=generator)`.
    """
    return torch.Generator(device).manual_seed(seed)
