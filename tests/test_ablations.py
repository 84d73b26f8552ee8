"""Contract: an ablation changes only what its row of the paper's Tables 3 and 4 changes."""

from pathlib import Path

import pytest

from mvlt import list_models
from mvlt.config import load_config

FOLDER = Path(__file__).parent.parent / 'configs/mvlt/ablations'
MASK = 'train_dataloader.dataset.dataset.pipeline.mask'
WORDS = 'train_dataloader.dataset.dataset.pipeline.words'
NO_MIR = {f'{MASK}.ratio': 0.0, 'model.neck': None, 'model.heads.mir': None}
NO_MLM = {f'{WORDS}.ratio': 0.0, 'model.heads.mlm': None}
ROWS = {
    'a1_ratio_10': {f'{MASK}.ratio': 0.1},
    'a2_ratio_30': {f'{MASK}.ratio': 0.3},
    'a3_ratio_70': {f'{MASK}.ratio': 0.7},
    'a4_ratio_90': {f'{MASK}.ratio': 0.9},
    'b1_alpha_1': {f'{MASK}.alpha': 1},
    'b2_alpha_2': {f'{MASK}.alpha': 2},
    'b3_alpha_8': {f'{MASK}.alpha': 8},
    'b4_alpha_16': {f'{MASK}.alpha': 16},
    'c1_grid': {f'{MASK}.type': 'mvlt.datasets.GridMask'},
    'c2_stroke': {f'{MASK}.type': 'mvlt.datasets.StrokeMask'},
    'c2_stroke_released': {f'{MASK}.type': 'mvlt.datasets.StrokeMask', f'{MASK}.ratio': None},
    'c3_centre': {f'{MASK}.type': 'mvlt.datasets.CentreMask'},
    'c3_square_released': {f'{MASK}.type': 'mvlt.datasets.RandomSquareMask'},
    'd1_itm': {**NO_MIR, **NO_MLM},
    'd2_itm_mir': NO_MLM,
    'd3_itm_mlm': NO_MIR,
    'e1_without_pvt': {'model.backbone.init_cfg': None},
    # Fig. 1, top: another head over the same decoder
    'features_regression': {'model.heads.mir.type': 'mvlt.models.MaskedFeatureHead'},
    'features_clusters': {
        'model.heads.mir.type': 'mvlt.models.MaskedClusterHead',
        'default_hooks.fit_clusters.type': 'mvlt.engine.FitClustersHook',
    },
}


def _flat(value, key=''):
    """A config's leaves by their dotted keys; a dict of None counts as a leaf."""
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list | tuple):
        items = enumerate(value)
    else:
        return {key: value}
    return {
        name: leaf
        for part, item in items
        for name, leaf in _flat(item, f'{key}.{part}' if key else str(part)).items()
    }


def test_every_row_has_a_config():
    assert {path.stem for path in FOLDER.glob('*.py')} == set(ROWS)


@pytest.mark.parametrize('name', ROWS)
def test_a_row_changes_only_its_own_factor(name, demo_data):
    final = _flat(load_config(FOLDER.parent / 'pretrain_fashiongen.py').to_dict())
    row = _flat(load_config(FOLDER / f'{name}.py').to_dict())
    changed = {
        key: row.get(key)
        for key in final.keys() | row.keys()
        if final.get(key) != row.get(key) and not key.startswith('test_evaluator')
    }
    for key, value in ROWS[name].items():
        assert row[key] == value
    allowed = [
        *(['model.heads.mir'] if 'features' in name else []),
        *ROWS[name],
        *(key.replace('train_dataloader.dataset', 'test_dataloader') for key in ROWS[name]),
    ]
    assert all(any(key.startswith(prefix) for prefix in allowed) for key in changed), changed
    if name.startswith(('d2', 'd3')):  # tested on what they were trained on
        step = 'test_dataloader.dataset.pipeline.' + ('mask' if name.startswith('d3') else 'words')
        assert row[f'{step}.ratio'] == 0.0


# on a catalogue units are of 8 pixels; B1 to B4 are in the paper's proportion to that
CATALOGUE = {
    **{name: change for name, change in ROWS.items() if name[0] in 'acdf' and 'rel' not in name},
    'b1_unit_2': {f'{MASK}.patch_size': 2, f'{MASK}.alpha': 1},
    'b2_unit_4': {f'{MASK}.alpha': 1},
    'b3_unit_16': {f'{MASK}.alpha': 4},
    'b4_unit_32': {f'{MASK}.alpha': 8},
    'e1_without_pvt': {},
    'e1_with_pvt': {},
}


def test_every_row_has_a_twin_on_a_catalogue():
    names = list_models('mvlt/ablations/catalogue/*')
    assert {name.rpartition('/')[2] for name in names} == set(CATALOGUE)


@pytest.mark.parametrize('name', CATALOGUE)
def test_the_same_rows_on_a_catalogue(name):
    final = _flat(load_config(FOLDER.parent / 'pretrain_catalogue.py').to_dict())
    row = _flat(load_config(f'mvlt/ablations/catalogue/{name}').to_dict())
    changed = {
        key
        for key in final.keys() | row.keys()
        if final.get(key) != row.get(key) and not key.startswith('test_evaluator')
    }
    parts = dict(e=['model.backbone', 'model.neck'], f=['model.heads.mir', 'default_hooks'])
    allowed = [*parts.get(name[0], [])]
    for key in CATALOGUE[name]:
        # tested on what was trained
        allowed += [key, key.replace('train_dataloader.dataset', 'test_dataloader')]
    assert changed and all(any(key.startswith(prefix) for prefix in allowed) for key in changed), (
        changed
    )
    for key, value in CATALOGUE[name].items():
        if key.startswith('train_dataloader'):
            assert row[key] == value


def test_the_start_from_imagenet_is_all_that_e1_changes():
    first, second = (
        _flat(load_config(f'mvlt/ablations/catalogue/e1_{name}_pvt').to_dict())
        for name in ('with', 'without')
    )
    changed = {key for key in first.keys() | second.keys() if first.get(key) != second.get(key)}
    assert changed == {'model.backbone.init_cfg.type', 'model.backbone.init_cfg.checkpoint'}
