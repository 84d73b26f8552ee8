"""Repeated augmentation; a module of its own, since mmpretrain takes a second to import."""

from mmpretrain.datasets import RepeatAugSampler

from mvlt.datasets.samplers import EpochOrder
from mvlt.registry import DATA_SAMPLERS


@DATA_SAMPLERS.register_module()
class RepeatedSampler(EpochOrder, RepeatAugSampler):
    """mmpretrain's RepeatAugSampler, for training that resumes exactly."""
