"""Contract: the tools train and rank VSE and VSE++; their hinge loss equals the papers'."""

import numpy as np
import pytest
import torch

from mvlt.checkpoints import open_model, read_trained
from mvlt.checkpoints.folder import write_model_folder
from mvlt.config import load_config
from mvlt.engine.launch import build_runner
from projects.baselines.conftest import SMALL
from projects.baselines.dual_encoder.vse import TextGRU, hinge_loss

FOLDER = 'projects/baselines/dual_encoder'


@pytest.mark.parametrize('row', ['vse', 'vse_pp'])
def test_two_steps_and_a_ranking(two_steps, row):
    model, metrics = two_steps(f'{FOLDER}/{row}_catalogue.py')
    assert model.head('itc').hardest == (row == 'vse_pp')
    assert metrics['retrieval/tir/queries'] > 0 and 0 <= metrics['retrieval/tir/R@1'] <= 100
    assert metrics['retrieval/tir/candidates'] == 3


def test_hinge_by_hand():
    # row 0: 0.2 + 0.5 - 0.6 = 0.1; row 1: 0.2 + 0.9 - 0.8 = 0.3
    # column 0: 0.2 + 0.9 - 0.6 = 0.5; column 1: 0.2 + 0.5 - 0.8 < 0
    scores = torch.tensor([[0.6, 0.5], [0.9, 0.8]])
    true = torch.eye(2, dtype=torch.bool)
    assert hinge_loss(scores, true, 0.2, hardest=False).item() == pytest.approx(0.9 / 2)
    assert hinge_loss(scores, true, 0.2, hardest=True).item() == pytest.approx(0.4 / 2 + 0.5 / 2)
    assert hinge_loss(scores, torch.ones(2, 2, dtype=torch.bool), 0.2, hardest=False) == 0


@pytest.mark.parametrize('hardest', [False, True])
def test_hinge_is_the_papers(hardest):
    """VSE++ Eq. 5 and 6 by loops; positives are no negatives."""
    rng = np.random.default_rng(0)
    scores, true = rng.normal(size=(6, 6)), np.eye(6, dtype=bool)
    true[1, 4] = true[4, 1] = True
    total = 0.0
    for i in range(6):
        wrong = [k for k in range(6) if not true[i, k]]
        by_image = [max(0, 0.2 + scores[i, k] - scores[i, i]) for k in wrong]
        by_text = [max(0, 0.2 + scores[k, i] - scores[i, i]) for k in wrong]
        pick = max if hardest else sum
        total += pick(by_image) + pick(by_text)
    loss = hinge_loss(torch.tensor(scores), torch.tensor(true), 0.2, hardest)
    assert loss.item() == pytest.approx(total / 6)


def test_padding_changes_no_caption():
    encoder = TextGRU(50, 8, 6, both_ways=True).eval()
    ids = torch.tensor([[2, 7, 9, 3]])
    alone = encoder(ids)
    padded = torch.nn.functional.pad(ids, (0, 3))
    encoded = encoder(padded, padded != 0)
    torch.testing.assert_close(encoded[:, :4], alone)


def test_an_image_encoder_of_mmpretrain_is_published_and_opened(catalogue, tmp_path):
    """The folder names the ResNet with its package; this project's parts must be imported."""
    options = {key: value for key, value in SMALL.items() if not key.startswith('test_')}
    options['default_hooks.checkpoint.interval'] = 2
    del options['default_hooks.checkpoint']
    config = load_config(f'{FOLDER}/vse_catalogue.py', options, str(catalogue))
    runner = build_runner(config, work_dir=str(tmp_path / 'work'))
    runner.train()
    trained = read_trained(str(tmp_path / 'work/iter_2.pth'))
    assert (
        trained.description.model['backbone']['image_encoder']['cnn']['type'] == 'mmpretrain.ResNet'
    )
    out = tmp_path / 'folder'
    write_model_folder(out, trained.description, trained.state, trained.tokenizer, '# a card')
    state = open_model(out).model.state_dict()
    assert all(torch.equal(state[key], value) for key, value in runner.model.state_dict().items())
    protocol = {'test_cfg.rerank': None, 'test_dataloader.dataset.split': 'all'}
    read = load_config('mvlt/retrieval_full_catalogue', protocol, str(catalogue))
    tested = build_runner(read, 'test', str(out), work_dir=str(tmp_path / 'test'))
    assert tested.test()['retrieval/tir/queries'] == 20
