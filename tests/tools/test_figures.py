"""Contract: figures show the right pixels, pages need no network, text is escaped."""

import base64
import io
import json
import re

import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmengine.registry import DefaultScope
from PIL import Image

from mvlt.datasets import FashionGen, MatchingPairs, load_tokenizer
from mvlt.tools.figures.attention import attention_rows, cls_attention
from mvlt.tools.figures.categories import category_cells
from mvlt.tools.figures.curves import plot_losses, read_scalars
from mvlt.tools.figures.page import image_uri, write_report, write_sheet
from mvlt.tools.figures.pipeline import pipeline_rows
from mvlt.visualization import Bar, Cell, Row, Section
from tests.small_model import build_small


def _decode(uri: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.split(',')[1]))))


def test_an_image_keeps_its_pixels_when_enlarged():
    pixels = torch.randint(0, 256, (3, 16, 16), dtype=torch.uint8)
    image = _decode(image_uri(pixels, side=64))
    assert image.shape == (64, 64, 3)
    assert np.array_equal(image[::4, ::4], pixels.permute(1, 2, 0).numpy())


def test_float_images_are_clipped():
    image = _decode(image_uri(torch.tensor([-1.0, 0.5, 2.0]).view(3, 1, 1), side=1))
    assert image.tolist() == [[[0, 128, 255]]]


def test_curves_of_a_resumed_run_have_each_step_once(tmp_path):
    for run, steps in (('1', (50, 100, 150)), ('2', (100, 150))):
        folder = tmp_path / run / 'vis_data'
        folder.mkdir(parents=True)
        lines = [json.dumps(dict(step=s, loss=1.0, loss_itm=int(run))) for s in steps]
        (folder / 'scalars.json').write_text('\n'.join(lines))
    entries = read_scalars(tmp_path)
    assert [(e['step'], e['loss_itm']) for e in entries] == [(50, 1), (100, 2), (150, 2)]
    assert plot_losses(tmp_path, ('loss_itm',)).startswith('data:image/svg+xml;base64,')
    with pytest.raises(FileNotFoundError, match='no training log'):
        plot_losses(tmp_path / 'none', ('loss',))


def test_a_model_without_the_head_is_refused(masked_products):
    with pytest.raises(ValueError, match='no category head'):
        category_cells(build_small(), masked_products, [0])


def test_category_cells_mark_the_truth(masked_products):
    heads = {
        level: dict(type='CategoryHead', num_classes=len(masked_products.metainfo[level]))
        for level in ('main_category', 'sub_category')
    }
    model = build_small(heads=heads)
    truth = masked_products.get_data_info(2)
    for level, head in model.heads.items():
        torch.nn.init.zeros_(head.classifier.weight)
        with torch.no_grad():
            head.classifier.bias[truth[level]] = 10
    ((certain, cell),) = category_cells(model, masked_products, [2], best=2)
    assert certain > 0.99 and cell.mark == 'right'
    names = [
        masked_products.metainfo[level][truth[level]] for level in ('main_category', 'sub_category')
    ]
    assert [bar.name for bar in cell.bars if bar.right] == names
    with torch.no_grad():
        model.heads['sub_category'].classifier.bias[truth['sub_category']] = -10
    ((certain, cell),) = category_cells(model, masked_products, [2], best=2)
    assert certain < 0.01 and cell.mark == 'wrong'


def test_attention_is_what_the_layer_computes(masked_products):
    """Weights times values, through the output projection, equal the layer's output."""
    model = build_small(heads=dict(itm=dict(type='ITMHead')))
    batch = model.data_preprocessor(pseudo_collate([masked_products[0], masked_products[5]]))[
        'inputs'
    ]
    stages = cls_attention(model, batch)
    assert [image.shape[1:] for image, _ in stages] == [(1, 1), (1, 1), (1, 1), (1, 1)]
    for image, text in stages:
        assert torch.allclose(image.flatten(1).sum(1) + text.sum(1), torch.ones(2))
        if batch['text_mask'] is not None:
            assert (text[~batch['text_mask']] == 0).all()  # padding is not looked at
    attention = model.backbone.stages[1].layers[-1].attention
    x, size, query = torch.randn(2, 16 + 6, 16), (4, 4), 17
    weights = attention.weights(x, size, None, query)
    values = attention._split(attention.key_value(attention._reduced(x, size)).chunk(2, -1)[1])
    mixed = (weights[:, :, None] @ values).transpose(1, 2).flatten(2)
    torch.testing.assert_close(attention.out(mixed)[:, 0], attention(x, size, None)[:, query])


