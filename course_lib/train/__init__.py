"""Training: `fit` in one call, and the `Session` below it for several players, chains and data that is made anew."""

from .fit import fit
from .session import NotFinite, Session

__all__ = ["NotFinite", "Session", "fit"]
