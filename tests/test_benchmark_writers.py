"""The comparison of poem writers: what each reads in training, what it is asked, and that a run can be stopped."""

import json
import math
from dataclasses import replace
from importlib import import_module

import pytest
import torch
from test_benchmark_train import ROOT

from course_lib.device import make_generator
from course_lib.models.char_rnn import CharRNN

TINY = {
    "poems": [300, 2, 120],
    "steps": 3,
    "longer": 4,
    "draws": 30,
    "own": 40,
    "slips": 30,
    "long": 4,
    "thousand": 20,
    "begun": 6,
}
WORTH = {"valid", "kl", "entropy", "lines", "flawless_3", "strict", "wrong_own", "flawless_natural", "long_wrong"}
WORTH |= {"rhyme_other", "heeds", "nucleus_valid", "seconds", "seconds_write", "wrong_at_true", "themes", "first_off"}
DECODED = {"valid", "log_q", "lines", "seconds", "rows", "calls"}
# a job of every sort, and what its row must say beside the common fields
JOBS = {
    ("training", ("teacher forcing",)): WORTH | {"steps"},
    ("training", ("teacher forcing, longer",)): WORTH | {"steps"},
    ("training", ("inverse sigmoid",)): WORTH | {"steps"},
    ("practice", ("rejection",)): {"valid", "kl", "entropy", "lines", "seconds_write"},
    ("practice", ("leash",)): WORTH | {"leash", "watched"},
    ("practice", ("cheap reward",)): WORTH | {"leash", "watched"},
    ("practice", ("more teacher forcing",)): WORTH,
    ("decoding", ("beam 2", 0, 20)): DECODED | {"within", "below_q", "missed"},
    ("decoding", ("best of 8", 5, 20)): DECODED | {"within", "below_q", "missed"},
    ("decoding", ("the test poems", 10, 20)): {"within", "optimum", "log_p"},
    ("decoding", ("greedy", 5, 80)): DECODED | {"different", "repeats"},
}


@pytest.fixture(scope="module")
def bench():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "benchmarks"))
        yield import_module("writers")


@pytest.fixture(scope="module")
def of(bench):
    return import_module("recipes.writers")


@pytest.fixture(scope="module")
def verdict(bench):
    return import_module("recipes.verdict")


@pytest.fixture(scope="module")
def world(of):
    return of.world(0, TINY["poems"])


@pytest.fixture(scope="module")
def exam(bench, world):
    return bench.Exam(world, 0, TINY)


class Knower(torch.nn.Module):
    """A writer that knows the grammar, whose logits are log p exactly; after what no poem has, all are equal.

    A wrong character is a slip of the pen to it: it goes on as if the likeliest right one stood there.
    """

    def __init__(self, w):
        super().__init__()
        self.w, self.config = w, w.config

    def forward(self, x):
        logits = torch.full((*x.shape, self.config.levels), -30.0)
        for row, poem in zip(logits, self.w.read(x), strict=True):
            mended = ""
            for t, c in enumerate(poem):
                p = self.w.language.next_character(mended)
                row[t, self.w.vocabulary.encode("".join(p))] = torch.tensor(list(p.values())).log()
                mended += c if c in p else next(iter(p))
        return logits

    def log_prob(self, x):
        return self(x).log_softmax(-1).gather(2, x[:, :, None])[:, :, 0].sum(1)

    def begin(self, n):
        return torch.zeros(n, 0, dtype=torch.long)

    def step(self, previous, state):
        read = state if previous is None else torch.cat([state, previous[:, None]], 1)
        return self(torch.cat([read, torch.zeros(len(read), 1, dtype=torch.long)], 1))[:, -1], read

    def sample(self, n, *, length, generator, progress=False, top_p=None):
        return self.w.vocabulary.encode_all(self.w.language.sample(n, generator=generator))


# --- what is read in training --------------------------------------------------------------------------------------


