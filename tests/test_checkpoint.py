"""A checkpoint gives back what it was given, whole or not at all, and runs nothing."""

import pickle
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from course_lib.checkpoint import History, load, save
from course_lib.data import load_digits
from course_lib.device import make_generator
from course_lib.models.autoencoder import Autoencoder, AutoencoderConfig
from course_lib.models.vae import VAE, VAEConfig
from course_lib.train import fit

CONFIG = AutoencoderConfig(latent=2, features=16, depth=1)


def fresh(seed=0):
    return Autoencoder(CONFIG, generator=make_generator(seed))


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def test_save_and_load_give_back_model_and_history(tmp_path):
    history = History([2.0, 1.0], [(2, 1.5)], 0.5, 3, {"generator": torch.ones(2)})
    save(tmp_path / "a.pt", fresh(), history)
    other = fresh(seed=1)
    again = load(tmp_path / "a.pt", other)
    assert torch.equal(weights(fresh()), weights(other))
    assert (again.loss, again.valid, again.seconds, again.steps) == ([2.0, 1.0], [(2, 1.5)], 0.5, 3)
    assert torch.equal(again.resume["generator"], torch.ones(2)) and "2 of 3 steps" in repr(again)


def test_several_models_stand_side_by_side(tmp_path):
    pair = {"one": fresh(1), "two": fresh(2)}
    save(tmp_path / "a.pt", pair)
    others = {"one": fresh(3), "two": fresh(4)}
    load(tmp_path / "a.pt", others)
    assert all(torch.equal(weights(pair[name]), weights(others[name])) for name in pair)
    for wrong in (fresh(), {"one": fresh()}, {"one": fresh(), "three": fresh()}):
        with pytest.raises(ValueError, match=r"holds another model: expected .*, got .*'two'"):
            load(tmp_path / "a.pt", wrong)


def test_a_file_of_the_course_as_it_was_before_sessions_loads(tmp_path):
    """What lies on learners' disks: {model, config, weights, history}, and a history without `losses`."""
    model, record = fresh(), vars(History([1.0], steps=5)).copy()
    del record["losses"]
    config = {"latent": 2, "features": 16, "depth": 1} | {k: v for k, v in vars(CONFIG).items()}
    old = {"model": "Autoencoder", "config": config, "weights": model.state_dict(), "history": record}
    torch.save(old, tmp_path / "old.pt")
    other = fresh(1)
    assert load(tmp_path / "old.pt", other).loss == [1.0]
    assert torch.equal(weights(model), weights(other))


