"""The benchmark of games: what its loop plays, what each measure says, that it goes on, and what its table counts."""

import json
import math
from dataclasses import replace
from importlib import import_module
from types import SimpleNamespace

import pytest
import torch
from test_benchmark_train import ROOT

from course_lib.data import load_plane
from course_lib.device import make_generator
from course_lib.models.gan import Generator
from course_lib.train import NotFinite, fit_gan

TINY = {
    "points": 200,
    "batch_size": 8,
    "features": 4,
    "draws": 60,
    "draws_all": 80,
    "draws_energy": 30,
    "looks": 4,
    "batch_size_fresh": 8,
    "starts": 10,
    "steps": {"ring": 8, "grid": 6, "signal": 16, "contest": 4, "fresh": 3, "still": 3},
}
END = {"reached", "high_quality", "reverse_kl", "log_prob", "log_prob_truth", "spread", "js", "energy", "seconds"}
FOOLED = {where + part for where in ("sure", "above") for part in ("", "_inside", "_distance")} | {"auc_gap", "best"}
JOBS = {  # a job of every kind, and more where other ways lead through it; what its last row must say
    ("recipe", ("packing 2", "ring")): FOOLED | {"real_sure"},
    ("still", ("noise", "grid")): FOOLED,
    ("still", ("in the game", "ring")): FOOLED,
    ("signal", ("plain", "ring")): END | {"watched", "tells"},
    ("signal", ("critic, 5 turns", "grid")): END | {"watched", "tells"},
    ("signal", ("VAE", "ring")): END | {"watched", "tells", "minus_elbo"},
    ("across", ("stable", 4)): END | {"features", "estimate", "fresh", "generator"},
    ("across", ("VAE", 8)): END | {"features", "estimate", "minus_elbo"},
    ("contest", ("plain", 0.1, 2)): END | {"ratio", "seen"},
    ("control", ("spectral norm for R1", "grid")): END | {"times"},
}


@pytest.fixture(scope="module")
def bench():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "benchmarks"))
        yield import_module("games")


@pytest.fixture(scope="module")
def of(bench):
    return import_module("recipes.games")


@pytest.fixture
def tiny(bench, monkeypatch):
    monkeypatch.setattr(bench, "SETTINGS", bench.SETTINGS | TINY)
    return bench


def some(*shape, seed=0):
    return torch.randn(*shape, generator=make_generator(seed))


# --- the recipes and the loop ------------------------------------------------------------------------------------


def test_a_recipe_differs_from_another_in_what_its_name_says(of):
    def changes(one, other):
        return {name for name in vars(one) if vars(one)[name] != vars(other)[name]}

    single = {"minimax": "game", "R1": "r1", "spectral norm": "spectral", "noise": "noise", "packing 2": "packing"}
    single |= {"momentum": "momentum", "falling rate": "schedule", "fast": "lr"}
    assert {name: changes(of.RECIPES["plain"], of.RECIPES[name]) for name in single} == {
        name: {what} for name, what in single.items()
    }
    assert changes(of.RECIPES["fast"], of.RECIPES["fast, R1"]) == {"r1"}
    assert changes(of.RECIPES["fast"], of.RECIPES["fast, falling rate"]) == {"schedule"}
    assert changes(of.RECIPES["stable"], of.RECIPES["fast, R1"]) == {"schedule"}
    assert changes(of.RECIPES["stable"], of.RECIPES["fast, falling rate"]) == {"r1"}
    for name in ("spectral norm", "noise", "packing 2"):
        assert changes(of.CONTROLS[f"{name} for R1"][0], of.RECIPES["stable"]) == {"r1", single[name]}
    assert changes(of.CONTROLS["stable, minimax"][0], of.RECIPES["stable"]) == {"game"}
    assert changes(of.SIGNALS["stable"][0], of.SIGNALS["stable, 5 turns"][0]) == {"turns"}
    assert changes(of.SIGNALS["critic, 1 turn"][0], of.SIGNALS["critic, 5 turns"][0]) == {"turns"}


@pytest.mark.parametrize("name", ["plain", "minimax", "stable", "packing 2"])
def test_the_loop_is_that_of_fit_gan(of, name):
    x, how, runs = some(50, 2), of.RECIPES[name], []
    rest = {"steps": 5, "batch_size": 8}
    for _ in range(2):
        players = of.begin(how, 0, latent=2, features=4, depth=1)
        if runs:
            more = {"game": how.game, "r1": how.r1, "schedule": how.schedule, "lr": how.lr, "progress": False}
            history = fit_gan(players, x, generator=make_generator(1), **rest, **more)
        else:
            history = of.play(players, x, how, generator=make_generator(1), watch=lambda session: None, **rest)
        runs.append((history.losses, players["generator"](some(3, 2)).tolist()))
    assert runs[0] == runs[1]


