"""Contract: rows are configs; a base of another style gets a helpful message."""

import pytest
import torch
from mmengine.config import Config

from mvlt import get_model, list_models
from mvlt.checkpoints import read_trained
from mvlt.config import load_config
from mvlt.config_files import PACKAGED, config_name, config_path

BASE = (
    'from mmengine.config import read_base\n'
    'with read_base():\n'
    '    from mvlt.configs.mvlt.pretrain_catalogue import *\n'
)


def _rows(folder, rows):
    (folder / '_rows_.py').write_text(f'{BASE}rows = {rows}\n')
    return folder


def test_a_row_sets_whole_values(tmp_path):
    folder = _rows(
        tmp_path, "{'small': {'model.backbone.depths': (1, 1, 1, 1), 'model.neck': None}}"
    )
    row, base = load_config(folder / 'small.py'), load_config('mvlt/pretrain_catalogue')
    base.model.backbone.depths = (1, 1, 1, 1)
    base.model.neck = None
    assert row.to_dict() == base.to_dict()
    assert row.filename == str(folder / 'small.py')
    with pytest.raises(FileNotFoundError, match=r'large.py: no such config'):
        load_config(folder / 'large.py')


def test_a_row_changes_what_another_config_changes(tmp_path):
    pair = ('mvlt/pretrain_fashiongen', 'mvlt/ablations/d1_itm')
    folder = _rows(tmp_path, f"{{'d1': {pair}}}")
    row, base = load_config(folder / 'd1.py'), load_config('mvlt/pretrain_catalogue')
    base.model.neck = base.model.heads.mir = base.model.heads.mlm = None
    steps = base.train_dataloader.dataset.dataset.pipeline
    steps.mask.ratio = steps.words.ratio = 0.0
    base.test_evaluator = []
    assert row.to_dict() == base.to_dict()


def test_a_row_of_a_part_that_is_not_there(tmp_path):
    folder = _rows(tmp_path, "{'a': {'model.nek.channels': None}}")
    with pytest.raises(KeyError, match=r"row 'a' sets model\.nek\.channels, .* no model\.nek;"):
        load_config(folder / 'a.py')


def test_a_packaged_row_is_like_any_config(tmp_path):
    name = 'mvlt/ablations/dual_encoder_catalogue/sigmoid'
    assert name in list_models() and not [other for other in list_models() if other.endswith('_')]
    config = load_config(name, {'model.heads.itc.dims': 8}, '/shop')
    assert config.model.heads.itc.form == 'sigmoid' and config.model.heads.itc.dims == 8
    assert config.data_root == '/shop' and 'rows' not in config
    assert config_name(config.filename) == name
    assert config_path(name) == PACKAGED / f'{name}.py'
    config.dump(tmp_path / 'sigmoid.py')
    assert load_config(tmp_path / 'sigmoid.py').to_dict() == config.to_dict()
    assert Config.fromfile(tmp_path / 'sigmoid.py').to_dict() == config.to_dict()
    with pytest.raises(FileNotFoundError, match=f'did you mean {name}'):
        load_config('mvlt/ablations/dual_encoder_catalogue/sigmoi')


def test_a_packaged_row_opens_with_weights(demo_data, tmp_path):
    name = 'mvlt/ablations/dual_encoder_catalogue/itc'
    torch.save(get_model(name).state_dict(), tmp_path / 'itc.pth')
    trained = read_trained(name, str(tmp_path / 'itc.pth'), str(demo_data / 'tokenizer'))
    assert list(trained.description.heads) == ['itc']


@pytest.mark.parametrize('imports', ['', 'from mvlt.models import PVTVL\n'])
@pytest.mark.parametrize(
    'base', [str(PACKAGED / 'mvlt/pretrain_catalogue.py'), 'mvlt::mvlt/pretrain_catalogue.py']
)
def test_a_classical_base(base, imports, tmp_path):
    (tmp_path / 'mine.py').write_text(f'{imports}_base_ = [{base!r}]\n')
    with pytest.raises(ValueError, match=r'mine\.py: _base_ = .*`with read_base\(\): from mvlt'):
        load_config(tmp_path / 'mine.py')


def test_classical_files_inherit_each_other(tmp_path):
    """mmengine's own way, where no config of this package is a base."""
    (tmp_path / 'base.py').write_text("default_scope = 'mvlt'\nmodel = dict(depth=1, dims=2)\n")
    (tmp_path / 'mine.py').write_text("_base_ = ['base.py']\nmodel = dict(depth=3)\n")
    assert load_config(tmp_path / 'mine.py').model == dict(depth=3, dims=2)
