"""The games of chapter 8 for pictures: what each player sees, what each measure says, and that a run can be stopped."""

import json
import math
from functools import partial
from importlib import import_module

import pytest
import torch
from test_benchmark_train import ROOT

from course_lib.device import make_generator
from course_lib.models.gan import Discriminator

TINY = {
    "steps": 4,
    "short": 3,
    "vae_steps": 4,
    "autoencoder_steps": 4,
    "painter_steps": 2,
    "measuring_steps": 2,
    "draws": 110,
    "climbers": 5,
    "climbing_steps": 3,
    "sprite_steps": 2,
    "sprites": 30,
    "sprites_held_out": 12,
}
OF_IMAGES = {"refused", "digits", "copies", "nearest", "nearer", "told_histogram", "told_pixels", "told_network"}
OF_IMAGES |= {"painter_nats", "painter_spread", "left_over", "roughness", "mean_off", "seconds", "steps"}
# a job of every kind, or two; the names of its rows, and what they must say beside the common fields
JOBS = {
    ("table", ("floors",)): (["real digits", "other real digits"], {"refused", "copies", "painter_nats", "left_over"}),
    ("table", ("VAE",)): (
        [f"VAE, {p}{way}" for p in ("", "mixture, ") for way in ("drawn", "drawn at 0.7", "likeliest")],
        OF_IMAGES,
    ),
    ("table", ("Gated PixelCNN",)): (["Gated PixelCNN", "Gated PixelCNN, a game's time"], OF_IMAGES | {"exact"}),
    ("table", ("autoencoder",)): ([f"autoencoder, mixture, {way}" for way in ("drawn", "likeliest")], OF_IMAGES),
    ("weak", ("pixel", 3)): (["pixel, 3 steps"], OF_IMAGES | {"loss_g", "loss_d", "sees"}),
    ("weak", ("linear", 4)): (["linear, 4 steps"], OF_IMAGES | {"loss_g", "loss_d", "sees"}),
    ("fooling", ("spectral", 4)): (
        ["spectral, 4 steps"],
        {"real", "draws", "noise", "climbed", "gap_spreads", "auc_climbed", "beyond", "above_99", "refused_climbed"},
    ),
    ("latent", (100,)): (["100 latents"], OF_IMAGES | {"latent"}),
    ("longer", ("GAN", 3)): (["GAN"], OF_IMAGES | {"times"}),
    ("sprites", ("floors",)): (["real sprites"], {"variety", "copied", "left", "colours", "told_network"}),
    ("sprites", (3,)): (["GAN"], {"variety", "copied", "above", "mirror", "told_network", "seconds"}),
}


@pytest.fixture(scope="module")
def bench():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "benchmarks"))
        yield import_module("gan_pictures")


@pytest.fixture(scope="module")
def pictures(bench):
    return import_module("recipes.gan_pictures")


def some(*shape, levels=17, seed=0):
    return torch.randint(levels, shape, generator=make_generator(seed))


# --- players -----------------------------------------------------------------------------------------------------


def relation(viewer, x, i, j):
    """Of an image x: what changing two pixels does to the logit, less what changing each of them does."""

    def at(*pixels):
        moved = x.clone().flatten()
        moved[list(pixels)] = -moved[list(pixels)]
        with torch.no_grad():
            return viewer.logits(moved.view(1, 1, 1, 8, 8))[0].item()

    return at(i, j) - at(i) - at(j) + at()


def test_the_one_that_sees_one_pixel_at_a_time_knows_no_relation_and_the_other_does(pictures):
    x, kinds = 2 * torch.rand(64, generator=make_generator(1)) - 1, (pictures.OnePixelAtATime, Discriminator)
    one, whole = (kind(pictures.DIGITS, generator=make_generator(0)).double() for kind in kinds)
    assert abs(relation(one, x.double(), 9, 20)) < 1e-9 and abs(relation(whole, x.double(), 9, 20)) > 1e-6
    first, second = (one.logits(y.double().view(1, 1, 1, 8, 8)).item() for y in (x, x.roll(1)))
    assert first != second, "but it does see the pixels"


