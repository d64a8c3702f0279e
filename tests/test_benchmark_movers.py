"""The comparison of video models at tiny sizes: its variants, its measures on what is known, and that a run resumes."""

import json
import math
from importlib import import_module

import pytest
import torch
from test_benchmark_train import ROOT

from course_lib.device import make_generator
from course_lib.measure.motion import independent_nats, lawful
from course_lib.models.video_pixel_network import VideoPixelNetwork, VPNConfig

TINY = {
    "videos": 20,
    "most_videos": 40,
    "test": 30,
    "test_frames": 6,
    "draws": 6,
    "beginnings": 2,
    "futures": 3,
    "batch_size": 2,
    "steps": [2, 3],
    "long": 4,
}


@pytest.fixture(scope="module")
def bench():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "benchmarks"))
        yield import_module("movers")


@pytest.fixture(scope="module")
def of(bench):
    return import_module("recipes.movers")


@pytest.fixture(scope="module")
def data(of):
    return of.data_of(60, 10, "drawn", "test", make_generator(0))


def small(kind, **more):
    return kind(VPNConfig(**{"features": 4, "encoder": (1,), "decoder": 1} | more), generator=make_generator(0))


# --- variants --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["ToldNothing", "ToldOne", "Recent"])
def test_who_is_told_the_last_frames_only_hears_of_no_other(of, data, name):
    model, x = small(getattr(of, name)), data.x[:2, :6]
    told = getattr(of, name).told_frames
    words = model.words(x).requires_grad_()
    heard = model.context(words)[0][:, 5].square().sum() + 0 * words.sum()
    slope = torch.autograd.grad(heard, words)[0].flatten(2).abs().sum((0, 2))
    assert (slope > 0).tolist() == [5 - told <= t < 5 for t in range(6)]
    whole = small(VideoPixelNetwork)
    whole.load_state_dict(model.state_dict())
    same = (model.log_prob(x, by_frame=True) - whole.log_prob(x, by_frame=True)).abs().amax(0) < 1e-4
    assert same.tolist() == [t <= told for t in range(6)]


def test_who_is_blind_draws_as_it_is_measured(of, data):
    model, x = small(of.Blind), data.x[:2, :4]
    other = x.clone()
    other[:, 3] = 1 - other[:, 3]
    assert torch.equal(model(x)[:, 3], model(other)[:, 3]), "its pixels are independent"
    state, made = model.begin(2, x[:, :3]), []
    for k in range(144):
        logits, state = model.step(None if k == 0 else x[:, 3].flatten(1)[:, k - 1], state)
        made.append(logits)
    assert torch.allclose(torch.stack(made, 1), model(x)[:, 3].flatten(1, 3), atol=1e-5)


def test_who_peeks_sees_its_own_frame_and_draws_without(of, data):
    model, honest, x = small(of.Peeking), small(VideoPixelNetwork), data.x[:2, :4]
    words = model.words(x).requires_grad_()
    slope = torch.autograd.grad(model.logits(words)[:, 2, 0, 0, 0].sum(), words)[0][:, 2, :, 1, 1]
    assert slope.abs().sum() > 0
    draws = [
        m.sample(2, frames=4, given=x[:, :3], generator=make_generator(1), progress=False) for m in (model, honest)
    ]
    assert torch.equal(*draws)


def test_hidden_frames_are_told_to_nobody_and_are_painted_all_the_same(of, data):
    model, x = small(of.with_some_hidden(VideoPixelNetwork, 0)), data.x[:2, :4]
    seen = torch.tensor([1.0, 0, 1, 1]).expand(2, 4)
    other = x.clone()
    other[:, 1] = x[:, 2]
    a, b = (model.logits(model.words(video), seen) for video in (x, other))
    assert torch.equal(a[:, 2:], b[:, 2:]) and not torch.equal(a[:, 1], b[:, 1])
    whole = model.logits(model.words(x), torch.ones(2, 4))
    assert torch.equal(whole, VideoPixelNetwork.logits(model, model.words(x)))
    assert not torch.equal(model(x), model(x)), "in training others are hidden every time"


# --- measures --------------------------------------------------------------------------------------------------


