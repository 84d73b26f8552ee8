"""Matching logits of many image-text pairs: images decoded once, batches by caption length."""

import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from mmengine.logging import MMLogger
from mmengine.model import is_model_wrapper
from torch.utils.data import DataLoader, Subset

from mvlt.deadline import check
from mvlt.registry import TASK_UTILS

# settings of a loader that are kept; its sampler and collate function are replaced
LOADER = {
    *('dataset', 'batch_size', 'num_workers', 'sampler', 'persistent_workers', 'pin_memory'),
    *('prefetch_factor', 'timeout', 'worker_init_fn', 'multiprocessing_context'),
}
_BLOCK = 1024  # images in memory at once
_BLOCK_OF_MAPS = 128  # the same with their maps, megabytes each


@TASK_UTILS.register_module()
class PairScorer:
    """Runs the matching head of a model over pairs.

    Args:
        model: has ``match(image, token_ids, text_mask)`` and ``data_preprocessor``; wrapped or not,
            in evaluation mode.
        dataloader: its pipeline, batch size and workers read images and captions; None if nothing
            is read.
        batch_size: pairs of a batch.
        amp_dtype: 'bfloat16' or 'float16' scores under autocast; None in float32.
    """

    def __init__(
        self,
        model: Any,
        dataloader: DataLoader | None = None,
        batch_size: int = 256,
        amp_dtype: str | None = None,
    ) -> None:
        self.model = model.module if is_model_wrapper(model) else model
        self.dataloader = dataloader
        self.batch_size = batch_size
        self.amp_dtype = getattr(torch, amp_dtype) if amp_dtype else None

    @property
    def _compute_maps(self) -> Any:
        """``maps`` of the encoder, what the captions of an image share; None without."""
        return getattr(getattr(self.model, 'backbone', None), 'maps', None)

    def read(self, rows: Sequence[int]) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Image, uint8 (3, H, W), and token ids, int64 (T,), of each row, in order."""
        given: Any = self.dataloader
        names = LOADER - {'dataset', 'sampler', 'persistent_workers'}
        settings = {name: getattr(given, name) for name in names}
        loader = DataLoader(Subset(given.dataset, list(rows)), **settings, collate_fn=_stack)
        for pixels, token_ids, lengths in loader:
            # copies: a worker's tensor keeps a file open as long as it lives
            yield from zip(pixels.clone(), token_ids.clone().split(lengths))

    def score_rows(
        self, pairs: np.ndarray, texts: Any, progress: 'Progress | None' = None
    ) -> np.ndarray:
        """As :meth:`score`, with images read block by block, each once.

        Args:
            pairs: int (n, 2), row of the image in the dataset, and key of ``texts``.
            texts, progress: see :meth:`score`.
        """
        rows, row_index = np.unique(pairs[:, 0], return_inverse=True)
        scores = np.empty(len(pairs), dtype=np.float32)
        reader = self.read(rows.tolist())
        size = _BLOCK if self._compute_maps is None else _BLOCK_OF_MAPS
        for start in range(0, len(rows), size):
            block = rows[start : start + size].tolist()
            images = {row: next(reader)[0] for row in block}
            chosen = np.flatnonzero((row_index >= start) & (row_index < start + len(block)))
            scores[chosen] = self.score(pairs[chosen], images, texts, progress)
        return scores

    def score(
        self,
        pairs: np.ndarray,
        images: Any,
        texts: Any,
        progress: 'Progress | None' = None,
    ) -> np.ndarray:
        """Log-odds of a match for each pair, float32 (n,).

        Args:
            pairs: int (n, 2), keys of ``images`` and of ``texts``.
            images: key -> uint8 (3, H, W).
            texts: key -> int64 (T,).
            progress: receives the number of scored pairs.

        Raises:
            ValueError: a score is NaN.
        """
        lengths = np.array([len(texts[text]) for _, text in pairs])
        scores = np.empty(len(pairs), dtype=np.float32)
        order = np.argsort(lengths, kind='stable')
        maps = self._maps(images, np.unique(pairs[:, 0]).tolist())
        for start in range(0, len(order), self.batch_size):
            check()
            batch = order[start : start + self.batch_size]
            listed = pairs[batch, 0].tolist()
            scores[batch] = self.match(
                torch.stack([images[image] for image in listed])
                if maps is None
                else tuple(map(torch.stack, zip(*(maps[image] for image in listed)))),
                [texts[text] for text in pairs[batch, 1]],
            )
            if progress is not None:
                progress.add(len(batch))
        if np.isnan(scores).any():
            raise ValueError('a matching score is NaN: the model has diverged; take another')
        return scores

    def autocast(self) -> torch.autocast:
        """Autocast to ``amp_dtype``."""
        device = self.model.data_preprocessor.device
        return torch.autocast(device.type, self.amp_dtype, enabled=self.amp_dtype is not None)

    @torch.no_grad()
    def _maps(self, images: Any, keys: list[int]) -> dict[int, tuple[torch.Tensor, ...]] | None:
        """Key -> maps of the image, which its pairs share; None if the encoder has none."""
        if self._compute_maps is None:
            return None
        shared: dict[int, tuple[torch.Tensor, ...]] = {}
        preprocessor = self.model.data_preprocessor
        for start in range(0, len(keys), self.batch_size):
            check()
            block = keys[start : start + self.batch_size]
            pixels = preprocessor.cast_data(torch.stack([images[key] for key in block]))
            with self.autocast():
                maps = self._compute_maps(preprocessor.normalise(pixels))
            shared.update(zip(block, zip(*maps)))
        return shared

    @torch.no_grad()
    def match(
        self, pixels: torch.Tensor | tuple[torch.Tensor, ...], token_ids: list[torch.Tensor]
    ) -> np.ndarray:
        """One batch: uint8 (B, 3, H, W), or maps, and B captions int64 (T,) -> float32 (B,)."""
        preprocessor = self.model.data_preprocessor
        image: Any = pixels
        if isinstance(pixels, torch.Tensor):
            image = preprocessor.normalise(preprocessor.cast_data(pixels))
        with self.autocast():
            scores = self.model.match(image, *preprocessor.captions(token_ids))
        return scores.float().cpu().numpy()


class Progress:
    """Logs every ten seconds the scored pairs and the remaining time."""

    def __init__(self, total: int, logger: MMLogger) -> None:
        self.total = total
        self.logger = logger
        self.done = 0
        self.started = self.reported = time.monotonic()

    def add(self, pairs: int) -> None:
        """Count scored pairs."""
        self.done += pairs
        now = time.monotonic()
        if now - self.reported > 10:
            self.reported = now
            left = (now - self.started) * (self.total - self.done) / self.done
            self.logger.info(
                f'retrieval: {self.done} of {self.total} pairs scored, {left:.0f} s left'
            )


def _stack(samples: list[dict]) -> tuple[torch.Tensor, torch.Tensor, list[int]]:
    """Few large tensors, which are cheap to send between processes."""
    inputs = [sample['inputs'] for sample in samples]
    token_ids = [item['token_ids'] for item in inputs]
    return (
        torch.stack([item['image'] for item in inputs]),
        torch.cat(token_ids),
        [len(ids) for ids in token_ids],
    )
