"""Answers of the page to what a visitor types and uploads."""

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
from projects.web_demo.uploads import brush_mask, read_upload, refusal

MAX_TEXT = 200  # characters of a query or caption
SECONDS = 30  # time limit of a request
CONCURRENCY = 2  # running requests
TOPK = 12
ALL = 'all'
BRUSH = 'brush'
NO_QUERY = 'Type a text or upload an image.'
NO_TEXT = 'Type a text.'


class Page:
    """Search, captions, categories and completion for the page.

    Args:
        models: published folders; each part uses the first model with its head.
        catalogue: table, folder of images, config or dataset.
        seconds: time limit of a request.
        index: see :func:`mvlt.retrieval.index.open_index`; None = shared with the service. Models
            without embeddings search by the matching head and need no index.
    """

    def __init__(
        self,
        models: Sequence[str | Path],
        catalogue: Any,
        seconds: float = SECONDS,
        index: str | Path | None = None,
    ) -> None:
        self.seconds = seconds
        self.slots = Semaphore(CONCURRENCY)
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
        # column -> its values
        self.filters = {} if self.shop is None else self.shop.names
        self.recognise: Any = _first(opened, CategoryInferencer)
        self.complete_with: Any = _first(opened, ImageCompletionInferencer)

    def search(
        self,
        text: str,
        path: str | None = None,
        low: float | None = None,
        high: float | None = None,
        deduplicate: bool = False,
        *chosen: str,
        like: str | None = None,
    ) -> tuple[list, str, list[str]]:
        """Images with captions, a summary, and the products' ids.

        Args:
            text: '' = none.
            path: an uploaded query image.
            low, high: price range.
            deduplicate: show near-duplicates once.
            chosen: a value, or 'all', for each of :attr:`filters`.
            like: id of a query product.
        """
        text = _text(text)
        if not text and not path and like is None:
            raise refusal(NO_QUERY if self.shop and self.shop.embeds else NO_TEXT)
        where = {name: value for name, value in zip(self.filters, chosen) if value not in ('', ALL)}
        prices = (low or None, high or None)  # an empty field of the page is 0
        shop = self.shop
        assert shop is not None

        def ask() -> tuple[list, list[str]]:
            image = read_upload(path) if path else None
            rows = shop(text, image, like, where, prices, TOPK, deduplicate)
            shown = [(card, row) for row in rows if (card := shop.image(row)) is not None]
            cards = [(card, f'{row["score"]:.2f}  {row["caption"] or ""}') for card, row in shown]
            return cards, [row['product_id'] for _, row in shown]

        cards, ids = self._within_time(ask)
        summary = f'{len(cards)} of {len(shop.records)} images'
        return cards, summary if cards else 'No product matches.', ids

    def captions(self, path: str | None) -> str:
        """The catalogue's captions for an image, best first, as HTML."""
        result = self._within_time(lambda: self.caption_in([read_upload(path)], topk=10))
        return ''.join(
            f'<div class="caption"><b>{row["score"]:.2f}</b> {escape(row["caption"])}'
            f'<div style="width: {max(row["score"], 0):.0%}"></div></div>'
            for row in result['predictions'][0]
        )

    def categories(self, path: str | None, caption: str) -> list[dict[str, float]]:
        """Class -> probability, a dict for each category level."""
        result = self._within_time(lambda: self.recognise([read_upload(path)], _text(caption)))
        (levels,) = result['predictions']
        return [
            {category['name']: category['probability'] for category in names}
            for names in levels.values()
        ]

    def complete(self, painted: dict | None, caption: str, style: str, ratio: float) -> list:
        """The masked image and the completed image."""
        if not painted or painted.get('background') is None:
            raise refusal('Upload an image first.')
        path, layers = painted['background'], painted['layers']
        if style != BRUSH and style not in get_args(Style):
            raise refusal('Unknown mask style.')

        def work() -> Any:
            image = read_upload(path)
            mask: Any = style
            if style == BRUSH:
                mask = brush_mask(layers, image.shape[:2])
                if not mask.any():
                    raise refusal('Paint over the part to complete, or choose another mask.')
            share = min(max(float(ratio), 0.0), 1.0)
            return image, self.complete_with([image], _text(caption), mask=mask, ratio=share)

        image, result = self._within_time(work)
        (completed,) = result['predictions']
        masked = np.where(completed['mask'][..., None], np.uint8(190), image)
        return [(masked, 'input of the model'), (completed['image'], 'completed')]

    def _within_time(self, ask: Callable[[], Any]) -> Any:
        """Call ``ask``; refuse after ``seconds``, waiting included."""
        until = time.monotonic() + self.seconds
        future: Future = Future()

        def work() -> None:
            try:
                with within(until - time.monotonic()):
                    future.set_result(ask())
            except BaseException as error:
                future.set_exception(error)

        try:
            if not self.slots.acquire(timeout=self.seconds):
                raise TooLate
            try:  # in another thread: a hanging request frees its slot
                Thread(target=work, daemon=True).start()
                return future.result(max(0.0, until - time.monotonic()))
            finally:
                self.slots.release()
        except (TooLate, TimeoutError) as error:
            raise refusal(f'No answer within {self.seconds:g} seconds; try again.') from error
        except gr.Error:
            raise
        except ValueError as error:  # the visitor's mistake
            raise refusal(str(error)) from error
        except Exception as error:
            raise gr.Error('Internal error; see the log of the page.') from error


def open_gallery(catalogue: Any) -> Source:
    """The test dataset of a config; a table, folder or dataset as given."""
    if isinstance(catalogue, str | Path) and str(catalogue).endswith('.py'):
        config = resolve(load_config(catalogue), 'data')
        return DATASETS.build(dict(config.test_dataloader.dataset, pipeline=[]))
    return catalogue


def _first(models: Sequence[OpenedModel], kind: type[PairInferencer]) -> Any:
    """An inferencer of the first model with the heads for it."""
    for model in models:
        try:
            kind.heads_of(model.description)
        except ValueError:
            continue
        return kind(model=model, show_progress=False)
    return None


def _text(typed: str | None) -> str:
    return (typed or '').strip()[:MAX_TEXT]
