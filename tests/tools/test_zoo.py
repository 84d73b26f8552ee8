"""Contract: the zoo's files follow from the dated results; seeds are pooled."""

import json
from pathlib import Path

import pytest
import yaml

from mvlt.tools import zoo

ROOT = Path(__file__).parents[2]


def _results(path, tir, sha='a', seed=0):
    metrics = {f'retrieval/{way}/R@{k}': tir for way in ('tir', 'itr') for k in (1, 5, 10)}
    path.write_text(
        json.dumps(
            dict(
                config='configs/mvlt/retrieval_catalogue.py',
                checkpoint_sha256=sha,
                metrics={**metrics, 'other': 1.0},
                protocol=dict(num_candidates=101),
                run=dict(
                    seed=seed,
                    iter=2800,
                    started_from=dict(iter=4200, started_from=dict(iter=5600)),
                ),
                versions={},
            )
        )
    )
    return path


def test_the_files_are_up_to_date():
    """Run tools/zoo.py write after a change."""
    for path, text in zoo.files(ROOT).items():
        assert (ROOT / path).read_text(encoding='utf-8') == text, path


def test_seeds_become_mean_and_deviation(tmp_path, monkeypatch):
    monkeypatch.setattr(zoo, 'size', lambda *args: dict(parameters=2.5, gflop=0.1))
    note = 'docs/results/index.md'
    for folder in (zoo.KEPT, zoo.METHOD, zoo.BASELINES):
        (tmp_path / folder).mkdir(parents=True)
    for seed, tir in ((0, 40.0), (1, 43.0)):
        result = _results(tmp_path / f'{seed}.json', tir, seed=seed)
        training = zoo.kept(
            'configs/mvlt/dual_encoder_catalogue_scratch.py', [result], None, 'products', note
        )
        assert training['steps'] == 12600 and training['seed'] == seed
        (tmp_path / zoo.KEPT / f'{seed}.json').write_text(json.dumps(training))
    (tmp_path / zoo.METHOD / 'README.md').write_text(f'before\n{" ".join(zoo.MARKS)}\nafter')
    baselines = tmp_path / zoo.BASELINES / 'results.json'
    baselines.write_text(json.dumps(dict(minutes=1, rows={})))
    files = zoo.files(tmp_path)
    assert '41.5 ± 2.1 / 41.5' in files['configs/mvlt/README.md']
    assert (
        files['configs/mvlt/README.md'].startswith('before')
        and '0, 1' in files['configs/mvlt/README.md']
    )
    (model,) = yaml.safe_load(files['configs/mvlt/metafile.yml'])['Models']
    assert model['Results'][0] == dict(
        Task='Text-To-Image Retrieval',
        Dataset='products, 101 candidates',
        Metrics={'Recall@1': 41.5, 'Recall@5': 41.5, 'Recall@10': 41.5},
    )


def test_the_best_floor_of_each_direction():
    floors = {
        'ridge': {'retrieval/tir/R@1': 48.5, 'retrieval/itr/R@1': 38.0},
        'kernel': {'retrieval/tir/R@1': 40.3, 'retrieval/itr/R@1': 39.74},
        'frequent': {'sub_category/accuracy': 17.1},
    }
    assert zoo._best_floor(floors) == '48.5, 39.7'
    assert zoo._best_floor({}) == zoo._best_floor({'a': {'sub_category/accuracy': 1.0}}) == '-'


def test_results_of_two_checkpoints_are_refused(tmp_path):
    both = [_results(tmp_path / f'{sha}.json', 1.0, sha) for sha in 'ab']
    with pytest.raises(ValueError, match='of 2 checkpoints'):
        zoo.kept(
            'configs/mvlt/dual_encoder_catalogue_scratch.py',
            both,
            None,
            '',
            'docs/results/index.md',
        )
    with pytest.raises(ValueError, match='--note x.md: no such file'):
        zoo.kept('configs/mvlt/dual_encoder_catalogue_scratch.py', both, None, '', 'x.md')
