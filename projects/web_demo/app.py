"""A web page for a model and a catalogue: search, captions, categories, completion.

    python projects/web_demo/app.py --model MY_MODEL --catalogue MY_CATALOGUE/products.csv

Everything stays on this machine: no request leaves it, nobody outside reaches it unless --host says
so. Each part of the page takes the first model that has the head for it; without one it is absent.
"""

import argparse
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooLate
from html import escape
from pathlib import Path
from threading import BoundedSemaphore
from typing import Any, get_args

os.environ['GRADIO_ANALYTICS_ENABLED'] = 'False'
os.environ['HF_HUB_DISABLE_TELEMETRY'] = '1'

import gradio as gr
import numpy as np
import torch
from gradio.utils import get_upload_folder
from PIL import Image
from pydantic import BaseModel

from mvlt.apis import (
    CategoryInferencer,
    ImageCompletionInferencer,
    ImageToTextRetrievalInferencer,
    TextToImageRetrievalInferencer,
)
from mvlt.apis.base import PairInferencer
from mvlt.apis.completion import Style
from mvlt.apis.gallery import Source
from mvlt.datasets.transforms.loading import read_image
from mvlt.engine.command_line import run_command
from mvlt.engine.config import load_config
from mvlt.engine.model_folder import read_model_folder
from mvlt.registry import DATASETS

MAX_MEGABYTES = 8
MAX_PIXELS = 25_000_000
MAX_WORDS = 200  # characters of a query or title
SECONDS = 30  # that a request may take
WAITING = 40  # requests that may wait
AT_ONCE = 2
SHOWN = 12
ALL = 'all'
BRUSH = 'brush'
UNREADABLE = f'This is no picture that can be read, or it has more than {MAX_PIXELS:,} pixels.'
Image.MAX_IMAGE_PIXELS = MAX_PIXELS  # Pillow refuses twice as many before it decodes any

CSS = """
footer {display: none !important}
.gradio-container {width: min(1100px, 100%) !important; margin: auto}
.caption {padding: 6px 0}
.caption div {height: 4px; background: #ec4899; opacity: .5; border-radius: 2px}
"""


