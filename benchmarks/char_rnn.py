"""Chapter 3's model on real text, by the clock: `python benchmarks/char_rnn.py shakespeare --minutes 3`.

Prints nats per character on the held-out tenth, and keeps the row in `char_rnn.json`, from which chapter 3 has its table.
"""

import argparse
import json
import math
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from course_lib.data import PoemGrammar, Vocabulary, load_names, load_shakespeare, load_tang, windows
from course_lib.device import make_generator, pick_device
from course_lib.models.char_rnn import CharRNN, CharRNNConfig
from course_lib.train import fit

KEPT = Path(__file__).with_suffix(".json")


@dataclass(frozen=True)
class Knobs:
    """What a corpus is trained with; the sizes grow with the text that there is to learn from."""

    width: int
    batch_size: int
    lr: float
    depth: int = 1


KNOBS = {
    "poems": Knobs(width=128, batch_size=32, lr=8e-3),
    "names": Knobs(width=128, batch_size=64, lr=4e-3),
    "tang": Knobs(width=128, batch_size=32, lr=2e-3),
    "shakespeare": Knobs(width=256, batch_size=16, lr=4e-3),
}


def rows(name, generator):
    """A corpus as (vocabulary, training rows, test rows, characters in the test rows): rows are (N, T) long."""
    if name == "poems":
        grammar = PoemGrammar()
        vocabulary, poems = Vocabulary(grammar.characters), grammar.sample(65_000, generator)
        x = vocabulary.encode_all(poems)
        return vocabulary, x[:60_000], x[60_000:], x[60_000:].numel()
    corpus = {"names": load_names, "tang": load_tang, "shakespeare": load_shakespeare}[name]()
    encode = corpus.vocabulary.encode_all
    if name == "shakespeare":
        text = corpus.vocabulary.encode(corpus.train[0])
        # the test text is one row: read from its first character to its last without forgetting
        return corpus.vocabulary, windows(text, 128, stride=64), encode(corpus.test), len(corpus.test[0])
    ends = len(corpus.test) if "\n" in corpus.vocabulary.characters else 0  # a name ends, and its end is predicted too
    length = max(map(len, corpus.train + corpus.test)) + (1 if ends else 0)
    train, test = (encode(texts, length) for texts in (corpus.train, corpus.test))
    return corpus.vocabulary, train, test, sum(map(len, corpus.test)) + ends


def train(name, minutes, seed, device, knobs):
    """A model after `minutes` of training, with what is to be said about it."""
    generator = make_generator(seed, device)
    vocabulary, x, x_test, characters = rows(name, make_generator(seed))
    x_valid, x = (x[:500], x[500:]) if name != "shakespeare" else (x[-200:], x[:-202])  # neighbours share characters
    x, x_test = x.to(device), x_test.to(device)
    config = CharRNNConfig(vocabulary.levels, knobs.width, knobs.depth)
    settings = {"loss": lambda model, x: -model.log_prob(x), "batch_size": knobs.batch_size, "lr": knobs.lr}
    trial = CharRNN(config, generator=generator).to(device)
    fit(trial, x, steps=5, generator=generator, progress=False, **settings)  # the first steps are slower
    seconds = fit(trial, x, steps=30, generator=generator, progress=False, **settings).seconds / 30
    steps = int(60 * minutes / seconds)
    model = CharRNN(config, generator=generator).to(device)
    start = time.perf_counter()
    extra = {"schedule": "cosine", "valid": x_valid, "valid_every": max(1, steps // 10)}
    history = fit(model, x, steps=steps, generator=generator, **settings, **extra)
    took = (time.perf_counter() - start) / 60
    with torch.no_grad():
        test = sum(-model.log_prob(batch).sum().item() for batch in x_test.split(500))
    row = {
        "corpus": name, "levels": vocabulary.levels, "uniform": math.log(vocabulary.levels),
        "nats_per_character": test / characters, "minutes": took, "steps": steps, "seed": seed, "width": knobs.width,
        "parameters": sum(p.numel() for p in model.parameters()), "threads": torch.get_num_threads(),
    }  # fmt: skip
    print([f"{nats:.2f}" for _, nats in history.valid])
    text = vocabulary.decode(model.sample(3, length=min(x.shape[1] * 3, 300) if name == "shakespeare" else x.shape[1], generator=generator))
    return row, text


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", choices=KNOBS)
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--seed", type=int, default=0)
    for f in ("width", "batch_size", "depth"):
        parser.add_argument("--" + f, type=int)
    parser.add_argument("--lr", type=float)
    arguments = parser.parse_args()
    from dataclasses import replace
    knobs = replace(KNOBS[arguments.corpus], **{f: getattr(arguments, f) for f in ("width", "batch_size", "depth", "lr") if getattr(arguments, f)})
    row, texts = train(arguments.corpus, arguments.minutes, arguments.seed, pick_device(), knobs)
    print(json.dumps(row))
    print("\n---\n".join(texts))
