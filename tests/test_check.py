"""The messages that a student reads: right answers pass, and a wrong one is told what is usually wrong."""

import math

import pytest
import torch
from torch import nn

from course_lib.check import assert_causal, assert_close, assert_shape
from course_lib.device import make_generator
from course_lib.layers import MaskedConv2d, initialised_by
from course_lib.models.char_rnn import CharRNN, CharRNNConfig
from course_lib.models.pixel.convolutional import GatedPixelCNN
from course_lib.models.pixel.model import PixelConfig
from course_lib.models.pixel.recurrent import DiagonalBiLSTM


@pytest.mark.parametrize("shape", [(3, 4), ("B", 4), ("B", "Z"), (3, "Z")])
def test_a_right_shape_passes(shape):
    assert_shape(torch.zeros(3, 4), shape)


@pytest.mark.parametrize(
    ("got", "shape", "says"),
    [
        (torch.zeros(4, 3), ("B", 4), "transposed"),
        (torch.zeros(4), ("B", 4), "batch dimension is missing"),
        (torch.zeros(3, 1), (3,), "size 1 too many"),
        (torch.zeros(()), ("B",), "flatten(1).sum(1)"),
        (torch.zeros(3, 8, 8), ("B",), "still to be summed"),
        (torch.zeros(5, 2), ("B", 4), "expected shape (B, 4), got (5, 2)."),
        (None, ("B",), "end in `return`"),
        ([1.0], ("B",), "expected a tensor of shape (B,), got a list"),
    ],
)
def test_a_wrong_shape_is_explained(got, shape, says):
    with pytest.raises(AssertionError) as error:
        assert_shape(got, shape, name="codes")
    assert says in str(error.value)
    assert str(error.value).startswith("codes: expected ")


@pytest.mark.parametrize(
    ("got", "expected"),
    [
        (0.1 + 0.2, 0.3),
        (torch.tensor([1e6 + 1, 0.0]), torch.tensor([1e6, 0.0])),
        (torch.tensor([math.inf]), torch.tensor([math.inf])),
        (torch.tensor(2), 2.0),
        (torch.zeros(0), torch.zeros(0)),
        (torch.ones(2, requires_grad=True), torch.ones(2)),
    ],
)
def test_a_right_number_passes(got, expected):
    assert_close(got, expected)


def test_plain_floats_keep_their_digits():
    pair = torch.tensor([0.1, 1 / 3], dtype=torch.float64)
    assert_close(pair, [0.1, 1 / 3], tolerance=1e-15)
    assert_close(pair[1], 1 / 3, tolerance=1e-15)
    with pytest.raises(AssertionError):
        assert_close(0.1 + 1e-9, 0.1, tolerance=1e-10)
    with pytest.raises(AssertionError):
        assert_close(1e40, 1e50)  # in 32 bits both are infinite


numbers = torch.tensor([64.0, 128.0, 320.0])


@pytest.mark.parametrize(
    ("got", "expected", "says"),
    [
        (1.40625, 90.0, "too small by a factor of 64"),
        (numbers / 64, numbers, "too small by a factor of 64: a mean where a sum is meant?"),
        (numbers * 8, numbers, "too large by a factor of 8: a sum where a mean is meant?"),
        (-numbers, numbers, "sign"),
        (numbers / math.log(2), numbers, "bits"),
        (torch.tensor([1.0, math.nan]), torch.ones(2), "1 of 2 numbers are NaN"),
        (torch.tensor([1.0, math.inf]), torch.ones(2), "infinite"),
        (numbers.reshape(1, 3), numbers, "expected shape (3,), got (1, 3)"),
        (torch.arange(4.0).view(2, 2).T, torch.arange(4.0).view(2, 2), "transposed"),
        (0.0009, 0.03, "root is missing"),
        (0.5, 0.0, "expected 0, got 0.5."),
        (torch.tensor([1.0, 2.0, 9.0]), torch.tensor([1.0, 2.0, 3.0]), "expected 3 at [2], got 9."),
        (None, 1.0, "return"),
        ("3", 3.0, "got a str"),
    ],
)
def test_a_wrong_number_is_explained(got, expected, says):
    with pytest.raises(AssertionError) as error:
        assert_close(got, expected, name="nll")
    assert says in str(error.value)
    assert str(error.value).startswith("nll: ")


