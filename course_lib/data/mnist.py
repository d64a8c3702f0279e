"""MNIST, for those who want more than 8×8 pixels: 70,000 digits, 28×28, downloaded on request; in grey, or binarised.

Binarised, with two levels, it is what the field has compared its likelihoods on since 2008.
"""

import math

import numpy as np
import torch

from ..device import make_generator
from ..expect import expect_one_of
from .store import StoreError, fetch, store_folder

LEVELS = 256  # a pixel is a grey level, 0 (paper) to 255 (full ink)
VALID = 10_000  # the last so many of the training file are held out, as in the tables that papers print
SEED = 0  # of the one draw that makes the course's own binarised copy
SPLITS = ("train", "valid", "test")
SOURCES = ("drawn", "larochelle")


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
    expect_one_of("split", split, SPLITS)
    file = "t10k" if split == "test" else "train"
    images = _read_idx(f"mnist/{file}-images-idx3-ubyte", dimensions=3)  # (N, 28, 28)
    labels = _read_idx(f"mnist/{file}-labels-idx1-ubyte", dimensions=1)  # (N,)
    expected = (len(labels), 28, 28)
    if images.shape != expected:
        raise ValueError(f"MNIST: {len(labels)} labels need images of shape {expected}; given {images.shape}")
    if split != "test":  # cut before widening: 8 bytes a pixel only for what was asked
        part = slice(None, -VALID) if split == "train" else slice(-VALID, None)
        images, labels = images[part], labels[part]
    x = torch.from_numpy(images.astype(np.int64)).unsqueeze(1)  # (N, 1, 28, 28)
    y = torch.from_numpy(labels.astype(np.int64))  # (N,)
    return x.to(device), y.to(device)


def load_binarised_mnist(split: str, device: str | torch.device = "cpu", *, source: str = "drawn") -> torch.Tensor:
    """Load one split as `x` (N, 1, 28, 28) long, 0 (paper) or 1 (ink).

    `split` is "train" (N = 50,000), "valid" (10,000) or "test" (10,000). With `source="drawn"` each pixel of
    `load_mnist` became ink with probability grey / 255, once and for all: the seed is fixed, so every call and every
    machine has the same images. With `source="larochelle"` they are the images of the published tables, read from
    binarized_mnist/binarized_mnist_{train,valid,test}.mat in the store's folder, where you have put them; the course
    does not download them. Their rows are sorted by digit, and stay so. Likelihoods on the two are of the same kind but
    not the same number, so nothing falls back from one to the other.

    Raises ValueError on another split or source or a file that holds no such images, StoreError when one is missing.
    Sources: Salakhutdinov and Murray (2008), for the draw; Larochelle and Murray (2011), for the files.
    """
    expect_one_of("split", split, SPLITS)
    expect_one_of("source", source, SOURCES)
    x = _drawn(split) if source == "drawn" else _larochelle(split)
    return x.to(device)


def _drawn(split):
    grey, _ = load_mnist(split)
    generator = make_generator(SEED + SPLITS.index(split))  # a split is the same, whichever others were loaded before
    return (torch.rand(grey.shape, generator=generator) < grey / 255).long()


def _larochelle(split):
    from scipy.io import loadmat  # here, so that importing the course does not pay for it

    path = store_folder() / "binarized_mnist" / f"binarized_mnist_{split}.mat"
    if not path.exists():
        raise StoreError(
            f"{path} is missing, and the course cannot download it: put Larochelle's files there (MATLAB v5, key X), "
            "set COURSE_DATA to a folder that has them, or take source='drawn', which is made from MNIST"
        )
    try:
        rows = np.asarray(loadmat(path)["X"])
    except Exception as error:  # whatever the reader stumbles over, it means the same
        raise ValueError(f"{path}: expected a MATLAB file with the key X ({type(error).__name__}: {error})") from error
    if rows.ndim != 2 or rows.shape[1] != 28 * 28 or len(rows) == 0 or not ((rows == 0) | (rows == 1)).all():
        raise ValueError(f"{path}: expected X of shape (N, 784) with zeros and ones only; given {rows.shape}")
    return torch.from_numpy(rows.astype(np.int64)).unflatten(1, (1, 28, 28))


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
