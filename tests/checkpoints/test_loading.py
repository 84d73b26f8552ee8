"""Contract: a model takes its weights from a checkpoint that may hold more."""

import pytest
import torch
from mmengine.config import ConfigDict

from mvlt.checkpoints import load_model
from mvlt.models import MVLT
from tests.models.test_mvlt import BACKBONE, CATEGORIES, ITM, MIR, MLM


def _config(**heads):
    preprocessor = dict(type='mvlt.PairDataPreprocessor')
    neck = dict(type='mvlt.UNet') if 'mir' in heads else None
    return ConfigDict(
        model=dict(
            type='mvlt.MVLT',
            backbone=BACKBONE,
            neck=neck,
            heads=heads,
            data_preprocessor=preprocessor,
        )
    )


@pytest.fixture
def checkpoint(tmp_path):
    model = MVLT(**{k: v for k, v in _config(**ITM, **MLM, **MIR).model.items() if k != 'type'})
    torch.save(dict(state_dict=model.state_dict(), meta={}), tmp_path / 'a.pth')
    return str(tmp_path / 'a.pth')


def test_a_task_takes_its_weights(checkpoint):
    model = load_model(_config(**ITM), checkpoint)
    stored = torch.load(checkpoint, weights_only=True)['state_dict']
    assert not model.training
    assert all(torch.equal(value, stored[key]) for key, value in model.state_dict().items())


def test_a_checkpoint_of_another_model_is_refused(checkpoint):
    with pytest.raises(ValueError, match='lacks heads.main_category'):
        load_model(_config(**CATEGORIES), checkpoint)
    other = _config(**ITM)
    other.model.backbone.token_embed_dim = 24
    with pytest.raises(ValueError, match="the model's .* made by another config"):
        load_model(other, checkpoint)
