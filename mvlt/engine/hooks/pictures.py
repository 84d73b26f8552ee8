"""Example images of a model during training."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.runner import Runner
from PIL import Image

from mvlt.engine.runner import bare_model
from mvlt.files import written_whole
from mvlt.randomness import random_of
from mvlt.registry import DATASETS, HOOKS
from mvlt.retrieval.ranking import rank


@HOOKS.register_module()
class PicturesHook(Hook):
    """Draws reconstructed images, and captions that rank a few images, every ``interval`` steps.

    It uses the first products of ``val_dataloader`` with the pipeline of ``test_dataloader``, and
    writes to ``<work_dir>/images/<step>/`` and to the visualizer's backends (TensorBoard, W&B).
    It skips sections for which the model has no head. Training is not affected: random states are
    restored, and unreadable data only cause a warning.

    Args:
        interval: training steps.
        products: number of products.
    """

    priority = 'LOW'

    def __init__(self, interval: int = 1000, products: int = 6) -> None:
        if interval < 1 or products < 1:
            raise ValueError(
                f'PicturesHook: interval={interval}, products={products}; give 1 or more'
            )
        self.interval = interval
        self.products = products
        self._dataset: Any = None
        self._rows: list[int] = []

    @master_only
    def before_train(self, runner: Runner) -> None:
        """Open the val data and read its first products; warn if that fails."""
        val, test = (runner.cfg.get(f'{name}_dataloader') for name in ('val', 'test'))
        try:
            if val is None or test is None:
                raise KeyError('the config has no val_dataloader or no test_dataloader')
            self._dataset = DATASETS.build(
                dict(val['dataset'], pipeline=test['dataset']['pipeline'])
            )
            self._rows = self._first_products()
            with _undisturbed(bare_model(runner)):
                for row in self._rows:
                    self._dataset[row]
        except (KeyError, OSError, ValueError) as error:
            message = error.args[0] if isinstance(error, KeyError) else error
            runner.logger.warning(f'PicturesHook draws nothing: {message}')
            self._rows = []

    def after_train_iter(self, runner: Runner, batch_idx: int, *args: Any, **kwargs: Any) -> None:
        if self._rows and self.every_n_train_iters(runner, self.interval):
            self.draw(runner)

    @master_only
    def draw(self, runner: Runner) -> None:
        """Write the images of this step."""
        from mvlt.visualization import Section, draw, in_rows, reconstruction_cells

        model, dataset, rows = bare_model(runner), self._dataset, self._rows
        with _undisturbed(model), torch.no_grad():
            sections = []
            if _gives(model, 'pixels') and 'image_mask' in dataset[rows[0]]['data_samples']:
                examples = reconstruction_cells(model, dataset, rows)
                cells = in_rows([cell for _, cells in examples for cell in cells], 6)
                note = 'Masked, reconstructed, original.'
                sections.append(Section('reconstruction', 'Reconstructed images', note, cells))
            if _gives(model, 'match') or _gives(model, 'embedding'):
                note = f'Each caption ranks the same {len(rows)} images; green: its match.'
                ranked = _ranked(model, dataset, rows)
                sections.append(Section('ranking', 'Ranked images', note, ranked))
        step = runner.iter + 1
        for section in sections:
            path = Path(runner.work_dir) / 'pictures' / f'{step:07d}' / f'{section.name}.png'
            with written_whole(path) as file:
                file.write(draw(section))
            image = np.asarray(Image.open(path).convert('RGB'))
            runner.visualizer.add_image(f'images_{section.name}', image, step)

    def _first_products(self) -> list[int]:
        """A row of each of the first products."""
        first: dict[str, int] = {}
        for row in range(len(self._dataset)):
            first.setdefault(self._dataset.get_data_info(row)['product_id'], row)
            if len(first) == self.products:
                break
        return list(first.values())


def _gives(model: Any, what: str) -> bool:
    """Whether the model has a head that gives this; a model without heads matches pairs."""
    return model.gives(what) if hasattr(model, 'gives') else what == 'match'


def _ranked(model: Any, dataset: Any, rows: list[int]) -> tuple[Any, ...]:
    """A row per caption: the images ranked by embeddings or by the matching head."""
    from mvlt.visualization import ranking_rows

    batch = model.data_preprocessor(pseudo_collate([dataset[row] for row in rows]))['inputs']
    images = model.data_preprocessor.normalise(batch['pixels'])
    embeds = _gives(model, 'embedding')
    rankings: list[Mapping[str, Any]] = []
    for i, row in enumerate(rows):
        token_ids = batch['token_ids'][i].expand(len(rows), -1)
        text_mask = model.data_preprocessor.text_mask(token_ids)
        if embeds:
            texts = model.text_embeds(token_ids, text_mask)
            scores = (model.image_embeds(images) * texts).sum(-1).cpu().numpy()
        else:
            scores = model.match(images, token_ids, text_mask).cpu().numpy()
        positives = np.arange(len(rows)) == i
        rankings.append(
            dict(
                direction='tir',
                query=row,
                rank=rank(np.arange(len(rows)), len(rows), scores.__getitem__).rank_of(positives),
                candidates=rows,
                scores=scores,
                positives=positives,
            )
        )
    return ranking_rows(dataset, rankings, len(rows), rerank=None if embeds else 'itm')


@contextmanager
def _undisturbed(model: Any) -> Iterator[None]:
    """Evaluation mode with masks and fixed random numbers; then restore all."""
    training, masking = model.training, model.data_preprocessor.mask_images
    model.eval()
    model.data_preprocessor.mask_images = True
    try:
        with random_of((0,)):  # the same masks at every step
            yield
    finally:
        model.train(training)
        model.data_preprocessor.mask_images = masking
