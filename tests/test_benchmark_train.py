"""`benchmarks/train.py` at tiny sizes on made-up data; and the chapters' tables, which say what its rows say."""

import json
import math
import os
import re
import shlex
import signal
import subprocess
import sys
from collections import Counter
from importlib import import_module
from pathlib import Path

import pytest
import torch
from PIL import Image
from test_binarised_mnist import put_larochelle, put_mnist, rows

from course_lib.data import load_binarised_mnist
from course_lib.data.clips import FRAME, Clips
from course_lib.data.store import StoreError
from course_lib.data.waveforms import read_wav
from course_lib.device import make_generator
from course_lib.models.pixel.convolutional import PixelCNN
from course_lib.models.wavenet import WaveNet, WaveNetConfig

ROOT = Path(__file__).parents[1]
RESULTS = (ROOT / "benchmarks" / "results").glob("*.json")
OTHERS = {
    "painters",
    "memory_of_sound",
    "movers",
    "moving_mnist_vpn_32",
    "decoders",
    "games",
    "gan_pictures",
    "stacked_mnist",
    "mnist_gan",
    "oracle",
    "leaves",
    "writers",
}  # commands of their own, with tests of their own
STORED = sorted(path for path in RESULTS if path.stem not in OTHERS)
TINY = WaveNetConfig(levels=32, layers=3, stacks=1, features=4, skip_features=8, global_channels=6, local_channels=61)


@pytest.fixture(scope="module")
def bench():
    """The command as a module, found where it finds its recipes."""
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        yield import_module("train")
    finally:
        sys.path.remove(str(ROOT / "benchmarks"))


def made_up(split):
    """Three digits in two voices, several times each: a tone for the digit, its loudness for the voice; 20 frames."""
    takes, F = {"train": 4, "test": 2}[split], 20
    kinds = [(digit, speaker) for _ in range(takes) for digit in range(3) for speaker in range(2)]
    generator = make_generator(takes)
    x, label, told = (
        torch.zeros(len(kinds), F * FRAME),
        torch.zeros(len(kinds), F).long(),
        torch.zeros(len(kinds), F, 61),
    )
    for n, (digit, speaker) in enumerate(kinds):
        frames = 8 + n % 6 if n % 5 else F
        t = torch.arange(frames * FRAME)
        tone = torch.sin(2 * math.pi * (300 + 900 * digit + 60 * speaker) * t / 8000)
        x[n, : len(t)] = (0.5, 0.05)[speaker] * tone + 0.002 * torch.randn(len(t), generator=generator)
        label[n, :frames] = digit + 1
        told[n, :frames, 6 * digit] = 1
        told[n, frames:, -1] = 1
    speaker = torch.tensor([speaker for _, speaker in kinds])
    return Clips(x=x, speaker=speaker, label=label, local_condition=told, pitch=torch.zeros(len(kinds), F))


@pytest.fixture
def recipes(bench, tmp_path, monkeypatch):
    """One recipe of each kind, tiny, and MNIST of a few bars in a store of its own."""
    put_larochelle(tmp_path, monkeypatch, train=rows(40), valid=rows(8, 1), test=rows(12, 2))
    grey = rows(14).reshape(-1, 28, 28) * 128
    put_mnist(tmp_path, monkeypatch, grey, grey[:6])
    kinds = import_module("recipes")
    small = {"features": 5, "depth": 1, "batch_size": 4, "looked_at": 4}
    codes = small | {"latent": 2, "published": 2.0, "published_static": 3.0}
    return {
        "characters": kinds.Characters("poems", 8, batch_size=4, poems=50),
        "memory": kinds.Memory("poems", 8, batch_size=4, poems=50, cell="plain"),
        "creatures": kinds.Creatures(features=4, depth=1, held_out=20, drawn=60),
        "voices": kinds.Voices(
            config=TINY, load_clips=made_up, speakers=("george", "jackson"), held_out=6, judge_steps=3
        ),
        "images": kinds.Images(PixelCNN, **small, published=1.0),
        "codes": kinds.Codes(**codes),
        "codes_3": kinds.Codes(**codes, samples=3),
    }


