"""Threads for the work of requests, with bounded queues and a deadline."""

import asyncio
import contextvars
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

from fastapi import HTTPException

from mvlt.deadline import check, within

T = TypeVar('T')


class Pool:
    """Threads that do one kind of work, so that other kinds go on while they are busy.

    Args:
        name: of the threads.
        threads: that work at a time.
        most: that work or wait; more are refused with 503. Work that has missed its deadline counts
            until it ends.
        seconds: the time limit of a request, for the message.
    """

    def __init__(self, name: str, threads: int, most: int, seconds: float) -> None:
        self.name = name
        self.most = most
        self.seconds = seconds
        self.busy = 0
        self._executor = ThreadPoolExecutor(threads, name)

    async def run(self, work: Callable[[], T], until: float) -> T:
        """Call ``work`` in a thread.

        Args:
            until: the deadline, of ``time.monotonic``.

        Raises:
            HTTPException: 503, too much work waits, or the deadline has passed; 409, another
                process writes; 422, ``work`` raised ValueError.
        """
        if self.busy >= self.most:
            raise HTTPException(503, f'{self.most} requests wait already: try again later')
        seconds = max(0.0, until - time.monotonic())
        context = contextvars.copy_context()

        def call() -> T:
            with within(until - time.monotonic()):
                check()  # it may have waited too long
                return work()

        future = self._executor.submit(context.run, call)
        self.busy += 1
        loop = asyncio.get_running_loop()
        future.add_done_callback(lambda _: self._count_down(loop))
        try:
            # not cancelled: what waits in the queue keeps its memory, so it counts until it ends
            return await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(future)), seconds)
        except TimeoutError as error:
            raise HTTPException(503, f'no answer within {self.seconds:g} seconds') from error
        except ValueError as error:
            status = 409 if 'writes to this index' in str(error) else 422
            raise HTTPException(status, str(error)) from error

    def submit(self, work: Callable[[], T]) -> Future[T]:
        """Let a thread call ``work`` without a deadline."""
        return self._executor.submit(work)

    def _count_down(self, loop: asyncio.AbstractEventLoop) -> None:
        with suppress(RuntimeError):  # the service has ended before the work
            loop.call_soon_threadsafe(self._done)

    def _done(self) -> None:
        self.busy -= 1

    async def close(self, seconds: float = 0) -> None:
        """Wait at most so long for running work, then take no more; threads end with theirs."""
        until = time.monotonic() + seconds
        while self.busy and time.monotonic() < until:
            await asyncio.sleep(0.05)
        self._executor.shutdown(wait=False, cancel_futures=True)


class Pools:
    """The threads of a service: a slow kind of work leaves the others their own."""

    def __init__(self, seconds: float) -> None:
        self.search = Pool('search', 8, 64, seconds)
        self.decode = Pool('decode', 2, 8, seconds)
        self.write = Pool('write', 1, 32, seconds)
        self.health = Pool('health', 1, 16, seconds)

    async def close(self, seconds: float) -> None:
        """Wait for writers, at most so long."""
        await self.write.close(seconds)
        for pool in vars(self).values():
            await pool.close()
