"""Contract: teachers embed the training data once; the student is published without them."""

import numpy as np
import pytest

from mvlt.checkpoints.loading import read_trained
from mvlt.engine.launch import build_runner
from mvlt.retrieval.encoder import Embedder
from tests.small_model import write_small_model


def _student(small_config, work_dir, teachers, dims, features):
    config = small_config(work_dir, steps=2)
    config.model.heads.itc = dict(type='ITCHead', dims=8)
    config.model.heads.teacher = dict(type='TeacherHead', teachers=teachers, dims=dims, in_dims=8)
    config.default_hooks.teachers = dict(type='TeachersHook', folder=features, dtype='float32')
    return config


def test_embeddings_are_those_of_the_teachers(small_config, demo_data, tmp_path):
    teachers = [
        str(write_small_model(tmp_path / name, demo_data / 'tokenizer', seed, itc=True))
        for name, seed in (('one', 1), ('two', 2))
    ]
    args = (small_config, tmp_path / 'run', teachers, [12, 12], str(tmp_path / 'features'))
    runner = build_runner(_student(*args))
    runner.train()
    dataset = runner.train_loop.dataloader.dataset.dataset
    for folder, known in zip(teachers, runner.model.heads.teacher._embeds):
        teacher = Embedder(folder, True)
        record = dataset.load(dataset.get_data_info(3))
        text = teacher.text_embeds([record['caption']])
        image = teacher.embed_images([teacher.pixels(record['img'])])
        np.testing.assert_allclose(known['text'][3:4], text, atol=1e-3)  # float16 on the disk
        np.testing.assert_allclose(known['image'][3:4], image, atol=1e-3)
    sizes = {p: p.stat().st_size for p in (tmp_path / 'features').rglob('*.f16')}
    assert len(sizes) == 2
    build_runner(_student(small_config, tmp_path / 'again', *args[2:])).train()
    assert {p: p.stat().st_size for p in (tmp_path / 'features').rglob('*.f16')} == sizes
    published = read_trained(str(tmp_path / 'run' / 'iter_2.pth')).description
    assert 'teacher' not in published.heads and 'itc' in published.heads


def test_wrong_teachers_are_refused(small_config, demo_data, tmp_path):
    with_itc = str(write_small_model(tmp_path / 'itc', demo_data / 'tokenizer', itc=True))
    matching = str(write_small_model(tmp_path / 'itm', demo_data / 'tokenizer'))
    features = str(tmp_path / 'features')
    with pytest.raises(ValueError, match='gives embeddings of 12 numbers'):
        args = (small_config, tmp_path / 'a', [with_itc], [16], features)
        build_runner(_student(*args)).train()
    with pytest.raises(ValueError, match='needs a head that gives embeddings'):
        args = (small_config, tmp_path / 'b', [matching], [12], features)
        build_runner(_student(*args)).train()
