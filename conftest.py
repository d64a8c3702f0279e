"""Settings of every test run, the notebooks' included."""

import os

import pytest

# The tests share two cores with a browser, a server and their kernels. PyTorch's threads wait by spinning, and two of
# them beside a busy browser have been seen to train a hundred times slower than one.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.hookimpl(tryfirst=True)  # before `-m`, which reads the marks
def pytest_collection_modifyitems(items):
    """Modules that need the browser are slow."""
    with_browser = {item.path for item in items if "browser" in getattr(item, "fixturenames", ())}
    for item in items:
        if item.path in with_browser:
            item.add_marker(pytest.mark.slow)
