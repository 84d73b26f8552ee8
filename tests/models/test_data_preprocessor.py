"""Contract: before normalisation masked pixels are 1e-6 of the 0..1 range."""

import numpy as np
import pytest
import torch

from mvlt.models import PairDataPreprocessor
from mvlt.structures import PairDataSample


def _data(tokens=(3, 5), side=32, masks=True):
    samples = []
    for i, _ in enumerate(tokens):
        sample = PairDataSample()
        if masks:
            sample.image_mask = torch.zeros(4, 4, dtype=torch.bool)
            sample.image_mask[i, 2] = True
        samples.append(sample)
    images = [torch.randint(0, 256, (3, side, side), dtype=torch.uint8) for _ in tokens]
    ids = [torch.arange(1, n + 1) for n in tokens]
    return dict(inputs=dict(image=images, token_ids=ids), data_samples=samples)


@pytest.mark.parametrize('normalised', [True, False])
def test_masked_pixels(normalised):
    none = {} if normalised else dict(mean=None, std=None)
    preprocessor = PairDataPreprocessor(**none)
    data = _data()
    inputs = preprocessor(data)['inputs']
    pixels = inputs['image'] * preprocessor.std + preprocessor.mean
    mask = torch.zeros(2, 32, 32, dtype=torch.bool)
    mask[0, 0:8, 16:24] = mask[1, 8:16, 16:24] = True
    images = torch.stack(data['inputs']['image']).float() / 255
    for i in range(2):
        filled = torch.full((3, 64), 1e-6)
        torch.testing.assert_close(pixels[i][:, mask[i]], filled, atol=1e-7, rtol=0)
        torch.testing.assert_close(pixels[i][:, ~mask[i]], images[i][:, ~mask[i]])
    # the target is unmasked
    assert torch.equal(inputs['pixels'], torch.stack(data['inputs']['image']))


def test_imagenet_normalisation_by_hand():
    preprocessor = PairDataPreprocessor()
    image = preprocessor.normalise(torch.full((1, 3, 2, 2), 255, dtype=torch.uint8))
    expected = [(1 - 0.485) / 0.229, (1 - 0.456) / 0.224, (1 - 0.406) / 0.225]
    torch.testing.assert_close(image[0, :, 0, 0], torch.tensor(expected))


def test_captions_are_padded_to_the_longest_and_pad_is_masked_out():
    inputs = PairDataPreprocessor()(_data(tokens=(3, 5)))['inputs']
    assert inputs['token_ids'].tolist() == [[1, 2, 3, 0, 0], [1, 2, 3, 4, 5]]
    assert inputs['text_mask'].tolist() == [[True] * 3 + [False] * 2, [True] * 5]


def test_fixed_length_attended_variant():
    preprocessor = PairDataPreprocessor(context_length=8, attend_pad=True)
    inputs = preprocessor(_data(tokens=(3, 5)))['inputs']
    assert inputs['token_ids'].shape == (2, 8) and inputs['text_mask'] is None


def test_no_padding_needs_no_mask_and_no_image_mask_is_none():
    inputs = PairDataPreprocessor()(_data(tokens=(4, 4), masks=False))['inputs']
    assert inputs['text_mask'] is None and inputs['image_mask'] is None


def test_one_sample():
    inputs = PairDataPreprocessor()(_data(tokens=(3,)))['inputs']
    assert inputs['image'].shape == (1, 3, 32, 32) and inputs['token_ids'].shape == (1, 3)


def test_wrong_batches():
    data = _data()
    data['inputs']['image'][1] = torch.zeros(3, 64, 64, dtype=torch.uint8)
    with pytest.raises(ValueError, match='images of different sizes'):
        PairDataPreprocessor()(data)
    with pytest.raises(
        ValueError, match='a caption of 5 tokens, but data_preprocessor.context_length=4'
    ):
        PairDataPreprocessor(context_length=4)(_data())
    with pytest.raises(ValueError, match='does not tile'):
        PairDataPreprocessor()(_data(side=34))
    with pytest.raises(ValueError, match='both mean and std'):
        PairDataPreprocessor(mean=None)


def test_mixup_is_for_dual_encoders_alone():
    """By hand: a share of the image, the rest of the partner's; in training only."""
    never, always = PairDataPreprocessor(), PairDataPreprocessor(mixup=1.0)
    for masks in (True, False):
        data = _data(masks=masks)
        assert 'mixed' not in always(data)['inputs']
        assert 'mixed' not in never(data, training=True)['inputs']
        np.random.seed(0)
        inputs = always(data, training=True)['inputs']
        partner, share = inputs['mixed']
        assert sorted(partner.tolist()) == [0, 1] and 0.5 <= share <= 1
        image = never.normalise(inputs['pixels'])
        expected = share * image + (1 - share) * image[partner]
        torch.testing.assert_close(inputs['whole_image'], expected)
        torch.testing.assert_close(inputs['image'], never(data)['inputs']['image'])
    with pytest.raises(ValueError, match='mixup=2'):
        PairDataPreprocessor(mixup=2)


def test_all_processes_mix_in_the_same_steps(monkeypatch):
    """Heads gather other tensors of a mixed batch; a process that does not mix would wait."""
    preprocessor = PairDataPreprocessor(mixup=0.5)
    monkeypatch.setattr('mvlt.models.data_preprocessor.get_world_size', lambda: 2)

    def decisions(seed):
        np.random.seed(seed)
        return [preprocessor._mixes(step) for step in range(40)]

    assert decisions(0) == decisions(1)
    assert 5 < sum(decisions(0)) < 35
