"""Chapter 3's model on any text, by the clock: `python benchmarks/char_rnn.py shakespeare --minutes 3`.

Prints nats per character on the held-out tenth and a few samples. `--keep` also puts the numbers into `char_rnn.json`,
which is where chapter 3's table comes from (`tests/test_char_rnn_table.py` compares them).
"""

import argparse
import json
import math
from dataclasses import dataclass
from pathlib import Path

import torch

from course_lib.data import PoemGrammar, Vocabulary, load_names, load_shakespeare, load_tang, windows
from course_lib.device import make_generator, pick_device
from course_lib.models.char_rnn import CharRNN, CharRNNConfig
from course_lib.train import fit

KEPT = Path(__file__).with_suffix(".json")
MARGIN = 0.85  # of the minutes are planned for: validation takes its part, and a machine is not always equally fast


@dataclass(frozen=True)
class Knobs:
    """What a corpus is trained with: the more text there is, the more a larger network can learn from it."""

    features: int
    batch_size: int
    lr: float
    steps: int | None = None  # at most: a small corpus is learnt by heart if one goes on


KNOBS = {
    "poems": Knobs(features=128, batch_size=32, lr=8e-3),
    "names": Knobs(features=128, batch_size=64, lr=4e-3),
    "tang": Knobs(features=128, batch_size=32, lr=2e-3, steps=1500),
    "shakespeare": Knobs(features=256, batch_size=16, lr=4e-3),
}


def rows(name, generator):
    """A corpus as (vocabulary, train, valid, test, characters in test): three tensors of rows (N, T) long."""
    if name == "poems":
        grammar = PoemGrammar()
        vocabulary = Vocabulary(grammar.characters)
        parts = vocabulary.encode_all(grammar.sample(65_000, generator=generator)).split([60_000, 1000, 4000])
        return vocabulary, *parts, parts[-1].numel()
    corpus = {"names": load_names, "tang": load_tang, "shakespeare": load_shakespeare}[name]()
    vocabulary = corpus.vocabulary
    if name == "shakespeare":
        x = windows(vocabulary.encode(corpus.train[0]), 128, stride=64)
        # The test text is one row, read from its first character to its last. The rows to validate on are the first and
        # not the last: the play in which the training text breaks off is the one that the test text goes on with.
        return vocabulary, x[302:], x[:300], vocabulary.encode_all(corpus.test), len(corpus.test[0])
    longest = max(map(len, corpus.train + corpus.test))
    ends = int(any(len(text) < longest for text in corpus.train))  # then a text's end is a character to predict, too
    x, x_test = (vocabulary.encode_all(texts, longest + ends) for texts in (corpus.train, corpus.test))
    tenth = len(x) // 10
    return vocabulary, x[tenth:], x[:tenth], x_test, sum(len(text) + ends for text in corpus.test)


def train(name, minutes, seed):
    """A model after `minutes` of training, its vocabulary, and what is to be said about it."""
    device, knobs = pick_device(), KNOBS[name]
    generator = make_generator(seed, device)
    vocabulary, x, x_valid, x_test, characters = rows(name, make_generator(seed))
    config = CharRNNConfig(vocabulary.levels, features=knobs.features)
    x_valid = x_valid[:500]
    settings = {"loss": lambda model, x: -model.log_prob(x), "batch_size": knobs.batch_size, "lr": knobs.lr}
    trial = CharRNN(config, generator=generator)
    history = fit(trial, x, steps=10, generator=generator, progress=False, **settings)  # the first steps are slower
    warm = history.seconds
    fit(trial, x, steps=60, generator=generator, progress=False, history=history, **settings)
    steps = int(MARGIN * 60 * minutes * 50 / (history.seconds - warm))
    steps = min(steps, knobs.steps or steps)
    model = CharRNN(config, generator=generator)
    plan = {"steps": steps, "schedule": "cosine", "valid": x_valid, "valid_every": max(1, steps // 10)}
    history = fit(model, x, generator=generator, **settings, **plan)
    with torch.no_grad():
        nats = sum(-model.log_prob(batch.to(device)).sum().item() for batch in x_test.split(500))
    row = {
        "nats_per_character": round(nats / characters, 4),
        "uniform": round(math.log(vocabulary.levels), 4),
        "levels": vocabulary.levels,
        "minutes": round(history.seconds / 60, 2),
        "steps": steps,
        "features": knobs.features,
        "parameters": sum(p.numel() for p in model.parameters()),
        "seed": seed,
        "threads": torch.get_num_threads(),
        "device": device.type,
    }
    return model, vocabulary, row, [nats for _, nats in history.valid]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", choices=KNOBS)
    parser.add_argument("--minutes", type=float, default=3.0, help="of training (default: 3)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", action="store_true", help="write the numbers into char_rnn.json")
    arguments = parser.parse_args()
    if arguments.minutes <= 0:
        parser.error(f"--minutes: expected a number above 0, got {arguments.minutes:g}")
    model, vocabulary, row, valid = train(arguments.corpus, arguments.minutes, arguments.seed)
    print("valid, nats per row:", " ".join(f"{nats:.2f}" for nats in valid))
    print(json.dumps(row, indent=1))
    length = 400 if arguments.corpus == "shakespeare" else 20
    x = model.sample(5, length=length, generator=make_generator(arguments.seed, pick_device()))
    print("\n---\n".join(text.rstrip("\n") for text in vocabulary.decode(x)))
    if arguments.keep:
        kept = json.loads(KEPT.read_text("utf-8")) if KEPT.exists() else {}
        KEPT.write_text(json.dumps(kept | {arguments.corpus: row}, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
