"""Predict the categories and attributes of products."""

from typing import Any

from mvlt.apis.base import PairInferencer, whole_number
from mvlt.checkpoints.description import ModelDescription
from mvlt.datasets.inputs import to_array
from mvlt.structures import PairDataSample


class CategoryInferencer(PairInferencer):
    """Classes of products with probabilities; see :class:`PairInferencer`.

    The model reads the caption, too, if there is one (paper Sec. 3.3).

    >>> CategoryInferencer('MODEL')('shoe.jpg', 'a red shoe', topk=1)['predictions']
    [{'main_category': [{'name': 'Shoes', 'probability': 0.99}], 'sub_category': [...]}]
    """

    postprocess_kwargs: set = {'topk'}

    @classmethod
    def heads_of(cls, description: ModelDescription) -> list[str]:
        """All classification heads."""
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
        """The ``topk`` most probable classes of each head."""
        whole_number('topk', topk)
        predictions = preds if return_datasamples else [self.plain(pred, topk) for pred in preds]
        return dict(predictions=predictions, visualization=visualization)

    def rows(self, item: Any, pred: PairDataSample) -> tuple:
        """The image above its three best classes of each head."""
        from mvlt.visualization.sheet import Bar, Cell, Row

        bars = [
            Bar(label['name'], label['probability'])
            for labels in self.plain(pred, 3).values()
            for label in labels
        ]
        return (Row('', (Cell(to_array(item[0]), item[1], '', tuple(bars)),)),)

    def plain(self, pred: PairDataSample, topk: int = 5) -> dict[str, list[dict[str, Any]]]:
        """Head -> classes, the most probable first."""
        classes = {}
        for head, names in self.description.categories.items():
            scores = pred.get(f'{head}_scores').float()
            if not scores.isfinite().all():
                raise ValueError(
                    f'{head}: probabilities are not finite: the model has diverged; take another'
                )
            values, indices = scores.topk(min(topk, len(names)))
            classes[head] = [
                dict(name=names[i], probability=value)
                for value, i in zip(values.tolist(), indices.tolist())
            ]
        return classes
