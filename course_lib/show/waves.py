"""Pictures of sounds: the waveform over time, and how strong each frequency is."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from ..expect import expect_count, expect_titled
from .plots import QUIET, as_array, shown_once

QUIETEST = -60  # dB, of a tone as high as one step of 16 bits; what is quieter, silence say, is drawn paler


def show_waves(waves: dict, rate: int, *, labels=None, height: float = 1.1) -> Figure:
    """Waveforms {title: (T,)} below each other over the time in ms; `labels` [(from, to, text)] name stretches.

    Raises ValueError for other shapes, samples that are not finite, no waveforms and a rate that is none.
    """
    clips = _clips(waves, rate)
    size = (7.2, height * len(clips) + 0.5)
    figure, axes = plt.subplots(len(clips), 1, figsize=size, sharex=True, layout="constrained", squeeze=False)
    for ax, (title, wave) in zip(axes.flat, clips.items(), strict=True):
        ax.plot(1000 / rate * np.arange(len(wave)), wave, lw=0.8, marker="." if len(wave) < 200 else None)
        ax.set_ylabel(title, rotation=0, ha="right", va="center")
        ax.margins(x=0)
        ax.spines[["top", "right"]].set_visible(False)
    for start, stop, text in labels or ():
        axes[0, 0].annotate(text, ((start + stop) / 2, 1.0), xycoords=("data", "axes fraction"), ha="center")
        for ax in axes.flat:
            ax.axvline(start, color=QUIET, lw=0.6)
    axes[-1, 0].set_xlabel("ms")
    return shown_once(figure)


def show_spectrograms(waves: dict, rate: int, *, columns: int = 1, width: float = 7.2, height: float = 1.7) -> Figure:
    """How strong each frequency is at each time, in waveforms {title: (T,)}: white is 60 dB below black.

    Black is the strongest of each waveform, so that a quiet one is as dark as a loud one; silence is white. A waveform
    has 20 ms or more, `rate` is at least 200. Raises ValueError for others, and as `show_waves` does.
    """
    clips = _clips(waves, rate, least=200)  # 4 samples in 20 ms: of fewer, the window leaves nothing
    window = round(0.02 * rate)  # 20 ms: long enough for two periods of a voice, short enough for a consonant
    for title, wave in clips.items():
        if len(wave) < window:
            raise ValueError(
                f"waves[{title!r}]: expected at least 20 ms, {window} samples at {rate} a second, got {len(wave)}; "
                "take a longer stretch, or show_waves"
            )
    points = max(256, 1 << (window - 1).bit_length())  # of the transform, which cuts what is longer
    rows = -(-len(clips) // columns)
    size = (width, height * rows + 0.4)
    figure, axes = plt.subplots(rows, columns, figsize=size, layout="constrained", squeeze=False)
    for ax in axes.flat[len(clips) :]:
        ax.axis("off")
    for n, (ax, (title, wave)) in enumerate(zip(axes.flat, clips.items(), strict=False)):
        frames = np.lib.stride_tricks.sliding_window_view(wave, window)[:: max(1, window // 8)]
        power = np.abs(np.fft.rfft(frames * np.hanning(window), n=points)) ** 2
        extent = (0, len(wave) / rate, 0, rate / 2000)
        db = 10 * np.log10(power.T + 1e-12)
        black = max(db.max(), QUIETEST)
        ax.imshow(db, origin="lower", aspect="auto", extent=extent, cmap="gray_r", vmin=black - 60, vmax=black)
        ax.set_title(title, fontsize=10)
        if n % columns == 0:
            ax.set_ylabel("kHz")
        if n >= len(clips) - columns:
            ax.set_xlabel("s")
    return shown_once(figure)


def _clips(waves, rate, least=1):
    """The waveforms as arrays (T,)."""
    expect_titled("waves", waves, "(T,)")
    expect_count("rate", rate, least)
    clips = {title: as_array(f"waves[{title!r}]", wave) for title, wave in waves.items()}
    for title, wave in clips.items():
        if wave.ndim != 1 or not len(wave):
            raise ValueError(f"waves[{title!r}]: expected the samples of one clip, shape (T,), got {wave.shape}")
    return clips
