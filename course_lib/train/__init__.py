"""Training: `fit` in one call, and the `Session` below it for several players, chains and data that is made anew."""

from .fit import fit
from .keeper import NotFinite
from .session import Session

__all__ = ["NotFinite", "Session", "fit"]
