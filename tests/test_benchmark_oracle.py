"""The oracle benchmark at tiny sizes: its truth, its measures against what is worked out, and that a run resumes."""

import json
import math
from importlib import import_module

import pytest
import torch
from test_benchmark_train import ROOT

from course_lib.decode import draw
from course_lib.device import make_generator
from course_lib.models.char_rnn import CharRNN, CharRNNConfig

TINY = {
    "sentences": 150,
    "held_out": 20,
    "fresh": 30,
    "draws": 40,
    "steps_an_epoch": 2,
    "epochs": [1, 2],
    "scheduled_epochs": 2,
    "long_epochs": [2, 3],
    "reward_steps": [2, 4],
}
SMALL = CharRNNConfig(levels=120, features=4)


@pytest.fixture(scope="module")
def bench():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "benchmarks"))
        yield import_module("oracle")


@pytest.fixture(scope="module")
def of(bench):
    return import_module("recipes.oracle")


def sentences(n, V=120, T=20, seed=0):
    return torch.randint(V, (n, T), generator=make_generator(seed))


# --- the truth, and a network's probabilities --------------------------------------------------------------------


def test_an_oracles_weights_are_standard_normal_with_one_bias_a_gate(of):
    model = of.oracle(CharRNNConfig(levels=500, features=16), make_generator(0))
    for name, weights in model.named_parameters():
        if name == "lstm.bias_hh_l0":
            assert (weights == 0).all()
        else:
            error = 4 / math.sqrt(weights.numel())
            assert abs(weights.mean().item()) < error and abs(weights.std().item() - 1) < error, name
    again = of.oracle(CharRNNConfig(levels=500, features=16), make_generator(0))
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))
    first = of.beginner(CharRNNConfig(levels=500, features=16), make_generator(0))
    assert first.head.weight.std().item() == pytest.approx(0.1, rel=0.1) and first.head.weight.requires_grad


def test_nats_are_those_of_the_model_gradient_included(of):
    model, x = CharRNN(SMALL, generator=make_generator(0)), sentences(7)
    assert torch.allclose(of.nats(model, x), -model.log_prob(x), rtol=1e-5)
    slopes = [
        torch.autograd.grad(cost.sum(), model.lstm.weight_hh_l0)[0] for cost in (of.nats(model, x), -model.log_prob(x))
    ]
    assert torch.allclose(*slopes, atol=1e-4)
    seen = sentences(7, seed=1)
    before = torch.cat([torch.full_like(x[:, :1], 120), seen[:, :-1]], 1)
    logits = model.head(model.lstm(model.embed(before))[0])
    by_hand = -logits.log_softmax(-1).gather(2, x[..., None]).sum((1, 2))
    assert torch.allclose(of.nats(model, x, seen), by_hand, rtol=1e-5)


@pytest.mark.parametrize("how", [{"temperature": 0.5}, {"top_k": 3}, {"top_p": 0.6}, {"temperature": 0.7, "top_k": 4}])
def test_a_rule_gives_what_is_drawn_its_probability(of, how):
    logits = torch.randn(1, 8, generator=make_generator(0))
    drawn = draw(logits.expand(20_000, -1), generator=make_generator(1), **how)
    share = torch.bincount(drawn, minlength=8) / len(drawn)
    assert torch.allclose(share, of.rule_of(**how)(logits).softmax(1)[0], atol=4 * 0.5 / math.sqrt(len(drawn)))


def test_what_is_forbidden_is_counted(of):
    model, x = CharRNN(SMALL, generator=make_generator(0)), sentences(9)
    assert of.forbidden(model, x, of.rule_of()) == 0
    rule = of.rule_of(top_k=30)
    rank = (model(x) > model(x).gather(2, x[..., None])).sum(2)
    assert of.forbidden(model, x, rule) == pytest.approx((rank >= 30).float().mean().item())
    assert of.nats_of_all(model, x, rule).max() == math.inf


# --- training ----------------------------------------------------------------------------------------------------


def test_looks_are_the_weights_of_their_step_and_what_comes_later_changes_nothing(of):
    def looks(steps):
        model = of.beginner(SMALL, make_generator(0))
        return of.looks_at(model, sentences(50), of.true_words, steps, lr=0.01, generator=make_generator(1))

    two, four = looks([2, 4])
    (alone,) = looks([2])
    assert (two.steps, four.steps) == (2, 4)
    assert all(torch.equal(two.state[name], alone.state[name]) for name in two.state)
    assert not torch.equal(two.state["head.weight"], four.state["head.weight"])


