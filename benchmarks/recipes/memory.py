"""What chapter 3's memory is made of: the same network on the same poems, with three kinds of cell."""

from dataclasses import KW_ONLY, dataclass

import torch
from torch import nn

from course_lib.layers import FORGET_BIAS, initialised_by
from course_lib.models.char_rnn import CharRNN, CharRNNConfig

from .characters import Characters


@dataclass
class Memory(Characters):
    """`cell` is "open" (the course's LSTM, whose forget gates begin open), "half open" (without that) or "plain"."""

    _: KW_ONLY
    cell: str

    @property
    def about(self):
        return f"a recurrent network with {self.cell} cells on {self.corpus}: does it learn the rhyme?"

    def begin(self, generator):
        config = CharRNNConfig(self.vocabulary.levels, features=self.features)
        model = CharRNN(config, generator=generator)
        if self.cell == "plain":  # it has no cell to begin a sentence with: it is measured, and does not write
            with initialised_by(generator):
                model.lstm = nn.RNN(self.features, self.features, batch_first=True)
        if self.cell == "half open":
            with torch.no_grad():
                model.lstm.bias_ih_l0[self.features : 2 * self.features] -= 2 * FORGET_BIAS
        return model

    @torch.no_grad()
    def measure(self, model, *, seed, samples, progress):
        device, total = next(model.parameters()).device, 0.0
        for x in self.x_test.split(500):
            log_p = model(x.to(device)).log_softmax(2).gather(2, x.to(device)[..., None])[..., 0]  # (B, T)
            total = total - log_p.sum(0).cpu()
        nats = total / len(self.x_test)  # (T,)
        return {
            "nats_per_character": round(nats.mean().item(), 4),
            "nats_of_the_last_two": [round(n, 3) for n in nats[-2:].tolist()],
        }

    def headline(self, row):
        return f"{row['nats_per_character']:.3f} nats per character, the last two {row['nats_of_the_last_two']}"
