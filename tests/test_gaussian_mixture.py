"""The Gaussian mixture and its EM: scikit-learn's numbers, a likelihood that never falls, and data that would break it.

What it shares with every model, shapes, nats, devices and the disk, is in test_models.py.
"""

import itertools
import math
import threading
import time
import warnings

import pytest
import torch
from scipy import stats
from sklearn import mixture
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from torch.distributions import Categorical, Independent, MixtureSameFamily, MultivariateNormal, Normal
from torch.utils._python_dispatch import TorchDispatchMode

from course_lib.checkpoint import load, save
from course_lib.device import make_generator
from course_lib.fast import em
from course_lib.fast.cores import on_every_core
from course_lib.models.gaussian_mixture import STARTS, GaussianMixture, GaussianMixtureConfig

KINDS = ("full", "diagonal", "spherical")
each_kind = pytest.mark.parametrize("kind", KINDS)


def normal(*shape, seed):
    return torch.randn(*shape, dtype=torch.float64, generator=make_generator(seed))


def clouds(N=400, D=3, seed=0):
    """N points around four places, each cloud stretched in its own directions; neighbours overlap."""
    places, shear = normal(4, D, seed=seed), 0.3 * normal(4, D, D, seed=seed + 1) + 0.7 * torch.eye(D).double()
    k = torch.arange(N) % 4
    return places[k] + (shear[k] @ normal(N, D, 1, seed=seed + 2))[..., 0]


def spread_of(x, kind):
    """The covariance of all x, as one component of this kind has it."""
    covariance = torch.cov(x.T, correction=0).view(x.shape[1], -1)  # of one column it is a number
    return {"full": covariance, "diagonal": covariance.diagonal(), "spherical": covariance.diagonal().mean()}[kind]


