"""Training in one call, `fit` for a model and `fit_gan` for two, and the `Session` below them; `search_code` for codes.

A session is for any number of players, for chains, and for data that is made anew. `scheduled` and `reinforce` have
losses for models that write: one lets them read themselves, the other lets someone judge the whole. `persistent` has
one for machines that can only compare.
"""

from .fit import fit
from .game import fit_gan
from .keeper import NotFinite
from .search import search_code
from .session import Session

__all__ = ["NotFinite", "Session", "fit", "fit_gan", "search_code"]