class Boom:
    """Pickled code: whoever unpickles it creates a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_a_checkpoint_with_code_is_refused_and_nothing_runs(tmp_path):
    model, trap = fresh(), tmp_path / "boom"
    before = weights(model)
    for name, write in {
        "torch.pt": lambda p: torch.save({"model": Boom(trap)}, p),
        "pickle.pt": lambda p: p.write_bytes(pickle.dumps(Boom(trap))),
    }.items():
        write(tmp_path / name)
        with pytest.raises(ValueError, match=r"refused and nothing in it was run"):
            load(tmp_path / name, model)
    assert not trap.exists()
    assert torch.equal(weights(model), before)


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 half a zip"])
def test_a_file_that_is_no_checkpoint_is_refused(tmp_path, content):
    path = tmp_path / "a.pt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="not a checkpoint"):
        load(path, fresh())


def test_a_damaged_checkpoint_is_refused_or_gives_the_same_weights(tmp_path):
    """Cut anywhere, or one bit of it turned: nothing is read that was not written."""
    path, model = tmp_path / "a.pt", fresh()
    save(path, model)
    whole = path.read_bytes()
    for share in (0.1, 0.5, 0.9, 0.99):
        path.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(ValueError, match="not a checkpoint"):
            load(path, fresh(1))
    refused = 0
    for place in torch.randint(len(whole), (60,), generator=make_generator(0)).tolist():
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        other = fresh(1)
        try:
            load(path, other)
        except ValueError:
            refused += 1
            assert torch.equal(weights(other), weights(fresh(1)))
        else:
            assert torch.equal(weights(other), weights(model))
    assert refused > 30


def test_a_checkpoint_of_another_model_is_refused(tmp_path):
    save(tmp_path / "a.pt", fresh())
    other = Autoencoder(AutoencoderConfig(latent=3, features=16, depth=1))
    before = weights(other)
    with pytest.raises(ValueError, match=r"another model: expected Autoencoder .*'latent': 3.*got .*'latent': 2"):
        load(tmp_path / "a.pt", other)
    assert torch.equal(weights(other), before)

    class Namesake(Autoencoder):
        pass

    with pytest.raises(ValueError, match="expected Namesake"):
        load(tmp_path / "a.pt", Namesake(CONFIG))


def test_the_weights_of_another_version_of_a_model_are_refused(tmp_path):
    @dataclass
    class Config:
        size: int = 2

    class Layers(torch.nn.Module):
        def __init__(self, **layers):
            super().__init__()
            self.config = Config()
            for name, layer in layers.items():
                self.add_module(name, layer)

    save(tmp_path / "a.pt", Layers(gate=torch.nn.Linear(2, 2), out=torch.nn.Linear(2, 2)))
    later = Layers(cell=torch.nn.Linear(2, 2), out=torch.nn.Linear(2, 2))
    before = weights(later)
    with pytest.raises(ValueError, match=r"another version of Layers.*cell.bias, cell.weight, gate.bias, gate.weight"):
        load(tmp_path / "a.pt", later)
    assert torch.equal(weights(later), before), "not even the layers that have kept their names"


def test_a_full_disk_leaves_the_old_checkpoint(tmp_path):
    path, model = tmp_path / "a.pt", fresh()
    save(path, model)
    before = path.read_bytes()

    class Full:
        def __reduce__(self):
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        save(path, model, History(resume={"generator": Full()}))
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.pt"]


def test_two_writers_of_one_checkpoint_both_end_right(tmp_path):
    path = tmp_path / "a.pt"
    models = [fresh(seed) for seed in range(2)]
    writers = [threading.Thread(target=lambda m=m: [save(path, m) for _ in range(20)]) for m in models]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    reader = fresh(7)
    load(path, reader)
    assert any(torch.equal(weights(reader), weights(m)) for m in models)
    assert [p.name for p in tmp_path.iterdir()] == ["a.pt"]


def test_a_compiled_or_wrapped_model_is_saved_and_loaded_as_itself(tmp_path):
    """And trains with a checkpoint: `torch.compile` changes the name of the class and of every weight."""
    from lightning_fabric import Fabric

    def wrapped(model):
        return Fabric(accelerator="cpu", devices=1, precision="bf16-mixed").setup(model)

    def compiled(model):
        return torch.compile(model, backend="eager")

    for wrap in (compiled, wrapped, lambda model: wrapped(compiled(model))):
        save(tmp_path / "a.pt", wrap(fresh(1)))
        plain, other = fresh(2), fresh(3)
        load(tmp_path / "a.pt", plain)
        load(tmp_path / "a.pt", wrap(other))
        assert torch.equal(weights(plain), weights(fresh(1))) and torch.equal(weights(other), weights(plain))


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")  # torch.compile looks at all it meets
@pytest.mark.parametrize("precision", [None, "bf16-mixed"])
def test_a_compiled_model_trains_by_its_own_methods_and_leaves_a_checkpoint(precision, tmp_path):
    x, found = load_digits("train")[0], []
    for wrap in (lambda model: model, lambda model: torch.compile(model, backend="eager")):
        generator = make_generator(0)
        model = VAE(VAEConfig(latent=2, features=8, depth=1), generator=generator)
        rest = {"batch_size": 8, "lr": 1e-3, "generator": generator, "precision": precision, "progress": False}
        path = tmp_path / f"{len(found)}.pt"

        def loss(model, x, generator=generator):
            return -model.elbo(x, generator=generator)

        fit(wrap(model), x, loss=loss, steps=5, checkpoint=path, **rest)
        load(path, model)
        found.append(weights(model))
    assert torch.equal(*found)
