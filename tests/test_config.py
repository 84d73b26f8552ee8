"""Contract: unknown options are refused, --data-root moves every path, no data are opened."""

import pytest

from mvlt.config import load_config
from mvlt.registry import MODELS

CONFIG = 'configs/demo/pretrain_demo.py'
INHERITS = (
    'from mmengine.config import read_base\n'
    'with read_base():\n'
    '    from mvlt.configs.mvlt.{} import *\n'
)


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
        ('vocab_size', "'vocab_size' only helps the file to write"),
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
            'model.backbone.token_dropout': 0.2,  # an argument that the config does not write
            'train_dataloader.dataset.dataset.pipeline.mask.ratio': 0.3,
            'train_dataloader.dataset.dataset.indices': 8,  # of mmengine's BaseDataset
            'model.neck.type': 'UNet',
            'train_dataloader.pin_memory': True,  # an argument of the data loader
        },
    )
    assert config.model.backbone.token_dropout == 0.2
    assert config.train_dataloader.dataset.dataset.pipeline.mask.ratio == 0.3


def test_data_root_moves_every_path():
    config = load_config(CONFIG, data_root='/shop')
    dataset = config.train_dataloader.dataset.dataset
    assert dataset.data_root == '/shop'
    steps = dataset.pipeline
    assert steps.tokenize.tokenizer == steps.words.tokenizer == '/shop/tokenizer'
    assert 'work_dirs/demo/data' not in config.pretty_text


def _sides(config):
    """The numbers that follow from image_size."""
    train = config.train_dataloader.dataset.pipeline
    steps = [train, config.val_dataloader.dataset.pipeline, config.test_dataloader.dataset.pipeline]
    return (
        config.model.backbone.image_size,
        train.crop.scale,
        *(step.resize.scale for step in steps),
        *(step.load.side for step in steps),
    )


def test_image_size_is_one_value(tmp_path):
    options = {'image_size': 128}
    config = load_config('mvlt/dual_encoder_catalogue_scratch', options)
    assert _sides(config) == (128, 128, *[(128, 128)] * 3, *[224] * 3)
    (tmp_path / 'mine.py').write_text(
        f'{INHERITS.format("dual_encoder_catalogue_scratch")}image_size = 128\n'
    )
    assert load_config(tmp_path / 'mine.py').to_dict() == config.to_dict()
    assert "'image_size'" not in config.pretty_text.replace("'image_size':", '')
    config.dump(tmp_path / 'dump.py')
    assert load_config(tmp_path / 'dump.py').to_dict() == config.to_dict()
    with pytest.raises(KeyError, match=r'nothing in .*dump\.py follows from it'):
        load_config(tmp_path / 'dump.py', options)
    # a fixed number stays
    key = 'test_dataloader.dataset.pipeline.resize.scale'
    config = load_config('mvlt/dual_encoder_catalogue_scratch', {**options, key: (96, 64)})
    assert config.test_dataloader.dataset.pipeline.resize.scale == (96, 64)


def test_image_size_that_cannot_be(tmp_path):
    with pytest.raises(KeyError, match='is a protocol; it reads images at the size of the check'):
        load_config('mvlt/retrieval_catalogue', {'image_size': 128})
    for wrong in (0, 'large'):
        with pytest.raises(ValueError, match=f'image_size={wrong}; give the side'):
            load_config('mvlt/dual_encoder_catalogue_scratch', {'image_size': wrong})
    uneven = load_config('mvlt/pretrain_catalogue', {'image_size': 100})
    with pytest.raises(ValueError, match='32 must divide the side; near it are 96 and 128'):
        MODELS.build(uneven.model)
    config = f'{INHERITS.format("pretrain_catalogue")}model.backbone.image_size = 96\n'
    (tmp_path / 'mine.py').write_text(config)
    assert load_config(tmp_path / 'mine.py').model.backbone.image_size == 96
    with pytest.raises(ValueError, match=r"is fixed to 96 in .*write image_size='image_"):
        load_config(tmp_path / 'mine.py', {'image_size': 128})


def test_no_such_config():
    with pytest.raises(FileNotFoundError, match='configs/README.md lists them'):
        load_config('configs/none.py')


def test_reading_opens_no_data(tmp_path):
    """Nor does it change the user's folder."""
    config = load_config('mvlt/recognition_catalogue', data_root=str(tmp_path / 'nowhere'))
    assert config.model.heads.main_category.num_classes == 'data'
    assert not list(tmp_path.iterdir())


def test_a_protocol_has_no_model_to_change():
    with pytest.raises(KeyError, match="no 'model' .* It is a protocol: the model is the check"):
        load_config('mvlt/retrieval_catalogue', {'model.backbone.depths': (1, 1, 1, 1)})
    assert load_config('mvlt/recognition_catalogue', {'model': None}).model is None


def test_an_attribute_of_a_part_that_is_not_there(tmp_path):
    """Else a traceback that ends within mmengine."""
    (tmp_path / 'mine.py').write_text(
        f'{INHERITS.format("pretrain_catalogue")}'
        "model.backbone.init_cfg.checkpoint = 'pvt.safetensors'\n"
    )
    with pytest.raises(ValueError, match=r'mine\.py: .*init_cfg.*: it changes an attribute'):
        load_config(tmp_path / 'mine.py')
