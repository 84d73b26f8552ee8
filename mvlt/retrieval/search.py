"""The only search: texts, images, products and their sums, over an index.

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
from mvlt.datasets.inputs import Pictures, list_pictures, to_array
from mvlt.deadline import within
from mvlt.files import file_sha256
from mvlt.retrieval.embedder import Embedder
from mvlt.retrieval.index import Index, IndexDescription, Where, default_location, open_index
from mvlt.retrieval.index.base import check_id
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

# measured by tools/analysis_tools/query_weights.py: docs/benchmarks/2026-11-28-search.md
IMAGE_WEIGHT = 0.5  # of images beside a text
NEGATIVE_WEIGHT = 0.5


class Search(Embedder):
    """A model and an index of a gallery: images, or texts, that match a query.

    Loops, inferencers, page and service rank by the same code, so evaluation measures what search
    returns. A model without embeddings (the paper's) finds all rows alike; its matching head then
    scores every row of the gallery, exactly and slowly.

    Args:
        model: what :func:`mvlt.checkpoints.open_model` takes, or an opened model.
        index: a folder, a Milvus address, 'memory' or an opened index
            (:func:`mvlt.retrieval.index.open_index`); None = the default place of the catalogue
            that is built (:func:`mvlt.retrieval.index.default_location`).
        images: the folder that the index's ``img_path`` start from; :meth:`build` sets it.
        texts: the index holds texts, which images are compared with; else it holds images.
        device: 'cpu', 'cuda', ...; None = a GPU if there is one.
        dtype: 'bfloat16' computes under autocast.
        batch_size: images or texts at once.
        show_progress: a bar while an index is built.

    Raises:
        FileNotFoundError, ValueError: no such model, one that neither embeds nor matches, an index
            of another model.
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
        self._index: Index | None = None
        if isinstance(index, Index):
            self._index = self._checked(index)

    @property
    def records(self) -> Records | None:
        """The gallery that was built last."""
        return self.row_images.records

    @property
    def images(self) -> Path | None:
        """The folder that ``img_path`` of rows start from."""
        return self.row_images.folder

    @property
    def index(self) -> Index:
        """The index, opened when it is first needed.

        Raises:
            FileNotFoundError, ValueError: there is none, or it is another model's.
        """
        if self._index is None:
            if self.location is None:
                raise FileNotFoundError('no index yet: build(CATALOGUE) makes one')
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

    def build(self, gallery: Source) -> Update:
        """Make the index of a gallery, or update it to what the gallery holds now.

        Args:
            gallery: see :class:`mvlt.retrieval.records.Records`.

        Raises:
            FileNotFoundError, KeyError, ValueError: no such gallery, a wrong row or cell; another
                process writes to the index.
            OSError: nothing in it can be read.
        """
        records = Records(gallery, self.texts, all_columns=True)
        if self.location is None:
            self.location = default_location(gallery, self.fingerprint)
        if self.location == 'memory':
            self._index = None  # an earlier gallery may have other columns
        if not is_main_process():
            barrier()  # of several processes the first one makes the index
        try:
            columns = Columns(records, self.index.description.columns)
        except FileNotFoundError:  # none yet
            columns = Columns(records)
            dims = self.embed_texts([torch.tensor([self.tokenizer.sep_id])]).shape[1]
            description = IndexDescription(self.fingerprint, dims, columns.kinds)
            assert not isinstance(self.location, Index)
            self._index = open_index(self.location, description)
        if is_main_process():
            barrier()
        self.row_images.records = records
        with self.index.writing() if is_main_process() else nullcontext():
            update = update_index(self.index, columns, self._reader(records), self._track)
        if update.unreadable and not self.count():
            raise OSError(f'{gallery}: nothing can be read; first: {update.first_unreadable}')
        return update

    def _reader(self, records: Records) -> RowReader:
        if self.texts:
            return RowReader(
                lambda row: hashlib.sha256(_caption(records, row).encode()).hexdigest(),
                lambda row: self.tokens([_caption(records, row)])[0],
                self.embed_texts,
            )

        def hash_(row: int) -> str:
            path = records.path(row)
            return file_sha256(path) if path is not None else array_hash(records.read(row))

        return RowReader(hash_, lambda row: self.pixels(records.read(row)), self.embed_images)

    def __call__(
        self,
        text: str | None = None,
        images: Pictures | None = None,
        products: Sequence[str] = (),
        negative_query: str | None = None,
        topk: int = 10,
        where: Where | None = None,
        rerank: Rerank | None = None,
        rerank_topk: int = 50,
        dedup_threshold: float | None = None,
        timeout: float | None = None,
    ) -> list[dict[str, Any]]:
        """The best products, best first, one row each: its best image, or its text.

        Args:
            text: what it should be.
            images: what it should look like: an image or several.
            products: ids of products that it should look like; they are not returned.
            negative_query: text for what it should not be.
            topk: products at most.
            where: which products may be returned (:mod:`mvlt.retrieval.index.filters`).
            rerank: None, by embeddings alone; 'itm', the ``rerank_topk`` best again by the matching
                head; 'sum', by both (:mod:`mvlt.retrieval.ranking`). A model without embeddings
                takes 'itm' for None.
            rerank_topk: products that the matching head reads, ``topk`` at least.
            dedup_threshold: products whose similarity is at least so high, -1 to 1, become one row,
                the ids of the others in its ``duplicates``; None = no deduplication.
            timeout: seconds for reranking, after which the order without it is returned.

        Returns:
            Dicts of ``product_id``, ``image_index``, ``score``, the index's columns, and after
            reranking ``itm_score``. ``score`` is what rows are ordered by: the cosine, -1 to 1;
            after reranking a probability, 0 to 1.

        Raises:
            ValueError: an empty query, no known word, an unknown product, column or value.
        """
        listed = None if images is None else list_pictures(images)
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
    ) -> list[dict[str, Any]]:
        """As :meth:`__call__`, for a query that is embedded already, float (D,).

        ``text`` and ``images`` are what the matching head reads; ``exclude`` are product ids.
        ``rerank_topk=None`` reranks all.
        """
        for name, value in dict(topk=topk, rerank_topk=rerank_topk).items():
            _check_count(name, value)
        if self.encoder is None:
            rerank, rerank_topk = rerank or 'itm', None
        check_rerank(rerank, self.encoder is not None)
        if rerank is None:
            return self._nearest(embedding, topk, where, exclude, dedup_threshold)
        if not self.matches:
            raise ValueError(
                f"rerank='{rerank}' needs a model with a matching head (itm); use None"
            )
        if len(images or ()) != 1 if self.texts else not text:
            what = 'one image' if self.texts else 'a text'
            raise ValueError(f"rerank='{rerank}', the matching head's, needs {what}")
        count = self.count(where) if rerank_topk is None else max(topk, rerank_topk)
        rows = self._nearest(embedding, max(1, count), where, exclude, dedup_threshold)
        try:
            with within(np.inf if timeout is None else timeout):
                rows = self._reranked(rows, text, images, rerank)
        except TimeoutError:
            pass
        return rows[:topk]

    def embed_query(
        self,
        text: str | None = None,
        images: Pictures | None = None,
        products: Sequence[str] = (),
        negative_query: str | None = None,
    ) -> np.ndarray:
        """The query's embedding, float32 (D,) of length 1: text + 0.5 images - 0.5 negative."""
        looks = []
        if images is not None:
            pixels = [
                self.pixels(to_array(image, i)) for i, image in enumerate(list_pictures(images))
            ]
            looks += list(self.embed_images(pixels))
        if products:
            looks += self._stored(products)
        if not looks and not text:
            raise ValueError('empty query: give a text, an image or a product')
        query = np.zeros(self.index.description.dims, np.float32)
        if looks:
            query += (IMAGE_WEIGHT if text else 1) * _unit(np.sum(looks, 0))
        if text:
            query += self.text_embeds([text])[0]
        if negative_query:
            query -= NEGATIVE_WEIGHT * self.text_embeds([negative_query])[0]
        return _unit(query)

    def upsert(
        self,
        product_id: str,
        images: Pictures,
        paths: Sequence[str | None] | None = None,
        **values: Any,
    ) -> None:
        """Add a product or replace it, all its images.

        Args:
            product_id: 1 to 200 characters.
            images: its images.
            paths: where they lie below :attr:`images`; None = nowhere.
            values: of the index's columns; missing ones are unknown.

        Raises:
            OSError, ValueError: an image cannot be read, a column is unknown, a value wrong.
        """
        check_id(product_id)
        listed = list_pictures(images)
        arrays = [to_array(image, i) for i, image in enumerate(listed)]
        hashes = [
            file_sha256(image) if isinstance(image, str | Path) else array_hash(array)
            for image, array in zip(listed, arrays)
        ]
        embeds = self.embed_images([self.pixels(array) for array in arrays])
        upsert_product(self.index, product_id, embeds, hashes, paths, values)

    def delete(self, product_ids: Sequence[str]) -> int:
        """Delete products; returns how many there were."""
        return self.index.delete(product_ids)

    def count(self, where: Where | None = None) -> int:
        """Rows that a filter lets through."""
        return self.index.count(where)

    def read_image(self, row: dict[str, Any]) -> np.ndarray:
        """The image of a row that a search returned, uint8 (H, W, 3).

        Raises:
            OSError: it cannot be read.
        """
        return self.row_images.read(row)

    def _nearest(
        self,
        embedding: np.ndarray,
        count: int,
        where: Where | None,
        exclude: Sequence[str],
        dedup_threshold: float | None,
    ) -> list[dict[str, Any]]:
        """The most similar ``count`` products, or of a text index the captions, one row each."""
        key = 'caption' if self.texts else 'product_id'
        wanted = count + len(exclude) + 10
        while True:
            rows = self.index.search(embedding, wanted, where).to_pylist()
            best: dict[str, dict[str, Any]] = {}
            for row in rows:
                row['score'] = row.pop('similarity')
                if row['product_id'] not in exclude:
                    best.setdefault(row[key], row)
            distinct = list(best.values())
            if dedup_threshold is not None:
                distinct = self._deduplicated(distinct, dedup_threshold)
            if len(distinct) >= count or len(rows) < wanted:
                return distinct[:count]
            wanted *= 4

    def _deduplicated(self, rows: list[dict[str, Any]], threshold: float) -> list[dict[str, Any]]:
        """Near duplicates become one row, the best."""
        if not rows:
            return rows
        stored = self.index.fetch([row['product_id'] for row in rows]).to_pylist()
        vectors = {(row['product_id'], row['image_index']): row['vector'] for row in stored}
        embeds = np.array([vectors[r['product_id'], r['image_index']] for r in rows], np.float32)
        kept = np.empty(0, int)
        for i, row in enumerate(rows):
            alike = np.flatnonzero(embeds[kept] @ embeds[i] >= threshold)
            if len(alike):
                rows[kept[alike[0]]].setdefault('duplicates', []).append(row['product_id'])
            else:
                kept = np.append(kept, i)
        return [rows[i] for i in kept]

    def _reranked(
        self,
        rows: list[dict[str, Any]],
        text: str | None,
        images: Sequence[Any] | None,
        rerank: Rerank,
    ) -> list[dict[str, Any]]:
        """In the matching head's order; rows whose image cannot be read come last."""
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
        first = ranking.first(len(rows)).tolist()
        for i in first:
            rows[i]['itm_score'] = float(expit(np.float64(ranking.itm_logits[i])))
            rows[i]['score'] = float(expit(ranking.scores[i]))
        kept = set(first)
        return [rows[i] for i in first] + [row for i, row in enumerate(rows) if i not in kept]

    def _stored(self, product_ids: Sequence[str]) -> list[np.ndarray]:
        rows = self.index.fetch(product_ids)
        stored = rows['product_id'].to_pylist()
        for product_id in product_ids:
            if product_id not in stored:
                raise ValueError(f"no product '{product_id:.60}' in the index")
        vectors = np.asarray(rows['vector'].combine_chunks().flatten()).reshape(len(rows), -1)
        masks = [[p == product_id for p in stored] for product_id in product_ids]
        return [_unit(vectors[mask].sum(0)) for mask in masks]

    def _track(self, steps: Iterable, total: int) -> Iterable:
        if not self.show_progress or total < 2:
            return steps
        return track(steps, 'indexing', total=total)


def _caption(records: Records, row: int) -> str:
    """A row's text; an empty one is skipped as an image that cannot be read is."""
    caption = records.caption(row)
    if not caption:
        raise OSError(f'row {row}: no caption')
    return caption


def _check_count(name: str, value: Any) -> None:
    if value is None and name == 'rerank_topk':
        return
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < 1:
        raise ValueError(f'{name}={value!r}; give a whole number of 1 or more')


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / max(float(np.linalg.norm(vector)), 1e-12)
