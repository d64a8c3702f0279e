"""The scan over anti-diagonals is the plain loop over the pixels, only faster: same numbers, same gradients."""

import pytest
import torch

from course_lib.device import make_generator
from course_lib.fast.diagonals import diagonals, lstm, scan
from course_lib.layers import FORGET_BIAS

SIZES = [(1, 1), (1, 5), (5, 1), (2, 3), (4, 3), (3, 3)]
each_size = pytest.mark.parametrize(("H", "W"), SIZES)
# two directions of one LSTM each, as in the Diagonal BiLSTM; three LSTMs and a memory from below, as in the Grid LSTM
each_kind = pytest.mark.parametrize(("G", "K"), [(2, 1), (1, 3), (2, 3)])


def arguments(G, K, H, W, B=2, F=3, dtype=torch.float64):
    """Random ones: here (G, F, H·W, B), memory alike for K = 3 and None for K = 1, weight, bias."""
    generator = make_generator(0)

    def some(*shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype).requires_grad_()

    memory = some(G, F, H * W, B) if K == 3 else None
    return some(G, F, H * W, B), memory, some(G, 4 * K * F, 3 * F), some(G, 4 * K * F, 1)


def plain(here, memory, weight, bias, H, W):
    """The same, pixel after pixel, an LSTM after another, straight from the equations."""
    G, F, _, B = here.shape
    K = weight.shape[1] // (4 * F)
    order = [(i, j) for d in range(H + W - 1) for i in range(H) for j in range(W) if i + j == d]
    zero = [torch.zeros(F, B, dtype=here.dtype)] * K
    hidden, after = [], []
    for g in range(G):
        h, m = {}, {}  # of each pixel: K hidden vectors and K memories, (F, B) each
        for i in range(H):
            for j in range(W):
                n = order.index((i, j))
                left, above = (i, j - 1), (i - 1, j)
                x = torch.cat([here[g, :, n], h.get(left, zero)[0], h.get(above, zero)[-1 if K == 1 else 1]])
                forget, input, output, candidate = (weight[g] @ x + bias[g]).unflatten(0, (4, K, F))
                before = [m.get(left, zero)[0]]
                if K == 3:
                    before += [m.get(above, zero)[1], memory[g, :, n]]
                m[i, j] = [
                    (forget[k] + FORGET_BIAS).sigmoid() * before[k] + input[k].sigmoid() * candidate[k].tanh()
                    for k in range(K)
                ]
                h[i, j] = [output[k].sigmoid() * m[i, j][k].tanh() for k in range(K)]
        hidden.append(torch.stack([h[pixel][-1] for pixel in order], 1))
        after.append(torch.stack([m[pixel][-1] for pixel in order], 1))
    return torch.stack(hidden), torch.stack(after) if K == 3 else None


# --- the order -------------------------------------------------------------------------------------------------


def test_the_diagonals_of_a_small_image_are_these():
    order, sizes = diagonals(3, 4)  # 0  1  2  3
    assert sizes == [1, 2, 3, 3, 2, 1]  # 4  5  6  7
    assert order.tolist() == [0, 1, 4, 2, 5, 8, 3, 6, 9, 7, 10, 11]  # 8  9 10 11


@pytest.mark.parametrize(("H", "W"), [*SIZES, (16, 17), (28, 2)])
def test_each_pixel_comes_once_and_after_its_left_and_its_upper_neighbour(H, W):
    order, sizes = diagonals(H, W)
    assert order.dtype == torch.long and sorted(order.tolist()) == list(range(H * W))
    assert len(sizes) == H + W - 1 and sum(sizes) == H * W
    for d, part in enumerate(order.split(sizes)):
        rows, columns = part // W, part % W
        assert (rows + columns == d).all(), "a diagonal is where i + j is d"
        assert (rows.diff() == 1).all(), "from its top"


# --- the scan --------------------------------------------------------------------------------------------------


@torch.no_grad()
@pytest.mark.parametrize("B", [1, 3])
@each_kind
@each_size
def test_the_scan_is_the_loop(H, W, G, K, B):
    for dtype, tolerance in ((torch.float32, 1e-5), (torch.float64, 1e-10)):
        some = arguments(G, K, H, W, B, dtype=dtype)
        for got, expected in zip(scan(*some, H, W), plain(*some, H, W), strict=True):
            if expected is None:
                assert got is None, "no memory in, no memory out"
                continue
            assert got.shape == (G, 3, H * W, B) and got.dtype == dtype
            torch.testing.assert_close(got, expected, atol=tolerance, rtol=0)


