"""Contract: exported models answer as PyTorch does, for any batch and any length of text."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

import mvlt
from tests.commands import run_here
from tests.small_model import write_small_model

onnxruntime = pytest.importorskip('onnxruntime', reason="exporting needs '.[export]'")
pytest.importorskip('onnxscript', reason="exporting needs '.[export]'")


@pytest.fixture(scope='module')
def models(tower_folder, demo_data, tmp_path_factory):
    """Task -> folder of a model: tracing takes long, so one task alone has pyramid and U-Net."""
    out = tmp_path_factory.mktemp('published') / 'single_scale'
    write_small_model(out, demo_data / 'vocabulary', towers=True, pyramid=False)
    tasks = ('image_tower', 'text_tower', 'matching', 'recognition')
    return dict.fromkeys(tasks, out) | dict(completion=tower_folder)


@pytest.fixture(scope='module')
def exported(models, tmp_path_factory):
    """Folder of the exported files, what was compared, what was printed."""
    shop = tmp_path_factory.mktemp('shop')
    lines = ['image,id,title']
    for i in range(8):
        Image.new('RGB', (40, 30), (30 * i, 0, 255 - 30 * i)).save(shop / f'{i}.png')
        lines.append(f'{i}.png,{i},{"wool " * i}bag number {i}')
    (shop / 'products.csv').write_text('\n'.join(lines))
    out, report, printed = tmp_path_factory.mktemp('exported'), {}, ''
    for model in dict.fromkeys(models.values()):
        done = run_here(
            *('tools/export.py', model, out, '--pairs', shop / 'products.csv'),
            *('--queries', 4, '--seconds', 0.01),
            *('--tasks', *(task for task in models if models[task] == model)),
        )
        assert done.returncode == 0, done.stderr[-3000:]
        report |= json.loads((out / 'comparison.json').read_text())
        printed += done.stdout
    return out, report, printed


@pytest.fixture(scope='module')
def answers(exported, models):
    """(task, inputs) -> what ONNX Runtime answers; task -> the model in PyTorch."""
    opened = {folder: mvlt.get_model(folder) for folder in dict.fromkeys(models.values())}
    sessions = {
        task: onnxruntime.InferenceSession(str(exported[0] / f'{task}.onnx')) for task in models
    }
    return lambda task, **inputs: sessions[task].run(None, inputs), {
        task: opened[folder] for task, folder in models.items()
    }


def test_the_comparison(exported):
    out, report, printed = exported
    assert list(report) == ['image_tower', 'text_tower', 'matching', 'recognition', 'completion']
    for task, one in report.items():
        assert one['onnx']['difference'] < 1e-4 and one['torch.export']['difference'] < 1e-4
        assert 0 < one['int8']['difference'] < 0.2
        assert f'{task} ' in printed
        size = (out / f'{task}.int8.onnx').stat().st_size
        assert one['int8']['megabytes'] == size / 2**20
    assert 0 <= report['matching']['int8']['recall_at_1'] <= 100
    assert report['matching']['onnx']['recall_at_1'] == report['matching']['pytorch']['recall_at_1']


@pytest.mark.parametrize('batch', [1, 3, 65])
@pytest.mark.parametrize('length', [2, 5, 24])
def test_any_batch_and_length(answers, batch, length):
    """Against the model itself, with captions padded to different ends."""
    run, models = answers
    rng = np.random.default_rng(batch)
    pixels = rng.integers(0, 256, (batch, 3, 32, 32), dtype=np.uint8)
    token_ids = rng.integers(5, 300, (batch, length))
    for row in range(1, batch):
        token_ids[row, max(2, length - row) :] = 0
    model = models['matching']
    preprocessor, tokens = model.data_preprocessor, torch.from_numpy(token_ids)
    image, mask = preprocessor.normalise(torch.from_numpy(pixels)), preprocessor.text_mask(tokens)
    log_odds, probability = run('matching', pixels=pixels, token_ids=token_ids)
    truth = model.match(image, tokens, mask)
    assert np.abs(log_odds - truth.numpy()).max() < 1e-4
    assert np.abs(probability - truth.sigmoid().numpy()).max() < 1e-4
    (vectors,) = run('text_tower', token_ids=token_ids)
    assert np.abs(vectors - model.text_vectors(tokens, mask).numpy()).max() < 1e-4
    (vectors,) = run('image_tower', pixels=pixels)
    assert np.abs(vectors - model.image_vectors(image).numpy()).max() < 1e-4
    hidden = np.zeros((batch, 1, 32, 32), bool)
    (picture,) = run('completion', pixels=pixels, token_ids=token_ids, hidden=hidden)
    with torch.no_grad():
        maps, _ = models['completion'].backbone(image, tokens, mask)
        decoded = models['completion'].neck(maps)
        truth = models['completion'].heads['mir'](decoded=decoded).clamp(0, 1)
    assert np.abs(picture - truth.numpy()).max() < 1e-4
