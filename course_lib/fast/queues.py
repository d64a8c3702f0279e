"""WaveNet's samples without doing anything twice: each layer keeps in a queue what it will look back at."""

import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import torch
import torch.nn.functional as F

from ..decode import COLDEST, State
from ..layers import gate

BLOCK = 800  # steps between two looks up from the loop: a few hundredths of a second, so that Ctrl-C is heard
WORTH_A_CORE = 8  # sounds; with fewer, two cores wait more for each other than they help
SLOWER = "numba is not installed, so WaveNet samples some 50 times slower; `pip install numba` makes it fast"


def begin(model, n: int, conditioning: torch.Tensor | None = None) -> State:
    """A WaveNet's state before the first sample: the position, what the conditions add, and a queue for each layer.

    A queue is a ring (n, (kernel_size − 1) · dilation, R), zeros at first. `conditioning` is `WaveNet.conditioning`'s.
    """
    c, zeros = model.config, model.embed.weight.new_zeros
    pasts = [(c.kernel_size - 1) * d for d in c.dilations]
    queues = [zeros(n, past, c.features) for past in pasts]
    if conditioning is None:
        conditioning = zeros(n, 0)
    return State((zeros(n, dtype=torch.long), conditioning, *queues))


def step(model, previous: torch.Tensor | None, state: State) -> tuple[torch.Tensor, State]:
    """`previous` (n,) long, None before the first -> logits (n, V) of the next; Paine et al. (2016), section 2.

    A step costs one pass through the layers, O(L), where running the model again costs its receptive field, O(2^L).
    """
    at, conditioning, *queues = state
    t, frames, total = int(at[0]), conditioning.shape[1], 0
    nothing = torch.zeros_like(queues[0][:, 0])  # (n, R)
    h = nothing if previous is None else model.embed(previous)
    adds = [*model.adds, None]  # the last layer has none
    layers = zip(model.convs, model.skips, adds, queues, strict=True)
    for layer, (conv, skip, add, queue) in enumerate(layers):
        past, dilation = queue.shape[1], conv.dilation[0]
        taps = [queue[:, (t + i) % past] for i in range(0, past, dilation)]
        taps = torch.stack([*taps, h], 2)  # the oldest first
        z = F.conv1d(taps, conv.weight, conv.bias)  # (n, 2R, 1)
        if frames:
            frame = min(t // model.config.frame, frames - 1)
            z = z + conditioning[:, frame, layer, :, None]
        queue[:, t % past] = h  # in the place of the oldest
        g = gate(z)
        total = total + skip(g)
        h = h if add is None else h + add(g)[:, :, 0]
    return model.head(total)[:, :, 0], State((at + 1, conditioning, *queues))


def fill(
    model,
    x: torch.Tensor,
    known: int,
    u: torch.Tensor,
    conditioning: torch.Tensor | None = None,
    temperature: float = 1.0,
    logits: torch.Tensor | None = None,
) -> Iterator[int]:
    """Fill x (n, length) from sample `known` on by numbers u (length − known, n); yields how many steps are done.

    What `decode.write` does by `step`, in the compiled loop, a part of the batch on each core. `conditioning` is the
    model's; `logits` (length, n, V), if given, is filled.
    """
    if not 0 <= temperature < float("inf"):
        raise ValueError(f"temperature: expected a number above 0, or 0 for greedy, got {temperature}")
    c, (n, length) = model.config, x.shape
    temperature = 0.0 if temperature < COLDEST else float(temperature)  # as `apply_temperature` has it
    weights, biases = _packed(model)
    added = biases if conditioning is None else conditioning.permute(1, 2, 0, 3).float() + biases
    added = added.expand(-1, -1, n, -1)  # (frames, layers, n, 2R)
    past = (c.kernel_size - 1) * sum(c.dilations)
    loop, parts = compiled_loop(), []
    for rows in torch.arange(n).chunk(max(1, min(torch.get_num_threads(), n // WORTH_A_CORE))):
        a, b = int(rows[0]), int(rows[-1]) + 1
        arrays = x[a:b].T, u[:, a:b], added[:, :, a:b], torch.zeros(past, b - a, c.features)
        note = torch.empty(0, b - a, c.levels) if logits is None else logits[:, a:b]
        parts.append([t.detach().cpu().contiguous().numpy() for t in (*arrays, note)])
    from threadpoolctl import threadpool_limits

    # A product of matrices this small is slower on many cores; the parts are what runs side by side.
    with ThreadPoolExecutor(len(parts)) as pool, threadpool_limits(1, user_api="blas"):
        for start in range(0, length, BLOCK):
            stop = min(start + BLOCK, length)
            list(pool.map(lambda part: loop(start, stop, known, c.frame, temperature, weights, *part), parts))  # noqa: B023
            yield stop - start
    x[:] = torch.cat([torch.from_numpy(part[0]) for part in parts], 1).T
    if logits is not None:
        logits[:] = torch.cat([torch.from_numpy(part[-1]) for part in parts], 1)


@cache
def compiled_loop():
    """The compiled loop, or None where numba is missing, which is said once."""
    try:
        from .compiled_loop import run
    except ImportError:
        warnings.warn(SLOWER, RuntimeWarning, stacklevel=4)  # over `sample` and its no_grad, to who called it
        return None
    return run


def _packed(model):
    """The weights as `compiled_loop.run` takes them, inputs × outputs, and the gates' biases (1, layers, 1, 2R)."""
    look = torch.stack([conv.weight.permute(2, 1, 0).flatten(0, 1) for conv in model.convs])  # (layers, k·R, 2R)
    nothing = torch.zeros_like(model.skips[0].weight[:1, :, 0]).expand(model.config.features, -1)
    adds = [add.weight[:, :, 0] for add in model.adds] + [nothing]
    both = torch.stack([torch.cat([s.weight[:, :, 0], a]).T for s, a in zip(model.skips, adds, strict=True)])
    add_bias = torch.stack([add.bias for add in model.adds] + [nothing[:, 0]])
    skip_bias = torch.stack([skip.bias for skip in model.skips]).sum(0)
    first, last = model.head[1], model.head[3]
    head = first.weight[:, :, 0].T, first.bias, last.weight[:, :, 0].T, last.bias
    weights = model.embed.weight, look, both, add_bias, skip_bias, *head
    weights = tuple(w.detach().float().cpu().contiguous().numpy() for w in weights)
    dilations = torch.tensor(model.config.dilations).numpy()
    biases = torch.stack([conv.bias for conv in model.convs])[None, :, None].float()
    return (*weights, dilations, model.config.kernel_size), biases