@pytest.fixture
def command(bench, recipes, tmp_path):
    """The command, its arguments as one string; it leaves what it makes below `place`, by default tmp_path."""

    def command(arguments, place=tmp_path):
        (place / "samples").mkdir(parents=True, exist_ok=True)
        settings = {"folder": place, "samples": place / "samples", "progress": False}
        return bench.main(arguments.split(), recipes, **settings)

    return command


# --- a run -----------------------------------------------------------------------------------------------------


def test_each_kind_of_recipe_writes_its_row_and_what_it_drew(command, tmp_path, capsys):
    asked = {
        "characters": ("", "nats_per_character", math.log(331)),
        "memory": ("", "nats_per_character", math.log(331)),
        "creatures": ("", "test_bits_per_dim", 4),
        "voices": ("", "test_bits_per_sample", 5),
        "images": (" --source larochelle", "test_nats", 784 * math.log(2)),
        "codes": (" --source larochelle --bound-samples 7", "test_nats", 784 * math.log(2)),
    }
    rows = {}
    for recipe, (options, number, uniform) in asked.items():
        row = rows[recipe] = command(f"{recipe} --steps 6 --seed 3{options}")
        name = f"{recipe}_larochelle" if "larochelle" in options else recipe
        stored = json.loads((tmp_path / "results" / f"{name}.json").read_text("utf-8"))
        assert stored == json.loads(json.dumps(row))
        assert row["command"] == f"python benchmarks/train.py {recipe} --steps 6 --seed 3{options}"
        assert (row["recipe"], row["steps"], row["seed"]) == (recipe, 6, 3) and row["parameters"] > 0
        assert uniform / 4 < row[number] < uniform * 2, "of the size of a guess, after six steps"
        assert list(row["watched_after_steps"]) == list("123456")
        printed = capsys.readouterr().out
        assert "0 of 6 steps done" in printed and "step      6 of 6" in printed and f"-> {name}.json" in printed
    with Image.open(tmp_path / "samples" / "painted_creatures.png") as picture:
        assert picture.size == (12 * 16, 16)
    said, row, test = read_wav(tmp_path / "samples" / "spoken_digits.wav"), rows["voices"], made_up("test")
    assert row["drawn_words"] == len(test) == 12 and len(row["accepted_of_each_digit"]) == len(row["chosen"]) == 3
    assert row["accepted_by_the_recogniser"] == sum(row["accepted_of_each_digit"])
    lengths = (test.label > 0).sum(1) * FRAME
    draws = [int(chosen.split()[-1]) - 1 for chosen in row["chosen"]]
    lengths = [int(lengths[test.label[:, 0] == digit + 1][draw]) for digit, draw in enumerate(draws)]
    pause = round(0.15 * 8000)
    assert len(said) == sum(lengths) + 2 * pause and said.abs().max() == pytest.approx(0.9, abs=1e-3)
    words, at = [], 0
    for length in lengths:
        words.append(said[at : at + length])
        assert (said[at + length : at + length + pause] == 0).all()
        at += length + pause
    levels = [10 * x.square().mean().log10().item() for x in words]
    assert levels == pytest.approx(row["chosen_at_decibels"], abs=0.06) and max(levels) - min(levels) < 0.01


def press_ctrl_c_at(recipe, step):
    """The recipe presses Ctrl-C in the middle of training step `step`, once."""
    loss, steps = recipe.loss, []

    def pressed(model, *batch, generator):
        steps.append(model.training)
        if model.training and sum(steps) == step:
            os.kill(os.getpid(), signal.SIGINT)
        return loss(model, *batch, generator=generator)

    recipe.loss = pressed


@pytest.mark.parametrize(
    "arguments",
    ["voices", "images --source larochelle", "codes_3 --source dynamic --bound-samples 7", "characters"],
)
def test_a_stopped_run_goes_on_as_if_it_had_not_stopped(arguments, command, recipes, tmp_path, capsys):
    whole = command(f"{arguments} --steps 6 --run it", tmp_path / "whole")
    press_ctrl_c_at(recipes[arguments.split()[0]], 3)
    with pytest.raises(SystemExit, match="the same command goes on"):
        command(f"{arguments} --steps 6 --run it")
    assert not (tmp_path / "results").exists() and not list((tmp_path / "samples").iterdir())
    capsys.readouterr()
    row = command(f"{arguments} --steps 6 --run it")
    assert "3 of 6 steps done" in capsys.readouterr().out
    same = row.keys() - {"minutes", "test_seconds", "samples_per_second_of_sample"}
    assert {key: row[key] for key in same} == {key: whole[key] for key in same}
    weights = [
        torch.load(folder / "checkpoints" / "it.pt", weights_only=True)["weights"]
        for folder in (tmp_path, tmp_path / "whole")
    ]
    assert all(torch.equal(*pair) for pair in zip(*(w.values() for w in weights), strict=True))
    again = command(f"{arguments} --steps 6 --run it")
    assert "6 of 6 steps done" in capsys.readouterr().out and {again[key] == row[key] for key in same} == {True}


