"""The two players and their game: what gradients pass, what a pack sees, and that the recipe learns and resumes.

Shapes, dtypes, gradients and the disk are in test_models.py, two players in a `Session` in test_session.py.
"""

import math
import os
import signal

import pytest
import torch
from torch import nn

from course_lib.data import load_plane
from course_lib.device import make_generator
from course_lib.measure.coverage import coverage
from course_lib.models.gan import Discriminator, GANConfig, Generator
from course_lib.train import NotFinite, fit_gan
from course_lib.train.game import discriminator_loss, generator_loss

INK = GANConfig((1, 8, 8), levels=17, latent=5, features=8, depth=2)
COLOURS = GANConfig((1, 4, 4), levels=6, palette=True, latent=5, features=8, depth=1)
LINE = GANConfig((1,), latent=1, prior="uniform", features=8, depth=1)
each_config = pytest.mark.parametrize(
    "config", [INK, COLOURS, LINE, GANConfig()], ids=["ink", "colours", "line", "plane"]
)


def game(config, seed=0):
    """Two players with the first weights of a seed, and the generator that goes on from there."""
    dice = make_generator(seed)
    kinds = {"generator": Generator, "discriminator": Discriminator}
    return {name: kind(config, generator=dice) for name, kind in kinds.items()}, dice


def weights(players):
    return torch.cat([p.detach().flatten() for one in players.values() for p in one.parameters()])


# --- what a generator makes, and what it draws ----------------------------------------------------------------------


@each_config
def test_draws_have_the_shape_and_the_levels_of_data(config):
    generator = Generator(config, generator=make_generator(0))
    x = generator.sample(50, generator=make_generator(1))
    assert x.shape == (50, *config.shape)
    assert x.dtype == (torch.long if config.levels else torch.float32)
    if config.levels:
        assert x.min() >= 0 and x.max() < config.levels
    again, other = (generator.sample(50, generator=make_generator(seed)) for seed in (1, 2))
    assert torch.equal(x, again) and not torch.equal(x, other)


def test_a_level_is_the_nearest_to_what_was_made_and_a_colour_the_one_with_the_largest_share():
    z = torch.randn(20, 5, generator=make_generator(0))
    ink, colours = Generator(INK, generator=make_generator(0)), Generator(COLOURS, generator=make_generator(0))
    made, x = ink(z), ink.observe(z)
    assert (made - (2 * x / 16 - 1)).abs().max() <= 1 / 16 + 1e-6, "half a level, of 2 / 16 each"
    shares, x = colours(z), colours.observe(z)
    torch.testing.assert_close(shares.sum(-1), torch.ones(20, 1, 4, 4))
    assert torch.equal(shares.gather(-1, x[..., None])[..., 0], shares.amax(-1))


@each_config
def test_a_discriminator_is_shown_real_and_made_alike(config):
    """What is made and then drawn, where no rounding is left to do, looks the same to it both ways."""
    players, dice = game(config)
    x = players["generator"].sample(6, generator=dice)
    seen = players["discriminator"].inputs(x)[:, 0]
    assert seen.shape == players["generator"](players["generator"].draw_z(6, generator=dice)).shape
    assert torch.equal(players["discriminator"](seen), players["discriminator"](x))


@each_config
def test_the_judgement_of_what_is_made_moves_every_weight_of_the_generator(config):
    players, dice = game(config)
    made = players["generator"](players["generator"].draw_z(30, generator=dice))
    generator_loss(players["discriminator"], made).sum().backward()
    assert [n for n, p in players["generator"].named_parameters() if not p.grad.abs().sum() > 0] == []


def test_z_has_the_distribution_that_the_config_names():
    for prior, std, largest in ("normal", 1, 5), ("uniform", 1 / math.sqrt(3), 1):
        z = Generator(GANConfig(latent=3, prior=prior)).draw_z(20_000, generator=make_generator(0))
        assert z.shape == (20_000, 3) and z.std().item() == pytest.approx(std, rel=0.02) and z.abs().max() < largest
        assert (z.T.corrcoef() - torch.eye(3)).abs().max() < 0.03


# --- packs, and a bounded slope -------------------------------------------------------------------------------------


def test_a_pack_is_each_with_those_after_it():
    discriminator = Discriminator(GANConfig(packing=3), generator=make_generator(0))
    x = torch.arange(10.0).view(5, 2)
    seen = discriminator.inputs(x)
    assert seen.shape == (5, 3, 2) and discriminator(x).shape == (5,)
    assert torch.equal(seen[0], x[:3]) and torch.equal(seen[4], x[[4, 0, 1]])
    pack = torch.cat([x[3], x[4], x[0]])[None]
    torch.testing.assert_close(discriminator(x)[3:4], discriminator.net(pack)[:, 0])