def test_attention_rows_name_the_words(masked_products, demo_data):
    tokenizer = load_tokenizer(str(demo_data / 'tokenizer'))
    (row,) = attention_rows(build_small(), masked_products, [1], tokenizer)
    assert len(row.cells) == 5 and row.cells[0].mark == 'query'
    words = {tokenizer.token(i) for i in masked_products[1]['inputs']['token_ids']}
    assert {bar.name for cell in row.cells[1:] for bar in cell.bars} <= words


def test_pipeline_rows_show_each_step(demo_data):
    tokenizer = dict(tokenizer=str(demo_data / 'tokenizer'))
    pipeline = dict(
        load=dict(type='LoadImage'),
        mask=dict(type='CentreMask', ratio=0.25, alpha=2),
        tokenize=dict(type='Tokenize', **tokenizer),
        words=dict(type='MaskWords', ratio=1.0, mask_prob=1.0, random_prob=0.0, **tokenizer),
        pack=dict(type='PackPairInputs'),
    )
    with DefaultScope.overwrite_default_scope('mvlt'):
        inner = FashionGen(ann_file=str(demo_data / 'fashiongen_64_64_train.h5'), pipeline=pipeline)
        pairs = MatchingPairs(inner, negative_prob=1.0)
    (row,) = pipeline_rows(pairs, [0])
    assert "(another product's caption)" in row.title
    loaded, masked, tokens, hidden = row.cells
    assert loaded.words == 'load: LoadImage, 32 x 32'
    assert masked.words == 'mask: CentreMask, 32 x 32, 25% masked'
    assert (masked.image[8:24, 8:24] == 190).all()
    assert np.array_equal(masked.image[:8], loaded.image[:8])
    assert tokens.words.startswith('tokenize: Tokenize: [CLS] ') and '[MASK]' not in tokens.words
    assert hidden.words.count('>[MASK]') == len(tokens.words.split()) - 4  # but [CLS] and [SEP]


def _section():
    image = np.full((8, 8, 3), 7, np.uint8)
    cells = (
        Cell(None, '<script>alert(1)</script> $x_1$ costs 5 $', 'query'),
        Cell(image, 'a image', 'right', (Bar('TOPS', 0.75, True), Bar('BAGS', 0.25))),
    )
    return Section('some', 'Some', 'a note', (Row('a row', cells),))


def test_a_sheet_is_a_page_and_an_image_for_each_section(tmp_path):
    empty = Section('none', 'None', 'nothing to show', ())
    written = write_sheet(tmp_path / 'sheet', 'A <test>', [_section(), empty], dict(a='b'))
    assert [path.name for path in written] == ['index.html', 'some.png']
    page = written[0].read_text()
    assert '<script' not in page and '&lt;script&gt;' in page and 'A &lt;test&gt;' in page
    assert not re.findall(r'(?:src|href)="(?!data:)', page) and 'http' not in page
    assert 'width: 75.0%' in page and 'class="truth"' in page
    pixels = np.asarray(Image.open(written[1]).convert('RGB'))
    assert (pixels == 7).all(-1).sum() > 5000  # the enlarged image
    assert not list((tmp_path / 'sheet').glob('.*'))


def test_a_report_needs_no_network_and_escapes_captions(tmp_path):
    write_report(
        tmp_path / 'report/index.html',
        title='A test',
        facts=dict(date='today'),
        tables=[dict(title='T', note='n', head=('', 'R@1'), rows=[['tir', '1.0']])],
        curves={'loss': image_uri(np.zeros((2, 2, 3), np.uint8))},
        examples=[_section()],
    )
    page = (tmp_path / 'report/index.html').read_text()
    assert '<script' not in page and '&lt;script&gt;' in page
    assert not re.findall(r'(?:src|href)="(?!data:)', page) and 'http' not in page