def first_guess(x, K, kind):
    """Uneven weights, K of the points, and everywhere the covariance of all data."""
    log_pi = torch.arange(1.0, K + 1).double().log_softmax(0)
    one = spread_of(x, kind)
    return log_pi, x[:: len(x) // K][:K].clone(), one.expand(K, *one.shape).clone()


def fitted(x, K, kind="full", seed=0, **settings):
    model = GaussianMixture(GaussianMixtureConfig(K, kind))
    history = model.fit(x, generator=make_generator(seed), progress=False, **settings)
    return model, history


def some(K, D, kind, seed=0):
    """A mixture with parameters of all sorts: narrow and wide, full ones tilted."""
    log_pi, mean = normal(K, seed=seed).log_softmax(0), 2 * normal(K, D, seed=seed + 1)
    if kind == "full":
        root = normal(K, D, D, seed=seed + 2)
        covariance = root @ root.mT + 0.1 * torch.eye(D).double()
    else:
        covariance = (normal(K, *[D] * (kind == "diagonal"), seed=seed + 2)).exp()
    return GaussianMixture.of(log_pi, mean, covariance, covariance=kind)


def as_full(model):
    """Its covariances as matrices (K, D, D), whatever the kind."""
    K, D = model.mean.shape
    c = model.covariance_
    return c if c.ndim == 3 else torch.diag_embed(c.view(K, -1).expand(K, D))


def torchs(model):
    """The same mixture in the words of torch.distributions."""
    K, D = model.mean.shape
    if model.config.covariance == "full":
        components = MultivariateNormal(model.mean, model.covariance_)
    else:
        components = Independent(Normal(model.mean, model.covariance_.sqrt().view(K, -1).expand(K, D)), 1)
    return MixtureSameFamily(Categorical(logits=model.log_pi), components)


def narrowest(model, x):
    """The smallest standard deviation of any component in any direction, in the data's own scale."""
    scale = x.std(0, correction=0)
    if model.config.covariance == "spherical":
        scale = scale.square().mean().sqrt().expand_as(scale)
    return torch.linalg.eigvalsh(as_full(model) / scale / scale[:, None]).min().sqrt().item()


# --- scikit-learn's numbers ---------------------------------------------------------------------------------------


def scikits(x, init, kind, steps):
    """scikit-learn's mixture after as many steps of EM from the same parameters, without what it adds to variances."""
    log_pi, mean, covariance = init
    theirs = mixture.GaussianMixture(
        len(log_pi),
        covariance_type="diag" if kind == "diagonal" else kind,
        tol=0,
        reg_covar=0,
        max_iter=steps,
        weights_init=log_pi.exp().numpy(),
        means_init=mean.numpy(),
        precisions_init=(covariance.inverse() if kind == "full" else 1 / covariance).numpy(),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # it is told to take all steps
        return theirs.fit(x.numpy())


@pytest.mark.parametrize(
    ("steps", "unit", "away"),
    [(1, [1, 1, 1], 0), (25, [1e-3, 1, 1e3], 0), (25, [1, 1, 1], 1e4)],
    ids=["one step", "badly scaled", "far away"],
)
@each_kind
def test_from_the_same_start_it_finds_what_scikit_learn_finds(kind, steps, unit, away):
    x = clouds(600) * torch.tensor(unit).double()
    init = first_guess(x, 4, kind)
    theirs = scikits(x, init, kind, steps)
    width = x.std(0)
    away = away * width  # theirs stays at home, for it loses digits abroad: 6e-6 nats with diagonal covariances
    model, history = fitted(x + away, 4, kind, init=(init[0], init[1] + away, init[2]), max_steps=steps, tolerance=0)
    assert len(history.loss) == steps, "as many steps as theirs"
    expected = torch.from_numpy(theirs.score_samples(x.numpy()))
    # The numbers agree to 1e-13 at home. Away, x itself is rounded to 1e-12 of its width, and the steps amplify that.
    close = {"atol": 1e-7 if away.any() else 1e-10, "rtol": 0}
    torch.testing.assert_close(model.log_prob(x + away), expected, **close)
    assert history.loss[-1] == pytest.approx(-theirs.score(x.numpy()), abs=1e-9)
    torch.testing.assert_close((model.mean - away) / width, torch.from_numpy(theirs.means_) / width, **close)
    torch.testing.assert_close(model.log_pi.exp(), torch.from_numpy(theirs.weights_), **close)
    squares = {"full": width * width[:, None], "diagonal": width**2, "spherical": (width**2).mean()}[kind]
    torch.testing.assert_close(model.covariance_ / squares, torch.from_numpy(theirs.covariances_) / squares, **close)


@pytest.mark.parametrize("D", [1, 2, 4, 7])
@each_kind
def test_so_it_does_in_any_dimension_odd_or_even(kind, D):
    x = clouds(500, D)
    init = first_guess(x, 3, kind)
    theirs = scikits(x, init, kind, 10)
    model, _ = fitted(x, 3, kind, init=init, max_steps=10, tolerance=0)
    expected = torch.from_numpy(theirs.score_samples(x.numpy()))
    torch.testing.assert_close(model.log_prob(x), expected, atol=1e-10, rtol=0)
    found = as_full(model) if kind == "full" else model.covariance_
    torch.testing.assert_close(found, torch.from_numpy(theirs.covariances_), atol=1e-10, rtol=0)


# --- features -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("D", [1, 2, 3, 4, 8, 9])
@each_kind
def test_features_are_1_x_and_each_product_once_wherever_they_are_written(kind, D):
    block = normal(D, 5, seed=0)
    i, j = em.pairs(D)
    assert sorted(map(sorted, zip(i.tolist(), j.tolist(), strict=True))) == [
        [a, b] for a in range(D) for b in range(a, D)
    ]
    squares = {"full": block[i] * block[j], "diagonal": block**2, "spherical": (block**2).sum(0, keepdim=True)}[kind]
    expected = torch.cat([torch.ones(1, 5).double(), block, squares])
    torch.testing.assert_close(em.features(block, kind), expected, rtol=1e-15, atol=0)
    room = torch.full_like(expected, math.nan)
    found = em.features(block, kind, room)
    assert found.data_ptr() == room.data_ptr(), "in the memory that was given"
    torch.testing.assert_close(found, expected, rtol=1e-15, atol=0)
    other = em.features(block[:, :3].contiguous(), kind, room)  # of another length: in memory of its own
    torch.testing.assert_close(other, expected[:, :3], rtol=1e-15, atol=0)
    torch.testing.assert_close(room, expected, rtol=1e-15, atol=0)


class Operations(TorchDispatchMode):
    """How many operations PyTorch was asked for, views of what is there aside."""

    count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += not func.is_view
        return func(*args, **(kwargs or {}))


@each_kind
def test_an_e_step_is_as_many_operations_in_many_dimensions_as_in_few(kind):
    counts = []
    for D in 2, 20:
        model = some(4, D, kind)
        with Operations() as operations:
            em.expectation([clouds(100, D).T.contiguous()], (model.log_pi, model.mean, model.covariance_), kind, 1)
        counts.append(operations.count)
    # PyTorch's calls cost more than what a processor does in them if they are many and small; the second may have one
    # more, for a circle of two has no turn but half of one
    assert counts[0] <= counts[1] <= counts[0] + 1, counts


# --- blocks on several cores ---------------------------------------------------------------------------------------


@pytest.fixture
def three_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@each_kind
def test_an_e_step_is_the_same_on_one_core_and_on_three(kind, three_threads):
    model = some(4, 3, kind)
    blocks = list(clouds(1000, 3).T.split(130, 1))  # eight: the shares are of unequal length
    given = blocks, (model.log_pi, model.mean, model.covariance_), kind, 1
    found = em.expectation(*given)
    torch.set_num_threads(1)
    for many, one in zip(found, em.expectation(*given), strict=True):
        torch.testing.assert_close(many, one, rtol=1e-12, atol=1e-12)


def test_every_block_is_in_one_share_and_each_share_has_one_thread(three_threads):
    names = {}

    def work(blocks):
        names[threading.get_ident()] = torch.get_num_threads()
        time.sleep(0.05)  # long enough that no thread takes two shares
        return [int(block) for block in blocks]

    shares = on_every_core(work, list(torch.arange(7)))
    assert shares == [[0, 3, 6], [1, 4], [2, 5]] and list(names.values()) == [1, 1, 1]
    assert torch.get_num_threads() == 3, "given back"
    assert on_every_core(work, [torch.tensor(5)]) == [[5]] and names[threading.get_ident()] == 3, (
        "one block: no threads"
    )


def test_what_goes_wrong_in_a_share_is_raised_and_the_threads_are_given_back(three_threads):
    with pytest.raises(ZeroDivisionError):
        on_every_core(lambda blocks: 1 / int(blocks[0]), [torch.tensor(1), torch.tensor(0)])
    assert torch.get_num_threads() == 3


# --- EM -----------------------------------------------------------------------------------------------------------


def with_copies(N=120, D=3):
    """Clouds, of which a quarter is one and the same point, and where a column is the sum of two others."""
    x = clouds(N, D)
    x[:, 2] = x[:, 0] + x[:, 1]
    x[: N // 4] = x[0]
    return x


@pytest.mark.parametrize(("init", "floor"), [("points", 1e-4), ("k-means++", 1e-3), ("points", 0.3)])
@each_kind
def test_no_step_makes_the_data_less_likely_even_where_the_floor_is_reached(kind, init, floor):
    for x, seed in itertools.product([clouds(200, 3), with_copies()], range(2)):
        _, history = fitted(x, 5, kind, seed, init=init, floor=floor, max_steps=60, tolerance=0)
        loss = torch.tensor(history.loss, dtype=torch.float64)
        # A log-density is a sum of terms as large as a precision times a square, at most 10 / floor² here, and each is
        # rounded at 1e-16 of itself: 1e-7 nats for the smallest floor (measured: 7e-9), nothing for the largest.
        rounding = 1e-13 + 1e-15 / floor**2
        assert loss.isfinite().all()
        assert loss.diff().max() <= rounding, f"seed {seed}: step {int(loss.diff().argmax()) + 2} lost"


def test_with_one_component_a_step_finds_the_likeliest_of_the_covariances_that_the_floor_allows():
    x = clouds(500, 1) @ torch.tensor([[1.0, 0.9, -0.8]]).double() + 0.3 * normal(500, 3, seed=9)
    u = (x - x.mean(0)) / x.std(0, correction=0)
    floor = 0.6
    model, history = fitted(u, 1, floor=floor, max_steps=1)
    values, axes = torch.linalg.eigh(torch.cov(u.T, correction=0))
    assert (values.sqrt() < floor).sum() == 2, "two of its three axes are too short"
    assert torch.linalg.eigvalsh(as_full(model)[0]).sqrt()[:2].tolist() == pytest.approx([floor] * 2, rel=1e-9)
    for seed, far in itertools.product(range(40), [0.02, 0.2]):  # others that are allowed, near by and farther off
        a = far * normal(3, 3, seed=seed)
        turn = torch.linalg.matrix_exp(a - a.mT)
        width = (values.clamp(min=floor**2) * (far * normal(3, seed=seed + 100)).exp()).clamp(min=floor**2)
        other = turn @ axes @ torch.diag(width) @ axes.mT @ turn.mT
        assert torch.linalg.eigvalsh(other).min() > 0.999 * floor**2
        rival = GaussianMixture.of(model.log_pi, model.mean, other[None] / 2 + other.mT[None] / 2)
        assert -rival.log_prob(u).mean() > history.loss[-1]


def test_it_stops_as_soon_as_a_step_gains_less_than_the_tolerance():
    tolerance = 1e-3
    _, history = fitted(clouds(), 4, tolerance=tolerance)
    gains = -torch.tensor(history.loss, dtype=torch.float64).diff()
    assert history.steps == 200 and 3 < len(history.loss) < 200
    assert gains[-1] < tolerance and (gains[:-1] >= tolerance).all()
    assert history.seconds > 0
    assert len(fitted(clouds(), 4, max_steps=3, tolerance=0)[1].loss) == 3


@each_kind
def test_the_last_loss_is_that_of_the_mixture_which_is_kept(kind):
    for x in with_copies(), clouds() * torch.tensor([1e-3, 1, 1e3]) + 50:
        model, history = fitted(x, 5, kind, max_steps=20, restarts=3, floor=0.3)
        assert history.loss[-1] == pytest.approx(-model.log_prob(x).mean().item(), abs=1e-9)


@each_kind
def test_restarts_side_by_side_are_the_single_ones(kind):
    x = clouds(100, 3)
    blocks = [b.T.contiguous() for b in x.split(37)]
    models = [some(4, 3, kind, seed) for seed in (0, 10, 20)]
    singles = [(m.log_pi, m.mean, m.covariance_) for m in models]
    together = tuple(torch.cat(p) for p in zip(*singles, strict=True))
    statistics, log_prob = em.expectation(blocks, together, kind, 3)
    alone = [em.expectation(blocks, p, kind, 1) for p in singles]
    torch.testing.assert_close(statistics, torch.cat([s for s, _ in alone]), rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(log_prob, torch.cat([p for _, p in alone]), rtol=1e-12, atol=0)
    expected = torch.stack([m.log_prob(x).sum() for m in models])
    torch.testing.assert_close(log_prob, expected, rtol=1e-10, atol=0)
    new = em.maximisation(statistics, together, kind, 3, 0.1)
    each = [em.maximisation(s, p, kind, 1, 0.1) for (s, _), p in zip(alone, singles, strict=True)]
    for found, expected in zip(new, zip(*each, strict=True), strict=True):
        torch.testing.assert_close(found, torch.cat(expected), rtol=1e-9, atol=1e-9)


@each_kind
def test_an_m_step_is_the_weighted_mean_and_covariance(kind):
    model, x = some(4, 3, kind), clouds(100, 3)
    parameters = model.log_pi, model.mean, model.covariance_
    r = model.responsibilities(x)  # (N, K)
    log_pi, mean, covariance = em.maximisation(em.expectation([x.T], parameters, kind, 1)[0], parameters, kind, 1, 1e-4)
    torch.testing.assert_close(log_pi.exp(), r.mean(0), rtol=1e-10, atol=0)
    for k in range(4):
        expected = torch.cov(x.T, correction=0, aweights=r[:, k])
        expected = {"full": expected, "diagonal": expected.diag(), "spherical": expected.diag().mean()}[kind]
        torch.testing.assert_close(mean[k], (r[:, k, None] * x).sum(0) / r[:, k].sum(), rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(covariance[k], expected, rtol=1e-9, atol=1e-9)


@each_kind
def test_how_the_points_are_cut_into_blocks_changes_nothing(kind):
    x = clouds(1001, 3)
    many = x.repeat(150, 1)  # the same data, and so the same answer
    sizes = [block.shape[1] for block in em.cut(many, kind, 4)]
    assert len(sizes) > 1 and sum(sizes) == len(many) and 0 < sizes[-1] < sizes[0], "the last block is shorter"
    init = first_guess(x, 4, kind)
    once, expected = fitted(x, 4, kind, init=init, max_steps=5, tolerance=0)
    model, history = fitted(many, 4, kind, init=init, max_steps=5, tolerance=0)
    assert history.loss == pytest.approx(expected.loss, rel=1e-9)
    torch.testing.assert_close(model.log_prob(x), once.log_prob(x), rtol=1e-8, atol=1e-8)
    assert [block.shape for block in em.cut(x[:3], kind, em.BLOCK)] == [(3, 1)] * 3, "a point at a time, if need be"


# --- starts -------------------------------------------------------------------------------------------------------


def one_by_one(x, K, kind, R, seed, **settings):
    """What each of R starts of `fit` finds on its own: models and histories; x is standardised.

    A start ends with the M step after each point was given to the nearest place, and from there EM goes on alone.
    """
    for places in em.seeds(x, K, R, spread=False, generator=make_generator(seed)).split(1):
        parameters, statistics = em.start([x.T], kind, places)
        first, log_prob = next(em.steps([x.T], parameters, statistics, kind, 1, 1e-3))
        model, history = fitted(x, K, kind, init=first, **settings)
        yield model, [-log_prob.item() / len(x), *history.loss]


def standardised(x):
    return (x - x.mean(0)) / x.std(0, correction=0)


@each_kind
def test_of_several_starts_the_likeliest_is_kept(kind):
    x, R, settings = standardised(clouds(300, 2)), 6, {"tolerance": 0, "init": "points"}
    models, losses = zip(*one_by_one(x, 5, kind, R, 13, max_steps=7, tolerance=0), strict=True)
    last = torch.tensor([loss[-1] for loss in losses])
    winner = int(last.argmin())
    assert 0 < winner < R - 1 and last.sort().values.diff().min() > 1e-5, "they differ, and it is not first or last"
    best, history = fitted(x, 5, kind, seed=13, restarts=R, max_steps=8, **settings)
    assert history.loss == pytest.approx(losses[winner], rel=1e-9)
    torch.testing.assert_close(best.log_prob(x), models[winner].log_prob(x), rtol=1e-8, atol=1e-8)


def test_the_slowest_of_several_starts_is_waited_for():
    x = standardised(clouds(300, 2))
    alone = [len(loss) for _, loss in one_by_one(x, 5, "full", 4, 13, tolerance=1e-4)]
    _, together = fitted(x, 5, seed=13, restarts=4, init="points", tolerance=1e-4)
    assert min(alone) + 5 < max(alone) < 200
    assert len(together.loss) >= max(alone)  # a start that gains little for a while may gain more again


def p_value(counts, expected):
    assert expected.min() > 5, "chi-square needs about five in every cell"
    return stats.chisquare(counts, expected * counts.sum() / expected.sum()).pvalue


@pytest.mark.parametrize("spread", [True, False], ids=["k-means++", "points"])
def test_seeds_are_drawn_as_often_as_they_should(spread):
    x = torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.0, 1.5], [-1.0, 2.0], [3.0, 0.0]]).double()
    R = 20_000
    found = em.seeds(x, 3, R, spread=spread, generator=make_generator(0))
    which = torch.cdist(found, x).argmin(2)  # (R, 3)
    counts, expected = [], []
    apart = torch.cdist(x, x).square()
    for i, j, k in itertools.product(range(5), repeat=3):
        second = apart[i] if spread else (torch.arange(5) != i).double()
        third = apart[[i, j]].amin(0) if spread else second * (torch.arange(5) != j)
        p = (second[j] / second.sum() * third[k] / third.sum()).nan_to_num().item() / 5  # nan: 0 / 0, j is i
        n = int((which == torch.tensor([i, j, k])).all(1).sum())
        if p == 0:
            assert n == 0, "a point is drawn once"
        else:
            counts.append(n)
            expected.append(R * p)
    # one seed in a thousand would fail a right sampler, and this seed is fixed
    assert p_value(torch.tensor(counts), torch.tensor(expected).double()) > 1e-3


@pytest.mark.parametrize("spread", [True, False], ids=["k-means++", "points"])
@pytest.mark.parametrize("luck", [0.0, 1.0], ids=["least", "most"])
def test_seeds_are_different_points_also_where_chance_falls_on_a_border(spread, luck, monkeypatch):
    x = torch.tensor([[0.0], [3.0], [1.0], [8.0]]).double()
    monkeypatch.setattr(torch, "rand", lambda *shape, **_: torch.full(shape, luck))
    for seed in range(10):
        found = em.seeds(x, 3, 2, spread=spread, generator=make_generator(seed))
        if luck == 0:  # `torch.rand` does draw 0, once in 2²⁴
            assert all(len(places.unique(dim=0)) == 3 for places in found)
        assert torch.isin(found, x).all()


@pytest.mark.parametrize("init", STARTS)
def test_more_components_than_different_points_are_started_all_the_same(init):
    x = torch.tensor([[0.0, 1.0], [1.0, 0.0]]).double().repeat(5, 1)
    model, history = fitted(x, 4, init=init)
    assert math.isfinite(history.loss[-1]) and model.log_prob(x).isfinite().all()
    assert model.log_pi.exp().sum().item() == pytest.approx(1, abs=1e-12)


# --- the density and its samples ----------------------------------------------------------------------------------


@each_kind
def test_the_log_density_is_torchs_in_nats(kind):
    model, x = some(4, 3, kind), 4 * normal(200, 3, seed=7)
    torch.testing.assert_close(model.log_prob(x), torchs(model).log_prob(x), rtol=1e-11, atol=1e-11)
    far = 1e4 * normal(20, 3, seed=8)
    torch.testing.assert_close(model.log_prob(far), torchs(model).log_prob(far), rtol=1e-9, atol=0)


@each_kind
def test_responsibilities_are_bayes_rule_and_sum_to_1(kind):
    model, x = some(4, 3, kind), 4 * normal(100, 3, seed=7)
    r = model.responsibilities(x)
    assert r.shape == (100, 4) and (r >= 0).all()
    torch.testing.assert_close(r.sum(1), torch.ones(100).double(), rtol=1e-12, atol=0)
    theirs = torchs(model)
    joint = theirs.component_distribution.log_prob(x[:, None]) + model.log_pi
    torch.testing.assert_close(r, joint.softmax(1), rtol=1e-9, atol=1e-12)
    assert model.responsibilities(1e6 * x).isfinite().all(), "far from everything one still knows whose it would be"


@each_kind
def test_samples_fall_as_often_and_as_far_as_the_density_says(kind):
    n, D, K = 40_000, 3, 3
    model = some(K, D, kind, seed=2)
    model.mean = 60 * torch.eye(D).double()  # so far apart that each sample shows whose it is
    x = model.sample(n, generator=make_generator(0))
    k = torch.cdist(x, model.mean).argmin(1)
    # one seed in a thousand would fail a right sampler, and this seed is fixed
    assert p_value(k.bincount(minlength=K), n * model.log_pi.exp()) > 1e-3
    roots = torch.linalg.cholesky(as_full(model))
    for j in range(K):
        white = torch.linalg.solve_triangular(roots[j], (x[k == j] - model.mean[j]).T, upper=False)
        second, m = white @ white.T / white.shape[1], white.shape[1]
        # Whitened, they are standard normals: means within 1 / √m, and second moments within √2 / √m on the diagonal
        # and 1 / √m beside it, all at 4 standard errors.
        assert white.mean(1).abs().max() < 4 / m**0.5
        assert (second - torch.eye(D)).abs().max() < 4 * 2**0.5 / m**0.5
        assert stats.kstest(white.flatten().numpy(), "norm").pvalue > 1e-3


def test_the_generator_decides_and_nobody_else_is_disturbed():
    x, before = clouds(), torch.random.get_rng_state()
    first, again, other = (fitted(x, 4, seed=seed, max_steps=5)[0] for seed in (0, 0, 1))
    for name in "log_pi", "mean", "covariance_":
        assert torch.equal(getattr(first, name), getattr(again, name))
    assert not torch.equal(first.mean, other.mean)
    draws = [first.sample(9, generator=make_generator(seed)) for seed in (0, 0, 1)]
    assert draws[0].shape == (9, 3) and draws[0].dtype == torch.float64
    assert torch.equal(draws[0], draws[1]) and not torch.equal(draws[0], draws[2])
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(x, clouds()), "the data stay as they were"


@each_kind
def test_its_numbers_are_float64_whatever_it_is_given(kind):
    x = clouds().float()
    model, _ = fitted(x, 4, kind, max_steps=5)
    exact, _ = fitted(x.double(), 4, kind, max_steps=5)
    assert {p.dtype for p in (model.log_pi, model.mean, model.covariance_)} == {torch.float64}
    assert torch.equal(model.mean, exact.mean)
    assert model.log_pi.shape == (4,) and model.mean.shape == (4, 3)
    assert model.covariance_.shape == {"full": (4, 3, 3), "diagonal": (4, 3), "spherical": (4,)}[kind]
    assert model.log_prob(x).dtype == torch.float64
    assert torch.equal(model.log_prob(x), model.log_prob(x.double()))


def test_the_density_has_a_gradient_and_a_fit_leaves_none_behind():
    x = clouds(50).requires_grad_()
    model, _ = fitted(x, 2)
    assert not model.mean.requires_grad
    model.log_prob(x).sum().backward()
    ahead = model.log_prob(x.detach() + 1e-6 * x.grad) - model.log_prob(x.detach())
    torch.testing.assert_close(ahead / 1e-6, x.grad.square().sum(1), rtol=1e-3, atol=1e-6)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU on this machine")
@each_kind
def test_it_fits_and_draws_on_the_gpu(kind):
    x = clouds()
    init = first_guess(x, 4, kind)
    here, _ = fitted(x, 4, kind, init=init, max_steps=10)
    there = GaussianMixture(GaussianMixtureConfig(4, kind))
    there.fit(x.cuda(), generator=make_generator(0, "cuda"), init=[p.cuda() for p in init], max_steps=10)
    assert there.mean.is_cuda and there.mean.dtype == torch.float64
    torch.testing.assert_close(there.log_prob(x.cuda()).cpu(), here.log_prob(x), rtol=1e-8, atol=1e-8)
    assert there.sample(5, generator=make_generator(0, "cuda")).is_cuda
    there.fit(x.cuda(), generator=make_generator(0, "cuda"), restarts=3, max_steps=10)
    assert there.responsibilities(x.cuda()).sum().item() == pytest.approx(len(x), rel=1e-9)


def test_it_survives_the_disk_also_into_one_that_was_fitted_to_other_data(tmp_path):
    x = clouds()
    model, history = fitted(x, 4, max_steps=5)
    save(tmp_path / "mixture.pt", model, history)
    other, _ = fitted(clouds(50, 5), 4, max_steps=2)
    assert load(tmp_path / "mixture.pt", other).loss == history.loss
    assert torch.equal(model.log_prob(x), other.log_prob(x))
    wrong = GaussianMixture(GaussianMixtureConfig(4, "diagonal"))
    with pytest.raises(ValueError, match="holds another model"):
        load(tmp_path / "mixture.pt", wrong)
    assert wrong.mean.numel() == 0, "and it is as it was"


# --- data that would break it -------------------------------------------------------------------------------------


@each_kind
def test_the_units_of_the_columns_do_not_matter(kind):
    x, unit = clouds(), torch.tensor([1e-6, 3.0, 1e7]).double()
    if kind == "spherical":  # which must be the same for all
        unit = unit[1].expand(3)
    for init in STARTS:
        small, _ = fitted(x, 4, kind, init=init, max_steps=20, tolerance=0)
        large, _ = fitted(x * unit + 5 * unit, 4, kind, init=init, max_steps=20, tolerance=0)
        expected = small.log_prob(x) - unit.log().sum()
        torch.testing.assert_close(large.log_prob(x * unit + 5 * unit), expected, rtol=1e-7, atol=1e-7)
        torch.testing.assert_close(large.mean, small.mean * unit + 5 * unit, rtol=1e-7, atol=1e-9)


@each_kind
def test_its_own_fit_is_a_mixture_whatever_the_columns_are_measured_in(kind):
    x = torch.tensor(load_iris().data) * torch.tensor([1, 1e7, 1, 1e-9])
    model, history = fitted(x, 3, kind)
    found = model.log_pi, model.mean, model.covariance_
    again = GaussianMixture.of(*found, covariance=kind)
    assert torch.equal(again.log_prob(x), model.log_prob(x))
    _, more = fitted(x, 3, kind, init=found, max_steps=1)
    assert more.loss[0] == pytest.approx(history.loss[-1], abs=1e-5)
    if kind == "full":
        GaussianMixture.of(*(p.float() for p in found))  # as they round, they may be a little asymmetric


@pytest.mark.parametrize("scale", [1, 1e-8, 1e7])
def test_a_singular_covariance_is_refused_whatever_the_columns_are_measured_in(scale):
    log_pi, mean, unit = torch.zeros(1), torch.zeros(1, 3), torch.tensor([1.0, scale, 1]).double()
    inside = normal(3, 2, seed=1)
    flat = inside @ inside.T
    one_sided = torch.eye(3).double() + torch.tensor([[0, 0.5, 0], [0, 0, 0], [0, 0, 0]]).double()
    tight = 1 - 1e-10 + 1e-10 * torch.eye(3).double()
    for wrong, says in (flat, "variances > 0 in every direction"), (one_sided, "symmetric"):
        with pytest.raises(ValueError, match=says):
            GaussianMixture.of(log_pi, mean, (wrong * unit * unit[:, None])[None])
    right = GaussianMixture.of(log_pi, mean, (tight * unit * unit[:, None])[None])
    assert right.log_prob(torch.zeros(1, 3)).isfinite().all()


@each_kind
def test_a_far_point_that_hides_the_others_is_spoken_of(kind):
    x = clouds()
    x[7, 1] = 1e7
    with pytest.warns(RuntimeWarning, match=r"a few points lie so far .*\(columns 1\).*floor = 0\.001") as said:
        model, _ = fitted(x, 4, kind)
    assert len(said) == 1 and said[0].filename == __file__, "the warning points at the call"
    assert model.log_prob(x).isfinite().all()
    clouds_left = torch.cat([x[:7], x[8:]])
    fitted(clouds_left, 4, kind)  # a warning would be an error
    sparse = clouds_left.clone()
    sparse[5:, 1] = 0
    fitted(sparse, 4, kind)
    fitted(clouds_left[:60], 20, kind, restarts=5, floor=0.3)  # where it binds, but hides nothing
    fitted(torch.where(x == 1e7, 100, x), 4, kind)


COLLAPSING = {
    "copies of one point": lambda: with_copies(80),
    "on a line": lambda: torch.linspace(-1, 1, 60)[:, None].double() * torch.tensor([1.0, -2.0, 30.0]).double(),
    "a point a component": lambda: clouds(6),
}


@pytest.mark.parametrize("floor", [1e-4, 0.1])
@pytest.mark.parametrize("what", COLLAPSING)
@each_kind
def test_no_component_collapses(kind, what, floor):
    x = COLLAPSING[what]()
    model, history = fitted(x, 6, kind, floor=floor)
    # The smallest eigenvalue is floor², and rounding is 1e-16 of the largest: 1e-8 of floor² at worst, and twice.
    assert narrowest(model, x) >= floor * (1 - 1e-7)
    if kind == "full" or what != "on a line":  # without a tilt, a component is as wide as its piece of the line
        assert narrowest(model, x) == pytest.approx(floor, rel=1e-6), "without a floor it would have"
    assert math.isfinite(history.loss[-1]) and model.log_prob(x).isfinite().all()
    drawn = model.sample(50, generator=make_generator(0))
    assert drawn.isfinite().all() and model.log_prob(drawn).isfinite().all()


@each_kind
def test_a_component_that_no_point_claims_keeps_its_place_with_weight_0(kind):
    x = clouds()
    log_pi, mean, covariance = first_guess(x, 3, kind)
    mean[1] = 1000.0
    model, history = fitted(x, 3, kind, init=(log_pi, mean, covariance))
    torch.testing.assert_close(model.mean[1], mean[1], rtol=1e-12, atol=0)
    torch.testing.assert_close(model.covariance_[1], covariance[1], rtol=1e-9, atol=1e-9)
    assert model.log_pi[1] == -math.inf and model.log_pi.exp().sum().item() == pytest.approx(1, abs=1e-12)
    assert torch.tensor(history.loss).isfinite().all() and model.log_prob(x).isfinite().all()
    assert history.loss[-1] == pytest.approx(-model.log_prob(x).mean().item(), abs=1e-9)
    assert (model.responsibilities(x)[:, 1] == 0).all()
    assert model.sample(5000, generator=make_generator(0)).abs().max() < 500, "it is never drawn"
    alive = [0, 2]
    init = log_pi[alive].log_softmax(0), mean[alive], covariance[alive]
    rest, expected = fitted(x, 2, kind, init=init)
    assert history.loss == pytest.approx(expected.loss, rel=1e-9), "the others go on as if it were not there"
    torch.testing.assert_close(model.mean[alive], rest.mean, rtol=1e-7, atol=1e-9)
    again, _ = fitted(x, 3, kind, init=(model.log_pi, model.mean, model.covariance_), max_steps=2)
    assert again.log_pi[1] == -math.inf, "and one may go on from there"


class Largest(TorchDispatchMode):
    """The largest tensor that was ever held in memory, in numbers; what only looks larger (`expand`) does not count."""

    numbers = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for t in result if isinstance(result, tuple | list) else [result]:
            if isinstance(t, torch.Tensor):
                self.numbers = max(self.numbers, t.untyped_storage().nbytes() // t.element_size())
        return result


@each_kind
def test_nothing_in_memory_is_as_large_as_points_times_components_times_dimensions(kind):
    N, D, K = 20_000, 16, 8
    x = clouds(N, D)
    with Largest() as fit:
        model, _ = fitted(x, K, kind, max_steps=2, restarts=2)
    assert N * D <= fit.numbers <= em.BLOCK < N * K * D  # the data themselves, and one block of features
    with Largest() as density:
        model.log_prob(x)
    assert N * D <= density.numbers <= 2 * N * D


class CtrlC(TorchDispatchMode):
    """Ctrl-C in the E step of this number: each takes one maximum where all points are one block."""

    def __init__(self, step):
        super().__init__()
        self.left = step

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func is torch.ops.aten.amax.default:
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt
        return func(*args, **(kwargs or {}))


def test_ctrl_c_keeps_what_the_last_step_found(capsys):
    x = clouds()
    expected, whole = fitted(x, 4, max_steps=3, tolerance=0)
    with CtrlC(4):
        model, history = fitted(x, 4, max_steps=50, tolerance=0)
    assert "stopped after step 3 of 50" in capsys.readouterr().out
    assert history.loss == whole.loss and history.steps == 50
    assert torch.equal(model.mean, expected.mean) and torch.equal(model.covariance_, expected.covariance_)
    with CtrlC(1):
        model, history = fitted(x, 4)
    assert "stopped after step 0 of" in capsys.readouterr().out
    assert history.loss == [] and model.log_prob(x).isfinite().all(), "the start is left"


# --- what makes no sense ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ((0,), "n_components: expected a whole number ≥ 1, got 0"),
        ((2.0,), r"n_components: expected a whole number ≥ 1, got float 2\.0"),
        ((3, "tied"), "covariance: expected one of 'full', 'diagonal', 'spherical', got 'tied'"),
    ],
)
def test_mixtures_that_cannot_be_are_refused(settings, says):
    with pytest.raises((TypeError, ValueError), match=says):
        GaussianMixtureConfig(*settings)


def spoilt(value, row=7):
    x = clouds(40)
    x[row, 1] = value
    return x


@pytest.mark.parametrize(
    ("x", "error", "says"),
    [
        (clouds(2), ValueError, "at least 3 points, one a component, got 2"),
        (clouds(40) * torch.tensor([0, 1, 0]) + 1e6, ValueError, r"columns that vary, got constant ones \(0, 2\)"),
        (torch.full((40, 2), 0.1), ValueError, r"columns that vary, got constant ones \(0, 1\)"),
        (clouds(40) * 1e200, ValueError, "squares are finite too, got larger ones"),
        (spoilt(math.nan), ValueError, r"expected finite numbers, got \[.*nan.*\] in row 7"),
        (spoilt(-math.inf, 0), ValueError, r"expected finite numbers, got \[.*-inf.*\] in row 0"),
        (clouds(40)[:, 0], ValueError, r"expected shape \(N, D\), got \(40,\)"),
        (clouds(40).long(), TypeError, r"expected a floating-point tensor, got torch.int64; x.float\(\)"),
        (clouds(40).tolist(), TypeError, "expected a torch.Tensor, got list"),
    ],
)
def test_data_without_a_density_are_refused(x, error, says):
    model = GaussianMixture(GaussianMixtureConfig(3))
    with pytest.raises(error, match=f"x: .*{says}"):
        model.fit(x, generator=make_generator(0))
    assert model.mean.numel() == 0, "and it is as it was"


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"max_steps": 0}, "max_steps: expected a whole number ≥ 1, got 0"),
        ({"restarts": 2.5}, "restarts: expected a whole number ≥ 1, got float 2.5"),
        *(({"tolerance": t}, f"expected tolerance ≥ 0 .* got {t} and") for t in (-1e-9, math.nan)),
        *(({"floor": f}, f"floor from 1e-4 to 1, got .* and {f}") for f in (9e-5, 1, math.nan)),
        ({"init": "kmeans"}, "init: expected one of 'k-means\\+\\+', 'points', got 'kmeans'"),
        ({"init": first_guess(clouds(), 3, "full"), "restarts": 2}, "restarts: expected 1"),
    ],
    ids=lambda s: str(s)[:40],
)
def test_wrong_settings_are_refused(settings, says):
    with pytest.raises((TypeError, ValueError), match=says):
        fitted(clouds(40), 3, **settings)


