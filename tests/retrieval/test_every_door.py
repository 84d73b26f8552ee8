"""Contract: one gallery, one query, every door: the same list."""

import json

import numpy as np
import pytest
from PIL import Image

from mvlt.apis import ImageToTextRetrievalInferencer, TextToImageRetrievalInferencer
from mvlt.checkpoints import open_model
from mvlt.config import load_config
from mvlt.engine.launch import build_runner

COLOURS = ('red', 'blue', 'green', 'black', 'white')
KINDS = ('tote', 'boots', 'shirt', 'skirt')


@pytest.fixture
def shop(tmp_path):
    """20 products whose captions have words that the vocabulary knows, none like another."""
    rng = np.random.default_rng(0)
    (tmp_path / 'images').mkdir()
    lines = ['id,image,title']
    for i in range(20):
        noise = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(noise).save(tmp_path / f'images/{i}.png')
        colour, kind = COLOURS[i % 5], KINDS[i // 5]
        lines.append(f'{i},images/{i}.png,{colour} {kind}{" with wool" * (i % 3)}')
    (tmp_path / 'products.csv').write_text('\n'.join(lines))
    described = dict(columns=dict(image='image', product_id='id'), caption='{title}')
    (tmp_path / 'products.json').write_text(json.dumps(described))
    return tmp_path


@pytest.mark.parametrize(
    ('order', 'shortlist', 'towers'),
    [
        *(('both', 12, False), ('matching', 300, False), ('vectors', 300, False)),
        *(('vectors', 300, True), ('both', 12, True)),
    ],
)
def test_loop_inferencers_and_page_find_the_same(
    shop, model_folder, tower_folder, tmp_path, order, shortlist, towers
):
    model_folder = tower_folder if towers else model_folder
    config = load_config(
        'mvlt/retrieval_search_catalogue',
        {
            'test_cfg.order': order,
            'test_cfg.shortlist': shortlist,
            'test_dataloader.dataset.split': 'all',
        },
        str(shop),
    )
    config.experiment_name = f'doors_{order}_{shortlist}_{towers}'
    runner = build_runner(config, 'test', str(model_folder), work_dir=str(tmp_path))
    runner.test()
    loop = runner.test_loop
    measured = {(one['direction'], one['query']): one for one in loop.results}

    opened = open_model(model_folder)
    settings = dict(show_progress=False, shortlist=shortlist, cache_dir=tmp_path / 'cache')
    search = TextToImageRetrievalInferencer(opened, **settings).read(shop / 'products.csv')
    words = ImageToTextRetrievalInferencer(opened, **settings).read(shop / 'products.csv')
    for row in (0, 3, 11):
        record = loop.records[row]
        usual = 'vectors' if towers else 'both'
        asked = dict(order=None if order == usual else order)
        (found,) = search(record['caption'], topk=6, **asked)
        one = measured['tir', row]
        assert [entry['index'] for entry in found] == list(one['candidates'][:6])
        (found,) = words(record['img_path'], topk=6, **asked)
        one = measured['itr', row]
        assert [entry['index'] for entry in found] == list(one['candidates'][:6])
    if order == usual:
        app = pytest.importorskip('projects.web_demo.answers', reason="the page needs '.[web]'")
        page = app.Page([model_folder], shop / 'products.csv', cache_dir=tmp_path / 'page')
        if not towers:
            page.search_in.shortlist = shortlist
        cards, _, _ = page.search(loop.records[3]['caption'])
        captions = [loop.records[row]['caption'] for row in measured['tir', 3]['candidates'][:6]]
        assert [words.partition('  ')[2] for _, words in cards[:6]] == captions