def test_frames_are_of_one_kind_each_and_of_the_right_one(of, data):
    kinds = of.kinds_of_frames(data.x)
    assert (sum(kind.long() for kind in kinds.values())[:, 2:] == 1).all()
    assert torch.equal(kinds["turn"], (data.floor > 0) & (torch.arange(10) >= 2))
    step = data.corner[:, 0].diff(dim=1)
    assert torch.equal(kinds["straight"][:, 2:], (step[:, 1:] == step[:, :-1]).all(2))
    assert torch.equal(of.could_go(data.x), kinds["straight"]), "by the law, who can go on, goes on"


def test_nats_are_above_the_floor_of_their_frames(of, data):
    nats = torch.where(of.kinds_of_frames(data.x)["turn"], 3.0, 1.0) + data.floor
    found = of.worth(nats, data)
    share = of.kinds_of_frames(data.x)["turn"][:, 2:].double().mean().item()
    assert (found["turn"], found["straight"]) == (pytest.approx(3), pytest.approx(1))
    assert found["nats"] == pytest.approx(1 + 2 * share) and found["by_frame"][:2] == [None, pytest.approx(1)]


def test_rules_cost_and_draw_what_the_law_says(of, data):
    rows = {row["name"]: row for row in of.rules(data.x, data, 2, make_generator(0))}
    law, ghost, straight, repeat = (
        rows[name] for name in ("the law", "the law, independent pixels", "straight on", "repeat")
    )
    assert law["nats"] == 0 and set(law["lawful"] + law["unbroken"] + law["same_digit"]) == {1}
    assert law["lawful_on_true"] == 1 and law["after_mistake"] is None
    gap = (independent_nats(data.x) - data.floor)[:, 2:].mean().item()
    assert ghost["nats"] == pytest.approx(gap, rel=1e-5) and ghost["straight"] == 0 < ghost["turn"]
    assert ghost["unbroken_straight"] == 1 > ghost["unbroken_turn"]
    assert (straight["lawful_on_true_straight"], straight["lawful_on_true_turn"]) == (1, 0)
    assert repeat["lawful_on_true"] == 0 and set(repeat["same_digit"]) == {1} and min(repeat["judged"]) > 0.7
    judge = rows["the test videos"]["judge"]
    assert judge["true"] > 0.9 and max(judge[kind] for kind in ("blank", "noise", "shuffled", "both futures")) < 0.05


def test_a_slip_costs_what_a_hand_says(of):
    guess, x = torch.zeros(1, 1, 2, 2), torch.tensor([[[[0, 1], [0, 0]]]])
    nats = of.slip_nats(guess, x, 0.1)
    assert nats.item() == pytest.approx(-math.log(0.1) - 3 * math.log(0.9))


def test_what_moves_on_stays_what_it_was_but_for_what_leaves(of):
    x = torch.zeros(2, 2, 1, 5, 5, dtype=torch.long)
    x[:, 0, 0, 2:4, 2] = 1
    x[0, 1, 0, 3:5, 3] = 1
    x[1, 1, 0, 2:4, 2] = 1
    found = of.moved_on(x)
    assert found[0, 0].nonzero().tolist() == [[4, 4]] and torch.equal(found[1], x[1, 1])


def test_a_mistake_ends_what_is_unbroken(of, data):
    def wrong_once(x):
        right = of.of_the_law(x, make_generator(0))
        return right * 0 + x[:, -1] if x.shape[1] == 4 else right

    found = of.drawn(wrong_once, data, 2)
    assert found["lawful"] == [1, 1, 0, *5 * [1]] and found["unbroken"] == [1, 1, *6 * [0]]
    assert found["after_mistake"] == 1 and found["blank"] == 8 * [0] and found["same_digit"] == 8 * [1]


def test_two_futures_are_counted(of, data):
    begun = of.before_turns(data.x, 3)
    assert lawful(begun).all() and begun.shape[0] == 3
    shares = of.futures_of(lambda x: of.of_the_law(x, make_generator(len(x))), begun, 400)
    assert all(abs(a - 0.5) < 0.1 and abs(b - 0.5) < 0.1 and c == pytest.approx(0) for a, b, c in shares)
    shares = of.futures_of(of.repeated, begun, 4)
    assert shares == [[0, 0, 1]] * 3


