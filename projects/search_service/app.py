"""Search service: an index of a catalogue behind HTTP.

    python -m projects.search_service.app --model MY_MODEL --catalogue MY_CATALOGUE

Everyone may search. Writing needs the token in the environment variable MVLT_SEARCH_TOKEN; without
the variable nobody can write. The service fetches no addresses. /docs lists all requests.
"""

import argparse
import contextlib
import hashlib
import hmac
import io
import json
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from threading import Event, Thread
from typing import Annotated, Any, Literal

import torch
import uvicorn
from fastapi import Depends, FastAPI, File, Form, HTTPException, Request, Response, UploadFile
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from limits import parse as parse_limit
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from mmengine.logging import print_log
from PIL import Image
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from mvlt.datasets.transforms.loading import read_image
from mvlt.deadline import within
from mvlt.files import written_whole
from mvlt.retrieval.index.base import MAX_ID, check_id
from mvlt.tools.command_line import run_command
from projects.search_service.batching import BatchedSearch

MAX_TEXT = 200  # characters
MAX_IMAGES = 8  # a request
MAX_BYTES = 20_000_000  # a request
MAX_PIXELS = 25_000_000  # an image
UPLOADS = 'uploads'  # below the folder of images
Image.MAX_IMAGE_PIXELS = MAX_PIXELS

Text = Annotated[str, Field(max_length=MAX_TEXT)]
Id = Annotated[str, Field(min_length=1, max_length=MAX_ID)]


class Query(BaseModel):
    """A search request; see :class:`mvlt.apis.Search`."""

    model_config = ConfigDict(extra='forbid')

    text: Text | None = None
    products: list[Id] = Field(default=[], max_length=MAX_IMAGES)
    negative_query: Text | None = None
    where: dict[str, Any] | None = None
    topk: int = Field(default=10, ge=1, le=200)
    rerank: Literal['itm', 'sum'] | None = None
    rerank_topk: int = Field(default=50, ge=1, le=300)
    dedup_threshold: float | None = Field(default=None, ge=-1, le=1)


class Settings(BaseModel):
    """Settings of a service.

    token: needed for writing; '' = read-only.
    rate: requests per client address, in the syntax of ``limits``.
    seconds: time limit of a request.
    compact_hours: interval between compactions of the index; 0 = never.
    """

    token: str = ''
    rate: str = '50/second'
    seconds: float = 10
    compact_hours: float = 24


