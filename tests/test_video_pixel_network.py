"""What is special to models of video: what each pixel sees, exact likelihood, and drawing with what is kept.

The general contract, with shapes, gradients and disk, is in test_models.py.
"""

import math
from itertools import product

import pytest
import torch

from course_lib.decode import draw
from course_lib.device import make_generator
from course_lib.models.video_pixel_network import IndependentPixels, VideoPixelNetwork, VPNConfig
from course_lib.models.video_pixel_network.blocks import Block, MultiplicativeUnit, spread

KINDS = [VideoPixelNetwork, IndependentPixels]
each_kind = pytest.mark.parametrize("kind", KINDS)


def small(kind, C=1, H=2, W=3, V=2, decoder=1, **settings):
    """A model in float64 in which no gradient vanishes."""
    config = VPNConfig(V, C, H, W, features=6, encoder=(1, 2), decoder=decoder, **settings)
    model = kind(config, generator=make_generator(0)).double()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("weight"):
                parameter.mul_(2)
            elif name.endswith("bias"):
                parameter.add_(0.3)  # most ReLUs are open
        model.place.normal_(std=0.3, generator=make_generator(1))
    return model


def videos(model, n, frames=3, seed=2):
    c = model.config
    return torch.randint(c.levels, (n, frames, c.channels, c.height, c.width), generator=make_generator(seed))


def what_is_seen(model, frames, several=10):
    """(T, C, H, W, T, C, H, W) bool, by the gradient: on what, in the second half, each logit in the first depends."""
    c = model.config
    size = frames, c.channels, c.height, c.width
    N = torch.Size(size).numel()
    words = model.words(videos(model, several, frames)).repeat_interleave(N, 0).requires_grad_()
    asked = model.logits(words).flatten(1, 4).unflatten(0, (several, N)).diagonal(dim1=1, dim2=2)  # (S, V, N)
    weight = torch.randn(asked.shape, generator=make_generator(3), dtype=torch.float64)  # so that no two cancel out
    (gradient,) = torch.autograd.grad((asked * weight).sum(), words)
    gradient = gradient.view(several, *size, frames, c.channels, c.levels, c.height, c.width)
    return gradient.abs().sum((0, 7)) > 0


@pytest.mark.parametrize("multiplicative", [True, False])
@pytest.mark.parametrize(("T", "C", "H", "W"), [(3, 3, 1, 1), (3, 1, 3, 5), (4, 2, 2, 3), (2, 3, 3, 2), (3, 1, 5, 3)])
@each_kind
def test_a_pixel_sees_all_frames_before_and_in_its_own_what_comes_before_it(kind, T, C, H, W, multiplicative):
    """So the Jacobian says, exactly: frames this small are within everybody's reach."""
    seen = what_is_seen(small(kind, C, H, W, multiplicative=multiplicative), T)
    numbers = list(product(range(T), range(H), range(W), range(C)))
    for (t, i, j, k), (s, a, b, l) in product(numbers, numbers):
        if s != t:
            expected = s < t
        elif kind is IndependentPixels:
            expected = False
        elif (i, j) == (a, b):
            expected = l < k
        else:  # two rows up at most, for depth 1 and 3 × 3 kernels: the first layer's 2, and 2 more
            up, right = i - a, b - j
            expected = -4 <= right < 0 if up == 0 else 0 < up <= 4 and -4 <= right <= 2 + min(up - 1, 2)
        assert seen[t, k, i, j, s, l, a, b] == expected, f"{(t, i, j, k)} and {(s, a, b, l)}"


def test_a_memory_reaches_back_to_the_first_frame():
    seen = what_is_seen(small(VideoPixelNetwork, H=3, W=3), 7)
    assert seen[6, 0, 1, 1, 0].all(), "six frames ago, every pixel"


@torch.no_grad()
@pytest.mark.parametrize("sizes", [{"H": 2, "W": 2, "T": 3}, {"C": 2, "H": 1, "W": 2, "T": 2, "V": 3}], ids=str)
@each_kind
def test_the_probabilities_of_all_videos_sum_to_1(kind, sizes):
    sizes = dict(sizes)
    T = sizes.pop("T")
    model = small(kind, **sizes)
    c = model.config
    shape = T, c.channels, c.height, c.width
    x = torch.tensor(list(product(range(c.levels), repeat=torch.Size(shape).numel()))).view(-1, *shape)
    p = model.log_prob(x).exp()
    assert p.sum().item() == pytest.approx(1, abs=1e-9)
    assert p.max() > 10 * p.min(), "and they are not all alike, or this would say little"
    by_frame = model.log_prob(x, by_frame=True)
    assert by_frame.shape == (len(x), T)
    torch.testing.assert_close(by_frame.sum(1).exp(), p)
    first = x[:, 0].flatten(1) @ (c.levels ** torch.arange(x[0, 0].numel()))
    for one in first.unique():  # given the first frame, those that go on from it sum to 1 as well
        rest = by_frame[first == one, 1:].sum(1).exp().sum()
        assert rest.item() == pytest.approx(1, abs=1e-9)


