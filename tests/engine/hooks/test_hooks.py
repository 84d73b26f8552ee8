"""Contract: a checkpoint or tokenizer that does not fit is refused."""

import copy
from types import SimpleNamespace

import pytest
import torch
from mmengine.logging import MMLogger
from mmengine.runner import BaseLoop

from mvlt.engine import LoadReportHook, TokenizerHook
from tests.models.test_mvlt import CATEGORIES, ITM, MIR, MLM, _model


class _Loop(BaseLoop):
    """A loop that is built; its dataset has the classes that a test names."""

    def __init__(self, metainfo):
        self.dataloader = SimpleNamespace(dataset=SimpleNamespace(metainfo=metainfo))

    def run(self):
        """Nothing."""


def _runner(task='train', metainfo=None, **heads):
    """As the Runner is when it loads: training, testing, or resuming."""
    loop = {} if task == 'test' else _Loop(metainfo or {})
    return SimpleNamespace(
        model=_model(**heads),
        logger=MMLogger.get_instance('hooks'),
        _resume=task == 'resume',
        _train_loop=loop,
        train_loop=loop,
    )


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
    start = saved['meta']['started_from']
    assert (start['iter'], start['started_from']) == (4200, first) and 'time' not in start


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


def _load(state, runner, **settings):
    checkpoint = dict(state_dict=dict(state))
    LoadReportHook(**settings).after_load_checkpoint(runner, checkpoint)
    return checkpoint['state_dict']


@pytest.mark.parametrize('prefix', ['module.', '_orig_mod.', 'model.', 'module._orig_mod.'])
def test_the_prefixes_of_wrappers_are_cut_off(checkpoint, prefix):
    state = checkpoint['state_dict']
    wrapped = {f'{prefix}{name}': value for name, value in state.items()}
    loaded = _load(wrapped, _runner('test', **ITM, **MLM, **MIR))
    assert loaded.keys() == state.keys()


@pytest.mark.parametrize('task', ['test', 'resume'])
def test_nothing_is_left_at_random_but_where_a_training_begins(checkpoint, task):
    """A head that the checkpoint lacks answers by accident."""
    state = checkpoint['state_dict']
    with pytest.raises(ValueError, match=r'leaves heads.main_category.* at random: a '):
        _load(state, _runner(task, **ITM, **CATEGORIES))
    assert 'heads.itm.classifier.bias' in _load(state, _runner(task, **ITM))
    assert _load(state, _runner('train', **ITM, **CATEGORIES))


@pytest.mark.parametrize('task', ['train', 'test', 'resume'])
def test_a_checkpoint_of_something_else_gives_nothing_and_is_refused(task):
    foreign = {f'net.{i}.weight': torch.zeros(2) for i in range(3)}
    with pytest.raises(ValueError, match='gives the model (nothing: it holds net|0 tensors)'):
        _load(foreign, _runner(task, **ITM))


def test_weights_that_are_no_numbers_are_refused(checkpoint):
    checkpoint['state_dict']['backbone.words.words.weight'][3, 2] = float('nan')
    with pytest.raises(ValueError, match='words.weight is not finite: the training has'):
        _load(checkpoint['state_dict'], _runner('test', **ITM))


def test_rows_of_classes_are_moved_by_name():
    """New classes start at random, classes that the data lack are dropped."""
    classes = dict(main_category=['hats', 'bags'], sub_category=['c', 'b', 'a'])
    meta = dict(main_category=('bags', 'hats'), main_category_trained=2)
    meta |= dict(sub_category=('a', 'new', 'c', 'unseen'), sub_category_trained=3)
    counts = dict(main_category=2, sub_category=3)
    heads = {name: dict(CATEGORIES[name], num_classes=count) for name, count in counts.items()}
    runner = _runner('train', meta, **heads)
    initial = runner.model.state_dict()
    before = {name: value + 1 for name, value in initial.items()}
    state = _load(before, runner, classes=classes)
    for key in ('weight', 'bias'):
        name = f'heads.sub_category.classifier.{key}'
        old = before[name]
        torch.testing.assert_close(state[name], torch.stack((old[2], initial[name][1], old[0])))
        name = f'heads.main_category.classifier.{key}'
        torch.testing.assert_close(state[name], before[name].flip(0))
    foreign = dict(classes, main_category=['x', 'y'])
    with pytest.raises(ValueError, match=r'no class of the training data \(bags, hats\) is in'):
        _load(before, runner, classes=foreign)
    state = _load(before, runner, classes=foreign, restart=('heads.main_category',))  # as it says
    assert 'heads.main_category.classifier.bias' not in state
    assert 'heads.main_category.projection.0.bias' in state


def test_a_checkpoint_of_another_tokenizer_is_refused(demo_data):
    from mvlt.datasets import load_tokenizer

    hook = TokenizerHook()
    hook.tokenizer = load_tokenizer(str(demo_data / 'tokenizer'))
    saved = dict(meta={})
    hook.before_save_checkpoint(None, saved)
    hook.after_load_checkpoint(None, saved)
    with pytest.raises(ValueError, match='is not the one that the checkpoint was trained with'):
        hook.after_load_checkpoint(None, dict(meta=dict(tokenizer='another')))


def test_the_tokenizer_of_wrapped_datasets_is_checked_too(demo_data):
    from mvlt.datasets import FashionGen, RankingGroups, Tokenize

    source = str(demo_data / 'tokenizer')
    records = FashionGen(
        data_root=str(demo_data),
        ann_file='fashiongen_64_64_train.h5',
        pipeline=[Tokenize(tokenizer=source)],
    )
    groups = RankingGroups(records, num_negatives=1)
    runner = SimpleNamespace(
        model=SimpleNamespace(backbone=SimpleNamespace(vocab_size=5)),
        _train_loop=SimpleNamespace(dataloader=SimpleNamespace(dataset=groups)),
        _val_loop=None,
        _test_loop=None,
    )
    with pytest.raises(ValueError, match='word pieces, the model 5 rows'):
        TokenizerHook().before_run(runner)
