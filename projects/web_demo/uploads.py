"""Uploaded images, the only files that the page reads."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from gradio.utils import get_upload_folder
from PIL import Image
from pydantic import BaseModel
from starlette.responses import PlainTextResponse

from mvlt.datasets.transforms.loading import open_image, read_image

MAX_MEGABYTES = 8
MAX_PIXELS = 25_000_000
UNREADABLE = f'Unreadable image, or more than {MAX_PIXELS:,} pixels.'
Image.MAX_IMAGE_PIXELS = MAX_PIXELS  # Pillow refuses twice as many before decoding


def refusal(message: str) -> gr.Error:
    """A visitor's mistake: a message on the page, a line in the log, no traceback."""
    print('refused:', ' '.join(message.split()), flush=True)
    return gr.Error(message, print_exception=False)


def guarded(component: Any) -> Any:
    """Make a component read uploads only; its errors name no paths.

    Gradio itself reads any path in a handmade request without file metadata, and fetches any
    address.
    """
    read = component.preprocess

    def preprocess(payload: Any) -> Any:
        for path in _paths(payload):
            if not _is_upload(path):
                raise refusal(UNREADABLE)
        try:
            for path in _paths(payload):  # Gradio opens every format that Pillow knows
                open_image(path, MAX_PIXELS).close()
            return read(payload)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise refusal(UNREADABLE) from error

    async def moved(path: Any) -> str | None:
        # before preprocess, Gradio fetches addresses and names the working directory to others
        if path is not None and ('://' in str(path) or not _is_upload(str(path))):
            raise refusal(UNREADABLE)
        return await move(path)

    move = component.async_move_resource_to_block_cache
    component.async_move_resource_to_block_cache = moved
    component.preprocess = preprocess
    return component


def _is_upload(path: str) -> bool:
    return Path(path).resolve().is_relative_to(Path(get_upload_folder()).resolve())


class NoRedirections:
    """ASGI middleware: Gradio's file route sends visitors to any address in its path."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer 404 to a path with an address in it."""
        path = scope.get('path', '')
        if scope['type'] == 'http' and '/file=' in path and re.search(r'file=\W*\w+:/', path):
            await PlainTextResponse('no such file', 404)(scope, receive, send)
        else:
            await self.app(scope, receive, send)


def _paths(payload: Any) -> Iterator[str]:
    """Every path in the payload of a request."""
    if isinstance(payload, BaseModel):
        payload = payload.model_dump()
    if isinstance(payload, dict):
        if payload.get('path') is not None:
            yield str(payload['path'])
        payload = list(payload.values())
    if isinstance(payload, list | tuple):
        for part in payload:
            yield from _paths(part)


def read_upload(path: str | None) -> np.ndarray:
    """An upload as uint8 (H, W, 3); errors name no path."""
    if not path:
        raise refusal('Upload an image first.')
    try:
        return read_image(path, MAX_PIXELS)
    except OSError as error:
        raise refusal(UNREADABLE) from error


def brush_mask(layers: Sequence[str | None], size: tuple[int, int]) -> np.ndarray:
    """The painted area, bool (H, W)."""
    painted = np.zeros(size, dtype=bool)
    for path in layers:
        if path:
            with open_image(path, MAX_PIXELS) as layer:
                alpha = layer.convert('RGBA').getchannel('A').resize((size[1], size[0]))
            painted |= np.asarray(alpha) > 0
    return painted