@torch.no_grad()
def test_only_the_baseline_multiplies_what_its_pixels_say():
    """In one next frame of two pixels: p(both) is the product of the two for the baseline, and is not for the VPN."""
    for kind in KINDS:
        model = small(kind, H=1, W=2)
        x = torch.tensor(list(product(range(2), repeat=2))).view(4, 1, 1, 1, 2)
        p = model.log_prob(torch.cat([torch.zeros_like(x), x], 1), by_frame=True)[:, 1].exp().view(2, 2)
        apart = (p - p.sum(1, keepdim=True) * p.sum(0)).abs().max().item()
        assert (apart < 1e-12) == (kind is IndependentPixels) and (apart > 1e-3) == (kind is VideoPixelNetwork)


@torch.no_grad()
def sample_by_rerunning(model, n, *, frames, generator, given=None, temperature=1.0):
    """The simple way: for each number the network reads all frames again."""
    c = model.config
    x = torch.zeros(n, frames, c.channels, c.height, c.width, dtype=torch.long)
    known = 0 if given is None else given.shape[1]
    if given is not None:
        x[:, :known] = given
    for t, i, j, k in product(range(known, frames), range(c.height), range(c.width), range(c.channels)):
        x[:, t, k, i, j] = draw(model(x)[:, t, k, i, j], generator=generator, temperature=temperature)
    return x


@pytest.mark.parametrize("multiplicative", [True, False])
@pytest.mark.parametrize("known", [0, 1, 2])
@pytest.mark.parametrize(("n", "C", "H", "W"), [(1, 1, 3, 4), (3, 3, 3, 2)])
@each_kind
def test_drawing_with_what_is_kept_is_drawing_by_rerunning(kind, n, C, H, W, known, multiplicative):
    model = small(kind, C, H, W, V=4, decoder=2, multiplicative=multiplicative)
    given = videos(model, n, known) if known else None
    settings = {"frames": 4, "given": given, "temperature": 0.8}
    fast = model.sample(n, generator=make_generator(5), progress=False, **settings)
    slow = sample_by_rerunning(model, n, generator=make_generator(5), **settings)
    assert torch.equal(fast, slow)  # float64: no draw is so close that the last digit decides
    assert fast.shape == (n, 4, C, H, W) and fast.dtype == torch.long


@torch.no_grad()
def test_what_is_kept_saves_nearly_all_of_the_work():
    """Multiplications, counted: one pass of the decoder and one reading, instead of all frames for each pixel."""
    model = VideoPixelNetwork(VPNConfig(), generator=make_generator(0))
    count = {"now": 0}

    def add(module, inputs, output):
        count["now"] += module.weight[0].numel() * output.numel()

    convs = [module for module in model.modules() if isinstance(module, torch.nn.Conv2d)]
    for conv in convs:
        conv.register_forward_hook(add)
    x = videos(model, 1, 10)
    model(x)
    rerunning = count["now"] * 144  # for one frame
    count["now"] = 0
    state, previous = model.begin(1, before=x[:, :9]), None
    begun = count["now"]
    for pixel in x[:, 0].flatten(1).unbind(1):
        _, state = model.step(previous, state)
        previous = pixel
    model.step(previous, state)  # reads the frame, and begins the next
    per_pixel = sum(conv.weight.numel() for conv in convs)  # what `at_point` multiplies, at most
    kept = count["now"] - begun + 144 * per_pixel
    assert rerunning > 100 * kept


@torch.no_grad()
@each_kind
def test_draws_come_as_often_as_log_prob_says(kind):
    model = small(kind, H=1, W=2)
    x = torch.tensor(list(product(range(2), repeat=4))).view(16, 2, 1, 1, 2)
    p = model.log_prob(x).exp()
    drawn = model.sample(8000, frames=2, generator=make_generator(1), progress=False)
    counts = (drawn.flatten(1) @ torch.tensor([8, 4, 2, 1])).bincount(minlength=16)
    expected = 8000 * p
    assert expected.min() > 5, "chi-square needs about five in every cell"
    chi_square = ((counts - expected) ** 2 / expected).sum()
    # One seed in a thousand would fail a right sampler; this one is fixed, so that it fails never or always.
    assert torch.special.gammaincc(torch.tensor(7.5).double(), chi_square / 2) > 1e-3


