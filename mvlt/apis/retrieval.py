"""Retrieval in both directions with :class:`mvlt.apis.Search`, in mmengine's protocol."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from mmengine.device import get_device
from mmengine.logging import print_log

from mvlt.apis.base import DType, PairInferencer
from mvlt.checkpoints.loading import OpenedModel, open_model
from mvlt.datasets.inputs import ImageInputs, Texts, list_images, list_texts, to_array
from mvlt.retrieval.encoder import heads_of
from mvlt.retrieval.index import Index, Where
from mvlt.retrieval.ranking import Rerank
from mvlt.retrieval.records import Source
from mvlt.retrieval.search import Search


class RetrievalInferencer(PairInferencer):
    """A model and a gallery to search.

    Args:
        model, weights, device, dtype, show_progress: see :class:`PairInferencer`.
        index: see :class:`mvlt.apis.Search`; 'memory' = in this object.

    Raises:
        FileNotFoundError, ValueError: no such model, or no embedding and no matching head.
    """

    heads_of = staticmethod(heads_of)  # type: ignore[assignment]
    preprocess_kwargs: set = set()
    forward_kwargs: set = {'topk', 'where', 'rerank', 'rerank_topk', 'dedup_threshold'}
    texts = False

    def __init__(
        self,
        model: str | Path | OpenedModel,
        weights: str | None = None,
        device: str | None = None,
        dtype: DType = 'float32',
        show_progress: bool = True,
        index: str | Path | Index = 'memory',
    ) -> None:
        if not isinstance(model, OpenedModel):
            model = open_model(str(model), weights, device or get_device(), heads_of)
        super().__init__(model, dtype=dtype, show_progress=show_progress)
        self.search = Search(
            model, index, texts=self.texts, dtype=dtype, show_progress=show_progress
        )

    def read(self, gallery: Source) -> Any:
        """Index a gallery, as :meth:`mvlt.apis.Search.build`, and return this inferencer."""
        update = self.search.build(gallery)
        if update.unreadable:
            print_log(f'{gallery}: {update}', 'current', level=30)
        return self

    def preprocess(  # type: ignore[override]
        self, inputs: Sequence[Any], batch_size: int = 1
    ) -> Iterator[Sequence[Any]]:
        """Batches of queries."""
        for start in range(0, len(inputs), batch_size):
            yield inputs[start : start + batch_size]

    def plain(self, pred: Any) -> Any:
        """The rows themselves."""
        return pred


class TextToImageRetrievalInferencer(RetrievalInferencer):
    """Images for a text; see :class:`RetrievalInferencer`.

    Examples:
        >>> search = TextToImageRetrievalInferencer('MODEL').read('MY_CATALOGUE/products.csv')
        >>> search('a red shoe', topk=3)['predictions'][0][0]
        {'product_id': '17', 'image_index': 0, 'score': 0.41, 'img_path': 'images/17.jpg', ...}
    """

    def __call__(  # type: ignore[override]
        self,
        texts: Texts,
        return_datasamples: Literal[False] = False,
        batch_size: int = 32,
        topk: int = 10,
        where: Where | None = None,
        rerank: Rerank | None = None,
        rerank_topk: int = 50,
        dedup_threshold: float | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """``predictions``: for each text the rows of :class:`mvlt.apis.Search`.

        Args:
            texts: a text or a list.
            return_datasamples: ignored; rows are plain dicts.
            batch_size: texts of a batch.
            topk, where, rerank, rerank_topk, dedup_threshold: see :class:`mvlt.apis.Search`.
            kwargs: ``show``, ``out_dir``: see :class:`PairInferencer`.

        Raises:
            ValueError: an unknown column or value; a text without a known word.
        """
        options: dict[str, Any] = dict(topk=topk, where=where, rerank=rerank)
        options.update(rerank_topk=rerank_topk, dedup_threshold=dedup_threshold, **kwargs)
        return self.infer(list_texts(texts), return_datasamples, batch_size, **options)

    def forward(self, inputs: Sequence[str], **options: Any) -> list[list[dict[str, Any]]]:
        """Rows for each text of a batch."""
        embeds = self.search.text_embeds(inputs)
        return [self.search.ranked(embed, text, **options) for embed, text in zip(embeds, inputs)]

    def rows(self, item: str, pred: list[dict[str, Any]]) -> tuple:
        """The text and its images."""
        from mvlt.visualization.sheet import Cell, Row

        cells = [Cell(self.search.read_image(row), f'{row["score"]:.3f}') for row in pred]
        return (Row('', (Cell(None, item, 'query'), *cells)),)


class ImageToTextRetrievalInferencer(RetrievalInferencer):
    """Texts for an image; see :class:`RetrievalInferencer`.

    The gallery is a list of texts, a ``.txt`` file (one text a line), a table or a dataset. Equal
    texts are one row, of the first product with the text.

    >>> captions = ImageToTextRetrievalInferencer('MODEL').read(['a red shoe', 'a bag'])
    >>> captions('shoe.jpg', topk=1)['predictions']
    [[{'product_id': '0', 'image_index': 0, 'score': 0.41, 'caption': 'a red shoe', ...}]]
    """

    texts = True

    def __call__(  # type: ignore[override]
        self,
        images: ImageInputs,
        return_datasamples: Literal[False] = False,
        batch_size: int = 32,
        topk: int = 10,
        where: Where | None = None,
        rerank: Rerank | None = None,
        rerank_topk: int = 50,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """``predictions``: for each image the rows of :class:`mvlt.apis.Search`.

        Args:
            images: see :class:`PairInferencer`.
            return_datasamples: ignored; rows are plain dicts.
            batch_size: images of a batch.
            topk, where, rerank, rerank_topk: see :class:`mvlt.apis.Search`.
            kwargs: ``show``, ``out_dir``: see :class:`PairInferencer`.

        Raises:
            OSError, ValueError: an unreadable image.
        """
        options = dict(topk=topk, where=where, rerank=rerank, rerank_topk=rerank_topk, **kwargs)
        return self.infer(list_images(images), return_datasamples, batch_size, **options)

    def forward(self, inputs: Sequence[Any], **options: Any) -> list[list[dict[str, Any]]]:
        """Rows for each image of a batch."""
        arrays = [to_array(image, i) for i, image in enumerate(inputs)]
        embeds = self.search.embed_images([self.search.pixels(array) for array in arrays])
        return [
            self.search.ranked(embed, images=[array], **options)
            for embed, array in zip(embeds, arrays)
        ]

    def rows(self, item: Any, pred: list[dict[str, Any]]) -> tuple:
        """The image and its texts."""
        from mvlt.visualization.sheet import Cell, Row

        cells = [Cell(None, f'{row["score"]:.3f} {row["caption"]}') for row in pred]
        return (Row('', (Cell(to_array(item), 'query', 'query'), *cells)),)
