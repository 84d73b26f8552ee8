"""Search in an index: for words, pictures, products, and what they have together.

Legend: D size of a vector.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from mmengine.device import get_device
from mmengine.dist import barrier, is_main_process
from rich.progress import track
from scipy.special import expit

from mvlt.apis.base import DType
from mvlt.checkpoints.description import ModelDescription
from mvlt.checkpoints.opening import OpenedModel, open_model
from mvlt.datasets import PackPairInputs, Pipeline
from mvlt.datasets.inputs import Pictures, Texts, list_pictures, list_texts, to_array
from mvlt.deadline import within
from mvlt.files import file_sha256
from mvlt.retrieval.encoder import TowerEncoder
from mvlt.retrieval.index import Index, IndexDescription, Where, open_index
from mvlt.retrieval.index.base import check_id
from mvlt.retrieval.indexing import (
    Columns,
    Embedder,
    Update,
    array_hash,
    cells_hash,
    update_index,
    value_of,
)
from mvlt.retrieval.ranking import rank
from mvlt.retrieval.records import Records, Source
from mvlt.retrieval.scorer import PairScorer

# measured by tools/analysis_tools/query_weights.py: docs/benchmarks/2026-11-28-search.md
PICTURES = 0.5  # weight of pictures beside words
WITHOUT = 0.5  # of the words that are not wanted


class ProductSearch:
    """A model with towers and an index of a catalogue.

    Args:
        model: what :func:`mvlt.checkpoints.open_model` takes, or has opened.
        index: a place (:func:`mvlt.retrieval.index.open_index`) or an opened index; where there is
            none yet, :meth:`build` makes it.
        pictures: the folder below which the index's ``img_path`` lie, for the second stage.
        device: 'cpu', 'cuda', ...; None = a GPU where there is one.
        dtype: 'bfloat16' computes under autocast.
        batch_size: pictures or texts at once.
        show_progress: a bar while an index is built.

    Raises:
        FileNotFoundError, ValueError: no such model, one without towers, an index of another model.
    """

    def __init__(
        self,
        model: str | Path | OpenedModel,
        index: str | Path | Index,
        pictures: str | Path | None = None,
        device: str | None = None,
        dtype: DType = 'float32',
        batch_size: int = 64,
        show_progress: bool = True,
    ) -> None:
        if isinstance(model, OpenedModel):
            opened = model.only(_heads(model.description))
        else:
            opened = open_model(model, None, device or get_device(), _heads)
        self.description = opened.description
        self.vocabulary = opened.vocabulary
        self.pipeline = Pipeline({**opened.transforms, 'pack': PackPairInputs()})
        scorer = PairScorer(opened.model, None, batch_size, None if dtype == 'float32' else dtype)
        self.scorer = scorer
        self.encoder = TowerEncoder(scorer, opened.vocabulary)
        self.matches = opened.model.gives('match')
        self.pictures = Path(pictures) if pictures is not None else None
        self.show_progress = show_progress
        self.fingerprint = _fingerprint(opened)
        self.place = index
        self._index: Index | None = None
        if isinstance(index, Index):
            self._index = self._checked(index)

    @property
    def index(self) -> Index:
        """The index, opened when it is first asked for.

        Raises:
            FileNotFoundError, ValueError: there is none, or it is another model's.
        """
        if self._index is None:
            assert not isinstance(self.place, Index)
            self._index = self._checked(open_index(self.place))
        return self._index

    def _checked(self, index: Index) -> Index:
        if index.description.model != self.fingerprint:
            raise ValueError(
                f'{index.place}: an index of another model; open it with that one, or build it '
                'anew in an empty folder'
            )
        return index

    def build(self, catalogue: Source) -> Update:
        """Make the index of a catalogue, or bring it to what the catalogue says now.

        Args:
            catalogue: table (CSV, Parquet) with its pictures, folder of pictures, list, dataset.

        Raises:
            FileNotFoundError, KeyError, ValueError: no such catalogue, a wrong row or cell;
                another process writes to the index.
        """
        records = Records(catalogue, all_columns=True)
        if not is_main_process():
            barrier()  # of several processes the first one makes the index
        try:
            columns = Columns(records, self.index.description.columns)
        except FileNotFoundError:
            columns = Columns(records)
            dims = len(self.encoder.texts([torch.tensor([self.vocabulary.sep_id])])[0])
            description = IndexDescription(self.fingerprint, dims, columns.kinds)
            assert not isinstance(self.place, Index)
            self._index = open_index(self.place, description)
        if is_main_process():
            barrier()
        self.pictures = self.pictures or records.root
        embedder = Embedder(self.pixels, self.encoder.images)
        with self.index.writing() if is_main_process() else nullcontext():
            return update_index(self.index, records, columns, embedder, self._track)

    def __call__(
        self,
        words: str | None = None,
        images: Pictures | None = None,
        products: Sequence[str] = (),
        without: str | None = None,
        topk: int = 10,
        where: Where | None = None,
        order: Literal['vectors', 'both', 'matching'] = 'vectors',
        shortlist: int = 50,
        seconds: float | None = None,
        fold: float | None = None,
    ) -> list[dict[str, Any]]:
        """The best products, best first; one entry a product, that of its best picture.

        Args:
            words: what it should be.
            images: what it should look like: a picture or several.
            products: ids of products that it should look like; they are not found themselves.
            without: words for what it should not be.
            topk: products at most.
            where: which may be found (:mod:`mvlt.retrieval.index.filters`).
            order: 'vectors' alone; 'both', 'matching': the matching head orders the ``shortlist``
                for ``words``.
            shortlist: products that it reads, ``topk`` at least.
            seconds: it has at most so many, else 'vectors' order.
            fold: products whose pictures are that similar, -1 to 1, become one entry, the others'
                ids in its ``also``; None = none do.

        Returns:
            Dicts of ``product_id``, ``view``, ``score`` (the cosine; by the matching head a
            probability), ``match_score`` where it was asked, and the index's columns.

        Raises:
            ValueError: nothing is asked, no known word, an unknown product or filter.
        """
        if topk < 1 or shortlist < 1:
            raise ValueError(f'topk={topk}, shortlist={shortlist}: one at least')
        query = self.query(words, images, products, without)
        if order != 'vectors' and not (self.matches and words):
            raise ValueError(
                f"order='{order}' needs words and a model with head itm; use 'vectors'"
            )
        count = topk if order == 'vectors' else max(topk, shortlist)
        found = self._distinct(query, count, where, set(products), fold)
        if order != 'vectors' and words:
            try:
                with within(np.inf if seconds is None else seconds):
                    found = self._matched(found, words, order)
            except TimeoutError:
                pass
        return found[:topk]

    def query(
        self,
        words: str | None = None,
        images: Pictures | None = None,
        products: Sequence[str] = (),
        without: str | None = None,
    ) -> np.ndarray:
        """The vector, float32 (D,) of length 1, that :meth:`__call__` asks the index for."""
        looks = []
        if images is not None:
            pixels = [self.pixels(to_array(one)) for one in list_pictures(images)]
            looks += list(self.embed_images(pixels))
        if products:
            looks += self._stored(products)
        found = np.zeros(self.index.description.dims, np.float32)
        if looks:
            found += (PICTURES if words else 1) * _unit(np.sum(looks, 0))
        if words:
            found += self.text_vectors([words])[0]
        if not looks and not words:
            raise ValueError('nothing is asked: give words, a picture or a product')
        if without:
            found -= WITHOUT * self.text_vectors([without])[0]
        return _unit(found)

    def text_vectors(self, texts: Texts) -> np.ndarray:
        """Float32 (n, D) of length 1.

        Raises:
            ValueError: a text without a word that the model knows.
        """
        listed = list_texts(texts)
        length = self.pipeline.tokenize().max_len
        ids = [torch.tensor(self.vocabulary.encode(text, length)) for text in listed]
        special = {*self.vocabulary.special_ids}
        for text, one in zip(listed, ids):
            if special.issuperset(one.tolist()):
                raise ValueError(
                    f"'{text:.60}' has no word that the model knows: give one at least"
                )
        return self.embed_texts(ids)

    def embed_texts(self, token_ids: Sequence[torch.Tensor]) -> np.ndarray:
        """Int64 (T,) each -> float32 (n, D) of length 1; what a service batches."""
        return self.encoder.texts(token_ids) / self.encoder.scale

    def embed_images(self, pixels: Sequence[torch.Tensor]) -> np.ndarray:
        """As the model reads them, uint8 (3, S, S) each -> float32 (n, D) of length 1."""
        return self.encoder.images(pixels)

    def upsert(
        self,
        product_id: str,
        images: Pictures,
        paths: Sequence[str | None] | None = None,
        **values: Any,
    ) -> None:
        """Add a product or replace it, all its pictures.

        Args:
            product_id: 1 to 200 characters.
            images: its pictures.
            paths: where they lie below :attr:`pictures`; None = nowhere.
            values: of the index's columns; what is left out is unknown.

        Raises:
            OSError, ValueError: a picture cannot be read, a column is unknown, a value wrong.
        """
        check_id(product_id)
        kinds = self.index.description.columns
        if unknown := set(values) - set(kinds):
            raise ValueError(f'no column {", ".join(sorted(unknown))}; legal: {", ".join(kinds)}')
        listed = list_pictures(images)
        arrays = [to_array(one, i) for i, one in enumerate(listed)]
        vectors = self.embed_images([self.pixels(one) for one in arrays])
        cells = {
            name: value_of(one, kind, name) if isinstance(one := values.get(name), str) else one
            for name, kind in kinds.items()
        }
        rows = [dict(cells, img_path=path) for path in paths or [None] * len(listed)]
        content = [
            file_sha256(one) if isinstance(one, str | Path) else array_hash(array)
            for one, array in zip(listed, arrays)
        ]
        self.index.upsert(
            self.index.rows(
                vectors,
                {name: [row[name] for row in rows] for name in kinds},
                product_id=[product_id] * len(rows),
                view=range(len(rows)),
                content=content,
                cells=[cells_hash(row) for row in rows],
            )
        )

    def delete(self, product_ids: Sequence[str]) -> int:
        """Delete products; how many there were."""
        return self.index.delete(product_ids)

    def count(self, where: Where | None = None) -> int:
        """Pictures that a filter lets through."""
        return self.index.count(where)

    def _distinct(
        self,
        query: np.ndarray,
        count: int,
        where: Where | None,
        aside: set[str],
        fold: float | None,
    ) -> list[dict[str, Any]]:
        """The best ``count`` products, one entry each."""
        wanted = count + len(aside) + 10
        while True:
            rows = self.index.search(query, wanted, where).to_pylist()
            best: dict[str, dict[str, Any]] = {}
            for row in rows:
                row['score'] = row.pop('similarity')
                if row['product_id'] not in aside:
                    best.setdefault(row['product_id'], row)
            found = list(best.values())
            if fold is not None:
                found = self._folded(found, fold)
            if len(found) >= count or len(rows) < wanted:
                return found[:count]
            wanted *= 4

    def _folded(self, found: list[dict[str, Any]], bound: float) -> list[dict[str, Any]]:
        """Look-alikes become one entry, the best one."""
        if not found:
            return found
        stored = self.index.fetch([row['product_id'] for row in found]).to_pylist()
        vectors = {(row['product_id'], row['view']): row['vector'] for row in stored}
        own = np.array([vectors[row['product_id'], row['view']] for row in found], np.float32)
        kept: list[int] = []
        for i, row in enumerate(found):
            alike = np.flatnonzero(own[kept] @ own[i] >= bound) if kept else np.empty(0, int)
            if len(alike):
                found[kept[alike[0]]].setdefault('also', []).append(row['product_id'])
            else:
                kept.append(i)
        return [found[i] for i in kept]

    def _matched(
        self, found: list[dict[str, Any]], words: str, order: Literal['both', 'matching']
    ) -> list[dict[str, Any]]:
        """In the matching head's order; a picture that is not there stays behind the others."""
        if self.pictures is None:
            raise ValueError('the second stage reads pictures: give pictures=FOLDER')
        pixels = {}
        for i, row in enumerate(found):
            try:
                pixels[i] = self.pixels(to_array(self.pictures / str(row['img_path'])))
            except OSError:
                continue
        chosen = np.array(sorted(pixels), int)
        text = torch.tensor(self.vocabulary.encode(words, self.pipeline.tokenize().max_len))

        def score(entries: np.ndarray) -> np.ndarray:
            pairs = np.stack((entries, np.zeros_like(entries)), 1)
            return self.scorer.score(pairs, pixels, [text])

        similarity = self.encoder.scale * np.array([row['score'] for row in found])
        ranking = rank(chosen, len(found), score, similarity, order)
        first = ranking.first(len(found)).tolist()
        for i in first:
            found[i]['match_score'] = float(expit(ranking.log_odds[i]))
            found[i]['score'] = float(expit(ranking.merits[i]))
        return [found[i] for i in first] + [r for i, r in enumerate(found) if i not in pixels]

    def _stored(self, product_ids: Sequence[str]) -> list[np.ndarray]:
        rows = self.index.fetch(product_ids)
        there = rows['product_id'].to_pylist()
        for product_id in product_ids:
            if product_id not in there:
                raise ValueError(f"no product '{product_id:.60}' in the index")
        vectors = np.asarray(rows['vector'].combine_chunks().flatten()).reshape(len(rows), -1)
        own = [[p == product_id for p in there] for product_id in product_ids]
        return [_unit(vectors[mask].sum(0)) for mask in own]

    def pixels(self, image: np.ndarray) -> torch.Tensor:
        """A picture as the model reads it, uint8 (3, S, S)."""
        return self.pipeline(dict(img=image, caption=''))['inputs']['image']

    def _track(self, steps: Iterable, total: int) -> Iterable:
        if not self.show_progress or total < 2:
            return steps
        return track(steps, 'indexing', total=total)


def _heads(description: ModelDescription) -> list[str]:
    if not description.that_give('embedding'):
        raise ValueError(description.lacks('head that gives embeddings (itc)'))
    return description.that_give('embedding', 'match')


def _fingerprint(opened: OpenedModel) -> str:
    """Hash of what makes vectors: backbone, towers' head, preprocessing."""
    digest = hashlib.sha256()
    reading = {n: one for n, one in opened.description.preprocessing.items() if n != 'tokenize'}
    digest.update(json.dumps(reading, sort_keys=True).encode())
    parts = ('backbone.', *(f'heads.{name}.' for name in opened.description.that_give('embedding')))
    for name, value in sorted(opened.model.state_dict().items()):
        if name.startswith(parts):
            digest.update(name.encode() + value.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:32]


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / max(float(np.linalg.norm(vector)), 1e-12)
