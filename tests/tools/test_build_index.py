"""Contract: the command builds, resumes after a kill, and runs on several processes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mvlt.retrieval.index import open_index
from tests.faults.runs import free_port

TOOL = str(Path(__file__).parents[2] / 'tools/build_index.py')
COUNT = 1300  # three blocks


@pytest.fixture(scope='module')
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp('pictures')
    noise = np.random.default_rng(0).integers(0, 256, (COUNT, 8, 8, 3), dtype=np.uint8)
    for i, image in enumerate(noise):
        Image.fromarray(image).save(folder / f'{i}.png')
    return folder


def _start(model, data, index, launcher=()):
    command = [sys.executable, *launcher, TOOL, str(model), str(data), str(index)]
    if launcher:
        command += ['--launcher', 'pytorch']
    return subprocess.Popen(
        command,
        env={**os.environ, 'OMP_NUM_THREADS': '1'},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _embeddings(folder):
    index = open_index(folder)
    rows = index.fetch(index.keys()['product_id'].to_pylist())
    return {row['product_id']: row['vector'] for row in rows.to_pylist()}


def test_a_killed_build_resumes_and_two_processes_equal_one(embedding_folder, images, tmp_path):
    killed = _start(embedding_folder, images, tmp_path / 'one')
    there = 0
    while killed.poll() is None and not there:
        time.sleep(0.02)
        if (tmp_path / 'one/index.json').is_file():
            there = open_index(tmp_path / 'one').count()
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    there = open_index(tmp_path / 'one').count()
    assert 0 < there <= COUNT
    output, _ = _start(embedding_folder, images, tmp_path / 'one').communicate()
    assert f'{COUNT} products: {COUNT - there} new, 0 changed, {there} unchanged' in output
    assert f'{COUNT - there} images embedded' in output

    launcher = ('-m', 'torch.distributed.run', '--nproc_per_node=2')
    launcher += (f'--master_port={free_port()}',)
    output, errors = _start(embedding_folder, images, tmp_path / 'two', launcher).communicate()
    assert f'{COUNT} new' in output and f'{COUNT} images embedded' in output, errors
    embeds_1, embeds_2 = _embeddings(tmp_path / 'one'), _embeddings(tmp_path / 'two')
    assert embeds_1.keys() == embeds_2.keys() and len(embeds_1) == COUNT
    for product_id, embed in embeds_1.items():
        np.testing.assert_allclose(embeds_2[product_id], embed, atol=1e-5)


@pytest.mark.parametrize(
    ('catalogue', 'name', 'says'),
    [
        ('nowhere', 'index', 'nowhere: give a folder of images'),
        (None, 'x' * 300, 'File name too long'),
    ],
)
def test_mistakes_are_one_line(embedding_folder, images, tmp_path, catalogue, name, says):
    given = images if catalogue is None else catalogue
    process = _start(embedding_folder, given, tmp_path / name)
    _, errors = process.communicate()
    assert process.returncode == 2 and says in errors and 'Traceback' not in errors