def test_a_multiplicative_unit_is_three_gates_and_an_update():
    """By hand for one pixel, and its two extremes: all gates open, and shut."""
    unit = MultiplicativeUnit(torch.nn.Conv2d(1, 4, 1)).double()
    h = torch.full((1, 1, 1, 1), 0.7, dtype=torch.float64)
    weight, bias = torch.tensor([0.3, -0.2, 0.5, 1.1]), torch.tensor([0.1, 0.2, -0.4, 0.6])
    unit.conv.weight.data, unit.conv.bias.data = weight.view(4, 1, 1, 1).double(), bias.double()
    g1, g2, g3, update = (weight * 0.7 + bias).double()
    by_hand = g1.sigmoid() * (g2.sigmoid() * 0.7 + g3.sigmoid() * update.tanh()).tanh()
    torch.testing.assert_close(unit(h).squeeze(), by_hand)
    unit.conv.weight.data.zero_()
    for gate, expected in (50.0, math.tanh(0.7 + math.tanh(0.6))), (-50.0, 0.0):
        unit.conv.bias.data = torch.tensor([gate, gate, gate, 0.6]).double()
        assert unit(h).item() == pytest.approx(expected, abs=1e-6)


def test_a_plain_block_has_a_quarter_of_the_kernels():
    def weights(multiplicative):
        units = Block(8, spread(1), multiplicative).units
        return sum(p.numel() for p in units.parameters())

    assert weights(True) == 4 * weights(False)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda x: x[:, :1], "frames of x: expected a whole number ≥ 2, got 1"),
        (lambda x: x[:, :0], "frames of x: expected a whole number ≥ 2, got 0"),
        (lambda x: x[:, 0], r"x: expected shape \(B, T, 1, 2, 3\), got \(2, 1, 2, 3\)"),
        (lambda x: x[..., :-1], r"x: expected shape \(B, T, 1, 2, 3\), got \(2, 3, 1, 2, 2\)"),
        (lambda x: x + 2, "x: expected levels 0 to 1, got 2 to 3"),
    ],
)
@each_kind
def test_videos_that_cannot_be_are_refused(kind, change, says):
    model = small(kind)
    with pytest.raises(ValueError, match=says):
        model.log_prob(change(videos(model, 2)))


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"frames": 1}, ValueError, "frames: expected a whole number ≥ 2, got 1"),
        ({"frames": 2}, ValueError, r"given: expected 1 to 1 frames, fewer than frames = 2, got 2"),
        ({"given": torch.zeros(2, 0, 1, 2, 3).long()}, ValueError, "given: expected 1 to 2 frames, .*, got 0"),
        ({"given": torch.zeros(3, 2, 1, 2, 3).long()}, ValueError, r"given: expected shape \(2, T, 1, 2, 3\)"),
        ({"given": torch.full((2, 1, 1, 2, 3), 2)}, ValueError, "given: expected levels 0 to 1, got 2 to 2"),
        ({"given": torch.zeros(2, 1, 1, 2, 3)}, TypeError, "given: expected levels as torch.long, got torch.float32"),
        ({"temperature": -1}, ValueError, "temperature"),
    ],
    ids=str,
)
@each_kind
def test_draws_that_cannot_be_are_refused(kind, change, error, says):
    model = small(kind)
    settings = {"frames": 3, "given": videos(model, 2, 2), "generator": make_generator(0), "progress": False} | change
    with pytest.raises(error, match=says):
        model.sample(2, **settings)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"features": 5}, "features: expected an even number"),
        ({"features": 0}, "features: expected a whole number ≥ 1"),
        ({"levels": 1}, "levels: expected a whole number ≥ 2"),
        ({"height": 0}, "height: expected a whole number ≥ 1"),
        ({"encoder": (1, 0)}, "encoder, a dilation: expected a whole number ≥ 1"),
        ({"decoder": -1}, "decoder: expected a whole number ≥ 0"),
    ],
    ids=str,
)
def test_configs_that_cannot_be_are_refused(change, says):
    with pytest.raises(ValueError, match=says):
        VPNConfig(**change)
