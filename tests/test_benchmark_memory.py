"""The benchmark of WaveNet's memory: what its rows leave out, and what its steps see."""

import json
import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from course_lib.data import load_words
from course_lib.data.clips import FRAME
from course_lib.data.waveforms import mu_law_encode
from course_lib.device import make_generator
from course_lib.models.wavenet import WaveNet, WaveNetConfig

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))
from memory_of_sound import PIECE, RESULTS, ROWS, Without, clips_of, conditions, nats_of_pieces  # noqa: E402

SMALL = {"layers": 4, "stacks": 2, "features": 4, "skip_features": 4, "global_channels": 4}


def test_a_word_loses_no_sound():
    whole, cut = load_words(50, generator=make_generator(3)), clips_of("words", 50, 3)
    assert (cut.label > 0).sum() == (whole.label > 0).sum() and cut.x.shape[1] == 48 * FRAME
    assert torch.equal(cut.x.abs().sum(), whole.x.abs().sum()) or torch.allclose(cut.x.abs().sum(), whole.x.abs().sum())
    assert (clips_of("Adam", 50, 3).speaker == 1).all()


def test_what_lacks_nothing_is_a_wavenet_and_what_lacks_something_is_another():
    clips = clips_of("words", 2, 0)
    x, told = mu_law_encode(clips.x)[:, : 8 * FRAME], (conditions(clips)[0], clips.local_condition[:, :8])
    config = WaveNetConfig(**SMALL, local_channels=told[1].shape[2])
    whole = WaveNet(config, generator=make_generator(0))
    with torch.no_grad():
        logits = whole(x, *told)
        assert torch.equal(Without(config, "", generator=make_generator(0))(x, *told), logits)
        for part in "gate", "residual", "skips", "smooth start":
            assert not torch.allclose(Without(config, part, generator=make_generator(0))(x, *told), logits), part


@pytest.mark.parametrize("first", [1, 20, 43])
def test_a_piece_costs_what_it_costs_within_its_whole_clip(first):
    clips = clips_of("notes", 2, 0)
    x, told = mu_law_encode(clips.x), conditions(clips)
    config = WaveNetConfig(**SMALL, local_channels=told[1].shape[2])
    model = WaveNet(config, generator=make_generator(0))
    here = slice(first * FRAME, (first + PIECE) * FRAME)
    with torch.no_grad():
        whole = F.cross_entropy(model(x, *told).transpose(1, 2), x, reduction="none")[:, here].mean(1)
        piece = nats_of_pieces(x, *told)(model, torch.arange(2), torch.tensor([first, first]))
    assert torch.allclose(piece, whole, atol=1e-5)


def test_the_stored_rows_are_of_these_networks():
    for row in json.loads(RESULTS.read_text("utf-8"))["rows"]:
        wanted = ROWS[row["row"]]
        assert (row["layers"], row["stacks"], row["steps"], row["without"]) == (
            wanted.layers,
            wanted.stacks,
            wanted.steps,
            wanted.without,
        )
