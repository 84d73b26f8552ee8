"""Contract: every attribute query against every image, and classes by their prompts."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from mvlt.config import load_config
from mvlt.engine.launch import build_runner

PROMPTED = ('sub_category', 'colour', 'gender')
COLOURS, KINDS = ('red', 'blue', 'NA'), ('tote', 'boots')


@pytest.fixture
def shop(tmp_path):
    """18 products: 3 of each colour (one not known) and kind."""
    rng = np.random.default_rng(0)
    (tmp_path / 'images').mkdir()
    lines = ['id,image,title,kind,tint']
    for i in range(18):
        noise = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(noise).save(tmp_path / f'images/{i}.png')
        lines.append(f'{i},images/{i}.png,a {KINDS[i % 2]} {i},{KINDS[i % 2]},{COLOURS[i % 3]}')
    (tmp_path / 'products.csv').write_text('\n'.join(lines))
    described = dict(
        columns=dict(image='image', product_id='id', sub_category='kind'),
        caption='{title}',
        attributes=dict(colour='tint'),
    )
    (tmp_path / 'products.json').write_text(json.dumps(described))
    return tmp_path


def _run(shop, folder, tmp_path, name, **options):
    config = load_config(
        'mvlt/retrieval_attribute_queries_catalogue',
        {
            'test_dataloader.dataset.split': 'all',
            'test_cfg.phrases': dict(
                gender_kind=None, colour_kind=None, both='{colour} {sub_category}'
            ),
            'test_cfg.prompts': dict(sub_category=None, gender=None, colour=('{}', 'a {} tote')),
            'test_cfg.fewest': 3,
            **options,
        },
        str(shop),
    )
    config.experiment_name = name
    runner = build_runner(config, 'test', str(folder), work_dir=str(tmp_path / name))
    return runner.test(), runner.test_loop


@torch.no_grad()
def _embeds(loop, texts):
    """Of all images and of texts, (18, D) and (n, D), of length 1."""
    model, tokenize = loop.scorer.model, loop.dataset.pipeline.tokenize()
    pixels = torch.stack([loop.dataset[i]['inputs']['image'] for i in range(18)])
    images = model.image_embeds(model.data_preprocessor.normalise(pixels)).numpy()
    encoded = [tokenize.tokenizer.encode(text, tokenize.max_length) for text in texts]
    embeds = [model.text_embeds(torch.tensor(ids)[None], None) for ids in encoded]
    return images, np.concatenate(embeds)


def test_queries_and_prompts_as_a_naive_twin(shop, embedding_folder, tmp_path):
    metrics, loop = _run(shop, embedding_folder, tmp_path, 'plain')
    queries = [(query.kind, query.text) for query in loop.queries]
    assert queries == [
        *(('kind', kind) for kind in sorted(KINDS)),
        *(('both', f'{colour} {kind}') for colour in ('blue', 'red') for kind in sorted(KINDS)),
    ]
    images, texts = _embeds(loop, [text for _, text in queries])
    precise = {}
    for (kind, text), vector in zip(queries, texts):
        order = np.argsort(-(images @ vector), kind='stable')[:10]
        words = text.split()
        right = [
            KINDS[i % 2] == words[-1] and (len(words) == 1 or COLOURS[i % 3] == words[0])
            for i in order
        ]
        precise.setdefault(kind, []).append(100 * sum(right) / 10)
    for kind, values in precise.items():
        assert metrics[f'phrases/{kind}/P@10'] == pytest.approx(np.mean(values))
        assert metrics[f'phrases/{kind}/queries'] == len(values)
    _, prompts = _embeds(loop, ['red', 'a red tote', 'blue', 'a blue tote'])
    means = prompts.reshape(2, 2, -1).mean(1)
    means /= np.linalg.norm(means, axis=1, keepdims=True)  # as CLIP
    predicted = (images @ means.T).argmax(1)
    labelled = [i for i in range(18) if i % 3 < 2]  # a third of the products has no colour
    right = [predicted[i] == i % 3 for i in labelled]
    assert metrics['zero_shot/colour/accuracy'] == pytest.approx(100 * np.mean(right))
    assert json.loads((tmp_path / 'plain/results.json').read_text())['protocol'] == dict(
        rows=18,
        name='phrases',
        phrases=dict(kind='{sub_category}', both='{colour} {sub_category}'),
        num_queries=dict(kind=2, both=4),
        num_candidates=18,
        fewest=3,
        text_weight=0.0,
        prompts=dict(colour=['{}', 'a {} tote']),
        rerank=None,
    )


def test_candidates_with_their_titles(shop, embedding_folder, tmp_path):
    """0.9 image and 0.1 title, as KAGL's attribute to product."""
    options = {'test_cfg.text_weight': 0.1, 'test_cfg.prompts': None}
    _, loop = _run(shop, embedding_folder, tmp_path, 'titles', **options)
    titles = [record['caption'] for record in loop.records]
    images, texts = _embeds(loop, [*titles, 'tote'])
    sums = 0.9 * images + 0.1 * texts[:-1]
    similar = (sums / np.linalg.norm(sums, axis=1, keepdims=True)) @ texts[-1]
    (result,) = (result for result in loop.results if result['phrase'] == 'tote')
    assert list(result['candidates']) == np.argsort(-similar, kind='stable')[:10].tolist()
    assert result['relevant'] == 9


def test_what_the_data_do_not_know_is_left_out_and_said(shop, embedding_folder, tmp_path):
    phrases = dict(kind=None, colour_kind=None, gender_kind='{gender} {sub_category}', a='{cut}')
    _, loop = _run(shop, embedding_folder, tmp_path, 'some', **{'test_cfg.phrases': phrases})
    assert not loop.phrases and list(loop.prompts) == ['colour']
    log = next((tmp_path / 'some').rglob('*.log')).read_text()
    assert "name 'cut', 'gender', which the data lack; legal: sub_category, colour" in log
    options = {'test_cfg.phrases': phrases, 'test_cfg.prompts': dict.fromkeys(PROMPTED)}
    with pytest.raises(ValueError, match=r"'cut', 'gender', which .*legal: .*colour"):
        _run(shop, embedding_folder, tmp_path, 'none', **options)
