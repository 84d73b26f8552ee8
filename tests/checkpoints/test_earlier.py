"""Contract: checkpoints, folders and configs of before load; their parts have today's names."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from mvlt.checkpoints import get_model
from mvlt.checkpoints.checkpoint import read_checkpoint
from mvlt.checkpoints.description import checked
from mvlt.checkpoints.earlier import todays_tensor
from mvlt.files import file_sha256

NAMES = {
    'mir_head.pixels.bias': 'heads.mir.pixels.bias',
    'itm_head.classifier.weight': 'heads.itm.classifier.weight',
    'module.mlm_head.bias': 'module.heads.mlm.bias',
    'category_heads.sub_category.classifier.bias': 'heads.sub_category.classifier.bias',
    'heads.itm.bias': 'heads.itm.bias',
    'backbone.model.itm_head.bias': 'backbone.model.itm_head.bias',  # of a backbone of others
    'backbone.words.words.weight': 'backbone.words.words.weight',
}


@pytest.mark.parametrize('name', NAMES)
def test_names_of_tensors(name):
    assert todays_tensor(name) == NAMES[name]


def _former(name):
    for place in ('itm', 'mlm', 'mir'):
        name = name.replace(f'heads.{place}.', f'{place}_head.')
    return name.replace('heads.', 'category_heads.')


def test_a_checkpoint_and_a_folder_of_before_give_what_todays_give(model_folder, tmp_path):
    state = load_file(model_folder / 'model.safetensors')
    former = {_former(name): value for name, value in state.items()}
    assert 'itm_head.classifier.bias' in former and not any('heads.' in n[:6] for n in former)
    torch.save(dict(state_dict=former, ema_state_dict={'steps': torch.ones(1)}), tmp_path / 'a.pth')
    assert read_checkpoint(str(tmp_path / 'a.pth'))['state_dict'].keys() == state.keys()

    folder = tmp_path / 'folder'
    folder.mkdir()
    save_file(former, folder / 'model.safetensors')
    content = json.loads((model_folder / 'config.json').read_text())
    heads = content['model'].pop('heads')
    for name in ('itm', 'mlm', 'mir'):
        content['model'][f'{name}_head'] = heads.pop(name)
    content['model']['category_heads'] = heads
    content['preprocessing'] = list(content['preprocessing'].values())
    (folder / 'config.json').write_text(json.dumps(content))
    for name in ('vocab.txt', 'tokenizer.json'):
        if (model_folder / name).exists():
            (folder / name).write_bytes((model_folder / name).read_bytes())
    (folder / 'SHA256SUMS').write_text(
        ''.join(f'{file_sha256(path)}  {path.name}\n' for path in sorted(folder.iterdir()))
    )
    ours, theirs = get_model(model_folder).state_dict(), get_model(folder).state_dict()
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())


def test_steps_of_a_list_get_the_names_of_what_they_do():
    steps = [
        dict(type='LoadImage'),
        dict(type='CropToProduct'),
        dict(type='Resize', scale=[32, 32]),
        dict(type='Tokenize'),
    ]
    model = dict(type='MVLT', backbone=dict(type='PVTVL'), itm_head=dict(type='ITMHead'))
    found = checked(dict(model=model, preprocessing=steps, mask=None, categories={}), 'x')
    assert list(found.preprocessing) == ['load', 'crop', 'resize', 'tokenize']
    assert list(found.heads) == ['itm']