@pytest.mark.parametrize("change", [{"noise": 0.1}, {"turns": 3}, {"ratio": 3.0}, {"momentum": 0.5}, {"critic": True}])
def test_what_fit_gan_does_not_offer_changes_the_run(of, change):
    ends = []
    for how in (of.PLAIN, replace(of.PLAIN, **change)):
        players = of.begin(how, 0, latent=2, features=4, depth=1)
        rest = {"steps": 3, "batch_size": 8, "generator": make_generator(1), "watch": lambda session: None}
        of.play(players, some(50, 2), how, **rest)
        ends.append(players["discriminator"](some(5, 2)))
    assert not torch.equal(*ends)


def test_a_critic_pays_for_every_slope_that_is_not_1(of):
    def critic(x):
        return 3 * x[:, 0] + 4 * x[:, 1]

    real, made, how = some(6, 2), some(6, 2, seed=1), of.Play(critic=True, penalty=0.5)
    loss = of._told_apart(critic, real, made, how, make_generator(0))
    assert torch.allclose(loss, critic(made) - critic(real) + 0.5 * (5 - 1) ** 2, atol=1e-4)
    assert of.distance(critic, real, made) == pytest.approx((critic(real) - critic(made)).mean().item(), abs=1e-5)


# --- what draws are worth ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", ["ring", "grid"])
def test_the_truth_is_right_by_every_measure(of, data):
    plane = load_plane(data)
    x, real = (plane.sample(20_000, generator=make_generator(seed)) for seed in (0, 1))
    assert of.spread(plane, x) == pytest.approx(1, abs=0.02)
    assert of.js(plane, x) < 0.05
    assert abs(of.energy(x[:2000], real[:2000])) < 0.01


def test_what_is_wrong_has_its_known_value(of):
    plane = load_plane("ring")
    x = plane.sample(40_000, generator=make_generator(0))
    near = (x[:, None] - plane.modes).norm(dim=2).argmin(1)
    tight = plane.modes[near] + (x - plane.modes[near]) / 2
    assert of.spread(plane, tight) == pytest.approx(0.5 / of.TRUNCATED, abs=0.01)
    assert of.spread(plane, plane.modes) is None and of.spread(plane, x + 100) is None
    half = (math.log(2 / 3) / 2 + math.log(2) / 2 + math.log(4 / 3)) / 2  # q is 2 p in half of the modes
    assert of.js(plane, x[near < 4]) == pytest.approx(half, abs=0.01)
    assert of.js(plane, x + 100) == pytest.approx(math.log(2), abs=1e-9)
    assert of.js(plane, torch.zeros(100, 2)) == pytest.approx(math.log(2), abs=1e-3)
    here, there = torch.zeros(5, 2), torch.tensor([[3.0, 4.0]]).expand(7, 2)
    assert of.energy(here, there) == pytest.approx(10)


# --- what a discriminator holds for real, and what a loss tells ---------------------------------------------------


def judge(logit, packing=1):
    """A discriminator with this logit of points (…, 2) -> (…), the mean over a pack."""
    found = lambda x: logit(x)  # noqa: E731
    found.config, found.logits = SimpleNamespace(packing=packing), lambda x: logit(x).mean(1)
    return found


@pytest.mark.parametrize("packing", [1, 2])
def test_one_that_grows_outwards_is_fooled_and_one_that_knows_the_modes_is_not(of, packing):
    plane = load_plane("ring")
    real = plane.sample(500, generator=make_generator(0))
    rest = {"generator": make_generator(1), "starts": 40}
    found = of.fooled(judge(lambda x: 2 * x.norm(dim=-1) - 5, packing), plane, real, **rest)
    assert found["sure"] == found["above"] == 1 and 6 < found["above_distance"] <= found["sure_distance"]
    assert found["auc_far"] == 0 and found["real"] == pytest.approx(1, abs=0.2) and found["real_sure"] < 0.1

    def wise(x):
        return 8 - 10 * (x[..., None, :] - plane.modes).norm(dim=-1).amin(-1)

    found = of.fooled(judge(wise, packing), plane, real, **rest)
    assert found["sure"] == found["above"] == 0 and found["auc_gap"] == found["auc_far"] == 1
    assert found["sure_distance"] is None and found["best"] < -6 < found["real"]