def test_schedules_read_their_own_half_of_the_time(of):
    over = [(n + 0.5) / 1000 for n in range(1000)]
    for name, schedule in of.SCHEDULES.items():
        shares = [schedule(part) for part in over]
        assert sum(shares) / 1000 == pytest.approx(0 if name == "always own" else 0.5, abs=2e-3), name
        assert all(0 <= share <= 1 for share in shares) and shares == sorted(shares, reverse=True)
    linear, sigmoid = of.SCHEDULES["linear"], of.SCHEDULES["inverse sigmoid"]
    assert sigmoid(0.2) > linear(0.2) > of.SCHEDULES["exponential"](0.2), "late, in between, early"


def test_at_the_start_a_schedule_reads_the_truth_and_at_the_end_what_it_says(of, world):
    model, x = CharRNN(world.config, generator=make_generator(0)), world.x_train[:5]
    for name in ("linear", "random slips", "inputs hidden"):
        first, last = (of.READING[name](model, x, over, make_generator(1)) for over in (0.0, 1.0))
        assert torch.allclose(first, -model.log_prob(x), rtol=1e-5), name
        assert not torch.allclose(last, first, rtol=1e-3), name


def test_what_is_hidden_changes_nothing_of_what_is_expected(of, world):
    model, x = CharRNN(world.config, generator=make_generator(0)), world.x_train[:5]
    other = torch.cat([x[:, :-1].roll(1, 0), x[:, -1:]], 1)  # ends alike

    def last(y, over):  # the cost of the last character
        costs = (of.READING["inputs hidden"](model, z, over, make_generator(1)) for z in (y, y[:, :-1]))
        return next(costs) - next(costs)

    assert not torch.allclose(last(x, 0.0), last(other, 0.0), atol=1e-3)
    assert torch.allclose(last(x, 1.0), last(other, 1.0), atol=1e-4)


def test_all_trainings_of_a_seed_begin_alike_and_a_seed_decides_them(of, world):
    def first(reading, steps=1):
        return torch.cat([p.flatten() for p in of.taught(world, reading, steps).state_dict().values()])

    assert torch.equal(first("teacher forcing"), first("teacher forcing"))
    assert torch.equal(first("linear", 2), first("linear", 2))
    assert not torch.equal(first("linear", 2), first("teacher forcing", 2))
    chapter, generator = of.world(0, TINY["poems"]), make_generator(0)
    assert chapter.read(chapter.x_train) == chapter.language.sample(300, generator=generator), "the chapter's poems"


# --- what is asked --------------------------------------------------------------------------------------------------


def test_who_knows_the_grammar_passes(exam, world):
    knower = Knower(world)
    found = exam.poems(knower) | exam.likelihood(knower) | exam.slip(knower)
    assert (
        found["valid"] == 1
        and found["kl"] == pytest.approx(0, abs=1e-4)
        and found["forward"] == pytest.approx(0, abs=1e-4)
    )
    assert found["entropy"] == pytest.approx(world.language.entropy(), abs=3 * 2 / 30**0.5)
    assert found["flawless_3"] == found["strict_3"] == found["flawless"] == found["strict"] == 1
    assert found["wrong_3"] == found["wrong"] == found["late"] == found["displaced"] == 0
    assert found["wrong_at"] == [0] * 17
    assert exam.heeds(knower)["rhyme_other"] == pytest.approx(1, abs=1e-4)
    assert exam.heeds(knower)["rhyme_same"] == pytest.approx(0, abs=1e-4)
    assert sum(found["themes"].values()) == pytest.approx(1) and len(found["themes"]) == 3


def test_who_has_learnt_nothing_fails(exam, world):
    model = CharRNN(world.config, generator=make_generator(0))
    found = exam.slip(model) | exam.own_mistakes(model) | exam.long(model) | exam.nucleus(model)
    assert found["flawless"] == found["flawless_own"] == found["flawless_natural"] == found["nucleus_valid"] == 0
    assert min(found["wrong_at_true"]) > 0.7 and min(found["long_by_line_true"]) > 0.7 < found["long_wrong"]
    assert len(found["long_by_line"]) == 16 and found["own_mistakes"] > 30 and found["nucleus_forbids"] < 1


def test_a_slip_cannot_stand_there_and_all_before_it_is_true(exam, world):
    x, at = exam.anywhere
    assert at.tolist() == [n % 15 for n in range(30)] and (exam.at_three[:, :2] == world.x_test[:30, :2]).all()
    for poem, true, t in zip(world.read(x), world.test, at.tolist(), strict=False):
        assert world.language.is_valid(poem).position == t and poem[:t] == true[:t]
    assert all(world.language.is_valid(poem).position == 2 for poem in world.read(exam.at_three))


