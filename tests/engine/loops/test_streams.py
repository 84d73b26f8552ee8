"""Contract: queries of some streams against candidates of others, as a naive twin ranks them."""

import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from mvlt.config import load_config
from mvlt.engine.launch import build_runner

IMAGES = (0, 1, 2, 2, 3, 4)  # of the records; two share one
PRODUCTS = ('a', 'b', 'c', 'd', 'e', 'a')


@pytest.fixture
def data(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3), np.uint8)
    for number, pixels in enumerate(noise):
        Image.fromarray(pixels).save(tmp_path / f'{number}.png')
    records = [
        dict(
            image=f'{image}.png',
            reference=f'{5 - row}.png',
            caption=f'bag {row}',
            change=f'in {"red wool " * row}',
            product_id=product,
        )
        for row, (image, product) in enumerate(zip(IMAGES, PRODUCTS))
    ]
    (tmp_path / 'test.json').write_text(json.dumps(dict(records=records)))
    return tmp_path


def _run(data, folder, name, query, candidates=('image',)):
    config = load_config('mvlt/retrieval_catalogue')
    steps = config.test_dataloader.dataset.pipeline
    config.test_dataloader.batch_size = 4
    config.test_dataloader.dataset = dict(
        type='PairJSON',
        data_root=str(data),
        ann_file='test.json',
        images=('reference',),
        texts=('change',),
        test_mode=True,
        pipeline=steps,
    )
    config.test_cfg = dict(
        type='StreamRankingLoop', query_streams=query, candidate_streams=candidates
    )
    config.data_root = str(data)
    config.experiment_name = name
    runner = build_runner(config, 'test', str(folder), work_dir=str(data / name))
    return runner.test(), runner.test_loop


@torch.no_grad()
def _embeds(loop, streams):
    """Of each record, read alone."""
    model, embeds = loop.scorer.model, []
    normalise = model.data_preprocessor.normalise
    for row in range(len(IMAGES)):
        inputs = loop.dataset[row]['inputs']
        tensors = dict(
            image=inputs['image'], text=inputs['token_ids'], **inputs['images'], **inputs['texts']
        )
        parts = [
            model.image_embeds(normalise(tensors[name][None]))
            if tensors[name].ndim == 3
            else model.text_embeds(tensors[name][None], None)
            for name in streams
        ]
        embeds.append(F.normalize(sum(parts), dim=-1)[0].numpy())
    return np.stack(embeds)


@pytest.mark.parametrize('folder', ['embedding_folder', 'dual_folder'])
@pytest.mark.parametrize('query', [('reference', 'change'), ('text',)])
def test_ranks_are_those_of_a_naive_twin(data, request, folder, query):
    metrics, loop = _run(data, request.getfixturevalue(folder), f'{folder}{len(query)}', query)
    queries, candidates = _embeds(loop, query), _embeds(loop, ('image',))
    distinct = [0, 1, 2, 4, 5]
    assert loop.protocol['num_candidates'] == metrics['retrieval/streams/candidates'] == 5
    results = {result['query']: result for result in loop.results}
    assert len(results) == metrics['retrieval/streams/queries'] == 6
    for row in range(6):
        scores = {other: float(queries[row] @ candidates[other]) for other in distinct}
        # two products share image 2, which is right for both
        right = [o for o in distinct if any(
            IMAGES[same] == IMAGES[o] and PRODUCTS[same] == PRODUCTS[row] for same in range(6)
        )]  # fmt: skip
        best = max(scores[other] for other in right)
        rank = 1 + sum(scores[other] > best for other in distinct if other not in right)
        assert results[row]['rank'] == rank and results[row]['relevant'] == len(right)
        order = sorted(distinct, key=lambda other: -scores[other])
        assert results[row]['candidates'] == order
        np.testing.assert_allclose(
            results[row]['scores'], [scores[other] for other in order], atol=1e-5
        )


def test_an_unknown_stream_is_named(data, embedding_folder):
    with pytest.raises(KeyError, match="no texts stream 'title'; it has text, change"):
        _run(data, embedding_folder, 'unknown', ('title',))
