"""LSTMs that walk over an image by its anti-diagonals: a pixel waits for its left and its upper neighbour only."""

from functools import lru_cache

import torch
import torch.nn.functional as F_
from torch.autograd.function import once_differentiable

from ..layers import FORGET_BIAS


def lstm(gates: torch.Tensor, cell: torch.Tensor, dim: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    """Gates (4F along `dim`), the cell (F) before -> hidden and cell (F) after; Hochreiter and Schmidhuber (1997).

    The gates are forget, input and output; `candidate`, like torch's, goes with them.
    """
    forget, input, output, candidate = gates.chunk(4, dim)
    cell = (forget + FORGET_BIAS).sigmoid() * cell + input.sigmoid() * candidate.tanh()
    return output.sigmoid() * cell.tanh(), cell


def diagonals(height: int, width: int) -> tuple[torch.Tensor, list[int]]:
    """The pixels in the order of their anti-diagonals, each from its top, and how many each diagonal has.

    order (H·W,) long indexes flattened images; sizes has H + W − 1 numbers. It is the skewing of van den Oord et al.
    (2016), section 3.2, without the blank corners that skewing leaves: nothing is computed there.
    """
    number = (torch.arange(height)[:, None] + torch.arange(width)).flatten()  # (H·W,): i + j
    return number.argsort(stable=True), number.bincount().tolist()


def scan(
    here: torch.Tensor, memory: torch.Tensor | None, weight: torch.Tensor, bias: torch.Tensor, height: int, width: int
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """LSTMs along the diagonals: all pixels of a diagonal at once, G sets of weights at once -> hidden, memory.

    `here` (G, F, H·W, B) is what each pixel brings, in the order of `diagonals`. It meets the hidden vectors that
    arrive from the left and from above: weight (G, 4·K·F, 3·F) and bias (G, 4·K·F, 1) turn the three into the gates of
    K LSTMs, all of one kind after the other. With K = 1 and memory None, the one LSTM's memory comes from the left, and
    its hidden vector goes on to the right and down. With K = 3 the first goes on to the right, the second down, and the
    third begins with `memory` and leaves with what is returned, both like `here`.

    A loop over the pixels gives the same (a test and chapter 4 assert it) in H·W small steps; this takes H + W − 1, and
    brings its own gradient, since half of the time of small steps goes into keeping track of them.
    """
    with torch.autocast(here.device.type, enabled=False):  # a sum over hundreds of steps needs all its digits
        dtype = weight.dtype
        return _Scan.apply(here.to(dtype), None if memory is None else memory.to(dtype), weight, bias, height, width)


@lru_cache(maxsize=32)
def _ways(height, width, B):
    """For each diagonal but the last, columns in it and in the next: what goes right, where to; what down, where to."""
    ways = []
    for d in range(height + width - 2):
        top, bottom = max(0, d - width + 1), min(height - 1, d)  # its rows
        right = range(max(top, d - width + 2), bottom + 1)  # the pixel in the last column has nothing to its right
        down = range(top, min(bottom, height - 2) + 1)
        top_next = max(0, d - width + 2)
        ways.append(
            tuple(
                slice((rows.start + shift) * B, (rows.stop + shift) * B)
                for rows, shift in ((right, -top), (right, -top_next), (down, -top), (down, 1 - top_next))
            )
        )
    return ways


class _Scan(torch.autograd.Function):
    """The gates are kept in the order forget, input, output, candidate, after their non-linearities."""

    @staticmethod
    def forward(ctx, here, memory, weight, bias, H, W):
        (G, F, _, B), K = here.shape, weight.shape[1] // (4 * here.shape[1])
        # tanh(x) = 2 σ(2x) − 1, and σ takes a quarter of tanh's time: so the rows of `candidate` count twice.
        twice = torch.tensor([1.0, 1, 1, 2], dtype=weight.dtype, device=weight.device).repeat_interleave(K * F)[:, None]
        ready = torch.zeros_like(twice)
        ready[: K * F] = FORGET_BIAS
        weight_2, bias_2 = weight * twice, (bias + ready) * twice
        sizes, ways = diagonals(H, W)[1], _ways(H, W, B)
        x = list(F_.pad(here, (0, 0, 0, 0, 0, 2 * F)).split(sizes, 2))  # below what is here, what arrives
        m_in = [here.new_zeros(G, K, F, n * B) for n in sizes]
        if memory is not None:
            for m, part in zip(m_in, memory.split(sizes, 2), strict=True):
                m[:, 2] = part.flatten(2)
        hidden, after, kept = [], [], []
        for d in range(len(sizes)):
            x[d] = x[d].flatten(2)
            gates = torch.baddbmm(bias_2, weight_2, x[d]).sigmoid_().view(G, 4, K, F, sizes[d] * B)
            forget, input, output, candidate = gates.unbind(1)
            candidate.mul_(2).sub_(1)
            m = (forget * m_in[d]).addcmul_(input, candidate)
            tanh_m = (2 * m).sigmoid_().mul_(2).sub_(1)
            h = output * tanh_m
            kept += [gates, tanh_m]
            hidden.append(h[:, -1])
            after.append(m[:, -1])
            if d < len(ways):
                right, to_right, down, to_down = ways[d]
                x[d + 1] = x[d + 1].flatten(2)
                x[d + 1][:, F : 2 * F, to_right] = h[:, 0, :, right]
                x[d + 1][:, 2 * F :, to_down] = h[:, 1 % K, :, down]
                m_in[d + 1][:, 0, :, to_right] = m[:, 0, :, right]
                if K > 1:
                    m_in[d + 1][:, 1, :, to_down] = m[:, 1, :, down]
        ctx.sizes = H, W, B, memory is not None
        ctx.save_for_backward(weight, *x, *m_in, *kept)
        hidden = torch.cat(hidden, 2).unflatten(2, (H * W, B))
        return hidden, None if memory is None else torch.cat(after, 2).unflatten(2, (H * W, B))

    @staticmethod
    @once_differentiable
    def backward(ctx, d_hidden, d_after):
        H, W, B, with_memory = ctx.sizes
        weight, *kept = ctx.saved_tensors
        sizes, ways = diagonals(H, W)[1], _ways(H, W, B)
        D, F = len(sizes), d_hidden.shape[1]
        d_hidden = d_hidden.split(sizes, 2)
        d_after = d_after.split(sizes, 2) if with_memory else None
        back = weight.transpose(1, 2).contiguous()
        d_weight, d_here, d_memory, d_gates_sum = torch.zeros_like(weight), [], [], 0
        dx = dm_next = None  # of the diagonal after, which was a turn ago
        for d in reversed(range(D)):
            x, m_in, gates, tanh_m = kept[d], kept[D + d], kept[2 * D + 2 * d], kept[2 * D + 2 * d + 1]
            forget, input, output, candidate = gates.unbind(1)
            dh = torch.zeros_like(tanh_m)
            dh[:, -1] = d_hidden[d].flatten(2)
            if d < len(ways):
                right, to_right, down, to_down = ways[d]
                dh[:, 0, :, right] += dx[:, F : 2 * F, to_right]
                dh[:, 1 % dh.shape[1], :, down] += dx[:, 2 * F :, to_down]
            d_gates = torch.empty_like(gates)
            d_forget, d_input, d_output, d_candidate = d_gates.unbind(1)
            torch.mul(dh, tanh_m, out=d_output)
            dm = dh.addcmul_(d_output, tanh_m, value=-1).mul_(output)  # tanh' = 1 − tanh²
            if with_memory:
                dm[:, 2] += d_after[d].flatten(2)
            if d < len(ways):
                dm[:, 0, :, right] += dm_next[:, 0, :, to_right]
                if with_memory:
                    dm[:, 1, :, down] += dm_next[:, 1, :, to_down]
            torch.mul(dm, m_in, out=d_forget)
            torch.mul(dm, candidate, out=d_input)
            torch.mul(dm, input, out=d_candidate)
            d_candidate.addcmul_(d_candidate * candidate, candidate, value=-1)
            sigmas, d_sigmas = gates[:, :3], d_gates[:, :3]
            d_sigmas.mul_(sigmas).addcmul_(d_sigmas, sigmas, value=-1)  # σ' = σ − σ²
            dm_next, flat = dm.mul_(forget), d_gates.flatten(1, 3)
            dx = torch.bmm(back, flat)
            d_weight.baddbmm_(flat, x.transpose(1, 2))
            d_gates_sum = d_gates_sum + flat.sum(2, keepdim=True)
            d_here.append(dx[:, :F])
            d_memory.append(dm_next[:, -1])
        d_here, d_memory = (torch.cat(part[::-1], 2).unflatten(2, (H * W, B)) for part in (d_here, d_memory))
        return d_here, d_memory if with_memory else None, d_weight, d_gates_sum, None, None
