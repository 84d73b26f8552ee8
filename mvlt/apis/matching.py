"""Do a picture and a text belong together?"""

from typing import Any

from mvlt.apis.base import PairInferencer
from mvlt.datasets.inputs import to_array
from mvlt.structures import PairDataSample


class MatchingInferencer(PairInferencer):
    """Probability that a picture and a text belong together; see :class:`PairInferencer`.

    >>> MatchingInferencer('MODEL')('shoe.jpg', ['a red shoe', 'a blue bag'])
    [{'match_score': 0.98}, {'match_score': 0.01}]
    """

    heads = ('itm',)

    def rows(self, one: Any, pred: PairDataSample) -> tuple:
        """The picture above text and probability."""
        from mvlt.visualization.sheet import Cell, Row

        image, text = one
        return (Row('', (Cell(to_array(image), f'{pred.match_score:.3f} {text}'),)),)

    def plain(self, pred: PairDataSample) -> dict[str, float]:
        """``match_score``, 0 to 1."""
        return dict(match_score=float(pred.match_score))