def test_pixels_of_a_turn_are_told_apart(of, data):
    class Ghost(torch.nn.Module):
        def forward(self, x):
            return torch.zeros(*x.shape, 2)

    found = of.ghost_pixels(Ghost(), data.x)
    assert (found["first"], found["later"], found["later_sure"]) == (0.5, 0.5, 0)
    gap = (independent_nats(data.x) - data.floor)[of.kinds_of_frames(data.x)["turn"]].mean().item()
    assert found["pixels"] * math.log(2) == pytest.approx(gap + math.log(2)), "each costs log 2, but one of them is due"


# --- the command -----------------------------------------------------------------------------------------------


@pytest.fixture
def tiny(bench, of, monkeypatch):
    monkeypatch.setattr(bench, "SETTINGS", bench.SETTINGS | TINY)
    names = {"main": ["VPN", "baseline"], "mirror": ["VPN"], "told": ["one frame"], "hidden": ["all frames"]}
    names |= {"broken": ["future seen"]}
    every = of.configs()
    monkeypatch.setattr(
        of, "configs", lambda: {kind: {n: every[kind][n] for n in some} for kind, some in names.items()}
    )
    few = [("main", "mirror", "told", "hidden", "broken")]
    jobs = [("rules", [], 0)] + [(kind, [name, 2], 0) for kind in few[0] for name in names[kind]]
    monkeypatch.setattr(bench, "wanted", lambda kinds, seeds: [job for job in jobs if job[0] in kinds])
    return jobs


COST = {"nats", "error", "by_frame", "straight", "steps", "seconds", "weights"}
DRAWN = {"lawful", "unbroken", "after_mistake", "same_digit", "judged", "blank", "lawful_on_true"}
FIELDS = {
    "main": COST | DRAWN | {"pixels", "futures"},
    "mirror": COST | DRAWN,
    "told": COST | DRAWN,
    "broken": COST | DRAWN,
    "hidden": {"hidden_0", "hidden_1", "hidden_2", "steps", "seconds", "weights"},
}


def test_a_run_stores_job_by_job_and_goes_on_with_what_is_missing(bench, tiny, tmp_path):
    path = tmp_path / "movers.json"
    bench.main(["--kinds", "rules", "main"], path)
    first = json.loads(path.read_text("utf-8"))["rows"]
    assert [row["name"] for row in first[5:]] == ["VPN", "baseline"] and "own_frame_hidden" in first[5]
    bench.main([], path)
    found = json.loads(path.read_text("utf-8"))
    assert found["rows"][: len(first)] == first and found["settings"] == bench.SETTINGS
    for kind, fields in FIELDS.items():
        assert all(fields <= row.keys() for row in found["rows"] if row["kind"] == kind), kind
    assert {row["kind"] for row in found["rows"]} == {"rules", *FIELDS}
    bench.main([], path)
    assert json.loads(path.read_text("utf-8"))["rows"] == found["rows"], "nothing is trained again"


def test_the_shipped_painter_is_what_the_command_trains(bench, tiny, of, tmp_path):
    bench.main(["--weights"], tmp_path / "rows.json", tmp_path / "made.pt")
    made = torch.load(tmp_path / "made.pt", weights_only=True)
    kept = torch.load(ROOT / "data" / "samples" / "video_painter.pt", weights_only=True)
    assert {name: (value.shape, value.dtype) for name, value in made.items()} == {
        name: (value.shape, value.dtype) for name, value in kept.items()
    }
    taught = bench.Trial(0).taught(*of.configs()["main"]["VPN"], 4)[0].state_dict()
    assert all(torch.equal(value, taught[name].half()) for name, value in made.items())
    assert not (tmp_path / "rows.json").exists()


def test_the_jobs_are_told_apart(bench):
    jobs = bench.wanted(list(bench.KINDS), [0, 1, 2])
    assert len({json.dumps(job) for job in jobs}) == len(jobs)
    assert [job for job in jobs if job[0] == "long"] == jobs[-2:] and jobs[-1][2] == 0


def test_what_is_stored_is_what_the_command_makes(bench):
    found = json.loads(bench.RESULTS.read_text("utf-8"))
    assert found["command"] == "python benchmarks/movers.py" and found["settings"] == bench.SETTINGS
    wanted = [list(job) for job in bench.wanted(list(bench.KINDS), [0, 1, 2])]
    assert all([row["kind"], row["job"], row["seed"]] in wanted for row in found["rows"])
    at = [(row["kind"], row["name"], row.get("steps"), row["seed"]) for row in found["rows"]]
    assert len(set(at)) == len(at)
