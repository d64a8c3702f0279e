"""Sprites: the seed is the only chance, no two are alike, and each has an outline and two like halves."""

import re

import pytest
import torch

from course_lib.data import load_sprites
from course_lib.data.sprite_drawing import SOURCE
from course_lib.data.sprites import PALETTE, RGB_LEVELS, to_rgb
from course_lib.device import make_generator

INK = list(SOURCE["palette"]).index("ink")
MANY = 10_000
# Pixels, of 256. Over 1,000 new creatures: 62 on average, 26 for the nearest one in a hundred, 16 at the least.
NEAREST = 26


@pytest.fixture(scope="module")
def many():
    return load_sprites(MANY, generator=make_generator(0))


def distances(x, y):
    """Pixels that differ, (len(x), len(y)): 256 less those in which both have the same colour."""
    x, y = (torch.nn.functional.one_hot(s.flatten(1), 16).flatten(1).float() for s in (x, y))
    return 256 - x @ y.T


@pytest.mark.parametrize(("colour", "channels", "levels"), [("palette", 1, 16), ("rgb", 3, RGB_LEVELS)])
@pytest.mark.parametrize("n", [1, 2, 33])
def test_sprites_are_words(n, colour, channels, levels):
    sprites = load_sprites(n, generator=make_generator(n), colour=colour)
    assert sprites.shape == (n, channels, 16, 16) and sprites.dtype == torch.long and sprites.is_contiguous()
    assert sprites.min() >= 0 and sprites.max() < levels


def test_the_seed_is_the_only_chance(many):
    torch.manual_seed(7)
    again = load_sprites(200, generator=make_generator(0))
    torch.manual_seed(8)
    assert again.equal(load_sprites(200, generator=make_generator(0)))
    assert not again.equal(load_sprites(200, generator=make_generator(1)))
    generator = make_generator(0)
    assert not load_sprites(8, generator=generator).equal(load_sprites(8, generator=generator)), "a generator goes on"
    again[:] = 0
    assert load_sprites(200, generator=make_generator(0)).equal(many[:200]), "every call returns fresh tensors"


def test_the_first_of_many_are_those_of_a_few(many):
    for n in (1, 8, 64, 1000):
        assert load_sprites(n, generator=make_generator(0)).equal(many[:n])


def test_both_colours_show_the_same_creatures(many):
    rgb = load_sprites(300, generator=make_generator(0), colour="rgb")
    assert rgb.permute(0, 2, 3, 1).equal(PALETTE[many[:300, 0]])
    picture = to_rgb(rgb)
    assert picture.equal(to_rgb(many[:300])) and picture.shape == (300, 16, 16, 3) and picture.is_floating_point()
    assert picture.min() >= 0 and picture.max() == 1
    assert to_rgb(many[:2, :, :4, :9]).shape == (2, 4, 9, 3), "a part of a sprite can be painted too"


def test_the_palette_has_sixteen_colours_that_are_far_apart(many):
    assert PALETTE.shape == (16, 3) and PALETTE.dtype == torch.long
    assert PALETTE.min() >= 0 and PALETTE.max() < RGB_LEVELS
    apart = (PALETTE[:, None] - PALETTE).abs().sum(2) + 99 * torch.eye(16, dtype=torch.long)
    assert apart[1:, 1:].min() >= 3, "levels, over the three channels"
    counts = torch.bincount(many[:1000].flatten(), minlength=16)
    assert len(counts) == 16 and counts.min() > 100, f"each colour is used: {counts.tolist()}"


def test_no_two_are_alike(many):
    seen = {sprite.numpy().tobytes() for sprite in many}
    more = [load_sprites(5000, generator=make_generator(seed)) for seed in (1, 2)]
    others = {sprite.numpy().tobytes() for sprite in torch.cat(more)}
    assert len(seen) == len(others) == MANY and not seen & others