def test_the_three_cells_differ_in_their_cell_alone(recipes):
    memory = recipes["memory"]
    memory.load(torch.device("cpu"), 0)
    models = {}
    for memory.cell in ("plain", "half open", "open"):
        models[memory.cell] = memory.begin(torch.Generator().manual_seed(0))
    half, opened = (dict(models[cell].named_parameters()) for cell in ("half open", "open"))
    differ = [name for name in half if not torch.allclose(half[name], opened[name])]
    assert differ == ["lstm.bias_ih_l0"]
    assert (opened[differ[0]] - half[differ[0]]).tolist() == pytest.approx([0] * 8 + [2] * 8 + [0] * 16, abs=1e-6)
    assert isinstance(models["plain"].lstm, torch.nn.RNN)
    assert torch.equal(models["plain"].embed.weight, opened["embed.weight"])


def test_a_bigram_is_what_a_count_by_hand_says(recipes):
    characters = recipes["characters"]
    characters.load(torch.device("cpu"), 0)
    (x,), V = characters.train, characters.vocabulary.levels
    pairs = Counter((b, c) for row in x.tolist() for b, c in zip([None, *row], row, strict=False))
    befores = Counter(b for row in x.tolist() for b in [None, *row[:-1]])
    singles = Counter(x.flatten().tolist())

    def nats(rows, weight):
        cost = 0
        for row in rows.tolist():
            for b, c in zip([None, *row], row, strict=False):
                alone = (singles[c] + 0.5) / (x.numel() + 0.5 * V)
                cost -= math.log((pairs[b, c] + weight * alone) / (befores[b] + weight))
        return cost / rows.numel()

    by_weight = {weight: nats(characters.watched[0], weight) for weight in (1, 3, 10, 30, 100, 300, 1000)}
    best = min(by_weight, key=by_weight.get)
    assert 1 < best < 1000, "of fifty poems neither the pairs alone are best nor the single characters"
    assert characters.bigram() == pytest.approx(nats(characters.x_test, best), rel=1e-5)


def test_minutes_are_turned_into_steps_and_a_small_corpus_into_fewer(command, recipes):
    row = command("images --source larochelle --minutes 0.01")
    assert row["steps"] > 1 and row["minutes"] < 1
    recipes["characters"].most_steps = 2
    assert command("characters --minutes 0.1")["steps"] == 2


def test_another_run_does_not_go_on_from_this_one(command, capsys):
    command("characters --steps 2")
    for other in ("--steps 3", "--steps 2 --seed 1", "--steps 2 --lr 0.1", "--steps 2 --batch-size 2", "--minutes 1"):
        with pytest.raises(SystemExit, match=r"of another run \(it has .*--run.*--fresh"):
            command(f"characters {other}")
    row = command("characters --steps 3 --fresh")
    assert "0 of 3 steps done" in capsys.readouterr().out and "--fresh" not in row["command"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("nothing", "invalid choice: 'nothing' (choose from 'characters', "),
        ("", "expected the name of a recipe, one of characters, "),
        ("images --minutes 0", "argument --minutes: invalid float (it must be above 0) value: '0'"),
        ("images --minutes nan", "argument --minutes: invalid float (it must be above 0) value: 'nan'"),
        ("images --steps -1", "argument --steps: invalid int (it must be above 0) value: '-1'"),
        ("images --steps 5 --minutes 1", "not allowed with argument"),
        ("images --bound-samples 9", "--bound-samples: images has no such choice"),
        ("voices --source drawn", "--source: voices has no such choice"),
        ("images --run a/b", "--run: expected a name, got 'a/b'"),
        ("images --run ..", "--run: expected a name, got '..'"),
    ],
)
def test_nonsense_is_refused(command, tmp_path, capsys, arguments, message):
    with pytest.raises(SystemExit) as stopped:
        command(arguments)
    assert stopped.value.code == 2 and message in capsys.readouterr().err
    assert not (tmp_path / "results").exists() and not (tmp_path / "checkpoints").exists()


