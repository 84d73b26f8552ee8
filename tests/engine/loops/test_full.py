"""Contract: all pairs once, ranks as a naive twin counts them; a stopped run resumes."""

import os
import shutil

import numpy as np
import pytest
import torch

from mvlt.config import load_config
from mvlt.engine.launch import build_runner
from mvlt.engine.loops.full import _rerank_recall
from mvlt.evaluation.functional import pessimistic_rank
from mvlt.retrieval.gallery import make_gallery
from tests.small_model import with_model

_ITC = {'model.heads.itc': dict(type='ITCHead', dims=8)}
_TOP = {k: {'test_cfg.rerank_topk': k, **_ITC} for k in (2, 1000)}


def _runner(demo_data, tmp_path, name, **options):
    config = load_config('configs/mvlt/retrieval_full_fashiongen.py', data_root=str(demo_data))
    config = with_model(config, 'mvlt/pretrain_fashiongen')
    config.test_dataloader.num_workers = 0
    config.test_dataloader.dataset.update(
        ann_file='fashiongen_64_64_train.h5', classes_from=None, indices=20
    )
    for transform in filter(None, config.test_dataloader.dataset.pipeline.values()):
        if 'scale' in transform:
            transform.scale = (32, 32)
        if 'tokenizer' in transform:
            transform.tokenizer = str(demo_data / 'tokenizer')
    config.model.backbone.update(
        image_size=32,
        vocab_size=400,
        token_embed_dim=16,
        embed_dims=(8, 16, 24, 32),
        num_heads=(1, 1, 1, 1),
        depths=(1, 1, 1, 1),
        init_cfg=None,
    )
    config.test_cfg.update(dict(batch_size=16, shard_pairs=30))
    config.merge_from_dict(options)
    config.work_dir = str(tmp_path)
    config.experiment_name = name
    return build_runner(config, 'test')


def _twin(loop):
    """Every pair scored by itself, ranks by the plain definition."""
    dataset, model, gallery = loop.dataloader.dataset, loop.scorer.model, loop.gallery
    records = [dataset.get_data_info(row) for row in range(len(dataset))]
    scores = np.empty((len(gallery.images), len(gallery.texts)), dtype=np.float32)
    belong = np.zeros(scores.shape, dtype=bool)
    for i, image_row in enumerate(gallery.images):
        pixels = model.data_preprocessor.normalise(dataset[image_row]['inputs']['image'][None])
        for j, text_row in enumerate(gallery.texts):
            tokens = dataset[text_row]['inputs']['token_ids'][None]
            scores[i, j] = float(model.match(pixels, tokens, None))
            belong[i, j] = any(
                record['product_id'] == records[image_row]['product_id']
                and record['caption'] == records[text_row]['caption']
                for record in records
            )
    tir = [pessimistic_rank(scores[:, j], belong[:, j]) for j in range(len(gallery.texts))]
    itr = [pessimistic_rank(scores[i], belong[i]) for i in range(len(gallery.images))]
    return dict(tir=tir, itr=itr), scores


def _ranks(loop, direction):
    return [result['rank'] for result in loop.results if result['direction'] == direction]


def test_ranks_are_those_of_a_naive_twin(demo_data, tmp_path):
    runner = _runner(demo_data, tmp_path, 'full')
    metrics = runner.test()
    loop = runner.test_loop
    expected, scores = _twin(loop)
    # 20 rows, two views a product: 20 images, 10 captions
    assert len(loop.gallery.images) == 20 and len(loop.gallery.texts) == 10
    assert _ranks(loop, 'tir') == expected['tir'] and _ranks(loop, 'itr') == expected['itr']
    assert metrics['retrieval/tir/queries'] == 10 and metrics['retrieval/itr/queries'] == 20
    assert loop.protocol['pairs'] == 200 and loop.protocol['name'] == 'full'
    first = next(result for result in loop.results if result['direction'] == 'tir')
    best = np.argsort(-scores[:, 0], kind='stable')[:10]
    assert first['candidates'][:10] == [loop.gallery.images[i] for i in best]
    np.testing.assert_allclose(first['scores'][:10], scores[best, 0], atol=1e-6)
    for result in loop.results:  # the match is there, however far behind
        assert any(result['positives']) and len(result['scores']) <= 11
    assert len(list((tmp_path / 'scores').glob('*/*.npy'))) == 7  # three images of ten captions


