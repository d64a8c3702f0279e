"""WaveNet's sampling loop, compiled: what PyTorch does in 300 calls a sample is here one loop without any.

The algorithm is that of `queues.step` (Paine et al., 2016, Fast WaveNet); arrays in, arrays out. It runs on
the CPU, wherever the model is: a step is too little work for a GPU's thousand cores.

What it costs, and why a batch gains no more: 20 layers of 32 and 64 features are 0.33 million operations a sample. On
one core of ours a sample takes 11.8 µs alone and 5.2 of 32 sounds: products 9.4 and 3.0, gates 0.4, the draw 0.5, the
queues' memory 0.2, all copies and sums 1.1. The products of 32 sounds go at 108 billion operations a second, as fast as
large matrices go there (35 alone), so they cannot become faster: a batch gains 2.3-fold on a core, 4.5-fold on two.
"""

import numba
import numpy as np
from numba import float32


def _compiled(function):
    """What numba makes of it, stored for the next process where there is a place for that."""
    settings = {"fastmath": True, "error_model": "numpy", "nogil": True}
    try:
        return numba.njit(cache=True, **settings)(function)
    except RuntimeError:  # neither beside this file nor at home may anything be written: then each process waits anew
        return numba.njit(**settings)(function)


@_compiled
def _tanh(x):
    """tanh x as a fraction (above, below), within 2e-7: Lambert's continued fraction at x / 4, doubled twice.

    The C library's tanh takes one number at a time; this has no branch, and takes as many as the processor can. It is
    not divided yet, so that a gate, tanh times sigmoid, costs one division and not six.
    """
    x = min(max(x, float32(-9)), float32(9)) * float32(0.25)
    y = x * x
    above = x * (float32(1) + y * (float32(17325 / 135135) + y * (float32(378 / 135135) + y * float32(1 / 135135))))
    below = float32(1) + y * (float32(62370 / 135135) + y * (float32(3150 / 135135) + y * float32(28 / 135135)))
    above, below = float32(2) * above * below, below * below + above * above  # tanh 2x = 2 tanh x / (1 + tanh² x)
    return float32(2) * above * below, below * below + above * above


@_compiled
def _exp(x):
    """e^x for x ≤ 0: its series to the fifth power at x / 256, squared eight times; within 1e-7 where it matters.

    Far down it is too large, and 0 where float64 has no number as small, so that what cannot be is never drawn.
    """
    y = max(x, -80.0) / 256
    e = 1 + y * (1 + y * (1 / 2 + y * (1 / 6 + y * (1 / 24 + y / 120))))
    for _ in range(8):
        e *= e
    return e if x > -745 else 0.0


@_compiled
def run(start, stop, known, frame, temperature, weights, x, u, added, queues, logits):
    """Go from step `start` to before `stop`: x (T, n) int64, where the samples from `known` on are drawn.

    u (T - known, n) are uniform numbers, one a draw; at `temperature` 0 the first of the likeliest is taken instead.
    added (frames, layers, n, 2R) comes before each gate, biases included, a frame for each `frame` steps and the last
    one for all that follow; queues (Σ past, n, R) are the layers' pasts, each a ring, zeros before step 0; weights as
    `fast.queues` packs them. If `logits` (T, n, V) is not empty, it is filled too.
    """
    embed, look, add, add_bias, skip_bias, first, first_bias, last, last_bias, dilations, taps = weights
    layers, R, S, V, n = len(look), embed.shape[1], len(skip_bias), embed.shape[0], x.shape[1]
    h, seen, z = np.empty((n, R), np.float32), np.empty((n, taps * R), np.float32), np.empty((n, 2 * R), np.float32)
    g, both, skip = np.empty((n, R), np.float32), np.empty((n, S + R), np.float32), np.empty((n, S), np.float32)
    middle, out, cdf = np.empty((n, S), np.float32), np.empty((n, V), np.float32), np.empty(V, np.float64)
    half = float32(0.5)
    for t in range(start, stop):
        h[:] = 0
        for b in range(n):
            skip[b] = skip_bias
            if t:
                h[b] = embed[x[t - 1, b]]
        now, ring = added[min(t // frame, len(added) - 1)], 0  # `ring`: where in `queues` the layer's begins
        for layer in range(layers):
            dilation = dilations[layer]
            past = (taps - 1) * dilation
            for tap in range(taps - 1):  # the oldest first; it lies where the newest will
                seen[:, tap * R : (tap + 1) * R] = queues[ring + (t + tap * dilation) % past]
            seen[:, (taps - 1) * R :] = h
            queues[ring + t % past] = h
            ring += past
            np.dot(seen, look[layer], z)
            for b in range(n):
                for c in range(R):
                    a, a_below = _tanh(z[b, c] + now[layer, b, c])
                    s, s_below = _tanh(half * (z[b, R + c] + now[layer, b, R + c]))  # sigmoid x = ½ + ½ tanh ½x
                    g[b, c] = half * a * (s + s_below) / (a_below * s_below)
            np.dot(g, add[layer], both)
            for b in range(n):
                for c in range(S):
                    skip[b, c] += both[b, c]
                for c in range(R):
                    h[b, c] += both[b, S + c] + add_bias[layer, c]
        np.dot(np.maximum(skip, float32(0)), first, middle)
        np.dot(np.maximum(middle + first_bias, float32(0)), last, out)
        for b in range(n):
            top = float32(-np.inf)
            for v in range(V):
                out[b, v] += last_bias[v]
                top = max(top, out[b, v])
            if len(logits):
                logits[t, b] = out[b]
            if t < known:
                continue
            if temperature == 0:
                for v in range(V):
                    if out[b, v] == top:
                        x[t, b] = v
                        break
            else:
                for v in range(V):
                    cdf[v] = _exp(np.float64(out[b, v] - top) / temperature)
                for v in range(1, V):
                    cdf[v] += cdf[v - 1]
                x[t, b] = np.searchsorted(cdf[: V - 1], u[t - known, b] * cdf[V - 1], side="right")
