"""Finds what the course ships, where the package is a wheel as in a checkout, where it lies beside the package."""

from pathlib import Path

_ROOT = Path(__file__).parents[2]
_PLACES = Path(__file__).with_name("files"), _ROOT / "data", _ROOT / "benchmarks"


def shipped(name: str) -> Path:
    """Where the shipped file `name` lies, such as "samples/spoken_digits.wav", or "results/painters.json".

    A wheel carries the files inside the package. A checkout, and an editable install of one, has them beside it, in
    `data/`, and the results of long runs in `benchmarks/`.
    Raises FileNotFoundError, with the places that were searched and what to do.
    """
    for folder in _PLACES:
        if (folder / name).is_file():
            return folder / name
    raise FileNotFoundError(
        f"{name}: expected it in {' or '.join(map(str, _PLACES))}; it ships with the course, so install that again, or "
        "get a whole copy of the repository"
    )