def test_a_stopped_run_goes_on_and_other_weights_start_anew(demo_data, tmp_path, monkeypatch):
    whole = _runner(demo_data, tmp_path / 'whole', 'whole')
    weights = whole.model.state_dict()
    expected = whole.test()

    class KilledError(Exception):
        pass

    def dies(self, *args):
        if len(list((tmp_path / 'cut').rglob('*.npy'))) == 3:
            raise KilledError
        return score(self, *args)

    runner = _runner(demo_data, tmp_path / 'cut', 'cut')
    runner.model.load_state_dict(weights)
    score = type(whole.test_loop.scorer).score
    monkeypatch.setattr(type(whole.test_loop.scorer), 'score', dies)
    with pytest.raises(KilledError):
        runner.test()
    shards = sorted((tmp_path / 'cut').rglob('*.npy'))
    assert len(shards) == 3
    shards[1].write_bytes(shards[1].read_bytes()[:-8])  # and one of them was cut
    calls = []
    monkeypatch.setattr(
        type(whole.test_loop.scorer), 'score', lambda *args: calls.append(1) or score(*args)
    )
    again = _runner(demo_data, tmp_path / 'cut', 'again')
    again.model.load_state_dict(weights)
    assert again.test() == expected
    assert len(calls) == 5  # of seven
    assert again.test_loop.results[3]['rank'] == whole.test_loop.results[3]['rank']
    with torch.no_grad():
        next(again.model.parameters()).add_(1)
    again.test()
    assert len(calls) == 12


def test_reranking_scores_the_best_only_and_says_what_it_can_lose(demo_data, tmp_path):
    runner = _runner(demo_data, tmp_path, 'rerank', **_TOP[2])
    metrics = runner.test()
    loop = runner.test_loop
    _, scores = _twin(loop)
    (folder,) = (tmp_path / 'scores').iterdir()
    read = np.concatenate([np.load(path) for path in sorted(folder.glob('*.npy'))])
    asked = np.isfinite(read)
    assert asked.sum(0).min() >= 2 and asked.sum(1).min() >= 2
    assert asked.sum() <= 2 * 10 + 2 * 20
    np.testing.assert_allclose(read[asked], scores[asked], atol=1e-6)
    for direction in ('tir', 'itr'):
        recall = metrics[f'retrieval/{direction}/R@1']
        assert recall <= metrics[f'retrieval/{direction}/rerank_recall']
    assert all(np.isfinite(result['scores']).all() for result in loop.results)
    everything = _runner(demo_data, tmp_path, 'all', **_TOP[1000])
    everything.model.load_state_dict(runner.model.state_dict())
    exact = _runner(demo_data, tmp_path, 'exact', **_ITC)
    exact.model.load_state_dict(runner.model.state_dict())
    metrics = everything.test()
    assert metrics.pop('retrieval/tir/rerank_recall') == 100
    assert metrics.pop('retrieval/itr/rerank_recall') == 100
    assert metrics.pop('retrieval/tir/recall_lost_at_most') == 0
    assert metrics.pop('retrieval/itr/recall_lost_at_most') == 0
    assert metrics == pytest.approx(exact.test())


def test_changed_images_or_tokens_are_scored_anew(demo_data, tmp_path):
    runner = _runner(demo_data, tmp_path, 'anew')
    loop = runner.build_test_loop(runner.cfg.test_cfg)
    texts = loop.tokens(loop.gallery.texts)
    name = loop._fingerprint(texts)
    assert loop._fingerprint(loop.tokens(loop.gallery.texts)) == name
    texts[3] = texts[3] + 1  # as another tokenizer has it
    assert loop._fingerprint(texts) != name
    assert loop._fingerprint(loop.tokens(loop.gallery.texts), np.array([1, 5])) != name
    features = tmp_path / 'regions.h5'  # that a step of the pipeline reads
    features.write_bytes(b'one')
    loop.dataloader.dataset.pipeline.transforms[0].files = (str(features),)
    reads = loop._fingerprint(loop.tokens(loop.gallery.texts))
    features.write_bytes(b'another')
    assert loop._fingerprint(loop.tokens(loop.gallery.texts)) not in (name, reads)
    del loop.dataloader.dataset.pipeline.transforms[0].files
    copy = tmp_path / 'copy.h5'
    shutil.copy(loop.dataloader.dataset.ann_file, copy)
    loop.dataloader.dataset.ann_file = str(copy)
    os.utime(copy, (1, 1))  # the same bytes, written at another time
    assert loop._fingerprint(loop.tokens(loop.gallery.texts)) != name


