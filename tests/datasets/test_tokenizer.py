"""Contract: the same captions give the same tokenizer; wrong files are refused."""

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from mvlt.datasets import CaptionTokenizer, train_tokenizer
from mvlt.datasets.tokenizer import SPECIAL_TOKENS

CAPTIONS = ['red cotton shirt', 'navy cotton trousers', 'crème wool hat'] * 5


def test_training_is_repeatable_and_special_tokens_come_first(tmp_path):
    first = train_tokenizer(CAPTIONS, tmp_path / 'a', 60)
    second = train_tokenizer(CAPTIONS, tmp_path / 'b', 60)
    assert first.fingerprint == second.fingerprint
    tokens = (tmp_path / 'a/vocab.txt').read_text(encoding='utf-8').splitlines()
    assert tokens[:5] == list(SPECIAL_TOKENS) and first.pad_id == 0
    assert len(first) == len(tokens) <= 60
    again = AutoTokenizer.from_pretrained(tmp_path / 'a', local_files_only=True)
    assert again.encode('red wool hat') == first.encode('red wool hat', 16)


def test_case_and_accents_do_not_matter(tmp_path):
    tokenizer = train_tokenizer(CAPTIONS, tmp_path, 200)
    assert tokenizer.encode('CRÈME Wool', 16) == tokenizer.encode('creme wool', 16)
    assert tokenizer.tokenizer.unk_token_id not in tokenizer.encode('creme wool', 16)


def test_unused_tokens_are_special(tmp_path):
    (tmp_path / 'vocab.txt').write_text('\n'.join((*SPECIAL_TOKENS, '[unused0]', 'red')))
    assert CaptionTokenizer(str(tmp_path)).special_ids == [0, 1, 2, 3, 4, 5]


def test_missing_special_token(tmp_path):
    (tmp_path / 'vocab.txt').write_text('[PAD]\n[UNK]\n[CLS]\n[SEP]\nred\n')
    with pytest.raises(ValueError, match=r"lacks \['\[MASK\]'\]"):
        CaptionTokenizer(str(tmp_path))


def test_a_missing_tokenizer_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv('HF_HUB_CACHE', str(tmp_path))
    with pytest.raises(FileNotFoundError, match='Train a tokenizer'):
        CaptionTokenizer(str(tmp_path / 'none'))
    # a hub name is looked for in the local cache only
    with pytest.raises(FileNotFoundError, match='download=True'):
        CaptionTokenizer('bert-base-uncased-that-is-not-cached')


def train_other(kind, folder, captions=CAPTIONS, **special):
    """A tokenizer of another type, trained on the captions, as transformers saves it."""
    byte_pairs = kind == 'bpe'
    tokenizer = Tokenizer(models.BPE(unk_token='<unk>') if byte_pairs else models.Unigram())
    trainer = trainers.BpeTrainer if byte_pairs else trainers.UnigramTrainer
    tokenizer.pre_tokenizer = (
        pre_tokenizers.ByteLevel() if byte_pairs else pre_tokenizers.Metaspace()
    )
    tokenizer.decoder = decoders.ByteLevel() if byte_pairs else decoders.Metaspace()
    tokens = [token for token in special.values() if isinstance(token, str)]
    settings = dict(vocab_size=80, special_tokens=tokens, show_progress=False)
    if kind == 'unigram':
        settings['unk_token'] = '<unk>'
    tokenizer.train_from_iterator(captions, trainer(**settings))
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special).save_pretrained(folder)
    return CaptionTokenizer(str(folder))


@pytest.mark.parametrize('kind', ['bpe', 'unigram'])
def test_byte_pairs_and_sentence_pieces_do_too(kind, tmp_path):
    """bos and eos stand for [CLS] and [SEP], as in RoBERTa and XLM-R."""
    special = dict(
        bos_token='<s>', pad_token='<pad>', eos_token='</s>', unk_token='<unk>', mask_token='<mask>'
    )
    tokenizer = train_other(kind, tmp_path, **special)
    ids = tokenizer.encode('red cotton hat', 32)
    assert (tokenizer.cls_id, tokenizer.pad_id, tokenizer.sep_id) == (0, 1, 2)
    assert ids[0] == 0 and ids[-1] == 2 and tokenizer.mask_id == 4
    assert tokenizer.decode(ids).split() == ['red', 'cotton', 'hat']
    assert tokenizer.special_ids == [0, 1, 2, 3, 4]
    assert len(tokenizer.encode('red cotton hat', 4)) == 4
    tokenizer.save(tmp_path / 'again')
    assert CaptionTokenizer(str(tmp_path / 'again')).encode('red cotton hat', 32) == ids


