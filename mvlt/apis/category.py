"""Which categories does a product belong to?"""

from typing import Any

from mvlt.apis.base import PairInferencer, whole_number
from mvlt.checkpoints.description import ModelDescription
from mvlt.datasets.inputs import to_array
from mvlt.structures import PairDataSample


class CategoryInferencer(PairInferencer):
    """Names and probabilities of the categories of products; see :class:`PairInferencer`.

    The model reads the title too, where there is one (paper Sec. 3.3).

    >>> CategoryInferencer('MODEL')('shoe.jpg', 'a red shoe', topk=1)['predictions']
    [{'main_category': [{'name': 'Shoes', 'probability': 0.99}], 'sub_category': [...]}]
    """

    postprocess_kwargs: set = {'topk'}

    @classmethod
    def heads_of(cls, description: ModelDescription) -> list[str]:
        """All that name classes."""
        if not description.categories:
            raise ValueError(description.lacks('head of categories'))
        return list(description.categories)

    def postprocess(  # type: ignore[override]
        self,
        preds: list[Any],
        visualization: Any,
        return_datasamples: bool = False,
        topk: int = 5,
    ) -> dict[str, Any]:
        """The ``topk`` most probable names of each level."""
        whole_number('topk', topk)
        predictions = preds if return_datasamples else [self.plain(pred, topk) for pred in preds]
        return dict(predictions=predictions, visualization=visualization)

    def rows(self, item: Any, pred: PairDataSample) -> tuple:
        """The picture above its three best names of each level."""
        from mvlt.visualization.sheet import Bar, Cell, Row

        bars = [
            Bar(best['name'], best['probability'])
            for ranked in self.plain(pred, 3).values()
            for best in ranked
        ]
        return (Row('', (Cell(to_array(item[0]), item[1], '', tuple(bars)),)),)

    def plain(self, pred: PairDataSample, topk: int = 5) -> dict[str, list[dict[str, Any]]]:
        """level -> names, the most probable first."""
        found = {}
        for level, names in self.description.categories.items():
            scores = pred.get(f'{level}_scores').float()
            if not scores.isfinite().all():
                raise ValueError(f'{level}: no numbers as probabilities; the model has diverged')
            values, places = scores.topk(min(topk, len(names)))
            found[level] = [
                dict(name=names[place], probability=value)
                for value, place in zip(values.tolist(), places.tolist())
            ]
        return found
