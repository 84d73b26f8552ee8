"""Contract: exported models equal PyTorch's, for any batch size and caption length."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.commands import run_here

onnxruntime = pytest.importorskip('onnxruntime', reason="exporting needs '.[export]'")
pytest.importorskip('onnxscript', reason="exporting needs '.[export]'")

ROOT = Path(__file__).parent.parent.parent


TASKS = dict(
    embedding_folder={'image_encoder', 'text_encoder', 'matching', 'recognition', 'completion'},
    dual_folder={'image_encoder', 'text_encoder', 'recognition'},
)


@pytest.fixture(scope='module', params=TASKS)
def exported(request, tmp_path_factory):
    from PIL import Image

    folder = request.getfixturevalue(request.param)

    shop = tmp_path_factory.mktemp('shop')
    lines = ['image,id,title']
    for i in range(8):
        Image.new('RGB', (40, 30), (30 * i, 0, 255 - 30 * i)).save(shop / f'{i}.png')
        lines.append(f'{i}.png,{i},{"wool " * i}bag number {i}')
    (shop / 'products.csv').write_text('\n'.join(lines))
    out = tmp_path_factory.mktemp('exported')
    done = run_here(
        *('tools/export.py', folder, out, '--pairs', shop / 'products.csv'),
        *('--queries', 4, '--seconds', 0.01),
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return out, done.stdout, folder, TASKS[request.param]


def test_the_comparison(exported):
    out, printed, _, tasks = exported
    report = json.loads((out / 'comparison.json').read_text())
    assert set(report) == tasks
    for task, entry in report.items():
        assert entry['onnx']['difference'] < 1e-4 and entry['torch.export']['difference'] < 1e-4
        assert 0 < entry['int8']['difference'] < 0.2
        assert f'{task} ' in printed
        size = (out / f'{task}.int8.onnx').stat().st_size
        assert entry['int8']['megabytes'] == size / 2**20
    if 'matching' in report:
        recalls = {name: entry.get('recall_at_1') for name, entry in report['matching'].items()}
        assert 0 <= recalls['int8'] <= 100 and recalls['onnx'] == recalls['pytorch']


@pytest.mark.parametrize('batch', [1, 3, 65])
@pytest.mark.parametrize('length', [2, 5, 24])
def test_any_batch_and_length(exported, batch, length):
    """Against the PyTorch model, with captions of different lengths."""
    import mvlt

    out, _, folder, tasks = exported
    rng = np.random.default_rng(batch)
    pixels = rng.integers(0, 256, (batch, 3, 32, 32), dtype=np.uint8)
    token_ids = rng.integers(5, 300, (batch, length))
    for row in range(1, batch):
        token_ids[row, max(2, length - row) :] = 0
    model = mvlt.get_model(folder)
    preprocessor, tokens = model.data_preprocessor, torch.from_numpy(token_ids)
    image = preprocessor.normalise(torch.from_numpy(pixels))
    if 'matching' in tasks:
        session = onnxruntime.InferenceSession(str(out / 'matching.onnx'))
        logits, probability = session.run(None, dict(pixels=pixels, token_ids=token_ids))
        truth = model.match(image, tokens, preprocessor.text_mask(tokens))
        assert np.abs(logits - truth.numpy()).max() < 1e-4
        assert np.abs(probability - truth.sigmoid().numpy()).max() < 1e-4
    session = onnxruntime.InferenceSession(str(out / 'text_encoder.onnx'))
    (embeddings,) = session.run(None, dict(token_ids=token_ids))
    truth = model.text_embeds(tokens, preprocessor.text_mask(tokens)).numpy()
    assert np.abs(embeddings - truth).max() < 1e-4
    session = onnxruntime.InferenceSession(str(out / 'image_encoder.onnx'))
    (embeddings,) = session.run(None, dict(pixels=pixels))
    assert np.abs(embeddings - model.image_embeds(image).numpy()).max() < 1e-4
