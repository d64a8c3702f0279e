"""What is special to models that paint pixel after pixel: what each sees, its likelihood, and samples that obey it.

The general contract, with shapes, gradients and disk, is in test_models.py.
"""

from dataclasses import replace
from itertools import product

import pytest
import torch

from course_lib.check import assert_causal
from course_lib.decode import draw
from course_lib.device import make_generator
from course_lib.models.pixel.convolutional import GatedPixelCNN, PixelCNN
from course_lib.models.pixel.model import PixelConfig
from course_lib.models.pixel.recurrent import DiagonalBiLSTM, GridLSTM, RasterLSTM, RowLSTM


class Filter(PixelCNN):
    """One filter of 7×7 and nothing else: the PixelCNN of depth 0, whatever depth a test asks for."""

    def __init__(self, config, **settings):
        super().__init__(replace(config, depth=0), **settings)


KINDS = [RasterLSTM, RowLSTM, DiagonalBiLSTM, GridLSTM, PixelCNN, GatedPixelCNN]
each_kind = pytest.mark.parametrize("kind", [*KINDS, Filter])


def small(kind, C=1, H=2, W=3, V=2, depth=2):
    """A model in float64 in which no gradient vanishes."""
    model = kind(PixelConfig(V, C, H, W, features=12, depth=depth), generator=make_generator(0)).double()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("weight"):
                parameter.mul_(1.5)
            elif name.endswith("bias"):
                parameter.add_(0.3)  # most ReLUs are open
        model.place.normal_(std=0.3, generator=make_generator(1))
        model.head.out.bias.normal_(std=0.2, generator=make_generator(2))
    return model


def images(model, n, seed=2):
    c = model.config
    return torch.randint(c.levels, (n, c.channels, c.height, c.width), generator=make_generator(seed))


@torch.no_grad()
def all_images(kind, **sizes):
    """A small model, all images (V^(C·H·W), C, H, W), and how likely each is: not equally, but none is rare."""
    model = small(kind, **sizes)
    c = model.config
    x = torch.tensor(list(product(range(c.levels), repeat=c.channels * c.height * c.width)))
    x = x.view(-1, c.channels, c.height, c.width)
    for _ in range(20):
        log_p = model.log_prob(x)
        if 3 < (span := log_p.max() - log_p.min()) < 4:
            return model, x, log_p.exp()
        model.head.out.weight.mul_(3.5 / span)
    raise AssertionError(
        f"its logits cannot be scaled so that the likeliest image is 20 to 50 times the rarest: {span}"
    )


# --- what it sees ----------------------------------------------------------------------------------------------


def what_is_seen(model, several=4):
    """(C, H, W, C, H, W) bool, by the gradient: on what, in the second half, each logit in the first half depends.

    What shares a batch does not meet. So the image is repeated, in each copy another logit is asked, and one pass back
    gives all rows of the Jacobian. A ReLU may be shut for one image: we ask `several`.
    """
    size = model.config.channels, model.config.height, model.config.width
    N = size[0] * size[1] * size[2]
    words = model.words(images(model, several)).repeat_interleave(N, 0).requires_grad_()
    logits = model.head(model.context(words), words).flatten(1, 3).unflatten(0, (several, N))  # (S, N, N, V)
    asked = logits.diagonal(dim1=1, dim2=2)  # (S, V, N)
    weight = torch.randn(asked.shape, generator=make_generator(3), dtype=torch.float64)  # so that no two cancel out
    (gradient,) = torch.autograd.grad((asked * weight).sum(), words)
    seen = gradient.view(several, *size, size[0], -1, *size[1:]).abs().sum((0, 5))  # over images and levels
    assert seen.isfinite().all()
    return seen > 0


