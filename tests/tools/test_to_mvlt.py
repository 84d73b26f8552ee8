"""Contract: the converter writes a complete file that names the source of its weights."""

import sys

import pytest
import torch

from mvlt.checkpoints.checkpoint import read_checkpoint, run_of
from mvlt.tools.analysis_tools.paper_results import column_of
from mvlt.tools.model_converters import to_mvlt
from tests.models.released_twin import Sizes, draw_weights


def test_released_weights_say_so(tmp_path, monkeypatch, capsys):
    source, out = tmp_path / 'checkpoint.pth', tmp_path / 'out/released.safetensors'
    torch.save(dict(model=draw_weights(Sizes(), 0)), source)
    monkeypatch.setattr(sys, 'argv', ['to_mvlt.py', 'released', str(source), str(out)])
    to_mvlt.main()
    assert 'tensors (backbone' in capsys.readouterr().out
    assert 'backbone.words.words.weight' in read_checkpoint(str(out))
    assert run_of(str(out)) == dict(source='released')
    assert column_of(run_of(str(out))) == 'released weights'
    assert [path.name for path in out.parent.iterdir()] == ['released.safetensors']


def test_what_is_no_such_checkpoint_leaves_nothing(tmp_path, monkeypatch):
    source, out = tmp_path / 'checkpoint.pth', tmp_path / 'vit.safetensors'
    torch.save(draw_weights(Sizes(), 0), source)
    monkeypatch.setattr(sys, 'argv', ['to_mvlt.py', 'vit', str(source), str(out)])
    with pytest.raises(ValueError, match='give a checkpoint of a plain ViT'):
        to_mvlt.main()
    assert not out.exists()