def create_app(search: BatchedSearch, settings: Settings) -> FastAPI:
    """The service of one model and one index."""
    metrics = Metrics(search)
    limiter = MovingWindowRateLimiter(MemoryStorage())
    rate = parse_limit(settings.rate)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        stop = Event()
        args = (search, settings.compact_hours, stop)
        Thread(target=_compact_regularly, args=args, daemon=True).start()
        yield
        stop.set()
        await run_in_threadpool(search.close)

    app = FastAPI(title='MVLT search', lifespan=lifespan, docs_url=None, redoc_url=None)

    @app.middleware('http')
    async def guard(
        request: Request, call_next: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        started = time.monotonic()
        path = request.url.path.split('/')[1]
        host = request.client.host if request.client else '?'
        length = request.headers.get('content-length', '')
        if path not in ('healthz', 'metrics') and not limiter.hit(rate, host):
            response: Response = _refusal(429, f'more than {settings.rate} requests')
        elif request.method in ('POST', 'PUT') and not length.isdecimal():
            response = _refusal(411, 'send a Content-Length header')
        elif length.isdecimal() and int(length) > MAX_BYTES:
            response = _refusal(413, f'send at most {MAX_BYTES:,} bytes')
        else:
            response = await call_next(request)
        metrics.count(path, response.status_code, time.monotonic() - started)
        return response

    @app.exception_handler(HTTPException)
    async def refused(_: Request, error: HTTPException) -> JSONResponse:
        return _refusal(error.status_code, str(error.detail))

    @app.exception_handler(RequestValidationError)
    async def wrong(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        field = '.'.join(str(part) for part in first['loc'] if part != 'body')
        return _refusal(422, f'{field}: {first["msg"]}')

    @app.exception_handler(Exception)
    async def broken(_: Request, error: Exception) -> JSONResponse:
        return _refusal(500, 'internal error; see the log of the service')

    def ask(work: Callable[[], Any]) -> Any:
        """Call ``work`` within the time limit; a ValueError becomes a 4xx."""
        try:
            with within(settings.seconds):
                return work()
        except TimeoutError as error:
            raise HTTPException(503, f'no answer within {settings.seconds:g} seconds') from error
        except ValueError as error:
            status = 409 if 'writes to this index' in str(error) else 422
            raise HTTPException(status, str(error)) from error

    def writer(request: Request) -> None:
        if not settings.token:
            raise HTTPException(403, 'read-only: the service was started without a token')
        given = request.headers.get('authorization', '').encode()
        if not hmac.compare_digest(given, f'Bearer {settings.token}'.encode()):
            raise HTTPException(401, 'send the header "Authorization: Bearer TOKEN"')

    @app.post('/search')
    def search_text(query: Query) -> dict[str, Any]:
        """Find products by a text, by similar products, or both."""
        return _answer(ask(lambda: search(**query.model_dump())))

    @app.post('/similar')
    def search_images(
        images: Annotated[list[UploadFile], File()],
        query: Annotated[str, Form(max_length=10_000)] = '{}',
    ) -> dict[str, Any]:
        """Find products similar to uploaded images; ``query`` is the JSON of /search."""
        try:
            options = Query.model_validate_json(query).model_dump()
        except ValueError as error:
            raise HTTPException(422, f'query: {_first_line(error)}') from error
        pixels = [_read(upload) for upload in _checked(images)]
        return _answer(ask(lambda: search(images=pixels, **options)))

    @app.put('/products/{product_id:path}', dependencies=[Depends(writer)])
    def upsert(
        product_id: str,
        images: Annotated[list[UploadFile], File()],
        values: Annotated[str, Form(max_length=100_000)] = '{}',
    ) -> dict[str, Any]:
        """Add or replace a product; ``values`` is JSON, column -> value."""
        ask(lambda: check_id(product_id))
        if search.images is None:
            raise HTTPException(403, 'the service was started without a folder of images')
        try:
            cells = json.loads(values)
        except ValueError as error:
            raise HTTPException(422, f'values: invalid JSON ({error})') from error
        if not isinstance(cells, dict) or {'img_path', 'product_id', 'images'} & set(cells):
            raise HTTPException(
                422,
                'values: send an object of column -> value, without img_path, product_id, images',
            )
        with _stored(search.images, _checked(images)) as paths:
            img_paths = [str(path.relative_to(search.images)) for path in paths]
            ask(lambda: search.upsert(product_id, paths, img_paths, **cells))
        return dict(product_id=product_id, images=len(paths))

    @app.delete('/products/{product_id:path}', dependencies=[Depends(writer)])
    def delete(product_id: str) -> dict[str, Any]:
        """Delete a product."""
        if not ask(lambda: search.delete([product_id])):
            raise HTTPException(404, 'no such product')
        return dict(product_id=product_id)

    @app.get('/images/{product_id:path}')
    def image(product_id: str) -> FileResponse:
        """Return the first image of a product."""
        rows = ask(lambda: search.index.fetch([product_id])).sort_by('image_index').to_pylist()
        img_path = rows[0]['img_path'] if rows else None
        # symbolic links in the catalogue's folder are trusted: visitors cannot create any
        if img_path is None or search.images is None or '..' in Path(img_path).parts:
            raise HTTPException(404, 'no such product')
        if Path(img_path).is_absolute():
            raise HTTPException(404, 'the image lies outside the folder of images')
        path = search.images / img_path
        if not path.is_file():
            raise HTTPException(404, 'the image file is missing')
        return FileResponse(path, headers={'X-Content-Type-Options': 'nosniff'})

    @app.get('/healthz')
    def health() -> dict[str, Any]:
        """Check the index and count its images."""
        return dict(status='ok', images=ask(search.count))

    @app.get('/metrics')
    def prometheus() -> Response:
        """Return metrics for Prometheus."""
        return Response(generate_latest(metrics.registry), media_type='text/plain; version=0.0.4')

    @app.get('/docs', include_in_schema=False)
    def docs() -> Response:
        return Response(_docs_page(app.openapi()), media_type='text/html')

    return app


class Metrics:
    """Prometheus metrics of one service."""

    def __init__(self, search: BatchedSearch) -> None:
        self.registry = CollectorRegistry()
        names = ['path', 'status']
        self.requests = Counter('mvlt_requests', 'Requests', names, registry=self.registry)
        self.seconds = Histogram(
            'mvlt_request_seconds', 'Duration of a request', ['path'], registry=self.registry
        )
        images = Gauge('mvlt_index_images', 'Images in the index', registry=self.registry)
        images.set_function(search.count)

    def count(self, path: str, status: int, seconds: float) -> None:
        """Count a request; unknown paths share a label, or visitors could add any number."""
        routes = ('search', 'similar', 'products', 'images', 'healthz', 'metrics', 'docs')
        path = path if path in routes else 'other'
        self.requests.labels(path, status).inc()
        self.seconds.labels(path).observe(seconds)


def _refusal(status: int, line: str) -> JSONResponse:
    return JSONResponse(dict(error=line), status)


def _answer(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return dict(results=[{k: v for k, v in row.items() if k != 'img_path'} for row in rows])


def _first_line(error: BaseException) -> str:
    return ' '.join(str(error).split())[:300]


def _checked(images: list[UploadFile]) -> list[UploadFile]:
    if not 0 < len(images) <= MAX_IMAGES:
        raise HTTPException(422, f'images: send 1 to {MAX_IMAGES}')
    return images


def _read(upload: UploadFile) -> Any:
    try:
        return read_image(io.BytesIO(upload.file.read()), MAX_PIXELS)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise HTTPException(
            422, f'images: unreadable image, or more than {MAX_PIXELS:,} pixels'
        ) from error


@contextlib.contextmanager
def _stored(root: Path, uploads: list[UploadFile]) -> Any:
    """Store uploads by their hash and yield their paths; remove new files if the work fails."""
    new: list[Path] = []
    paths: list[Path] = []
    for upload in uploads:
        _read(upload)
        upload.file.seek(0)
        content = upload.file.read()
        with Image.open(io.BytesIO(content)) as image:
            suffix = (image.format or 'png').lower()
        path = root / UPLOADS / f'{hashlib.sha256(content).hexdigest()}.{suffix}'
        paths.append(path)
        if not path.is_file():
            new.append(path)
            with written_whole(path) as file:
                file.write(content)
    try:
        yield paths
    except BaseException:
        for path in new:
            path.unlink(missing_ok=True)
        raise


def _compact_regularly(search: BatchedSearch, hours: float, stop: Event) -> None:
    while hours and not stop.wait(hours * 3600):
        try:
            search.index.compact()
        except Exception as error:  # e.g. another process writes: try again next time
            print_log(f'compaction: {_first_line(error)}', 'current', level=30)


def _docs_page(api: dict[str, Any]) -> str:
    """The requests as HTML that loads nothing from elsewhere."""
    rows = [
        f'<h3><code>{method.upper()} {path}</code></h3><p>{operation.get("description", "")}</p>'
        for path, methods in api['paths'].items()
        for method, operation in methods.items()
    ]
    schema = json.dumps(api['components']['schemas'].get('Query', {}), indent=1)
    return (
        '<!doctype html><meta charset="utf-8"><title>MVLT search</title>'
        '<body style="font-family: sans-serif; max-width: 50em; margin: auto">'
        f'<h1>MVLT search</h1>{"".join(rows)}<h3>Query</h3><pre>{schema}</pre>'
        '<p>Full description: <a href="/openapi.json">openapi.json</a></p>'
    )


def main() -> None:
    """Serve until SIGTERM or ctrl-C."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--model', required=True, help='dual encoder, a folder of publish.py')
    parser.add_argument(
        '--catalogue', help='table or folder of images; updates the index before serving'
    )
    parser.add_argument(
        '--index', help='index of tools/build_index.py; default: shared with the web page'
    )
    parser.add_argument(
        '--images', help="folder of images and uploads; default: the catalogue's folder"
    )
    parser.add_argument('--host', default='127.0.0.1', help='0.0.0.0 accepts other machines')
    parser.add_argument('--port', type=int, default=8000)
    parser.add_argument('--rate', default='50/second', help='requests per client address')
    parser.add_argument('--seconds', type=float, default=10, help='time limit of a request')
    parser.add_argument(
        '--compact-hours', type=float, default=24, help='interval of compactions; 0 = never'
    )
    args = parser.parse_args()
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // 2))
    if not args.catalogue and not args.index:
        raise ValueError('give --catalogue or --index')
    search = BatchedSearch(args.model, args.index, args.images)
    if args.catalogue:
        print(search.build(args.catalogue), flush=True)
    count = search.count()  # refuses an index of another model before the port is opened
    settings = Settings(
        token=os.environ.get('MVLT_SEARCH_TOKEN', ''),
        rate=args.rate,
        seconds=args.seconds,
        compact_hours=args.compact_hours,
    )
    print(f'{count} images; http://{args.host}:{args.port} (ctrl-C stops it)', flush=True)
    uvicorn.run(
        create_app(search, settings),
        host=args.host,
        port=args.port,
        log_level='warning',
        timeout_graceful_shutdown=int(args.seconds) + 1,
        limit_concurrency=200,
    )


if __name__ == '__main__':
    run_command(main)
