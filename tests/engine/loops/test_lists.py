"""Contract: every pair scored once, by image and caption of the right rows, ranks as by hand."""

import json
import os

import numpy as np
import pytest
import torch

from mvlt.config import load_config
from mvlt.datasets import CandidateList
from mvlt.engine.launch import build_runner
from mvlt.engine.loops.lists import Query
from mvlt.files import write_json
from mvlt.tools.dataset_converters.make_candidates import candidate_content
from tests.small_model import with_model


def _runner(demo_data, tmp_path, **options):
    config = load_config('configs/demo/retrieval_demo.py', data_root=str(demo_data))
    config = with_model(config, 'demo/pretrain_demo')
    config.merge_from_dict(
        {
            'test_cfg.num_queries': 6,
            'test_cfg.num_candidates': 9,
            'test_cfg.batch_size': 10,
            'model.backbone.image_size': 32,
            **options,
        }
    )
    for transform in filter(None, config.test_dataloader.dataset.pipeline.values()):
        if 'scale' in transform:
            transform.scale = (32, 32)
    config.work_dir = str(tmp_path)
    return build_runner(config, 'test')


@pytest.fixture
def runner(demo_data, tmp_path):
    return _runner(demo_data, tmp_path, experiment_name='loop')


def test_scores_agree_with_one_pair_at_a_time(runner):
    loop = runner.build_test_loop(runner.cfg.test_cfg)
    queries = [
        Query('tir', CandidateList(3, (3, 8, 1))),
        Query('itr', CandidateList(7, (7, 0, 30, 5))),
    ]
    dataset, model = loop.dataloader.dataset, runner.model.eval()
    scores = loop.score(queries)

    def score(image_row, text_row):
        preprocessor = model.data_preprocessor
        image = preprocessor.normalise(dataset[image_row]['inputs']['image'][None])
        tokens = dataset[text_row]['inputs']['token_ids'][None]
        return float(model.match(image, tokens, None))

    expected = [[score(i, 3) for i in (3, 8, 1)], [score(7, t) for t in (7, 0, 30, 5)]]
    for computed, naive in zip(scores, expected):
        np.testing.assert_allclose(computed, naive, atol=1e-6)


def test_metrics_of_a_run(runner):
    metrics = runner.test()
    for direction in ('tir', 'itr'):
        assert metrics[f'retrieval/{direction}/queries'] == 6
        recalls = [metrics[f'retrieval/{direction}/R@{k}'] for k in (1, 5, 10)]
        assert recalls == sorted(recalls) and recalls[-1] == 100  # 9 candidates
    results = runner.test_loop.results
    assert [result['direction'] for result in results] == ['tir'] * 6 + ['itr'] * 6
    assert all(len(result['scores']) == 9 and result['positives'].sum() == 1 for result in results)


def test_certain_matches_are_ranked_too(runner):
    """30 more on every matched logit: all probabilities are 1, the ranks stay."""
    runner.test()
    before = [result['rank'] for result in runner.test_loop.results]
    with torch.no_grad():
        runner.model.heads.itm.classifier.bias += torch.tensor([0.0, 30.0])
    runner.test()
    assert [result['rank'] for result in runner.test_loop.results] == before
    assert len(set(before)) > 1 and set(before) != {9}


def test_constant_scores_find_nothing(runner, monkeypatch):
    monkeypatch.setattr(
        type(runner.model), 'match', lambda self, image, *_: torch.full((len(image),), 0.5)
    )
    metrics = runner.test()
    assert metrics['retrieval/tir/R@5'] == metrics['retrieval/itr/R@5'] == 0


def test_unknown_direction(runner):
    with pytest.raises(ValueError, match=r"legal: \('tir', 'itr'\)"):
        runner.build_test_loop(dict(runner.cfg.test_cfg, directions=('text',)))


