"""Chapter 3's model on any text: nats per character on the held-out tenth, and a few samples."""

import math
from dataclasses import KW_ONLY, dataclass

import torch

from course_lib.data import PoemGrammar, Vocabulary, load_names, load_shakespeare, load_tang, windows
from course_lib.device import make_generator
from course_lib.models.char_rnn import CharRNN, CharRNNConfig

from .recipe import Recipe

LOAD = {"names": load_names, "tang": load_tang, "shakespeare": load_shakespeare}
WEIGHTS = (1, 3, 10, 30, 100, 300, 1000)  # the bigram's, to choose from


@dataclass
class Characters(Recipe):
    """A CharRNN on a corpus: the more text there is, the more a larger network can learn from it."""

    corpus: str
    features: int
    _: KW_ONLY
    minutes: float = 3.0
    poems: int = 60_000  # quatrains of the grammar to learn from
    looks, unit = 10, "nats a row"

    @property
    def about(self):
        return f"CharRNN, {self.features} features, on {self.corpus}"

    def load(self, device, seed):
        self.vocabulary, x, x_valid, self.x_test, self.characters = self._rows(make_generator(seed))
        self.train, self.watched = (x,), (x_valid[:500],)
        return {"rows": {"train": len(x), "valid": len(x_valid), "test": len(self.x_test)}}

    def _rows(self, generator):
        """The corpus as (vocabulary, train, valid, test, characters in test): three tensors of rows (N, T) long."""
        if self.corpus == "poems":
            grammar = PoemGrammar()
            vocabulary, parts = Vocabulary(grammar.characters), [self.poems, 1000, 4000]
            x, x_valid, x_test = vocabulary.encode_all(grammar.sample(sum(parts), generator=generator)).split(parts)
            return vocabulary, x, x_valid, x_test, x_test.numel()
        corpus = LOAD[self.corpus]()
        vocabulary = corpus.vocabulary
        if self.corpus == "shakespeare":
            x = windows(vocabulary.encode(corpus.train[0]), 128, stride=64)
            # The test text is one row, read from its first character to its last. The rows to validate on are the
            # first and not the last: the play in which the training text breaks off is the one that the test text goes
            # on with.
            return vocabulary, x[302:], x[:300], vocabulary.encode_all(corpus.test), len(corpus.test[0])
        longest = max(map(len, corpus.train + corpus.test))
        # Where lengths differ, a text's end is a character to predict, too.
        ends = int(any(len(text) < longest for text in corpus.train))
        x, x_test = (vocabulary.encode_all(texts, longest + ends) for texts in (corpus.train, corpus.test))
        tenth = len(x) // 10
        return vocabulary, x[tenth:], x[:tenth], x_test, sum(len(text) + ends for text in corpus.test)

    def bigram(self):
        """A table of pairs, nats per character on the test text.

        Where a character was seldom seen, its row leans on the single characters: (n(a, b) + w p(b)) / (n(a) + w). The
        weight w is the best of a few on the validation text.
        """
        V, (x,) = self.vocabulary.levels, self.train
        counts = torch.zeros(V + 1, V)
        counts.index_put_((before(x, V).flatten(), x.flatten()), torch.ones(x.numel()), accumulate=True)
        singles = counts.sum(0) + 0.5

        def nats(x, weight):
            p = (counts + weight * singles / singles.sum()) / (counts.sum(1, keepdim=True) + weight)
            return -p[before(x, V), x].log().sum().item()

        weight = min(WEIGHTS, key=lambda weight: nats(self.watched[0], weight))
        return nats(self.x_test, weight) / self.characters

    def begin(self, generator):
        return CharRNN(CharRNNConfig(self.vocabulary.levels, features=self.features), generator=generator)

    def loss(self, model, x, *, generator):
        return -model.log_prob(x)

    @torch.no_grad()
    def measure(self, model, *, seed, samples, progress):
        device = next(model.parameters()).device
        nats = sum(-model.log_prob(batch.to(device)).sum().item() for batch in self.x_test.split(500))
        length = 120 if self.corpus == "shakespeare" else 20
        x = model.sample(5, length=length, generator=make_generator(seed, device))
        drawn = [text.rstrip("\n") for text in self.vocabulary.decode(x)]
        print("\n---\n".join(drawn))
        return {
            "nats_per_character": round(nats / self.characters, 4),
            "bigram": round(self.bigram(), 4),
            "uniform": round(math.log(self.vocabulary.levels), 4),
            "drawn": drawn,
            "levels": self.vocabulary.levels,
        }

    def headline(self, row):
        return f"{row['nats_per_character']:.3f} nats per character (uniform: {row['uniform']:.2f})"


def before(x, start):
    """What stands before each character of x (N, T): `start` before the first."""
    return torch.cat([torch.full_like(x[:, :1], start), x[:, :-1]], 1)
