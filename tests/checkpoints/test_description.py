"""Contract: a description is plain data; the parts that a file names are checked before a build."""

import json

import pytest
import torch

from mvlt.checkpoints.description import (
    checked,
    describe,
    import_parts,
    stored_config,
)
from mvlt.checkpoints.differences import differences
from mvlt.checkpoints.parts import part_name
from mvlt.config import known_classes, load_config
from mvlt.registry import MODELS


@pytest.mark.parametrize(
    'name',
    ['mvlt/pretrain_fashiongen', 'mvlt/pretrain_fashiongen_released', 'mvlt/pretrain_catalogue'],
)
def test_the_model_of_a_config_survives_json(name):
    config = load_config(name)
    import_parts(config)
    description = describe(config, {}, name)
    again = checked(json.loads(json.dumps(description._asdict())), name)
    assert again == description
    with torch.device('meta'):
        config.model.backbone.init_cfg = None
        ours, theirs = again.build().state_dict(), MODELS.build(config.model).state_dict()
    assert {k: v.shape for k, v in ours.items()} == {k: v.shape for k, v in theirs.items()}


def test_preprocessing_is_the_test_pipeline_without_masks():
    config = load_config('mvlt/pretrain_fashiongen_released')
    description = describe(config, {}, 'x')
    assert list(description.preprocessing) == ['load', 'crop', 'resize', 'tokenize']
    assert description.mask == dict(type='RandomGridMask', ratio=0.5, alpha=4)
    assert 'tokenizer' not in description.preprocessing['tokenize']
    steps = config.test_dataloader.dataset.pipeline
    steps.resize.streams, steps.crop.streams = ('image', 'teacher'), ('teacher',)
    reading = describe(config, {}, 'x').preprocessing  # inference reads pairs
    assert list(reading) == ['load', 'resize', 'tokenize'] and 'streams' not in reading['resize']


def test_classes_need_names():
    config = load_config('mvlt/recognition_catalogue')
    for level in ('main_category', 'sub_category'):
        config.model.heads[level].num_classes = 2
    with pytest.raises(ValueError, match='main_category has 2 classes, the names of 0 are known'):
        describe(config, {}, 'x')
    names = dict(main_category=['a', 'b', 'unseen'], sub_category=['c', 'd'])
    assert describe(config, names, 'x').categories == dict(
        main_category=['a', 'b'], sub_category=['c', 'd']
    )
    assert known_classes(dict(main_category=('a', 'b'), main_category_trained=1)) == dict(
        main_category=['a']
    )


def test_rows_without_a_training_class():
    """The released heads: 122 rows, of which training names 121."""
    config = load_config('mvlt/recognition_fashiongen_released')
    names = dict(main_category=[f'm{i}' for i in range(48)], sub_category=list('ab'))
    classes = describe(config, names, 'x').categories['sub_category']
    assert len(classes) == 122 and classes[:3] == ['a', 'b', 'row 2']
    with pytest.raises(ValueError, match='sub_category has 122 classes, the names of 0'):
        describe(config, dict(names, sub_category=[]), 'x')


@pytest.mark.parametrize('name', ['features_regression', 'catalogue/features_clusters'])
def test_heads_of_training_alone_are_left_out(name):
    config = load_config(f'mvlt/ablations/{name}')
    model = describe(config, {}, 'x').model
    assert model['neck'] is None and set(model['heads']) == {'itm', 'mlm'}


def test_a_config_in_a_checkpoint_is_parsed_and_not_run(tmp_path):
    config = load_config('mvlt/pretrain_catalogue')
    stored = stored_config(config.pretty_text, 'x')
    assert describe(stored, {}, 'x') == describe(config, {}, 'x')
    marker = tmp_path / 'ran'
    for text in (
        f'import os\nos.system("touch {marker}")',
        f'a = __import__("os").system("touch {marker}")',
        f'a = dict(b=open("{marker}", "w"))',
        'a = dict(**b)',
        'a = [x for x in y]',
        'a =',
    ):
        with pytest.raises(ValueError, match='more than plain data'):
            stored_config(text, 'x')
    assert not marker.exists()


def _content(**model):
    return dict(
        model=dict(dict(type='MVLT'), **model),
        preprocessing=dict(a=dict(type='Tokenize')),
        mask=None,
        categories={},
    )


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ([], 'give an object with model, preprocessing'),
        (dict(_content(), extra=1), 'give an object with model'),
        (dict(_content(), model=[]), 'model is an object'),
        (_content(backbone=dict(type='os.system', command='x')), "the part 'os.system'"),
        (_content(backbone=dict(type='builtins.exec')), "the part 'builtins.exec'"),
        (_content(backbone=dict(_scope_='antigravity', type='PVTVL')), "the key '_scope_'"),
        (_content(backbone=dict(init_cfg=dict(type='Pretrained'))), "the part 'Pretrained'"),
        (_content(backbone=dict(embed_dims=[dict(type='exec')])), "the part 'exec'"),
        (_content(backbone=dict(a=object())), 'object is not plain data'),
        (_content(backbone=dict(type='torch.nn.Linear')), "the part 'torch.nn.Linear'"),
        (_content(backbone=dict(type='mmpretrain.exec')), 'is not a part of mmpretrain'),
        (_content(backbone=dict(type='mmpretrain.ImageClassifier')), 'is not a part of'),
        (
            _content(backbone=dict(type='mmpretrain.TIMMBackbone', pretrained=True)),
            'reads other files: remove pretrained',
        ),
        (dict(_content(), preprocessing=dict(a=dict(type='MVLT'))), "the part 'MVLT'"),
        (dict(_content(), preprocessing=dict(a=dict(type='MaskWords'))), "the part 'MaskWords'"),
        (dict(_content(), preprocessing=dict(a=1)), 'preprocessing.a is an object with a type'),
        (dict(_content(), preprocessing={}), 'needs one Tokenize'),
        (
            dict(_content(), preprocessing=dict(a=dict(type='Tokenize', download=True))),
            'remove the tokenizer, the folder brings it',
        ),
        (
            _content(heads=dict(a=dict(type='CategoryHead', num_classes=3))),
            'must name the classes',
        ),
        (dict(_content(), mask=dict(type='LoadImageFromFile')), "the part 'LoadImageFromFile'"),
        (dict(_content(), categories=dict(a=[1])), 'lists of names'),
    ],
)
def test_hostile_descriptions(content, message):
    with pytest.raises(ValueError, match=message):
        checked(content, 'x')


