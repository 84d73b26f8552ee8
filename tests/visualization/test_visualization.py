"""Contract: pictures show the right pixels, pages need no network, text is escaped."""

import base64
import io
import json
import re

import numpy as np
import pytest
import torch
from PIL import Image

from mvlt.datasets import FashionGen
from mvlt.visualization import picture_uri, plot_losses, ranking_examples, write_report


def _decode(uri: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.split(',')[1]))))


def test_picture_keeps_its_pixels_when_enlarged():
    pixels = torch.randint(0, 256, (3, 16, 16), dtype=torch.uint8)
    picture = _decode(picture_uri(pixels, side=64))
    assert picture.shape == (64, 64, 3)
    assert np.array_equal(picture[::4, ::4], pixels.permute(1, 2, 0).numpy())


def test_float_picture_is_clipped():
    picture = _decode(picture_uri(torch.tensor([-1.0, 0.5, 2.0]).view(3, 1, 1), side=1))
    assert picture.tolist() == [[[0, 128, 255]]]


def test_curves_of_a_resumed_run_have_each_step_once(tmp_path):
    for run, steps in (('1', (50, 100, 150)), ('2', (100, 150))):
        folder = tmp_path / run / 'vis_data'
        folder.mkdir(parents=True)
        lines = [json.dumps(dict(step=s, loss=1.0, loss_itm=int(run))) for s in steps]
        (folder / 'scalars.json').write_text('\n'.join(lines))
    from mvlt.visualization.curves import read_scalars

    entries = read_scalars(tmp_path)
    assert [(e['step'], e['loss_itm']) for e in entries] == [(50, 1), (100, 2), (150, 2)]
    assert plot_losses(tmp_path, ('loss_itm',)).startswith('data:image/svg+xml;base64,')
    with pytest.raises(FileNotFoundError, match='no training log'):
        plot_losses(tmp_path / 'none', ('loss',))


def test_ranking_example(demo_data):
    pipeline = [
        dict(type='LoadImage'),
        dict(type='Tokenize', vocabulary=str(demo_data / 'vocabulary')),
        dict(type='PackPairInputs'),
    ]
    from mmengine.registry import DefaultScope

    with DefaultScope.overwrite_default_scope('mvlt'):
        dataset = FashionGen(
            ann_file=str(demo_data / 'fashiongen_64_64_train.h5'), pipeline=pipeline
        )
    ranking = dict(
        query=4,
        candidates=[4, 0, 2, 6],
        scores=[0.3, 0.9, 0.3, 0.1],
        positives=[True, False, False, False],
    )
    (example,) = ranking_examples(dataset, [ranking], count=1, best=2)
    assert example['rank'] == 3  # one better, one equal: ties count against the model
    assert [one['score'] for one in example['candidates']] == [0.9, 0.3]
    assert example['query']['caption'] == dataset.get_data_info(4)['caption']
    shown = _decode(example['candidates'][0]['image'])
    step = shown.shape[0] // 32
    assert np.array_equal(shown[::step, ::step], dataset.load(dataset.get_data_info(0))['img'])


def test_report_needs_nothing_from_elsewhere_and_escapes_captions(tmp_path):
    picture = picture_uri(np.zeros((2, 2, 3), np.uint8))
    row = dict(caption='<script>alert(1)</script>', image=picture)
    write_report(
        tmp_path / 'report/index.html',
        title='A test',
        facts=dict(date='today'),
        tables=[dict(title='T', note='n', head=('', 'R@1'), rows=[['tir', '1.0']])],
        curves={'loss': picture},
        tir=[dict(query=row, rank=2, candidates=[dict(row, score=0.5, matched=True)])],
        itr=[dict(query=row, rank=1, candidates=[dict(row, score=0.5, matched=False)])],
        categories=[],
        reconstructions=[],
    )
    page = (tmp_path / 'report/index.html').read_text()
    assert '<script' not in page and '&lt;script&gt;' in page
    assert not re.findall(r'(?:src|href)="(?!data:)', page) and 'http' not in page
