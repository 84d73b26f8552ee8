"""Contract: the README's commands train, resume, test and run on two processes."""

import json
import os
import re
import sys
from pathlib import Path

import pytest
import torch

from tests.commands import ROOT, run_apart, run_here
from tests.faults.runs import free_port

SMALL = [
    'train_dataloader.batch_size=8',
    'default_hooks.logger.interval=1',
    'train_cfg.max_iters=4',
    'default_hooks.checkpoint.interval=2',
    'model.backbone.embed_dims=(8,16,24,32)',
    'model.backbone.num_heads=(1,1,1,1)',
    'model.neck.channels=None',
]


def _train(demo_data, work_dir, *options, more=(), run=run_here):
    return run(
        *('tools/train.py', 'configs/demo/pretrain_demo.py'),
        *('--data-root', demo_data, '--work-dir', work_dir, *more),
        *('--cfg-options', *SMALL, *options),
    )


def _losses(work_dir) -> list[float]:
    lines = [
        json.loads(line)
        for file in sorted(Path(work_dir).glob('*/vis_data/scalars.json'))
        for line in file.read_text().splitlines()
    ]
    return [line['loss'] for line in lines if 'loss' in line]


@pytest.fixture(scope='module')
def trained(demo_data, tmp_path_factory):
    """Four steps of the demo's pre-training."""
    work_dir = tmp_path_factory.mktemp('trained')
    done = _train(demo_data, work_dir, run=lambda *words: run_apart(sys.executable, *words))
    assert done.returncode == 0, done.stderr[-3000:]
    return work_dir


def test_training_writes_checkpoints(trained):
    assert {'iter_2.pth', 'iter_4.pth', 'last_checkpoint'} <= set(os.listdir(trained))
    assert len(_losses(trained)) == 4


def test_same_seed_same_losses_bit_for_bit(demo_data, trained, tmp_path):
    """In this process and in the one that made ``trained``."""
    assert _train(demo_data, tmp_path).returncode == 0
    assert _losses(tmp_path) == _losses(trained)
    first, second = (
        torch.load(folder / 'iter_4.pth', weights_only=False)['state_dict']
        for folder in (trained, tmp_path)
    )
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_resume_does_not_need_the_start_checkpoint(demo_data, trained, tmp_path):
    start = tmp_path / 'start.pth'
    start.write_bytes((trained / 'iter_2.pth').read_bytes())
    options = (f'load_from={start}',)
    done = _train(demo_data, tmp_path / 'run', 'train_cfg.max_iters=2', *options)
    assert done.returncode == 0, done.stderr[-2000:]
    start.unlink()
    done = _train(demo_data, tmp_path / 'run', *options, more=['--resume'])
    assert done.returncode == 0, done.stderr[-2000:]
    done = _train(demo_data, tmp_path / 'another', *options)
    assert done.returncode == 2
    assert f'{start}: no such checkpoint or model folder; correct --from' in done.stderr


def test_resume_continues_from_the_last_checkpoint(demo_data, tmp_path):
    assert _train(demo_data, tmp_path, 'train_cfg.max_iters=2').returncode == 0
    done = _train(demo_data, tmp_path, more=['--resume'])
    assert done.returncode == 0, done.stderr[-3000:]
    assert 'resumed epoch: 0, iter: 2' in done.stdout + done.stderr
    assert len(_losses(tmp_path)) == 4


def test_retrieval_and_generation_of_the_checkpoint(demo_data, trained, tmp_path):
    for task, key in (
        ('retrieval', 'retrieval/tir/R@10'),
        ('generation', 'reconstruction/masked_psnr'),
    ):
        few = ['test_cfg.num_queries=4', 'test_cfg.num_candidates=9']
        done = run_here(
            *('tools/test.py', f'configs/demo/{task}_demo.py'),
            *(trained / 'iter_4.pth', '--data-root', demo_data, '--work-dir', tmp_path / task),
            *(['--cfg-options', *few] if task == 'retrieval' else []),
        )
        assert done.returncode == 0, done.stderr[-3000:]
        results = json.loads((tmp_path / task / 'results.json').read_text())
        assert key in results['metrics']
        assert len(results['checkpoint_sha256']) == 64 and results['protocol']['rows'] == 216


def _rank(processes, config, checkpoint, *options):
    if processes == 1:
        return run_here('tools/test.py', config, checkpoint, *options)
    command = ('tools/dist_test.sh', config, checkpoint, processes, *options)
    return run_apart(*command, PORT=str(free_port()))


def test_two_processes_rank_as_one(demo_data, trained, tmp_path):
    outputs = []
    for processes in (1, 2):
        work_dir = tmp_path / f'test{processes}'
        done = _rank(
            *(processes, 'configs/demo/retrieval_demo.py', trained / 'iter_4.pth'),
            *('--data-root', demo_data, '--work-dir', work_dir, '--cfg-options'),
            *('test_cfg.num_queries=5', 'test_cfg.num_candidates=9'),
        )
        assert done.returncode == 0, done.stderr[-3000:]
        outputs.append(
            (
                json.loads((work_dir / 'results.json').read_text())['metrics'],
                [
                    ranking['query']
                    for ranking in json.loads((work_dir / 'rankings.json').read_text())
                ],
            )
        )
    assert outputs[0] == outputs[1] and len(outputs[0][1]) == 10  # five queries a direction
    assert not (ROOT / '.dist_test').exists()


