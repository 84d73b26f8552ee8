"""Contract: evaluation, Search, inferencers, service and page return the same list."""

import json

import numpy as np
import pytest
from PIL import Image

from mvlt.apis import ImageToTextRetrievalInferencer, Search, TextToImageRetrievalInferencer
from mvlt.checkpoints import open_model
from mvlt.config import load_config
from mvlt.engine.launch import build_runner

COLOURS = ('red', 'blue', 'green', 'black', 'white')
CATEGORIES = ('tote', 'boots', 'shirt', 'skirt')


@pytest.fixture
def shop(tmp_path):
    """20 products with different captions of known words."""
    rng = np.random.default_rng(0)
    (tmp_path / 'images').mkdir()
    lines = ['id,image,title']
    for i in range(20):
        noise = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(noise).save(tmp_path / f'images/{i}.png')
        colour, category = COLOURS[i % 5], CATEGORIES[i // 5]
        lines.append(f'{i},images/{i}.png,{colour} {category}{" with wool" * (i % 3)}')
    (tmp_path / 'products.csv').write_text('\n'.join(lines))
    description = dict(columns=dict(image='image', product_id='id'), caption='{title}')
    (tmp_path / 'products.json').write_text(json.dumps(description))
    return tmp_path


def _captions(rows, count=6):
    return [row['caption'] for row in rows[:count]]


@pytest.mark.parametrize(
    ('rerank', 'rerank_topk', 'folder'),
    [
        ('itm', None, 'model_folder'),
        (None, None, 'embedding_folder'),
        ('itm', 12, 'embedding_folder'),
        ('sum', 12, 'embedding_folder'),
    ],
)
def test_every_door_returns_the_same(shop, request, tmp_path, rerank, rerank_topk, folder):
    """The evaluation loop, Search over two stores, inferencers, service and page."""
    model = request.getfixturevalue(folder)
    options = {'test_cfg.rerank': rerank, 'test_cfg.rerank_topk': rerank_topk}
    options['test_dataloader.dataset.split'] = 'all'
    config = load_config('mvlt/retrieval_search_catalogue', options, str(shop))
    config.experiment_name = f'doors_{rerank}_{rerank_topk}_{folder}'
    runner = build_runner(config, 'test', str(model), work_dir=str(tmp_path))
    runner.test()
    loop = runner.test_loop
    results = {(result['direction'], result['query']): result for result in loop.results}

    def expected(direction, row):
        rows = results[direction, row]['candidates'][:6]
        return [loop.records[row]['caption'] for row in rows]

    opened = open_model(model)
    query_options = dict(topk=6, rerank=rerank, rerank_topk=rerank_topk or 50)
    memory = Search(opened, 'memory', show_progress=False)
    memory.build(shop)
    lance = Search(opened, tmp_path / 'index', shop, show_progress=False)
    lance.build(shop)
    images = TextToImageRetrievalInferencer(opened, show_progress=False).read(shop)
    texts = ImageToTextRetrievalInferencer(opened, show_progress=False).read(shop)
    for row in (0, 3, 11):
        record = loop.records[row]
        (best,) = images(record['caption'], **query_options)['predictions']
        for rows in (
            memory(record['caption'], **query_options),
            lance(record['caption'], **query_options),
        ):
            assert [{**r, 'score': None, 'itm_score': None} for r in rows] == [
                {**r, 'score': None, 'itm_score': None} for r in best
            ]
            scores = [r['score'] for r in best]
            assert [r['score'] for r in rows] == pytest.approx(scores, abs=1e-5)
        assert _captions(best) == expected('tir', row)
        (best,) = texts(record['img_path'], **query_options)['predictions']
        assert _captions(best) == expected('itr', row)
    caption = loop.records[3]['caption']
    service = pytest.importorskip('projects.search_service.app', reason="needs '.[serve]'")
    client = pytest.importorskip('fastapi.testclient').TestClient(
        service.create_app(service.BatchedSearch(opened, lance.index, shop), service.Settings())
    )
    answer = client.post('/search', json=dict(text=caption, **query_options))
    assert _captions(answer.json()['results']) == expected('tir', 3)
    if rerank is None or folder == 'model_folder':
        page = pytest.importorskip('projects.web_demo.page', reason="needs '.[web]'")
        shown, _, _ = page.Page([model], shop, index=lance.location).search(caption)
        assert [text.partition('  ')[2] for _, text in shown[:6]] == expected('tir', 3)
