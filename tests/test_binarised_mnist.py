"""Binarised MNIST is the same at every load, and the command that trains on it keeps what it promises."""

import hashlib
import importlib.util
import json
import os
import re
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.io import savemat

from course_lib.data import load_binarised_mnist, load_mnist, mnist, store
from course_lib.data.store import StoreError
from course_lib.device import make_generator
from course_lib.models.pixel.convolutional import PixelCNN
from course_lib.models.vae import VAE

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


# --- the command --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bench():
    sys.path.insert(0, str(ROOT / "benchmarks"))  # where it finds what lies beside it, as when it is run
    spec = importlib.util.spec_from_file_location("binarised_mnist", ROOT / "benchmarks" / "binarised_mnist.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["binarised_mnist"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    sys.path.pop(0)
    yield module
    del sys.modules["binarised_mnist"], sys.modules["binarised_mnist_sizes"]


@pytest.fixture
def command(bench, tmp_path, monkeypatch):
    """The command, its arguments as one string, on a few made-up images and at a tiny size; its folder is tmp_path."""
    put_larochelle(tmp_path, monkeypatch, train=rows(40), valid=rows(8, 1), test=rows(12, 2))
    vae = {"batch_size": 4, "published": 2.0, "published_static": 3.0, "latent": 2}
    sizes = {
        "tiny": bench.Size(PixelCNN, 4, 1, batch_size=4, published=1.0),
        "tiny_vae": bench.VAESize(VAE, 5, 1, **vae),
        "tiny_iwae": bench.VAESize(VAE, 5, 1, **vae, samples=3),
    }
    monkeypatch.setattr(bench, "WATCHED", 4)

    def command(arguments, size="tiny", source="larochelle"):
        arguments = f"{size} --source {source} {arguments}".split()
        return bench.main(arguments, sizes=sizes, folder=tmp_path, progress=False)

    return command


@pytest.fixture
def dynamic(command, tmp_path, monkeypatch):
    """`command` on images that are drawn anew at every use, from a grey bar; all its other images are drawn once."""
    grey = rows(14).reshape(-1, 28, 28) * 128
    put_mnist(tmp_path, monkeypatch, grey, grey[:6])

    def dynamic(arguments, size="tiny_vae"):
        return command(arguments, size, "dynamic")

    return dynamic


def test_a_run_writes_its_row(command, tmp_path, capsys):
    row = command("--steps 6 --seed 3")
    assert json.loads((tmp_path / "results" / "binarised_mnist_tiny.json").read_text("utf-8")) == row
    assert row["model"] == "PixelCNN" and row["config"]["features"] == 4 and row["steps"] == 6 and row["seed"] == 3
    assert row["source"] == "larochelle" and row["images"] == {"train": 40, "valid": 8, "test": 12}
    assert row["published_test_nats"] == 1.0 and row["parameters"] > 0 and row["threads"] >= 1
    assert list(row["valid_nats_of_4_after_steps"]) == list("123456")
    assert 0 < row["test_nats"] < 784 * np.log(2) + 1, "about a fair coin for each pixel, or better"
    printed = capsys.readouterr().out
    assert "step      6 of 6" in printed and f"{row['test_nats']:.2f} nats on 12 test images" in printed


def press_ctrl_c_at(step, bench, monkeypatch):
    watched = bench.Watched.__call__

    def pressed(self, model, x):
        nats = watched(self, model, x)
        if model.training and self.step == step:
            os.kill(os.getpid(), signal.SIGINT)
        return nats

    monkeypatch.setattr(bench.Watched, "__call__", pressed)


@pytest.mark.parametrize("size", ["tiny", "tiny_vae", "tiny_iwae"])
@pytest.mark.parametrize("images", ["command", "dynamic"])
def test_a_stopped_run_goes_on_as_if_it_had_not_stopped(size, images, bench, tmp_path, monkeypatch, capsys, request):
    run = request.getfixturevalue(images)
    samples = "" if size == "tiny" else "--bound-samples 7"
    whole = run(f"--steps 6 --run whole {samples}", size)
    with monkeypatch.context() as patch:
        press_ctrl_c_at(3, bench, patch)
        with pytest.raises(SystemExit, match="the same command goes on"):
            run("--steps 6", size)
    assert not (tmp_path / "results" / f"binarised_mnist_{size}.json").exists()
    capsys.readouterr()
    row = run(samples, size)  # its plan knows how many steps
    assert "3 of 6 steps done" in capsys.readouterr().out
    same = row.keys() - {"minutes", "test_seconds"}
    assert {key: row[key] for key in same} == {key: whole[key] for key in same}
    weights = [
        torch.load(tmp_path / "checkpoints" / f"{name}.pt", weights_only=True)["weights"] for name in ("whole", size)
    ]
    assert all(torch.equal(*pair) for pair in zip(*(w.values() for w in weights), strict=True))
    again = run(f"--steps 6 {samples}", size)
    assert "6 of 6 steps done" in capsys.readouterr().out and again["test_nats"] == row["test_nats"]


def test_a_vaes_row_says_that_its_nats_are_a_bound(command, tmp_path, capsys):
    row = command("--steps 6 --bound-samples 7 --seed 3", "tiny_vae")
    kept = json.loads((tmp_path / "results" / "binarised_mnist_tiny_vae.json").read_text("utf-8"))
    assert kept == json.loads(json.dumps(row))
    assert row["model"] == "VAE" and row["trained_with"] == "the ELBO" and row["bound_samples"] == 7
    assert kept["config"]["shape"] == [1, 28, 28] and row["config"]["likelihood"] == "bernoulli"
    assert "7 samples" in row["test_nats_are"] and "valid_nats" not in row, "they would be of another kind"
    assert 0 < row["test_nats"] < row["test_minus_elbo"] and row["valid_minus_elbo"] > 0
    assert (row["published_test_nats"], row["source"]) == (3.0, "larochelle") and "appendix D" in row["published_in"]
    assert f"at most {row['test_nats']:.2f} nats on 12 test images" in capsys.readouterr().out
    wider = command("--steps 6 --bound-samples 70 --seed 3", "tiny_vae")  # evaluated again, not trained
    assert wider["bound_samples"] == 70 and wider["test_nats"] < row["test_nats"]
    assert wider["test_minus_elbo"] == row["test_minus_elbo"]


def test_the_published_bound_has_5000_samples(command, monkeypatch):
    asked = []
    bound = VAE.log_prob_bound

    def few(self, x, *, samples, generator):
        asked.append((len(x), samples))
        return bound(self, x, samples=min(samples, 3), generator=generator)

    monkeypatch.setattr(VAE, "log_prob_bound", few)
    assert command("--steps 1", "tiny_vae")["bound_samples"] == 5000
    assert asked == [(12, 5000)], "all test images, and with the ELBO nothing else asks for it"
    asked.clear()
    row = command("--steps 2", "tiny_iwae")
    assert row["trained_with"] == "the bound with 3 samples"
    assert asked == [(4, 3)] * 4 + [(12, 5000)]  # two steps, a look at 4 images after each


def test_dynamic_images_are_drawn_anew_and_only_in_training(dynamic, bench, monkeypatch):
    seen = {"training": [], "looks": [], "evaluated": []}
    nats, measure = bench.VAESize.nats, bench.VAESize.measure

    def watch_nats(self, model, x, generator):
        seen["training" if model.training else "looks"].append(x)
        return nats(self, model, x, generator)

    def watch_measure(self, model, x_valid, x_test, **more):
        seen["evaluated"] += [x_valid, x_test]
        return measure(self, model, x_valid, x_test, **more)

    monkeypatch.setattr(bench.VAESize, "nats", watch_nats)
    monkeypatch.setattr(bench.VAESize, "measure", watch_measure)
    row = dynamic("--steps 40 --bound-samples 2")
    assert row["source"] == "dynamic" and row["images"] == {"train": 12, "valid": 2, "test": 6}
    assert row["published_test_nats"] == 2.0 and "table 1" in row["published_in"]
    x = torch.cat(seen["training"])  # 160 images of a bar of 16 × 3 pixels at 128 / 255
    assert set(x.unique().tolist()) == {0, 1} and len(x.unique(dim=0)) == len(x) == 160, "no two alike"
    assert x.sum().item() / len(x) / 48 == pytest.approx(128 / 255, abs=0.02)  # three standard errors
    assert len(seen["looks"]) == 20
    assert all(torch.equal(look, seen["looks"][0]) for look in seen["looks"])
    valid, test = (load_binarised_mnist(split) for split in SPLITS[1:])
    assert torch.equal(seen["looks"][0], valid) and all(map(torch.equal, seen["evaluated"], (valid, test)))


def test_looking_more_often_changes_no_training(command, bench, monkeypatch):
    seldom = command("--steps 6 --bound-samples 5 --run seldom", "tiny_iwae")
    monkeypatch.setattr(bench, "LOOKS", 2)
    often = command("--steps 6 --bound-samples 5 --run often", "tiny_iwae")
    assert len(seldom["valid_nats_of_4_after_steps"]) == 6 and len(often["valid_nats_of_4_after_steps"]) == 2
    assert often["test_nats"] == seldom["test_nats"]


def test_a_look_at_the_same_model_gives_the_same_nats(bench):
    size = bench.VAESize(VAE, 5, 1, latent=2)
    model = VAE(size.config((1, 28, 28)), generator=make_generator(0)).eval()
    loss, x = bench.Loss(size, "drawn", make_generator(1)), torch.ones(3, 1, 28, 28, dtype=torch.long)
    assert torch.equal(loss(model, x), loss(model, x))
    model.train()
    assert not torch.equal(loss(model, x), loss(model, x)), "in training every code is drawn anew"


def test_another_run_does_not_go_on_from_this_one(command, capsys):
    command("--steps 2")
    for other in ("--steps 3", "--seed 1", "--lr 0.1", "--batch-size 2"):
        with pytest.raises(SystemExit, match=r"of another run \(it has .*--run.*--fresh"):
            command(other)
    command("--steps 3 --fresh")
    assert "0 of 3 steps done" in capsys.readouterr().out


@pytest.mark.parametrize("size", ["tiny", "tiny_vae"])
def test_minutes_are_turned_into_steps(command, size):
    row = command("--minutes 0.01" + " --bound-samples 2" * (size != "tiny"), size)
    assert row["steps"] > 1 and row["minutes"] < 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--minutes 0", "argument --minutes: invalid float (it must be above 0) value: '0'"),
        ("--minutes nan", "argument --minutes: invalid float (it must be above 0) value: 'nan'"),
        ("--steps -1", "argument --steps: invalid int (it must be above 0) value: '-1'"),
        ("--steps 5 --minutes 1", "not allowed with argument"),
        ("--source mnist", "argument --source: invalid choice: 'mnist'"),
        ("--bound-samples 0", "argument --bound-samples: invalid int (it must be above 0) value: '0'"),
        ("--bound-samples 2.5", "argument --bound-samples: invalid int (it must be above 0) value: '2.5'"),
        ("--bound-samples 9", "--bound-samples: tiny computes log p(x), not a bound on it"),
        ("--run a/b", "--run: expected a name, got 'a/b'"),
        ("--run ..", "--run: expected a name, got '..'"),
        ("huge", "unrecognized arguments: huge"),
    ],
)
def test_nonsense_is_refused(command, tmp_path, capsys, arguments, message):
    with pytest.raises(SystemExit) as stopped:
        command(arguments)
    assert stopped.value.code == 2 and message in capsys.readouterr().err
    assert not (tmp_path / "results").exists() and not (tmp_path / "checkpoints").exists()