def with_entry(t, place, value):
    t = t.clone()
    t[place] = value
    return t


EYES = torch.eye(3).double().expand(3, 3, 3)
NO_MIXTURES = {
    "weights that sum to 3": ("full", 0, torch.zeros(3), ValueError, "weights exp.log_pi. that sum to 1"),
    "weights that are nan": ("full", 0, torch.full((3,), math.nan), ValueError, "that sum to 1"),
    "too few weights": ("full", 0, torch.tensor([0.5, 0.5]).log(), ValueError, "(log_pi|mean): expected shape"),
    "means of integers": ("full", 1, torch.zeros(3, 3).long(), TypeError, "mean: expected a floating-point"),
    "means of another K": ("full", 1, torch.zeros(4, 3), ValueError, r"mean: expected shape \(3, D|3\), got \(4, 3\)"),
    "a singular covariance": (
        "full",
        2,
        with_entry(EYES, 1, torch.ones(3, 3).double() + torch.diag(torch.tensor([1.0, 0, 0])).double()),
        ValueError,
        r"covariance_\[1\]: expected variances > 0 in every direction",
    ),
    "a negative direction": ("full", 2, with_entry(EYES, (2, 1, 1), -0.1), ValueError, r"covariance_\[2\]: .*-0.1"),
    "an asymmetric covariance": ("full", 2, with_entry(EYES, (1, 0, 2), 0.1), ValueError, "symmetric"),
    "an infinite matrix": ("full", 2, with_entry(EYES, (0, 1, 1), math.inf), ValueError, "finite means and"),
    "a variance of 0": ("diagonal", 2, with_entry(torch.ones(3, 3), (1, 0), 0), ValueError, r"covariance_\[1\]"),
    "full ones for diagonal": ("diagonal", 2, EYES, ValueError, r"ce_: expected shape \(3, 3\), got \(3, 3, 3\)"),
}