@pytest.mark.parametrize(
    ("got", "expected"),
    [(torch.tensor([1.0, 2.5]), torch.tensor([64.0, 128.0])), (0.25, 0.75), (3.0, 0.6)],
    ids=["it explains one number and not the other", "three times", "a fifth"],
)
def test_a_hint_that_guesses_is_not_given(got, expected):
    with pytest.raises(AssertionError) as error:
        assert_close(got, expected)
    assert "Hint" not in str(error.value)


# --- what a model may see -------------------------------------------------------------------------------------

LEVELS, T = 5, 6
sentences = torch.randint(LEVELS, (3, T), generator=make_generator(0))


class Toy(nn.Module):
    """An LSTM whose logits at position t see x_{<t − delay + 1}: delay 1 is right, 0 sees x_t, −1 sees x_{t+1}."""

    def __init__(self, delay=1, bidirectional=False):
        super().__init__()
        self.delay = delay
        with initialised_by(make_generator(1)):
            self.embed = nn.Embedding(LEVELS + 1, 8)
            self.lstm = nn.LSTM(8, 8, batch_first=True, bidirectional=bidirectional)
            self.head = nn.Linear(16 if bidirectional else 8, LEVELS)
        self.dropout = nn.Dropout(0.5)

    def forward(self, x):
        inputs, start = torch.full((len(x), x.shape[1]), LEVELS), self.delay
        if start >= 0:
            inputs[:, start:] = x[:, : x.shape[1] - start]
        else:
            inputs[:, :start] = x[:, -start:]
        return self.head(self.dropout(self.lstm(self.embed(inputs))[0]))


def counts(x):
    """A table instead of a network: what follows a character; some of it cannot be."""
    table = torch.eye(LEVELS + 1, LEVELS).roll(1, 0).log()  # 0 and −inf
    return table[torch.cat([torch.full_like(x[:, :1], LEVELS), x[:, :-1]], 1)]


@pytest.mark.parametrize(
    "model",
    [
        CharRNN(CharRNNConfig(levels=LEVELS, features=8), generator=make_generator(0)),
        CharRNN(CharRNNConfig(levels=LEVELS, features=8, depth=2), generator=make_generator(0)).double(),
        Toy(),
        Toy(delay=2),  # it never sees the character before: a poor model, and a causal one
        counts,
    ],
    ids=["CharRNN", "CharRNN, deep, float64", "shifted by one", "shifted by two", "a table with −inf"],
)
def test_a_model_that_sees_its_past_only_passes(model):
    assert assert_causal(model, sentences) is None
    assert_causal(model, sentences[:1])


def leak(reader, listener, size=1.0):
    """Logits as of `counts`, but that x at position `reader` reaches the logits of `listener`, by `size`."""

    def model(x):
        logits = counts(x).clamp(min=-9)
        logits[:, listener, 0] += size * (x[:, reader] == 2)
        return logits

    return model


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (
            Toy(delay=0),
            "position 0's logits change when x at position 0 changes: the model sees what it has to",
        ),
        (leak(3, 3), "position 3's logits change when x at position 3 changes: the model sees what it has to"),
        (Toy(bidirectional=True), "position 0's logits change when x at position 1 changes: the model sees the future"),
        (Toy(delay=-1), "position 0's logits change when x at position 1 changes: the model sees the future"),
        (leak(5, 2), "position 2's logits change when x at position 5 changes: the model sees the future"),
        (leak(5, 2, 0.01), "position 2's logits change when x at position 5 changes: the model sees the future"),
        (lambda x: torch.ones(*x.shape, LEVELS), "the model ignores its past"),
        (lambda x: torch.zeros(*x.shape, LEVELS), "the model ignores its past"),
        (Toy(delay=T), "the model ignores its past"),
        (lambda x: torch.full((*x.shape, LEVELS), math.nan), "NaN"),
        (lambda x: torch.zeros(*x.shape, 1), "expected numbers for two levels or more, got V = 1"),
        (lambda x: torch.zeros(len(x), LEVELS, T), "model(x): expected shape (3, 6, V), got (3, 5, 6)."),
        (lambda x: None, "model(x): expected a tensor of shape (3, 6, V), got None. Hint: does every path"),
    ],
)
def test_a_model_that_sees_too_much_or_nothing_is_told_what(model, says):
    x = sentences.clone()
    x[0] = 1  # the first row's other level is 2, which `leak` listens to
    with pytest.raises(AssertionError) as error:
        assert_causal(model, x)
    assert says in str(error.value)


