"""The data sets are the ones that the chapters' numbers were computed on: images, splits and units."""

import numpy as np
import pytest
import torch

from course_lib.data import digits, load_digits, load_mnist, mnist


@pytest.mark.parametrize(
    ("split", "counts", "ink"),
    [
        ("train", [99, 102, 100, 104, 98, 100, 101, 99, 98, 99], 314334),
        ("valid", [36, 34, 34, 34, 35, 37, 33, 36, 35, 36], 108404),
        ("test", [43, 46, 43, 45, 48, 45, 47, 44, 41, 45], 138980),
    ],
)
def test_digits_are_the_known_ones(split, counts, ink):
    x, y = load_digits(split)
    assert x.shape == (sum(counts), 1, 8, 8) and y.shape == (sum(counts),)
    assert x.dtype == y.dtype == torch.long
    assert x.min() == 0 and x.max() == digits.LEVELS - 1
    assert y.bincount().tolist() == counts
    assert x.sum() == ink, "the images have changed: every number in the chapters is computed on them"


def test_digits_splits_are_in_file_order_and_miss_nothing():
    from sklearn.datasets import load_digits as whole

    x = torch.cat([load_digits(split)[0] for split in ("train", "valid", "test")])
    assert torch.equal(x[:, 0], torch.from_numpy(whole().images).long())


def test_digits_are_fresh_at_each_call():
    x, y = load_digits("valid")
    x.zero_(), y.zero_()
    x, y = load_digits("valid")
    assert x.sum() > 0 and y.sum() > 0


@pytest.mark.parametrize("load", [load_digits, load_mnist])
def test_an_unknown_split_is_refused(load):
    with pytest.raises(ValueError, match=r"split: expected one of 'train', 'valid', 'test', got 'dev'"):
        load("dev")


def test_data_goes_to_the_device_that_is_asked_for():
    x, y = load_digits("valid", device="meta")
    assert x.device.type == y.device.type == "meta"


def idx(array):
    """Encode an array of bytes as an idx file."""
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.astype(np.uint8).tobytes()


@pytest.fixture
def put(put_files, monkeypatch):
    """put(images, labels), two bytes objects: they become MNIST's training files, and two are for validation."""
    monkeypatch.setattr(mnist, "VALID", 2)
    return lambda images, labels: put_files(
        {"mnist/train-images-idx3-ubyte": images, "mnist/train-labels-idx1-ubyte": labels}
    )


IMAGES = np.arange(5 * 28 * 28).reshape(5, 28, 28) % 256
LABELS = np.array([3, 1, 4, 1, 5])


def test_mnist_is_read_as_it_was_written(put):
    put(idx(IMAGES), idx(LABELS))
    x, y = load_mnist("train")
    assert x.dtype == y.dtype == torch.long and x.shape == (3, 1, 28, 28)
    assert torch.equal(x[:, 0], torch.from_numpy(IMAGES[:3])) and y.tolist() == [3, 1, 4]
    x, y = load_mnist("valid")
    assert torch.equal(x[:, 0], torch.from_numpy(IMAGES[3:])) and y.tolist() == [1, 5]


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (b"\x89PNG" + idx(IMAGES)[4:], idx(LABELS), r"begins \[0, 0, 8, 3\]; given \[137, 80, 78, 71\]"),
        (b"", idx(LABELS), r"begins \[0, 0, 8, 3\]; given \[\]"),
        (idx(IMAGES)[:10], idx(LABELS), r"given 10$"),
        (idx(IMAGES)[:-1], idx(LABELS), r"\(5, 28, 28\) needs 3936 bytes in all; given 3935"),
        (idx(IMAGES[:, :8]), idx(LABELS), r"5 labels need images of shape \(5, 28, 28\); given \(5, 8, 28\)"),
        (idx(IMAGES), idx(LABELS[:4]), r"4 labels need images of shape \(4, 28, 28\); given \(5, 28, 28\)"),
    ],
    ids=["not-idx", "empty", "header-cut", "data-cut", "other-shape", "other-count"],
)
def test_what_is_no_mnist_is_refused(put, images, labels, message):
    put(images, labels)
    with pytest.raises(ValueError, match=message):
        load_mnist("train")


def test_the_real_mnist(need_real):
    need_real("mnist/train-images-idx3-ubyte")
    for split, counts in {
        "train": [4932, 5678, 4968, 5101, 4859, 4506, 4951, 5175, 4842, 4988],
        "valid": [991, 1064, 990, 1030, 983, 915, 967, 1090, 1009, 961],
        "test": [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009],
    }.items():
        x, y = load_mnist(split)
        assert x.shape == (sum(counts), 1, 28, 28) and x.dtype == y.dtype == torch.long
        assert y.bincount().tolist() == counts
        assert x.min() == 0 and x.max() == mnist.LEVELS - 1