def test_a_positive_that_is_not_listed_can_cost_recall():
    records = [
        dict(product_id='a', caption='one'),
        dict(product_id='a', caption='two'),
        dict(product_id='b', caption='three'),
    ]
    gallery = make_gallery(records)  # images 0 and 1 have two captions each, image 2 has one
    matches = [np.array([i]) for i in range(3)]
    recall = _rerank_recall(gallery, dict(tir=matches, itr=matches))
    assert recall['retrieval/itr/rerank_recall'] == 100
    assert recall['retrieval/itr/recall_lost_at_most'] == pytest.approx(200 / 3)
    others = [np.delete(np.arange(3), i) for i in range(3)]
    # image 2 and its caption miss each other
    recall = _rerank_recall(gallery, dict(tir=others, itr=others))
    assert recall['retrieval/tir/rerank_recall'] == pytest.approx(200 / 3)
    assert recall['retrieval/tir/recall_lost_at_most'] == 100


def test_recall_of_random_weights_is_chance(demo_data, tmp_path):
    """A leak between image and captions would show: 3 standard errors around chance."""
    runner = _runner(demo_data, tmp_path, 'chance', **{'test_dataloader.dataset.indices': None})
    metrics = runner.test()
    gallery = runner.test_loop.gallery
    chances = dict(
        tir=[_chance(len(gallery.images), len(positives), 10) for positives in gallery.images_of],
        itr=[_chance(len(gallery.texts), len(positives), 10) for positives in gallery.texts_of],
    )
    for direction, chance in chances.items():
        mean = np.mean(chance)
        error = (mean * (1 - mean) / len(gallery.texts)) ** 0.5  # views of a product go along
        assert abs(metrics[f'retrieval/{direction}/R@10'] / 100 - mean) < 3 * error


def _chance(candidates, positives, k):
    """Probability that one of ``positives`` is among the first k of a random order."""
    missed = 1.0
    for i in range(k):
        missed *= max(candidates - positives - i, 0) / (candidates - i)
    return 1 - missed


def test_constant_scores_find_nothing(demo_data, tmp_path, monkeypatch):
    runner = _runner(demo_data, tmp_path, 'constant')
    monkeypatch.setattr(
        type(runner.model), 'match', lambda self, image, *_: torch.full((len(image),), 0.5)
    )
    metrics = runner.test()
    assert metrics['retrieval/tir/R@10'] == metrics['retrieval/itr/R@5'] == 0
    assert metrics['retrieval/tir/mean_rank'] == 19  # behind the 18 images of others
    assert metrics['retrieval/itr/mean_rank'] == 10


def test_diverged_weights_are_named(demo_data, tmp_path):
    runner = _runner(demo_data, tmp_path, 'nan')
    torch.nn.init.constant_(runner.model.heads.itm.classifier.bias, float('nan'))
    with pytest.raises(ValueError, match='diverged'):
        runner.test()


def test_wrong_settings(demo_data, tmp_path):
    with pytest.raises(ValueError, match='rerank_topk=0; give a positive number'):
        _runner(demo_data, tmp_path, 'wrong', **{'test_cfg.rerank_topk': 0}).test()
    runner = _runner(demo_data, tmp_path, 'no_itc', **{'test_cfg.rerank_topk': 2})
    with pytest.raises(ValueError, match='needs a head that gives embedding'):
        runner.test()


def test_the_analysis_stands_beside_the_metrics(demo_data, tmp_path):
    plain = _runner(demo_data, tmp_path, 'plain', **_ITC, **{'test_cfg.rerank': None})
    more = _runner(
        demo_data, tmp_path, 'more', **_ITC, **{'test_cfg.rerank': None, 'test_cfg.analysis': True}
    )
    more.model.load_state_dict(plain.model.state_dict())
    metrics, all_metrics = plain.test(), more.test()
    assert {name: all_metrics[name] for name in metrics} == metrics
    for direction in ('tir', 'itr'):
        low, high = (all_metrics[f'analysis/{direction}/R@1_{end}'] for end in ('low', 'high'))
        assert low <= metrics[f'retrieval/{direction}/R@1'] <= high
        assert 0 < all_metrics[f'analysis/{direction}/NDCG@10'] <= 100
        assert f'analysis/{direction}/hubness' in all_metrics
    assert 'analysis/tir/typo/R@1' in all_metrics
    # queries with typing errors leave the results as they are
    assert [query['rank'] for query in more.test_loop.results] == [
        query['rank'] for query in plain.test_loop.results
    ]