def test_the_hint_says_what_to_do():
    with pytest.raises(AssertionError, match=r"Hint: shift the inputs by one: a start token, then x\[:, :-1\]"):
        assert_causal(Toy(delay=0), sentences)
    with pytest.raises(AssertionError, match="Hint: a bidirectional layer, attention without a mask"):
        assert_causal(Toy(bidirectional=True), sentences)


def test_another_level_is_tried_in_every_row():
    x = torch.zeros(LEVELS - 1, T, dtype=torch.long)
    tried = []
    assert_causal(lambda x: (tried.append(x), counts(x))[1], x)
    assert {row[1].item() for row in torch.cat(tried)} == set(range(LEVELS)), "one level alone could be overheard"


def test_many_variants_are_asked_in_a_few_passes():
    x = torch.randint(LEVELS, (10, 120), generator=make_generator(0))
    sizes = []
    assert_causal(lambda x: (sizes.append(len(x)), counts(x))[1], x)
    assert sizes[0] == 10 and sum(sizes) == 10 + 10 * 120
    assert max(sizes) <= 512 and len(sizes) == 1 + 3  # 51 positions a pass


def test_the_model_keeps_its_mode_its_gradients_and_its_x():
    model, x = Toy().train(), sentences.clone()
    model.lstm.eval()  # frozen while the rest is trained
    assert_causal(model, x)
    assert (model.training, model.dropout.training, model.lstm.training) == (True, True, False)
    assert torch.equal(x, sentences)
    with pytest.raises(AssertionError):
        assert_causal(lambda x: model(x) * math.nan, x)
    broken = Toy(delay=0).train()
    with pytest.raises(AssertionError):
        assert_causal(broken, x)
    assert broken.training, "also after a failure"


@pytest.mark.parametrize(
    ("x", "error", "says"),
    [
        (sentences.float(), TypeError, r"x: expected levels as torch.long, got torch.float32; x.long\(\) converts"),
        (sentences[0], ValueError, r"x: expected shape \(B, T\), got \(6,\)"),
        (sentences[:, None], ValueError, r"x: expected shape \(B, T\), got \(3, 1, 6\)"),
        (sentences[:, :1], ValueError, r"at least two positions, got shape \(3, 1\)"),
        (sentences[:0], ValueError, r"at least one sentence .* got shape \(0, 6\)"),
        (sentences - 9, ValueError, "x: expected levels 0 to"),
        (sentences + 9, ValueError, "x: expected levels 0 to 4, got 9 to 13"),
        (sentences.tolist(), TypeError, "x: expected a torch.Tensor, got list"),
    ],
)
def test_an_x_that_holds_no_sentences_is_refused(x, error, says):
    with pytest.raises(error, match=says):
        assert_causal(lambda x: torch.zeros(*x.shape, LEVELS), x)


# --- what a model of images may see ----------------------------------------------------------------------------

C, H, W = 3, 3, 4
grey, coloured = (torch.randint(LEVELS, (2, c, H, W), generator=make_generator(0)) for c in (1, C))