def test_missing_images_are_one_line(command, tmp_path):
    (tmp_path / "binarized_mnist" / "binarized_mnist_valid.mat").unlink()
    with pytest.raises(SystemExit, match=r"^[^\n]*binarized_mnist_valid\.mat is missing[^\n]*$"):
        command("--steps 2")


def test_every_named_size_is_a_model_of_28_by_28(bench):
    names = {size.model.__name__ for size in bench.SIZES.values()}
    assert names == {"RasterLSTM", "GridLSTM", "RowLSTM", "DiagonalBiLSTM", "PixelCNN", "GatedPixelCNN", "VAE"}
    published = {name: size.published for name, size in bench.SIZES.items() if name.startswith("diagonal")}
    assert published == {"diagonal_bilstm_1x32": 80.75, "diagonal_bilstm_7x16": 79.20}
    for name, samples, nats in (("vae", 1, 86.76), ("iwae_50", 50, 84.78)):
        size = bench.SIZES[name]
        assert (size.latent, size.features, size.depth, size.samples) == (50, 200, 2, samples), "the paper's"
        assert size.published_on("dynamic")[0] == nats < size.published_on("larochelle")[0]


def test_every_stored_row_is_of_a_named_size(bench):
    for path in (ROOT / "benchmarks" / "results").glob("binarised_mnist_*.json"):
        row = json.loads(path.read_text("utf-8"))
        size = bench.SIZES[row["size"]]
        assert (row["config"]["features"], row["config"]["depth"]) == (size.features, size.depth), path.name
        assert row["model"] == size.model.__name__, path.name
        assert (row["published_test_nats"], row["published_in"]) == size.published_on(row["source"]), path.name
        assert row["images"] == {"train": 50_000, "valid": 10_000, "test": 10_000}, path.name
        assert row.get("bound_samples", 5000) == 5000, f"{path.name}: the published bound has 5000"