def test_auc_and_estimate_at_their_ends(of):
    assert of.auc(torch.tensor([2.0, 3.0]), torch.tensor([0.0, 1.0])) == 1
    assert of.auc(torch.tensor([1.0, 1.0]), torch.tensor([1.0, 1.0])) == 0.5
    knows = judge(lambda x: 100 * x[..., 0])
    real, made = torch.tensor([[1.0, 0.0]]), torch.tensor([[-1.0, 0.0]])
    assert of.estimate(knows, real, made) == pytest.approx(math.log(2))
    assert of.estimate(judge(lambda x: 0 * x[..., 0]), real, made) == pytest.approx(0, abs=1e-6)


def test_a_fresh_discriminator_finds_the_distance(of):
    plane = load_plane("ring")
    x = plane.sample(2000, generator=make_generator(0))
    sizes = {"steps": 150, "batch_size": 64, "features": 16, "depth": 2}

    def by(sample):
        return of.fresh_estimate(SimpleNamespace(sample=sample), x, x, generator=make_generator(0), **sizes)

    assert by(plane.sample) == pytest.approx(0, abs=0.02)
    assert by(lambda n, *, generator: 0.1 * torch.randn(n, 2, generator=generator)) > 0.6


def test_the_trend_is_taken_out(of):
    step = torch.arange(1, 401)
    noise, other = (torch.randn(400, generator=make_generator(seed)) for seed in (0, 1))
    falls = {"step": step.tolist(), "high_quality": (step / 500).tolist(), "energy": (-step + 0.0).tolist()}

    def told(signal, js):
        return of.tells(falls | {"js": js.tolist(), "generator": signal.tolist()})["generator"]

    both = told(-step + 9 * noise, -step + 9 * other)["js"]
    assert both["whole"] > 0.95 and both["later"] > 0.9 and abs(both["detrended"]) < 0.2 and abs(both["changes"]) < 0.2
    same = told(-step + 9 * noise, -step + 9 * noise + other)["js"]
    assert same["detrended"] > 0.8 and same["changes"] > 0.8
    assert told(-step + 9 * noise, -step + 9 * other)["bad"]["whole"] > 0.95
    assert told(-1.0 * step, -step + other)["js"]["detrended"] is None, "a trend and nothing else"
    assert told(0.0 * step, -step + other)["js"]["whole"] is None


# --- the command -------------------------------------------------------------------------------------------------


def test_a_run_stores_job_by_job_and_goes_on_with_what_is_missing(tiny, tmp_path, monkeypatch, capsys):
    jobs, path, before = [(kind, list(job), 0) for kind, job in JOBS], tmp_path / "games.json", tiny.made
    assert all(job in tiny.wanted(seeds=[0]) for job in jobs)
    monkeypatch.setattr(tiny, "wanted", lambda kinds, seeds: jobs)

    def stop(kind, job, seed):
        if kind == "signal":
            raise KeyboardInterrupt
        return before(kind, job, seed)

    monkeypatch.setattr(tiny, "made", stop)
    with pytest.raises(KeyboardInterrupt):
        tiny.main([], path)
    first = json.loads(path.read_text("utf-8"))["rows"]
    assert [row["kind"] for row in first] == ["recipe", "fooling", "still", "still"]
    assert first[0].keys() >= END | {"watched", "generator", "discriminator"}
    monkeypatch.setattr(tiny, "made", before)
    tiny.main([], path)
    found = json.loads(path.read_text("utf-8"))
    assert found["rows"][:4] == first and found["settings"] == tiny.SETTINGS
    of_jobs = [row for row in found["rows"] if row["kind"] != "fooling"]
    assert [(row["kind"], row["job"], row["seed"]) for row in of_jobs] == jobs
    last = {(row["kind"] if row["kind"] != "fooling" else "recipe", tuple(row["job"])): row for row in found["rows"]}
    for job, fields in JOBS.items():
        assert fields <= last[job].keys(), job
    for row in found["rows"]:
        for name, seen in row.get("watched", {}).items():
            assert len(seen) == 4 or row["name"] == "critic, 5 turns", name
    said = capsys.readouterr().out
    tiny.main(["--table"], path)
    table = capsys.readouterr().out
    assert said.endswith(table) and all(f"\n{kind}: " in table for kind in tiny.TABLES)
    tiny.main([], path)
    assert json.loads(path.read_text("utf-8"))["rows"] == found["rows"], "nothing is trained again"
    monkeypatch.setattr(tiny, "SETTINGS", tiny.SETTINGS | {"features": 5})
    with pytest.raises(ValueError, match=r"rows of other settings.*--fresh replaces them"):
        tiny.main([], path)


