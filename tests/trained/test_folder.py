"""Contract: a model folder is whole, is what was published, holds no code, serves every tool."""

import copy as copying
import json
import os
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import mvlt
from mvlt.apis import CategoryInferencer
from mvlt.config import load_config
from mvlt.registry import MODELS
from mvlt.trained import open_model
from mvlt.trained.description import checked
from mvlt.trained.folder import (
    fitting,
    is_model_folder,
    read_model_folder,
    use_checkpoint,
    write_model_folder,
)
from tests.small_model import write_small_model


@pytest.fixture
def copy(model_folder, tmp_path):
    return shutil.copytree(model_folder, tmp_path / 'copy')


def test_what_is_in_it(model_folder):
    names = {path.name for path in model_folder.iterdir()}
    words = {'tokenizer.json', 'tokenizer_config.json', 'special_tokens_map.json', 'vocab.txt'}
    assert names - words == {'config.json', 'model.safetensors', 'README.md', 'SHA256SUMS'}
    assert 'tokenizer.json' in names
    content = json.loads((model_folder / 'config.json').read_text())
    assert content['format'] == 1 and content['mvlt_version'] == mvlt.__version__
    folder = read_model_folder(model_folder)
    assert folder.description.categories['main_category'] == ['BAGS', 'SHOES']
    assert folder.description.build().state_dict().keys() == load_file(folder.weights).keys()


def test_get_model(model_folder):
    model = mvlt.get_model(str(model_folder))
    stored = load_file(model_folder / 'model.safetensors')
    assert not model.training
    assert all(torch.equal(value, stored[key]) for key, value in model.state_dict().items())


@pytest.mark.parametrize('name', ['config.json', 'model.safetensors', 'tokenizer.json'])
def test_changed_and_missing_files_are_named(copy, name):
    with open(copy / name, 'ab') as file:
        file.write(b' ')
    with pytest.raises(ValueError, match=f'{name}: not the file that was published'):
        read_model_folder(copy)
    (copy / name).unlink()
    with pytest.raises(FileNotFoundError, match=f'{name}: missing'):
        read_model_folder(copy)


def test_a_card_may_grow_and_other_files_may_come(copy):
    (copy / 'README.md').write_text('more')
    (copy / '.gitattributes').write_text('*.safetensors filter=lfs')
    read_model_folder(copy)


def test_other_folders_and_versions(copy, tmp_path):
    with pytest.raises(FileNotFoundError, match='no such model folder'):
        read_model_folder(tmp_path / 'nowhere')
    assert not is_model_folder(tmp_path)
    _rewrite(copy, lambda content: content.update(format=99))
    with pytest.raises(ValueError, match='format 99, this version of mvlt reads 1'):
        read_model_folder(copy)
    (copy / 'SHA256SUMS').write_text('aa  ../outside\n')
    with pytest.raises(ValueError, match='must name config.json'):
        read_model_folder(copy)
    (copy / 'SHA256SUMS').unlink()
    with pytest.raises(FileNotFoundError, match='has no SHA256SUMS'):
        read_model_folder(copy)


def _rewrite(folder, change):
    """Change config.json and its hash, as whoever makes a hostile folder would."""
    from mvlt.files import file_sha256

    content = json.loads((folder / 'config.json').read_text())
    change(content)
    (folder / 'config.json').write_text(json.dumps(content))
    lines = (folder / 'SHA256SUMS').read_text().splitlines()
    digest = file_sha256(folder / 'config.json')
    kept = [line for line in lines if not line.endswith('  config.json')]
    (folder / 'SHA256SUMS').write_text('\n'.join([*kept, f'{digest}  config.json']) + '\n')


def test_a_hostile_folder_runs_nothing(copy, tmp_path):
    marker = tmp_path / 'ran'

    def hostile(content):
        content['model']['backbone'] = dict(type='os.system', command=f'touch {marker}')

    _rewrite(copy, hostile)
    with pytest.raises(ValueError, match="asks for the part 'os.system'"):
        read_model_folder(copy)
    assert not marker.exists()