def test_which_words_are_read_in_place_of_the_true_ones(of, monkeypatch):
    model, x, seen = of.beginner(SMALL, make_generator(0)), sentences(300, V=100), []
    monkeypatch.setattr(of, "nats", lambda model, x, seen_now=None: seen.append(seen_now))
    known = torch.full((3, 20), 110)
    of.random_words(0.4, known, make_generator(1))(model, x, 0.5)
    of.random_words(0.4, known, make_generator(1))(model, x, 1.0)
    of.own_words(0.4, make_generator(1))(model, x, 1.0)
    of.own_words(0.4, make_generator(1))(model, x, 0.0)
    for words, truth in zip(seen[:2], (0.7, 0.4), strict=True):
        assert ((words == x) | (words == 110)).all()
        assert (words == x).float().mean().item() == pytest.approx(truth, abs=0.03)
    same = (seen[2] == x)[:, :-1].float().mean().item()
    assert same == pytest.approx(0.4 + 0.6 / 120, abs=0.03), "a beginner's own words are any of the 120"
    assert torch.equal(seen[3], x)


# --- measures, against what can be worked out ----------------------------------------------------------------------


def test_known_words_pairs_and_triples_are_counted(of):
    known = of.Known(torch.tensor([[1, 2, 3, 4], [4, 4, 4, 4]]), 10)
    x = torch.tensor([[1, 2, 3, 4], [2, 3, 1, 2], [9, 9, 9, 9], [4, 3, 2, 1]])
    assert known.share(x, 1).tolist() == [1, 1, 0, 1]
    assert known.share(x, 2).tolist() == pytest.approx([1, 2 / 3, 0, 0])
    assert known.share(x, 3).tolist() == [1, 0, 0, 0], "4, 4 of the second and 1 of the first make no triple"
    assert known.reward(x).tolist() == pytest.approx([1, 5 / 9, 0, 1 / 3])


def test_who_repeats_what_he_heard_is_worth_what_a_count_says(of):
    x = torch.tensor([[0, 1], [0, 1], [2, 3]])
    fresh = torch.tensor([[0, 1], [2, 3], [3, 2]])
    slip = of.Parrot(x, 4, 0.1)
    by_hand = [0.9 * 2 / 3 + 0.1 / 16, 0.9 / 3 + 0.1 / 16, 0.1 / 16]
    assert slip.nats(fresh).tolist() == pytest.approx([-math.log(p) for p in by_hand])
    assert of.Parrot(x, 4, 0).nats(fresh).tolist() == [
        pytest.approx(math.log(1.5)),
        pytest.approx(math.log(3)),
        math.inf,
    ]
    assert of.Parrot(x, 4, 1).nats(fresh).tolist() == pytest.approx([math.log(16)] * 3)
    every = torch.cartesian_prod(torch.arange(4), torch.arange(4))
    assert (-slip.nats(every)).exp().sum().item() == pytest.approx(1)
    said = slip.sample(4000, 2, make_generator(0))
    share = (said == torch.tensor([0, 1])).all(1).float().mean().item()
    assert share == pytest.approx(by_hand[0], abs=0.03)


def test_frequencies_are_a_probability_and_draw_by_it(of):
    writer = of.Frequencies(torch.tensor([[0, 0], [0, 1]]), 3)
    assert writer.nats(torch.tensor([[0, 2]])).item() == pytest.approx(-math.log(3.5 / 5.5 * 0.5 / 5.5))
    share = (writer.sample(3000, 4, make_generator(0)) == 0).float().mean().item()
    assert share == pytest.approx(3.5 / 5.5, abs=0.02)


def test_one_direction_alone_rewards_one_sentence_and_the_fields_say_so(bench, monkeypatch):
    monkeypatch.setattr(bench, "SETTINGS", bench.SETTINGS | TINY)
    trial = bench.Trial(0, SMALL)
    rows = {row["name"]: row for row in bench.floors(trial)}
    own, one, parrot = rows["oracle"], rows["oracle, greedy"], rows["training sentences"]
    assert own["under_oracle"] == pytest.approx(own["entropy"]), "its draws under itself"
    assert one["under_oracle"] < own["under_oracle"] and one["distinct"] == 1 / 40 and one["entropy"] == 0
    assert parrot["copied"] == parrot["known_pairs"] == parrot["mean_reward"] == 1 and parrot["under_writer"] is None
    assert own["copied"] == 0 and 0 < own["known_pairs"] < 1
    assert rows["any words"]["under_writer"] == pytest.approx(math.log(120))
    slips = rows["training sentences, 1 in 100 any words"]["under_writer"]
    assert slips == pytest.approx(math.log(120) + math.log(100) / 20), "fresh sentences can be nothing but a slip"