def test_looking_on_the_way_changes_nothing_of_a_run(tiny, monkeypatch):
    rows = []
    for looks in (1, 4):
        monkeypatch.setattr(tiny, "SETTINGS", tiny.SETTINGS | {"looks": looks})
        rows.append(next(iter(tiny.made("recipe", ["R1", "ring"], 0))))
    whole, parts = (row["watched"] for row in rows)
    for player in ("generator", "discriminator"):
        assert whole[player][0] == pytest.approx(sum(parts[player]) / 4, abs=2e-4)
        assert rows[0][player] == rows[1][player]


def test_a_run_that_diverged_is_a_row_and_has_failed(tiny, of, monkeypatch):
    def diverges(*_, **__):
        raise NotFinite("the loss became nan at step 3.", None)

    monkeypatch.setattr(of, "play", diverges)
    for kind, job in (("recipe", ["R1", "grid"]), ("signal", ["plain", "grid"]), ("across", ["stable", 4])):
        (row,) = tiny.made(kind, job, 0)
        assert row["diverged"] == "the loss became nan at step 3." and tiny.failed(row)
        assert "1 of 1" in list(tiny.of_runs([row]))[1] and "diverged" in tiny.in_short(row)
        assert list(tiny.table([row]))


def test_a_generator_that_is_lost_is_no_reason_to_stop(tiny, monkeypatch):
    monkeypatch.setattr(Generator, "sample", lambda self, n, *, generator: torch.full((n, 2), math.nan))
    row = next(iter(tiny.made("recipe", ["plain", "ring"], 7)))
    assert tiny.failed(row) and "reached" not in row and tiny.in_short(row) and list(tiny.table([row]))


@pytest.mark.parametrize(
    ("change", "failed"),
    [({}, False), ({"reached": 7}, True), ({"high_quality": 0.89}, True), ({"reverse_kl": 9}, False)],
)
def test_a_run_has_failed_when_a_mode_is_missing_or_too_much_lies_between(bench, change, failed):
    row = {"data": "ring", "reached": 8, "high_quality": 0.95, "reverse_kl": 0.01} | change
    assert bench.failed(row) == failed


def test_the_table_has_the_middle_of_the_runs(bench):
    rows = [
        {"data": "ring", "name": "stable", "reached": 8, "high_quality": q, "reverse_kl": 0.01 * n, "seconds": n}
        for n, q in enumerate((0.5, 0.96, 0.94))
    ]
    (line,) = list(bench.of_runs(rows))[1:]
    assert line.split() == ["ring", "stable", "1", "of", "3", "0", "0.9400", "0.0100", *"––––", "1.0000"]
    assert bench.middle([{"a": {"b": 1}}, {"a": None}, {}, {"a": {"b": 3}}], "a", "b") == 2
    across = [{"name": "VAE", "js": n, "energy": -n, "high_quality": 0.5, "estimate": n**3} for n in range(5)]
    (line,) = list(bench.of_across(across))[1:]
    assert line.split() == ["VAE", "estimate", "5", "1.00", "-1.00", "–"]


def test_the_jobs_come_seed_after_seed(bench):
    jobs = bench.wanted()
    assert len({json.dumps(job) for job in jobs}) == len(jobs)
    assert [seed for *_, seed in jobs] == sorted(seed for *_, seed in jobs)
    assert {kind for kind, _, seed in jobs if seed == 0} == set(bench.KINDS)
    assert {seed for kind, _, seed in jobs if kind == "recipe"} == set(range(10))
    assert {kind for kind, *_ in bench.wanted(["signal"], [1])} == {"signal"}


def test_what_is_stored_is_what_the_command_makes(bench):
    found = json.loads(bench.RESULTS.read_text("utf-8"))
    assert found["command"] == "python benchmarks/games.py" and found["settings"] == bench.SETTINGS
    at = [(row["kind"], json.dumps(row["job"]), row["seed"]) for row in found["rows"]]
    wanted = {(kind, json.dumps(job), seed) for kind, job, seed in bench.wanted()}
    assert len(at) == len(set(at)) and {job for job in at if job[0] != "fooling"} <= wanted
    assert all("diverged" in row or math.isfinite(row.get("log_prob", 0)) for row in found["rows"])
