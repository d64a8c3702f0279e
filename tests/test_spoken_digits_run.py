"""The command that trains a WaveNet on real voices keeps what it promises, on made-up voices of a few frames."""

import importlib.util
import json
import math
import os
import signal
from pathlib import Path

import pytest
import torch

from course_lib.data.clips import FRAME, Clips
from course_lib.data.store import StoreError
from course_lib.data.waveforms import mu_law_encode, read_wav
from course_lib.device import make_generator
from course_lib.models.wavenet import WaveNet, WaveNetConfig

ROOT = Path(__file__).parents[1]
TINY = WaveNetConfig(levels=32, layers=3, stacks=1, features=4, skip_features=8, global_channels=6, local_channels=61)


@pytest.fixture(scope="module")
def bench():
    path = ROOT / "benchmarks" / "spoken_digits.py"
    spec = importlib.util.spec_from_file_location("spoken_digits_run", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def made_up(split):
    """Three digits in two voices, several times each: a tone for the digit, its loudness for the voice; 20 frames."""
    takes, F = {"train": 4, "test": 2}[split], 20
    kinds = [(digit, speaker) for _ in range(takes) for digit in range(3) for speaker in range(2)]
    generator = make_generator(takes)
    x, label, local = torch.zeros(len(kinds), F * FRAME), torch.zeros(len(kinds), F).long(), []
    for n, (digit, speaker) in enumerate(kinds):
        frames = 8 + n % 6 if n % 5 else F
        t = torch.arange(frames * FRAME)
        tone = torch.sin(2 * math.pi * (300 + 900 * digit + 60 * speaker) * t / 8000)
        x[n, : len(t)] = (0.5, 0.05)[speaker] * tone + 0.002 * torch.randn(len(t), generator=generator)
        label[n, :frames] = digit + 1
        local.append(torch.zeros(F, 61))
        local[-1][:frames, 6 * digit] = 1
        local[-1][frames:, -1] = 1
    speaker = torch.tensor([speaker for _, speaker in kinds])
    return Clips(
        x=x, speaker=speaker, label=label, local_condition=torch.stack(local), pitch=torch.zeros(len(kinds), F)
    )


@pytest.fixture
def command(bench, tmp_path, monkeypatch):
    """A function that runs the command on made-up voices, with a tiny network, below tmp_path."""
    monkeypatch.setattr(bench, "WINDOW", 10)
    monkeypatch.setattr(bench, "VALID", 6)

    def command(arguments="", folder=tmp_path, load_clips=made_up):
        wav = folder / "sounds" / "said.wav"
        return bench.main(arguments.split(), TINY, load_clips, folder, wav, progress=False)

    return command


def test_a_run_writes_its_row_and_its_words(bench, command, tmp_path, capsys):
    row = command("--steps 40 --seed 3")
    kept = json.loads((tmp_path / "results" / "spoken_digits.json").read_text("utf-8"))
    assert kept == row and row["config"]["layers"] == 3 and row["receptive_field"] == 8
    assert row["clips"] == {"train": 18, "valid": 6, "test": 12} and row["drawn_words"] == 6
    test = made_up("test")
    assert row["test_samples"] == (test.label > 0).sum() * FRAME, "and none of the zeros behind a word"
    assert 0 < row["test_bits_per_sample"] < row["uniform_bits_per_sample"] == 5
    assert 0 < row["bigram_test_bits_per_sample"] < 5 and row["samples_per_second_of_sample"] > 0
    assert row["steps"] == 40 and row["seed"] == 3 and row["seconds"] > 0 and row["threads"] >= 1
    assert row["nearest_real_word_to_real_ones_is_of_the_same"]["digit"] == 6, "the tones are far apart"
    said = read_wav(tmp_path / "sounds" / "said.wav")
    lengths = (test.label[[0, 3, 4]] > 0).sum(1) * FRAME  # digit 0, 1, 2 by voice 0, 1, 0
    assert len(said) == lengths.sum() + 2 * round(0.15 * 8000) and said.abs().max() == pytest.approx(0.9, abs=1e-3)
    assert f"{row['test_bits_per_sample']:.3f} bits per sample on 12 test clips" in capsys.readouterr().out


def test_a_stopped_run_goes_on_as_if_it_had_not_stopped(bench, command, tmp_path, monkeypatch, capsys):
    whole = command("--steps 6", tmp_path / "whole")
    nats, calls = bench.Words.nats, []

    def pressed(self, model, clip, first):
        calls.append(model.training)
        if model.training and sum(calls) == 3:  # a second Ctrl-C would stop at once, and save nothing
            os.kill(os.getpid(), signal.SIGINT)
        return nats(self, model, clip, first)

    with monkeypatch.context() as patch:
        patch.setattr(bench.Words, "nats", pressed)
        with pytest.raises(SystemExit, match="the same command goes on"):
            command("--steps 6")
    assert not (tmp_path / "results").exists() and not (tmp_path / "sounds").exists()
    capsys.readouterr()
    row = command()  # its plan knows how many steps
    assert "3 of 6 steps done" in capsys.readouterr().out
    same = row.keys() - {"seconds", "samples_per_second_of_sample"}
    assert {key: row[key] for key in same} == {key: whole[key] for key in same}
    sounds = [(folder / "sounds" / "said.wav").read_bytes() for folder in (tmp_path, tmp_path / "whole")]
    assert sounds[0] == sounds[1]
    with pytest.raises(SystemExit, match=r"of another run \(it has lr 0.005, not 0.1\): --fresh replaces it"):
        command("--lr 0.1")
    command("--steps 2 --lr 0.1 --fresh")
    assert "0 of 2 steps done" in capsys.readouterr().out


def test_minutes_are_turned_into_steps(command):
    row = command("--minutes 0.01")
    assert row["steps"] > 1 and row["seconds"] < 30


def test_every_frame_is_the_middle_of_a_window_inside_its_word(bench, monkeypatch):
    monkeypatch.setattr(bench, "WINDOW", 10)
    words = bench.Words(made_up("train"), torch.device("cpu"), 32)
    clip, first = words.windows([0, 1, 7])
    frames = words.frames[[0, 1, 7]].tolist()
    assert frames == [20, 9, 9] and clip.tolist() == [0] * 20 + [1] * 9 + [7] * 9
    assert first[:20].tolist() == [0] * 6 + list(range(1, 10)) + [10] * 5
    assert (first[20:] == 0).all(), "a word shorter than a window is trained on whole"


def test_recordings_of_any_loudness_come_to_the_same_peak(bench):
    clips = made_up("train")
    words = bench.Words(clips, torch.device("cpu"), 256)
    quiet = Clips(
        x=clips.x / 10, **{name: getattr(clips, name) for name in ("speaker", "label", "local_condition", "pitch")}
    )
    assert torch.equal(bench.Words(quiet, torch.device("cpu"), 256).levels, words.levels)
    peak = mu_law_encode(torch.tensor(0.7)).item()
    assert ((words.levels - 127.5).abs().amax(1) - (peak - 127.5)).abs().max() <= 1


def test_a_words_bits_are_those_of_its_own_samples(bench):
    words = bench.Words(made_up("test"), torch.device("cpu"), 32)
    model = WaveNet(TINY, generator=make_generator(0))
    nats = samples = 0
    with torch.no_grad():
        for n in range(3):
            x, frames = words.heard(n)[None], int(words.frames[n])
            nats -= model.log_prob(x, words.speaker[n : n + 1], words.local_condition[n : n + 1, :frames]).item()
            samples += frames * FRAME
        short = words.nats(model, torch.tensor([1]), torch.tensor([0]))
        alone = -model.log_prob(
            words.heard(1)[None], words.speaker[1:2], words.local_condition[1:2, : int(words.frames[1])]
        )
    assert words.bits(model, range(3)) == pytest.approx(nats / samples / math.log(2), rel=1e-5)
    assert short.item() == pytest.approx(alone.item() / len(words.heard(1)), rel=1e-3), "the zeros behind do not count"


def test_the_bigram_counts_and_smooths(bench, monkeypatch):
    train = torch.tensor([[0.0, 3.0], [1.0, 0.0]])
    test = torch.tensor([[1.0, 1.0], [0.0, 2.0]])
    monkeypatch.setattr(bench, "ALPHA", 1.0)
    by_hand = -(math.log2(1 / 5) + math.log2(4 / 5) + 2 * math.log2(1 / 3)) / 4
    assert bench.bigram_bits(train, test) == pytest.approx(by_hand)
    words = bench.Words(made_up("train"), torch.device("cpu"), 32)
    pairs = words.pairs([1, 2], 32)
    assert pairs.sum() == len(words.heard(1)) + len(words.heard(2))
    x = words.heard(1)
    assert pairs[16, x[0]] >= 1 and pairs[x[0], x[1]] >= 1


def test_before_it_learns_the_network_knows_the_levels_frequencies(bench):
    counts = torch.arange(32.0)
    model = bench.begin(TINY, 0, counts, torch.device("cpu"))
    last, embed = model.head[3], model.embed.weight
    assert torch.allclose(last.bias.softmax(0), (counts + 1) / (counts + 1).sum())
    near, far = (embed[1:] - embed[:-1]).norm(), (embed[8:] - embed[:-8]).norm()
    assert 3 * near < far


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--minutes 0", "argument --minutes: invalid float (it must be above 0) value: '0'"),
        ("--minutes nan", "argument --minutes: invalid float (it must be above 0) value: 'nan'"),
        ("--steps -1", "argument --steps: invalid int (it must be above 0) value: '-1'"),
        ("--steps 5 --minutes 1", "not allowed with argument"),
        ("--batch-size 2.5", "argument --batch-size: invalid int (it must be above 0) value: '2.5'"),
        ("--speaker theo", "unrecognized arguments: --speaker theo"),
    ],
)
def test_nonsense_is_refused(command, tmp_path, capsys, arguments, message):
    with pytest.raises(SystemExit) as stopped:
        command(arguments)
    assert stopped.value.code == 2 and message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_missing_recordings_are_one_line(command):
    def nothing(split):
        raise StoreError("there is no network, and no fsdd")

    with pytest.raises(SystemExit, match=r"^there is no network, and no fsdd$"):
        command("--steps 2", load_clips=nothing)


