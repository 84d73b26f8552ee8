"""Do a picture and a text belong together?"""

from typing import Any

from mvlt.apis.base import PairInferencer
from mvlt.checkpoints.description import ModelDescription
from mvlt.datasets.inputs import to_array
from mvlt.structures import PairDataSample


class MatchingInferencer(PairInferencer):
    """Probability that a picture and a text belong together; see :class:`PairInferencer`.

    A model with a head ``itc`` gives ``similarity``, too, the cosine of two vectors, -1 to 1; one
    without a matching head gives that alone.

    >>> MatchingInferencer('MODEL')('shoe.jpg', ['a red shoe', 'a blue bag'])['predictions']
    [{'itm_score': 0.98}, {'itm_score': 0.01}]
    """

    @classmethod
    def heads_of(cls, description: ModelDescription) -> list[str]:
        """Those that compare a picture with a text.

        Raises:
            ValueError: there is none.
        """
        names = description.that_give('match', 'embedding')
        if not names:
            raise ValueError(description.lacks('head that gives a match (itm)'))
        return names

    def rows(self, item: Any, pred: PairDataSample) -> tuple:
        """The picture above text and probability."""
        from mvlt.visualization.sheet import Cell, Row

        image, text = item
        score = next(iter(self.plain(pred).values()))
        return (Row('', (Cell(to_array(image), f'{score:.3f} {text}'),)),)

    def plain(self, pred: PairDataSample) -> dict[str, float]:
        """``itm_score``, 0 to 1, and ``similarity``, -1 to 1, those that the model gives."""
        names = ('itm_score', 'similarity')
        return {name: float(pred.get(name)) for name in names if name in pred}
