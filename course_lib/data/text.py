"""Text as levels: a vocabulary of characters, and three real corpora, downloaded on request."""

import json
import random
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field

import torch

from course_lib.expect import expect_levels, expect_tensor

from . import store

END = "\n"  # the end mark: it says that a text is over, where texts of different lengths lie in one rectangle


class Vocabulary:
    """All distinct characters of a text, or of many, sorted: a character is its place among them, 0..V-1.

    `characters` is the string of them all, `levels` (also `len(vocabulary)`) their number V. The characters
    make the vocabulary anew: `Vocabulary(old.characters)`. Raises ValueError if there are fewer than two.
    """

    def __init__(self, texts: str | Iterable[str]):
        self.characters = "".join(sorted(set("".join(texts))))
        self.levels = len(self.characters)
        self._level_of = {character: level for level, character in enumerate(self.characters)}
        if self.levels < 2:
            raise ValueError(
                f"texts: expected at least two distinct characters, got {self.levels} ({self.characters!r}): with "
                "fewer there is nothing to predict; give more text, and look whether you read the right file"
            )

    def __len__(self) -> int:
        return self.levels

    def __repr__(self) -> str:
        return f"<Vocabulary of {self.levels} characters: {_excerpt(self.characters, 0)!r}>"

    def encode(self, text: str) -> torch.Tensor:
        """Turn one text of T characters into levels (T,) long; `decode` gives it back exactly.

        Raises TypeError if `text` is no string, ValueError that points at the first unknown character.
        """
        if not isinstance(text, str):
            raise TypeError(f"text: expected one string, got {type(text).__name__}; encode_all takes many texts")
        return torch.tensor(self._levels_of(text), dtype=torch.long)

    def encode_all(self, texts: Iterable[str], length: int | None = None) -> torch.Tensor:
        r"""Turn N texts into one rectangle of levels (N, T) long, a row a text.

        Texts of equal length T make it as they are. Texts of different lengths are each followed by end marks
        "\n" up to T = longest + 1; `length` asks for another T, and a text that fills its row then has none.

        Raises TypeError if `texts` is one string, ValueError if there are no texts, if one is longer than `length`
        or has an unknown character, or if end marks are needed and the vocabulary has none or a text has its own.
        """
        if isinstance(texts, str):
            raise TypeError("texts: expected many strings, got one; encode takes one text")
        texts = list(texts)
        if not texts:
            raise ValueError("texts: expected at least one text, got none")
        shortest, longest = min(map(len, texts)), max(map(len, texts))
        if length is None:
            length = longest if shortest == longest else longest + 1
        if length < longest:
            raise ValueError(f"length: expected at least {longest}, the length of the longest text, got {length}")
        if shortest < length:
            if END not in self._level_of:
                raise ValueError(
                    f"texts shorter than {length} need the end mark {END!r}, and it is none of the vocabulary's "
                    f"{self.levels} characters; build it with one more text: Vocabulary([*texts, {END!r}])"
                )
            if own := next((text for text in texts if END in text), None):
                raise ValueError(f"{END!r} marks the end of a text, and {_excerpt(own, own.index(END))!r} holds one")
        end = self._level_of.get(END)
        rows = [self._levels_of(text) + [end] * (length - len(text)) for text in texts]
        return torch.tensor(rows, dtype=torch.long)

    def decode(self, x: torch.Tensor) -> str | list[str]:
        """Turn levels (T,) long into a text, or (B, T) into B texts: the exact inverse, so end marks are kept.

        Raises TypeError if `x` is no tensor of dtype long, ValueError on another shape or a level not in 0..V-1.
        """
        expect_tensor("x", x)
        expect_levels("x", x, ("B", "T") if x.ndim == 2 else ("T",), self.levels)
        texts = ["".join(self.characters[level] for level in row) for row in torch.atleast_2d(x).tolist()]
        return texts if x.ndim == 2 else texts[0]

    def _levels_of(self, text: str) -> list[int]:
        try:
            return [self._level_of[character] for character in text]
        except KeyError as error:
            unknown = error.args[0]
        place = text.index(unknown)
        raise ValueError(
            f"cannot encode {unknown!r} at position {place} of {_excerpt(text, place)!r}: the vocabulary has "
            f"{self.levels} characters, and this is none of them; build it from all texts that it has to encode"
        )


@dataclass(frozen=True)
class Corpus:
    """Texts to learn from, `train`, texts held out to measure on, `test`, and the vocabulary of both."""

    name: str
    unit: str  # what one example is called: "quatrain", "name", "window"
    train: tuple[str, ...] = field(repr=False)
    test: tuple[str, ...] = field(repr=False)
    vocabulary: Vocabulary  # with the end mark where texts differ in length