def test_a_tokenizer_without_mask_or_without_padding(tmp_path):
    """CLIP's has no mask token; GPT-2's has no padding."""
    ends = dict(bos_token='<s>', eos_token='</s>', unk_token='<unk>')
    with pytest.raises(ValueError, match='lacks a token for pad'):
        train_other('bpe', tmp_path / 'gpt', **ends)
    tokenizer = train_other('bpe', tmp_path / 'clip', **ends, pad_token='<pad>')
    with pytest.raises(ValueError, match='has no mask token: remove MLM'):
        _ = tokenizer.mask_id


def test_a_tokenizer_that_begins_with_no_token(tmp_path):
    """SigLIP has no first token; SigLIP 2 has one and does not use it."""
    ends = dict(pad_token='</s>', eos_token='</s>', unk_token='<unk>')
    tokenizer = train_other('unigram', tmp_path / 'one', **ends)
    ids = tokenizer.encode('red cotton hat', 32)
    assert tokenizer.cls_id is None and ids[-1] == tokenizer.sep_id == tokenizer.pad_id
    assert tokenizer.decode(ids).split() == ['red', 'cotton', 'hat']
    assert tokenizer.encode('red cotton hat', 3) == [*ids[:2], tokenizer.sep_id]
    left_out = dict(bos_token='<s>', add_bos_token=False, add_eos_token=True)
    second = train_other('unigram', tmp_path / 'two', **ends, **left_out)
    assert second.cls_id is None
    assert second.decode(second.encode('red cotton hat', 32)).split() == ['red', 'cotton', 'hat']


def test_a_file_alone_has_the_special_tokens_of_bert(tmp_path):
    whole = train_tokenizer(CAPTIONS, tmp_path / 'a', 60)
    for name in ('vocab.txt', 'tokenizer.json'):
        folder = tmp_path / name
        folder.mkdir()
        (folder / name).write_bytes((tmp_path / 'a' / name).read_bytes())
        alone = CaptionTokenizer(str(folder))
        assert alone.fingerprint == whole.fingerprint and alone.mask_id == whole.mask_id
        assert alone.encode('CRÈME wool', 9) == whole.encode('crème wool', 9)


def test_no_code_of_a_folder_is_run(tmp_path):
    (tmp_path / 'tokenizer_config.json').write_text(
        '{"auto_map": {"AutoTokenizer": ["evil.Evil", null]}, "tokenizer_class": "Evil"}'
    )
    (tmp_path / 'vocab.txt').write_text('\n'.join(SPECIAL_TOKENS))
    (tmp_path / 'evil.py').write_text(f'open({str(tmp_path / "ran")!r}, "w")')
    with pytest.raises(ValueError, match='auto_map'):
        CaptionTokenizer(str(tmp_path))
    assert not (tmp_path / 'ran').exists()


def test_settings_of_an_earlier_call_do_not_pad(tmp_path):
    """A tokenizer's file holds padding and truncation of its last call."""
    trained = train_tokenizer(CAPTIONS, tmp_path / 'a', 60)
    expected = trained.encode('red wool hat', 16)
    theirs = AutoTokenizer.from_pretrained(tmp_path / 'a', local_files_only=True)
    theirs('red', padding='max_length', max_length=4, truncation=True)
    theirs.save_pretrained(tmp_path / 'b')
    assert CaptionTokenizer(str(tmp_path / 'b')).encode('red wool hat', 16) == expected


def test_cleaning_by_open_clip(tmp_path):
    """Its name travels in the tokenizer's files."""
    pytest.importorskip('open_clip', reason="cleaning needs '.[open_clip]'")
    plain = train_tokenizer(CAPTIONS, tmp_path / 'a', 60)
    theirs = AutoTokenizer.from_pretrained(tmp_path / 'a', local_files_only=True)
    theirs.init_kwargs['open_clip_cleaning'] = 'canonicalize'
    theirs.save_pretrained(tmp_path / 'b')
    cleaning = CaptionTokenizer(str(tmp_path / 'b'))
    assert cleaning.encode('red_“wool”,  hat &amp;', 16) == plain.encode('red wool hat', 16)
    assert cleaning.fingerprint != plain.fingerprint
    cleaning.save(tmp_path)
    assert CaptionTokenizer(str(tmp_path)).cleaning == 'canonicalize'