def test_what_is_missing_is_one_line(command, recipes, tmp_path):
    def nothing(split):
        raise StoreError("there is no network, and no fsdd")

    recipes["voices"].load_clips = nothing
    with pytest.raises(SystemExit, match=r"^there is no network, and no fsdd$"):
        command("voices --steps 2")
    with pytest.raises(SystemExit, match="source: expected one of 'drawn', 'larochelle', 'dynamic', got 'mnist'"):
        command("images --source mnist")


def test_it_runs_from_a_shell():
    done = subprocess.run(
        [sys.executable, "benchmarks/train.py", "--list"], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert re.search(r"^shakespeare +3 min +CharRNN, 256 features", done.stdout, re.M)


# --- what the recipes measure ---------------------------------------------------------------------------------


def test_dynamic_images_are_drawn_anew_and_only_in_training(command, recipes):
    seen, recipe = {"training": [], "looks": []}, recipes["codes"]
    nats = recipe.nats

    def watched(model, x, generator):
        seen["training" if model.training else "looks"].append(x)
        return nats(model, x, generator)

    recipe.nats = watched
    row = command("codes --source dynamic --steps 40 --bound-samples 2")
    assert row["published_test_nats"] == 2.0 and "table 1" in row["published_in"]
    x = torch.cat(seen["training"])  # 160 images of a bar of 16 × 3 pixels at 128 / 255
    assert set(x.unique().tolist()) == {0, 1} and len(x.unique(dim=0)) == len(x) == 160, "no two alike"
    assert x.sum().item() / len(x) / 48 == pytest.approx(128 / 255, abs=0.02)  # three standard errors
    assert len(seen["looks"]) == 20 and all(torch.equal(look, load_binarised_mnist("valid")) for look in seen["looks"])


def test_a_vaes_row_says_that_its_nats_are_a_bound(command, capsys):
    row = command("codes --steps 6 --bound-samples 7 --source larochelle")
    assert "7 samples" in row["test_nats_are"] and row["bound_samples"] == 7 and "valid_nats" not in row
    assert 0 < row["test_nats"] < row["test_minus_elbo"] and row["valid_minus_elbo"] > 0
    assert row["published_test_nats"] == 3.0 and "appendix D" in row["published_in"]
    assert f"at most {row['test_nats']:.2f} nats on 12 test images" in capsys.readouterr().out


@pytest.fixture
def words(recipes):
    recipes["voices"].load(torch.device("cpu"), 0)
    return recipes["voices"].words


def test_a_words_loss_is_of_its_own_samples_told_what_the_whole_clip_is_told(words):
    model, n = WaveNet(TINY, generator=make_generator(0)), torch.tensor([0, 1, 7])
    assert words.frames[n].tolist() == [20, 9, 9]
    with torch.no_grad():
        logits = model(words.levels[n], words.speaker[n], words.local_condition[n])
        each = torch.nn.functional.cross_entropy(logits.transpose(1, 2), words.levels[n], reduction="none")
        together = words.nats(model, n)
        for i, frames in enumerate(words.frames[n].tolist()):
            alone = words.nats(model, n[i : i + 1])[0]
            assert alone[: frames * FRAME].numpy() == pytest.approx(each[i, : frames * FRAME].numpy(), abs=1e-4)
            assert together[i].sum().item() == pytest.approx(alone.sum().item(), rel=1e-5), "whoever is beside it"
            assert (alone[frames * FRAME :] == 0).all(), "the zeros behind do not count"
        assert [len(words.nats(model, n[i : i + 1])[0]) // FRAME for i in range(3)] == [20, 10, 10]
        nats = sum(each[i, : frames * FRAME].sum().item() for i, frames in enumerate(words.frames[n].tolist()))
    bits = nats / math.log(2) / (FRAME * int(words.frames[n].sum()))
    assert words.bits(model, n) == pytest.approx(bits, rel=1e-5)


def test_of_each_digit_the_first_accepted_draw_is_chosen_by_another_speaker_in_turn(recipes):
    choose = import_module("recipes.voices").choose
    digit, voice = torch.tensor([0, 0, 1, 1, 2, 2] * 2), torch.tensor([0, 1] * 6)
    assert choose(torch.ones(12).bool(), digit, voice) == [0, 3, 4]
    accepted = torch.ones(12).bool()
    accepted[[0, 3, 2, 9, 4]] = False
    assert choose(accepted, digit, voice) == [1, 8, 5], "the other speaker's first comes before one's own second"
    assert choose(torch.zeros(12).bool(), digit, voice) == [0, 3, 4], "none is a word: the first, and the row says so"


def test_the_bigram_counts_and_smooths(words):
    bigram_bits = import_module("recipes.voices").bigram_bits
    train, test = torch.tensor([[0.0, 3.0], [1.0, 0.0]]), torch.tensor([[1.0, 1.0], [0.0, 2.0]])
    by_hand = -(math.log2(0.1 / 3.2) + math.log2(3.1 / 3.2) + 2 * math.log2(0.1 / 1.2)) / 4
    assert bigram_bits(train, test) == pytest.approx(by_hand, rel=1e-5)
    pairs, x = words.pairs([1, 2]), words.heard(1)
    assert pairs.sum() == len(x) + len(words.heard(2))
    assert pairs[16, x[0]] >= 1 and pairs[x[0], x[1]] >= 1


# --- the stored rows, and what the chapters say of them ---------------------------------------------------------


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.stem)
def test_a_stored_row_says_a_command_that_makes_such_a_row(path, bench):
    row = json.loads(path.read_text("utf-8"))
    python, script, *arguments = shlex.split(row["command"])
    assert (python, script) == ("python", "benchmarks/train.py")
    wanted, run, fresh = bench.read(arguments, bench.RECIPES)
    assert run == path.stem and not fresh and wanted["recipe"] == row["recipe"]
    assert wanted["steps"] in (None, row["steps"])
    same = wanted.keys() & row.keys() - {"steps", "minutes"}
    assert {key: row[key] for key in same} == {key: wanted[key] for key in same}
    recipe = bench.RECIPES[row["recipe"]]
    if "published_test_nats" in row:
        assert (row["config"]["features"], row["config"]["depth"]) == (recipe.features, recipe.depth)
        assert row["model"] == recipe.model.__name__
        assert (row["published_test_nats"], row["published_in"]) == recipe.published_on(row["source"])
        assert row["images"] == {"train": 50_000, "valid": 10_000, "test": 10_000}
    if row["recipe"] == "spoken_digits":
        assert row["config"] == vars(recipe.config) and row["clips"] == {"train": 880, "valid": 20, "test": 100}
        assert row["accepted_of_each_digit"] and row["chosen_that_the_recogniser_accepts"] == 10
        assert len(row["recogniser_right_about_strangers"]) == 6 and len(set(row["chosen_at_decibels"])) == 1


def stored(name):
    return json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text("utf-8"))