@pytest.mark.parametrize("what", NO_MIXTURES)
def test_parameters_of_no_mixture_are_refused_as_a_start_and_as_a_model(what):
    kind, place, wrong, error, says = NO_MIXTURES[what]
    right = [torch.full((3,), 1 / 3).log(), torch.zeros(3, 3), EYES]
    if kind == "diagonal":
        right[2] = torch.ones(3, 3)
    GaussianMixture.of(*right, covariance=kind)
    fitted(clouds(40), 3, kind, init=tuple(right))
    parameters = [*right[:place], wrong, *right[place + 1 :]]
    with pytest.raises(error, match=says):
        GaussianMixture.of(*parameters, covariance=kind)
    with pytest.raises(error, match=says):
        fitted(clouds(40), 3, kind, init=tuple(parameters))


def test_a_start_in_other_dimensions_than_the_data_is_refused():
    with pytest.raises(ValueError, match=r"mean: expected shape \(3, 2\), got \(3, 3\)"):
        fitted(clouds(40, 4)[:, :2], 3, init=first_guess(clouds(), 3, "full"))


def test_before_it_knows_its_parameters_it_says_what_to_do():
    model = GaussianMixture(GaussianMixtureConfig(3))
    for act in (
        lambda: model.log_prob(clouds()),
        lambda: model.responsibilities(clouds()),
        lambda: model.sample(3, generator=make_generator(0)),
    ):
        with pytest.raises(RuntimeError, match=r"no parameters yet: call fit\(x, generator=…\)"):
            act()


def test_points_in_other_dimensions_and_no_samples_are_refused():
    model = some(3, 3, "full")
    for method in model.log_prob, model.responsibilities:
        with pytest.raises(ValueError, match=r"x: expected shape \(B, 3\), got \(5, 2\)"):
            method(torch.zeros(5, 2))
        with pytest.raises(TypeError, match=r"x: expected a floating-point tensor, got torch.int64"):
            method(torch.zeros(5, 3, dtype=torch.long))
    with pytest.raises(ValueError, match="n: expected a whole number ≥ 1, got 0"):
        model.sample(0, generator=make_generator(0))
