"""Predict whether an image and a text match."""

from typing import Any

from mvlt.apis.base import PairInferencer
from mvlt.checkpoints.description import ModelDescription
from mvlt.datasets.inputs import to_array
from mvlt.structures import PairDataSample


class MatchingInferencer(PairInferencer):
    """Probability of a match of image and text; see :class:`PairInferencer`.

    A model with a head ``itc`` also gives ``similarity``, the cosine of the embeddings, -1 to 1; a
    model without a matching head gives it alone.

    >>> MatchingInferencer('MODEL')('shoe.jpg', ['a red shoe', 'a blue bag'])['predictions']
    [{'itm_score': 0.98}, {'itm_score': 0.01}]
    """

    @classmethod
    def heads_of(cls, description: ModelDescription) -> list[str]:
        """Matching and embedding heads; ValueError if there is none."""
        names = description.that_give('match', 'embedding')
        if not names:
            raise ValueError(description.lacks('head that gives a match (itm)'))
        return names

    def rows(self, item: Any, pred: PairDataSample) -> tuple:
        """The image above text and score."""
        from mvlt.visualization.sheet import Cell, Row

        image, text = item
        score = next(iter(self.plain(pred).values()))
        return (Row('', (Cell(to_array(image), f'{score:.3f} {text}'),)),)

    def plain(self, pred: PairDataSample) -> dict[str, float]:
        """``itm_score``, 0 to 1, and ``similarity``, -1 to 1, if the model gives them."""
        names = ('itm_score', 'similarity')
        return {name: float(pred.get(name)) for name in names if name in pred}
