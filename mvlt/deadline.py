"""Time limits for requests."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_UNTIL: ContextVar[float] = ContextVar('until', default=float('inf'))


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Let this thread's :func:`check` raise after so many seconds."""
    token = _UNTIL.set(min(time.monotonic() + seconds, _UNTIL.get()))
    try:
        yield
    finally:
        _UNTIL.reset(token)


def check() -> None:
    """Raise TimeoutError after the deadline."""
    if time.monotonic() > _UNTIL.get():
        raise TimeoutError('request timed out')


def left() -> float | None:
    """Seconds until the deadline, 0 at least; None = no deadline."""
    until = _UNTIL.get()
    return None if until == float('inf') else max(0.0, until - time.monotonic())
