"""What a model answers to single products, ready to be drawn (Fig. 5, 6 and 7 of the paper)."""

from collections.abc import Sequence
from typing import Any

from mmengine.dataset import BaseDataset, pseudo_collate

from mvlt.models import MVLT
from mvlt.models.masking import mask_to_pixels
from mvlt.visualization.pictures import picture_uri


def ranking_examples(
    dataset: BaseDataset, rankings: Sequence[dict], count: int, best: int = 5
) -> list[dict[str, Any]]:
    """The ``best`` first candidates of the first ``count`` queries: Fig. 5.

    Args:
        dataset: the evaluated one; gives pictures and captions.
        rankings: ``rankings.json`` of tools/test.py, one direction.
    """
    examples = []
    for one in rankings[:count]:
        order = sorted(range(len(one['scores'])), key=lambda i: -one['scores'][i])
        examples.append(
            dict(
                query=_row(dataset, one['query']),
                rank=one['rank'],
                candidates=[
                    dict(
                        _row(dataset, one['candidates'][i]),
                        score=one['scores'][i],
                        matched=one['positives'][i],
                    )
                    for i in order[:best]
                ],
            )
        )
    return examples


def category_examples(
    model: MVLT, dataset: BaseDataset, rows: Sequence[int], best: int = 3
) -> list[dict[str, Any]]:
    """Picture, truth and the ``best`` most probable classes of each level: Fig. 6."""
    examples = []
    for row, sample in zip(rows, _predict(model, dataset, rows)):
        levels = {}
        for level in model.category_heads:
            names = dataset.metainfo[level]
            scores = sample.get(f'{level}_scores')
            order = scores.argsort(descending=True)[:best].tolist()
            levels[level] = dict(
                truth=names[sample.get(level)],
                predictions=[dict(name=names[i], score=float(scores[i])) for i in order],
            )
        examples.append(dict(_row(dataset, row), levels=levels))
    return examples


def reconstruction_examples(
    model: MVLT, dataset: BaseDataset, rows: Sequence[int]
) -> list[dict[str, str]]:
    """Masked, rebuilt and original picture: Fig. 7. Hidden units are drawn grey."""
    examples = []
    for row, sample in zip(rows, _predict(model, dataset, rows)):
        masked = sample.pixels.clone()
        hidden = mask_to_pixels(sample.image_mask[None], masked.shape[1:])[0]
        masked.masked_fill_(hidden, 190)
        examples.append(
            dict(
                masked=picture_uri(masked),
                rebuilt=picture_uri(sample.reconstruction),
                original=picture_uri(sample.pixels),
                caption=dataset.get_data_info(row)['caption'],
            )
        )
    return examples


def _predict(model: MVLT, dataset: BaseDataset, rows: Sequence[int]) -> list[Any]:
    batch = model.data_preprocessor(pseudo_collate([dataset[row] for row in rows]))
    return model(**batch, mode='predict')


def _row(dataset: BaseDataset, row: int) -> dict[str, str]:
    return dict(
        caption=dataset.get_data_info(row)['caption'],
        image=picture_uri(dataset[row]['inputs']['image']),
    )
