"""What masked and causal convolutions may see, entry by entry and by Jacobian; what gates and residual layers do."""

import pytest
import torch
from torch import nn

from course_lib.device import make_generator
from course_lib.layers import CausalConv1d, MaskedConv2d, Residual, ResidualMLP, gate, initialised_by


def conv(*sizes, **settings):
    with initialised_by(make_generator(0)):
        return MaskedConv2d(*sizes, **settings).double()


PICTURES = {  # 1 is seen; the middle is another matter
    (1, 1): ["?"],
    (1, 3): ["1?0"],
    (3, 1): ["1", "?", "0"],
    (3, 3): ["111", "1?0", "000"],
    (5, 5): ["11111", "11111", "11?00", "00000", "00000"],
}


@pytest.mark.parametrize("mask_type", ["A", "B"])
@pytest.mark.parametrize("size", PICTURES)
def test_the_mask_of_one_colour_is_this_picture(size, mask_type):
    mask = conv(2, 4, size, mask_type).mask
    picture = [row.replace("?", {"A": "0", "B": "1"}[mask_type]) for row in PICTURES[size]]
    assert mask.shape == (4, 2, *size)
    expected = torch.tensor([[float(pixel) for pixel in row] for row in picture])
    assert torch.equal(mask.float(), expected.expand_as(mask)), "the same for every feature"


MIDDLES = {  # in row k, which colours colour k sees at the pixel itself
    "A": [[0, 0, 0], [1, 0, 0], [1, 1, 0]],
    "B": [[1, 0, 0], [1, 1, 0], [1, 1, 1]],
}


