"""Contract: the released folders become records; pickles with any import are refused."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mvlt.datasets import PairJSON
from mvlt.datasets.candidate_files import read_candidates
from mvlt.tools.dataset_converters.released_to_json import (
    read_plain_pickle,
    read_released,
    read_released_lists,
)
from tests.commands import run_here

INFO = dict(
    product_id=7,
    img_name='7_0.png',
    super_cls_name='TOPS',
    super_cls_id=0,
    sub_cls_name='T-SHIRTS',
    sub_cls_id=0,
    captions='Red  shirt. Soft.',
    input_ids=[101, 5, 102],
    token_type_ids=[0, 0, 0],
    attention_mask=[1, 1, 1],
)


@pytest.fixture
def folder(tmp_path):
    """Imitated folders: two training images and one validation image."""
    for split, rows in (('train', (0, 1)), ('valid', (2,))):
        (tmp_path / f'full_{split}_info_PAI').mkdir()
        (tmp_path / f'extracted_{split}_images').mkdir()
        for row in rows:
            name = f'7_{row}.png'
            info = dict(INFO, img_name=name, sub_cls_name=('T-SHIRTS', 'VESTS', 'VESTS')[row])
            (tmp_path / f'full_{split}_info_PAI/{row}.pkl').write_bytes(pickle.dumps(info))
            Image.new('RGB', (4, 4)).save(tmp_path / f'extracted_{split}_images' / name)
    return tmp_path


def _convert(folder, *options):
    return run_here('tools/dataset_converters/released_to_json.py', folder, *options)


def test_records(folder):
    records = list(read_released(folder, 'train'))
    assert records[1] == dict(
        image='extracted_train_images/7_1.png',
        caption='Red shirt. Soft.',
        product_id='7',
        main_category='TOPS',
        sub_category='VESTS',
    )


def test_the_tool_checks_and_writes_readable_records(folder):
    checked = _convert(folder, '--check')
    assert checked.returncode == 0, checked.stderr
    assert 'train: 2 images, 1 products, 1 main and 2 sub-categories' in checked.stdout
    assert not list(folder.glob('*.json'))
    assert _convert(folder).returncode == 0
    dataset = PairJSON(data_root=str(folder), ann_file='valid.json', classes_from='train.json')
    record = dataset.get_data_info(0)
    assert (record['sub_category'], dataset.metainfo['sub_category']) == (1, ('T-SHIRTS', 'VESTS'))
    assert record['img_path'].endswith('extracted_valid_images/7_2.png')


class _Evil:
    def __reduce__(self):
        return (print, ('hostile code has run',))


@pytest.mark.parametrize(
    'content', [_Evil(), dict(INFO, captions=_Evil()), [np.float32(1)], np.zeros(2), range(3)]
)
@pytest.mark.parametrize('protocol', range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_with_a_class_is_refused(tmp_path, capsys, content, protocol):
    (tmp_path / 'a.pkl').write_bytes(pickle.dumps(content, protocol))
    with pytest.raises(ValueError, match=r'a\.pkl: refused \(it asks for'):
        read_plain_pickle(tmp_path / 'a.pkl')
    assert 'hostile code' not in capsys.readouterr().out


@pytest.mark.parametrize('protocol', range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_content_is_read(tmp_path, protocol):
    (tmp_path / 'a.pkl').write_bytes(pickle.dumps(INFO, protocol))
    assert read_plain_pickle(tmp_path / 'a.pkl') == INFO


def test_a_hostile_folder_leaves_nothing(folder):
    (folder / 'full_valid_info_PAI/9.pkl').write_bytes(pickle.dumps(_Evil()))
    run = _convert(folder)
    assert run.returncode == 2 and 'refused' in run.stderr
    assert 'hostile code' not in run.stdout + run.stderr
    assert not list(folder.glob('*.json'))


def test_bad_folders(folder):
    path = folder / 'full_train_info_PAI/0.pkl'
    whole = path.read_bytes()
    for content, message in (
        (whole[:40], 'truncated'),
        (b'', 'cut short'),
        (pickle.dumps([1]), 'needs the keys'),
        (pickle.dumps(dict(INFO, captions=' . ')), 'caption of product 7 is empty'),
        (pickle.dumps(dict(INFO, img_name='../x.png')), "no image '../x.png'"),
        (pickle.dumps(dict(INFO, captions=['a', 'b'])), 'not list'),
    ):
        path.write_bytes(content)
        with pytest.raises((ValueError, KeyError, FileNotFoundError), match=message):
            list(read_released(folder, 'train'))
    with pytest.raises(FileNotFoundError, match='side by side'):
        list(read_released(folder / 'none', 'train'))


def _lists(folder, names, direction='TIR'):
    (folder / f'retrieve_{direction}').mkdir(exist_ok=True)
    entries = {str(i): dict(captions='x', img_name=name) for i, name in enumerate(names)}
    (folder / f'retrieve_{direction}/0.pkl').write_bytes(pickle.dumps(entries))


def test_released_lists_become_a_candidate_file(folder):
    for row in (3, 4):
        name = f'{row}_0.png'
        info = dict(INFO, img_name=name, product_id=row, captions=f'Shirt {row}.')
        (folder / f'full_valid_info_PAI/{row}.pkl').write_bytes(pickle.dumps(info))
        Image.new('RGB', (4, 4)).save(folder / 'extracted_valid_images' / name)
    _lists(folder, ['4_0.png', '7_2.png', '3_0.png'])
    run = _convert(folder)
    assert 'tir: 1 lists of 3 candidates' in run.stdout, run.stderr
    dataset = PairJSON(data_root=str(folder), ann_file='valid.json', classes_from='train.json')
    records = [dataset.get_data_info(row) for row in range(3)]
    draws = read_candidates(str(folder / 'candidates.json'), records)
    names = [
        [Path(records[row]['img_path']).name for row in query.candidates]
        for query in draws[0]['tir']
    ]
    assert names == [['4_0.png', '7_2.png', '3_0.png']]
    assert draws[0]['itr'] == []


def test_released_lists_with_unknown_images_or_another_layout(folder):
    records = list(read_released(folder, 'valid'))
    _lists(folder, ['7_2.png', 'none.png'])
    with pytest.raises(ValueError, match=r"0.pkl: 1 of 2 images are not in .*e.g. 'none.png'"):
        read_released_lists(folder, records)
    (folder / 'retrieve_TIR/0.pkl').write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(ValueError, match="expected a dict of entries, each with 'img_name'"):
        read_released_lists(folder, records)
