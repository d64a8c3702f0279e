"""The comparison of chapter 7's decoders: what each sees, what each measure says, and that a run can be stopped."""

import json
import math
from importlib import import_module
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from test_benchmark_train import ROOT

from course_lib.device import make_generator
from course_lib.models.vae import VAE, VAEConfig

TINY = {
    "steps": 4,
    "draws": 30,
    "samples": 4,
    "few_samples": 2,
    "K": [1, 2, 4],
    "refining_steps": 3,
    "grid_step": 0.5,
    "epochs": 1,
    "collapse_samples": 2,
    "budgets": [0.05],
}
# a job of every kind, two where two ways lead through it; and what its rows must say beside the common fields
JOBS = {
    ("table", ("floors",)): {"refused", "refused_drawn", "digits", "copies"},
    ("table", ("plain",)): {"refused", "refused_drawn", "rebuilt_test", "steps", "lr"},
    ("table", ("learnt sigma",)): {"refused", "refused_drawn", "copies_drawn", "digits_drawn", "schedule"},
    ("gap", ("two latents",)): {"K", "first", "second", "from_refined", "elbo", "refined", "exact", "coarse"},
    ("told", ("full",)): {way + drawn for way in ("histogram", "pixels", "network") for drawn in ("", "_drawn")},
    ("pixel", ("full",)): {f"auc_{score}{part}" for score in ("code", "bound") for part in ("", "_inked", "_wiped")},
    ("beta", (0.1,)): {"beta", "knows", "active", "nats_test", "bound", "kl"},
    ("memory", (50, 16)): {"stopped", "seen", "new", "home", "home_self", "test_self", "copies", "copies_new"},
    ("collapse", ("PixelCNN 2", True, "annealed")): {
        "kl",
        "knows",
        "active",
        "label_mu",
        "label_code",
        "best_step",
        "bound",
    },
    ("collapse", ("four neighbours", False, "")): {"exact", "exact_valid", "refused_drawn"},
    ("depth", (4, 0.05, 1e-3)): {"left_over", "left_over_drawn", "nats_test", "refused_drawn", "best_step"},
    ("collapse", ("Gated PixelCNN", True, "hidden")): {"kl", "refused", "refused_drawn"},
    ("rate", ("sigma = 1", 3e-3, 5)): {"model", "times", "nats_test", "refused_drawn", "best_step"},
    ("rate", ("plain", 6e-3, 1)): {"model", "times", "codes", "refused_drawn"},
}


@pytest.fixture(scope="module")
def bench():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "benchmarks"))
        yield import_module("decoders")


@pytest.fixture(scope="module")
def of(bench):
    return import_module("recipes.decoders")


def some(*sizes, levels=17, seed=0):
    return torch.randint(levels, sizes, generator=make_generator(seed))


# --- the models --------------------------------------------------------------------------------------------------


def seen(model, z, i=4, j=3):
    """(8, 8) bool: where another level would change what the model says of pixel (i, j)."""
    x = some(1, 1, 8, 8)
    others = x.repeat(64, 1, 1, 1)
    others.view(64, 64).fill_diagonal_(0)
    others.view(64, 64)[torch.arange(64), torch.arange(64)] = (x.flatten() + 8) % 17
    logits = model.logits(model.look(torch.cat([x, others])) + (0 if z is None else model.told(z)))[:, 0, i, j]
    return ((logits[1:] - logits[0]).abs().amax(1) > 1e-6).view(8, 8)


@pytest.mark.parametrize("told", [True, False])
def test_each_decoder_sees_what_its_name_says_and_each_sees_more(of, told):
    fields, z = {}, torch.randn(1, 16, generator=make_generator(1)) if told else None
    for sight in of.SIGHTS:
        model = of.painter(sight, latent=16 * told, generator=make_generator(0))
        fields[sight] = seen(model, z)
    before = torch.arange(64).view(8, 8) < 4 * 8 + 3
    counts = [int(field.sum()) for field in fields.values()]
    assert counts[:3] == [0, 1, 4] and counts == sorted(counts) and counts[3] > 20 and counts[5] == 35
    assert not any((field & ~before).any() for field in fields.values())
    assert fields["left"][4, 2] and fields["four neighbours"][3, 4]


