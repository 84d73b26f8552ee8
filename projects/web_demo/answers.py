"""What the page answers, as functions of what a visitor types and uploads."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TooLate
from html import escape
from pathlib import Path
from threading import Semaphore, Thread
from typing import Any, get_args

import gradio as gr
import numpy as np
from PIL import Image

from mvlt.apis import (
    CategoryInferencer,
    ImageCompletionInferencer,
    ImageToTextRetrievalInferencer,
    TextToImageRetrievalInferencer,
)
from mvlt.apis.base import PairInferencer
from mvlt.apis.completion import Style
from mvlt.checkpoints.opening import OpenedModel, open_model
from mvlt.config import load_config
from mvlt.deadline import within
from mvlt.engine import resolve
from mvlt.registry import DATASETS
from mvlt.retrieval.records import Source
from projects.web_demo.shop import Shop
from projects.web_demo.uploads import brushed, picture_of, refusal

MAX_WORDS = 200  # characters of a query or title
SECONDS = 30  # that a request may take
AT_ONCE = 2
SHOWN = 12
ALL = 'all'
BRUSH = 'brush'
NOTHING = 'Type a word or upload a picture.'


class Page:
    """What the page can do, as functions of what a visitor types and uploads.

    Args:
        models: published folders; the first with a head serves what needs it.
        catalogue: table, folder of pictures, config or dataset.
        cache_dir: see the retrieval inferencers.
        seconds: after which a request is answered with a refusal.
        index: place of the search index (:func:`mvlt.retrieval.index.open_index`); None = in
            ``cache_dir``. Models without towers have none: they search as the paper does.
    """

    def __init__(
        self,
        models: Sequence[str | Path],
        catalogue: Any,
        cache_dir: str | Path | None = None,
        seconds: float = SECONDS,
        index: str | Path | None = None,
    ) -> None:
        self.seconds = seconds
        self.places = Semaphore(AT_ONCE)
        gallery = open_gallery(catalogue)
        opened = [open_model(model) for model in models]
        self.caption_in: Any = None
        self.shop = _shop(opened, gallery, index, cache_dir)
        self.search_in: Any = None
        if self.shop is None:
            self.search_in = _first(opened, TextToImageRetrievalInferencer, cache_dir=cache_dir)
            records = self.search_in and self.search_in.read(gallery).records
        else:
            records = self.shop.records
        if records and records.captions(1):
            self.caption_in = _first(opened, ImageToTextRetrievalInferencer, cache_dir=cache_dir)
            self.caption_in.read(gallery)
        # columns by which a search can be narrowed, and what stands in them
        self.filters: dict[str, list[str]] = {}
        if self.shop is not None:
            self.filters = self.shop.names
        elif self.search_in is not None:
            levels = self.search_in.labels.items()
            self.filters = {level: sorted(names) for level, (names, _) in levels}
        self.recognise: Any = _first(opened, CategoryInferencer)
        self.complete_with: Any = _first(opened, ImageCompletionInferencer)

    def search(
        self,
        words: str,
        path: str | None = None,
        low: float | None = None,
        high: float | None = None,
        once: bool = False,
        *chosen: str,
        like: str | None = None,
    ) -> tuple[list, str, list[str]]:
        """Pictures with captions, a line of what was found, and the products' ids.

        Args:
            words: '' = none.
            path: an uploaded picture that they should look like.
            low, high: of the price.
            once: look-alikes are one.
            chosen: a name, or 'all', for each of :attr:`filters`.
            like: id of a product that they should look like.
        """
        words = _text(words)
        picture = picture_of(path) if path else None
        if not words and picture is None and like is None:
            raise refusal('Type a word at least.' if self.shop is None else NOTHING)
        where = {name: one for name, one in zip(self.filters, chosen) if one and one != ALL}

        def ask() -> tuple[list, int, list[str]]:
            if self.shop is not None:
                # an empty field of the page is 0
                prices = (low or None, high or None)
                found = self.shop.find(words, picture, like, where, prices, SHOWN, once)
                drawn = [(self.shop.picture(one), one) for one in found]
                total = len(self.shop.records)
            else:
                (found,) = self.search_in(words, topk=SHOWN, where=where)
                drawn = [(self._picture(one), one) for one in found]
                total = len(self.search_in.records)
            drawn = [(image, one) for image, one in drawn if image is not None]
            cards = [(i, f'{one["score"]:.2f}  {one.get("caption") or ""}') for i, one in drawn]
            return cards, total, [str(one.get('product_id', '')) for _, one in drawn]

        cards, total, ids = self._within_time(ask)
        said = f'{len(cards)} of {total} pictures'
        return cards, said if cards else 'Nothing of these categories.', ids

    def captions(self, path: str | None) -> str:
        """Captions of the catalogue for a picture, best first, as HTML."""
        (found,) = self._within_time(self.caption_in, [picture_of(path)], topk=10)
        return ''.join(
            f'<div class="caption"><b>{one["score"]:.2f}</b> {escape(one["caption"])}'
            f'<div style="width: {max(one["score"], 0):.0%}"></div></div>'
            for one in found
        )

    def categories(self, path: str | None, title: str) -> list[dict[str, float]]:
        """Names and probabilities, a dict a level."""
        (found,) = self._within_time(self.recognise, [picture_of(path)], _text(title))
        return [{one['name']: one['probability'] for one in names} for names in found.values()]

    def complete(self, drawn: dict | None, title: str, style: str, ratio: float) -> list:
        """What the model saw, and the completed picture."""
        if not drawn or drawn.get('background') is None:
            raise refusal('Upload a picture first.')
        picture = picture_of(drawn['background'])
        mask: Any = style
        if style == BRUSH:
            mask = brushed(drawn['layers'], picture.shape[:2])
            if not mask.any():
                raise refusal('Paint over what is to be completed, or choose another style.')
        elif style not in get_args(Style):
            raise refusal('No such style.')
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
        """What ``ask`` answers, or a refusal after ``seconds``, those that it waits included."""
        until = time.monotonic() + self.seconds
        future: Future = Future()

        def work() -> None:
            try:
                with within(until - time.monotonic()):
                    future.set_result(ask(*args, **kwargs))
            except BaseException as error:
                future.set_exception(error)

        try:
            if not self.places.acquire(timeout=self.seconds):
                raise TooLate
            try:  # a thread of its own: one that hangs keeps no place
                Thread(target=work, daemon=True).start()
                return future.result(max(0.0, until - time.monotonic()))
            finally:
                self.places.release()
        except (TooLate, TimeoutError) as error:
            raise refusal(f'No answer within {self.seconds:g} seconds; try again.') from error
        except ValueError as error:  # of what was asked, in words
            raise refusal(str(error)) from error
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
        config = resolve(load_config(catalogue), 'data')
        return DATASETS.build(dict(config.test_dataloader.dataset, pipeline=[]))
    return catalogue


def _first(models: Sequence[OpenedModel], kind: type[PairInferencer], **kwargs: Any) -> Any:
    """An inferencer of the first model that has what it needs."""
    for model in models:
        try:
            kind.heads_of(model.description)
        except ValueError:
            continue
        return kind(model=model, show_progress=False, **kwargs)
    return None


def _shop(
    models: Sequence[OpenedModel], gallery: Source, index: Any, cache_dir: str | Path | None
) -> Shop | None:
    """Search by an index, where a model has towers."""
    model = next((model for model in models if model.description.that_give('embedding')), None)
    return None if model is None else Shop(model, gallery, index, cache_dir)


def _text(words: str | None) -> str:
    return (words or '').strip()[:MAX_WORDS]