def reaches(model, up, right):
    """Whether a model must see the pixel `up` rows above and `right` columns to the right of that which it predicts."""
    left, d, kind = -right, model.config.depth, type(model)
    if up < 0 or (up == 0 and left <= 0):
        return False  # the pixel itself, and the future
    if kind in (RasterLSTM, DiagonalBiLSTM):
        return True
    if kind is GridLSTM:  # what is above and to the left, and what the first layer sees from there
        return up == 0 or right <= 1
    if kind is RowLSTM:  # a triangle, whose sides begin with the first layer's 7 columns
        return left <= 3 + d if up == 0 else -3 - d - up <= right <= 2 + up
    if isinstance(model, PixelCNN):  # a rectangle, cut off at the right as that triangle is
        return left <= 3 + d if up == 0 else up <= 3 + d and left <= 3 + d and right <= 3 + min(up - 1, d)
    return left <= 4 + d if up == 0 else up <= 2 + d and abs(right) <= 2 + d  # GatedPixelCNN: a rectangle


@pytest.mark.parametrize(
    ("C", "H", "W", "depth"),
    [(3, 1, 1, 1), (1, 5, 2, 2), (2, 3, 4, 3), (3, 3, 4, 1), (2, 1, 9, 2), (1, 9, 1, 3), (1, 3, 10, 1), (2, 3, 10, 3)],
)
@each_kind
def test_each_logit_depends_on_what_came_before_and_is_in_reach_and_on_exactly_nothing_else(kind, C, H, W, depth):
    model = small(kind, C, H, W, depth=depth)
    pixels = list(product(range(H), range(W)))
    expected = torch.tensor([[reaches(model, i - k, l - j) for k, l in pixels] for i, j in pixels])
    expected = expected[:, None, :, None].repeat(1, C, 1, C)  # of another pixel, all channels or none
    for pixel in range(H * W):
        expected[pixel, :, pixel] = torch.ones(C, C).tril(-1)  # of its own, a channel sees those before it
    seen = what_is_seen(model).flatten(4).flatten(1, 2).movedim(1, 0).movedim(-1, 2)  # (H·W, C, H·W, C)
    wrong = [(pixels[a], k, pixels[b], l) for a, k, b, l in (seen != expected).nonzero().tolist()]
    assert wrong == [], "this pixel and channel sees that pixel and channel, or misses it"


@each_kind
def test_it_is_causal_from_outside_too(kind):
    model = small(kind, C=3, H=4, W=2, V=3)
    assert_causal(model, images(model, 2))


EVERYTHING_BEFORE = """
    #########
    #########
    #########
    #########
    #########
    #########
    #?.......
    .........
"""
TRIANGLE = """
    #########
    #########
    ########.
    #######..
    ######...
    #####....
    #?.......
    .........
"""
RECTANGLE = """
    ###......
    ###......
    ###......
    ###......
    ###......
    ###......
    #?.......
    .........
"""


@pytest.mark.parametrize(
    ("kind", "depth", "picture"),
    [
        (RasterLSTM, 1, EVERYTHING_BEFORE),
        (DiagonalBiLSTM, 1, EVERYTHING_BEFORE),
        (GatedPixelCNN, 6, EVERYTHING_BEFORE),
        (RowLSTM, 1, TRIANGLE),
        (RowLSTM, 3, TRIANGLE),
        (PixelCNN, 6, TRIANGLE),
        (PixelCNN, 12, TRIANGLE),  # twice as deep, and as blind
        (GridLSTM, 1, RECTANGLE),
        (GridLSTM, 3, RECTANGLE),
    ],
)
def test_what_a_pixel_sees_of_a_larger_image_looks_like_this(kind, depth, picture):
    rows = picture.split()
    model = small(kind, 1, len(rows), len(rows[0]), depth=depth)
    seen = what_is_seen(model)[0, 6, 1, 0].tolist()
    seen = ["".join(".#"[pixel] for pixel in row) for row in seen]
    assert seen == [row.replace("?", ".") for row in rows]


# --- its likelihood is exact -----------------------------------------------------------------------------------