def test_the_stored_row_is_of_the_command_and_its_words_are_stored(bench):
    row = json.loads((ROOT / "benchmarks" / "results" / "spoken_digits.json").read_text("utf-8"))
    assert row["config"] == {**vars(bench.CONFIG)} and row["clips"] == {"train": 2640, "valid": 60, "test": 300}
    assert row["test_bits_per_sample"] < row["bigram_test_bits_per_sample"] < row["uniform_bits_per_sample"] == 8
    said = read_wav(ROOT / "data" / "samples" / "spoken_digits.wav")
    assert 4 * 8000 < len(said) < 7 * 8000 and 0.8 < said.abs().max() < 1


def test_the_chapter_says_what_the_row_says():
    row = json.loads((ROOT / "benchmarks" / "results" / "spoken_digits.json").read_text("utf-8"))
    text = " ".join((ROOT / "chapters" / "sources" / "05_wavenet.py").read_text("utf-8").replace("\n#", " ").split())
    said = f"{row['test_bits_per_sample']:.2f} bits a sample, the bigram {row['bigram_test_bits_per_sample']:.2f}"
    assert f"trained for {row['seconds'] / 60:.0f} minutes" in text and said in text
    assert f"{row['nearest_real_word_is_of_the_same']['digit']} of {row['drawn_words']}" in text