@pytest.mark.parametrize("same", [False, True])
@pytest.mark.parametrize("sight", ["nothing", "four neighbours", "PixelCNN 2", "Gated PixelCNN"])
def test_painting_step_by_step_says_what_the_whole_image_says(of, sight, same):
    model = of.painter(sight, same=same, generator=make_generator(0)).eval()
    with torch.no_grad():
        model.place.normal_(generator=make_generator(3))
        model.tell.weight.mul_(5)
        z = 3 * torch.randn(6, 16, generator=make_generator(1))
        x = model.paint(6, z)
        logits = model.logits(model.look(x) + model.told(z))
        assert torch.equal(logits.argmax(-1), x), "the likeliest, given those before and the code"
        other = model.paint(6, z.flip(0))
        assert not torch.equal(other, x) and torch.equal(other.flip(0), x), "and each code has its own"


def test_hidden_pixels_are_hidden_in_training_alone(of):
    model = of.painter("Gated PixelCNN", latent=0, hidden=0.5, generator=make_generator(0))
    x = some(50, 1, 8, 8)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        assert model.half_blank(x).sum().item() == pytest.approx(50 * 64 / 2, rel=0.1)
    assert model.eval().half_blank(x).sum().item() == 50 * 64


@pytest.mark.parametrize("sight", ["four neighbours", "Gated PixelCNN"])
def test_the_bound_that_looks_once_is_the_librarys(of, sight):
    model = of.SightedVAE(sight, generator=make_generator(0)).eval()
    x = some(5, 1, 8, 8)
    with torch.no_grad():
        ours = model.log_prob_bound(x, samples=1, generator=make_generator(1))
        theirs = VAE.log_prob_bound(model, x, samples=1, generator=make_generator(1))
        assert torch.allclose(ours, theirs, atol=1e-3)
        first, more = (model.log_prob_bound(x, samples=n, generator=make_generator(1)).mean() for n in (1, 200))
    assert more > first


def test_a_step_of_the_ladder_is_one_change(of):
    rungs = list(of.LADDER.values())
    changes = [{part for part in vars(a) if getattr(a, part) != getattr(b, part)} for a, b in pairwise(rungs)]
    assert changes == [{"kind"}, {"lr", "schedule"}, {"features", "depth"}, {"dropout"}, {"tones"}]
    model = of.LADDER["sigma = 1"].begin(make_generator(0))
    mu, log_var = model.encoder(some(3, 1, 8, 8))
    assert not log_var.any() and mu.std() > 0
    kl = model.bound_terms(some(3, 1, 8, 8), generator=make_generator(0))[1]
    assert torch.allclose(kl, mu.square().sum(1) / 2, atol=1e-5), "the leash"


