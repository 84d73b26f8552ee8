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

from mvlt.apis import (
    CategoryInferencer,
    ImageCompletionInferencer,
    ImageToTextRetrievalInferencer,
)
from mvlt.apis.base import PairInferencer
from mvlt.apis.completion import Style
from mvlt.checkpoints.loading import OpenedModel, open_model
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
NO_TEXT = 'Type a word at least.'


class Page:
    """What the page can do, as functions of what a visitor types and uploads.

    Args:
        models: published folders; the first with a head serves what needs it.
        catalogue: table, folder of pictures, config or dataset.
        seconds: after which a request is answered with a refusal.
        index: place of the search index (:func:`mvlt.retrieval.index.open_index`); None = the
            service's. Models without embeddings have none: they search as the paper does.
    """

    def __init__(
        self,
        models: Sequence[str | Path],
        catalogue: Any,
        seconds: float = SECONDS,
        index: str | Path | None = None,
    ) -> None:
        self.seconds = seconds
        self.places = Semaphore(AT_ONCE)
        gallery = open_gallery(catalogue)
        opened = [open_model(model) for model in models]
        embeds = [model for model in opened if model.description.that_give('embedding')]
        matches = [model for model in opened if model.description.that_give('match')]
        searching = next(iter([*embeds, *matches]), None)
        self.shop = None if searching is None else Shop(searching, gallery, index)
        self.caption_in: Any = None
        if searching is not None and self.shop and self.shop.records.has_captions:
            self.caption_in = ImageToTextRetrievalInferencer(searching, show_progress=False)
            self.caption_in.read(gallery)
        # columns by which a search can be narrowed, and what stands in them
        self.filters = {} if self.shop is None else self.shop.names
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
            raise refusal(NOTHING if self.shop and self.shop.embeds else NO_TEXT)
        where = {name: value for name, value in zip(self.filters, chosen) if value not in ('', ALL)}
        prices = (low or None, high or None)  # an empty field of the page is 0
        shop = self.shop
        assert shop is not None

        def ask() -> tuple[list, list[str]]:
            rows = shop(words, picture, like, where, prices, SHOWN, once)
            shown = [(image, row) for row in rows if (image := shop.image(row)) is not None]
            cards = [(image, f'{row["score"]:.2f}  {row["caption"] or ""}') for image, row in shown]
            return cards, [row['product_id'] for _, row in shown]

        cards, ids = self._within_time(ask)
        summary = f'{len(cards)} of {len(shop.records)} pictures'
        return cards, summary if cards else 'No product fits.', ids

    def captions(self, path: str | None) -> str:
        """Captions of the catalogue for a picture, best first, as HTML."""
        result = self._within_time(self.caption_in, [picture_of(path)], topk=10)
        return ''.join(
            f'<div class="caption"><b>{row["score"]:.2f}</b> {escape(row["caption"])}'
            f'<div style="width: {max(row["score"], 0):.0%}"></div></div>'
            for row in result['predictions'][0]
        )

    def categories(self, path: str | None, title: str) -> list[dict[str, float]]:
        """Names and probabilities, a dict a level."""
        result = self._within_time(self.recognise, [picture_of(path)], _text(title))
        (levels,) = result['predictions']
        return [{one['name']: one['probability'] for one in names} for names in levels.values()]

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
        result = self._within_time(
            self.complete_with,
            [picture],
            _text(title),
            mask=mask,
            ratio=min(max(float(ratio), 0.0), 1.0),
        )
        (completed,) = result['predictions']
        seen = np.where(completed['mask'][..., None], np.uint8(190), picture)
        return [(seen, 'what the model sees'), (completed['image'], 'completed')]

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


def open_gallery(catalogue: Any) -> Source:
    """A table, folder or dataset as it is; the test data of a config."""
    if isinstance(catalogue, str | Path) and str(catalogue).endswith('.py'):
        config = resolve(load_config(catalogue), 'data')
        return DATASETS.build(dict(config.test_dataloader.dataset, pipeline=[]))
    return catalogue


def _first(models: Sequence[OpenedModel], kind: type[PairInferencer]) -> Any:
    """An inferencer of the first model that has what it needs."""
    for model in models:
        try:
            kind.heads_of(model.description)
        except ValueError:
            continue
        return kind(model=model, show_progress=False)
    return None


def _text(words: str | None) -> str:
    return (words or '').strip()[:MAX_WORDS]