class Painter(nn.Module):
    """Two convolutions; right with masks A and B, and one colour after the other. `change` is what goes wrong."""

    def __init__(self, channels=1, masks="AB", colours=None, change=lambda words: words):
        super().__init__()
        self.channels, self.change = channels, change
        wide = 4 * channels
        with initialised_by(make_generator(1)):
            self.layers = nn.Sequential()
            for mask, sizes in zip(masks, [(LEVELS * channels, wide), (wide, LEVELS * channels)], strict=True):
                if mask == "-":
                    self.layers.append(nn.Conv2d(*sizes, 3, padding=1))
                else:
                    self.layers.append(MaskedConv2d(*sizes, 3, mask, channels if colours is None else colours))
                self.layers.append(nn.Tanh())

    def forward(self, x):
        words = nn.functional.one_hot(x, LEVELS).movedim(-1, 2).flatten(1, 2)
        words = words.to(self.layers[0].weight.dtype)
        return self.layers(self.change(words)).unflatten(1, (self.channels, LEVELS)).movedim(2, -1)


def left(x, steps):
    return x.roll(-steps, 3)


def in_order(*channels):
    """A right model, but it takes the channels of a pixel in another order: first, second, third."""
    model, back = Painter(C), torch.tensor(channels).argsort()
    return lambda x: model(x[:, list(channels)])[:, back]


def whisper(reader, listener, size=1.0):
    """A right model of three channels, but that its logits at `listener` (k, i, j) change with x at `reader`."""
    model = Painter(C)

    def whispered(x):
        logits = model(x).clone()
        logits[:, *listener, 0] += size * (x[:, *reader] == 2)
        return logits

    return whispered


@pytest.mark.parametrize(
    ("model", "x"),
    [
        (Painter(), grey),
        (Painter(C), coloured),
        (Painter(C).double().train(), coloured),
        (GatedPixelCNN(PixelConfig(LEVELS, 1, H, W, features=4), generator=make_generator(0)), grey),
        (DiagonalBiLSTM(PixelConfig(LEVELS, C, H, W, features=4), generator=make_generator(0)), coloured),
        (Painter(C, masks="AB", colours=1), coloured),  # a channel may ignore its own pixel
        (Painter(), grey[:, :, :1]),
        (Painter(), grey[..., :1]),
        (Painter(C), coloured[..., :1, :1]),  # of one pixel, the second channel has a past
    ],
)
def test_a_model_that_paints_in_order_passes(model, x):
    assert assert_causal(model, x) is None
    assert_causal(model, x[:1])


FUTURE, ITSELF = "changes: the model sees the future. Hint: ", "changes: the model sees what it has to predict. Hint: "
NO_MASK, MASK_A = (
    "a convolution without a mask, or a shift to the wrong side, does that.",
    "the first layer needs mask A;",
)
ORDER = "of its own pixel, red sees nothing, green sees red, blue sees both: mask A in the first layer, then B."


