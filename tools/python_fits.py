"""Say why the course cannot be installed with this Python, or on this machine, before pip says it: `make env`.

It runs on any Python 3, also on those that it refuses. What it allows and refuses is what PyTorch, at the version in
constraints.txt, has builds for; `tests/test_packaging.py` asks for them.
"""

import platform
import sys

FIRST, LAST = (3, 11), (3, 14)


def refusal(python, system, machine, release):
    """What keeps the course from being installed and what to do instead, or None.

    `python` is (3, 11, …), `system` and `machine` are what `platform` calls them, `release` is macOS's, "" elsewhere.
    """
    if not FIRST <= tuple(python[:2]) <= LAST:
        first, last, this = (".".join(map(str, version[:2])) for version in (FIRST, LAST, python))
        return (
            f"This course needs Python {first} to {last}, and this is {this}; name one with PYTHON=…, e.g. make lab "
            "PYTHON=python3.12"
        )
    elsewhere = "read the book, open its chapters on Colab or Binder, or work in a Linux container"
    if system == "Darwin" and machine == "x86_64":
        return (
            f"PyTorch is no longer built for Macs with an Intel processor: {elsewhere}. If this Mac has an Apple "
            "processor, its Python is one for Intel: name one for arm64 with PYTHON=…"
        )
    if system == "Darwin" and int(release.split(".")[0]) < 14:
        return f"PyTorch needs macOS 14 or newer, and this is {release}: update it, or {elsewhere}"
    return None


if __name__ == "__main__":
    sys.exit(refusal(sys.version_info, platform.system(), platform.machine(), platform.mac_ver()[0]))