def test_chapter_4s_table_says_what_the_runs_wrote():
    text = (ROOT / "chapters" / "sources" / "04_pixelrnn_images.py").read_text("utf-8")
    rows = re.findall(r"^# \| (\w+) \| ([\d,]+) \| (\d+) \| \*\*([\d.]+)\*\* \| ([\d.]+) \|$", text, re.M)
    assert [model for model, *_ in rows] == ["DiagonalBiLSTM", "PixelCNN"]
    for (model, weights, minutes, nats, published), run in zip(
        rows, ("diagonal_bilstm_1x32", "pixel_cnn"), strict=True
    ):
        kept = json.loads((ROOT / "benchmarks" / "results" / f"binarised_mnist_{run}.json").read_text("utf-8"))
        assert (model, int(weights.replace(",", ""))) == (kept["model"], kept["parameters"])
        assert (float(nats), float(published)) == (round(kept["test_nats"], 2), kept["published_test_nats"])
        assert int(minutes) == round(kept["minutes"])


def test_chapter_7_says_what_the_run_wrote():
    text = " ".join(
        (ROOT / "chapters" / "sources" / "07_gmm_and_vae.py").read_text("utf-8").replace("\n# ", " ").split()
    )
    kept = json.loads((ROOT / "benchmarks" / "results" / "binarised_mnist_vae_dynamic.json").read_text("utf-8"))
    said = re.search(
        r"after (\d+) minutes on one core, costs at most \*\*([\d.]+)\*\* nats.* report ([\d.]+)\. The",
        text,
    )
    minutes, nats, published = said.groups()
    assert (float(nats), float(published)) == (round(kept["test_nats"], 2), kept["published_test_nats"])
    assert int(minutes) == round(kept["minutes"])
    assert f"--source {kept['source']} --steps {kept['steps']}`" in text
