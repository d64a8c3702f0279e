"""One file a data set; `load_*` returns tensors. `store` finds, downloads and verifies what is fetched."""

from .digits import load_digits
from .mnist import load_mnist

__all__ = ["load_digits", "load_mnist"]
