"""The words of the course's poems: how frequent each is, what it means, and how its characters sound."""

from typing import NamedTuple


class Word(NamedTuple):
    """A word of a list: its probability there, and the rhyme it ends in ("" for a word that may not end a couplet)."""

    text: str
    gloss: str
    p: float
    rhyme: str


class Lexicon:
    """Lists of words by category, from a source as in `poems.toml`; `tones` and `rhymes` are {character: name}.

    Raises ValueError for a word without a meaning.
    """

    def __init__(self, source: dict):
        self.tones = {c: tone for tone, characters in source["tones"].items() for c in characters}
        self.lists = {category: read_words(words) for category, words in source["words"].items()}
        for category, rhymes in source["rhymed"].items():
            self.lists[category] = [word for rhyme, words in rhymes.items() for word in read_words(words, rhyme)]
        every = [word for words in self.lists.values() for word in words]
        self.rhymes = {word.text[-1]: word.rhyme for word in every if word.rhyme}
        self._glosses = {word.text: word.gloss for word in reversed(every)}  # of several meanings, the first
        self._longest = max(map(len, self._glosses))

    def split(self, text: str) -> list[tuple[str, str]]:
        """Any text as words with their glosses; a character that is part of no word stands alone, its gloss empty.

        As few characters as possible are left alone, then as few words as possible are used. Where a word has several
        meanings this gives one of them: only `PoemGrammar.gloss` knows the place.
        """
        best = [(0, 0, [])]  # of each beginning: characters alone, words, and the split
        for end in range(1, len(text) + 1):
            ways = []
            for start in range(max(0, end - self._longest), end):
                alone, words, before = best[start]
                piece = text[start:end]
                if piece in self._glosses or len(piece) == 1:
                    gloss = self._glosses.get(piece, "")
                    ways.append((alone + (not gloss), words + 1, [*before, (piece, gloss)]))
            best.append(min(ways, key=lambda way: way[:2]))
        return best[-1][2]


def read_words(words: str, rhyme: str = "") -> list[Word]:
    """The words of a list "明月 bright moon, 星河 river of stars, …": the r-th has weight 1/r, all together 1."""
    pairs = [pair.strip().partition(" ") for pair in words.split(",")]
    if bare := [text for text, _, gloss in pairs if not (text and gloss)]:
        raise ValueError(f"words: expected each with its meaning, got {bare[0]!r} in {words!r}")
    total = sum(1 / rank for rank in range(1, len(pairs) + 1))
    return [Word(text, gloss, 1 / rank / total, rhyme) for rank, (text, _, gloss) in enumerate(pairs, 1)]
