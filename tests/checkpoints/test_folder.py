"""Contract: a model folder is whole, unchanged, without code, and serves every tool."""

import copy as copying
import json
import os
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import mvlt
from mvlt.apis import CategoryInferencer
from mvlt.checkpoints import open_model
from mvlt.checkpoints.description import checked
from mvlt.checkpoints.folder import (
    fitting,
    is_model_folder,
    read_model_folder,
    write_model_folder,
)
from mvlt.files import file_sha256
from tests.small_model import write_small_model


@pytest.fixture
def copy(model_folder, tmp_path):
    return shutil.copytree(model_folder, tmp_path / 'copy')


def test_its_files(model_folder):
    names = {path.name for path in model_folder.iterdir()}
    tokenizer = {'tokenizer.json', 'tokenizer_config.json', 'special_tokens_map.json', 'vocab.txt'}
    assert names - tokenizer == {'config.json', 'model.safetensors', 'README.md', 'SHA256SUMS'}
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


def test_a_longer_card_and_other_files_are_legal(copy):
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
    """Change config.json and its hash, as the author of a hostile folder would."""
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


@pytest.mark.parametrize(
    ('name', 'value'),
    [('depths', [100_000, 1, 1, 1]), ('vocab_size', 10**9), ('image_size', 50_000)],
)
def test_a_network_that_its_weights_cannot_fill_is_not_built(copy, name, value):
    content = json.loads((copy / 'config.json').read_text())
    content['model']['backbone'][name] = value
    (copy / 'config.json').write_text(json.dumps(content))
    _sign(copy)
    with pytest.raises(ValueError, match=f'{name}=.*cannot be of these weights'):
        read_model_folder(copy)


def _sign(folder):
    """Hashes as a publisher would write them."""
    lines = [line.split('  ') for line in (folder / 'SHA256SUMS').read_text().splitlines()]
    (folder / 'SHA256SUMS').write_text(
        ''.join(f'{file_sha256(folder / name)}  {name}\n' for _, name in lines)
    )


def test_weights_that_are_no_numbers_are_refused(copy):
    weights = load_file(copy / 'model.safetensors')
    next(value for value in weights.values() if value.is_floating_point()).fill_(torch.nan)
    save_file(weights, copy / 'model.safetensors')
    _sign(copy)
    with pytest.raises(ValueError, match='is not finite'):
        open_model(str(copy))


def test_written_whole_or_not_at_all(model_folder, demo_data, tmp_path):
    folder = read_model_folder(model_folder)
    state = load_file(folder.weights)
    tokenizer = str(demo_data / 'tokenizer')
    (tmp_path / 'used').mkdir()
    (tmp_path / 'used/mine.txt').write_text('mine')
    with pytest.raises(FileExistsError, match='not empty'):
        write_model_folder(tmp_path / 'used', folder.description, state, tokenizer, '')
    key = next(key for key in state if key.startswith('heads.itm'))
    with pytest.raises(ValueError, match=f'the checkpoint lacks {key}'):
        write_model_folder(
            tmp_path / 'out',
            folder.description,
            {name: value for name, value in state.items() if name != key},
            tokenizer,
            '',
        )
    with pytest.raises(ValueError, match=r"is \(1,\), the model's"):
        fitting(folder.description, {**state, key: torch.zeros(1)})
    diverged = {**state, key: torch.full_like(state[key], float('nan'))}
    with pytest.raises(ValueError, match=f'{key} is not finite: the training has div'):
        fitting(folder.description, diverged)
    with pytest.raises(FileNotFoundError, match='tokenizer'):
        write_model_folder(tmp_path / 'out', folder.description, state, str(tmp_path), '')
    assert [path.name for path in tmp_path.iterdir()] == ['used']


def test_files_follow_the_umask(demo_data, tmp_path):
    before = os.umask(0o027)
    try:
        out = write_small_model(tmp_path / 'model', demo_data / 'tokenizer')
    finally:
        os.umask(before)
    assert out.stat().st_mode & 0o777 == 0o750
    assert {file.stat().st_mode & 0o777 for file in out.iterdir()} == {0o640}


def test_a_second_tokenizer_is_refused(copy):
    (copy / 'spiece.model').write_text('{}')
    with pytest.raises(ValueError, match='spiece.model is not in SHA256SUMS'):
        read_model_folder(copy)


def test_a_head_may_have_another_name_than_its_label(model_folder, tmp_path):
    folder = read_model_folder(model_folder)
    content = copying.deepcopy(folder.description._asdict())
    head = content['model']['heads'].pop('main_category')
    content['model']['heads']['kind'] = dict(head, label='main_category')
    content['categories']['kind'] = content['categories'].pop('main_category')
    state = load_file(folder.weights)
    state = {name.replace('heads.main_category', 'heads.kind'): v for name, v in state.items()}
    out = write_model_folder(tmp_path / 'out', checked(content, 'x'), state, str(model_folder), '')
    result = CategoryInferencer(out, device='cpu')(np.zeros((32, 32, 3), np.uint8))
    (prediction,) = result['predictions']
    assert {label['name'] for label in prediction['kind']} == {'BAGS', 'SHOES'}


def test_an_opened_model_serves_several_inferencers_with_their_heads(model_folder):
    opened = open_model(model_folder)
    infer = CategoryInferencer(opened)
    assert list(infer.model.heads) == ['main_category', 'sub_category'] and infer.model.neck is None
    assert set(opened.model.heads) > {'mir', 'itm', 'mlm'} and opened.model.neck is not None
    assert infer.model.backbone is opened.model.backbone  # held once
    image = np.full((40, 30, 3), 90, np.uint8)
    alone = CategoryInferencer(model_folder, device='cpu')
    assert infer(image, 'a bag') == alone(image, 'a bag')
