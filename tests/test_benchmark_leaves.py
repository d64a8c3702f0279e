"""The comparison of the leaves at tiny sizes: its measures against what can be worked out, and that a run resumes."""

import json
import math
from importlib import import_module

import pytest
import torch
from scipy.stats import norm
from test_benchmark_train import ROOT

from course_lib.data import load_plane
from course_lib.device import make_generator

TINY = {
    "points": 300,
    "spline_steps": 2,
    "affine_steps": 2,
    "machine_steps": 4,
    "looks": 4,
    "draws": 40,
    "chains": 8,
    "chain_steps": 12,
    "draw_steps": 3,
    "annealing": [2, 5],
    "net_steps": 2,
    "longer": 2,
}


@pytest.fixture(scope="module")
def bench():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "benchmarks"))
        yield import_module("leaves")


@pytest.fixture(scope="module")
def of(bench):
    return import_module("recipes.leaves")


@pytest.fixture
def tiny(bench, of, monkeypatch):
    monkeypatch.setattr(of, "MANY", {"points": 2, "codes": 2, "chains": 4, "temperatures": 5})
    steps = dict.fromkeys(bench.SETTINGS["steps"], 4)
    monkeypatch.setattr(bench, "SETTINGS", bench.SETTINGS | TINY | {"steps": steps})
    return bench


# --- measures, against what can be worked out ----------------------------------------------------------------------


def test_a_density_against_itself_costs_nothing_and_against_a_gaussian_what_the_formula_says(bench):
    ring = load_plane("ring")
    itself = bench.against(ring, lambda x: ring.log_prob(x))
    assert itself["kl"] == pytest.approx(0, abs=1e-5) and itself["mass"] == pytest.approx(1, abs=1e-3)

    class Bell:
        def log_prob(self, x):
            return -x.square().sum(1) / 2 - math.log(2 * math.pi)

    def wide(x):  # N(0, 1.5²) each
        return -x.square().sum(1) / (2 * 1.5**2) - math.log(2 * math.pi * 1.5**2)

    kl = 2 * (math.log(1.5) + 1 / (2 * 1.5**2) - 0.5)
    found = bench.against(Bell(), wide)
    assert found["kl"] == pytest.approx(kl, abs=1e-3)
    assert found["mass"] == pytest.approx((1 - 2 * norm.sf(5 / 1.5)) ** 2, abs=1e-3)


def test_cells_of_the_plane_are_cut_where_they_should_be(bench):
    x = torch.tensor([[-5.0, 4.99], [0.01, -0.01], [-4.84, -4.85], [5.1, 0.0]])
    cells, inside = bench.cut(x)
    assert cells[1].tolist() == [32, 31] and cells[2].tolist() == [1, 0] and cells[0].tolist() == [0, 63]
    assert inside.tolist() == [False, True, True, False]


def test_a_mixture_is_a_probability_learns_and_draws_by_it(of):
    x = torch.tensor([[0, 0, 0], [0, 0, 0], [1, 1, 1], [1, 1, 0]]).repeat(50, 1)
    apart, two = of.Blobs(x, 1, make_generator(0)), of.Blobs(x, 2, make_generator(6))  # its starts are two images
    every = torch.cartesian_prod(*[torch.arange(2)] * 3)
    for one in (apart, two):
        assert (-one.nats(every)).exp().sum().item() == pytest.approx(1)
        drawn = one.sample(8000, make_generator(1)) @ torch.tensor([4, 2, 1])
        share = torch.bincount(drawn, minlength=8) / 8000
        torch.testing.assert_close(share.double(), (-one.nats(every)).exp(), atol=0.02, rtol=0)
    assert apart.p[0].tolist() == pytest.approx([0.5, 0.5, 0.25], abs=0.01)
    assert two.nats(x).mean() < apart.nats(x).mean() - 0.8


def test_digits_are_binary_at_half_the_ink(of):
    x, y = of.binary_digits()
    assert {split: tuple(part.shape) for split, part in x.items()} == {
        "train": (1000, 64),
        "valid": (350, 64),
        "test": (447, 64),
    }
    assert len(y["test"]) == 447 and x["train"].unique().tolist() == [0, 1]
    assert of.images(x["test"]).unique().tolist() == [0, 16]


def test_looks_are_of_one_training_and_looking_changes_nothing(of):
    x, _ = of.binary_digits()
    looks = of.looks_at(of.families(0, 5)["belief net"](), x, [1, 2, 4], 0)
    (straight,) = of.looks_at(of.families(0, 5)["belief net"](), x, [4], 0)
    assert [look.steps for look in looks] == [1, 2, 4]
    assert looks[2].valid == straight.valid < looks[1].valid < looks[0].valid
    assert all(torch.equal(looks[2].state[name], straight.state[name]) for name in straight.state)


