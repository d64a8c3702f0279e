"""Sounds with what is said in them, frame by frame: the form in which the course's audio data come."""

from dataclasses import dataclass, fields

import torch

from ..expect import expect_floats, expect_levels

FRAME = 80  # samples: 10 ms at 8 kHz, in which a mouth hardly moves


@dataclass(frozen=True, eq=False)
class Clips:
    """N sounds of T samples, each in F = T / FRAME frames; `clips[3:5]` and `clips[indices]` are Clips again.

    Raises TypeError for another dtype, ValueError for shapes that do not fit together and a T that is not a whole
    number of frames.
    """

    x: torch.Tensor  # (N, T) float, in [-1, 1]
    speaker: torch.Tensor  # (N,) long
    label: torch.Tensor  # (N, F) long: which phone (note, digit) sounds in each frame; 0 is silence
    local_condition: torch.Tensor  # (N, F, L) float: what a WaveNet may be told frame by frame
    pitch: torch.Tensor  # (N, F) float, Hz; 0 where unvoiced or unknown
    rate: int = 8000  # samples a second

    def __post_init__(self):
        expect_floats("x", self.x, ("N", "T"))
        N, T = self.x.shape
        if T % FRAME:
            raise ValueError(f"x: expected a whole number of frames of {FRAME} samples, got {T}; pad it with zeros")
        F, many = T // FRAME, torch.iinfo(torch.long).max  # the data sets have different labels: any that fits a long
        expect_levels("speaker", self.speaker, (N,), many)
        expect_levels("label", self.label, (N, F), many)
        expect_floats("local_condition", self.local_condition, (N, F, "L"))
        expect_floats("pitch", self.pitch, (N, F))

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, which: slice | torch.Tensor) -> "Clips":
        if isinstance(which, int) or (isinstance(which, torch.Tensor) and which.dim() != 1):
            raise TypeError("clips: expected a slice or a tensor of indices (n,), for they stay a batch: clips[3:4]")
        cut = {f.name: getattr(self, f.name)[which] for f in fields(self) if f.name != "rate"}
        return Clips(**cut, rate=self.rate)