def prose(chapter):
    return (ROOT / "chapters" / "sources" / f"{chapter}.py").read_text("utf-8")


def test_chapter_3s_table_says_what_the_runs_wrote():
    table = re.compile(r"^# \| (\w+) \| \*\*([\d.]+)\*\* \| ([\d.]+) \| ([\d.]+) \| (\d+) \| ([\d,]+) \|$", re.M)
    rows = table.findall(prose("03_pixelrnn_sentences"))
    assert [name for name, *_ in rows] == ["poems", "tang", "names", "shakespeare"]
    for name, nats, bigram, uniform, levels, weights in rows:
        run = stored(name)
        assert float(nats) == round(run["nats_per_character"], 3), name
        assert (float(bigram), float(uniform)) == (round(run["bigram"], 3), round(run["uniform"], 2)), name
        assert (int(levels), int(weights.replace(",", ""))) == (run["levels"], run["parameters"]), name


def test_chapter_3_shows_what_the_tang_network_drew():
    assert all(f'"{poem}"' in prose("03_pixelrnn_sentences") for poem in stored("tang")["drawn"])


def test_chapter_3s_cells_are_what_the_runs_wrote():
    table = re.compile(r"^# \| (plain|half_open|open) \| \*\*([\d.]+)\*\* \| ([\d.]+) \| ([\d.]+) \|$", re.M)
    rows = table.findall(prose("03_pixelrnn_sentences"))
    assert [cell for cell, *_ in rows] == ["plain", "half_open", "open"]
    for cell, nats, *last in rows:
        run = stored(f"poems_{cell}")
        assert float(nats) == pytest.approx(run["nats_per_character"], abs=0.0006), cell
        assert [float(n) for n in last] == pytest.approx(run["nats_of_the_last_two"], abs=0.0051), cell
        assert (run["steps"], run["seed"]) == (3500, 0)