def test_two_processes_rank_all_as_one_and_a_killed_run_resumes(demo_data, trained, tmp_path):
    """Equal results.json from one process, two processes, and a killed and resumed one."""

    def rank(processes, work_dir, *options):
        return _rank(
            *(processes, 'configs/demo/retrieval_full_demo.py', trained / 'iter_4.pth'),
            *('--data-root', demo_data, '--work-dir', work_dir, *options, '--cfg-options'),
            *('test_cfg.shard_pairs=200', 'test_dataloader.dataset.indices=30'),
        )

    for processes in (1, 2):
        done = rank(processes, tmp_path / str(processes))
        assert done.returncode == 0, done.stderr[-3000:]
    shards = sorted((tmp_path / '2').rglob('*.npy'))
    assert len(shards) > 1
    for shard in shards[1:]:  # as after a kill behind the first shard
        shard.unlink()
    shards[0].with_name('.half.npy').write_bytes(b'half')
    (tmp_path / '2/results.json').rename(tmp_path / '2/before.json')
    done = rank(1, tmp_path / '2')
    assert f'{len(shards)} shards of scores here, {len(shards) - 1} to compute' in (
        done.stdout + done.stderr
    )
    alone, together, again = (
        (tmp_path / name).read_text()
        for name in ('1/results.json', '2/before.json', '2/results.json')
    )
    assert alone == together == again
    metrics = json.loads(alone)['metrics']
    assert metrics['retrieval/itr/queries'] == 30


@pytest.mark.parametrize(
    ('options', 'line'),
    [
        (['model.backbone.image_size=100'], r'backbone.image_size=100: .*32 must divide'),
        (['model.backbone.dephts=1'], r"'dephts' is unknown here; legal: arch"),
        (
            ['train_dataloader.dataset.dataset.pipeline.mask.type=StrokesMask'],
            r'Did you mean StrokeMask\?',
        ),
        (['train_dataloader.dataset.dataset.ann_file=none.h5'], r'none.h5: no such file'),
        (['model.backbone.vocab_size=100'], r'has \d+ word pieces, the model 100 rows'),
    ],
)
def test_a_users_mistake_is_one_line_before_training_starts(demo_data, tmp_path, options, line):
    done = _train(demo_data, tmp_path, *options)
    assert done.returncode == 2
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith('error: ') and re.search(line, last), last
    assert 'Traceback' not in done.stderr


def test_a_tokenizer_that_does_not_fit_the_checkpoint(demo_data, trained, tmp_path):
    from mvlt.datasets import train_tokenizer

    train_tokenizer(['other words'] * 3, tmp_path / 'other', 100)
    done = run_here(
        *('tools/test.py', 'configs/demo/pretrain_demo.py'),
        *(trained / 'iter_4.pth', '--data-root', demo_data, '--work-dir', tmp_path),
        *(
            '--cfg-options',
            f'test_dataloader.dataset.pipeline.tokenize.tokenizer={tmp_path / "other"}',
        ),
        *[option for option in SMALL if option.startswith('model.')],
    )
    assert done.returncode == 2
    assert 'is not the one that the checkpoint was trained with' in done.stderr


def test_resume_into_an_empty_folder_starts_from_the_configs_checkpoint(
    demo_data, trained, tmp_path
):
    def start(checkpoint):
        return run_here(
            *('tools/train.py', 'configs/demo/recognition_demo.py', '--resume'),
            *('--data-root', demo_data, '--work-dir', tmp_path, '--cfg-options'),
            *(f'load_from={checkpoint}', 'train_cfg.max_iters=1', 'train_dataloader.batch_size=4'),
            *[option for option in SMALL if option.startswith('model.backbone')],
        )

    missing = start(tmp_path / 'none.pth')
    assert missing.returncode == 2 and 'none.pth: no such checkpoint' in missing.stderr
    done = start(trained / 'iter_4.pth')
    assert done.returncode == 0, done.stderr[-3000:]
    # all tensors of the backbone are loaded; only the new heads start at random
    assert re.search(
        r'left at random: heads.main_category, heads.sub_category;',
        done.stdout + done.stderr,
    )


def test_bfloat16_trains_on_a_cpu(demo_data, trained, tmp_path):
    done = _train(demo_data, tmp_path, 'train_cfg.max_iters=1', more=['--amp'])
    assert done.returncode == 0, done.stderr[-3000:]
    (amp,), full = _losses(tmp_path), _losses(trained)[0]
    assert amp != full and abs(amp - full) < 0.02 * full


def test_an_unreadable_image_in_a_data_worker_is_one_line(catalogue, demo_data, tmp_path):
    (catalogue / 'images/7.png').write_bytes(b'no image')
    (catalogue / 'products.json').write_text(
        '{"columns": {"image": "image", "product_id": "id"}, "caption": "{title}"}'
    )
    done = run_here(
        *('tools/train.py', 'configs/mvlt/pretrain_catalogue.py'),
        *('--data-root', catalogue, '--work-dir', tmp_path / 'out', '--cfg-options'),
        *('train_dataloader.num_workers=1', 'train_dataloader.batch_size=8'),
        'train_dataloader.dataset.dataset.split=all',
        'train_dataloader.dataset.dataset.on_error=raise',
        *[option for option in SMALL if option.startswith('model.')],
    )
    assert done.returncode == 2, done.stderr[-2000:]
    last = done.stderr.strip().splitlines()[-1]
    assert re.search(r'^error: .*products.csv, row 9: .*7\.png: unreadable image', last), last
