"""A record after each transform of its pipeline, up to the model's input."""

from collections.abc import Sequence
from typing import Any

from mvlt.datasets.pipeline import changes_pair
from mvlt.datasets.transforms import MaskWords, PackPairInputs, Tokenize
from mvlt.visualization import Cell, Row, hide


def pipeline_rows(dataset: Any, rows: Sequence[int]) -> tuple[Row, ...]:
    """A record a row, a card after each transform.

    Masked pixels are grey; a masked token is ``word>[MASK]``.

    Args:
        dataset: a PairDataset, or MatchingPairs or RankingGroups around one.
        rows: numbers of the records.
    """
    return tuple(_row(dataset, row) for row in rows)


def _row(dataset: Any, row: int) -> Row:
    inner = dataset
    while hasattr(inner, 'dataset'):
        inner = inner.dataset
    record = inner.get_data_info(row)
    results = inner.load(dataset.draw(record) if hasattr(dataset, 'draw') else record)
    title = f'{results["product_id"]}: {results["caption"]}'
    if 'matched' in results:
        title += ' (matched)' if results['matched'] else " (another product's caption)"
    cells = []
    for step, transform in inner.pipeline.steps.items():
        if isinstance(transform, PackPairInputs):
            break
        if not changes_pair(getattr(transform, 'streams', None)):
            continue
        results = transform(results)
        name = f'{step}: {type(transform).__name__}'
        if isinstance(transform, Tokenize | MaskWords):
            cells.append(Cell(None, f'{name}: {_words(results, transform)}'))
            continue
        height, width = results['img'].shape[:2]
        image = results['img']
        words = f'{name}, {width} x {height}'
        if 'image_mask' in results:
            image = hide(image, results['image_mask'])
            words += f', {results["image_mask"].mean():.0%} masked'
        cells.append(Cell(image, words))
    return Row(title, tuple(cells))


def _words(results: dict, transform: Tokenize | MaskWords) -> str:
    tokenizer = transform.tokenizer
    labels = results.get('mlm_labels', [-1] * len(results['token_ids']))
    shown = []
    for token, label in zip(results['token_ids'], labels):
        word = tokenizer.token(token)
        shown.append(word if label < 0 else f'{tokenizer.token(label)}>{word}')
    return ' '.join(shown)
