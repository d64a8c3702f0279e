"""Binarised MNIST is the same at every load."""

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.io import savemat

from course_lib.data import load_binarised_mnist, load_mnist, mnist, store
from course_lib.data.store import StoreError

ROOT = Path(__file__).parents[1]
SPLITS = ("train", "valid", "test")
NEEDS = {"mnist": "mnist/train-images-idx3-ubyte", "larochelle": "binarized_mnist/binarized_mnist_test.mat"}


# --- the data -----------------------------------------------------------------------------------------------


def put_mnist(folder, monkeypatch, train, test):
    """Make `folder` a store whose MNIST has these images (N, 28, 28); the last 2 of `train` are held out."""
    monkeypatch.setenv("COURSE_DATA", str(folder))
    monkeypatch.setattr(mnist, "VALID", 2)
    (folder / "mnist").mkdir()
    registry = {}
    for name, images in {"train": train, "t10k": test}.items():
        for kind, array in {"images-idx3": images, "labels-idx1": np.zeros(len(images))}.items():
            sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
            content = bytes([0, 0, 8, array.ndim]) + sizes + array.astype(np.uint8).tobytes()
            file = f"mnist/{name}-{kind}-ubyte"
            (folder / file).write_bytes(content)
            sha256 = hashlib.sha256(content).hexdigest()
            registry[file] = store.Download("http://127.0.0.1:9/", sha256, len(content), "test", "none")
    monkeypatch.setattr(store, "REGISTRY", registry)


def put_larochelle(folder, monkeypatch, **splits):
    """Make `folder` a store with Larochelle's files; each split is what its key X holds."""
    monkeypatch.setenv("COURSE_DATA", str(folder))
    (folder / "binarized_mnist").mkdir()
    for split, x in splits.items():
        savemat(folder / "binarized_mnist" / f"binarized_mnist_{split}.mat", {"X": x})


def rows(n, seed=0):
    """Rows (n, 784) of zeros and ones as Larochelle's files have them: an upright bar somewhere."""
    images = np.zeros((n, 28, 28), np.uint8)
    for image, column in zip(images, np.random.default_rng(seed).integers(4, 24, n), strict=True):
        image[6:22, column - 1 : column + 2] = 1
    return images.reshape(n, 784)


def test_a_drawn_pixel_is_ink_as_often_as_it_is_dark(tmp_path, monkeypatch):
    grey = np.zeros((402, 28, 28), np.uint8)
    grey[:, 7:14], grey[:, 14:21], grey[:, 21:] = 51, 204, 255
    put_mnist(tmp_path, monkeypatch, grey, grey[:50])
    x = load_binarised_mnist("train")
    assert x.shape == (400, 1, 28, 28) and x.dtype == torch.long
    assert set(x.unique().tolist()) == {0, 1}
    shares = [part.double().mean().item() for part in x.split(7, 2)]
    assert shares[0] == 0 and shares[3] == 1, "white paper stays white, and full ink stays ink"
    assert shares[1:3] == pytest.approx([0.2, 0.8], abs=0.005)  # three standard errors


def test_the_draw_is_the_same_at_every_load_and_each_split_has_its_own(tmp_path, monkeypatch):
    grey = np.full((6, 28, 28), 128, np.uint8)
    put_mnist(tmp_path, monkeypatch, grey, grey[:2])
    x, valid, test = map(load_binarised_mnist, SPLITS)
    assert [len(x), len(valid), len(test)] == [4, 2, 2]
    before = torch.random.get_rng_state()
    assert torch.equal(load_binarised_mnist("test"), test) and torch.equal(load_binarised_mnist("train"), x)
    assert torch.equal(torch.random.get_rng_state(), before), "nobody else's random numbers were taken"
    assert not torch.equal(valid, test) and not torch.equal(x[:2], test)
    assert [int(part.sum()) for part in (x, valid, test)] == INK, "another draw: no row in benchmarks/results is of it"


INK = [1584, 794, 797]


def test_larochelles_images_stand_upright_and_in_their_order(tmp_path, monkeypatch):
    x = rows(5)
    x[0] = 0
    x[0, 3 * 28 + 9] = 1
    put_larochelle(tmp_path, monkeypatch, train=x, valid=x[:2], test=x[::-1])
    images = load_binarised_mnist("train", source="larochelle")
    assert images.shape == (5, 1, 28, 28) and images.dtype == torch.long
    assert images[0].nonzero().tolist() == [[0, 3, 9]]
    assert torch.equal(load_binarised_mnist("test", source="larochelle"), images.flip(0))
    assert len(load_binarised_mnist("valid", source="larochelle")) == 2
    assert load_binarised_mnist("valid", "meta", source="larochelle").device.type == "meta"