def test_a_training_stops_at_its_best_and_a_warm_one_begins_without_the_leash(of):
    x, weights = some(20, 1, 8, 8), []
    model = of.LADDER["learnt sigma"].begin(make_generator(0))

    def loss(model, x, *, generator, weight):
        weights.append(weight)
        return of.minus_elbo(model, x, generator=generator, weight=weight)

    step, state = of.learn(
        model,
        x,
        loss,
        steps=40,
        lr=3e-2,
        generator=make_generator(0),
        valid=some(20, 1, 8, 8, seed=1),
        looks=10,
        warm=0.5,
    )
    assert step % 4 == 0 and 0 < step < 40, "of random images the first look is as good as it gets, or nearly"
    assert weights[0] == 1 / 20 and 1.0 in weights and sorted(weights[:4]) == weights[:4]
    moved = any(not torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert moved, "it went on, and the state that was kept did not"


# --- the measures ------------------------------------------------------------------------------------------------


def test_different_digits_are_counted_by_their_shares(of):
    assert of.different(torch.arange(10).repeat(3)) == pytest.approx(10)
    assert of.different(torch.tensor([3, 3, 3, -1])) == pytest.approx(1)
    assert of.different(torch.tensor([0, 0, 1, 1, -1])) == pytest.approx(2)


@pytest.fixture
def plane():
    return VAE(VAEConfig(latent=2, features=8, depth=1, tones=0), generator=make_generator(0)).eval()


def test_the_grid_is_the_integral(of, plane):
    x = some(3, 1, 8, 8)
    with torch.no_grad():
        plane.decoder_net[-1].weight.mul_(3)
        bound = plane.log_prob_bound(x, samples=4000, generator=make_generator(1))
    assert torch.allclose(of.on_a_grid(plane, x, step=0.1), -bound, atol=0.15)
    with torch.no_grad():
        plane.decoder_net[-1].weight.zero_()  # the code says nothing, and the integral is the prior's
        nats = -plane.log_likelihood(x, torch.zeros(3, 2))
    assert torch.allclose(of.on_a_grid(plane, x, step=0.1), nats, atol=1e-3)


def test_bounds_of_groups_and_the_refined_answer(of, plane):
    x, noise = some(10, 1, 8, 8), make_generator(1)
    with torch.no_grad():
        log_w = of.log_weights(plane, x, plane.encoder(x), 64, noise)
    assert log_w.shape == (64, 10)
    assert of.bound_of(log_w, 64) == pytest.approx((log_w.logsumexp(0) - math.log(64)).mean().item(), abs=1e-4)
    bounds = [of.bound_of(log_w, K) for K in (1, 4, 16, 64)]
    assert bounds == sorted(bounds), "Jensen, for the very same weights"
    with torch.no_grad():
        plane.decoder_net[-1].weight.mul_(5)
        plane.encoder_net[-1].bias.fill_(2.0)  # an answer that is wrong on purpose
        before = of.elbo_at(plane, x, *plane.encoder(x), noise).mean()
    q = of.refined(plane, x, steps=150, generator=noise)
    with torch.no_grad():
        assert of.elbo_at(plane, x, *q, noise).mean() > before + 1
    assert all(weight.requires_grad for weight in plane.parameters())


def test_histogram_and_pixels_see_no_relation_and_the_network_does(of):
    def pairs(n, alike, seed):  # every level and every pixel is as frequent in both; neighbours are alike, or not
        x = some(n, 1, 8, 4, levels=2, seed=seed)
        other = x if alike else some(n, 1, 8, 4, levels=2, seed=seed + 1)
        return 16 * torch.stack([x, other], 4).flatten(3)

    train, test = ((pairs(n, True, seed), pairs(n, False, seed + 2)) for n, seed in ((600, 0), (300, 9)))
    right = of.told_apart(train, test, make_generator(0))
    assert right["network"] > 0.9 and abs(right["pixels"] - 0.5) < 0.08
    faint = train[1].clamp(max=15), test[1].clamp(max=15)
    assert (
        of.told_apart((train[0], faint[0]), (test[0], faint[1]), make_generator(0), ["histogram"])["histogram"] > 0.99
    )


def test_densities_of_codes(of):
    z = torch.randn(400, 3, generator=make_generator(0)) @ torch.tensor([[2.0, 1, 0], [0, 1, 0], [0, 0, 0.1]]) + 5
    for density, near in ((of.gaussian_of, 0.6), (of.mixture_of, 0.6), (of.own_of, 0.6)):
        drawn = density(z, make_generator(1))(4000)
        assert (torch.cov(drawn.T) - torch.cov(z.T)).abs().max() < near and drawn.dtype == torch.float32
    boxed = of.box_of(z, make_generator(1))(4000)
    assert (boxed >= z.amin(0)).all() and (boxed <= z.amax(0)).all() and boxed.std() > 0
    assert (of.own_of(z, make_generator(1))(50)[:, None] == z).all(2).any(1).all()


def test_what_is_left_over(of, plane):
    z = torch.randn(400, 2, generator=make_generator(1))
    drawn = plane.observe(z, generator=make_generator(2))
    assert abs(of.residual_correlation(plane, drawn, z)) < 0.05, "given the code, pixels are independent"
    striped = some(400, 1, 1, 8).expand(-1, -1, 8, -1)
    assert of.residual_correlation(plane, striped, z) > 0.9


def test_a_code_that_is_the_image_is_known_and_one_that_is_the_prior_is_not(of, plane):
    x = some(40, 1, 8, 8)
    plane.encoder = lambda x: (100.0 * torch.arange(len(x))[:, None].expand(-1, 2), torch.zeros(len(x), 2))
    assert of.knows(plane, x, make_generator(0)) == pytest.approx(math.log(40), abs=1e-3)
    plane.encoder = lambda x: (torch.zeros(len(x), 2), torch.zeros(len(x), 2))
    assert of.knows(plane, x, make_generator(0)) == pytest.approx(0, abs=1e-5)


def test_one_pixel_is_changed_and_priced(bench):
    model = VAE(VAEConfig(features=8, depth=1), generator=make_generator(0)).eval()
    x = some(3, 1, 8, 8)
    variants, levels, price = bench.changed(model, x)
    differs = variants != x[:, None]
    # a pixel at 0 goes to 16, and one at 16 to 0: no variant is the image itself
    assert variants.shape == (3, 64, 1, 8, 8) and (differs.flatten(2).sum(2) == 1).all()
    assert torch.equal(differs.flatten(2), torch.eye(64, dtype=torch.bool).expand(3, -1, -1))
    assert torch.equal((variants - x[:, None]).flatten(2).sum(2), levels)
    with torch.no_grad():
        z = model.encoder(x)[0]
        by_hand = model.log_likelihood(x, z) - model.log_likelihood(variants[:, 20], z)
    assert torch.allclose(price[:, 20], by_hand, atol=1e-4)


def test_within_compares_a_digit_with_itself_alone(bench):
    refused = torch.tensor([[True, False, False], [True, True, False], [False, False, False]])
    values = torch.tensor([[3.0, 1, 2], [30, 40, 50], [0, 0, 0]])
    every = torch.ones_like(refused)
    assert bench.within(refused, values, every) == 0.5, "right in one, wrong in the other; the third has no say"
    assert bench.within(refused[:1], values[:1], every[:1]) == 1
    assert bench.within(refused, values, torch.tensor([[True, True, False], [False] * 3, [True] * 3])) == 1


# --- the command -------------------------------------------------------------------------------------------------


@pytest.fixture
def tiny(bench, monkeypatch):
    monkeypatch.setattr(bench, "SETTINGS", bench.SETTINGS | TINY)
    every = bench.wanted(seeds=[0])
    jobs = [(kind, list(job), 0) for kind, job in JOBS]
    assert all(job in every for job in jobs)
    monkeypatch.setattr(bench, "wanted", lambda kinds, seeds: jobs)
    return jobs


def test_a_run_stores_job_by_job_and_goes_on_with_what_is_missing(bench, tiny, tmp_path, monkeypatch, capsys):
    path, before = tmp_path / "decoders.json", bench.table

    def stop(trial, name):
        if name == "plain":
            raise KeyboardInterrupt
        yield from before(trial, name)

    monkeypatch.setitem(bench.KINDS, "table", stop)
    with pytest.raises(KeyboardInterrupt):
        bench.main([], path, share=10)
    first = json.loads(path.read_text("utf-8"))["rows"]
    assert [row["name"] for row in first] == ["real digits", "pixel histograms"]
    monkeypatch.setitem(bench.KINDS, "table", before)
    bench.main([], path, share=10)
    found = json.loads(path.read_text("utf-8"))
    assert found["rows"][:2] == first and found["settings"] == bench.SETTINGS
    made = [(row["kind"], row["job"], row["seed"]) for row in found["rows"]]
    assert [at for n, at in enumerate(made) if n == 0 or made[n - 1] != at] == tiny, "in order, and each once"
    names = [(row["kind"], row["name"]) for row in found["rows"]]
    assert len(set(names)) == len(names)
    for row in found["rows"]:
        fields = JOBS[row["kind"], tuple(row["job"])]
        assert fields <= row.keys() or row["name"] == "pixel histograms", row["name"]
        assert all(math.isfinite(value) for value in row.values() if isinstance(value, float)), row
    codes = [row["name"] for row in found["rows"] if row["job"] == ["plain"]]
    assert codes == [f"plain, {way}" for way in ("box", "Gaussian", "mixture", "own codes")]
    bench.main([], path, share=10)
    assert json.loads(path.read_text("utf-8"))["rows"] == found["rows"], "nothing is trained again"
    monkeypatch.setattr(bench, "SETTINGS", bench.SETTINGS | {"draws": 31})
    with pytest.raises(ValueError, match=r"rows of other settings.*--fresh replaces them"):
        bench.main([], path, share=10)


def test_a_job_comes_out_the_same_whatever_was_measured_before(bench, tiny):
    def row():
        trial.begin("beta")
        return list(bench.beta(trial, 1))

    trial = bench.Trial(0, share=10)
    first = row()
    list(bench.table(trial, "floors"))
    assert row() == first


def test_pixel_histograms_cost_what_counting_says(bench, tiny):
    trial = bench.Trial(0, share=10)
    _, row = bench.table(trial, "floors")
    counts = F.one_hot(trial.x, 17).sum(0) + 0.5  # (1, 8, 8, 17)
    share = (counts / counts.sum(-1, keepdim=True)).expand(len(trial.test), -1, -1, -1, -1)
    nats = -share.gather(4, trial.test[..., None]).log().flatten(1).sum(1)
    assert row["exact"] == pytest.approx(nats.mean().item(), abs=1e-3)


def test_the_timing_keeps_the_rows(bench, tmp_path, monkeypatch):
    path = tmp_path / "decoders.json"
    path.write_text(json.dumps({"settings": bench.SETTINGS, "rows": [{"name": "some"}]}), "utf-8")
    monkeypatch.setattr(bench, "timed", lambda: {"1": 1.5})
    bench.main(["--time"], path)
    found = json.loads(path.read_text("utf-8"))
    assert found["rows"] == [{"name": "some"}] and found["timed"] == {"1": 1.5}


def test_the_jobs_are_told_apart_and_the_essential_come_first(bench):
    jobs = bench.wanted()
    assert len({json.dumps(job) for job in jobs}) == len(jobs)
    first = [kind for kind, _, seed in jobs if seed == 0]
    assert [kind for kind, *_ in jobs[: len(first)]] == first and set(first) == set(bench.KINDS)
    later = [(kind not in bench.ESSENTIAL, seed) for kind, _, seed in jobs[len(first) :]]
    assert later == sorted(later) and {seed for _, seed in later} == {1, 2, 3, 4}
    assert bench.wanted(["told"], [1]) == [("told", ["full"], 1)]


def test_what_is_stored_is_what_the_command_makes(bench):
    found = json.loads(bench.RESULTS.read_text("utf-8"))
    assert found["command"] == "python benchmarks/decoders.py" and found["settings"] == bench.SETTINGS
    jobs = [[row["kind"], row["job"], row["seed"]] for row in found["rows"]]
    wanted = [list(job) for job in bench.wanted()]
    assert all(job in wanted for job in jobs)
    at = [(row["kind"], row["name"], row["seed"]) for row in found["rows"]]
    assert len(set(at)) == len(at)
