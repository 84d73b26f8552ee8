"""Tiny folders of CLIP, SigLIP, SigLIP 2 and open_clip, written by these libraries themselves."""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

KINDS = ('clip', 'siglip', 'siglip2', 'open_clip', 'marqo')
SIZES = dict(hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2)
CAPTIONS = ['red cotton hat', 'blue wool scarf', 'green tote', 'black boots with a skirt'] * 9
LENGTH = 24


def write_folder(kind: str, folder: Path) -> Path:
    """Write a model with random weights and its own tokenizer, 32 px and 24 tokens at most."""
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        if kind in ('open_clip', 'marqo'):
            _write_open_clip(folder, marqo=kind == 'marqo')
        else:
            _write_transformers(kind, folder)
    return folder


def _write_transformers(kind, folder):
    import transformers

    vision = dict(SIZES, image_size=32, patch_size=8)
    text = dict(SIZES, max_position_embeddings=LENGTH)
    if kind == 'clip':
        tokenizer = _byte_pairs(folder)
        begin, end = tokenizer.bos_token_id, tokenizer.eos_token_id
        text |= dict(bos_token_id=begin, eos_token_id=end, pad_token_id=end)
        processor = transformers.CLIPImageProcessor(size=32, crop_size=32)
        model, more = transformers.CLIPModel, dict(projection_dim=12)
    elif kind == 'siglip':
        tokenizer = _pieces(dict(pad_token='</s>'), ['<unk>', '</s>'])
        processor = transformers.SiglipImageProcessor(size=dict(height=32, width=32))
        model, more = transformers.SiglipModel, {}
    else:
        tokenizer = _gemma()
        del vision['image_size']
        vision['num_patches'] = 16
        processor = transformers.Siglip2ImageProcessor(patch_size=8, max_num_patches=16)
        model, more = transformers.Siglip2Model, {}
    text |= dict(vocab_size=len(tokenizer))
    config = model.config_class(text_config=text, vision_config=vision, **more)
    network = model(config)
    network.logit_scale.data.fill_(3.0)
    if kind != 'clip':
        network.logit_bias.data.fill_(-2.0)
    network.save_pretrained(folder)
    processor.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _byte_pairs(folder):
    """CLIP's tokenizer with a small vocabulary; its end token pads."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
    from transformers import CLIPTokenizerFast

    tokenizer = Tokenizer(models.BPE(end_of_word_suffix='</w>', unk_token='<|endoftext|>'))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=700,
        end_of_word_suffix='</w>',
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=[],
    )
    tokenizer.train_from_iterator(CAPTIONS, trainer)
    learnt = json.loads(tokenizer.to_str())['model']
    letters = pre_tokenizers.ByteLevel.alphabet()
    tokens = list(dict.fromkeys([*learnt['vocab'], *(f'{letter}</w>' for letter in letters)]))
    tokens += ['<|startoftext|>', '<|endoftext|>']
    folder.mkdir(parents=True)
    (folder / 'vocab.json').write_text(json.dumps({token: i for i, token in enumerate(tokens)}))
    merges = '\n'.join(' '.join(pair) for pair in learnt['merges'])
    (folder / 'merges.txt').write_text(f'#version: 0.2\n{merges}\n')
    return CLIPTokenizerFast(str(folder / 'vocab.json'), str(folder / 'merges.txt'))


def _unigram(special):
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(vocab_size=80, special_tokens=special, unk_token='<unk>')
    tokenizer.train_from_iterator(CAPTIONS, trainer)
    return tokenizer


def _pieces(roles, special):
    """SigLIP's habits: no first token; the end token, id 1, pads."""
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    tokenizer = _unigram(special)
    tokenizer.post_processor = TemplateProcessing('$A </s>', special_tokens=[('</s>', 1)])
    roles = dict(roles, eos_token='</s>', unk_token='<unk>')
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **roles)


def _gemma():
    """SigLIP 2's habits: a first token that it does not use; captions are lower-cased."""
    from transformers import GemmaTokenizerFast

    return GemmaTokenizerFast(
        tokenizer_object=_unigram(['<pad>', '<eos>', '<bos>', '<unk>']),
        add_bos_token=False,
        add_eos_token=True,
        do_lower_case=True,
        padding_side='right',
        model_input_names=['input_ids'],
    )


def _write_open_clip(folder, marqo):
    """OpenAI's habits, or those of Marqo-FashionSigLIP: timm, a tokenizer of transformers."""
    import open_clip

    folder.mkdir(parents=True, exist_ok=True)
    text = dict(width=16, heads=2, layers=1, context_length=LENGTH)
    vision = dict(width=16, head_width=8, layers=1, image_size=32, patch_size=8)
    model, extra = dict(embed_dim=12), {}
    reading = dict(mean=[0.4, 0.5, 0.6], std=[0.2, 0.3, 0.25], interpolation='bicubic')
    if marqo:
        tokenizer = _pieces(dict(pad_token='</s>'), ['<unk>', '</s>'])
        tokenizer.save_pretrained(folder)
        tokenizer('a', padding='max_length', max_length=9, truncation=True)
        text |= dict(
            vocab_size=len(tokenizer),
            hf_tokenizer_name='timm/ViT-B-16-SigLIP',
            tokenizer_kwargs=dict(clean='canonicalize'),
            no_causal_mask=True,
            proj_bias=True,
            pool_type='last',
            norm_kwargs=dict(eps=1e-6),
        )
        vision = dict(image_size=32, timm_model_name='test_vit', timm_pool='', timm_proj='linear')
        extra = dict(init_logit_bias=-10, custom_text=True)
        reading |= dict(resize_mode='squash')
    else:
        extra = dict(quick_gelu=True)
        reading |= dict(resize_mode='shortest')
    model |= dict(extra, vision_cfg=vision, text_cfg=text)
    config = dict(model_cfg=model, preprocess_cfg=dict(reading, size=32))
    (folder / 'open_clip_config.json').write_text(json.dumps(config))
    kind = open_clip.CustomTextCLIP if extra.pop('custom_text', False) else open_clip.CLIP
    network = kind(12, vision, text, **extra)
    save_file(network.state_dict(), folder / 'open_clip_model.safetensors')