@pytest.mark.parametrize("source", mnist.SOURCES)
def test_an_unknown_split_or_source_is_refused(source):
    with pytest.raises(ValueError, match=r"split: expected one of 'train', 'valid', 'test', got 'dev'"):
        load_binarised_mnist("dev", source=source)
    with pytest.raises(ValueError, match=r"source: expected one of 'drawn', 'larochelle', got 'Drawn'"):
        load_binarised_mnist("test", source="Drawn")


def test_what_is_missing_is_said_and_not_replaced(tmp_path, monkeypatch):
    grey = np.zeros((3, 28, 28), np.uint8)
    put_mnist(tmp_path, monkeypatch, grey, grey)
    with pytest.raises(StoreError, match=r"binarized_mnist_test\.mat is missing.*source='drawn'") as error:
        load_binarised_mnist("test", source="larochelle")
    assert "\n" not in str(error.value)


def test_larochelles_files_do_not_stand_in_for_mnist(tmp_path, monkeypatch):
    put_larochelle(tmp_path, monkeypatch, test=rows(2))
    monkeypatch.setattr(store, "REGISTRY", {})
    with pytest.raises(StoreError, match="knows no data file 'mnist/t10k-images-idx3-ubyte'"):
        load_binarised_mnist("test")


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (rows(4).T, r"shape \(N, 784\) with zeros and ones only; given \(784, 4\)"),
        (rows(4) * 2, r"zeros and ones only"),
        (rows(4) * 0.5, r"zeros and ones only"),
        (rows(0), r"given \(0, (784|0)\)"),
    ],
    ids=["turned", "levels", "grey", "empty"],
)
def test_other_numbers_are_refused(tmp_path, monkeypatch, x, message):
    put_larochelle(tmp_path, monkeypatch, test=x)
    with pytest.raises(ValueError, match=message):
        load_binarised_mnist("test", source="larochelle")


@pytest.mark.parametrize("content", [b"", b"0 1 0 1\n" * 200, "another key", "cut"], ids=str)
def test_other_files_are_refused(tmp_path, monkeypatch, content):
    put_larochelle(tmp_path, monkeypatch, test=rows(30))
    path = tmp_path / "binarized_mnist" / "binarized_mnist_test.mat"
    if content == "another key":
        savemat(path, {"Y": rows(2)})
    else:
        path.write_bytes(path.read_bytes()[:5000] if content == "cut" else content)
    with pytest.raises(ValueError, match=r"binarized_mnist_test\.mat: expected a MATLAB file with the key X"):
        load_binarised_mnist("test", source="larochelle")


def real_store(what):
    """Find a folder that already holds the real files, or None. Nothing is downloaded for a test."""
    shared = ROOT.parent / "shared" / "data"
    folders = [Path(folder) for folder in (os.environ.get("COURSE_DATA"), shared) if folder]
    return next((folder for folder in folders if (folder / NEEDS[what]).exists()), None)


@pytest.mark.skipif(real_store("mnist") is None, reason="no real MNIST here: COURSE_DATA can name a folder with it")
def test_the_real_mnist_drawn(monkeypatch):
    monkeypatch.setenv("COURSE_DATA", str(real_store("mnist")))
    x = load_binarised_mnist("test")
    grey = load_mnist("test")[0] / 255
    assert x.shape == grey.shape == (10_000, 1, 28, 28)
    assert x.double().mean().item() == pytest.approx(grey.double().mean().item(), abs=2e-4)
    assert (x.double().mean(0) - grey.double().mean(0)).abs().max() < 0.02


@pytest.mark.skipif(real_store("larochelle") is None, reason="no Larochelle's files here: COURSE_DATA can name them")
def test_the_real_larochelle(monkeypatch):
    monkeypatch.setenv("COURSE_DATA", str(real_store("larochelle")))
    for split, n in {"train": 50_000, "valid": 10_000, "test": 10_000}.items():
        x = load_binarised_mnist(split, source="larochelle")
        assert x.shape == (n, 1, 28, 28) and x.min() == 0 and x.max() == 1
        assert x.sum().item() / x.numel() == pytest.approx(0.131, abs=0.003)  # as much ink as MNIST's grey
