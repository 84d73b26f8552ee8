"""Contract: images are whole in even steps and masked in odd steps."""

from types import SimpleNamespace

import torch

from mvlt.engine import MaskStepsHook
from mvlt.models import PairDataPreprocessor
from mvlt.structures import PairDataSample


def _image(preprocessor):
    sample = PairDataSample()
    sample.image_mask = torch.ones(2, 2, dtype=torch.bool)
    inputs = dict(
        image=[torch.full((3, 8, 8), 255, dtype=torch.uint8)], token_ids=[torch.tensor([2, 3])]
    )
    return preprocessor(dict(inputs=inputs, data_samples=[sample]))['inputs']


def test_even_steps_are_whole_and_odd_ones_masked():
    preprocessor = PairDataPreprocessor(mean=None, std=None)
    runner = SimpleNamespace(model=SimpleNamespace(data_preprocessor=preprocessor), iter=0)
    hook = MaskStepsHook()
    for step, seen in ((0, 1.0), (1, 1e-6), (2, 1.0), (7, 1e-6), (6, 1.0)):
        runner.iter = step
        hook.before_train_iter(runner, batch_idx=0)
        inputs = _image(preprocessor)
        assert torch.all(inputs['image'] == seen), step
        assert (inputs['image_mask'] is None) == (seen == 1.0)
    hook.after_train(runner)
    assert torch.all(_image(preprocessor)['image'] == 1e-6)