def test_written_whole_or_not_at_all(model_folder, demo_data, tmp_path):
    folder = read_model_folder(model_folder)
    state = load_file(folder.weights)
    vocabulary = str(demo_data / 'vocabulary')
    (tmp_path / 'used').mkdir()
    (tmp_path / 'used/mine.txt').write_text('mine')
    with pytest.raises(FileExistsError, match='not empty'):
        write_model_folder(tmp_path / 'used', folder.description, state, vocabulary, '')
    key = next(key for key in state if key.startswith('heads.itm'))
    with pytest.raises(ValueError, match=f'the checkpoint lacks {key}'):
        write_model_folder(
            tmp_path / 'out',
            folder.description,
            {name: value for name, value in state.items() if name != key},
            vocabulary,
            '',
        )
    with pytest.raises(ValueError, match=r"is \(1,\), the model's"):
        fitting(folder.description, {**state, key: torch.zeros(1)})
    with pytest.raises(FileNotFoundError, match='vocabulary'):
        write_model_folder(tmp_path / 'out', folder.description, state, str(tmp_path), '')
    assert [path.name for path in tmp_path.iterdir()] == ['used']


def test_others_may_read_what_the_umask_lets_them(demo_data, tmp_path):
    before = os.umask(0o027)
    try:
        out = write_small_model(tmp_path / 'model', demo_data / 'vocabulary')
    finally:
        os.umask(before)
    assert out.stat().st_mode & 0o777 == 0o750
    assert {file.stat().st_mode & 0o777 for file in out.iterdir()} == {0o640}


def test_a_run_takes_architecture_preprocessing_and_vocabulary(model_folder):
    config = load_config('mvlt/pretrain_catalogue', count=False)
    assert use_checkpoint(config, str(model_folder), training=True) == str(
        model_folder / 'model.safetensors'
    )
    pipeline = config.train_dataloader.dataset.dataset.pipeline
    assert list(pipeline) == ['load', 'resize', 'flip', 'mask', 'tokenize', 'words', 'pack']
    assert list(pipeline.resize.scale) == [32, 32]
    assert pipeline.tokenize.vocabulary == pipeline.words.vocabulary == str(model_folder)
    assert config.model.heads.itm.loss_weight == 8.0  # the config's own
    model = MODELS.build(config.model)
    assert model.backbone.image_size == 32 and set(model.heads) == {'mir', 'itm', 'mlm'}
    with pytest.raises(FileNotFoundError, match='some.pth: no such checkpoint or model folder'):
        use_checkpoint(config, 'some.pth')


def test_a_checkpoint_stays_one(tmp_path):
    config = load_config('mvlt/pretrain_catalogue', count=False)
    (tmp_path / 'some.pth').touch()
    assert use_checkpoint(config, str(tmp_path / 'some.pth')) == config.load_from
    assert use_checkpoint(config, 'https://example.org/a.pth') == 'https://example.org/a.pth'
    (tmp_path / 'shards').mkdir()  # a checkpoint of DeepSpeed's is a folder
    assert use_checkpoint(config, str(tmp_path / 'shards')) == config.load_from


def test_the_folders_reading_takes_the_place_of_the_configs(model_folder):
    """A config that crops to the product does not do so to pictures of a model that does not."""
    config = load_config('mvlt/pretrain_fashiongen_released', count=False)
    use_checkpoint(config, str(model_folder))
    pipeline = config.train_dataloader.dataset.dataset.pipeline
    assert list(pipeline) == ['load', 'resize', 'mask', 'tokenize', 'words', 'pack']


def test_a_second_vocabulary_is_refused(copy):
    (copy / 'spiece.model').write_text('{}')
    with pytest.raises(ValueError, match='spiece.model is not in SHA256SUMS'):
        read_model_folder(copy)