@torch.no_grad()
@pytest.mark.parametrize("sizes", [{"C": 1, "H": 2, "W": 3, "V": 2}, {"C": 3, "H": 1, "W": 2, "V": 3}], ids=str)
@each_kind
def test_the_probabilities_of_all_images_sum_to_1(kind, sizes):
    _, x, p = all_images(kind, **sizes)
    assert len(x) == len(x.unique(dim=0)) == {1: 2**6, 3: 3**6}[sizes["C"]]
    assert p.dtype == torch.float64
    assert p.sum().item() == pytest.approx(1, abs=1e-9)
    assert p.max() > 20 * p.min(), "and they are not all alike, or this would say little"


@torch.no_grad()
def test_the_chain_rule_is_the_sum_of_what_each_pixel_and_channel_says():
    model = small(PixelCNN, C=2, H=2, W=3, V=3)
    x = images(model, 5)
    by_hand = torch.zeros(5, dtype=torch.float64)
    for k, i, j in product(range(2), range(2), range(3)):
        by_hand += model(x)[:, k, i, j].log_softmax(1).gather(1, x[:, k, i, j, None])[:, 0]
    torch.testing.assert_close(model.log_prob(x), by_hand, rtol=1e-12, atol=0)


# --- its samples obey the likelihood ---------------------------------------------------------------------------


def painted_law(model, x, given, known):
    """(N,): how often each image x (N, C, H, W) is painted: Π p(x_i | x_<i) over what is not known, 0 where x differs.

    What is known later has no say in what is painted before it: this is not p(x | what is known).
    """
    log_p = model(x).log_softmax(-1).gather(-1, x[..., None])[..., 0]
    p = log_p.masked_fill(known, 0).flatten(1).sum(1).exp() * ((x == given) | ~known).flatten(1).all(1)
    assert p.sum().item() == pytest.approx(1, abs=1e-9)
    return p


def p_value(drawn, x, p):
    """How often draws from `p` would be as far off as `drawn` is: the tail of chi-square over all images x."""
    V = x.max() + 1
    digit = V ** torch.arange(x[0].numel()).flip(0)
    counts = (drawn.flatten(1) * digit).sum(1).bincount(minlength=len(p))  # all_images counts so, too
    assert counts[p == 0].sum() == 0, "never an image that cannot be"
    expected, counts = len(drawn) * p[p > 0], counts[p > 0]
    assert expected.min() > 5, "chi-square needs about five in every cell"
    chi_square = ((counts - expected) ** 2 / expected).sum()
    return torch.special.gammaincc(torch.tensor((len(expected) - 1) / 2).double(), chi_square / 2).item()


# Below, one seed in a thousand would fail a right sampler; the seeds are fixed, so that it fails never or always.
@torch.no_grad()
@pytest.mark.parametrize("sizes", [{"C": 1, "H": 2, "W": 2}, {"C": 2, "H": 1, "W": 2}], ids=str)
@each_kind
def test_samples_come_as_often_as_log_prob_says(kind, sizes):
    model, x, p = all_images(kind, **sizes)
    assert p_value(model.sample(8_000, generator=make_generator(1)), x, p) > 1e-3


@torch.no_grad()
@pytest.mark.parametrize("places", [[0], [1, 2], [3]], ids=str)
@pytest.mark.parametrize("kind", [DiagonalBiLSTM, GatedPixelCNN])
def test_what_is_known_is_kept_and_the_rest_is_drawn_given_what_came_before_it(kind, places):
    model, x, _ = all_images(kind, C=2, H=1, W=2)
    given = images(model, 1)
    known = torch.zeros_like(given, dtype=torch.bool)
    known.view(-1)[places] = True
    drawn = model.sample(8_000, generator=make_generator(2), given=given, known=known)
    assert p_value(drawn, x, painted_law(model, x, given, known)) > 1e-3


