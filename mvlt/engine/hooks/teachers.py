"""Embeds the training data with the teachers of a student, before training."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from mmengine.dist import barrier, get_rank
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import Runner

from mvlt.datasets.feature_cache import FeatureCache, image_keys
from mvlt.datasets.inputs import to_array
from mvlt.datasets.pair_dataset import PairDataset, unwrapped_dataset
from mvlt.engine.runner import bare_model
from mvlt.models import TeacherHead
from mvlt.registry import HOOKS
from mvlt.retrieval.encoder import Embedder


@HOOKS.register_module()
class TeachersHook(Hook):
    """Passes the teachers' embeddings of the training data to :class:`mvlt.models.TeacherHead`.

    Each teacher reads the record's image and title with its own preprocessing and tokenizer.
    Embeddings are cached on the disk by content, as features are
    (:class:`mvlt.engine.FrozenFeaturesHook`).

    Args:
        folder: of all caches.
        batch_size: images or texts at a time.
        dtype: 'bfloat16' computes the teachers under autocast.
    """

    def __init__(
        self, folder: str = 'work_dirs/features', batch_size: int = 64, dtype: str = 'bfloat16'
    ) -> None:
        self.folder = Path(folder)
        self.batch_size = batch_size
        self.dtype = dtype

    def before_train(self, runner: Runner) -> None:
        """Embed, or read the cache.

        Raises:
            ValueError: the model has no such head, a teacher gives no embeddings, or embeddings of
                another size than ``dims``.
        """
        heads = [part for part in bare_model(runner).modules() if isinstance(part, TeacherHead)]
        if not heads:
            raise ValueError(
                'TeachersHook: no head of the model is a TeacherHead; remove the hook '
                '(default_hooks.teachers=None)'
            )
        dataset = unwrapped_dataset(runner.train_loop.dataloader.dataset)
        for head in heads:
            head.know(
                [self._embeds(*teacher, dataset) for teacher in zip(head.teachers, head.dims)]
            )

    def _embeds(self, teacher: str, dims: int, dataset: PairDataset) -> dict[str, torch.Tensor]:
        captions = dataset.captions()
        keys = dict(
            image=image_keys(dataset),
            text=[hashlib.sha256(caption.encode()).digest() for caption in captions],
        )
        embedder = Embedder(teacher, True, None, self.dtype, self.batch_size)  # type: ignore[arg-type]
        if embedder.encoder is None:
            raise ValueError(f'{teacher}: a teacher needs a head that gives embeddings (itc)')
        cache = FeatureCache(self.folder / f'teacher_{embedder.fingerprint}', 1, dims)
        if get_rank() == 0:
            self._fill(teacher, embedder, cache, dataset, keys)
        barrier()
        cache.reload()
        unread = np.zeros(dims, np.float32)  # of an unreadable image, which no step reads
        return {
            name: torch.from_numpy(
                np.stack([cache.get(key, 0) if key in cache else unread for key in listed])
            )
            for name, listed in keys.items()
        }

    def _fill(
        self,
        teacher: str,
        embedder: Embedder,
        cache: FeatureCache,
        dataset: PairDataset,
        keys: Mapping[str, Sequence[bytes]],
    ) -> None:
        """Embed and write what the cache lacks, block by block."""
        missing = {name: cache.lacks(listed) for name, listed in keys.items()}
        if not any(missing.values()):
            return
        counts = ' and '.join(f'{len(rows)} {name}s' for name, rows in missing.items())
        print_log(f'teacher {teacher}: embeds {counts}', 'current')
        with cache.writer() as write:
            for name, rows in missing.items():
                for start in range(0, len(rows), self.batch_size):
                    block = rows[start : start + self.batch_size]
                    records = [dataset.load(dataset.get_data_info(row)) for row in block]
                    if name == 'text':
                        ids = embedder.tokens([record['caption'] for record in records])
                        embeds = embedder.embed_texts(ids)
                    else:
                        images = [
                            record['img'] if 'img' in record else to_array(record['img_path'])
                            for record in records
                        ]
                        embeds = embedder.embed_images([embedder.pixels(x) for x in images])
                    if embeds.shape[1] != cache.dims:
                        raise ValueError(
                            f'{teacher} gives embeddings of {embeds.shape[1]} numbers: set dims of '
                            f'the TeacherHead to it, it is {cache.dims}'
                        )
                    write([keys[name][row] for row in block], embeds[:, None])
