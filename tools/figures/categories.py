"""Predicted categories of products, as cards (Fig. 6 of the paper)."""

from collections.abc import Sequence

from mmengine.dataset import BaseDataset

from mvlt.models import MVLT
from mvlt.visualization import Bar, Cell
from mvlt.visualization.examples import image_of, predict


def category_cells(
    model: MVLT, dataset: BaseDataset, rows: Sequence[int], best: int = 3
) -> list[tuple[float, Cell]]:
    """Image, true class and the ``best`` most probable classes of each category: Fig. 6.

    Returns:
        For each row the lowest probability of a true class, and the card.

    Raises:
        ValueError: the model has no category head.
    """
    levels = {head.label for head in model.heads.values() if hasattr(head, 'num_classes')}
    if not levels:
        raise ValueError(
            'the config has no category head; take a recognition config, e.g. '
            'configs/mvlt/recognition_catalogue.py'
        )
    cards = []
    for row, sample in zip(rows, predict(model, dataset, rows)):
        bars: list[Bar] = []
        words, certain = [], 1.0
        right = True
        for level in sorted(levels):
            names = dataset.metainfo[level]
            scores = sample.get(f'{level}_scores').cpu()
            truth = sample.get(level)
            order = scores.argsort(descending=True)[:best].tolist()
            words.append(f'{level.replace("_", " ")}: {names[truth]}')
            bars += [
                Bar(names[i] if i < len(names) else f'row {i}', float(scores[i]), i == truth)
                for i in order
            ]
            # a class missing in training has no probability
            certain = min(certain, float(scores[truth]) if truth < len(scores) else 0.0)
            right = right and order[0] == truth
        mark = 'right' if right else 'wrong'
        cards.append((certain, Cell(image_of(dataset, row), '; '.join(words), mark, tuple(bars))))
    return cards
