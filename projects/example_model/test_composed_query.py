"""Contract: the tools rank images for an image and a text together."""

import json

import numpy as np
from PIL import Image

from projects.example_model.test_colour_dual_encoder import COLOURS, _run

CONFIG = 'projects/example_model/composed_json.py'


def _write(root):
    """A bright cell of 4 x 4 in one of four colours; the text names the old and new colour."""
    records = []
    for cell in range(16):
        for name, colour in COLOURS.items():
            pixels = np.full((32, 32, 3), 245, np.uint8)
            row, column = 8 * (cell // 4), 8 * (cell % 4)
            pixels[row : row + 8, column : column + 8] = colour
            Image.fromarray(pixels).save(root / f'{cell}_{name}.png')
            records += [
                dict(
                    image=f'{cell}_{name}.png',
                    reference=f'{cell}_{other}.png',
                    caption=f'more{name} less{other}',  # the text is a bag of words
                    product_id=f'{cell}_{name}',
                )
                for other in COLOURS
                if other != name
            ]
    order = np.random.default_rng(0).permutation(len(records))
    for file, rows in dict(train=order[:-40], test=order[-40:]).items():
        chosen = [records[row] for row in rows]
        (root / f'{file}.json').write_text(json.dumps(dict(records=chosen)))


def test_a_reference_and_a_text_find_an_image(tmp_path):
    _write(tmp_path)
    work, tested = tmp_path / 'work', tmp_path / 'test'
    _run(
        *('tools/train.py', CONFIG, '--data-root', tmp_path, '--work-dir', work, '--cfg-options'),
        *('train_cfg.max_iters=150', 'optim_wrapper.optimizer.lr=0.01'),
        *('param_scheduler.warmup.end=5', 'param_scheduler.decay.begin=5'),
        'default_hooks.checkpoint.interval=150',
    )
    shop = (CONFIG, work / 'iter_150.pth', '--data-root', tmp_path, '--work-dir', tested)
    _run('tools/test.py', *shop)
    results = json.loads((tested / 'results.json').read_text())
    metrics, protocol = results['metrics'], results['protocol']
    assert protocol['query_streams'] == ['reference', 'text']
    assert protocol['num_queries'] == metrics['retrieval/streams/queries'] == 40
    both = metrics['retrieval/streams/R@1']
    assert both > 60 > 10 * metrics['retrieval/streams/chance']
    ranked = json.loads((tested / 'rankings.json').read_text())
    assert len(ranked) == 40 and all(len(ranking['candidates']) == 10 for ranking in ranked)
    for alone in ('reference', 'text'):  # neither tells both colour and cell
        _run('tools/test.py', *shop, '--cfg-options', f"test_cfg.query_streams=('{alone}',)")
        results = json.loads((tested / 'results.json').read_text())
        assert results['metrics']['retrieval/streams/R@1'] < both / 2
