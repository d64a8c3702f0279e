"""One place decides how many threads the small networks get, and whoever says another number is heard."""

import sys
from pathlib import Path

import pytest
import torch

from course_lib.device import make_generator, pick_device

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("environment", "before", "after", "threads"),
    [
        ({}, "pass", "pass", "1"),
        ({"OMP_NUM_THREADS": "2"}, "pass", "pass", "own"),
        ({}, "pass", "torch.set_num_threads(2); pick_device()", "2"),
        ({}, "torch.set_num_threads(2)", "pass", "1"),
    ],
    ids=["nothing said", "said in the environment", "said afterwards", "said before"],
)
def test_the_first_call_of_pick_device_sets_one_thread_unless_told(environment, before, after, threads, run):
    code = f"""import os; os.environ.pop("OMP_NUM_THREADS"); os.environ.update({environment})
import torch
from course_lib.device import pick_device
own = torch.get_num_threads()  # what torch makes of the environment and the cores
{before}
pick_device()
{after}
print(torch.get_num_threads() == {threads})"""
    assert run([sys.executable, "-c", code], cwd=ROOT, check=True).stdout == "True\n"


def test_the_same_seed_gives_the_same_numbers():
    first, again = (torch.rand(5, generator=make_generator(7)) for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.equal(first, torch.rand(5, generator=make_generator(8)))
    assert pick_device().type in {"cpu", "cuda", "mps"}
