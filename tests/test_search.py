"""Completion by searching codes: what it finds where the answer is known, what it leaves alone, what it refuses."""

import pytest
import torch

from course_lib.device import make_generator
from course_lib.models.gan import GANConfig, Generator
from course_lib.train import search_code

INK = GANConfig((1, 4, 4), 17, latent=3, features=32, depth=1)
WORDS = GANConfig((1, 4, 4), 5, palette=True, latent=3, features=32, depth=1)
NUMBERS = GANConfig((4,), latent=2, features=32, depth=1)
HALF = torch.arange(4)[:, None].expand(4, 4) < 2
QUIET = {"progress": False}


def player(config, seed=0):
    one = Generator(config, generator=make_generator(seed))
    with torch.no_grad():
        for p in one.parameters():
            p.mul_(3)  # so that another code is another image
    return one


def made(one, n=6):
    return one.sample(n, generator=make_generator(1))


@pytest.mark.parametrize("config", [INK, WORDS], ids=["ink", "words"])
def test_it_finds_what_this_generator_made(config):
    one = player(config)
    x = made(one)
    z, misfit = search_code(one, x, HALF, steps=400, starts=8, noise=0.05, generator=make_generator(2), **QUIET)
    assert z.shape == (6, 8, 3) and misfit.shape == (6, 8)
    found, blind = one.observe(z[:, 0]), made(one, 12)[6:]

    def wrong(y):
        return (y - x).abs().float() if config is INK else (y != x).float()

    for part in (HALF, ~HALF):  # what was shown, and what was not
        assert wrong(found)[..., part].mean() < 0.3 * wrong(blind)[..., part].mean()


def test_numbers_of_which_one_is_known_and_the_prior_decides_the_rest():
    """x = z: the code that fits one number best, and is likeliest, has 0 for the other."""
    one = Generator(GANConfig((2,), latent=2, depth=0), generator=make_generator(0))
    with torch.no_grad():
        one.net[0].weight.copy_(torch.eye(2))
        one.net[0].bias.zero_()
    x, known = torch.tensor([[1.0, 5.0]]), torch.tensor([True, False])
    z, misfit = search_code(one, x, known, steps=500, noise=0.5, starts=3, generator=make_generator(0), **QUIET)
    best = 1 / (1 + 0.25)  # of z²/2 + (z − 1)² / (2 · 0.25)
    assert torch.allclose(z[0], torch.tensor([best, 0.0]).expand(3, 2), atol=0.01)
    assert torch.allclose(misfit, torch.full((1, 3), (best - 1) ** 2 / 0.5), atol=0.01)


def test_what_is_not_known_has_no_say_and_the_weights_stay():
    one = player(INK)
    before = {name: p.clone() for name, p in one.state_dict().items()}
    x = made(one)
    other = torch.where(HALF, x, 16 - x)
    pair = [search_code(one, given, HALF, steps=20, generator=make_generator(3), **QUIET)[0] for given in (x, other)]
    assert torch.equal(*pair)
    assert all(torch.equal(p, before[name]) for name, p in one.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in one.parameters())
    numbers = torch.tensor([[0.0, 0.0, float("nan"), float("inf")]])  # nor if it is no number
    z, _ = search_code(
        player(NUMBERS), numbers, torch.tensor([1, 1, 0, 0]).bool(), steps=5, generator=make_generator(0), **QUIET
    )
    assert z.isfinite().all()


def test_the_best_start_comes_first_and_each_step_is_watched():
    one, seen = player(INK), {}
    z, misfit = search_code(
        one, made(one), HALF, steps=30, generator=make_generator(0), watch=seen.__setitem__, **QUIET
    )
    total = misfit + z.square().sum(2) / 2
    assert (total.diff(dim=1) >= 0).all()
    assert [*seen] == [*range(1, 31)] and not torch.equal(seen[1], seen[30])
    assert torch.equal(seen[30].sort(1).values, z.sort(1).values)


def test_codes_of_a_uniform_prior_stay_where_it_draws_them():
    one = player(GANConfig((1, 4, 4), 17, latent=3, features=32, depth=1, prior="uniform"))
    far = torch.where(HALF, 16, 0)[None, None]
    z, _ = search_code(one, far, HALF, steps=100, noise=0.01, generator=make_generator(0), **QUIET)
    assert z.abs().max() == 1


@pytest.mark.parametrize(
    ("known", "says"),
    [
        (torch.ones(4, 4).bool(), "all of it for 6 of 6: nothing is left to complete"),
        (torch.zeros(4, 4).bool(), "nothing for 6 of 6: every code fits; player.sample draws without it"),
        (torch.ones(3, 4).bool(), r"broadcasts to \(6, 1, 4, 4\), got \(3, 4\)"),
    ],
    ids=["everything", "nothing", "shape"],
)
def test_a_part_that_is_none_is_refused(known, says):
    one = player(INK)
    with pytest.raises(ValueError, match=says):
        search_code(one, made(one), known, generator=make_generator(0), **QUIET)


def test_one_image_of_which_nothing_is_known_is_enough_to_refuse():
    one, known = player(INK), HALF.repeat(6, 1, 1, 1)
    known[3] = False
    with pytest.raises(ValueError, match="nothing for 1 of 6"):
        search_code(one, made(one), known, generator=make_generator(0), **QUIET)


def test_other_arguments_are_refused():
    one, chance = player(INK), make_generator(0)
    x = made(one)
    for wrong in ({"lr": 0.0}, {"noise": float("nan")}, {"noise": -1.0}, {"steps": 0}, {"starts": 0}):
        with pytest.raises(ValueError, match=f"{next(iter(wrong))}: expected"):
            search_code(one, x, HALF, generator=chance, **wrong, **QUIET)
    with pytest.raises(TypeError, match=r"known: expected torch.bool"):
        search_code(one, x, HALF.int(), generator=chance, **QUIET)
    with pytest.raises(TypeError, match=r"x: expected levels as torch.long"):
        search_code(one, x.float(), HALF, generator=chance, **QUIET)
    with pytest.raises(ValueError, match="expected levels 0 to 16"):
        search_code(one, x + 9, HALF, generator=chance, **QUIET)
    nan, known = torch.tensor([[float("nan"), 0, 0, 0]]), torch.tensor([True, True, False, False])
    with pytest.raises(ValueError, match="expected finite numbers where it is known, got 1"):
        search_code(player(NUMBERS), nan, known, generator=chance, **QUIET)


def test_a_generator_that_is_broken_says_at_which_step():
    one = player(INK)
    x = made(one)
    with torch.no_grad():
        one.net[0].weight[0, 0] = float("nan")
    with pytest.raises(ArithmeticError, match=r"step 1: .* weights finite\? .* smaller lr"):
        search_code(one, x, HALF, generator=make_generator(0), **QUIET)
