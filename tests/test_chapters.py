"""Chapters run on other data by one argument, and every position of every slider is there."""

import json
import math
import re
from dataclasses import replace

import matplotlib.pyplot as plt
import nbformat
import pytest
import torch
from seeds import CHAPTERS, run_chapter

from course_lib.data import load_vowels
from course_lib.device import make_generator
from course_lib.show.explore import Exploration, explore

PLAYER = re.compile(
    r'class="course-player" data-positions="(\d+)" data-kind="(\w+)".*?const data = ([^\n]*);\n', re.DOTALL
)


@pytest.mark.parametrize("source", CHAPTERS, ids=lambda path: path.stem)
def test_every_position_of_every_slider_is_in_the_stored_page(source):
    """To store a player is to call its function at every position; test_notebooks shows that it is today's function."""
    cells = nbformat.read(source.parents[1] / f"{source.stem}.ipynb", as_version=4).cells
    shown = [output.get("data", {}).get("text/html", "") for cell in cells for output in cell.get("outputs", [])]
    players = [found for text in shown for found in PLAYER.findall(text)]
    assert players, f"{source.stem}: a chapter has something to play with"
    for positions, kind, data in players:
        data = json.loads(data)
        sizes = [len(slider["words"]) for slider in data["sliders"]]
        assert len(data["positions"]) == int(positions) == math.prod(sizes), f"{data['alt']}: sliders of {sizes}"
        last, stored = max(data["positions"]), data["frames"]
        assert set(data["positions"]) == set(range(last + 1))
        if kind == "figure":  # 0 is the picture at the start, the others are patches on it, side by side in strips
            assert len(stored["strips"]) == math.ceil(last / stored["perStrip"])
        else:
            assert len(stored) == last + 1


def move_to_the_ends(shown):
    """Move all sliders of an exploration to one end and to the other; the rest is as on the stored page."""
    if isinstance(shown, Exploration):
        for position in (shown.positions[0], shown.positions[-1]):
            shown.value(**position)


def strangers(split):
    """Clips in the form of the real spoken digits, which CI has not got: vowels, called digits of six people."""
    clips = load_vowels(60 if split == "test" else 120, generator=make_generator(len(split)), frames=100)
    each = torch.arange(len(clips))
    label = (clips.label > 0) * (1 + each // 6 % 10)[:, None]
    local = torch.cat([clips.local_condition] * 6, 2)[:, :, :61]
    return replace(clips, speaker=each % 6, label=label, local_condition=local, pitch=torch.zeros_like(clips.pitch))


@pytest.mark.slow
def test_chapter_5_runs_on_real_voices_by_one_argument(monkeypatch):
    monkeypatch.setenv("TQDM_DISABLE", "1")
    monkeypatch.setattr("course_lib.data.load_spoken_digits", strangers)
    source = next(path for path in CHAPTERS if path.stem == "05_wavenet")
    monkeypatch.chdir(source.parents[1])
    knobs = [('source = "voices"', 'source = "spoken digits"'), ("steps = 1000", "steps = 30")]
    for shown in run_chapter(source, 1, knobs):
        move_to_the_ends(shown)


# Chinese is text and no part of a figure: matplotlib's own font would draw boxes, and warns of each. That a warning
# in a stored notebook is refused, whatever it says, is for test_notebooks.

CHINESE = "import matplotlib.pyplot as plt\nfigure = plt.figure()\nfigure.suptitle('床前明月光')\n"


@pytest.mark.parametrize("last", ["figure", "None", "(plt.close(), figure)[1]"])
def test_a_figure_with_a_missing_glyph_fails_its_chapter(tmp_path, last):
    source = tmp_path / "chapter.py"
    source.write_text(f"# %%\nseed = 0\n# %%\n{CHINESE}{last}\n", "utf-8")
    with pytest.raises(UserWarning, match=r"Glyph 24202 .* missing from"):
        list(run_chapter(source, 1))
    plt.close("all")


def test_an_exploration_with_a_missing_glyph_fails():
    def show(n):
        plt.figure().suptitle("床前明月光"[:n])

    with pytest.raises(UserWarning, match=r"Glyph 24202 .* missing from"):
        explore(show, n=[0, 1]).frames()