def test_what_is_known_has_no_say_in_what_is_painted_before_it():
    model = small(DiagonalBiLSTM, C=2, H=3, W=4)
    free = model.sample(50, generator=make_generator(0))
    known = torch.arange(12).view(3, 4) >= 6  # the rest of the middle row, and the last
    x = model.sample(50, generator=make_generator(0), given=images(model, 50), known=known)
    assert torch.equal(x[..., ~known], free[..., ~known])


@torch.no_grad()
def sample_by_rerunning(model, n, *, generator, given=None, known=None, temperature=1.0):
    """The simple way: for each pixel and channel the network reads the whole image again."""
    C, H, W = model.config.channels, model.config.height, model.config.width
    x = torch.zeros(n, C, H, W, dtype=torch.long) if given is None else given.expand(n, C, H, W).clone()
    known = torch.zeros_like(x, dtype=torch.bool) if known is None else known.expand(n, C, H, W)
    for i, j, k in product(range(H), range(W), range(C)):
        if not known[:, k, i, j].all():  # where all is known, nothing is drawn
            drawn = draw(model(x)[:, k, i, j], generator=generator, temperature=temperature)
            x[:, k, i, j] = x[:, k, i, j].where(known[:, k, i, j], drawn)
    return x


@pytest.mark.parametrize("completed", [False, True], ids=["from nothing", "completed"])
@pytest.mark.parametrize(("n", "C", "H", "W"), [(1, 1, 4, 5), (5, 3, 3, 2)])
@each_kind
def test_sampling_with_what_is_carried_along_is_sampling_by_rerunning(kind, n, C, H, W, completed):
    model = small(kind, C, H, W, V=4)
    settings = {"temperature": 0.8}
    if completed:  # others in every image and channel; and a pixel that is known in all
        settings |= {"given": images(model, n), "known": images(model, n, seed=4) > 1}
        settings["known"][:, :, 1, 1] = True
    fast = model.sample(n, generator=make_generator(5), **settings)
    slow = sample_by_rerunning(model, n, generator=make_generator(5), **settings)
    assert torch.equal(fast, slow)  # float64: no draw is so close that the last digit decides


@torch.no_grad()
@pytest.mark.parametrize("depth", [1, 3])
@pytest.mark.parametrize(("C", "H", "W"), [(1, 1, 1), (2, 1, 9), (2, 9, 1), (3, 9, 4)])
@each_kind
def test_stepping_over_an_image_of_any_form_says_what_the_whole_says(kind, C, H, W, depth):
    model = small(kind, C, H, W, depth=depth)
    x = images(model, 3)
    previous, state, stepped = None, model.begin(3), []
    for now in x.movedim(1, -1).flatten(1).unbind(1):
        logits, state = model.step(previous, state)
        stepped.append(logits)
        previous = now
    stepped = torch.stack(stepped, 1).unflatten(1, (H, W, C)).movedim(3, 1)
    torch.testing.assert_close(stepped, model(x), atol=1e-10, rtol=1e-10)


# --- completion ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(), (3, 4), (2, 1, 1), (1, 2, 3, 4), (5, 1, 1, 1)], ids=str)
@pytest.mark.parametrize("who", ["given", "known"])
def test_given_and_known_broadcast_to_the_images(who, shape):
    model = small(PixelCNN, C=2, H=3, W=4, V=3)
    full = {"given": images(model, 5), "known": images(model, 5, seed=4) > 0}
    part = {name: tensor[tuple(slice(s) for s in (1,) * (4 - len(shape)) + shape)] for name, tensor in full.items()}[
        who
    ]
    settings = full | {who: part.reshape(shape)}
    before = {name: tensor.clone() for name, tensor in settings.items()}
    x = model.sample(5, generator=make_generator(0), **settings)
    spelt_out = full | {who: part.expand(5, 2, 3, 4)}
    assert torch.equal(x, model.sample(5, generator=make_generator(0), **spelt_out))
    assert x.shape == (5, 2, 3, 4) and x.dtype == torch.long
    assert (x == spelt_out["given"])[spelt_out["known"]].all(), "what is known is kept"
    if not spelt_out["known"].all():
        assert not torch.equal(x, spelt_out["given"]), "and the rest is painted"
    for name, tensor in settings.items():
        assert torch.equal(tensor, before[name]), "the caller's tensor is the caller's"


