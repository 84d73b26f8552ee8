"""Contract: a model fits its recipe or is refused; a protocol takes the model it gets."""

import shutil

import pytest
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
