"""Contract: the tools train, validate and rank a model from outside."""

import numpy as np
from PIL import Image

from tests.commands import run_here

CONFIG = 'projects/example_model/dual_encoder_catalogue.py'
COLOURS = dict(red=(220, 20, 20), blue=(20, 20, 220), green=(20, 200, 20), black=(10, 10, 10))


def _run(*arguments):
    done = run_here(*arguments)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


def test_the_tools_train_and_rank_it(tmp_path):
    rng = np.random.default_rng(0)
    (tmp_path / 'images').mkdir()
    lines = ['id,image,productDisplayName,subCategory,articleType']
    for i in range(200):
        name = list(COLOURS)[i % 4]
        colour = np.clip(np.array(COLOURS[name]) + rng.integers(-9, 9, 3), 0, 255)
        Image.new('RGB', (32, 32), tuple(colour.tolist())).save(tmp_path / f'images/{i}.png')
        lines.append(f'{i},images/{i}.png,a {name} thing {i},Shoes,Boots')
    (tmp_path / 'products.csv').write_text('\n'.join(lines))
    work = tmp_path / 'work'
    output = _run(
        *('tools/train.py', CONFIG, '--data-root', tmp_path, '--work-dir', work, '--cfg-options'),
        *('train_cfg.max_iters=60', 'train_cfg.val_interval=30', 'optim_wrapper.optimizer.lr=0.01'),
        *('param_scheduler.warmup.end=5', 'param_scheduler.decay.begin=5'),
        *('default_hooks.checkpoint.interval=60', 'val_cfg.num_candidates=5'),
    )
    assert output.count('Iter(val)') == 2 and list(work.glob('best_retrieval_tir_R@10*.pth'))
    assert len(output[: output.index('Iter(train)')].splitlines()) <= 40  # a short preamble
    output = _run(
        *('tools/test.py', CONFIG, work / 'iter_60.pth', '--data-root', tmp_path),
        *('--work-dir', tmp_path / 'test', '--cfg-options', 'test_cfg.num_candidates=5'),
    )
    recall = float(output.split('retrieval/tir/R@1: ')[1].split()[0])
    assert recall > 20  # chance; at most three of four candidates have another colour
    assert (tmp_path / 'test/results.json').is_file()
