"""WaveNet's samples without doing anything twice: each layer keeps in a queue what it will look back at."""

import warnings
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import torch
import torch.nn.functional as F

from ..decode import COLDEST, apply_temperature, invert_cdf
from ..layers import gate

BLOCK = 800  # steps between two looks up from the loop: a few hundredths of a second, so that Ctrl-C is heard
WORTH_A_CORE = 8  # sounds; with fewer, two cores wait more for each other than they help
SLOWER = "numba is not installed, so WaveNet samples some 50 times slower; `pip install numba` makes it fast"


class Queues:
    """What the layers of a WaveNet will look back at, for `n` sounds: Paine et al. (2016), Fast WaveNet, section 2.

    A step costs one pass through the layers, O(L), where running the model again costs its receptive field, O(2^L).
    """

    def __init__(self, model, n):
        self.model = model
        self.nothing = model.embed.weight.new_zeros(n, model.config.residual)
        self.queues = []
        for conv in model.convs:
            length = (conv.kernel_size[0] - 1) * conv.dilation[0] + 1
            self.queues.append(deque([self.nothing] * length, length))

    def step(self, previous, told=None):
        """`previous` (n,) long, None before the first, and conditions (n, layers, 2R) -> logits (n, V) of the next."""
        model, skip = self.model, 0
        h = self.nothing if previous is None else model.embed(previous)  # (n, R)
        for layer, conv in enumerate(model.convs):
            queue = self.queues[layer]
            queue.append(h)  # and what is too old falls out at the other end
            taps = [queue[i] for i in range(0, len(queue), conv.dilation[0])]
            z = F.conv1d(torch.stack(taps, 2), conv.weight, conv.bias)  # (n, 2R, 1)
            g = gate(z if told is None else z + told[:, layer, :, None])
            skip = skip + model.skips[layer](g)
            if layer < len(model.adds):
                h = h + model.adds[layer](g)[:, :, 0]
        return model.head(skip)[:, :, 0]


def walk(
    model, x: torch.Tensor, known: int, u: torch.Tensor, told: torch.Tensor | None, temperature: float = 1.0
) -> Iterator[int]:
    """Fill x (n, steps) from sample `known` on by uniform numbers u (steps − known, n); yields how many steps are done.

    `told` is `WaveNet.told`'s. Compiled, and on the CPU, where numba is installed; else in PyTorch, which is said once.
    """
    if not 0 <= temperature < float("inf"):
        raise ValueError(f"temperature: expected a number above 0, or 0 for greedy, got {temperature}")
    return (compiled if _loop() else eager)(model, x, known, u, told, temperature)


def eager(
    model, x: torch.Tensor, known: int, u: torch.Tensor, told: torch.Tensor | None, temperature: float = 1.0
) -> Iterator[int]:
    """`walk` in PyTorch, on the model's device."""
    queues = Queues(model, len(x))
    for t in range(x.shape[1]):
        now = None if told is None else told[:, min(t // model.config.frame, told.shape[1] - 1)]
        logits = queues.step(x[:, t - 1] if t else None, now)
        if t >= known:
            x[:, t] = invert_cdf(apply_temperature(logits, temperature), u[t - known].to(x.device))
        yield 1


def compiled(
    model,
    x: torch.Tensor,
    known: int,
    u: torch.Tensor,
    told: torch.Tensor | None,
    temperature: float = 1.0,
    logits: torch.Tensor | None = None,
) -> Iterator[int]:
    """`walk` in the compiled loop, a part of the batch on each core; `logits` (steps, n, V), if given, is filled."""
    c, (n, steps) = model.config, x.shape
    weights, biases = _packed(model, max(temperature, COLDEST))
    told = biases if told is None else told.permute(1, 2, 0, 3).float() + biases  # (frames, layers, n, 2R)
    told = told.expand(-1, -1, n, -1)
    past = (c.kernel_size - 1) * sum(c.dilations)
    loop, parts = _loop(), []
    for rows in torch.arange(n).chunk(max(1, min(torch.get_num_threads(), n // WORTH_A_CORE))):
        a, b = int(rows[0]), int(rows[-1]) + 1
        arrays = x[a:b].T, u[:, a:b], told[:, :, a:b], torch.zeros(past, b - a, c.residual)
        note = torch.empty(0, b - a, c.levels) if logits is None else logits[:, a:b]
        parts.append([t.detach().cpu().contiguous().numpy() for t in (*arrays, note)])
    from threadpoolctl import threadpool_limits

    # A product of matrices this small is slower on many cores; the parts are what runs side by side.
    with ThreadPoolExecutor(len(parts)) as pool, threadpool_limits(1, user_api="blas"):
        for start in range(0, steps, BLOCK):
            stop = min(start + BLOCK, steps)
            list(pool.map(lambda part: loop(start, stop, known, c.frame, weights, *part), parts))  # noqa: B023
            yield stop - start
    x[:] = torch.cat([torch.from_numpy(part[0]) for part in parts], 1).T
    if logits is not None:
        logits[:] = torch.cat([torch.from_numpy(part[-1]) for part in parts], 1)


def _packed(model, temperature):
    """The weights as `queues_compiled.run` takes them, inputs × outputs, and the gates' biases (1, layers, 1, 2R)."""
    look = torch.stack([conv.weight.permute(2, 1, 0).flatten(0, 1) for conv in model.convs])  # (layers, k·R, 2R)
    nothing = torch.zeros_like(model.skips[0].weight[:1, :, 0]).expand(model.config.residual, -1)
    adds = [add.weight[:, :, 0] for add in model.adds] + [nothing]
    both = torch.stack([torch.cat([s.weight[:, :, 0], a]).T for s, a in zip(model.skips, adds, strict=True)])
    add_bias = torch.stack([add.bias for add in model.adds] + [nothing[:, 0]])
    skip_bias = torch.stack([skip.bias for skip in model.skips]).sum(0)
    first, last = model.head[1], model.head[3]
    head = first.weight[:, :, 0].T, first.bias, last.weight[:, :, 0].T / temperature, last.bias / temperature
    weights = model.embed.weight, look, both, add_bias, skip_bias, *head
    weights = tuple(w.detach().float().cpu().contiguous().numpy() for w in weights)
    dilations = torch.tensor(model.config.dilations).numpy()
    biases = torch.stack([conv.bias for conv in model.convs])[None, :, None].float()
    return (*weights, dilations, model.config.kernel_size), biases


@cache
def _loop():
    """The compiled loop, or None where numba is missing, which is said once."""
    try:
        from .compiled_loop import run
    except ImportError:
        warnings.warn(SLOWER, RuntimeWarning, stacklevel=5)  # over `sample` and its no_grad, to who called it
        return None
    return run