@pytest.mark.parametrize(
    ("model", "x", "says"),
    [
        (Painter(masks="--"), grey, f"pixel (0, 0)'s logits change when pixel (0, 1) {FUTURE}{NO_MASK}"),
        (Painter(masks="A-"), grey, f"pixel (0, 0)'s logits change when pixel (0, 1) {FUTURE}{NO_MASK}"),
        (Painter(masks="-A"), grey, f"pixel (0, 1)'s logits change when pixel (1, 0) {FUTURE}{NO_MASK}"),
        (Painter(masks="BB"), grey, f"pixel (0, 0)'s logits change when pixel (0, 0) {ITSELF}{MASK_A}"),
        (
            Painter(
                change=lambda words: left(words, 1)
            ),  # the first column stands in the last one now, and is the past
            grey,
            f"pixel (0, 1)'s logits change when pixel (0, 1) {ITSELF}{MASK_A}",
        ),
        (
            Painter(change=lambda words: left(words, 2)),
            grey,
            f"pixel (0, 1)'s logits change when pixel (0, 2) {FUTURE}{NO_MASK}",
        ),
        (
            Painter(change=lambda words: words.flip(2)),  # from the bottom
            grey,
            f"pixel (0, 1)'s logits change when pixel (2, 0) {FUTURE}{NO_MASK}",
        ),
        (
            lambda x: Painter()(x.mT).transpose(2, 3),  # column by column
            grey,
            f"pixel (0, 1)'s logits change when pixel (1, 0) {FUTURE}{NO_MASK}",
        ),
        (
            Painter(C, masks="--"),
            coloured,
            f"pixel (0, 0)'s logits of channel 0 change when channel 1 of pixel (0, 0) {FUTURE}{ORDER}",
        ),
        (
            Painter(C, masks="BB"),
            coloured,
            f"pixel (0, 0)'s logits of channel 0 change when channel 0 of pixel (0, 0) {ITSELF}{ORDER}",
        ),
        (
            Painter(C, masks="BB", colours=1),  # all colours at once
            coloured,
            f"pixel (0, 0)'s logits of channel 0 change when channel 1 of pixel (0, 0) {FUTURE}{ORDER}",
        ),
        (
            in_order(2, 1, 0),  # blue, green, red
            coloured,
            f"pixel (0, 0)'s logits of channel 0 change when channel 1 of pixel (0, 0) {FUTURE}{ORDER}",
        ),
        (
            in_order(0, 2, 1),  # red, blue, green
            coloured,
            f"pixel (0, 0)'s logits of channel 1 change when channel 2 of pixel (0, 0) {FUTURE}{ORDER}",
        ),
        (
            whisper((1, 2, 0), (2, 1, 3)),
            coloured,
            f"pixel (1, 3)'s logits of channel 2 change when channel 1 of pixel (2, 0) {FUTURE}{NO_MASK}",
        ),
        (
            whisper((2, 1, 1), (2, 1, 1), 0.01),
            coloured,
            f"pixel (1, 1)'s logits of channel 2 change when channel 2 of pixel (1, 1) {ITSELF}{ORDER}",
        ),
        (
            lambda x: torch.ones(2, 1, H, W, LEVELS),
            grey,
            "ignores its past. Hint: is x used at all, and does a mask hide",
        ),
        (Painter(change=lambda words: 0 * words), grey, "the model ignores its past"),
        (lambda x: torch.full((2, 1, H, W, LEVELS), math.nan), grey, "NaN"),
        (lambda x: torch.zeros(2, 1, H, W, 1), grey, "expected numbers for two levels or more, got V = 1"),
        (lambda x: torch.zeros(2, LEVELS, 1, H, W), grey, "expected shape (2, 1, 3, 4, V), got (2, 5, 1, 3, 4)."),
        (lambda x: torch.zeros(2, H, W, LEVELS), grey, "model(x): expected shape (2, 1, 3, 4, V), got (2, 3, 4, 5)."),
        (lambda x: None, grey, "model(x): expected a tensor of shape (2, 1, 3, 4, V), got None."),
    ],
)
def test_a_model_that_paints_out_of_order_is_told_which_pixel_and_channel(model, x, says):
    x = x.clone()
    x[0] = 1  # the first image's other level is 2, which `whisper` listens to
    with pytest.raises(AssertionError) as error:
        assert_causal(model, x)
    assert says in str(error.value)


def test_a_model_of_images_is_asked_for_every_pixel_and_channel_in_few_passes():
    model, x, sizes = Painter(C).train(), coloured.clone(), []
    assert_causal(lambda x: (sizes.append(x.shape), model(x))[1], x)
    assert sizes == [(2, C, H, W), (2 * C * H * W, C, H, W)]
    assert torch.equal(x, coloured) and model.training


@pytest.mark.parametrize(
    ("x", "error", "says"),
    [
        (grey.float(), TypeError, r"x: expected levels as torch.long, got torch.float32; x.long\(\) converts"),
        (grey[0], ValueError, r"x: expected shape \(B, T\), got \(1, 3, 4\); of images, \(B, C, H, W\)"),
        (grey[None], ValueError, r"x: expected shape \(B, T\), got \(1, 2, 1, 3, 4\)"),
        (grey[:, :, :1, :1], ValueError, r"at least one image of at least two values, got shape \(2, 1, 1, 1\)"),
        (grey[:0], ValueError, r"at least one image .* got shape \(0, 1, 3, 4\)"),
        (grey - 9, ValueError, "x: expected levels 0 to"),
        (grey + 9, ValueError, "x: expected levels 0 to 4, got 9 to 13"),
    ],
)
def test_an_x_that_holds_no_images_is_refused(x, error, says):
    with pytest.raises(error, match=says):
        assert_causal(lambda x: torch.zeros(*x.shape, LEVELS), x)
