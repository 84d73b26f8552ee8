"""Contract: the same captions give the same vocabulary; a wrong one is refused."""

import pytest

from mvlt.datasets import Vocabulary, train_vocabulary
from mvlt.datasets.vocabulary import SPECIAL_TOKENS

CAPTIONS = ['red cotton shirt', 'navy cotton trousers', 'crème wool hat'] * 5


def test_training_is_repeatable_and_special_tokens_come_first(tmp_path):
    first = train_vocabulary(CAPTIONS, tmp_path / 'a', 60)
    second = train_vocabulary(CAPTIONS, tmp_path / 'b', 60)
    assert first.fingerprint == second.fingerprint
    words = (tmp_path / 'a/vocab.txt').read_text(encoding='utf-8').splitlines()
    assert words[:5] == list(SPECIAL_TOKENS) and first.pad_id == 0
    assert len(first) == len(words) <= 60
    assert [path.name for path in (tmp_path / 'a').iterdir()] == ['vocab.txt']


def test_case_and_accents_do_not_matter(tmp_path):
    vocabulary = train_vocabulary(CAPTIONS, tmp_path, 200)
    assert vocabulary.encode('CRÈME Wool', 16) == vocabulary.encode('creme wool', 16)
    assert vocabulary.unk_id not in vocabulary.encode('creme wool', 16)


def test_unused_words_are_special(tmp_path):
    (tmp_path / 'vocab.txt').write_text('\n'.join((*SPECIAL_TOKENS, '[unused0]', 'red')))
    assert Vocabulary(str(tmp_path)).special_ids == [0, 1, 2, 3, 4, 5]


def test_missing_special_token(tmp_path):
    (tmp_path / 'vocab.txt').write_text('[PAD]\n[UNK]\n[CLS]\n[SEP]\nred\n')
    with pytest.raises(ValueError, match=r"lacks \['\[MASK\]'\]"):
        Vocabulary(str(tmp_path))


def test_no_such_vocabulary_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv('HF_HUB_CACHE', str(tmp_path))
    with pytest.raises(FileNotFoundError, match='Train one'):
        Vocabulary(str(tmp_path / 'none'))
    # a hub name is looked for in the local cache only
    with pytest.raises(FileNotFoundError, match='download=True'):
        Vocabulary('bert-base-uncased-that-is-not-cached')