def test_the_nearest_of_ten_thousand_is_another_creature(many):
    nearest = distances(load_sprites(50, generator=make_generator(1)), many).min(1).values
    print(f"nearest among {MANY}: {nearest.min():.0f} to {nearest.max():.0f} pixels, {nearest.mean():.1f} on average")
    assert nearest.min() >= NEAREST, f"{nearest.min():.0f} of 256 pixels differ, expected at least {NEAREST}"


def test_the_background_is_clean_and_the_outline_closed(many):
    background, solid = many[:, 0] == 0, many[:, 0] > INK
    share = background.float().mean()
    assert 0.4 < share < 0.65, f"{share:.3f} of the pixels are background"
    border = torch.ones(16, 16, dtype=torch.bool)
    border[1:-1, 1:-1] = False
    assert background[:, border].float().mean() > 0.85 and not solid[:, border].any()
    for axis in (1, 2):
        for step in (1, -1):
            assert not (solid & background.roll(step, axis)).any(), "a painted pixel touches the background"


def test_a_body_is_its_own_mirror_image_and_the_light_is_not(many):
    filled = (many[:1000, 0] > 0).float()
    shares = []
    for shape in filled:  # the axis is where the halves agree best
        widths = [(s, shape.roll(s, 1).flip(1)) for s in range(-8, 9)]
        shares.append(max((shape * mirrored).sum() / shape.sum() for _, mirrored in widths))
    shares = torch.stack(shares)
    assert shares.mean() > 0.95 and (shares > 0.999).float().mean() > 0.6, f"{shares.mean():.3f} overlap"
    assert shares.min() > 0.6, "not even a tail changes more"
    colours = many[:1000, 0]
    mirrored = [max((c == c.roll(s, 1).flip(1)).float().mean() for s in range(-8, 9)) for c in colours]
    assert (torch.stack(mirrored) < 1).float().mean() > 0.9, "light falls from one side"


def test_the_row_above_says_much(many):
    """The plane matters: the pixel above is about as good a guess as the left one, and far from it in raster order."""
    above = (many[:, :, 1:] == many[:, :, :-1]).float().mean()
    left = (many[:, :, :, 1:] == many[:, :, :, :-1]).float().mean()
    assert above > 0.6 and left > 0.6, f"equal to the pixel above: {above:.3f}, to the left one: {left:.3f}"


# --- bad input ----------------------------------------------------------------------------------------------


class Elsewhere(torch.Generator):
    """A generator that says it is on a GPU, where there may be none."""

    device = torch.device("cuda:0")


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"n": 0}, ValueError, "n: expected a whole number ≥ 1, got 0"),
        ({"generator": Elsewhere()}, ValueError, "generator: expected one on the CPU, got one on cuda:0; make_gen"),
        ({"colour": "grey"}, ValueError, "colour: expected one of 'palette', 'rgb', got 'grey'"),
    ],
)
def test_what_cannot_be_drawn_is_told(change, error, says):
    with pytest.raises(error, match=re.escape(says)):
        load_sprites(**{"n": 8, "generator": make_generator(0)} | change)


@pytest.mark.parametrize(
    ("sprites", "error", "says"),
    [
        (None, TypeError, "sprites: expected a torch.Tensor, got NoneType"),
        (torch.zeros(1, 16, 16).long(), ValueError, "got (1, 16, 16); sprites[None] makes a batch of one"),
        (torch.zeros(4, 2, 16, 16).long(), ValueError, "got (4, 2, 16, 16)"),
        (torch.zeros(4, 1, 16, 16), TypeError, "sprites: expected levels as torch.long, got torch.float32"),
        (torch.full((1, 1, 16, 16), 16), ValueError, "sprites: expected levels 0 to 15, got 16 to 16"),
        (torch.full((1, 3, 16, 16), 8), ValueError, "sprites: expected levels 0 to 7, got 8 to 8"),
    ],
)
def test_what_cannot_be_painted_is_told(sprites, error, says):
    with pytest.raises(error, match=re.escape(says)):
        to_rgb(sprites)
