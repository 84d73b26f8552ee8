"""Contract: an unknown name is answered with the legal ones."""

import pytest

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
