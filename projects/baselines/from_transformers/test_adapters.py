"""Contract: the adapters' outputs equal transformers', from folders and with random weights."""

import pytest
import torch
from transformers import BlipForImageTextRetrieval

from mvlt.config import load_config
from mvlt.models import Features
from mvlt.registry import MODELS

FOLDER = 'projects/baselines/from_transformers'
IDS = torch.tensor([[2, 7, 9, 8, 3], [2, 6, 3, 0, 0]])


def _build(row, options=None):
    options = {'model.backbone.vocab_size': 200, **(options or {})}
    config = load_config(f'{FOLDER}/{row}_catalogue.py', options)
    config.model.heads.pop('categories')
    torch.manual_seed(0)
    return MODELS.build(config.model).eval()


@pytest.mark.parametrize('row', ['clip', 'siglip', 'vilt', 'blip'])
def test_two_steps_and_a_ranking(two_steps, row):
    _, metrics = two_steps(f'{FOLDER}/{row}_catalogue.py')
    assert metrics['retrieval/tir/candidates'] == 3


@pytest.mark.parametrize('row', ['vilt', 'blip'])
def test_pairs_from_a_folder(tmp_path, row):
    random = _build(row)
    random.backbone.model.save_pretrained(tmp_path)
    torch.manual_seed(1)
    model = _build(row, {'model.backbone.folder': str(tmp_path)})
    given = torch.randn(2, 3, 64, 64), IDS, IDS != 0
    torch.testing.assert_close(model.match(*given), random.match(*given), rtol=1e-5, atol=1e-6)


def test_vilt_ranks_by_its_rank_output():
    model = _build('vilt')
    image, mask = torch.randn(2, 3, 64, 64), IDS != 0
    original = model.backbone.model
    expected = original(input_ids=IDS, attention_mask=mask.long(), pixel_values=image).logits[:, 0]
    torch.testing.assert_close(model.match(image, IDS, mask), expected, rtol=1e-4, atol=1e-5)


def test_blip_gives_both_scores():
    model = _build('blip')
    image, mask = torch.randn(2, 3, 64, 64), IDS != 0
    original: BlipForImageTextRetrieval = model.backbone.model
    given = dict(input_ids=IDS, attention_mask=mask.long(), pixel_values=image)
    logits = original(**given, use_itm_head=True).itm_score
    torch.testing.assert_close(
        model.match(image, IDS, mask), logits[:, 1] - logits[:, 0], rtol=1e-4, atol=1e-5
    )
    cosines = original(**given, use_itm_head=False).itm_score
    features = Features(model, dict(image=image, token_ids=IDS, text_mask=mask))
    images, texts = features.embeds
    torch.testing.assert_close(images @ texts.T, cosines, rtol=1e-4, atol=1e-5)
