"""Contract: a checkpoint or a vocabulary that does not fit is refused before anything is lost."""

import copy
from types import SimpleNamespace

import pytest
import torch
from mmengine.logging import MMLogger

from mvlt.engine import LoadReportHook, VocabularyHook
from tests.models.test_mvlt import CATEGORIES, ITM, MIR, MLM, _model


def _runner(**heads):
    model = _model(**heads)
    return SimpleNamespace(model=model, logger=MMLogger.get_instance('hooks'), _resume=False)


@pytest.fixture
def checkpoint():
    return dict(state_dict=copy.deepcopy(_runner(**ITM, **MLM, **MIR).model.state_dict()))


def test_fitting_checkpoint_loads_whole(checkpoint):
    runner = _runner(**ITM, **MLM, **MIR)
    before = len(checkpoint['state_dict'])
    LoadReportHook().after_load_checkpoint(runner, checkpoint)
    assert len(checkpoint['state_dict']) == before


def test_a_checkpoint_names_all_trainings_before_it(checkpoint):
    first = dict(experiment_name='first', iter=5600)
    checkpoint['meta'] = dict(experiment_name='second', iter=4200, started_from=first, time='-')
    hook, saved = LoadReportHook(), dict(meta={})
    hook.after_load_checkpoint(_runner(**ITM, **MLM, **MIR), checkpoint)
    hook.before_save_checkpoint(None, saved)
    found = saved['meta']['started_from']
    assert (found['iter'], found['started_from']) == (4200, first) and 'time' not in found


def test_parts_that_the_task_lacks_are_left_out_and_new_heads_start_at_random(checkpoint):
    LoadReportHook().after_load_checkpoint(_runner(**CATEGORIES), checkpoint)
    assert {key.split('.')[0] for key in checkpoint['state_dict']} == {'backbone'}


@pytest.mark.parametrize(
    'damage',
    [
        lambda state: state.pop('backbone.stages.2.layers.0.mlp.0.weight'),
        lambda state: state.update({'backbone.stages.9.bias': torch.zeros(1)}),
        lambda state: state.update({'heads.itm.lora_A': torch.zeros(1)}),
    ],
)
def test_incomplete_or_foreign_parts_are_refused(checkpoint, damage):
    damage(checkpoint['state_dict'])
    with pytest.raises(ValueError, match='lacks .*, of a part that both have'):
        LoadReportHook().after_load_checkpoint(_runner(**ITM), checkpoint)


def test_other_shapes_are_refused_but_positions_are_resized(checkpoint):
    state = checkpoint['state_dict']
    key = 'backbone.stages.0.patches.positions.grid'
    state[key] = torch.zeros(1, 8, 20, 20)
    LoadReportHook().after_load_checkpoint(_runner(**ITM), checkpoint)
    state['backbone.words.words.weight'] = torch.zeros(60, 16)
    with pytest.raises(ValueError, match=r"\(60, 16\), the model's \(50, 16\) \(1 tensors differ"):
        LoadReportHook().after_load_checkpoint(_runner(**ITM), checkpoint)


def test_other_categories_restart_only_when_asked():
    state = _runner(**CATEGORIES).model.state_dict()
    state['heads.sub_category.classifier.weight'] = torch.zeros(9, 16)
    state['heads.sub_category.classifier.bias'] = torch.zeros(9)
    runner = _runner(**CATEGORIES)
    with pytest.raises(ValueError, match='made by another config'):
        LoadReportHook().after_load_checkpoint(runner, dict(state_dict=dict(state)))
    checkpoint = dict(state_dict=dict(state))
    LoadReportHook(restart=('heads',)).after_load_checkpoint(runner, checkpoint)
    assert 'heads.sub_category.classifier.bias' not in checkpoint['state_dict']
    assert 'heads.main_category.classifier.bias' in checkpoint['state_dict']


def test_checkpoint_of_another_vocabulary_is_refused(demo_data):
    from mvlt.datasets import load_vocabulary

    hook = VocabularyHook()
    hook.vocabulary = load_vocabulary(str(demo_data / 'vocabulary'))
    saved = dict(meta={})
    hook.before_save_checkpoint(None, saved)
    hook.after_load_checkpoint(None, saved)
    with pytest.raises(ValueError, match='is not the one that the checkpoint was trained with'):
        hook.after_load_checkpoint(None, dict(meta=dict(vocabulary='another')))


def test_the_vocabulary_of_wrapped_datasets_is_checked_too(demo_data):
    from mvlt.datasets import FashionGen, RankingGroups, Tokenize

    source = str(demo_data / 'vocabulary')
    records = FashionGen(
        data_root=str(demo_data),
        ann_file='fashiongen_64_64_train.h5',
        pipeline=[Tokenize(vocabulary=source)],
    )
    groups = RankingGroups(records, num_negatives=1)
    runner = SimpleNamespace(
        model=SimpleNamespace(backbone=SimpleNamespace(vocab_size=5)),
        _train_loop=SimpleNamespace(dataloader=SimpleNamespace(dataset=groups)),
        _val_loop=None,
        _test_loop=None,
    )
    with pytest.raises(ValueError, match='word pieces, the model 5 rows'):
        VocabularyHook().before_run(runner)