def test_data_workers_give_the_same_pairs_and_leave_no_file_open(demo_data, tmp_path):
    read = []
    for workers in (0, 2):
        runner = _runner(
            demo_data,
            tmp_path,
            experiment_name=f'workers{workers}',
            **{'test_dataloader.num_workers': workers, 'test_dataloader.batch_size': 3},
        )
        loop = runner.build_test_loop(runner.cfg.test_cfg)
        open_before = len(os.listdir('/proc/self/fd'))
        read.append(list(loop.scorer.read(range(0, 40, 2))))
        assert len(os.listdir('/proc/self/fd')) <= open_before + 4
    alone, workers = read
    assert len(alone) == len(workers) == 20
    for (image, text), (again, again_text) in zip(alone, workers):
        assert torch.equal(image, again) and torch.equal(text, again_text)


def test_draws_have_different_seeds_and_give_mean_and_deviation(demo_data, tmp_path):
    runner = _runner(demo_data, tmp_path, experiment_name='draws', **{'test_cfg.draws': 3})
    metrics = runner.test()
    loop = runner.test_loop
    assert loop.protocol['seeds'] == [0, 1, 2] and loop.protocol['name'] == '9 x 3'
    assert metrics['retrieval/tir/queries'] == 18
    each = []
    for draw in range(3):
        ranks = [r['rank'] for r in loop.results if r['draw'] == draw and r['direction'] == 'tir']
        assert len(ranks) == 6
        each.append(100 * np.mean([rank <= 5 for rank in ranks]))
    assert metrics['retrieval/tir/R@5'] == pytest.approx(np.mean(each))
    assert metrics['retrieval/tir/R@5_sd'] == pytest.approx(np.std(each, ddof=1))
    queries = [[r['query'] for r in loop.results if r['draw'] == draw] for draw in range(3)]
    assert queries[0] != queries[1]


def test_a_file_of_candidates_gives_what_the_draw_gives(demo_data, tmp_path):
    draws = _runner(demo_data, tmp_path, experiment_name='drawn', **{'test_cfg.draws': 2})
    metrics = draws.test()
    dataset = draws.test_loop.dataloader.dataset
    records = [dataset.get_data_info(row) for row in range(len(dataset))]
    content = candidate_content(records, {}, num_queries=6, num_candidates=9, seeds=(0, 1))
    write_json(tmp_path / 'candidates.json', content)
    options = {'test_cfg.candidates': str(tmp_path / 'candidates.json'), 'test_cfg.num_queries': 1}
    # the same seed: the same random weights
    read = _runner(demo_data, tmp_path, experiment_name='read', **options)
    read.model.load_state_dict(draws.model.state_dict())
    assert read.test() == metrics
    assert read.test_loop.protocol['candidates'].endswith('candidates.json')
    assert 'seeds' not in read.test_loop.protocol


def test_recall_of_random_weights_is_chance(demo_data, tmp_path):
    """A leak (the positive's place, a caption's tie) would show: 3 standard errors around k / 9."""
    runner = _runner(demo_data, tmp_path, experiment_name='chance', **{'test_cfg.num_queries': 108})
    metrics = runner.test()
    for direction in ('tir', 'itr'):
        queries = metrics[f'retrieval/{direction}/queries']
        assert queries == 108
        chance = 5 / 9
        error = 100 * (chance * (1 - chance) / queries) ** 0.5
        assert abs(metrics[f'retrieval/{direction}/R@5'] - 100 * chance) < 3 * error


def test_reranking_the_best_leaves_others_behind(demo_data, tmp_path):
    """results.json and rankings.json are there, with finite scores of what was ranked."""
    runner = _runner(
        demo_data, tmp_path, experiment_name='short',
        **{'test_cfg.rerank_topk': 3, 'test_cfg.rerank': 'sum'},
        **{'model.heads.itc': dict(type='ITCHead', dims=8)},
    )  # fmt: skip
    runner.test()
    rankings = json.loads((tmp_path / 'rankings.json').read_text())
    assert (tmp_path / 'results.json').is_file() and len(rankings) == 12
    for result in rankings:
        assert len(result['candidates']) == len(result['scores']) == len(result['positives']) <= 3
        assert result['rank'] == 9 or any(result['positives'])
