"""Time limits for requests."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_UNTIL: ContextVar[float] = ContextVar('until', default=float('inf'))


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """What is computed in here, in this thread, ends at the next :func:`check` after so long."""
    token = _UNTIL.set(min(time.monotonic() + seconds, _UNTIL.get()))
    try:
        yield
    finally:
        _UNTIL.reset(token)


def check() -> None:
    """End here if it is too late.

    Raises:
        TimeoutError: it is.
    """
    if time.monotonic() > _UNTIL.get():
        raise TimeoutError('request timed out')


def left() -> float | None:
    """Seconds until it is too late, 0 at least; None = there is no end."""
    until = _UNTIL.get()
    return None if until == float('inf') else max(0.0, until - time.monotonic())
