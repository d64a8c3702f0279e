"""Blocks of data on the processor's cores, a share for each, where every block is too small for all cores at once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch


def on_every_core(work: Callable[[list], tuple], blocks: list[torch.Tensor]) -> list[tuple]:
    """What `work` makes of the blocks, in as many shares as torch has threads: a list of its answers.

    Each share has one core to itself, and what a block leaves in that core's cache is there for the next operation.
    All cores on one operation after the other would meet after each, and fetch from each other what they need. On a
    GPU, with one thread or with one block there is one share. An exception in a share is raised here. Not to be called
    from two threads at once: the number of threads is set to one meanwhile, and given back.
    """
    threads = torch.get_num_threads()
    cores = min(threads, len(blocks))
    if cores == 1 or blocks[0].device.type != "cpu":
        return [work(blocks)]
    try:
        with ThreadPoolExecutor(cores, initializer=_alone, initargs=(torch.is_grad_enabled(),)) as pool:
            return list(pool.map(work, [blocks[core::cores] for core in range(cores)]))
    finally:
        torch.set_num_threads(threads)  # the number that matrix products use is one for all of a program's threads


def _alone(grad):
    torch.set_num_threads(1)
    torch.set_grad_enabled(grad)  # each thread has its own
