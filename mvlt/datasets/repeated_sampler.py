"""An order of samples whose library takes a second to import: few runs need it."""

from mmpretrain.datasets import RepeatAugSampler

from mvlt.datasets.samplers import EpochOrder
from mvlt.registry import DATA_SAMPLERS


@DATA_SAMPLERS.register_module()
class RepeatedSampler(EpochOrder, RepeatAugSampler):
    """mmpretrain's RepeatAugSampler, for training that can be resumed exactly; its arguments."""
