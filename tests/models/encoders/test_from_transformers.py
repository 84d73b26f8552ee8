"""Contract: a text encoder of transformers reads a folder once; a published model needs no path."""

import json
import shutil

import pytest
import torch
from transformers import AutoConfig, AutoModel, T5EncoderModel

from mvlt.checkpoints.description import plain
from mvlt.models import DualEncoder, TransformersImageEncoder, TransformersTextEncoder
from mvlt.registry import MODELS
from tests.foreign_folders import write_folder

SIZES = dict(hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2)
TYPES = dict(
    bert=SIZES,
    roberta=dict(SIZES, max_position_embeddings=40, pad_token_id=1),
    distilbert=dict(dim=16, hidden_dim=32, n_layers=1, n_heads=2),
    t5=dict(d_model=16, d_ff=32, d_kv=8, num_layers=1, num_heads=2),
)
IDS = torch.tensor([[2, 7, 9, 8, 3], [2, 6, 3, 1, 1]])
MASK = IDS != 1


def _write(kind, folder):
    settings = AutoConfig.for_model(kind, vocab_size=30, **TYPES[kind])
    model = T5EncoderModel(settings) if kind == 't5' else AutoModel.from_config(settings)
    model.eval().save_pretrained(folder)
    return model


@pytest.mark.parametrize('kind', TYPES)
def test_tokens_are_those_of_transformers(tmp_path, kind):
    """And the same again from ``config`` alone, as a published model has it."""
    theirs = _write(kind, tmp_path / 'folder')
    ours = TransformersTextEncoder(folder=str(tmp_path / 'folder')).eval()
    expected = theirs(input_ids=IDS, attention_mask=MASK.long()).last_hidden_state
    tokens = ours(IDS, MASK)
    torch.testing.assert_close(tokens[MASK], expected[MASK], rtol=0, atol=1e-5)
    assert ours.token_embedding.shape == (30, 16) and ours.embed_dims == 16
    settings = dict(type=TransformersTextEncoder, folder=str(tmp_path / 'folder'))
    published = plain(settings, MODELS)
    shutil.rmtree(tmp_path / 'folder')
    assert published.keys() == {'type', 'config'} and json.dumps(published)
    again = MODELS.build(published).eval()
    again.load_state_dict(ours.state_dict())
    assert torch.equal(again(IDS, MASK), tokens)


def test_the_longest_text():
    """RoBERTa's positions start after the id of [PAD]; T5 has no limit."""
    lengths = {
        kind: TransformersTextEncoder(
            config=dict(TYPES[kind], model_type=kind), vocab_size=30
        ).context_length
        for kind in TYPES
    }
    assert lengths == dict(bert=512, roberta=38, distilbert=512, t5=None)


def test_every_parameter_of_a_dual_encoder_learns(tmp_path):
    """BERT's pooler is left out."""
    _write('bert', tmp_path)
    text = dict(type=TransformersTextEncoder, folder=str(tmp_path))
    dual = DualEncoder(torch.nn.Flatten(), text, image_dims=12)
    (tokens,) = dual.encode_text(IDS, MASK)
    tokens.sum().backward()
    assert all(weight.grad is not None for weight in dual.text_encoder.parameters())


@pytest.mark.parametrize('kind', ['clip', 'siglip', 'siglip2'])
def test_sides_of_a_folder(tmp_path, kind):
    """Each encoder reads its side of a folder with two."""
    folder = write_folder(kind, tmp_path / kind)
    theirs = AutoModel.from_pretrained(folder).eval()
    text = TransformersTextEncoder(folder=str(folder)).eval()
    image = TransformersImageEncoder(folder=str(folder)).eval()
    state = theirs.state_dict()
    for side in (text, image):
        assert all(torch.equal(state[name], v) for name, v in side.model.state_dict().items())
    ids = torch.nn.functional.pad(IDS, (0, 19), value=1)
    embeds = theirs.get_text_features(input_ids=ids)
    torch.testing.assert_close(text(ids, None), embeds, rtol=0, atol=1e-5)
    assert text(ids, None).shape == (2, text.embed_dims) and text.context_length == 24


@pytest.mark.parametrize('size', [(32, 32), (16, 48), (40, 32)])
def test_siglip_2_reads_other_shapes(tmp_path, size):
    """Positions are resized once for a batch, as transformers does for each image."""
    folder = write_folder('siglip2', tmp_path / 'a')
    theirs = AutoModel.from_pretrained(folder).eval()
    ours = TransformersImageEncoder(folder=str(folder)).eval()
    image = torch.randn(2, 3, *size)
    rows, columns = size[0] // 8, size[1] // 8
    patches = [
        image[:, :, 8 * y : 8 * y + 8, 8 * x : 8 * x + 8].permute(0, 2, 3, 1).flatten(1)
        for y in range(rows)
        for x in range(columns)
    ]
    expected = theirs.get_image_features(
        pixel_values=torch.stack(patches, 1),
        pixel_attention_mask=torch.ones(2, rows * columns, dtype=torch.int64),
        spatial_shapes=torch.tensor([[rows, columns]] * 2),
    )
    torch.testing.assert_close(ours(image), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ('settings', 'says'),
    [
        ({}, 'give config, or folder'),
        (
            dict(config=dict(model_type='gpt2')),
            "model_type 'gpt2' is no text encoder; legal:.*bert",
        ),
        (dict(config=dict(model_type='bart')), 'is no text encoder'),
        (dict(config=dict(model_type='bert', auto_map={})), 'custom code'),
    ],
)
def test_settings_that_are_refused(settings, says):
    with pytest.raises(ValueError, match=says):
        TransformersTextEncoder(**settings)


def test_an_image_encoder_of_another_kind_is_refused():
    with pytest.raises(ValueError, match="model_type 'detr'; legal: clip_vision_model"):
        TransformersImageEncoder(config=dict(model_type='detr'))


def test_folders_that_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match='config.json: no such file'):
        TransformersTextEncoder(folder=str(tmp_path))
    _write('bert', tmp_path)
    (tmp_path / 'model.safetensors').unlink()
    with pytest.raises(FileNotFoundError, match='no weights of transformers'):
        TransformersTextEncoder(folder=str(tmp_path))