class Page:
    """What the page can do, as functions of what a visitor types and uploads.

    Args:
        models: published folders; the first with a head serves what needs it.
        catalogue: table, folder of pictures, config or dataset.
        cache_dir: see the retrieval inferencers.
        seconds: after which a request is answered with a refusal.
    """

    def __init__(
        self,
        models: Sequence[str | Path],
        catalogue: Any,
        cache_dir: str | Path | None = None,
        seconds: float = SECONDS,
    ) -> None:
        self.seconds = seconds
        self.pool = ThreadPoolExecutor(AT_ONCE)
        self.places = BoundedSemaphore(2 * AT_ONCE)
        gallery = open_gallery(catalogue)
        self.search_in: Any = _first(
            models, 'itm_head', TextToImageRetrievalInferencer, gallery=gallery, cache_dir=cache_dir
        )
        has_captions = self.search_in is not None and bool(self.search_in.records.captions()[:1])
        self.caption_in: Any = None
        if has_captions:
            self.caption_in = _first(
                models,
                'itm_head',
                ImageToTextRetrievalInferencer,
                gallery=gallery,
                cache_dir=cache_dir,
            )
        self.recognise: Any = _first(models, 'category_heads', CategoryInferencer)
        self.complete_with: Any = _first(models, 'mir_head', ImageCompletionInferencer)

    def levels(self) -> dict[str, list[str]]:
        """Category names by which a search can be narrowed."""
        if self.search_in is None:
            return {}
        return {level: sorted(names) for level, (names, _) in self.search_in.categories.items()}

    def search(self, words: str, main: str = ALL, sub: str = ALL) -> tuple[list, str]:
        """Pictures with captions for words, and a line of what was found."""
        words = _text(words)
        if not words:
            raise gr.Error('Type a word at least.')
        chosen = dict(main_category=main, sub_category=sub)
        where = {level: name for level, name in chosen.items() if name and name != ALL}

        def ask() -> list[tuple[Image.Image, str]]:
            (found,) = self.search_in(words, topk=SHOWN, where=where)
            return [
                (self._picture(one), f'{one["score"]:.2f}  {one.get("caption", "")}')
                for one in found
            ]

        cards = self._within_time(ask)
        said = f'{len(cards)} of {len(self.search_in.records)} pictures'
        return cards, said if cards else 'Nothing of these categories.'

    def captions(self, path: str | None) -> str:
        """Captions of the catalogue for a picture, best first, as HTML."""
        (found,) = self._within_time(self.caption_in, [_picture_of(path)], topk=10)
        return ''.join(
            f'<div class="caption"><b>{one["score"]:.2f}</b> {escape(one["caption"])}'
            f'<div style="width: {one["score"]:.0%}"></div></div>'
            for one in found
        )

    def categories(self, path: str | None, title: str) -> list[dict[str, float]]:
        """Names and probabilities, a dict a level."""
        (found,) = self._within_time(self.recognise, [_picture_of(path)], _text(title))
        return [{one['name']: one['probability'] for one in names} for names in found.values()]

    def complete(self, drawn: dict | None, title: str, style: str, ratio: float) -> list:
        """What the model saw, and the completed picture."""
        if not drawn or drawn.get('background') is None:
            raise gr.Error('Upload a picture first.')
        picture = _picture_of(drawn['background'])
        mask: Any = style
        if style == BRUSH:
            mask = _brushed(drawn['layers'], picture.shape[:2])
            if not mask.any():
                raise gr.Error('Paint over what is to be completed, or choose another style.')
        elif style not in get_args(Style):
            raise gr.Error('No such style.')
        (found,) = self._within_time(
            self.complete_with,
            [picture],
            _text(title),
            mask=mask,
            ratio=min(max(float(ratio), 0.0), 1.0),
        )
        seen = np.where(found['mask'][..., None], np.uint8(190), picture)
        return [(seen, 'what the model sees'), (found['image'], 'completed')]

    def _within_time(self, ask: Callable, *args: Any, **kwargs: Any) -> Any:
        """What ``ask`` answers, or a refusal after ``seconds`` or while too much still runs."""
        end = time.monotonic() + self.seconds
        if not self.places.acquire(timeout=self.seconds):
            raise gr.Error('Too busy at the moment; try again.')
        future: Future = self.pool.submit(ask, *args, **kwargs)
        future.add_done_callback(lambda _: self.places.release())
        try:
            return future.result(max(0.0, end - time.monotonic()))
        except TooLate as error:
            future.cancel()
            raise gr.Error(f'No answer within {self.seconds:g} seconds; try again.') from error
        except ValueError as error:  # of what was asked, in words
            raise gr.Error(str(error)) from error
        except Exception as error:
            raise gr.Error('This cannot be answered; the log says why.') from error

    def _picture(self, found: dict) -> Image.Image:
        """An entry as it is on the disk, or as the model reads it; small enough to send."""
        try:
            image = Image.fromarray(self.search_in.records.read(found['index']))
        except OSError:
            image = Image.fromarray(self.search_in.picture(found['index']))
        image.thumbnail((320, 320))
        return image


def open_gallery(catalogue: Any) -> Source:
    """A table, folder or dataset as it is; the test data of a config."""
    if isinstance(catalogue, str | Path) and str(catalogue).endswith('.py'):
        config = load_config(catalogue, count=False)
        return DATASETS.build(dict(config.test_dataloader.dataset, pipeline=[]))
    return catalogue


