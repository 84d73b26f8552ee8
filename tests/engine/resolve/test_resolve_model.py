"""Contract: a model fits its recipe or is refused; a protocol takes the model it gets."""

import shutil

import pytest
import torch
from safetensors.torch import load_file

from mvlt.checkpoints.folder import read_model_folder, write_model_folder
from mvlt.config import load_config
from mvlt.datasets import CaptionTokenizer
from mvlt.engine import resolve
from mvlt.engine.launch import build_runner
from tests.commands import run_here
from tests.engine.resolve.shop_table import TINY, small_recipe


def test_a_protocol_takes_the_given_model(embedding_folder, demo_data):
    """Network, preprocessing and tokenizer are the model's; data and metrics the protocol's."""
    read = load_config('demo/retrieval_demo', data_root=str(demo_data))
    config = resolve(read, 'test', str(embedding_folder))
    folder = read_model_folder(embedding_folder)
    assert config.model.backbone.type == folder.description.model['backbone']['type']
    assert set(config.model.heads) == {'itc', 'itm'} and config.model.neck is None
    pipeline = config.test_dataloader.dataset.pipeline
    assert list(pipeline.resize.scale) == [32, 32]
    assert pipeline.tokenize.tokenizer == str(embedding_folder)
    assert config.load_from == folder.weights
    with pytest.raises(ValueError, match='is a protocol, it has no model to train; take a recipe'):
        resolve(read)
    with pytest.raises(ValueError, match='it has no model: name a model folder or a checkpoint'):
        resolve(read, 'test')


def test_the_models_preprocessing_replaces_the_protocols(model_folder, demo_data):
    """A protocol that crops to the product does not crop for a model without that step."""
    options = {'model': None, 'test_dataloader.dataset.pipeline.mask': None}
    read = load_config('mvlt/retrieval_fashiongen_released', options, str(demo_data))
    assert read.test_dataloader.dataset.pipeline.crop is not None
    for name in ('train', 'validation'):
        link = demo_data / f'fashiongen_256_256_{name}.h5'
        if not link.exists():
            link.symlink_to(demo_data / f'fashiongen_64_64_{name}.h5')
    pipeline = resolve(read, 'test', str(model_folder)).test_dataloader.dataset.pipeline
    assert [name for name, step in pipeline.items() if step] == [
        *('load', 'resize', 'tokenize', 'pack'),
    ]


def test_weights_without_a_config_need_their_recipe(model_folder, demo_data, tmp_path):
    weights = str(shutil.copy(model_folder / 'model.safetensors', tmp_path / 'a.safetensors'))
    read = load_config('demo/retrieval_demo', data_root=str(demo_data))
    with pytest.raises(ValueError, match='does not hold its config; a protocol tests a published'):
        resolve(read, 'test', weights)
    with pytest.raises(FileNotFoundError, match='no such checkpoint or model folder'):
        resolve(read, 'test', str(tmp_path / 'none.pth'))


def test_a_head_that_the_model_lacks(model_folder, demo_data, tmp_path):
    folder = read_model_folder(model_folder)
    model = {**folder.description.model, 'neck': None}
    model['heads'] = {k: v for k, v in model['heads'].items() if k != 'mir'}
    bare = folder.description._replace(model=model, mask=None)
    out = write_model_folder(tmp_path / 'out', bare, load_file(folder.weights),
                             str(model_folder), '')  # fmt: skip
    read = load_config('demo/generation_demo', data_root=str(demo_data))
    with pytest.raises(ValueError, match=r'this model has no head mir; it has itm, mlm, main_cat'):
        resolve(read, 'test', str(out))


