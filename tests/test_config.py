"""Contract: unknown options are refused, --data-root moves every path, classes are counted."""

import pytest

from mvlt.config import load_config

CONFIG = 'configs/demo/pretrain_demo.py'


@pytest.mark.parametrize(
    ('key', 'message'),
    [
        ('model.backbone.dephts', "'dephts' is unknown here; legal: arch, "),
        ('modle.backbone.depths', "there is no 'modle'"),
        ('model.bakbone.depths', "there is no 'model.bakbone'"),
        ('learning_rate', "'learning_rate' is unknown here"),
        (
            'train_dataloader.dataset.dataset.pipeline.masks.ratio',
            r"no '.*pipeline.masks' .*; beside it are: load, crop, augment, resize, flip, mask",
        ),
        ('train_dataloader.batchsize', "'batchsize' is unknown here"),
        ('image_size', "'image_size' only helps the file to write"),
        ('data_root', 'for data_root: --data-root'),
    ],
)
def test_unknown_keys_are_refused(key, message):
    with pytest.raises(KeyError, match=message):
        load_config(CONFIG, {key: 1})


def test_known_keys_and_unwritten_arguments_are_taken():
    config = load_config(
        CONFIG,
        {
            'model.backbone.word_dropout': 0.2,  # an argument that the config does not write
            'train_dataloader.dataset.dataset.pipeline.mask.ratio': 0.3,
            'train_dataloader.dataset.dataset.indices': 8,  # of mmengine's BaseDataset
            'model.neck.type': 'UNet',
            'train_dataloader.pin_memory': True,  # an argument of the data loader
        },
    )
    assert config.model.backbone.word_dropout == 0.2
    assert config.train_dataloader.dataset.dataset.pipeline.mask.ratio == 0.3


def test_data_root_moves_every_path():
    config = load_config(CONFIG, data_root='/shop')
    dataset = config.train_dataloader.dataset.dataset
    assert dataset.data_root == '/shop'
    steps = dataset.pipeline
    assert steps.tokenize.vocabulary == steps.words.vocabulary == '/shop/vocabulary'
    assert 'work_dirs/demo/data' not in config.pretty_text


def test_classes_are_counted_and_the_dump_holds_the_number(demo_data):
    config = load_config('configs/demo/recognition_demo.py', data_root=str(demo_data))
    heads = config.model.heads
    assert (heads.main_category.num_classes, heads.sub_category.num_classes) == (5, 12)
    assert "'data'" not in config.pretty_text


def test_a_config_of_before_is_told_where_its_heads_went(tmp_path):
    (tmp_path / 'old.py').write_text('model = dict(type="MVLT", itm_head=dict(type="ITMHead"))')
    with pytest.raises(KeyError, match=r'model.itm_head of earlier .* model.heads.itm'):
        load_config(tmp_path / 'old.py')


def test_no_such_config():
    with pytest.raises(FileNotFoundError, match='configs/README.md lists them'):
        load_config('configs/none.py')


def test_schedulers_end_with_the_training_and_those_that_never_act_are_left_out(tmp_path):
    steps = load_config(CONFIG, {'train_cfg.max_iters': 50}, count=False).param_scheduler
    assert [one.type.rpartition('.')[2] for one in steps] == ['LinearLR']  # decay begins at 100
    load_config(CONFIG, count=False).dump(tmp_path / 'dump.py')
    again = load_config(tmp_path / 'dump.py', {'train_cfg.max_iters': 50}, count=False)
    assert again.param_scheduler == steps
    path = 'configs/mvlt/pretrain_fashiongen.py'
    by_steps = {'param_scheduler.decay.by_epoch': False, 'param_scheduler.decay.begin': 500}
    assert len(load_config(path, by_steps, count=False).param_scheduler) == 2  # of 150 epochs
    without = load_config(path, {'param_scheduler.decay': None}, count=False).param_scheduler
    assert len(without) == 1


def test_without_val_cfg_nothing_is_validated():
    config = load_config(CONFIG, {'val_cfg': None}, count=False)
    assert config.val_dataloader is None and config.val_evaluator is None


def test_an_attribute_of_a_part_that_is_not_there(tmp_path):
    """Else a traceback that ends within mmengine."""
    (tmp_path / 'mine.py').write_text(
        'from mmengine.config import read_base\n'
        'with read_base():\n'
        '    from mvlt.configs.mvlt.pretrain_catalogue import *\n'
        "model.backbone.init_cfg.checkpoint = 'pvt.safetensors'\n"
    )
    with pytest.raises(ValueError, match=r'mine\.py: .*init_cfg.*: it changes an attribute'):
        load_config(tmp_path / 'mine.py')