def build(page: Page) -> gr.Blocks:
    """The page: a tab for each thing that its models can do."""
    levels = page.levels()
    with gr.Blocks(title='MVLT', analytics_enabled=False, delete_cache=(3600, 3600)) as blocks:
        gr.Markdown('# MVLT\nWords and pictures of a catalogue, compared by one model.')
        if page.search_in is not None:
            with gr.Tab('Search'):
                with gr.Row():
                    words = gr.Textbox(
                        label='Words', max_length=MAX_WORDS, elem_id='words', scale=3
                    )
                    narrow = [
                        gr.Dropdown(
                            [ALL, *levels.get(level, [])],
                            value=ALL,
                            label=level.replace('_', ' '),
                            visible=level in levels,
                            elem_id=level,
                        )
                        for level in ('main_category', 'sub_category')
                    ]
                go = gr.Button('Search', variant='primary', elem_id='search')
                said = gr.Markdown(elem_id='said')
                found = gr.Gallery(
                    label='Found', columns=4, elem_id='found', object_fit='contain', buttons=[]
                )
                for event in (go.click, words.submit):
                    event(page.search, [words, *narrow], [found, said], api_visibility='private')
        if page.caption_in is not None:
            with gr.Tab('Captions'), gr.Row():
                with gr.Column():
                    shown = _upload('picture')
                    rank = gr.Button('Rank captions', variant='primary', elem_id='rank')
                ranked = gr.HTML(elem_id='ranked')
                rank.click(page.captions, shown, ranked, api_visibility='private')
        if page.recognise is not None:
            with gr.Tab('Categories'), gr.Row():
                with gr.Column():
                    product = _upload('product')
                    title = gr.Textbox(label='Title (if there is one)', max_length=MAX_WORDS)
                    name = gr.Button('Name categories', variant='primary', elem_id='name')
                with gr.Column():
                    bars = [
                        gr.Label(label=level.replace('_', ' '), elem_id=f'bars_{level}')
                        for level in page.recognise.description.categories
                    ]
                name.click(page.categories, [product, title], bars, api_visibility='private')
        if page.complete_with is not None:
            with gr.Tab('Completion'):
                with gr.Row():
                    drawn = _guarded(
                        gr.ImageEditor(
                            type='filepath',
                            image_mode='RGBA',
                            format='png',
                            label='Picture; paint over what is to be completed',
                            sources=['upload', 'clipboard'],
                            transforms=(),
                            brush=gr.Brush(default_size=24, colors=['#b3365b']),
                            layers=False,
                            buttons=[],
                            elem_id='drawn',
                        )
                    )
                    with gr.Column():
                        style = gr.Radio(
                            [BRUSH, *get_args(Style)], value=BRUSH, label='Hide', elem_id='style'
                        )
                        ratio = gr.Slider(
                            0.1, 0.9, 0.5, step=0.1, label='Share (not for the brush)'
                        )
                        caption = gr.Textbox(label='Title (if there is one)', max_length=MAX_WORDS)
                        complete = gr.Button('Complete', variant='primary', elem_id='complete')
                completed = gr.Gallery(
                    label='Completed', columns=2, elem_id='completed', buttons=[]
                )
                complete.click(
                    page.complete,
                    [drawn, caption, style, ratio],
                    completed,
                    api_visibility='private',
                )
    blocks.queue(max_size=WAITING, default_concurrency_limit=AT_ONCE, api_open=False)
    return blocks


def launch(blocks: gr.Blocks, host: str, port: int | None, block: bool = True) -> str:
    """Serve the page until it is stopped; its address if ``block`` is False."""
    local = ('system-ui', 'sans-serif')
    theme = gr.themes.Base(font=local, font_mono=('monospace',), primary_hue='pink')
    _, address, _ = blocks.launch(
        server_name=host,
        server_port=port,
        share=False,
        inbrowser=False,
        prevent_thread_lock=True,
        quiet=True,
        show_error=True,
        max_file_size=MAX_MEGABYTES * gr.FileSize.MB,
        allowed_paths=[],
        enable_monitoring=False,
        ssr_mode=False,
        footer_links=[],
        theme=theme,
        css=CSS,
    )
    print(f'{address} (ctrl-C stops it)', flush=True)
    if block:
        blocks.block_thread()
    return address