def test_a_recipe_refuses_another_network(shop, tmp_path):
    """The number of attention heads changes no shape, so the weights would load."""
    config = small_recipe(shop, name='mvlt/recognition_catalogue')
    runner = build_runner(config, work_dir=str(tmp_path / 'a'))
    runner.train()
    checkpoint = str(tmp_path / 'a/iter_5.pth')
    other = small_recipe(shop, {'model.backbone.num_heads': (1, 2, 1, 1)})
    for task in ('test', 'train'):
        with pytest.raises(ValueError, match=r'is not of .*num_heads is \[1, 2, 1, 1\] here'):
            resolve(other, task, checkpoint)
    larger = small_recipe(shop, {'model.backbone.image_size': 64})
    assert resolve(larger, 'test', checkpoint)  # positions are resized
    cropped = {'test_dataloader.dataset.pipeline.resize.keep_ratio': True}
    (line,) = (text for text in resolve(small_recipe(shop, cropped), 'test', checkpoint).resolved
               if 'images are read as the recipe says' in text)  # fmt: skip
    assert "'keep_ratio': True" in line
    sizes = {key: value for key, value in TINY.items() if not key.startswith('model.')}
    read = load_config('mvlt/recognition_catalogue', {**sizes, 'model': None}, str(shop))
    as_it_is = resolve(read, 'test', checkpoint)
    assert as_it_is.model.backbone.num_heads == [1, 1, 1, 1]


def test_every_tokenizer_is_the_models(shop, model_folder, tmp_path):
    """All loaders use the tokenizer of the folder that training starts from."""
    description = read_model_folder(model_folder).description
    parts = ('backbone', 'neck', 'data_preprocessor')
    same = {f'model.{part}': dict(description.model[part], _delete_=True) for part in parts}
    heads = {'model.heads.itm.hidden_dims': 16}
    others = {key: value for key, value in TINY.items() if not key.startswith('model.')}
    options = {k: v for k, v in others.items() if 'dataset.pipeline' not in k}
    read = load_config('mvlt/pretrain_catalogue', {**options, **same, **heads}, str(shop))
    config = resolve(read, 'train', str(model_folder))
    for settings in (
        config.train_dataloader.dataset.dataset,
        config.val_dataloader.dataset,
        config.test_dataloader.dataset,
    ):
        assert settings.pipeline.tokenize.tokenizer == str(model_folder)
    assert CaptionTokenizer(str(model_folder)).fingerprint
    assert config.load_from == str(model_folder / 'model.safetensors') and not config.resume


def test_a_recipe_compares_what_its_heads_read(shop, tmp_path):
    build_runner(small_recipe(shop), work_dir=str(tmp_path / 'a')).train()
    other = small_recipe(shop, {'model.heads.main_category.reads': 'image'})
    checkpoint = str(tmp_path / 'a/iter_5.pth')
    with pytest.raises(ValueError, match='main_category.reads is image here, pair there'):
        resolve(other, 'test', checkpoint)
    assert resolve(other, 'train', checkpoint).load_from == checkpoint  # to be learnt anew


def test_no_weights_at_all(shop, tmp_path):
    done = run_here('tools/test.py', 'configs/mvlt/recognition_catalogue.py', 'none',
                    '--data-root', shop, '--work-dir', tmp_path)  # fmt: skip
    assert done.returncode == 2 and 'would be random; name a checkpoint' in done.stderr


def test_a_dual_encoder_is_ranked_by_embeddings(embedding_folder, demo_data, tmp_path):
    folder = read_model_folder(embedding_folder)
    description = folder.description
    model = {**description.model, 'neck': None, 'heads': {'itc': description.heads['itc']}}
    bare = description._replace(model=model, mask=None, categories={})
    out = write_model_folder(tmp_path / 'out', bare, load_file(folder.weights),
                             str(embedding_folder), '')  # fmt: skip
    config = resolve(load_config('demo/retrieval_demo', data_root=str(demo_data)), 'test', str(out))
    assert config.test_cfg.rerank is None
    assert any('has no matching head' in line for line in config.resolved)
    both = resolve(load_config('demo/retrieval_demo', data_root=str(demo_data)), 'test',
                   str(embedding_folder))  # fmt: skip
    assert both.test_cfg.rerank == 'itm'


