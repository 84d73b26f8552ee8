"""What a model takes products for, as cards (Fig. 6 of the paper)."""

from collections.abc import Sequence

from mmengine.dataset import BaseDataset

from mvlt.models import MVLT
from mvlt.visualization import Bar, Cell
from mvlt.visualization.examples import picture_of, predict


def category_cells(
    model: MVLT, dataset: BaseDataset, rows: Sequence[int], best: int = 3
) -> list[tuple[float, Cell]]:
    """Picture, truth and the ``best`` most probable classes of each level: Fig. 6.

    Returns:
        For each row the lowest probability that any level gives to the truth, and the card.

    Raises:
        ValueError: the model has no category head.
    """
    levels = {head.label for head in model.heads.values() if hasattr(head, 'num_classes')}
    if not levels:
        raise ValueError(
            'the config has no head of categories to draw; take a recognition config, e.g. '
            'configs/mvlt/recognition_catalogue.py'
        )
    found = []
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
            # a class that training lacks has no probability at all
            certain = min(certain, float(scores[truth]) if truth < len(scores) else 0.0)
            right = right and order[0] == truth
        mark = 'right' if right else 'wrong'
        found.append((certain, Cell(picture_of(dataset, row), '; '.join(words), mark, tuple(bars))))
    return found