@pytest.mark.parametrize("convolutional", [False, True])
@pytest.mark.parametrize("levels", [INK, COLOURS], ids=["ink", "colours"])
def test_a_pack_of_images_sees_all_of_them(levels, convolutional):
    sizes = {"features": 4, "depth": 1, "packing": 2, "convolutional": convolutional}
    config = GANConfig(levels.shape, levels.levels, levels.palette, **sizes)
    players, dice = game(config)
    made = players["generator"](players["generator"].draw_z(4, generator=dice)).detach().requires_grad_()
    (slope,) = torch.autograd.grad(players["discriminator"](made)[1], made)
    assert slope.flatten(1).any(1).tolist() == [False, True, True, False]


def test_a_bounded_discriminator_is_nowhere_steeper_than_one():
    bounded, free = (Discriminator(GANConfig(spectral=s), generator=make_generator(0)) for s in (True, False))
    with torch.no_grad():
        for one, name in ((bounded, "parametrizations.weight.original"), (free, "weight")):
            for parameter_name, p in one.named_parameters():
                if parameter_name.endswith(name):
                    p.mul_(20)
    x = torch.randn(200, 2, generator=make_generator(1))
    for _ in range(100):  # each look in training improves what it knows of the largest singular value
        bounded(x)
    slopes = [
        torch.autograd.grad(one(seen).sum(), seen)[0].norm(dim=1).max()
        for one in (bounded, free)
        for seen in [x.clone().requires_grad_()]
    ]
    assert slopes[0] <= 1.001 and slopes[1] > 100


# --- losses ---------------------------------------------------------------------------------------------------------


class Slope(nn.Module):
    """A discriminator whose logit is 3 x₁ − 4 x₂: its squared gradient is 25 everywhere."""

    def inputs(self, x):
        return x

    def logits(self, seen):
        return seen @ torch.tensor([3.0, -4.0])

    def forward(self, x):
        return self.logits(x)


def test_losses_are_cross_entropies_and_the_penalty_is_half_the_squared_slope():
    real, made = (torch.randn(7, 2, generator=make_generator(seed)) for seed in (0, 1))
    d = Slope()
    p_real, p_made = d(real).double().sigmoid(), d(made).double().sigmoid()
    expected = -p_real.log() - (1 - p_made).log()
    torch.testing.assert_close(discriminator_loss(d, real, made).double(), expected, rtol=1e-4, atol=1e-5)
    punished = discriminator_loss(d, real, made, r1=0.2)
    torch.testing.assert_close(punished, discriminator_loss(d, real, made) + 0.1 * 25)
    torch.testing.assert_close(generator_loss(d, made).double(), -p_made.log(), rtol=1e-4, atol=1e-5)
    minimax = generator_loss(d, made, game="minimax")
    torch.testing.assert_close(minimax.double(), (1 - p_made).log(), rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="game: expected one of 'non-saturating', 'minimax', got 'wasserstein'"):
        generator_loss(d, made, game="wasserstein")


def test_only_the_non_saturating_loss_has_a_gradient_where_the_discriminator_is_sure():
    made = torch.tensor([[-4.0, 0.0]], requires_grad=True)  # logit −12
    slopes = {
        g: torch.autograd.grad(generator_loss(Slope(), made, game=g).sum(), made)[0].norm()
        for g in ("minimax", "non-saturating")
    }
    assert slopes["minimax"] < 1e-4 and slopes["non-saturating"] == pytest.approx(5, rel=1e-4)


def test_the_penalty_punishes_a_slope_at_the_real_ones_and_moves_the_discriminator():
    players, dice = game(GANConfig(packing=2))
    d, real = players["discriminator"], torch.randn(16, 2, generator=dice)
    with_it, without = (discriminator_loss(d, real, real + 1, r1=r1) for r1 in (1.0, 0.0))
    seen = d.inputs(real).requires_grad_()
    (slope,) = torch.autograd.grad(d.logits(seen).sum(), seen)
    torch.testing.assert_close(with_it - without, slope.square().sum((1, 2)) / 2, rtol=1e-4, atol=1e-6)
    (with_it - without).sum().backward()
    assert d.net[0].weight.grad.abs().sum() > 0


# --- the recipe -----------------------------------------------------------------------------------------------------


def play(config, x, seed=0, steps=30, begun=None, **changes):
    """A short game: its players, and its history; `begun` is what `game` gave."""
    players, dice = begun or game(config, seed)
    settings = {"steps": steps, "batch_size": 16, "progress": False, "generator": dice} | changes
    return players, fit_gan(players, x, **settings)


