"""Contract: tokens that are words of the file get its vectors, the others stay random."""

import numpy as np
import pytest
import torch

from mvlt.datasets import train_tokenizer
from mvlt.engine.hooks.tokenizer import tokenizers_of
from mvlt.engine.hooks.word_vectors import read_vectors, token_vectors, whole_words
from mvlt.engine.launch import build_runner
from tests.datasets.test_tokenizer import train_other

FILE = """the 1 2 3
Shoe 0.5 -1e-3 2
shoe 4 5 6
. . . 7 8 9
shoe 0 0 0
hat -1 .5 1.5E2
"""


def _write(path, text):
    path.write_text(text, encoding='utf-8')
    return str(path)


@pytest.mark.parametrize('header', ['', '5 3\n'])
def test_vectors_of_the_words(tmp_path, header):
    path = _write(tmp_path / 'vectors.txt', header + FILE.replace('3\n', '3 \n', 1) + '\n')
    vectors = read_vectors(path, {'shoe', 'hat', 'the', '. . .', 'red'})
    expected = {'the': (1, 2, 3), 'shoe': (4, 5, 6), '. . .': (7, 8, 9), 'hat': (-1, 0.5, 150)}
    assert vectors.keys() == expected.keys()
    for word, values in expected.items():
        np.testing.assert_array_equal(vectors[word], np.array(values, np.float32))


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('a 1 2\nb 1\n', r'line 2: 1 values after a word, the first line has 2'),
        ('a 1 2\nb 1 2 3\n', r'line 2: 3 values after a word, the first line has 2'),
        ('2 2\na 1 2\nb 1 nan\n', r"line 3: a value of 'b' is not finite"),
        ('a 1 2\nb 1 inf\n', r"line 2: a value of 'b' is not finite"),
        ('a 1 2\nb 1 x\n', r"line 2: could not convert string to float: .*'x'"),
        ('a\n', r'line 1: 0 values after a word'),
    ],
)
def test_a_file_that_is_not_in_the_format(tmp_path, text, message):
    path = _write(tmp_path / 'vectors.txt', text)
    with pytest.raises(ValueError, match=rf'vectors\.txt, {message}'):
        read_vectors(path, {'a', 'b'})


def test_no_file(tmp_path):
    with pytest.raises(FileNotFoundError, match='none.txt: no such file; unpack word vectors'):
        read_vectors(str(tmp_path / 'none.txt'), {'a'})


def test_parts_of_words_and_special_tokens_are_no_words(tmp_path):
    tokenizer = train_tokenizer(['red shoe', 'red shoes', 'blue hat'], tmp_path, 60)
    words = whole_words(tokenizer)
    tokens = {tokenizer.token(i) for i in range(len(tokenizer))}
    pieces = {token for token in tokens if token.startswith('##')}
    assert pieces and {'red', 'shoe'} <= {*words.values()}
    assert {*words.values()} == tokens - pieces - {'[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]'}
    assert all(tokenizer.token(i) == word for i, word in words.items())


def test_words_of_byte_pairs_have_two_tokens(tmp_path):
    """One at the start of a text, one behind a blank; parts of words have none."""
    special = dict(pad_token='<pad>', eos_token='</s>', unk_token='<unk>')
    captions = ['Red hat', 'Red hat blue', 'hat Red', 'unhatted'] * 9
    tokenizer = train_other('bpe', tmp_path, captions, **special)
    words = {tokenizer.token(i): word for i, word in whole_words(tokenizer).items()}
    words = {token: word for token, word in words.items() if word in ('Red', 'hat', 'at', 'ed')}
    assert words == {'Red': 'Red', 'ĠRed': 'Red', 'hat': 'hat', 'Ġhat': 'hat'}
    assert {'at', 'ed'} <= tokenizer.tokenizer.get_vocab().keys()


def test_the_lower_case_word_stands_for_another(tmp_path):
    path = _write(tmp_path / 'vectors.txt', 'red 1 2\nhat 3 4\nHat 5 6\n')
    vectors = token_vectors(path, {7: 'Red', 8: 'Hat', 9: 'hat', 10: 'HAT', 11: 'blue'})
    assert {i: tuple(v) for i, v in vectors.items()} == {
        7: (1, 2),
        8: (5, 6),
        9: (3, 4),
        10: (3, 4),
    }


def _train(small_config, work_dir, path, steps=2, **start):
    """A training that changes no weight."""
    options = {
        'model.backbone.token_embed_dim': 5,
        'optim_wrapper.optimizer.lr': 0.0,
        'val_cfg': None,
    }
    config = small_config(work_dir, options, steps)
    if path:
        config.default_hooks.word_vectors = dict(type='WordVectorsHook', path=path)
    runner = build_runner(config, **start)
    runner.train()
    return runner


def test_a_training_starts_from_them_and_a_resumed_one_does_not(small_config, tmp_path):
    """One factor gives the vectors the standard deviation of the random embeddings."""
    before = _train(small_config, tmp_path / 'a', '')
    tokenizer = next(tokenizers_of(before))[0].tokenizer
    random = before.model.token_embedding.detach()
    words = whole_words(tokenizer)
    chosen = [*words][10:13]
    vectors = np.arange(15, dtype=np.float32).reshape(3, 5) ** 2
    lines = [f'{words[i]} {" ".join(map(str, v))}\n' for i, v in zip(chosen, vectors)]
    path = _write(tmp_path / 'vectors.txt', ''.join(['unheardof 1 1 1 1 1\n', *lines]))
    after = _train(small_config, tmp_path / 'b', path)
    table = after.model.token_embedding.detach()
    expected = random.clone()
    expected[chosen] = torch.from_numpy(vectors / vectors.std()) * random.std()
    torch.testing.assert_close(table, expected)
    log = next((tmp_path / 'b').glob('*/*.log')).read_text()
    assert f'word vectors: 3 of {len(tokenizer)} tokens start from {path}' in log

    _write(tmp_path / 'vectors.txt', ''.join(lines[:1]))
    checkpoint = tmp_path / 'b/iter_2.pth'
    resumed = _train(small_config, tmp_path / 'b', path, steps=3, resume=str(checkpoint))
    torch.testing.assert_close(resumed.model.token_embedding.detach(), table)
    started = _train(small_config, tmp_path / 'c', path, model=str(checkpoint))
    torch.testing.assert_close(started.model.token_embedding.detach(), table)


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('unheardof 1 1 1 1 1\n', r'vectors\.txt: none of its words is a token of '),
        (
            'a 1 2 3\n',
            r'vectors\.txt: vectors of 3 values, token embeddings of 5; set token_embed_',
        ),
    ],
)
def test_a_file_that_does_not_fit(small_config, tmp_path, text, message):
    path = _write(tmp_path / 'vectors.txt', text)
    with pytest.raises(ValueError, match=message):
        _train(small_config, tmp_path / 'a', path)
