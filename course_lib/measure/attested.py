"""What has been seen to follow what, in texts whose grammar nobody knows: a weak judge, and all that is to be had."""

from collections import Counter
from collections.abc import Sequence

START = ""  # what stands before the first character


class Attested:
    """The pairs of neighbouring characters that occur in `texts`; what `PoemGrammar` does exactly, done by hearsay.

    A text breaks where two characters meet that never met in `texts`. That lets much nonsense pass, and refuses a
    little that is good. There is no entropy and no probability of a text: of real text nobody knows them. Raises
    ValueError if there are no texts, or an empty one.
    """

    def __init__(self, texts: Sequence[str]):
        if not texts or not all(texts):
            raise ValueError(f"texts: expected at least one text and none of them empty, got {len(texts)} texts")
        self._after = {}
        for text in texts:
            for before, character in zip([START, *text], text, strict=False):
                self._after.setdefault(before, Counter())[character] += 1

    def next_character(self, prefix: str) -> dict[str, float]:
        """How often each character followed the last one of `prefix`, likeliest first; empty if none ever did."""
        seen = self._after.get(prefix[-1:], Counter())
        return {character: count / seen.total() for character, count in seen.most_common()}

    def mistakes(self, text: str) -> list[int]:
        """All positions whose character never followed the one before it."""
        pairs = zip([START, *text], text, strict=False)
        return [t for t, (before, character) in enumerate(pairs) if character not in self._after.get(before, ())]