def test_a_head_that_the_folder_lacks(copy):
    config = load_config('mvlt/generation_catalogue', count=False)
    _rewrite(
        copy,
        lambda content: (content['model'].update(neck=None), content['model']['heads'].pop('mir')),
    )
    with pytest.raises(ValueError, match=r"has no head 'mir'; it has itm, mlm, main_category"):
        use_checkpoint(config, str(copy))


def test_another_objective_and_a_new_head_stay_the_configs_in_training(model_folder):
    config = load_config('mvlt/finetune_coco_vilt', count=False)
    config.model.heads.extra = dict(type='ITMHead', hidden_dims=8)
    use_checkpoint(config, str(model_folder), training=True)
    head = config.model.heads.itm
    assert head.type.endswith('RankingHead') and head.group_size == 16
    assert config.model.heads.extra.hidden_dims == 8


def test_a_head_may_have_another_name_than_its_label(model_folder, tmp_path):
    folder = read_model_folder(model_folder)
    content = copying.deepcopy(folder.description._asdict())
    head = content['model']['heads'].pop('main_category')
    content['model']['heads']['kind'] = dict(head, label='main_category')
    content['categories']['kind'] = content['categories'].pop('main_category')
    state = load_file(folder.weights)
    state = {name.replace('heads.main_category', 'heads.kind'): one for name, one in state.items()}
    out = write_model_folder(tmp_path / 'out', checked(content, 'x'), state, str(model_folder), '')
    (found,) = CategoryInferencer(out, device='cpu')(np.zeros((32, 32, 3), np.uint8))
    assert {one['name'] for one in found['kind']} == {'BAGS', 'SHOES'}


def test_one_opened_model_serves_several_and_each_runs_its_own_heads(model_folder):
    opened = open_model(model_folder)
    infer = CategoryInferencer(opened)
    assert list(infer.model.heads) == ['main_category', 'sub_category'] and infer.model.neck is None
    assert set(opened.model.heads) > {'mir', 'itm', 'mlm'} and opened.model.neck is not None
    assert infer.model.backbone is opened.model.backbone  # held once
    picture = np.full((40, 30, 3), 90, np.uint8)
    assert infer(picture, 'a bag') == CategoryInferencer(model_folder, device='cpu')(
        picture, 'a bag'
    )


def test_a_checkpoint_of_another_backbone_is_tested_as_what_it_is(
    model_folder, tower_folder, tmp_path
):
    """Its own config tells, also of another width; what is the config's is loaded as ever."""
    folder = read_model_folder(tower_folder)
    meta = dict(
        cfg=f'model = {folder.description.model!r}\n'
        'test_dataloader = dict(dataset=dict(pipeline=dict('
        "load=dict(type='LoadImage'), tokenize=dict(type='Tokenize', vocabulary='gone'))))",
        dataset_meta=folder.description.categories,
    )
    path = str(tmp_path / 'iter_1.pth')
    torch.save(dict(state_dict=load_file(folder.weights), meta=meta), path)
    for name in ('mvlt/retrieval_catalogue', 'mvlt/retrieval_phrases_catalogue'):
        config = load_config(name, count=False)
        assert use_checkpoint(config, path) == path
        assert config.model.backbone.type == 'PVTVL'
        assert list(config.model.backbone.embed_dims) == [8, 16, 24, 32]
        assert set(config.model.heads) == {'itc', 'itm', 'mlm'}
    config.model.backbone.type = 'mvlt.models.PVTVL'
    config.model.heads.pop('itc')
    use_checkpoint(config, path)
    assert config.model.backbone.type == 'mvlt.models.PVTVL' and 'itc' not in config.model.heads
    config.test_dataloader.dataset.pipeline.crop = dict(type='CropMiddle', share=0.9)
    use_checkpoint(config, path)  # pictures are read in use as they were in training
    assert 'crop' not in config.test_dataloader.dataset.pipeline and 'itc' in config.model.heads