@each_kind
@each_size
def test_its_gradients_are_the_loops(H, W, G, K):
    some = arguments(G, K, H, W)
    leaves = [tensor for tensor in some if tensor is not None]
    gradients = []
    for way in scan, plain:
        outputs = [out for out in way(*some, H, W) if out is not None]
        weights = [torch.randn(out.shape, generator=make_generator(1), dtype=out.dtype) for out in outputs]
        gradients.append(torch.autograd.grad(outputs, leaves, weights))
    for got, expected in zip(*gradients, strict=True):
        torch.testing.assert_close(got, expected, atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize(("H", "W", "B"), [(1, 1, 2), (1, 4, 1), (4, 1, 2), (2, 3, 1), (3, 2, 2)])
@pytest.mark.parametrize(("G", "K"), [(2, 1), (1, 3)])
def test_its_gradients_are_right_by_small_differences(H, W, B, G, K):
    here, memory, weight, bias = arguments(G, K, H, W, B, F=2)
    if memory is None:
        assert torch.autograd.gradcheck(lambda *some: scan(some[0], None, *some[1:], H, W)[0], (here, weight, bias))
    else:
        assert torch.autograd.gradcheck(lambda *some: scan(*some, H, W), (here, memory, weight, bias))


@pytest.mark.parametrize("used", [0, 1], ids=["only what is hidden counts", "only what is remembered counts"])
def test_one_of_two_results_may_be_left_unused(used):
    some = arguments(1, 3, 2, 3)
    got, expected = (torch.autograd.grad(way(*some, 2, 3)[used].sum(), some) for way in (scan, plain))
    torch.testing.assert_close(got, expected, atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize("frozen", range(4), ids=["here", "memory", "weight", "bias"])
@each_kind
def test_what_needs_no_gradient_gets_none_and_takes_none_from_the_others(G, K, frozen):
    if (K, frozen) == (1, 1):
        return  # there is no memory
    H, W = 3, 2
    some = arguments(G, K, H, W)
    scan(*some, H, W)[0].sum().backward()
    expected = [None if tensor is None else tensor.grad.clone() for tensor in some]
    again = arguments(G, K, H, W)
    again[frozen].requires_grad_(False)
    scan(*again, H, W)[0].sum().backward()
    for i, tensor in enumerate(again):
        if i == frozen:
            assert tensor.grad is None
        elif tensor is not None:
            assert torch.equal(tensor.grad, expected[i])


def test_what_is_given_is_left_as_it_was():
    some = arguments(2, 3, 3, 4)
    before = [tensor.detach().clone() for tensor in some]
    hidden, after = scan(*some, 3, 4)
    (hidden.sum() + after.sum()).backward()
    assert all(torch.equal(tensor, old) for tensor, old in zip(some, before, strict=True))


@each_kind
def test_under_autocast_it_keeps_all_its_digits(G, K):
    here, memory, weight, bias = arguments(G, K, 3, 4, dtype=torch.float32)
    rounded = here.detach().bfloat16()  # what a convolution before it hands over
    expected = scan(rounded.float(), memory, weight, bias, 3, 4)
    with torch.autocast("cpu", torch.bfloat16):
        got = scan(rounded, memory, weight, bias, 3, 4)
        got[0].sum().backward()
    for result, exact in zip(got, expected, strict=True):
        if exact is not None:
            assert result.dtype == torch.float32
            assert torch.equal(result, exact)
    assert weight.grad.dtype == bias.grad.dtype == torch.float32


@pytest.mark.parametrize("dim", [1, -1])
def test_an_lstm_step_is_that_of_torch(dim):
    generator = make_generator(0)
    gates, cell = torch.randn(5, 12, generator=generator), torch.randn(5, 3, generator=generator)
    theirs = torch.nn.LSTMCell(1, 3)
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.zero_()
        for x in range(5):
            forget, input, output, candidate = gates[x].chunk(4)
            theirs.bias_ih.copy_(torch.cat([input, forget + FORGET_BIAS, candidate, output]))  # their order
            expected = theirs(torch.zeros(1), (torch.zeros(3), cell[x]))
            for got, one in zip(lstm(gates[x : x + 1], cell[x : x + 1], dim), expected, strict=True):
                torch.testing.assert_close(got[0], one)
