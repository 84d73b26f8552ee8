"""Contract: Karpathy's split, five captions an image, missing images are named."""

import json

import pytest
from PIL import Image

from mvlt.datasets import COCOCaptions, MatchingPairs
from tests.commands import run_here


def write_coco(root, images=6):
    """A small dataset_coco.json and its images."""
    entries = []
    for i in range(images):
        folder = ('train2014', 'val2014')[i % 2]
        (root / folder).mkdir(exist_ok=True)
        Image.new('RGB', (6, 4)).save(root / folder / f'{i}.jpg')
        sentences = [
            dict(raw=f'Image {i},  told {k}.', tokens=['image'], imgid=i, sentid=5 * i + k)
            for k in range(5)
        ]
        entries.append(
            dict(
                filepath=folder,
                filename=f'{i}.jpg',
                imgid=i,
                cocoid=100 + i,
                sentids=[s['sentid'] for s in sentences],
                split=('train', 'restval', 'val', 'test', 'train', 'test')[i % 6],
                sentences=sentences,
            )
        )
    (root / 'dataset_coco.json').write_text(json.dumps(dict(images=entries, dataset='coco')))
    return entries


@pytest.fixture
def coco(tmp_path):
    write_coco(tmp_path)
    return tmp_path


def _open(root, split='train', **kwargs):
    return COCOCaptions(data_root=str(root), ann_file='dataset_coco.json', split=split, **kwargs)


def test_splits(coco):
    datasets = {split: _open(coco, split) for split in ('train', 'val', 'test')}
    assert {split: len(dataset) for split, dataset in datasets.items()} == dict(
        train=15, val=5, test=10
    )
    products = {datasets['train'].get_data_info(i)['product_id'] for i in range(15)}
    assert products == {'100', '101', '104'}  # restval trains too
    record = datasets['val'].get_data_info(1)
    assert record['caption'] == 'Image 2, told 1.'
    assert record['img_path'] == str(coco / 'train2014/2.jpg')


def test_a_caption_of_the_same_image_never_mismatches(coco):
    pairs = MatchingPairs(_open(coco), negative_prob=1.0)
    for row in range(15):
        record = pairs.draw(pairs.get_data_info(row))
        assert int(record['caption'].split()[1].strip(',')) + 100 != int(record['product_id'])


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (
            lambda images: images[1].update(filename='9.jpg'),
            r"images\[1\]: no image 'val2014/9.jpg",
        ),
        (lambda images: images[0].update(filepath='..'), 'lies outside'),
        (lambda images: images[0].update(sentences=[]), 'image 100 has an empty caption or none'),
        (lambda images: images[0].pop('cocoid'), "images\\[0\\]: 'cocoid' is missing"),
        (lambda images: images.clear(), "no image belongs to split 'train'"),
    ],
)
def test_bad_entries(tmp_path, change, message):
    images = write_coco(tmp_path)
    change(images)
    (tmp_path / 'dataset_coco.json').write_text(json.dumps(dict(images=images)))
    with pytest.raises((ValueError, KeyError, FileNotFoundError), match=message):
        _open(tmp_path).full_init()


def test_bad_files(coco):
    with pytest.raises(ValueError, match='legal: train, val, test'):
        _open(coco, split='restval')
    (coco / 'dataset_coco.json').write_text('{"images": [')
    with pytest.raises(ValueError, match="no JSON, perhaps cut short .* Karpathy's"):
        _open(coco)
    (coco / 'dataset_coco.json').write_text('[]')
    with pytest.raises(ValueError, match="no list 'images'"):
        _open(coco)


def test_check_dataset_reads_it(coco, demo_data):
    tokenizer = demo_data / 'tokenizer'
    command = ('tools/check_dataset.py', 'mvlt/retrieval_full_coco', '--data-root', coco)
    command += (
        '--cfg-options',
        f'test_dataloader.dataset.pipeline.tokenize.tokenizer={tokenizer}',
    )
    checked = run_here(*command)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert 'train: 15 rows, 3 products, 3 images (0 unreadable)' in checked.stdout
    (coco / 'val2014/1.jpg').write_bytes(b'no image')
    checked = run_here(*command)
    assert checked.returncode == 1 and 'val2014/1.jpg: unreadable image' in checked.stdout
