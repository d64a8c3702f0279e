"""Where the chance of a training run comes from: its `generator`, and nothing else, in one process and in several."""

import hashlib
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from lightning_fabric import Fabric

OTHER_NUMBERS = "the run goes on, but with other random numbers than if it had never stopped"


class Chance:
    """All that a run draws hangs on `generator`: batches and noise directly, dropout by a seed for each of its steps.

    Layers such as `nn.Dropout` know no generator and ask torch's global source; so each step sets that source to a seed
    of its own, made from a key that the run draws from a copy of `generator`: its own numbers stay what they were.
    """

    def __init__(self, generator: torch.Generator, fabric: Fabric):
        self.generator, self._fabric = generator, fabric
        self._rank, self._processes = fabric.global_rank, fabric.world_size

    def begin(self) -> None:
        """A new run, in which every process draws numbers of its own."""
        self._key = _next_whole_number(self.generator)
        if self._processes > 1:  # the same state everywhere would train every process on the same batches
            seed = torch.randint(2**31, (), device=self.generator.device, generator=self.generator).item()
            self.generator.manual_seed(seed + self._rank)

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Inside, torch's global source is the run's to set; afterwards it is where it was."""
        device = self._fabric.device
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            yield

    def at(self, step: int) -> None:
        """Before `step` draws anything: torch's global source is set to what belongs to it, in this process."""
        self._before = self.generator.get_state()
        seed = self._key + step * self._processes + self._rank
        torch.default_generator.manual_seed(seed)  # torch.manual_seed asks every kind of device: 3 times as long
        if self._fabric.device.type == "cuda":
            torch.cuda.manual_seed(seed)
        elif self._fabric.device.type == "mps":
            torch.mps.manual_seed(seed)

    def undo(self) -> None:
        """The step that has begun is not made, and its draws are not drawn."""
        self.generator.set_state(self._before)

    def state(self, *, alone: bool = False) -> dict:
        """What `restore` takes. All processes must ask together, unless this one is `alone`, on its way out."""
        mine = self.generator.get_state()
        if self._processes == 1 or alone:
            return {"generator": mine, "key": self._key}
        everyone = [None] * self._processes
        torch.distributed.all_gather_object(everyone, mine)
        return {"generator": everyone, "key": self._key}

    def restore(self, state: dict) -> None:
        """Go on where `state` was taken; with a warning, where numbers of another device or of more processes ended."""
        saved = state["generator"] if isinstance(state["generator"], list) else [state["generator"]]
        same = len(saved) == self._processes
        mine = saved[self._rank] if same else saved[0]
        if len(mine) == len(self.generator.get_state()):
            self.generator.set_state(mine)
        else:  # a GPU's generator has another kind of state than a CPU's
            _warn(f"its generator was on another kind of device than {self.generator.device}")
            self.generator.manual_seed(int.from_bytes(hashlib.sha256(mine.numpy().tobytes()).digest()[:7], "big"))
        if not same:
            _warn(f"the number of its processes was {len(saved)}, and now is {self._processes}")
            self.begin()
        self._key = state.get("key") or _next_whole_number(self.generator)  # none before runs had one


def _next_whole_number(generator):
    """What `generator` would draw next; it does not, a copy does."""
    copy = torch.Generator(generator.device)
    copy.set_state(generator.get_state())
    return torch.randint(2**48, (), device=copy.device, generator=copy).item()


def _warn(what):
    warnings.warn(f"history: {what}; {OTHER_NUMBERS}", stacklevel=2)
