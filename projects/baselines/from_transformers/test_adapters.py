"""Contract: the adapters' outputs equal transformers', from folders and with random weights."""

import pytest
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from tokenizers.models import Unigram
from tokenizers.pre_tokenizers import Metaspace
from tokenizers.processors import TemplateProcessing
from tokenizers.trainers import UnigramTrainer
from transformers import (
    BlipForImageTextRetrieval,
    CLIPModel,
    PreTrainedTokenizerFast,
    SiglipModel,
)

from mvlt.config import load_config
from mvlt.datasets import load_tokenizer
from mvlt.models import Features
from mvlt.registry import MODELS

FOLDER = 'projects/baselines/from_transformers'
IDS = torch.tensor([[2, 7, 9, 8, 3], [2, 6, 3, 0, 0]])


SIZES = dict(hidden_size=128, intermediate_size=512, num_attention_heads=4)
SETTINGS = {  # of both encoders, of the text encoder
    CLIPModel: (dict(projection_dim=128), dict(bos_token_id=2, eos_token_id=3)),
    SiglipModel: ({}, dict(max_position_embeddings=32, projection_size=128)),
}


def _saved(kind, folder, **weights):
    """Save a random model of transformers; return the options that read it."""
    both, text = SETTINGS[kind]
    vision = dict(SIZES, **both, num_hidden_layers=4, image_size=64, patch_size=8)
    text = dict(SIZES, **both, **text, num_hidden_layers=2, vocab_size=200)
    torch.manual_seed(0)
    model = kind(kind.config_class(text_config=text, vision_config=vision, **both))
    for name, value in weights.items():
        getattr(model, name).data.fill_(value)
    model.save_pretrained(folder)
    return {f'model.backbone.{side}_encoder.folder': str(folder) for side in ('image', 'text')}


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


def test_clip_is_fine_tuned_from_a_folder(two_steps, tmp_path):
    options = {
        **_saved(CLIPModel, tmp_path / 'folder'),
        'train_dataloader.dataset.pipeline.load.side': None,
        'train_dataloader.dataset.pipeline.crop.scale': 64,
        'optim_wrapper.optimizer.lr': 1e-5,
    }
    model, _ = two_steps(f'{FOLDER}/clip_catalogue.py', options)
    before = CLIPModel.from_pretrained(tmp_path / 'folder').state_dict()
    sides = (model.backbone.image_encoder.model, model.backbone.text_encoder.model)
    after = {name: value for side in sides for name, value in side.state_dict().items()}
    assert before.keys() - after.keys() == {'logit_scale'}
    moved = [(value - before[name]).abs().max().item() for name, value in after.items()]
    assert 0 < max(moved) < 1e-3  # starts there and moves slowly


@pytest.mark.parametrize('pad', [0, 3])
def test_clip_from_a_folder(tmp_path, pad):
    """CLIP's tokenizer pads with the end token (pad 3); the first one is attended to."""
    options = _saved(CLIPModel, tmp_path, logit_scale=3.0)
    options['model.data_preprocessor.pad_id'] = pad
    model = _build('clip', options)
    image = torch.randn(2, 3, 64, 64)
    ids = torch.where(IDS == 0, pad, IDS)
    mask = torch.tensor([[1] * 5, [1, 1, 1, 0, 0]])
    expected = CLIPModel.from_pretrained(tmp_path)(ids, image, attention_mask=mask)
    images = model.image_embeds(image)
    texts = model.text_embeds(ids, model.data_preprocessor.text_mask(ids))
    torch.testing.assert_close(images, expected.image_embeds, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(texts, expected.text_embeds, rtol=1e-4, atol=1e-5)
    logits = model.head('itc').logits(images, texts)
    torch.testing.assert_close(logits, expected.logits_per_image, rtol=1e-4, atol=1e-4)


def test_siglip_from_a_folder(tmp_path):
    model = _build('siglip', _saved(SiglipModel, tmp_path, logit_scale=2.0, logit_bias=-3.0))
    image, ids = torch.randn(2, 3, 64, 64), F.pad(IDS, (0, 27))
    expected = SiglipModel.from_pretrained(tmp_path)(ids, image)
    logits = model.head('itc').logits(
        model.image_embeds(image), model.text_embeds(ids, model.data_preprocessor.text_mask(ids))
    )
    torch.testing.assert_close(logits, expected.logits_per_image, rtol=1e-4, atol=1e-4)


def test_siglip_from_a_folder_with_its_own_tokenizer(tmp_path):
    """Captions have no start token; the end token pads and is attended to."""
    tokenizer = Tokenizer(Unigram())
    tokenizer.pre_tokenizer = Metaspace()
    tokenizer.train_from_iterator(
        ['red cotton hat', 'blue wool scarf'] * 9,
        UnigramTrainer(vocab_size=60, special_tokens=['<unk>', '</s>'], unk_token='<unk>'),
    )
    tokenizer.post_processor = TemplateProcessing('$A </s>', special_tokens=[('</s>', 1)])
    special = dict(pad_token='</s>', eos_token='</s>', unk_token='<unk>')
    saved = PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special)
    saved.save_pretrained(tmp_path)
    options = {
        **_saved(SiglipModel, tmp_path),
        'model.data_preprocessor.pad_id': 1,
        'test_dataloader.dataset.pipeline.tokenize.tokenizer': str(tmp_path),
    }
    model = _build('siglip', options)
    texts = ['red hat', 'blue cotton scarf']
    ids = [torch.tensor(load_tokenizer(str(tmp_path)).encode(text, 32)) for text in texts]
    padded = model.data_preprocessor.pad(ids)
    expected = saved(texts, padding='max_length', max_length=32, return_tensors='pt').input_ids
    assert torch.equal(padded, expected)
    embeds = model.text_embeds(padded, model.data_preprocessor.text_mask(padded))
    image = torch.randn(2, 3, 64, 64)
    whole = SiglipModel.from_pretrained(tmp_path)(expected, image)
    torch.testing.assert_close(embeds, whole.text_embeds, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('row', ['vilt', 'blip'])
def test_pairs_from_a_folder(tmp_path, row):
    random = _build(row)
    random.backbone.model.save_pretrained(tmp_path)
    torch.manual_seed(1)
    model = _build(row, {'model.backbone.folder': str(tmp_path)})
    given = torch.randn(2, 3, 64, 64), IDS, IDS != 0
    torch.testing.assert_close(model.match(*given), random.match(*given), rtol=1e-5, atol=1e-6)


def test_a_queue_is_refused():
    with pytest.raises(ValueError, match='only ITCHead has a queue'):
        _build('clip', {'model.heads.itc.queue': 64})


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
