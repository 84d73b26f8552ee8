"""Computes the features of a frozen image encoder once, before training."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dist import barrier, broadcast_object_list, get_rank, get_world_size
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import Runner

from mvlt.checkpoints.description import pipeline_of
from mvlt.datasets.feature_cache import FeatureCache, image_keys
from mvlt.datasets.pair_dataset import PairDataset, unwrapped_dataset
from mvlt.datasets.pipeline import Pipeline
from mvlt.datasets.transforms import LoadImage
from mvlt.engine.runner import bare_model
from mvlt.randomness import random_of
from mvlt.registry import HOOKS

_LOG_SHARE = 0.2  # of the images between two log lines


@HOOKS.register_module()
class FrozenFeaturesHook(Hook):
    """Training reads cached features of augmented views instead of images.

    The image encoder of a :class:`mvlt.models.DualEncoder` must be frozen. Before training, each
    training image passes the encoder ``views`` times; a step then reads one view of each image, at
    random. The first view is the image as tests read it (the image steps of ``test_dataloader``),
    the others pass the image steps of the training. Steps that change image and text together are
    not supported. The cache is keyed by the bytes of the image, the encoder's weights and the
    pipelines: a later training with the same ones reuses it, a killed one resumes it, new images
    are added.

    Args:
        views: of each image, the plain one included.
        folder: of all caches.
        max_gigabytes: of all caches together; the least recently used are deleted.
        batch_size: images at a time.
        seed: of the augmentation.
    """

    def __init__(
        self,
        views: int = 4,
        folder: str = 'work_dirs/features',
        max_gigabytes: float = 10.0,
        batch_size: int = 64,
        seed: int = 0,
    ) -> None:
        if views < 1:
            raise ValueError(f'FrozenFeaturesHook.views={views}: give 1 or more')
        self.views = views
        self.folder = Path(folder)
        self.max_gigabytes = max_gigabytes
        self.batch_size = batch_size
        self.seed = seed

    def before_train(self, runner: Runner) -> None:
        """Fill the cache; let the training data read it.

        Raises:
            ValueError: the image encoder is not frozen, the loader has workers, or the cache would
                exceed its limit.
        """
        encoder: Any = getattr(bare_model(runner).backbone, 'image_encoder', None)
        if not (getattr(encoder, 'is_frozen', False) and getattr(encoder, 'pooled', False)):
            raise ValueError(
                'FrozenFeaturesHook needs model.backbone.image_encoder=dict(type=ImageBackbone, '
                'trainable=False, pooled=True); remove the hook '
                '(default_hooks.features=None) to train the image encoder'
            )
        loader = runner.train_loop.dataloader
        if loader.num_workers:
            raise ValueError(
                'FrozenFeaturesHook: data workers start before the features exist; set '
                'train_dataloader.num_workers=0'
            )
        dataset = unwrapped_dataset(loader.dataset)
        dims = encoder.embed_dims[0]
        bytes_needed = 2 * self.views * dims * len(dataset)
        if bytes_needed > self.max_gigabytes * 1e9:
            raise ValueError(
                f'FrozenFeaturesHook: {self.views} views of {len(dataset)} images need '
                f'{bytes_needed / 1e9:.1f} GB, more than max_gigabytes={self.max_gigabytes}: raise '
                'it, or lower views'
            )
        cache = FeatureCache(self.folder / self._name(runner, dataset, encoder), self.views, dims)
        keys = image_keys(dataset)
        listed = [cache.lacks(keys)]
        broadcast_object_list(listed)  # others may have begun to write
        missing = listed[0]
        if missing:
            print_log(
                f'features: {len(missing)} of {len({*keys})} different images, {self.views} '
                f'view(s) each, are computed and kept in {cache.folder}',
                'current',
            )
            self._fill(
                runner, dataset, encoder, cache, missing[get_rank() :: get_world_size()], keys
            )
            barrier()
            cache.reload()
        if get_rank() == 0:
            for path in cache.make_room(int(self.max_gigabytes * 1e9)):
                print_log(f'features: deleted {path}, least recently used', 'current')
        dataset.features = CachedViews(cache, keys)

    def _name(self, runner: Runner, dataset: PairDataset, encoder: Any) -> str:
        """Hash of what decides the features: weights, statistics, normalisation, image steps ..."""
        digest = hashlib.sha256()
        for name, value in encoder.state_dict().items():
            digest.update(name.encode() + value.cpu().numpy().tobytes())
        preprocessor = bare_model(runner).data_preprocessor
        context = runner.optim_wrapper.__class__.__name__
        steps = [
            {name: _settings(step) for name, step in pipeline.steps.items()}
            for pipeline in self._pipelines(runner, dataset)[:2]
        ]
        facts = [
            *(preprocessor.mean.tolist(), preprocessor.std.tolist(), context, self.seed),
            *(self.views, steps, encoder.vector_dims, encoder.statistics),
        ]
        digest.update(json.dumps(facts, default=str).encode())
        return digest.hexdigest()[:16]

    def _pipelines(self, runner: Runner, dataset: PairDataset) -> list[Pipeline]:
        """The image steps of each view."""
        augmented = dataset.pipeline.of_images()
        read = pipeline_of(runner.cfg, 'test_dataloader')
        plain = Pipeline(read).of_images() if read else augmented
        return [plain, *[augmented] * (self.views - 1)]

    def _fill(
        self,
        runner: Runner,
        dataset: PairDataset,
        encoder: Any,
        cache: FeatureCache,
        rows: Sequence[int],
        keys: Sequence[bytes],
    ) -> None:
        """Compute and write the features of some rows, block by block."""
        pipelines = self._pipelines(runner, dataset)
        load = dataset.pipeline.find(LoadImage) or dict  # decode once for all views
        preprocessor = bare_model(runner).data_preprocessor
        encoder.eval()
        logged = 0.0
        with cache.writer() as write, torch.no_grad():
            for start in range(0, len(rows), self.batch_size):
                views, readable = [], []
                for row in rows[start : start + self.batch_size]:
                    try:
                        record = load(dataset.load(dataset.get_data_info(row)))
                    except OSError:
                        if dataset.on_error == 'raise':
                            raise
                        continue  # training takes another record, and counts it
                    readable.append(row)
                    for view, pipeline in enumerate(pipelines):
                        with random_of((self.seed, view, *keys[row][:8])):
                            views.append(pipeline(dict(record))['img'])
                if not readable:
                    continue
                pixels = torch.from_numpy(np.stack(views).transpose(0, 3, 1, 2).copy())
                images = preprocessor.normalise(preprocessor.cast_data(pixels))
                with runner.optim_wrapper.optim_context(runner.model):
                    features = encoder(images).float().cpu().numpy()
                write(
                    [keys[row] for row in readable],
                    features.reshape(len(readable), self.views, -1),
                )
                done = min(1.0, (start + self.batch_size) / len(rows))
                if done - logged >= _LOG_SHARE or done == 1:
                    logged = done
                    print_log(f'features: {done:.0%}', 'current')
        encoder.train()


class CachedViews:
    """A view of each row's features, drawn at random."""

    def __init__(self, cache: FeatureCache, keys: Sequence[bytes]) -> None:
        self.cache = cache
        self.keys = keys

    def __call__(self, row: int) -> np.ndarray:
        """Float32 (D,); OSError if the image could not be read."""
        if self.keys[row] not in self.cache:
            raise OSError(f'row {row}: no features, its image is unreadable')
        return self.cache.get(self.keys[row], np.random.randint(self.cache.views))


def _settings(step: Any) -> dict[str, Any]:
    """Class and public attributes of a step."""
    public = {key: value for key, value in vars(step).items() if not key.startswith('_')}
    return dict(public, step=type(step).__name__)