def test_settings_of_training_are_not_described(small_config, tmp_path):
    """Such as a queue, its momentum copy and intervals."""
    config = small_config(tmp_path)
    config.model.heads.itc = dict(type='ITCHead', dims=8, queue=16, label_smoothing=0.1)
    config.model.heads.itm = dict(type='HardITMHead', hidden_dims=16, warmup_steps=9, interval=2)
    description = describe(config, {}, 'config')
    assert description.heads['itc'] == dict(type='ITCHead', dims=8)
    assert description.heads['itm'] == dict(type='HardITMHead', hidden_dims=16)
    trained, published = MODELS.build(config.model), description.build()
    extra = trained.state_dict().keys() - published.state_dict().keys()
    assert extra and all('followers' in name or 'queued' in name for name in extra)
    assert published.state_dict().keys() <= trained.state_dict().keys()


def test_a_part_of_another_package_keeps_its_package(tmp_path):
    """From a class, an import path or a name with its scope."""
    from mmpretrain.models import ResNet

    path = 'mmpretrain.models.backbones.resnet.ResNet'
    for kind in (ResNet, path, 'mmpretrain.ResNet'):
        assert part_name(kind, MODELS) == 'mmpretrain.ResNet'
    content = _content(backbone=dict(type='mmpretrain.ResNet', depth=18))
    again = checked(json.loads(json.dumps(content)), 'x')
    assert type(MODELS.build(again.model['backbone'])) is ResNet


def test_differences_of_networks_with_equal_shapes():
    """Attention heads change no shape, yet the network; a resized size does not."""
    config = load_config('mvlt/pretrain_catalogue')
    description = describe(config, {}, 'x')
    assert differences(config, description) == []
    options = {'model.backbone.num_heads': (1, 1, 1, 1), 'model.data_preprocessor.attend_pad': True}
    other = load_config('mvlt/pretrain_catalogue', options)
    heads, pads = differences(other, description)
    assert heads.startswith('model.backbone.num_heads is [1, 1, 1, 1] here, [1, 2, 3, 4] there')
    assert pads == 'model.data_preprocessor.attend_pad is True here, False there'
    sizes = {'model.backbone.image_size': 96, 'model.backbone.drop_path_rate': 0.3}
    assert differences(load_config('mvlt/pretrain_catalogue', sizes), description) == []
    dual = load_config('mvlt/dual_encoder_catalogue_scratch')
    assert 'model.backbone is PVTV2VL here, PVTVL there' in differences(dual, description)


def test_a_training_may_start_from_the_weights_of_a_part_of_its_network():
    """Joint layers beside a dual encoder's parts; the trained share of a backbone."""
    frozen = load_config('mvlt/dual_encoder_catalogue')
    encoder = 'model.backbone.image_encoder'
    later = load_config(
        'mvlt/dual_encoder_catalogue', {f'{encoder}.trainable': ('timm_model.blocks.6',)}
    )
    classes = {label: ['a', 'b'] for label in ('main_category', 'sub_category')}
    frozen.model.heads.labels = later.model.heads.labels = None
    description = describe(frozen, classes, 'x')
    assert differences(later, description) == []
    other = f'{encoder}.backbone.model_name'
    wider = load_config('mvlt/dual_encoder_catalogue', {other: 'tf_efficientnet_lite1'})
    wider.model.heads.labels = None
    (line,) = differences(wider, description)
    assert line.startswith('model.backbone.image_encoder is ')
    joint = load_config('mvlt/pretrain_catalogue_imagenet')
    assert differences(joint, description, heads=False) == []
    assert differences(joint, description)[0].startswith('model.backbone is BackboneVL here')


@pytest.mark.parametrize('key', ['checkpoint_path', 'model_name'])
def test_a_backbone_of_timm_reads_no_files(key):
    value = 'hf-hub:timm/resnet18' if key == 'model_name' else 'weights.pth'
    backbone = {'type': 'mmpretrain.TIMMBackbone', 'model_name': 'resnet18', key: value}
    with pytest.raises(ValueError, match=f'remove {key}'):
        checked(json.loads(json.dumps(_content(backbone=backbone))), 'x')