def test_a_dual_encoder_with_a_queue_starts_from_checkpoint_and_folder(shop, tmp_path):
    options = {key: value for key, value in TINY.items() if 'resize' not in key}
    options |= {
        'model.heads.itc.queue': 8,
        'model.heads.itc.dims': 8,
        'model.heads.prompts': None,
        'model.data_preprocessor.mixup': 0.0,
        'train_dataloader.dataset.pipeline.crop.scale': 32,
        'train_dataloader.dataset.pipeline.resize.scale': (32, 32),
        'test_dataloader.dataset.pipeline.resize.scale': (32, 32),
        'default_hooks.prompts': None,
        'val_cfg': None,
    }
    read = load_config('mvlt/dual_encoder_catalogue_scratch', options, str(shop))
    read.default_hooks.momentum = dict(type='MomentumHook')
    build_runner(read, work_dir=str(tmp_path / 'a')).train()
    checkpoint = tmp_path / 'a/iter_5.pth'
    done = run_here('tools/model_converters/publish.py', checkpoint, tmp_path / 'folder')
    assert done.returncode == 0, done.stderr
    protocol = load_config('mvlt/retrieval_full_catalogue', data_root=str(shop))
    for model in (checkpoint, tmp_path / 'folder'):
        runner = build_runner(protocol, 'test', str(model), work_dir=str(tmp_path / 'test'))
        assert runner.test()['retrieval/tir/queries'] > 0
    without = {key: value for key, value in options.items() if key != 'model.heads.itc.queue'}
    read = load_config('mvlt/dual_encoder_catalogue_scratch', without, str(shop))
    for i, model in enumerate((checkpoint, tmp_path / 'folder')):
        build_runner(read, 'train', str(model), work_dir=str(tmp_path / f'b{i}')).train()
    few = {'test_cfg.num_candidates': 2, 'test_cfg.num_queries': 2, **without}
    few['test_dataloader.dataset.split'] = 'all'
    read = load_config('mvlt/dual_encoder_catalogue_scratch', few, str(shop))
    tested = build_runner(read, 'test', str(tmp_path / 'folder'), work_dir=str(tmp_path / 'c'))
    assert {'main_category', 'sub_category', 'itc'} <= {*tested.model.heads}
    assert tested.test()['retrieval/tir/queries'] == 2


def test_a_recipe_without_a_model_trains_that_of_a_folder(dual_folder, model_folder, demo_data):
    """With its image preprocessing and tokenizer, and the head that gives embeddings alone."""
    options = {'model': None}
    read = load_config('demo/retrieval_demo', data_root=str(demo_data))
    recipe = load_config('demo/shop_demo', options, str(demo_data))
    config = resolve(recipe, 'train', str(dual_folder))
    folder = read_model_folder(dual_folder)
    assert config.model.backbone == folder.description.model['backbone']
    assert set(config.model.heads) == {'itc'} and config.load_from == folder.weights
    dataset = config.train_dataloader.dataset
    while 'dataset' in dataset:
        dataset = dataset.dataset
    assert dataset.pipeline.tokenize.tokenizer == str(dual_folder)
    assert dataset.pipeline.resize.scale == (32, 32)
    with pytest.raises(ValueError, match='trains the model of a folder: name a published one'):
        resolve(recipe)
    with pytest.raises(ValueError, match='no head that gives embeddings'):
        resolve(recipe, 'train', str(model_folder))
    with pytest.raises(ValueError, match='is a protocol'):
        resolve(read, 'train', str(dual_folder))


def test_a_folder_of_a_text_encoder_is_written_into_the_config(tmp_path, demo_data):
    """Its configuration; a resumed training and a test read the folder no more."""
    from transformers import BertConfig, BertModel

    sizes = dict(hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2)
    BertModel(BertConfig(vocab_size=400, **sizes)).save_pretrained(tmp_path / 'bert')
    text = dict(type='TransformersTextEncoder', folder=str(tmp_path / 'bert'))
    backbone = dict(type='DualEncoder', image_encoder=dict(type='mmpretrain.ResNet', depth=18))
    recipe = load_config('demo/shop_demo', data_root=str(demo_data))
    recipe.model = dict(
        type='MVLT',
        backbone=dict(backbone, image_dims=512, text_encoder=text),
        heads=dict(itc=dict(type='ITCHead')),
    )
    config = resolve(recipe)
    encoder = config.model.backbone.text_encoder
    assert encoder.folder == text['folder'] and encoder.config.hidden_size == 16
    checkpoint = tmp_path / 'a.pth'
    torch.save(dict(state_dict={}, meta=dict(cfg=config.pretty_text)), checkpoint)
    shutil.rmtree(tmp_path / 'bert')
    for again in (
        resolve(config, 'train', resume=str(checkpoint)),
        resolve(config, 'test', str(checkpoint)),
    ):
        assert again.model.backbone.text_encoder.config.hidden_size == 16
        assert 'folder' not in again.model.backbone.text_encoder