@pytest.mark.parametrize("mask_type", ["A", "B"])
@pytest.mark.parametrize("size", PICTURES)
def test_at_the_pixel_itself_a_colour_sees_those_before_it_and_elsewhere_all_or_none(size, mask_type):
    mask = conv(6, 9, size, mask_type, colours=3).mask.float()  # in groups of 2, and out of 3
    middle = mask[:, :, size[0] // 2, size[1] // 2]
    expected = torch.tensor(MIDDLES[mask_type]).float().repeat_interleave(3, 0).repeat_interleave(2, 1)
    assert torch.equal(middle, expected)
    around = torch.ones(size, dtype=torch.bool)
    around[size[0] // 2, size[1] // 2] = False
    one_colour = conv(1, 1, size, mask_type).mask.float()
    assert torch.equal(mask[:, :, around], one_colour[:, :, around].expand(9, 6, -1))


@pytest.mark.parametrize("colours", [1, 3])
@pytest.mark.parametrize("mask_type", ["A", "B"])
@pytest.mark.parametrize("size", [1, (1, 3), (3, 1), 3, 5, (3, 7)], ids=str)
def test_nothing_comes_from_below_or_from_the_right(size, mask_type, colours):
    layer, (H, W) = conv(3, 6, size, mask_type, colours=colours), (6, 5)
    x = torch.randn(1, 3, H, W, dtype=torch.float64, generator=make_generator(1))
    jacobian = torch.autograd.functional.jacobian(layer, x)[0, :, :, :, 0]  # (6, H, W, 3, H, W)
    rows, columns = (size, size) if isinstance(size, int) else size
    for i in range(H):
        for j in range(W):
            seen = torch.zeros(6, 3, H, W, dtype=torch.bool)
            left = max(0, j - columns // 2)
            seen[:, :, max(0, i - rows // 2) : i, left : j + columns // 2 + 1] = True
            seen[:, :, i, left:j] = True
            for out in range(6):  # colours 0, 0, 1, 1, 2, 2 if there are three
                before = 3 * (mask_type == "B") if colours == 1 else out // 2 + (mask_type == "B")
                seen[out, :before, i, j] = True
            assert torch.equal(jacobian[:, i, j] != 0, seen), f"what pixel {i, j} sees"


def test_on_a_single_pixel_mask_b_is_a_linear_layer():
    layer = conv(2, 3, 3, "B")
    x = torch.randn(2, 2, 1, 1, dtype=torch.float64, generator=make_generator(1))
    expected = torch.einsum("oi,bi->bo", layer.weight[:, :, 1, 1], x[..., 0, 0]) + layer.bias
    torch.testing.assert_close(layer(x)[..., 0, 0], expected)


def test_masked_weights_get_no_gradient_and_have_no_say():
    layer = conv(3, 3, 3, "A", colours=3)
    x = torch.randn(2, 3, 4, 5, dtype=torch.float64, generator=make_generator(1))
    before = layer(x)
    before.square().sum().backward()
    assert torch.equal(layer.weight.grad != 0, layer.mask.bool())
    with torch.no_grad():
        layer.weight[~layer.mask.bool()] += 9
    assert torch.equal(layer(x), before)


def test_the_mask_follows_the_layer_and_is_not_stored():
    layer = conv(1, 1, 3, "A")
    assert layer.mask.dtype == torch.float64, "it moved with the rest"
    assert set(layer.state_dict()) == {"weight", "bias"}, "it is made anew from the sizes"


@pytest.mark.parametrize(
    ("sizes", "says"),
    [
        ((1, 1, 2, "A"), "odd kernel sizes, .* got 2 × 2, 'A', 1 and 1"),
        ((1, 1, (3, 4), "A"), "odd kernel sizes, .* got 3 × 4, 'A', 1 and 1"),
        ((1, 1, (4, 3), "A"), "odd kernel sizes, .* got 4 × 3, 'A', 1 and 1"),
        ((1, 1, 3, "C"), "mask 'A' or 'B', .* got 3 × 3, 'C', 1 and 1"),
        ((4, 6, 3, "A", 3), "channels that 3 colours divide, got 3 × 3, 'A', 4 and 6"),
        ((6, 4, 3, "B", 3), "channels that 3 colours divide, got 3 × 3, 'B', 6 and 4"),
        ((4, 4, 3, "B", 3), "channels that 3 colours divide, got 3 × 3, 'B', 4 and 4"),  # both with the same remainder
    ],
)
def test_bad_sizes_are_refused(sizes, says):
    with pytest.raises(ValueError, match=says):
        MaskedConv2d(*sizes)


# --- causal convolutions -------------------------------------------------------------------------------------------


def causal(kernel_size, dilation):
    with initialised_by(make_generator(0)):
        return CausalConv1d(2, 3, kernel_size, dilation).double()


each_size = pytest.mark.parametrize(("kernel_size", "dilation"), [(1, 1), (2, 1), (2, 4), (3, 1), (3, 2), (5, 9)])


@each_size
@pytest.mark.parametrize("T", [1, 3, 12])
def test_a_causal_convolution_is_this_sum(kernel_size, dilation, T):
    layer, x = causal(kernel_size, dilation), torch.randn(4, 2, T, generator=make_generator(1), dtype=torch.float64)
    expected = torch.zeros(4, 3, T, dtype=torch.float64) + layer.bias[:, None]
    for t in range(T):
        for tap in range(kernel_size):
            s = t - (kernel_size - 1 - tap) * dilation  # the last tap is at the step itself
            if s >= 0:  # before the first step there are zeros
                expected[:, :, t] += x[:, :, s] @ layer.weight[:, :, tap].T
    torch.testing.assert_close(layer(x), expected)


@each_size
def test_a_causal_convolution_sees_its_taps_and_nothing_else(kernel_size, dilation):
    layer, T = causal(kernel_size, dilation), 50
    x = torch.randn(1, 2, T, generator=make_generator(1), dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(layer, x)[0, :, :, 0]  # (3, T, 2, T)
    seen = jacobian.abs().sum((0, 2)) > 0  # (T, T): whether the output at t depends on the input at s
    ago = torch.arange(T)[:, None] - torch.arange(T)
    assert torch.equal(seen, (ago >= 0) & (ago % dilation == 0) & (ago // dilation < kernel_size))


# --- gates --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(3, 8), (3, 8, 5), (3, 8, 4, 5)])
def test_a_gate_says_what_with_one_half_and_how_much_with_the_other(shape):
    x = 3 * torch.randn(shape, generator=make_generator(0), dtype=torch.float64)
    what, how_much = x[:, :4], x[:, 4:]
    assert gate(x).shape == (3, 4, *shape[2:])
    torch.testing.assert_close(gate(x), what.tanh() / (1 + (-how_much).exp()))


# --- residual layers ----------------------------------------------------------------------------------------------


def residual(features, dropout=0.0):
    with initialised_by(make_generator(0)):
        return Residual(features, dropout)


def test_a_residual_layer_adds_a_bent_linear_map_of_the_normalised_input():
    layer, h = residual(6).double(), 3 * torch.randn(5, 6, generator=make_generator(1), dtype=torch.float64) + 2
    normal = (h - h.mean(1, keepdim=True)) / (h.var(1, correction=0, keepdim=True) + 1e-5).sqrt()  # torch's 1e-5
    linear = next(m for m in layer.modules() if isinstance(m, nn.Linear))
    a = normal @ linear.weight.T + linear.bias
    torch.testing.assert_close(layer(h), h + a * a.sigmoid(), rtol=1e-9, atol=1e-12)
    with torch.no_grad():
        linear.weight.zero_()
        linear.bias.zero_()
    assert torch.equal(layer(h), h), "where it adds nothing the input goes through as it is"


def test_residual_dropout_leaves_out_its_share_of_the_addition_in_training_only_and_keeps_the_mean():
    h = torch.randn(1, 200, generator=make_generator(1)).expand(500, 200)
    thinned, whole = residual(200, 0.25), residual(200)
    torch.manual_seed(0)  # torch's dropout has no other source
    added, all_of_it = thinned(h) - h, whole(h) - h
    left_out, n = added == 0, added.numel()
    assert left_out.double().mean().item() == pytest.approx(0.25, abs=4 * (0.25 * 0.75 / n) ** 0.5)
    torch.testing.assert_close(added[~left_out], (all_of_it / 0.75)[~left_out], atol=1e-5, rtol=1e-4)
    assert left_out.any(0).all() and not left_out.all(0).any(), "each row leaves out others"
    assert torch.equal(thinned.eval()(h), whole(h))


def test_depth_counts_the_hidden_layers_of_a_residual_mlp_and_all_of_them_hide():
    for depth in 0, 1, 3:
        net = ResidualMLP(4, 3, features=8, depth=depth, dropout=0.25)
        assert net(torch.zeros(2, 4)).shape == (2, 3)
        linear = [m for m in net.modules() if isinstance(m, nn.Linear)]
        sizes = [(m.in_features, m.out_features) for m in linear]
        assert sizes == ([(4, 8), *[(8, 8)] * (depth - 1), (8, 3)] if depth else [(4, 3)])
        assert isinstance(net[-1], nn.Linear), "the output is free to be any number"
        assert sum(isinstance(m, Residual) for m in net) == max(0, depth - 1)
        assert [m.p for m in net.modules() if isinstance(m, nn.Dropout)] == [0.25] * depth
