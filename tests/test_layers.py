"""What a masked convolution may see: its masks entry by entry, and its Jacobian."""

import pytest
import torch

from course_lib.device import make_generator
from course_lib.layers import MaskedConv2d, initialised_by


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
        ((4, 6, 3, "A", 3), "widths that 3 colours divide, got 3 × 3, 'A', 4 and 6"),
        ((6, 4, 3, "B", 3), "widths that 3 colours divide, got 3 × 3, 'B', 6 and 4"),
        ((4, 4, 3, "B", 3), "widths that 3 colours divide, got 3 × 3, 'B', 4 and 4"),  # both with the same remainder
    ],
)
def test_bad_sizes_are_refused(sizes, says):
    with pytest.raises(ValueError, match=says):
        MaskedConv2d(*sizes)
