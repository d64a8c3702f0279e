"""MNIST, for those who want more than 8×8 pixels: 70,000 digits, 28×28, downloaded on request."""

import math

import numpy as np
import torch

from .store import fetch

LEVELS = 256  # a pixel is a grey level, 0 (paper) to 255 (full ink)
VALID = 10_000  # the last so many of the training file are held out, as in the tables that papers print


def load_mnist(split: str, device: str | torch.device = "cpu") -> tuple[torch.Tensor, torch.Tensor]:
    """Load one split: `x` (N, 1, 28, 28) long, grey levels 0..255, and `y` (N,) long, the digit 0..9.

    `split` is "train" (N = 50,000), "valid" (10,000: the last of the training file) or "test" (10,000). The
    files are found, or downloaded once (12 MB) and verified, by `course_lib.data.store.fetch`.

    `x` is long although the file has bytes: a level is a class, and a cross-entropy wants its target long, so
    a model that trains on `load_digits` trains on this unchanged. The price is 8 bytes a pixel, 314 MB for
    "train"; where memory is short, keep `x[:5000].clone()`.

    Raises ValueError on another split name or a file that is no MNIST, StoreError when a file cannot be had.
    Source: LeCun, Bottou, Bengio and Haffner (1998), section III.A.
    """
    files = {"train": "train", "valid": "train", "test": "t10k"}
    if split not in files:
        raise ValueError(f"split must be one of {', '.join(map(repr, files))}; given {split!r}")
    images = _read_idx(f"mnist/{files[split]}-images-idx3-ubyte", dimensions=3)  # (N, 28, 28)
    labels = _read_idx(f"mnist/{files[split]}-labels-idx1-ubyte", dimensions=1)  # (N,)
    expected = (len(labels), 28, 28)
    if images.shape != expected:
        raise ValueError(f"MNIST: {len(labels)} labels need images of shape {expected}; given {images.shape}")
    if split != "test":  # cut before widening: 8 bytes a pixel only for what was asked
        part = slice(None, -VALID) if split == "train" else slice(-VALID, None)
        images, labels = images[part], labels[part]
    x = torch.from_numpy(images.astype(np.int64)).unsqueeze(1)  # (N, 1, 28, 28)
    y = torch.from_numpy(labels.astype(np.int64))  # (N,)
    return x.to(device), y.to(device)


def _read_idx(name: str, dimensions: int) -> np.ndarray:
    """Read an idx file: 0, 0, 8 (for bytes), the number of dimensions, each size in 4 bytes, the data."""
    path = fetch(name)
    raw = np.frombuffer(path.read_bytes(), dtype=np.uint8)
    begins, magic = raw[:4].tolist(), [0, 0, 8, dimensions]
    if begins != magic:
        raise ValueError(f"{path}: an idx file with {dimensions} dimensions begins {magic}; given {begins}")
    start = 4 + 4 * dimensions
    shape = tuple(raw[4:start].view(">u4").tolist()) if len(raw) >= start else ()
    size = start + math.prod(shape)
    if len(raw) != size or not shape:
        raise ValueError(f"{path}: a header that says {shape} needs {size} bytes in all; given {len(raw)}")
    return raw[start:].reshape(shape)
