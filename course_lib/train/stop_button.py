"""Ctrl-C, the notebook's stop button, while a model trains."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def stop_button(stop: threading.Event) -> Iterator[None]:
    """Ctrl-C sets `stop`, so that a step is never left half done; a second one stops at once, with KeyboardInterrupt.

    Beside the main thread, which alone is ever interrupted, nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def asked(signum, frame):
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    before = signal.signal(signal.SIGINT, asked)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