def test_noise_is_before_its_eyes_in_training_alone(pictures):
    viewer, x = pictures.ThroughNoise(pictures.DIGITS, generator=make_generator(0)), some(50, 1, 8, 8)
    plain = Discriminator(pictures.DIGITS, generator=make_generator(0)).inputs(x)
    assert (viewer.inputs(x) - plain).std().item() == pytest.approx(0.3, rel=0.1)
    assert torch.equal(viewer.eval().inputs(x), plain)


def test_a_game_is_the_librarys_and_a_seed_decides_it(pictures):
    x = some(40, 1, 8, 8)

    def weights():
        knobs = pictures.PLAY | {"batch_size": 8}
        players, history = pictures.play(x, pictures.DIGITS, steps=3, generator=make_generator(0), **knobs)
        assert len(history.loss) == 3 and not players["discriminator"].training
        return torch.cat([p.detach().flatten() for p in players["generator"].parameters()])

    assert torch.equal(weights(), weights())


def test_a_colder_draw_is_surer(pictures):
    logits = torch.randn(200, 1, 8, 8, 17, generator=make_generator(0))
    cost = {
        T: -logits.log_softmax(-1).gather(4, pictures.draw_at(logits, T, make_generator(1))[..., None]).mean()
        for T in (1, 0.7, 0.01)
    }
    assert cost[1] > cost[0.7] > cost[0.01]
    assert (pictures.draw_at(logits, 1e-4, make_generator(1)) == logits.argmax(-1)).float().mean() > 0.999


# --- measures ----------------------------------------------------------------------------------------------------


def test_roughness_of_what_is_known(pictures):
    assert pictures.roughness(torch.zeros(2, 1, 8, 8, dtype=torch.long)) == 0
    board = 16 * ((torch.arange(8)[:, None] + torch.arange(8)) % 2)
    inner = pictures.roughness(board[None, None])
    assert inner > 12, "every neighbour is the other extreme, but paper lies outside"
    ramp = torch.arange(8).repeat(8, 1)[None, None]
    assert pictures.roughness(ramp) < pictures.roughness(ramp.flip(2) * (torch.arange(8)[:, None] % 2))


def test_who_repeats_what_it_saw_is_nearer_to_it(pictures):
    x = some(300, 1, 8, 8)
    known, held_out, others = x[:100], x[100:200], x[200:]
    dice = make_generator(0)
    assert pictures.nearer(known, known, held_out, dice) == 1 and pictures.nearer(held_out, known, held_out, dice) == 0
    assert abs(pictures.nearer(others, known, held_out, dice) - 0.5) < 0.15
    assert pictures.nearer(known[:1], known, known, dice) == 0.5, "a tie is a half"


def test_a_climb_goes_up_and_stays_an_image(pictures):
    viewer = Discriminator(pictures.DIGITS, generator=make_generator(0)).eval()
    x = 2 * torch.rand(6, 1, 8, 8, generator=make_generator(1)) - 1
    before = x.clone()
    found = pictures.climb(viewer, x, steps=60)
    assert torch.equal(x, before) and found.min() >= 0 and found.max() <= 16 and found.dtype == torch.long
    with torch.no_grad():
        assert (viewer(found) > viewer(x)).all()
    assert all(p.requires_grad and p.grad is None for p in viewer.parameters())


def test_auc_counts_pairs(pictures):
    assert pictures.auc(torch.tensor([2.0, 3]), torch.tensor([0.0, 1])) == 1
    assert pictures.auc(torch.tensor([0.0, 3]), torch.tensor([1.0, 2])) == 0.5


def test_sprites_are_measured(pictures):
    flat = torch.full((3, 1, 16, 16), 5)
    found = pictures.of_sprites(flat)
    assert found == {"left": 1, "above": 1, "mirror": 1, "colours": 1}
    x = some(4, 1, 16, 16, levels=16)
    assert pictures.differ(x, x.flip(0)).max() == 0
    changed = x.clone()
    changed[:, 0, 0, :3] = (changed[:, 0, 0, :3] + 1) % 16
    assert pictures.differ(changed, x).tolist() == [3, 3, 3, 3]