def test_what_follows_a_slip_is_judged_twice(exam, world):
    poem = world.test[0]
    displaced = poem[:2] + poem[1:19]  # one place late from place 3 on
    mended = poem[:2] + "明" * (poem[2] != "明") + "月" * (poem[2] == "明") + poem[3:]
    x = world.vocabulary.encode_all([displaced, mended])
    both = [exam.judge(x[n : n + 1], torch.tensor([2])) for n in (0, 1)]
    assert both[1] == {"flawless": 1, "strict": 1, "wrong": 0} and both[0]["strict"] == 0 and both[0]["wrong"] > 0
    assert exam.lateness(x[:1]) == {"late": 1, "displaced": 1} and exam.lateness(x[1:]) == {"late": 0, "displaced": 0}


def test_a_first_mistake_of_its_own_is_where_the_grammar_stops(exam, world):
    model = CharRNN(world.config, generator=make_generator(0))
    x, at = exam.mistaken(model)
    assert 20 < len(x) == len(at) <= 40 and at.max() < 15
    assert all(world.language.is_valid(poem).position == t for poem, t in zip(world.read(x), at.tolist(), strict=True))
    finished = exam.finish(model, x, at, make_generator(1))
    for row, old, t in zip(finished, x, at.tolist(), strict=True):
        assert torch.equal(row[: t + 1], old[: t + 1])
    assert not torch.equal(finished, x)


# --- practice and search -------------------------------------------------------------------------------------------


def test_rewards(verdict, world):
    broken = world.test[0][:7] + world.test[0][8] + world.test[0][8:]
    x = world.vocabulary.encode_all([world.test[0], broken])
    assert verdict.verdict(world)(x).tolist() == [1, 0]
    common, rare = verdict.fluency(world)(torch.stack([world.x_train[0], torch.arange(20)]))
    assert rare < common < 0


def test_practice_leaves_its_start_alone_and_the_leash_holds_it(verdict, world):
    start, kept = (CharRNN(world.config, generator=make_generator(0)) for _ in range(2))
    how = replace(verdict.SHORT, reward="fluency", steps=12, batch_size=16, lr=1e-2)
    gone = []
    for leash in (0.0, 100.0):
        model = verdict.practised(world, start, replace(how, leash=leash), generator=make_generator(1))
        with torch.no_grad():
            x = model.sample(200, length=20, generator=make_generator(2), progress=False)
            gone.append((model.log_prob(x) - start.log_prob(x)).mean().item())
    assert gone[1] < gone[0] / 2
    assert all(torch.equal(a, b) for a, b in zip(start.parameters(), kept.parameters(), strict=True))


def test_ways_to_finish_keep_what_is_given_and_cost_what_they_say(bench, world):
    model, given = CharRNN(world.config, generator=make_generator(0)), world.x_test[:6, :5]
    found, rows = {}, {}
    for way in ("drawn", "best of 8", "greedy", "beam 1", "beam 4"):
        counted = bench.search.Counting(model)
        found[way] = bench.search.WAYS[way](counted, given, 20, make_generator(1))
        rows[way] = counted.rows
        assert torch.equal(found[way][:, :5], given) and found[way].shape == (6, 20)
    assert torch.equal(found["greedy"], found["beam 1"])
    nats = {way: bench.search.log_prob_of_rest(model, x, 5).sum() for way, x in found.items()}
    assert nats["drawn"] < nats["best of 8"] < nats["greedy"] <= nats["beam 4"]
    assert rows == {"drawn": 120, "best of 8": 960, "greedy": 120, "beam 1": 120, "beam 4": 6 * (6 + 4 * 14)}


# --- the command ---------------------------------------------------------------------------------------------------


