"""Contract: any row of shards that webdataset writes; errors name the member."""

import io
import json
import tarfile

import numpy as np
import pytest
from PIL import Image

from mvlt.datasets import PairJSON, TarPairs
from mvlt.tools.dataset_converters.to_shards import write


def _png(colour):
    content = io.BytesIO()
    Image.new('RGB', (4, 4), colour).save(content, 'PNG')
    return content.getvalue()


def _shard(path, members):
    with tarfile.open(path, 'w') as file:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))


def _sample(key, colour, **more):
    table = dict(caption=f'A {colour} hat.', product_id=key, sub_category=colour.upper(), **more)
    return {f'{key}.png': _png(colour), f'{key}.json': json.dumps(table).encode()}


@pytest.fixture
def root(tmp_path):
    _shard(tmp_path / 'train-000000.tar', {**_sample('1', 'red'), **_sample('2', 'blue')})
    _shard(tmp_path / 'train-000001.tar', _sample('3', 'lime'))
    _shard(tmp_path / 'valid-000000.tar', _sample('4', 'blue'))
    return tmp_path


def test_any_row_of_all_shards(root):
    dataset = TarPairs(data_root=str(root), ann_file='train-*.tar')
    assert [dataset.get_data_info(row)['product_id'] for row in range(3)] == ['1', '2', '3']
    for row, colour in ((2, (0, 255, 0)), (0, (255, 0, 0)), (1, (0, 0, 255))):
        assert (dataset.load(dataset.get_data_info(row))['img'] == colour).all()
    valid = TarPairs(data_root=str(root), ann_file='valid-*.tar', classes_from='train-*.tar')
    assert valid.get_data_info(0)['sub_category'] == 0
    assert valid.metainfo['sub_category'] == ('BLUE', 'LIME', 'RED')


def test_written_by_webdataset_and_read_as_before(tmp_path):
    """Three pairs, two of them JPEG files, two pairs a shard."""
    records = []
    for row, ending in enumerate(('jpg', 'png', 'jpg')):
        Image.effect_noise((8, 6), 50).convert('RGB').save(tmp_path / f'{row}.{ending}')
        records.append(
            dict(image=f'{row}.{ending}', caption=f'Hat {row}.', product_id=str(row), colour='red')
        )
    (tmp_path / 'all.json').write_text(json.dumps(dict(records=records)))
    before = PairJSON(data_root=str(tmp_path), ann_file='all.json', attributes=['colour'])
    out = tmp_path / 'shards'
    assert write(before, out, 'train', 2) == 3
    assert sorted(path.name for path in out.iterdir()) == ['train-000000.tar', 'train-000001.tar']
    after = TarPairs(data_root=str(out), ann_file='train-*.tar', attributes=['colour'])
    for row in range(3):
        record, original = after.load(after.get_data_info(row)), before.get_data_info(row)
        assert {key: record[key] for key in ('caption', 'product_id', 'colour')} == {
            key: original[key] for key in ('caption', 'product_id', 'colour')
        }
        with Image.open(original['img_path']) as opened:
            assert np.array_equal(record['img'], np.asarray(opened))
    with pytest.raises(FileExistsError, match='train-'):
        write(before, out, 'train', 2)


@pytest.mark.parametrize(
    ('members', 'error', 'message'),
    [
        ({'1.png': _png('red')}, ValueError, 'sample 1: it has png; one image .* and json'),
        ({'1.json': b'{}'}, ValueError, 'sample 1: it has json'),
        ({**_sample('1', 'red'), '1.jpg': b''}, ValueError, 'it has png, json, jpg; one image'),
        ({**_sample('1', 'red'), './1.png': _png('red')}, ValueError, './1.png is there twice'),
        ({**_sample('1', 'red'), '1.json': b'null'}, ValueError, 'its json is a NoneType'),
        ({**_sample('1', 'red'), '1.json': b'{'}, ValueError, 'unreadable'),
        ({**_sample('1', 'red'), **_sample('2', 'red', size='x')}, KeyError, r'records\[1\]'),
    ],
)
def test_wrong_shards(tmp_path, members, error, message):
    _shard(tmp_path / 'train-0.tar', members)
    with pytest.raises(error, match=message):
        TarPairs(data_root=str(tmp_path), ann_file='train-*.tar')


def test_folders_dots_and_unknown_categories(tmp_path):
    """As tar -C FOLDER -cf x.tar . writes them."""
    (tmp_path / 'v1.0').mkdir()
    unknown = json.dumps(dict(caption='A hat.', product_id='2', sub_category='')).encode()
    files = {**_sample('1', 'red'), '2.png': _png('red'), '2.json': unknown}
    for name, content in files.items():
        (tmp_path / 'v1.0' / name).write_bytes(content)
    with tarfile.open(tmp_path / 'train-0.tar', 'w') as file:
        file.add(tmp_path / 'v1.0', './v1.0')
    dataset = TarPairs(data_root=str(tmp_path), ann_file='train-*.tar')
    records = map(dataset.get_data_info, range(2))
    categories = {record['product_id']: record['sub_category'] for record in records}
    assert categories == {'1': 0, '2': -1} and dataset.metainfo['sub_category'] == ('RED',)


def test_images_are_decoded_as_the_pipeline_says(tmp_path):
    content = io.BytesIO()
    Image.new('RGB', (800, 400)).save(content, 'JPEG')
    table = json.dumps(
        dict(caption='A hat.', product_id='1', other_captions='hat\nred hat')
    ).encode()
    _shard(tmp_path / 'train-0.tar', {'1.jpg': content.getvalue(), '1.json': table})
    for load, shape in (
        (dict(type='LoadImage', side=100, draft=True), (100, 200, 3)),
        (dict(type='LoadImage'), (400, 800, 3)),
    ):
        dataset = TarPairs(
            data_root=str(tmp_path), ann_file='train-*.tar', pipeline=dict(load=load)
        )
        record = dataset.get_data_info(0)
        assert dataset.load(record)['img'].shape == shape
        assert record['other_captions'] == ('hat', 'red hat')
    dataset = TarPairs(
        data_root=str(tmp_path),
        ann_file='train-*.tar',
        pipeline=dict(load=dict(type='LoadImage', max_pixels=1000)),
    )
    with pytest.raises(OSError, match='more than the limit of 1000'):
        dataset.load(dataset.get_data_info(0))


def test_no_shard_no_tar_no_image(root):
    with pytest.raises(FileNotFoundError, match=r'x-\*.tar: no shard'):
        TarPairs(data_root=str(root), ann_file='x-*.tar')
    (root / 'bad-0.tar').write_bytes(b'no tar file' * 100)
    with pytest.raises(ValueError, match='bad-0.tar: unreadable'):
        TarPairs(data_root=str(root), ann_file='bad-*.tar')
    _shard(root / 'cut-0.tar', {**_sample('1', 'red'), '1.png': b'no image'})
    dataset = TarPairs(data_root=str(root), ann_file='cut-*.tar')
    with pytest.raises(OSError, match='cut-0.tar/1.png: .*unreadable'):
        dataset.load(dataset.get_data_info(0))