# --- the command ---------------------------------------------------------------------------------------------------

EVERY = {"under_oracle", "under_oracle_error", "under_writer", "entropy", "distinct", "distinct_pairs", "copied"}
TRAINED = EVERY | {"steps", "seconds", "under_writer_valid"}


def test_a_run_stores_job_by_job_and_goes_on_with_what_is_missing(bench, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(bench, "SETTINGS", bench.SETTINGS | TINY)
    path, before = tmp_path / "oracle.json", bench.reward

    def stop(trial):
        raise KeyboardInterrupt

    monkeypatch.setitem(bench.KINDS, "reward", stop)
    with pytest.raises(KeyboardInterrupt):
        bench.main(["--seeds", "0"], path, SMALL)
    first = json.loads(path.read_text("utf-8"))["rows"]
    assert {row["kind"] for row in first} == {"floors", "mle"}
    monkeypatch.setitem(bench.KINDS, "reward", before)
    bench.main(["--seeds", "0"], path, SMALL)
    found = json.loads(path.read_text("utf-8"))
    assert found["rows"][: len(first)] == first and found["published"] == json.loads(json.dumps(bench.PUBLISHED))
    rows = {kind: [row for row in found["rows"] if row["kind"] == kind] for kind in bench.KINDS}
    assert [row["more"] for row in rows["reward"]] == [2, 4] and rows["reward"][1]["steps"] == 8
    assert [row["name"] for row in rows["scheduled"]] == ["own words", "random words"]
    assert [row["epochs"] for row in rows["long"]] == [2, 3]
    path_of_training = [row for row in rows["mle"] if row["name"] == "MLE"]
    assert [row["epochs"] for row in path_of_training] == [1, 2]
    assert rows["long"][0]["under_writer_valid"] == path_of_training[1]["under_writer_valid"], "the same training"
    decoded = [row["name"] for row in rows["mle"] if row["name"].startswith("MLE, stopped")]
    assert decoded == ["MLE, stopped"] + [f"MLE, stopped, {way}" for way in (*bench.DECODED, "greedy", "beam 8")]
    assert all(row.keys() >= TRAINED for kind in ("reward", "scheduled", "long") for row in rows[kind])
    assert all(row.keys() >= EVERY for row in found["rows"])
    stopped = next(row for row in rows["mle"] if row["name"] == "MLE, stopped")
    assert stopped["under_writer_valid"] == min(row["under_writer_valid"] for row in path_of_training)
    assert all(math.isfinite(value) for row in found["rows"] for value in row.values() if isinstance(value, float))
    bench.main(["--seeds", "0"], path, SMALL)
    assert json.loads(path.read_text("utf-8"))["rows"] == found["rows"], "nothing is trained again"
    monkeypatch.setitem(bench.SETTINGS, "draws", 41)
    with pytest.raises(SystemExit, match="rows of other settings"):
        bench.main(["--seeds", "0"], path, SMALL)
    capsys.readouterr()


def test_a_job_comes_out_the_same_whatever_was_measured_before(bench, monkeypatch):
    monkeypatch.setattr(bench, "SETTINGS", bench.SETTINGS | TINY)

    def row(trial):
        trial.begin("reward")
        return [{key: v for key, v in row.items() if key != "seconds"} for row in bench.reward(trial)]

    trial = bench.Trial(0, SMALL)
    first = row(bench.Trial(0, SMALL))
    list(bench.floors(trial))
    assert row(trial) == first


def test_what_is_long_comes_last_and_once(bench):
    jobs = bench.wanted(list(bench.KINDS), [0, 1, 2])
    assert len({json.dumps(job) for job in jobs}) == len(jobs) and jobs[-1] == ("long", [], 0)
    assert [job for job in jobs if job[0] == "long"] == jobs[-1:]
    assert bench.wanted(["scheduled"], [1]) == [("scheduled", [words], 1) for words in ("own words", "random words")]


def test_what_is_stored_is_what_the_command_makes(bench):
    found = json.loads(bench.RESULTS.read_text("utf-8"))
    assert found["command"] == "python benchmarks/oracle.py" and found["settings"] == bench.SETTINGS
    assert found["published"] == bench.PUBLISHED
    wanted = [list(job) for job in bench.wanted(list(bench.KINDS), [0, 1, 2])]
    assert all([row["kind"], row["job"], row["seed"]] in wanted for row in found["rows"])
    at = [(row["kind"], row["name"], row.get("epochs"), row.get("more"), row["seed"]) for row in found["rows"]]
    assert len(set(at)) == len(at)
