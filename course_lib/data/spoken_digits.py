"""Real voices: six speakers say the digits 0 to 9, fifty times each (FSDD); downloaded on request."""

import math
import re

import torch

from ..expect import expect_one_of
from .clips import FRAME, Clips
from .store import fetch
from .waveforms import read_wav

SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
SPLITS = ("train", "test")
RATE = 8000  # samples a second
HATS = 6  # places in a word, from its begin to its end, that `local_condition` tells apart
_TEST = 5  # of each digit and speaker, so many recordings are the test split: FSDD's own rule


def load_spoken_digits(split: str, *, seconds: float = 1.0) -> Clips:
    """Load one split as Clips of `seconds` each: "train" has N = 2,700, recordings 5 to 49; "test" 300, 0 to 4.

    They come by recording, then digit, then speaker: every 60 in a row hold each digit in each of the six voices. A
    recording begins at sample 0 and zeros follow it; what is longer is cut: in 1 s, 20 of the 3,000, and only 1 in 100
    is longer than 0.92 s. The level is as recorded: a peak of 0.27 in the median, but 0.03 for theo and 0.45 for
    lucas; nothing is normalised.

    `speaker` is the place in SPEAKERS, `label` the digit + 1, and 0 in the zeros behind it. `local_condition`
    (N, F, 61) says where in the word a frame is, as there are no phones: with p from 0 to 1, from the recording's begin
    to its end, column 6 * digit + i is max(0, 1 - |5 p - i|), so the 6 sum to 1; the last column is 1 in the zeros.
    `pitch` is unknown, 0.

    They are found, or downloaded once (21 MB of recordings) and verified, by `course_lib.data.store.fetch`. Raises
    ValueError for another split and less than one frame, StoreError when they cannot be had.
    Source: Jackson et al. (2018), Free Spoken Digit Dataset, in release v1.0.10; CC BY-SA 4.0.
    """
    expect_one_of("split", split, SPLITS)
    if not FRAME / RATE <= seconds < math.inf:
        raise ValueError(f"seconds: expected {FRAME / RATE} or more, the length of a frame, got {seconds}")
    takes = sorted(_take(path) for path in fetch("fsdd/recordings/").glob("*.wav"))
    takes = [one for one in takes if (one[0] < _TEST) == (split == "test")]
    N, F = len(takes), round(seconds * RATE / FRAME)
    x = torch.zeros(N, F * FRAME)
    lengths = torch.empty(N)  # samples in all, also where the clip has fewer
    for n, (*_, path) in enumerate(takes):
        recording = read_wav(path, RATE)
        lengths[n] = len(recording)
        cut = recording[: F * FRAME]
        x[n, : len(cut)] = cut
    digit, speaker = torch.tensor([one[1:3] for one in takes]).unbind(1)
    starts = FRAME * torch.arange(F)
    sounds = starts < lengths[:, None]  # (N, F)
    place = ((starts + FRAME / 2) / lengths[:, None]).clamp(max=1)  # (N, F), of a frame's middle
    hats = (1 - ((HATS - 1) * place[..., None] - torch.arange(HATS)).abs()).clamp(min=0)  # (N, F, HATS)
    local = torch.zeros(N, F, 10, HATS)
    local[torch.arange(N), :, digit] = hats * sounds[..., None]
    return Clips(
        x=x,
        speaker=speaker,
        label=torch.where(sounds, digit[:, None] + 1, 0),
        local_condition=torch.cat([local.flatten(2), (~sounds).float()[..., None]], dim=2),
        pitch=torch.zeros(N, F),
        rate=RATE,
    )


def _take(path):
    """What a file's name says, `{digit}_{speaker}_{recording}.wav`: (recording, digit, speaker, path)."""
    digit, speaker, recording = re.fullmatch(r"(\d)_([a-z]+)_(\d+)", path.stem).groups()
    return int(recording), int(digit), SPEAKERS.index(speaker), path