def load_tang() -> Corpus:
    """Load 3,569 Tang quatrains of five-character lines, each a string of 20 characters, 3,758 of them distinct.

    Of 57,607 poems, in traditional characters, 3,985 have four lines of five. Their punctuation is taken out: it
    says only where a line ends. Dropped are 9 with a placeholder, □ or ●, for a lost character, and 407 that are
    an earlier one again: 185 exactly, 222 as another edition has it. (Those would let a model that has learned by
    heart look good on `test`.) `train` has 3,213 and `test` 356; 87 characters are in `test` alone.

    58 files, 25 MB, found or downloaded by `course_lib.data.store.fetch`, which raises StoreError if one cannot
    be had. Source: the folder 全唐诗, Complete Tang Poems, of github.com/chinese-poetry/chinese-poetry.
    """
    quatrains = []
    for name in store.REGISTRY:
        if name.startswith("tang_poems/"):
            for poem in json.loads(store.fetch(name).read_text("utf-8")):
                lines = re.findall("[^，。？！；、：]+", "".join(poem["paragraphs"]))
                if [len(line) for line in lines] == [5, 5, 5, 5] and all(map(_is_han, "".join(lines))):
                    quatrains.append("".join(lines))
    quatrains = _first_versions(quatrains)
    train, test = _hold_out_a_tenth(quatrains)
    return Corpus("tang", "quatrain", train, test, Vocabulary(quatrains))


def load_shakespeare(length: int | None = None) -> Corpus:
    """Load tiny Shakespeare, 1,115,394 characters of his plays, 65 of them distinct, as one string a part.

    `train` is the first 90 % (1,003,854 characters) and `test` is the rest, as nanoGPT splits it, so that its
    numbers may stand beside ours. With `length`, each part is cut into pieces of so many characters, one after the
    other, and what is left at its end is dropped. Raises ValueError for a `length` that leaves no piece, StoreError
    if the file cannot be had. Source: Karpathy (2015), github.com/karpathy/char-rnn.
    """
    text = store.fetch("text/tiny_shakespeare.txt").read_text("utf-8")
    cut = len(text) * 9 // 10
    train, test = (text[:cut],), (text[cut:],)
    if length is not None:
        if not 1 <= length <= len(text) - cut:
            raise ValueError(f"length: expected 1 to {len(text) - cut} characters, got {length}")
        train, test = (
            tuple(p[n : n + length] for n in range(0, len(p) - length + 1, length)) for (p,) in (train, test)
        )
    return Corpus("shakespeare", "window", train, test, Vocabulary(text))


def load_names() -> Corpus:
    r"""Load 29,494 distinct given names, 2 to 15 letters a to z, from the United States: 27 characters with "\n".

    The file has 32,033, but 2,539 stand in it twice: kept, they would be in `train` and in `test`. `train` has
    26,545 names and `test` 2,949. Raises StoreError if the file cannot be had. Source: Karpathy (2022),
    github.com/karpathy/makemore, from the Social Security Administration's lists of 2018.
    """
    names = store.fetch("text/names.txt").read_text("utf-8").split()
    train, test = _hold_out_a_tenth(names)
    return Corpus("names", "name", train, test, Vocabulary([*names, END]))


def windows(x: torch.Tensor, length: int, stride: int | None = None) -> torch.Tensor:
    """Cut one long encoded text `x` (T,) into rows (N, length), each starting `stride` after the one before.

    Without `stride` the rows follow one another; with less than `length` they overlap, and the model meets a
    character with more than one past. What is left at the end and fills no row is dropped: N = (T - length) //
    stride + 1. The rows are a view of `x`. Raises ValueError if there is not one row, or `stride` is below 1.
    """
    expect_tensor("x", x)
    stride = length if stride is None else stride
    if x.ndim != 1 or not 1 <= length <= len(x):
        raise ValueError(
            f"x: expected one encoded text (T,) with T ≥ length ≥ 1, got shape {tuple(x.shape)} and length {length}; "
            "give a longer text, or ask for shorter windows"
        )
    if stride < 1:
        raise ValueError(f"stride: expected at least 1, got {stride}")
    return x.unfold(0, length, stride)


def _hold_out_a_tenth(texts: list[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Drop repeated texts, shuffle, and return nine tenths and the last tenth: the same ones on every machine.

    Shuffled because the files are sorted (by poet, by how common a name is). By `random()` with seed 0, which
    Python promises never to change; it makes no such promise of `shuffle`.
    """
    chance = random.Random(0)
    texts = sorted(dict.fromkeys(texts), key=lambda _: chance.random())
    cut = len(texts) - len(texts) // 10
    return tuple(texts[:cut]), tuple(texts[cut:])


def _first_versions(quatrains: list[str]) -> list[str]:
    """Drop each quatrain that has 12 or more of its 20 characters where one before it has the same ones.

    Two editions of a poem agree in 13 to 20 places; two poems, even on one model (自君之出矣…), in at most 10.
    """
    x = torch.tensor([[ord(character) for character in quatrain] for quatrain in quatrains])  # (N, 20)
    return [quatrains[i] for i in range(len(x)) if i == 0 or (x[:i] == x[i]).sum(dim=1).max() < 12]


def _is_han(character: str) -> bool:
    return unicodedata.name(character, "").startswith("CJK UNIFIED IDEOGRAPH")


def _excerpt(text: str, place: int) -> str:
    """Show a text in a message: all of it, or the part around `place` if it is long."""
    start, stop = max(0, place - 20), place + 20
    return text if len(text) <= 60 else "…" * (start > 0) + text[start:stop] + "…" * (stop < len(text))