def test_chapter_4s_table_says_what_the_runs_wrote():
    table = re.compile(r"^# \| (\w+) \| ([\d,]+) \| (\d+) \| \*\*([\d.]+)\*\* \| ([\d.]+) \|$", re.M)
    rows = table.findall(prose("04_six_painters"))
    assert [model for model, *_ in rows] == ["DiagonalBiLSTM", "PixelCNN"]
    for (model, weights, minutes, nats, published), run in zip(
        rows, ("diagonal_bilstm_1x32", "pixel_cnn"), strict=True
    ):
        kept = stored(f"mnist_{run}_larochelle")
        assert (model, int(weights.replace(",", ""))) == (kept["model"], kept["parameters"])
        assert (float(nats), float(published)) == (round(kept["test_nats"], 2), kept["published_test_nats"])
        assert int(minutes) == round(kept["minutes"])


def test_chapter_5_says_what_the_run_wrote():
    row, text = stored("spoken_digits"), " ".join(prose("05_wavenet").replace("\n#", " ").split())
    draws, judged, near = row["drawn_words"], row["accepted_by_the_recogniser"], "nearest_real_word"
    strange = [100 * share for share in row["recogniser_right_about_strangers"].values()]
    said = [
        f"trained for {row['minutes']:.0f} minutes",
        f"`{row['command']}`",
        f"{row['clips']['train']} recordings of two people",
        f"{row['test_bits_per_sample']:.2f} bits a sample, the bigram {row['bigram_test_bits_per_sample']:.2f}",
        f"{sum(strange) / 6:.0f} % of the words ({min(strange):.0f} to {max(strange):.0f} %, by person)",
        f"{row['accepted_of_the_real_ones']} of {draws} real ones",
        f"refuses {row['refused_of_the_real_ones_backwards']} of these played backwards",
        f"{row['refused_of_hiss_in_their_place']} of {draws} hisses",
        f"accepts {judged} of all {draws}",
        f"accepts {judged} of the {draws} draws",
        f"for {row[f'{near}_is_of_the_same']['digit']} of the {draws} draws",
        f"real words: {row[f'{near}_to_real_ones_is_of_the_same']['digit']}",
        f"for {row[f'chosen_whose_{near}_is_of_the_same_digit']} of the ten chosen",
        f"the right person for {row[f'{near}_is_of_the_same']['speaker']}",
    ]
    assert [sentence for sentence in said if sentence not in text] == []
    turns = ("jackson, draw 1", "nicolas, draw 2")  # whose turn is first, and which of the digit's draws that is
    assert [digit for digit, chosen in enumerate(row["chosen"]) if chosen != turns[digit % 2]] == [3]
    assert "for nine of the ten digits that was the first draw" in text
    words = read_wav(ROOT / "data" / "samples" / "spoken_digits.wav")
    assert 4 * 8000 < len(words) < 7 * 8000 and 0.8 < words.abs().max() < 1


def test_chapter_7_says_what_the_run_wrote():
    row, text = stored("mnist_vae_dynamic"), " ".join(prose("07_vae").replace("\n# ", " ").split())
    said = re.search(r"(\d+) minutes on one core\) costs at most \*\*([\d.]+)\*\* nats.* report ([\d.]+)\. The", text)
    minutes, nats, published = said.groups()
    assert (float(nats), float(published)) == (round(row["test_nats"], 2), row["published_test_nats"])
    assert int(minutes) == round(row["minutes"])
    assert f"`{row['command']}`" in text
