"""Real handwritten digits that need no download: 1,797 of them, 8×8, in 17 levels of ink."""

import torch

from ..expect import expect_one_of

LEVELS = 17  # a pixel is an ink level, 0 (paper) to 16 (full ink): it counts the inked dots of a 4×4 block
# In file order, so that every reader everywhere compares the same numbers: 1000 / 350 / 447.
SPLITS = {"train": slice(0, 1000), "valid": slice(1000, 1350), "test": slice(1350, 1797)}


def load_digits(split: str, device: str | torch.device = "cpu") -> tuple[torch.Tensor, torch.Tensor]:
    """Load one split: `x` (N, 1, 8, 8) long, ink levels 0..16, and `y` (N,) long, the digit 0..9.

    `split` is "train" (N = 1000), "valid" (350) or "test" (447). Every call returns fresh tensors: change
    them as you like. `x` is long because a level is a class, the target of a cross-entropy; divide by
    `LEVELS - 1` to get a grey value in [0, 1].

    Raises ValueError on another split name. Source: Alpaydin and Kaynak (1998), Optical Recognition of
    Handwritten Digits, UCI; the copy that scikit-learn ships.
    """
    expect_one_of("split", split, SPLITS)
    from sklearn import datasets  # here, so that importing the course does not pay for scikit-learn

    digits, part = datasets.load_digits(), SPLITS[split]
    x = torch.as_tensor(digits.images[part], dtype=torch.long, device=device)  # (N, 8, 8)
    y = torch.as_tensor(digits.target[part], dtype=torch.long, device=device).clone()  # (N,)
    return x.unsqueeze(1), y