def test_told_apart_sees_colours_as_words(pictures):
    def stripes(n, odd, seed):  # the same levels on average, other colours
        x = some(n, 1, 16, 16, levels=2, seed=seed)
        return 4 + 2 * x if odd else torch.where(x > 0, 3, 7)

    parts = [(stripes(n, True, n), stripes(n, False, n + 1)) for n in (100, 40)]
    assert pictures.told_sprites(*parts, make_generator(0), steps=60) > 0.95
    same = [(stripes(n, True, n), stripes(n, True, n + 1)) for n in (100, 40)]
    assert pictures.told_sprites(*same, make_generator(0), steps=60) < 0.7


# --- the command -------------------------------------------------------------------------------------------------


@pytest.fixture
def tiny(bench, pictures, monkeypatch):
    monkeypatch.setattr(bench, "SETTINGS", bench.SETTINGS | TINY)
    monkeypatch.setattr(pictures.of, "by_network", partial(pictures.of.by_network, steps=3))
    monkeypatch.setattr(pictures.of, "by_evidence", lambda images, real, held_out, generator: held_out[:, 0] > 0)
    every = bench.wanted(list(bench.KINDS), [0])
    jobs = [(kind, list(job), 0) for kind, job in JOBS]
    assert all(job in every for job in jobs)
    monkeypatch.setattr(bench, "wanted", lambda kinds, seeds: jobs)
    return jobs


def test_a_run_stores_job_by_job_and_goes_on_with_what_is_missing(bench, tiny, tmp_path, monkeypatch, capsys):
    path, before = tmp_path / "gan_pictures.json", bench.weak

    def stop(trial, *job):
        raise KeyboardInterrupt

    monkeypatch.setitem(bench.KINDS, "weak", stop)
    with pytest.raises(KeyboardInterrupt):
        bench.main([], path, share=8)
    first = json.loads(path.read_text("utf-8"))["rows"]
    assert {row["kind"] for row in first} == {"table"}
    monkeypatch.setitem(bench.KINDS, "weak", before)
    bench.main([], path, share=8)
    found = json.loads(path.read_text("utf-8"))
    assert found["rows"][: len(first)] == first and found["settings"] == bench.SETTINGS
    for (kind, job), (names, fields) in JOBS.items():
        rows = [row for row in found["rows"] if (row["kind"], row["job"]) == (kind, list(job))]
        assert [row["name"] for row in rows] == names
        assert all(fields <= row.keys() for row in rows), (kind, job)
    for row in found["rows"]:
        assert all(math.isfinite(value) for value in row.values() if isinstance(value, float)), row
    bench.main([], path, share=8)
    assert json.loads(path.read_text("utf-8"))["rows"] == found["rows"], "nothing is trained again"


def test_a_job_comes_out_the_same_whatever_was_measured_before(bench, tiny):
    def row(trial):
        trial.begin("weak")
        return [{key: v for key, v in row.items() if key != "seconds"} for row in bench.weak(trial, "linear", 3)]

    trial = bench.Trial(0, share=8)
    first = row(bench.Trial(0, share=8))
    list(bench.table(trial, "floors"))
    assert row(trial) == first


def test_the_jobs_are_told_apart_and_what_takes_minutes_comes_last(bench):
    jobs = bench.wanted(list(bench.KINDS), range(5))
    assert len({json.dumps(job) for job in jobs}) == len(jobs)
    slow = [job[1][-1] == 10 for job in jobs if job[0] in ("longer", "sprites")]
    assert slow == sorted(slow) and {seed for *_, seed in jobs} == set(range(5))
    assert bench.wanted(["latent"], [1]) == [("latent", [n], 1) for n in (2, 8, 64, 100)]


def test_what_is_stored_is_what_the_command_makes(bench):
    found = json.loads(bench.RESULTS.read_text("utf-8"))
    assert found["command"] == "python benchmarks/gan_pictures.py" and found["settings"] == bench.SETTINGS
    wanted = [list(job) for job in bench.wanted(list(bench.KINDS), range(5))]
    assert all([row["kind"], row["job"], row["seed"]] in wanted for row in found["rows"])
    at = [(row["kind"], row["name"], row.get("times"), row["seed"]) for row in found["rows"]]
    assert len(set(at)) == len(at)
