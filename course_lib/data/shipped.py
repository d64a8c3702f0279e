"""Finds what the course ships: it lies in `data/` beside the package, or inside the package where that is a wheel."""

from pathlib import Path

_PLACES = Path(__file__).with_name("files"), Path(__file__).parents[2] / "data"


def shipped(name: str) -> Path:
    """Where the shipped file `name` lies, such as "poems.toml" or "samples/spoken_digits.wav".

    A wheel carries the files inside the package; a checkout, and an editable install of one, has them beside it.
    Raises FileNotFoundError, with the places that were searched and what to do.
    """
    for folder in _PLACES:
        if (folder / name).is_file():
            return folder / name
    raise FileNotFoundError(
        f"{name}: expected it in {' or '.join(map(str, _PLACES))}; it ships with the course, so install that again, or "
        "get a whole copy of the repository"
    )