def _guarded(component: Any) -> Any:
    """A component that reads uploads only, and refuses without telling where a file lies.

    Gradio itself takes any path that a request made by hand names, if the request leaves out that
    it is a file.
    """
    read = component.preprocess

    def preprocess(payload: Any) -> Any:
        for path in _paths(payload):
            if not Path(path).resolve().is_relative_to(Path(get_upload_folder()).resolve()):
                raise gr.Error(UNREADABLE)
        try:
            return read(payload)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise gr.Error(UNREADABLE) from error

    component.preprocess = preprocess
    return component


def _paths(payload: Any) -> Iterator[str]:
    """Every path in what a request brings."""
    if isinstance(payload, BaseModel):
        payload = payload.model_dump()
    if isinstance(payload, dict):
        if payload.get('path') is not None:
            yield str(payload['path'])
        payload = list(payload.values())
    if isinstance(payload, list | tuple):
        for one in payload:
            yield from _paths(one)


def _upload(name: str) -> gr.Image:
    return _guarded(
        gr.Image(
            type='filepath',
            image_mode=None,
            sources=['upload', 'clipboard'],
            label='Picture',
            elem_id=name,
            buttons=[],
            height=320,
        )
    )


def _first(
    models: Sequence[str | Path], head: str, kind: type[PairInferencer], **kwargs: Any
) -> PairInferencer | None:
    """An inferencer of the first model that has a head."""
    for model in models:
        if read_model_folder(model).description.model.get(head):
            return kind(model=model, show_progress=False, **kwargs)
    return None


def _text(words: str | None) -> str:
    return (words or '').strip()[:MAX_WORDS]


def _picture_of(path: str | None) -> np.ndarray:
    """An upload as uint8 (H, W, 3), or a refusal that does not say where it lies."""
    if not path:
        raise gr.Error('Upload a picture first.')
    try:
        return read_image(path, MAX_PIXELS)
    except OSError as error:
        raise gr.Error(UNREADABLE) from error


def _brushed(layers: Sequence[str | None], size: tuple[int, int]) -> np.ndarray:
    """What was painted over, bool (H, W)."""
    hidden = np.zeros(size, dtype=bool)
    for path in layers:
        if path:
            with Image.open(path) as layer:
                alpha = layer.convert('RGBA').getchannel('A').resize((size[1], size[0]))
            hidden |= np.asarray(alpha) > 0
    return hidden


def main() -> None:
    """Parse, load, serve."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    demo = 'work_dirs/demo/models'
    parser.add_argument(
        '--model',
        nargs='+',
        help='folders of tools/model_converters/publish.py; default: those of make demo',
    )
    parser.add_argument(
        '--catalogue',
        help='CSV, Parquet, a folder of pictures, or a config, whose test data are shown; default: '
        "the demo's",
    )
    parser.add_argument('--host', default='127.0.0.1', help='0.0.0.0 lets other machines in')
    parser.add_argument('--port', type=int, default=7860)
    args = parser.parse_args()
    if bool(args.model) != bool(args.catalogue):
        raise ValueError('--model and --catalogue: give both, or neither for the demo')
    models = args.model or [f'{demo}/pretrained', f'{demo}/recognition']
    for model in models:
        if not Path(model).is_dir():
            raise FileNotFoundError(
                f'{model}: no such model folder; tools/model_converters/publish.py makes one of a '
                "checkpoint, make demo makes the demo's"
            )
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // AT_ONCE))
    page = build(Page(models, args.catalogue or 'configs/demo/retrieval_demo.py'))
    try:
        launch(page, args.host, args.port)
    except OSError as error:
        raise OSError(f'port {args.port} is in use, name another one with --port') from error


if __name__ == '__main__':
    run_command(main)
