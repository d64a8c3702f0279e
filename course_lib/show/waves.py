"""Pictures of sounds: the waveform over time, and how strong each frequency is."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from .plots import QUIET, as_array, shown_once


def show_waves(waves: dict, rate: int, *, labels=None, height: float = 1.1) -> Figure:
    """Waveforms {title: (T,)} below each other over the time in ms; `labels` [(from, to, text)] name stretches."""
    size = (7.2, height * len(waves) + 0.5)
    figure, axes = plt.subplots(len(waves), 1, figsize=size, sharex=True, layout="constrained", squeeze=False)
    for ax, (title, wave) in zip(axes.flat, waves.items(), strict=True):
        wave = as_array(wave)
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
    """How strong each frequency is at each time, in waveforms {title: (T,)}: white is 60 dB below black."""
    rows = -(-len(waves) // columns)
    size = (width, height * rows + 0.4)
    figure, axes = plt.subplots(rows, columns, figsize=size, layout="constrained", squeeze=False)
    for ax in axes.flat[len(waves) :]:
        ax.axis("off")
    for n, (ax, (title, wave)) in enumerate(zip(axes.flat, waves.items(), strict=False)):
        window = round(0.02 * rate)  # 20 ms: long enough for two periods of a voice, short enough for a consonant
        frames = np.lib.stride_tricks.sliding_window_view(as_array(wave), window)[:: window // 8]
        power = np.abs(np.fft.rfft(frames * np.hanning(window), n=256)) ** 2
        extent = (0, len(as_array(wave)) / rate, 0, rate / 2000)
        db = 10 * np.log10(power.T + 1e-12)
        ax.imshow(db, origin="lower", aspect="auto", extent=extent, cmap="gray_r", vmin=db.max() - 60, vmax=db.max())
        ax.set_title(title, fontsize=10)
        if n % columns == 0:
            ax.set_ylabel("kHz")
        if n >= len(waves) - columns:
            ax.set_xlabel("s")
    return shown_once(figure)
