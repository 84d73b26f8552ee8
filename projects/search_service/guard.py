"""What stands before every request: rate, bytes, seconds, errors as JSON, metrics, log."""

import asyncio
import json
import time
import traceback
from pathlib import Path
from typing import Any

from limits import parse as parse_limit
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from mmengine.logging import print_log
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from projects.search_service.metrics import Metrics

MAX_BYTES = 20_000_000  # a request with images
MAX_JSON = 200_000  # another request: its text is parsed at once
MAX_REQUESTS = 200  # at a time
WITH_IMAGES = ('similar', 'products')
PUBLIC = ('search', 'similar', 'images', 'healthz')  # first part of a path
UNLIMITED = ('healthz', 'metrics')


class Guard:
    """ASGI middleware; every answer passes it, so that each is counted and an error is JSON.

    Args:
        app: the next application.
        metrics: that count.
        rate: requests per client address, in the syntax of ``limits``.
        seconds: for a request's body.
        admin_port: the port on which writing, /metrics and /docs are served, and they alone; None =
            the only port serves everything.
        log: file of a JSON line per request, with the texts of queries and without images; None =
            no log.
    """

    def __init__(
        self,
        app: ASGIApp,
        metrics: Metrics,
        rate: str,
        seconds: float,
        admin_port: int | None = None,
        log: str | Path | None = None,
    ) -> None:
        self.app = app
        self.metrics = metrics
        self.rate, self._limit = rate, parse_limit(rate)
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self.seconds = seconds
        self.admin_port = admin_port
        self._running = 0
        self._log = None
        if log:
            self._log = open(log, 'a', encoding='utf-8', errors='backslashreplace')  # noqa: SIM115

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope['type'] != 'http':
            await self.app(scope, receive, send)
            return
        started, status, read, whole = time.monotonic(), 0, 0, False
        path = '/'.join(scope['path'].split('/')[1:2])
        most = MAX_BYTES if path in WITH_IMAGES else MAX_JSON

        async def bounded() -> Message:
            """The next part of the body; bytes count as they come, whatever the headers say."""
            nonlocal read, whole
            if whole:  # the application waits for the client to leave
                return await receive()
            try:
                left = self.seconds - (time.monotonic() - started)
                message = await asyncio.wait_for(receive(), left)
            except TimeoutError as error:
                raise HTTPException(408, f'send a request within {self.seconds:g} s') from error
            if message['type'] == 'http.request':
                read += len(message.get('body', b''))
                if read > most:
                    raise HTTPException(413, f'send at most {most:,} bytes')
                whole = not message.get('more_body')
            return message

        async def noted(message: Message) -> None:
            nonlocal status
            if message['type'] == 'http.response.start':
                status = message['status']
            await send(message)

        self._running += 1
        try:
            refused = self._refusal(scope, path, most)
            if refused is not None:
                await refused(scope, receive, noted)
            else:
                await self.app(scope, bounded, noted)
        except Exception as error:
            refused = JSONResponse(dict(error='internal error; see the log of the service'), 500)
            if isinstance(error, HTTPException):
                refused = JSONResponse(dict(error=str(error.detail)), error.status_code)
            else:
                print_log(traceback.format_exc(), 'current', level=40)
            if status == 0:
                await refused(scope, receive, noted)
        finally:
            self._running -= 1
            seconds = time.monotonic() - started
            self.metrics.count(path, status, seconds)
            self._write(scope, status, seconds)

    def _refusal(self, scope: Scope, path: str, most: int) -> JSONResponse | None:
        """The answer to a request that goes no further."""
        client = scope.get('client')
        host = client[0] if client else '?'
        length = next((v for k, v in scope['headers'] if k == b'content-length'), b'')
        if path not in UNLIMITED and not self._limiter.hit(self._limit, host):
            return JSONResponse(dict(error=f'more than {self.rate} requests'), 429)
        if length.isdigit() and (len(length) > 12 or int(length) > most):
            return JSONResponse(dict(error=f'send at most {most:,} bytes'), 413)
        if self._running > MAX_REQUESTS and path not in UNLIMITED:
            return JSONResponse(dict(error='too many requests at a time: try again later'), 503)
        if self.admin_port is not None:
            public = scope['server'][1] != self.admin_port
            if (public and path not in PUBLIC) or (not public and path in PUBLIC[:3]):
                return JSONResponse(dict(error='not on this port'), 404)
        return None

    def _write(self, scope: Scope, status: int, seconds: float) -> None:
        if self._log is None:
            return
        client: Any = scope.get('client')
        line = dict(
            time=time.strftime('%Y-%m-%dT%H:%M:%S%z'),
            client=client[0] if client else None,
            method=scope['method'],
            path=scope['path'],
            status=status,
            milliseconds=round(1000 * seconds, 1),
            **scope.get('state', {}).get('asked', {}),
        )
        try:
            self._log.write(json.dumps(line, ensure_ascii=False) + '\n')
            self._log.flush()
        except OSError as error:  # e.g. a full disk: answers matter more
            print_log(f'log: {error}', 'current', level=40)
