"""Contract: the error for an unknown name lists the legal names."""

import mmengine.registry
import pytest

from mvlt import registry
from mvlt.registry import MODELS, TRANSFORMS


def test_unknown_mask_lists_the_legal_ones():
    with pytest.raises(KeyError) as error:
        TRANSFORMS.build(dict(type='StrokesMask'))
    message = str(error.value)
    assert 'Did you mean StrokeMask?' in message
    for name in ('RandomGridMask', 'GridMask', 'StrokeMask', 'CentreMask'):
        assert name in message


def test_mmengine_parts_are_found_through_ours():
    from mmcv.transforms import RandomFlip

    assert TRANSFORMS.get('RandomFlip') is RandomFlip
    assert MODELS.get('mvlt.PVTVL') is MODELS.get('PVTVL')


@pytest.mark.parametrize('name', ['OPTIMIZERS', 'VISUALIZERS', 'EVALUATORS', 'PARAM_SCHEDULERS'])
def test_a_part_of_ones_own_is_registered_in_ours(name):
    """mmengine's registry finds it, too."""
    ours = getattr(registry, name)
    part = ours.register_module(name='MyPart')(type('MyPart', (), {}))
    try:
        assert ours.get('mvlt.MyPart') is ours.get('MyPart') is part
        assert (
            getattr(mmengine.registry, name.replace('EVALUATORS', 'EVALUATOR')).get('mvlt.MyPart')
            is part
        )
    finally:
        del ours.module_dict['MyPart']