def data(config, n=40, seed=5):
    dice = make_generator(seed)
    if config.levels:
        return torch.randint(config.levels, (n, *config.shape), generator=dice)
    return torch.randn(n, *config.shape, generator=dice)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_the_recipe_finds_the_ring(seed):
    """Half of its steps: most is there. `benchmarks/games.py` has ten seeds, and what each change costs."""
    plane, (players, dice) = load_plane("ring"), game(GANConfig(), seed)
    x = plane.sample(20_000, generator=dice)
    fit_gan(players, x, steps=1500, generator=dice, progress=False)
    found = coverage(players["generator"].sample(10_000, generator=dice), plane.modes, plane.mode_std)
    assert found.reached == 8 and found.high_quality > 0.85 and found.reverse_kl < 0.05


@each_config
def test_a_game_of_every_kind_is_played_and_depends_on_nothing_but_its_generator(config):
    nobodys = torch.get_rng_state()
    (one, history), (other, _), (third, _) = (play(config, data(config), seed, steps=5) for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), nobodys)
    assert torch.equal(weights(one), weights(other)) and not torch.equal(weights(one), weights(third))
    assert list(history.losses) == ["generator", "discriminator"] and len(history.loss) == 5
    assert not torch.equal(weights(one), weights(game(config)[0]))


def test_data_may_be_drawn_anew_at_each_step():
    counted = []

    def draw(n, *, generator):
        counted.append(n)
        return torch.randn(n, 2, generator=generator)

    one, other = (play(GANConfig(), x, steps=3) for x in (draw, load_plane("ring").sample))
    assert counted == [16] * 3 and len(one[1].loss) == 3
    assert not torch.equal(weights(one[0]), weights(other[0]))
    with pytest.raises(ValueError, match=r"x: expected shape \(B, 2\), got \(16, 3\)"):
        play(GANConfig(), lambda n, generator: torch.randn(n, 3, generator=generator))


@pytest.mark.parametrize("precision", [None, "bf16-mixed"])
def test_what_the_settings_change_is_the_game(precision):
    x = data(GANConfig())
    changes = [{}, {"r1": 0.0}, {"game": "minimax"}, {"schedule": "constant"}, {"lr": 1e-3}, {"batch_size": 8}]
    ends = [weights(play(GANConfig(), x, steps=4, precision=precision, **change)[0]) for change in changes]
    assert all(one.isfinite().all() for one in ends)
    assert len({tuple(one[:50].tolist()) for one in ends}) == len(changes)


@pytest.mark.parametrize("way", ["history", "checkpoint"])
@pytest.mark.parametrize("config", [GANConfig(packing=2, spectral=True), INK], ids=["packed, bounded", "ink"])
def test_a_stopped_game_goes_on_as_if_it_had_not_stopped(config, way, tmp_path, capsys):
    expected, whole = play(config, data(config))
    begun = game(config)
    saving = {"checkpoint": tmp_path / "game.pt"} if way == "checkpoint" else {}

    def press_ctrl_c(step):
        if step == 13:
            os.kill(os.getpid(), signal.SIGINT)

    _, history = play(config, data(config), begun=begun, watch=press_ctrl_c, **saving)
    assert len(history.loss) == 13 and "stopped after step 13 of 30" in capsys.readouterr().out
    if way == "checkpoint":  # in another session, all begins anew
        players, history = play(config, data(config), seed=9, **saving)
    else:
        players, history = play(config, data(config), begun=begun, history=history)
    assert history.losses == whole.losses and torch.equal(weights(players), weights(expected))


@pytest.mark.parametrize("player", ["generator", "discriminator"])
def test_a_game_that_diverges_says_when_and_what_to_try_and_goes_back_to_its_last_good_players(player):
    (players, dice), good, nobodys = game(GANConfig()), {}, torch.get_rng_state()

    def poison(step):
        if step == 50:
            good["weights"] = weights(players)
        if step == 57:
            with torch.no_grad():
                next(players[player].parameters()).fill_(math.nan)

    with pytest.raises(NotFinite, match=r"became nan at step 58\. The model is back at step 50.*a larger r1") as error:
        play(GANConfig(), data(GANConfig()), steps=80, begun=(players, dice), watch=poison)
    assert torch.equal(torch.get_rng_state(), nobodys), "what the run had borrowed is given back, though `error` lives"
    assert torch.equal(weights(players), good["weights"])
    assert len(error.value.history.loss) == 50 and weights(players).isfinite().all()
    _, history = play(GANConfig(), data(GANConfig()), steps=80, begun=(players, dice), history=error.value.history)
    expected, whole = play(GANConfig(), data(GANConfig()), steps=80)
    assert history.losses == whole.losses and torch.equal(weights(players), weights(expected))


