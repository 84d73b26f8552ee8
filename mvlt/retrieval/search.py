"""Search an index by text, images, products or their sum.

Legend: D size of an embedding.
"""

import hashlib
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from mmengine.dist import barrier, is_main_process
from rich.progress import track
from scipy.special import expit

from mvlt.checkpoints.loading import OpenedModel
from mvlt.datasets.inputs import ImageInputs, list_images, to_array
from mvlt.deadline import within
from mvlt.files import file_sha256
from mvlt.retrieval.encoder import Embedder
from mvlt.retrieval.index import Index, IndexDescription, Where, default_location, open_index
from mvlt.retrieval.index.base import Row, check_id, nearest_rows, product_embeds, unit
from mvlt.retrieval.indexing import (
    Columns,
    RowReader,
    Update,
    array_hash,
    update_index,
    upsert_product,
)
from mvlt.retrieval.ranking import Rerank, check_rerank, rank
from mvlt.retrieval.records import Records, Source
from mvlt.retrieval.row_images import RowImages

# measured with tools/analysis_tools/query_weights.py: docs/benchmarks/2026-11-28-search.md
IMAGE_WEIGHT = 0.5  # of images beside a text
NEGATIVE_WEIGHT = 0.5


class Search(Embedder):
    """A model and an index of a gallery of images, or of texts.

    Evaluation and search use the same ranking. A model without embeddings (the paper's) scores
    every row of the gallery with its matching head, exactly and slowly.

    Args:
        model: source for :func:`mvlt.checkpoints.open_model`, or an opened model.
        index: location for :func:`mvlt.retrieval.index.open_index`, or an opened index; None = the
            catalogue's :func:`mvlt.retrieval.index.default_location`.
        images: root folder of the index's ``img_path``; :meth:`build` sets it.
        texts: the index holds texts, for image queries; else images, for text queries.
        device: 'cpu', 'cuda', ...; None = a GPU if there is one.
        dtype: 'bfloat16' computes under autocast.
        batch_size: images or texts of a batch.
        show_progress: show a bar while :meth:`build` runs.

    Raises:
        FileNotFoundError, ValueError: no such model, a model without embedding or matching head,
            an index of another model.
    """

    def __init__(
        self,
        model: str | Path | OpenedModel,
        index: str | Path | Index | None = None,
        images: str | Path | None = None,
        texts: bool = False,
        device: str | None = None,
        dtype: Literal['float32', 'bfloat16'] = 'float32',
        batch_size: int = 64,
        show_progress: bool = True,
    ) -> None:
        super().__init__(model, texts, device, dtype, batch_size)
        self.texts = texts
        self.row_images = RowImages(self.pixels, images)
        self.show_progress = show_progress
        self.location = index
        self._is_default = index is None
        self._index: Index | None = None
        if isinstance(index, Index):
            self._index = self._checked(index)

    @property
    def records(self) -> Records | None:
        """The gallery of the last :meth:`build`."""
        return self.row_images.records

    @property
    def images(self) -> Path | None:
        """Root folder of the rows' ``img_path``."""
        return self.row_images.folder

    @property
    def index(self) -> Index:
        """The index, opened on first use.

        Raises:
            FileNotFoundError, ValueError: no index yet, or an index of another model.
        """
        if self._index is None:
            if self.location is None:
                raise FileNotFoundError('no index yet: call build(CATALOGUE)')
            assert not isinstance(self.location, Index)
            self._index = self._checked(open_index(self.location))
        return self._index

    def _checked(self, index: Index) -> Index:
        if index.description.model != self.fingerprint:
            raise ValueError(
                f'{index.location}: an index of another model; open it with that model, or build a '
                'new one in an empty folder'
            )
        return index

    def build(self, gallery: Source, max_deleted: float = 0.5) -> Update:
        """Build or update the index of a gallery.

        Args:
            gallery: see :class:`mvlt.retrieval.records.Records`.
            max_deleted: refuse to delete a larger share of the products, 0 to 1, since an export
                may be cut off; 20 products always may be deleted.

        Raises:
            FileNotFoundError, KeyError, ValueError: no such gallery, a wrong row or cell; another
                process writes to the index; too many products are missing.
            OSError: no row can be read.
        """
        records = Records(gallery, self.texts, all_columns=True)
        if self._is_default:
            self.location = default_location(gallery, self.fingerprint)
        if self._is_default or self.location == 'memory':
            self._index = None  # that of an earlier gallery
        if not is_main_process():
            barrier()  # the main process creates the index
        try:
            columns = Columns(records, self.index.description.columns)
        except FileNotFoundError:
            columns = Columns(records)
            dims = self.embed_texts([torch.tensor([self.tokenizer.sep_id])]).shape[1]
            description = IndexDescription(self.fingerprint, dims, columns.kinds)
            assert isinstance(self.location, str | Path)
            self._index = open_index(self.location, description)
        if is_main_process():
            barrier()
        self.row_images.records = records
        with self.index.writing() if is_main_process() else nullcontext():
            update = update_index(
                self.index, columns, self._reader(records), self._track, max_deleted=max_deleted
            )
        if update.unreadable and not self.count():
            raise OSError(f'{gallery}: nothing can be read; first: {update.first_unreadable}')
        return update

    def _reader(self, records: Records) -> RowReader:
        if self.texts:
            return RowReader(
                lambda row: hashlib.sha256(_caption(records, row).encode()).hexdigest(),
                lambda row: self._known_tokens(_caption(records, row)),
                self.embed_texts,
            )

        def hash_image(row: int) -> str:
            path = records.path(row)
            return file_sha256(path) if path is not None else array_hash(records.read(row))

        return RowReader(hash_image, lambda row: self.pixels(records.read(row)), self.embed_images)

    def _known_tokens(self, caption: str) -> torch.Tensor:
        """Token ids; a caption without a known word is skipped: nothing is like it."""
        (token_ids,) = self.tokens([caption])
        if not self.knows(token_ids):
            raise OSError(f"'{caption:.60}' has no word that the model knows")
        return token_ids

    def __call__(
        self,
        text: str | None = None,
        images: ImageInputs | None = None,
        products: Sequence[str] = (),
        negative_query: str | None = None,
        topk: int = 10,
        where: Where | None = None,
        rerank: Rerank | None = None,
        rerank_topk: int = 50,
        dedup_threshold: float | None = None,
        timeout: float | None = None,
    ) -> list[Row]:
        """The best products, best first: one row each, of its best image or its text.

        Args:
            text: text query.
            images: image query: one image or several; tensors are results of :meth:`pixels`.
            products: ids of products to look like; they are not returned.
            negative_query: text that products should not match.
            topk: maximal number of products.
            where: a filter (:mod:`mvlt.retrieval.index.filters`).
            rerank: None ranks by embeddings; 'itm' reranks the ``rerank_topk`` best by the matching
                head; 'sum' by both (:mod:`mvlt.retrieval.ranking`). Without embeddings None means
                'itm'.
            rerank_topk: products that the matching head reads, at least ``topk``.
            dedup_threshold: merge products of at least this similarity, -1 to 1, into the best row,
                whose ``duplicates`` lists the other ids; None = no deduplication.
            timeout: seconds for reranking; after them the first ranking is returned.

        Returns:
            Dicts of ``product_id``, ``image_index``, ``score``, the index's columns, and after
            reranking ``itm_score``. ``score`` orders the rows: the cosine, -1 to 1, or after
            reranking a probability, 0 to 1.

        Raises:
            ValueError: an empty query, no known word, an unknown product, column or value.
        """
        listed = None if images is None else list_images(images)
        embedding = self.embed_query(text, listed, products, negative_query)
        return self.ranked(
            embedding, text, listed, topk, where, rerank, rerank_topk, dedup_threshold, timeout,
            exclude=products,
        )  # fmt: skip

    def ranked(
        self,
        embedding: np.ndarray,
        text: str | None = None,
        images: Sequence[Any] | None = None,
        topk: int = 10,
        where: Where | None = None,
        rerank: Rerank | None = None,
        rerank_topk: int | None = 50,
        dedup_threshold: float | None = None,
        timeout: float | None = None,
        exclude: Sequence[str] = (),
    ) -> list[Row]:
        """As :meth:`__call__`, for an embedded query, float (D,).

        The matching head reads ``text`` or ``images``. ``exclude`` are product ids.
        ``rerank_topk=None`` reranks all rows.
        """
        for name, value in dict(topk=topk, rerank_topk=rerank_topk).items():
            _check_count(name, value)
        if self.encoder is None:
            rerank, rerank_topk = rerank or 'itm', None
        check_rerank(rerank, self.encoder is not None)
        distinct = 'caption' if self.texts else 'product_id'
        options = (distinct, where, exclude, dedup_threshold)
        if rerank is None:
            return nearest_rows(self.index, embedding, topk, *options)
        if not self.matches:
            raise ValueError(
                f"rerank='{rerank}' needs a model with a matching head (itm); use None"
            )
        if len(images or ()) != 1 if self.texts else not text:
            query = 'one image' if self.texts else 'a text'
            raise ValueError(f"rerank='{rerank}': the matching head needs {query} as query")
        count = self.count(where) if rerank_topk is None else max(topk, rerank_topk)
        rows = nearest_rows(self.index, embedding, max(1, count), *options)
        try:
            with within(np.inf if timeout is None else timeout):
                rows = self._reranked(rows, text, images, rerank)
        except TimeoutError:
            pass
        return rows[:topk]

    def embed_query(
        self,
        text: str | None = None,
        images: ImageInputs | None = None,
        products: Sequence[str] = (),
        negative_query: str | None = None,
    ) -> np.ndarray:
        """The query's embedding, float32 (D,) of length 1: text + 0.5 images - 0.5 negative."""
        image_embeds: list[np.ndarray] = []
        if images is not None:
            pixels = [
                image if isinstance(image, torch.Tensor) else self.pixels(to_array(image, i))
                for i, image in enumerate(list_images(images))
            ]
            image_embeds += [*self.embed_images(pixels)]
        if products:
            image_embeds += product_embeds(self.index, products)
        if not image_embeds and not text:
            raise ValueError('empty query: give a text, an image or a product')
        query = np.zeros(self.index.description.dims, np.float32)
        if image_embeds:
            query += (IMAGE_WEIGHT if text else 1) * unit(np.sum(image_embeds, 0))
        if text:
            query += self.text_embeds([text])[0]
        if negative_query:
            query -= NEGATIVE_WEIGHT * self.text_embeds([negative_query])[0]
        return unit(query)

    def upsert(
        self,
        product_id: str,
        images: ImageInputs,
        paths: Sequence[str | None] | None = None,
        /,  # a column may have any name
        **values: Any,
    ) -> None:
        """Add or replace a product with all its images.

        Args:
            product_id: 1 to 200 characters.
            images: its images.
            paths: their ``img_path`` below :attr:`images`; None = not files.
            values: of the index's columns; a missing value is unknown.

        Raises:
            OSError, ValueError: an unreadable image, an unknown column, a wrong value.
        """
        if self.texts:
            raise ValueError('an index of texts takes no images: build it from the changed gallery')
        check_id(product_id)
        listed = list_images(images)
        arrays = [to_array(image, i) for i, image in enumerate(listed)]
        hashes = [
            file_sha256(image) if isinstance(image, str | Path) else array_hash(array)
            for image, array in zip(listed, arrays)
        ]
        embeds = self.embed_images([self.pixels(array) for array in arrays])
        upsert_product(self.index, product_id, embeds, hashes, paths, values)

    def delete(self, product_ids: Sequence[str]) -> int:
        """Delete products and return how many existed."""
        return self.index.delete(product_ids)

    def count(self, where: Where | None = None) -> int:
        """Number of rows that pass a filter."""
        return self.index.count(where)

    def read_image(self, row: Row) -> np.ndarray:
        """The image of a returned row, uint8 (H, W, 3); OSError if it is unreadable."""
        return self.row_images.read(row)

    def _reranked(
        self,
        rows: list[Row],
        text: str | None,
        images: Sequence[Any] | None,
        rerank: Rerank,
    ) -> list[Row]:
        """Rows in the order of the matching head; rows with unreadable images come last."""
        if self.texts:
            assert images is not None
            pixels = {0: self.pixels(to_array(images[0]))}
            token_ids = self.tokens([row['caption'] for row in rows])
            candidates = np.arange(len(rows))
        else:
            assert text is not None
            pixels, token_ids = self.row_images.pixels(rows), self.tokens([text])
            candidates = np.array(sorted(pixels), int)

        def match(entries: np.ndarray) -> np.ndarray:
            pairs = np.stack((entries, np.zeros_like(entries)), 1)
            pairs = pairs[:, ::-1] if self.texts else pairs
            return self.scorer.score(pairs, pixels, token_ids)

        ranking = rank(
            candidates,
            len(rows),
            match,
            np.array([row['score'] for row in rows]),
            rerank,
            1.0 if self.encoder is None else self.encoder.logit_scale,
        )
        order = ranking.first(len(rows)).tolist()
        for i in order:
            rows[i]['itm_score'] = float(expit(np.float64(ranking.itm_logits[i])))
            rows[i]['score'] = float(expit(ranking.scores[i]))
        unreadable = sorted(set(range(len(rows))) - set(order))
        return [rows[i] for i in (*order, *unreadable)]

    def _track(self, steps: Iterable, total: int) -> Iterable:
        if not self.show_progress or total < 2:
            return steps
        return track(steps, 'indexing', total=total)


def _caption(records: Records, row: int) -> str:
    """A row's caption; an empty caption is skipped as an unreadable image is."""
    caption = records.caption(row)
    if not caption:
        raise OSError(f'row {row}: no caption')
    return caption


def _check_count(name: str, value: Any) -> None:
    if value is None and name == 'rerank_topk':
        return
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < 1:
        raise ValueError(f'{name}={value!r}; give a whole number of 1 or more')
