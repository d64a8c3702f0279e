"""One file a data set; `load_*` returns tensors, or a `Corpus` of texts that its `Vocabulary` turns into tensors.

`store` finds, downloads and verifies what is fetched.
"""

from .bouncing_digits import BouncingDigits, load_bouncing_digits
from .clips import Clips
from .digits import load_digits
from .mnist import load_binarised_mnist, load_mnist
from .moving_mnist import load_moving_mnist
from .plane import load_plane
from .poems import PoemGrammar
from .spoken_digits import load_spoken_digits
from .sprites import load_sprites
from .text import Corpus, Vocabulary, load_names, load_shakespeare, load_tang, windows
from .voices import load_notes, load_vowels, load_words, speak

__all__ = [
    "BouncingDigits",
    "Clips",
    "Corpus",
    "PoemGrammar",
    "Vocabulary",
    "load_binarised_mnist",
    "load_bouncing_digits",
    "load_digits",
    "load_mnist",
    "load_moving_mnist",
    "load_names",
    "load_notes",
    "load_plane",
    "load_shakespeare",
    "load_spoken_digits",
    "load_sprites",
    "load_tang",
    "load_vowels",
    "load_words",
    "speak",
    "windows",
]