# --- bad input ------------------------------------------------------------------------------------------------------


def plane_player(kind, **config):
    return kind(GANConfig(**config), generator=make_generator(0))


POINTS, DRAWN = torch.zeros(20, 2), torch.zeros(20, 1, 8, 8, dtype=torch.long)


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: plane_player(Generator)(torch.zeros(4, 3)), ValueError, r"z: expected shape \(B, 2\), got \(4, 3\)"),
        (lambda: plane_player(Discriminator, packing=2)(POINTS[:1]), ValueError, "batch of 2 or more.*got 1"),
        (lambda: plane_player(Discriminator)(POINTS.long()), TypeError, "x: expected a floating-point tensor"),
        (lambda: Discriminator(INK)(DRAWN + 17), ValueError, "x: expected levels 0 to 16, got 17 to 17"),
        (lambda: Discriminator(INK)(DRAWN - 1), ValueError, "x: expected levels 0 to 16, got -1 to -1"),
        (lambda: Discriminator(INK)(DRAWN + 9.0), TypeError, "torch.long, got torch.float32 from 9 to 9.*-1 and 1"),
        (lambda: Discriminator(COLOURS)(torch.zeros(2, 1, 4, 4)), ValueError, r"expected shape \(B, 1, 4, 4, 6\)"),
        (lambda: plane_player(Discriminator).logits(POINTS), ValueError, r"inputs: expected shape \(B, 1, 2\)"),
        (lambda: GANConfig(shape=()), ValueError, "expected sizes ≥ 1"),
        (lambda: GANConfig(levels=1), ValueError, "levels ≥ 2 or 0 for numbers"),
        (lambda: GANConfig(palette=True), ValueError, "palette: expected with levels="),
        (lambda: GANConfig(packing=0), ValueError, "packing: expected a whole number ≥ 1, got 0"),
        (lambda: GANConfig(prior="cauchy"), ValueError, "prior: expected one of 'normal', 'uniform', got 'cauchy'"),
        (lambda: GANConfig(convolutional=True), ValueError, r"images \(C, H, W\) that can be halved 3 times"),
        (lambda: GANConfig((1, 6, 8), 17, depth=2, convolutional=True), ValueError, r"2 times, got \(1, 6, 8\)"),
    ],
)
def test_what_a_player_cannot_take_says_so(call, error, says):
    with pytest.raises(error, match=says):
        call()


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"batch_size": 1}, ValueError, "batch_size: expected 2 or more, which the discriminator sees at once, got 1"),
        ({"batch_size": 0}, ValueError, "batch_size: expected a whole number ≥ 1, got 0"),
        ({"r1": -1.0}, ValueError, "r1: expected a weight ≥ 0, got -1.0"),
        ({"r1": math.nan}, ValueError, "r1: expected a weight ≥ 0, got nan"),
        ({"game": "zero-sum"}, ValueError, "game: expected one of 'non-saturating', 'minimax'"),
        ({"x": torch.zeros(9, 3)}, ValueError, r"x: expected shape \(B, 2\), got \(2, 3\)"),
        ({"x": DRAWN}, TypeError, "x: expected a floating-point tensor, got torch.int64"),
        ({"x": [[0.0, 0.0]]}, TypeError, "x: expected a torch.Tensor, got list"),
        ({"players": None}, ValueError, "players: expected .*Generator.*got None"),
        ({"players": {"generator": Generator(INK)}}, ValueError, "players: expected .*got {'generator': 'Generator'}"),
    ],
)
def test_what_cannot_be_a_game_says_so_before_it_begins(change, error, says):
    players, dice = game(GANConfig(packing=2))
    before = weights(players)
    given = {"players": players, "x": POINTS} | change
    settings = {"steps": 2, "batch_size": 8, "generator": dice, "progress": False}
    with pytest.raises(error, match=says):
        fit_gan(given.pop("players"), given.pop("x"), **settings | given)
    assert torch.equal(weights(players), before)


def test_two_who_cannot_play_together_are_refused():
    players, dice = game(GANConfig())
    settings = {"steps": 2, "generator": dice, "progress": False}
    with pytest.raises(
        TypeError, match=r"expected a Generator and a Discriminator, got .*'generator': 'Discriminator'"
    ):
        fit_gan(dict(zip(players, reversed(players.values()), strict=True)), POINTS, **settings)
    with pytest.raises(ValueError, match="players: expected two of the same observations"):
        fit_gan(players | {"discriminator": Discriminator(LINE)}, POINTS, **settings)
