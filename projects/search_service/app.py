"""Search service: an index of a catalogue behind HTTP.

    python -m projects.search_service.app --model MY_MODEL --catalogue MY_CATALOGUE

Everyone may search. Writing needs the token in the environment variable MVLT_SEARCH_TOKEN; without
the variable nobody can write. The service fetches no addresses. /docs lists all requests.
"""

import argparse
import contextlib
import hmac
import json
import os
import socket
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from threading import Event, Thread
from typing import Annotated, Any, Literal, TypeVar

import torch
import uvicorn
from fastapi import Depends, FastAPI, File, Form, HTTPException, Request, Response, UploadFile
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from PIL import Image
from prometheus_client import generate_latest
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException as RouteError

from mvlt.retrieval.index import default_location, open_index
from mvlt.retrieval.index.base import MAX_ID, check_id
from mvlt.tools.command_line import run_command
from projects.search_service import uploads
from projects.search_service.batching import BatchedSearch
from projects.search_service.guard import Guard
from projects.search_service.metrics import Metrics
from projects.search_service.pools import Pools

MAX_TEXT = 200  # characters
MAX_IMAGES = 8  # a request
Image.MAX_IMAGE_PIXELS = uploads.MAX_PIXELS

T = TypeVar('T')
Text = Annotated[str, Field(max_length=MAX_TEXT)]
Id = Annotated[str, Field(min_length=1, max_length=MAX_ID)]
Images = Annotated[list[UploadFile], File()]


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
    admin_port: serves writing, /metrics and /docs, which the other port then does not.
    log: file of a JSON line per request.
    proxies: addresses of reverse proxies, separated by commas, whose X-Forwarded-For counts.
    """

    token: str = ''
    rate: str = '50/second'
    seconds: float = 10
    compact_hours: float = 24
    admin_port: int | None = None
    log: str | None = None
    proxies: str | None = None


def create_app(search: BatchedSearch, settings: Settings) -> FastAPI:
    """The service of one model and one index."""
    search.warm_up()
    pools = Pools(settings.seconds)
    metrics = Metrics(search, pools)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        stop = Event()
        args = (search, pools.write, settings.compact_hours, stop)
        Thread(target=uploads.keep_up, args=args, daemon=True).start()
        yield
        stop.set()
        await pools.close(settings.seconds)
        search.close()

    app = FastAPI(
        title='MVLT search',
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.add_middleware(
        Guard,
        metrics=metrics,
        rate=settings.rate,
        seconds=settings.seconds,
        admin_port=settings.admin_port,
        log=settings.log,
    )

    @app.exception_handler(RouteError)
    async def refused(_: Request, error: RouteError) -> JSONResponse:
        return JSONResponse(dict(error=str(error.detail)), error.status_code, error.headers)

    @app.exception_handler(RequestValidationError)
    async def wrong(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        field = '.'.join(str(part) for part in first['loc'] if part != 'body')
        return JSONResponse(dict(error=f'{field}: {first["msg"]}'), 422)

    def deadline() -> float:
        return time.monotonic() + settings.seconds

    def writer(request: Request) -> None:
        if not settings.token:
            raise HTTPException(403, 'read-only: the service was started without a token')
        given = request.headers.get('authorization', '').encode()
        if not hmac.compare_digest(given, f'Bearer {settings.token}'.encode()):
            raise HTTPException(401, 'send the header "Authorization: Bearer TOKEN"')

    async def answer(request: Request, query: Query, work: Callable[[], Any], until: float) -> dict:
        request.state.asked = dict(query.model_dump(exclude_defaults=True))
        if query.where:
            request.state.asked['where'] = json.dumps(query.where)[:1000]
        rows = await pools.search.run(work, until)
        request.state.asked['results'] = len(rows)
        if not rows:
            metrics.empty.inc()
        return dict(results=[{k: v for k, v in row.items() if k != 'img_path'} for row in rows])

    @app.post('/search')
    async def search_text(query: Query, request: Request) -> dict[str, Any]:
        """Find products by a text, by similar products, or both."""
        return await answer(request, query, lambda: search(**query.model_dump()), deadline())

    @app.post('/similar')
    async def search_images(
        images: Images,
        request: Request,
        query: Annotated[str, Form(max_length=10_000)] = '{}',
    ) -> dict[str, Any]:
        """Find products similar to uploaded images; ``query`` is the JSON of /search."""
        until = deadline()
        try:
            options = Query.model_validate_json(query)
        except ValueError as error:
            raise HTTPException(422, f'query: {_first_line(error)}') from error
        contents = await _contents(images)
        decoded = await pools.decode.run(lambda: uploads.decode(search, contents), until)
        pixels = [upload.pixels for upload in decoded]
        return await answer(
            request, options, lambda: search(images=pixels, **options.model_dump()), until
        )

    @app.put('/products/{product_id:path}', dependencies=[Depends(writer)])
    async def upsert(
        product_id: str,
        images: Images,
        values: Annotated[str, Form(max_length=100_000)] = '{}',
    ) -> dict[str, Any]:
        """Add or replace a product; ``values`` is JSON, column -> value."""
        until = deadline()
        try:
            check_id(product_id)
        except ValueError as error:
            raise HTTPException(422, str(error)) from error
        root = search.images
        if root is None:
            raise HTTPException(403, 'the service was started without a folder of images')
        try:
            cells = json.loads(values)
        except (ValueError, RecursionError) as error:
            raise HTTPException(422, f'values: invalid JSON ({_first_line(error)})') from error
        if not isinstance(cells, dict) or {'img_path', 'product_id', 'images'} & set(cells):
            raise HTTPException(
                422,
                'values: send an object of column -> value, without img_path, product_id, images',
            )
        contents = await _contents(images)
        decoded = await pools.decode.run(lambda: uploads.decode(search, contents), until)

        def write() -> None:
            with search.index.writing():  # nobody deletes a file before its row is there
                paths = [uploads.store(root, upload) for upload in decoded]
                try:
                    img_paths = [str(path.relative_to(root)) for path in paths]
                    search.upsert(product_id, paths, img_paths, **cells)
                except BaseException:
                    uploads.clean(search, {path.stem for path in paths})
                    raise

        await pools.write.run(write, until)
        return dict(product_id=product_id, images=len(decoded))

    @app.delete('/products/{product_id:path}', dependencies=[Depends(writer)])
    async def delete(product_id: str, forget: bool = False) -> dict[str, Any]:
        """Delete a product; ``forget``: its uploaded images at once, too, not in the upkeep."""

        def work() -> int:
            with search.index.writing():
                hashes = {*search.index.fetch([product_id])['image_hash'].to_pylist()}
                count = search.delete([product_id])
                if forget:
                    uploads.clean(search, hashes)
            return count

        if not await pools.write.run(work, deadline()):
            raise HTTPException(404, 'no such product')
        return dict(product_id=product_id)

    @app.get('/images/{product_id:path}')
    async def image(product_id: str) -> FileResponse:
        """Return the first image of a product."""
        table = await pools.search.run(lambda: search.index.fetch([product_id]), deadline())
        rows = table.sort_by('image_index').to_pylist()
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
    async def health() -> dict[str, Any]:
        """Check the index and count its images."""
        return dict(status='ok', images=await pools.health.run(search.count, deadline()))

    @app.get('/metrics')
    async def prometheus() -> Response:
        """Return metrics for Prometheus."""
        text = await pools.health.run(lambda: generate_latest(metrics.registry), deadline())
        return Response(text, media_type='text/plain; version=0.0.4')

    @app.get('/docs', include_in_schema=False)
    def docs() -> Response:
        return Response(_docs_page(app.openapi()), media_type='text/html')

    return app


async def _contents(images: list[UploadFile]) -> list[bytes]:
    if not 0 < len(images) <= MAX_IMAGES:
        raise HTTPException(422, f'images: send 1 to {MAX_IMAGES}')
    return [await upload.read() for upload in images]


def _first_line(error: BaseException) -> str:
    return ' '.join(str(error).split())[:300]


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
        '--catalogue', help='table or folder of images; makes the index if there is none'
    )
    parser.add_argument(
        '--update',
        action='store_true',
        help='update the index to the catalogue first; deletes products that clients have put',
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
    parser.add_argument(
        '--admin-port',
        type=int,
        help='serves writing, /metrics and /docs on 127.0.0.1; the other port then does not',
    )
    parser.add_argument(
        '--proxies',
        help='addresses of reverse proxies, separated by commas, whose X-Forwarded-For counts',
    )
    parser.add_argument('--log', help='file of a JSON line per request, without images')
    args = parser.parse_args()
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // 2))
    if not args.catalogue and not args.index:
        raise ValueError('give --catalogue or --index')
    search = open_search(args.model, args.catalogue, args.index, args.images, args.update)
    count = search.count()  # refuses an index of another model before the port is opened
    settings = Settings(
        token=os.environ.get('MVLT_SEARCH_TOKEN', ''),
        rate=args.rate,
        seconds=args.seconds,
        compact_hours=args.compact_hours,
        admin_port=args.admin_port,
        log=args.log,
        proxies=args.proxies,
    )
    sockets = [_listening(args.host, args.port)]
    if args.admin_port is not None:
        sockets.append(_listening('127.0.0.1', args.admin_port))
    print(f'{count} images; http://{args.host}:{args.port} (ctrl-C stops it)', flush=True)
    make_server(search, settings).run(sockets)


def open_search(
    model: str, catalogue: str | None, index: str | None, images: str | None, update: bool
) -> BatchedSearch:
    """The search of an index, which is built if it is missing, or updated."""
    search = BatchedSearch(model, index, images)
    if catalogue is None:
        return search
    location = index or default_location(catalogue, search.fingerprint)
    try:
        open_index(location)
    except FileNotFoundError:
        update = True
    if update:
        print(search.build(catalogue), flush=True)
        return search
    search.close()
    path = Path(catalogue)
    folder = images or (path if path.is_dir() else path.parent)
    return BatchedSearch(model, location, folder)


def make_server(search: BatchedSearch, settings: Settings, **more: Any) -> uvicorn.Server:
    """The server of a service; ``more``: arguments of uvicorn.Config."""
    arguments = dict(
        log_level='warning',
        timeout_graceful_shutdown=int(settings.seconds) + 1,
        limit_concurrency=1000,  # connections; the guard bounds requests
        proxy_headers=settings.proxies is not None,
        forwarded_allow_ips=settings.proxies,
    )
    return uvicorn.Server(uvicorn.Config(create_app(search, settings), **{**arguments, **more}))


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ':' in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=2048)


if __name__ == '__main__':
    run_command(main)