def test_where_everything_is_known_nothing_is_painted_and_where_nothing_is_given_has_no_say():
    model = small(RowLSTM, C=2)
    given, generator = images(model, 4), make_generator(0)
    everything, nothing = torch.tensor(True), torch.tensor(False)
    before = generator.get_state()
    x = model.sample(4, generator=generator, given=given, known=everything)
    assert torch.equal(x, given) and x.data_ptr() != given.data_ptr()
    assert torch.equal(generator.get_state(), before), "nothing was drawn"
    x = model.sample(4, generator=generator, given=given, known=nothing)
    assert torch.equal(x, model.sample(4, generator=make_generator(0)))


# --- hidden pixels, in training --------------------------------------------------------------------------------


@torch.no_grad()
@each_kind
def test_a_hidden_pixel_is_still_predicted_and_those_after_it_do_without(kind):
    model = small(kind, C=2, H=3, W=3)
    x, hidden = images(model, 4), (1, 1)
    other = x.clone()
    other[:, :, 1, 1] = 1 - x[:, :, 1, 1]
    seen = torch.ones(4, 1, 3, 3, dtype=torch.bool)
    torch.testing.assert_close(model(x, seen), model(x), rtol=0, atol=0)  # all are seen
    seen[:, :, 1, 1] = False
    logits = model(x, seen)
    moved = (logits != model(other, seen)).any(-1).any(0)  # (C, H, W)
    assert moved.nonzero().tolist() == [[1, *hidden]], "only green, which is told the red that it belongs to"
    moved = (logits != model(x)).any(-1).any(0)
    assert not moved[:, 0].any() and not moved[:, 1, :2].any(), "up to the hidden pixel, all as it was"
    assert moved[:, 1, 2].all() and moved[:, 2, 1:].all(), "after it, all is different"


@torch.no_grad()
def test_each_image_hides_its_own_pixels():
    model = small(PixelCNN, H=3, W=3)
    x, seen = images(model, 4), images(model, 4, seed=6).bool()
    alone = [model(x[b : b + 1], seen[b : b + 1]) for b in range(4)]
    torch.testing.assert_close(model(x, seen), torch.cat(alone), rtol=0, atol=1e-12)


# --- manners ---------------------------------------------------------------------------------------------------


def test_the_generator_decides_and_nobody_else_is_disturbed():
    model = small(RasterLSTM)
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    first, again, other = (model.sample(50, generator=make_generator(seed)) for seed in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert first.shape == (50, 1, 2, 3) and first.dtype == torch.long
    assert len(first.unique(dim=0)) > 10, "images are drawn one by one"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU on this machine")
@each_kind
def test_it_paints_on_the_gpu(kind):
    model = small(kind, C=2, H=4, W=5, V=3)
    settings = {"temperature": 0, "given": images(model, 5), "known": images(model, 5, seed=4) > 0}  # stay on the CPU
    expected = model.sample(5, generator=make_generator(0), **settings)
    x = model.cuda().sample(5, generator=make_generator(0, "cuda"), **settings)
    assert x.is_cuda and torch.equal(x.cpu(), expected)
    assert_causal(model, x)


# --- bad input -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sizes",
    [{"levels": 1}, {"height": 4.5}, {"channels": 0}, {"depth": -1}, {"depth": 0.5}],
)
def test_sizes_that_cannot_be_are_refused(sizes):
    ((name, value),) = sizes.items()
    with pytest.raises(ValueError, match=rf"whole numbers, levels ≥ 2 .*, sizes ≥ 1, depth ≥ 0, got .*{name}={value}"):
        PixelConfig(**sizes)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind is not PixelCNN])