@pytest.fixture
def tiny(bench, verdict, monkeypatch):
    every = bench.wanted(list(bench.KINDS), [0])
    jobs = [(kind, list(job), 0) for kind, job in JOBS]
    assert all(job in every for job in jobs)
    monkeypatch.setattr(bench, "SETTINGS", bench.SETTINGS | TINY)
    monkeypatch.setattr(bench, "wanted", lambda kinds, seeds: [job for job in jobs if job[0] in kinds])
    short = {name: replace(how, steps=4, batch_size=8) for name, how in verdict.PRACTICES.items()}
    monkeypatch.setattr(verdict, "PRACTICES", short)
    monkeypatch.setattr(verdict, "LONG", replace(verdict.LONG, steps=4, batch_size=8))
    monkeypatch.setattr(bench, "rejected", lambda trial, start: dict.fromkeys(JOBS["practice", ("rejection",)], 0.5))
    return jobs


def test_a_run_stores_job_by_job_and_goes_on_with_what_is_missing(bench, tiny, tmp_path, monkeypatch, capsys):
    path = tmp_path / "writers.json"
    bench.main(["--kinds", "training"], path)
    first = json.loads(path.read_text("utf-8"))["rows"]
    assert [row["name"] for row in first] == [job[0] for kind, job, _ in tiny if kind == "training"]
    bench.main([], path)
    found = json.loads(path.read_text("utf-8"))
    assert found["rows"][: len(first)] == first and found["settings"] == bench.SETTINGS
    for (kind, job), fields in JOBS.items():
        (row,) = [row for row in found["rows"] if (row["kind"], row["job"]) == (kind, list(job))]
        assert fields <= row.keys(), (kind, job, fields - row.keys())
        assert all(math.isfinite(value) for value in row.values() if isinstance(value, float)), row
    (leash,) = [row for row in found["rows"] if row["name"] == "leash"]
    assert leash["watched"]["step"] == [0, 1, 2, 3, 4] and leash["watched"]["kl_start"][0] == 0
    bench.main([], path)
    assert json.loads(path.read_text("utf-8"))["rows"] == found["rows"], "nothing is trained again"
    capsys.readouterr()
    bench.main(["--table"], path)
    assert "beam 2, 0, 20" in capsys.readouterr().out


def test_what_is_thrown_away_costs_its_share(bench, world, exam, monkeypatch):
    monkeypatch.setattr(bench, "SETTINGS", bench.SETTINGS | TINY)
    trial = bench.Trial.__new__(bench.Trial)
    trial.seed, trial.world, trial.exam = 0, world, exam
    row = bench.rejected(trial, Knower(world))
    assert row["valid"] == 1 and row["kl"] == pytest.approx(0, abs=1e-4) and row["steps"] == 0


def test_the_shipped_writer_is_what_the_command_trains(bench, tiny, tmp_path, of):
    bench.main(["--weights"], tmp_path / "rows.json", tmp_path / "poem_writer.pt")
    made = torch.load(tmp_path / "poem_writer.pt", weights_only=True)
    kept = torch.load(ROOT / "data" / "samples" / "poem_writer.pt", weights_only=True)
    assert {name: (value.shape, value.dtype) for name, value in made.items()} == {
        name: (value.shape, value.dtype) for name, value in kept.items()
    }
    taught = of.taught(of.world(0, TINY["poems"]), steps=3).state_dict()
    assert all(torch.equal(value, taught[name].half()) for name, value in made.items())
    assert not (tmp_path / "rows.json").exists()


def test_the_jobs_are_told_apart(bench):
    jobs = bench.wanted(list(bench.KINDS), range(5))
    assert len({json.dumps(job) for job in jobs}) == len(jobs) and {seed for *_, seed in jobs} == set(range(5))
    assert [seed for *_, seed in jobs] == sorted(seed for *_, seed in jobs), "seed after seed"


def test_what_is_stored_is_what_the_command_makes(bench):
    found = json.loads(bench.RESULTS.read_text("utf-8"))
    assert found["command"] == "python benchmarks/writers.py" and found["settings"] == bench.SETTINGS
    wanted = [list(job) for job in bench.wanted(list(bench.KINDS), range(5))]
    assert all([row["kind"], row["job"], row["seed"]] in wanted for row in found["rows"])
    at = [(row["kind"], row["name"], row.get("begun"), row.get("length"), row["seed"]) for row in found["rows"]]
    assert len(set(at)) == len(at)