def test_copies_are_copies_and_what_is_even_is_even(bench):
    trial = bench.Trial(0)
    trial.__dict__["net"] = torch.nn.Module()
    trial.net.log_prob = lambda x: -x.sum(1).double()
    worth = trial.worth(trial.x["train"][:300])
    assert worth["copies"] == 1 and worth["near"] == pytest.approx(0, abs=1e-3) and worth["evenness"] < 0.05
    assert worth["under_net"] == pytest.approx(trial.x["train"][:300].sum(1).double().mean().item())
    flipped = trial.x["train"][:300].clone()
    flipped[:, 0] = 1 - flipped[:, 0]
    assert trial.worth(flipped)["near"] == pytest.approx(1, abs=0.01)
    one = trial.worth(trial.x["train"][:1].expand(50, -1))
    assert one["evenness"] == pytest.approx(math.log(10)), "one digit for ever"


def test_a_machine_of_scikit_learn_reads_as_one_of_ours(bench, tiny):
    """Its free energy of an image is ours."""
    from sklearn.neural_network import BernoulliRBM

    trial = bench.Trial(0)
    rbm = BernoulliRBM(5, n_iter=2, random_state=0).fit(trial.x["train"].numpy()[:200])
    machine = bench.read(rbm)
    x = trial.x["test"][:50]
    expected = rbm._free_energy(x.numpy().astype("float64")).tolist()
    assert machine.free_energy(x).tolist() == pytest.approx(expected, abs=1e-3)
    best, seconds = bench.theirs(trial, 5, 0.05, 0.05)
    assert seconds >= 0.05 and best.weight.abs().max() > 0.01


# --- the command ---------------------------------------------------------------------------------------------------

DRAWN = {"refused", "evenness", "copies", "near", "under_net", "passes", "pass_seconds_a_million", "zeros_settled"}


@pytest.mark.slow
def test_a_run_stores_job_by_job_and_goes_on_with_what_is_missing(tiny, tmp_path, monkeypatch, capsys):
    path, before = tmp_path / "leaves.json", tiny.boltzmann

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(tiny, "DENSITIES", ("moons",))
    monkeypatch.setitem(tiny.KINDS, "boltzmann", stop)
    with pytest.raises(KeyboardInterrupt):
        tiny.main(["--seeds", "0"], path)
    first = json.loads(path.read_text("utf-8"))["rows"]
    assert {row["kind"] for row in first} == {"judged", "digits"}
    monkeypatch.setitem(tiny.KINDS, "boltzmann", before)
    tiny.main(["--seeds", "0"], path)
    found = json.loads(path.read_text("utf-8"))
    assert found["rows"][: len(first)] == first
    rows = {kind: [row for row in found["rows"] if row["kind"] == kind] for kind in tiny.KINDS}
    assert [row["name"] for row in rows["plane"]] == [
        f"{model}, moons" for model in ("spline", "affine", "belief net", "Gaussian")
    ]
    assert len(rows["boltzmann"]) == 12 and all(row["error"] > 0 for row in rows["boltzmann"])
    digits = {(row["name"], row["budget"]): row for row in rows["digits"]}
    assert digits.keys() == {(name, budget) for name in tiny.SETTINGS["steps"] for budget in (1, 4)}
    assert all(digits[name, 4].keys() >= DRAWN for name in tiny.SETTINGS["steps"])
    for name in ("RBM, 16 hidden", "GSN"):
        row = digits[name, 4]
        assert list(row["settled"]) == list(row["zeros"]) == ["1", "3", "10"] and row["r_hat"] > 0.9
    assert list(digits["RBM, 16 hidden", 4]["annealing"]) == ["2", "5"]
    assert all("test" not in digits[name, 4] for name in ("GSN", "GSN, walkback", "GAN"))
    assert [row["budget"] for row in rows["long"]] == [8, 8]
    tiny.main(["--seeds", "0"], path)
    assert json.loads(path.read_text("utf-8"))["rows"] == found["rows"], "nothing is trained again"
    monkeypatch.setitem(tiny.SETTINGS, "draws", 41)
    with pytest.raises(SystemExit, match="rows of other settings"):
        tiny.main(["--seeds", "0"], path)
    capsys.readouterr()


def test_what_is_long_comes_last_and_once(bench):
    jobs = bench.wanted(list(bench.KINDS), [0, 1, 2])
    assert len({json.dumps(job) for job in jobs}) == len(jobs)
    assert [job for job in jobs if job[0] == "long"] == jobs[-2:] == [("long", ["flow"], 0), ("long", ["VAE"], 0)]


def test_what_is_stored_is_what_the_command_makes(bench):
    found = json.loads(bench.RESULTS.read_text("utf-8"))
    assert found["command"] == "python benchmarks/leaves.py" and found["settings"] == bench.SETTINGS
    wanted = [list(job) for job in bench.wanted(list(bench.KINDS), [0, 1, 2])]
    assert all([row["kind"], row["job"], row["seed"]] in wanted for row in found["rows"])
    at = [(row["kind"], row["name"], row.get("budget"), row["seed"]) for row in found["rows"]]
    assert len(set(at)) == len(at)