def test_only_the_pixel_cnn_can_do_without_layers(kind):
    with pytest.raises(ValueError, match=f"depth of a {kind.__name__}: expected a whole number ≥ 1, got 0"):
        kind(PixelConfig(depth=0))


def test_a_pixel_cnn_of_depth_0_is_its_filter_a_relu_and_the_head():
    model = small(PixelCNN, depth=0)
    words = model.words(images(model, 2))
    assert {name.split(".")[0] for name, _ in model.named_parameters()} == {"place", "first", "head"}
    torch.testing.assert_close(model.context(words), (model.first(words) + model.place).relu(), rtol=0, atol=0)


ZEROS = torch.zeros(4, 3, 2, 5, dtype=torch.long)  # (B, C, H, W)
KNOWN = ZEROS.bool()


@pytest.mark.parametrize(
    ("settings", "error", "says"),
    [
        ({"n": 0}, ValueError, "n: expected a whole number ≥ 1, got 0"),
        ({"n": 2.5}, TypeError, "≥ 1, got float 2.5"),
        ({"given": None}, ValueError, r"expected given= .* together with known= .*, got one"),
        ({"known": None}, ValueError, r"expected given= .* together with known= .*, got one"),
        ({"known": KNOWN[:3]}, ValueError, r"known: .* broadcasts to \(4, 3, 2, 5\), got \(3, 3, 2, 5\)"),
        ({"known": KNOWN[None]}, ValueError, r"known: .* broadcasts to \(4, 3, 2, 5\), got \(1, 4, 3, 2, 5\)"),
        ({"known": ZEROS}, TypeError, r"known: expected torch.bool, got torch.int64; known.bool\(\)"),
        ({"known": True}, TypeError, "known: expected a torch.Tensor, got bool"),
        ({"given": ZEROS.mT}, ValueError, r"given: .* broadcasts to \(4, 3, 2, 5\), got \(4, 3, 5, 2\)"),
        ({"given": ZEROS + 2}, ValueError, "given: expected levels 0 to 1, got 2 to 2"),
        ({"given": ZEROS.float()}, TypeError, "given: expected levels as torch.long, got torch.float32"),
        ({"given": [0, 1]}, TypeError, "given: expected a torch.Tensor, got list"),
        ({"temperature": -1}, ValueError, "temperature: expected a number above 0, or 0 for greedy, got -1"),
    ],
)
def test_what_cannot_be_painted_is_refused(settings, error, says):
    settings = {"n": 4, "generator": make_generator(0), "given": ZEROS, "known": KNOWN} | settings
    with pytest.raises(error, match=says):
        small(PixelCNN, 3, 2, 5).sample(settings.pop("n"), **settings)


@pytest.mark.parametrize(
    ("seen", "error", "says"),
    [
        (KNOWN, ValueError, r"seen: expected shape \(4, 1, 2, 5\), got \(4, 3, 2, 5\)"),
        (ZEROS[:, :1].float(), TypeError, r"seen: expected torch.bool, got torch.float32; seen.bool\(\)"),
        ([True], TypeError, "seen: expected a torch.Tensor, got list"),
    ],
)
def test_a_seen_that_does_not_say_which_pixels_is_refused(seen, error, says):
    with pytest.raises(error, match=says):
        small(PixelCNN, 3, 2, 5)(ZEROS, seen)


@each_kind
def test_no_images_are_no_problem(kind):
    assert small(kind)(ZEROS.new_zeros(0, 1, 2, 3)).shape == (0, 1, 2, 3, 2)


def test_a_model_whose_training_went_wrong_says_so():
    model = small(RowLSTM)
    torch.nn.init.constant_(model.head.out.bias, torch.nan)
    with pytest.raises(ValueError, match="got nan in row 0; nan and inf say that training went wrong"):
        model.sample(2, generator=make_generator(0))
