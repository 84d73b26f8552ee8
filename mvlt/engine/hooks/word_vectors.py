"""Starts token embeddings from a file of word vectors."""

import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mvlt.datasets import CaptionTokenizer
from mvlt.engine.hooks.tokenizer import tokenizers_of
from mvlt.engine.runner import bare_model
from mvlt.mmengine_private import is_resumed, loaded_from
from mvlt.registry import HOOKS

_NUMBER = re.compile(r'-?\d*\.?\d+(e[-+]?\d+)?')


@HOOKS.register_module()
class WordVectorsHook(Hook):
    """Starts the embeddings of whole words from vectors in GloVe's text format.

    A token that is a word of the file gets its vector, lower-case if the file has no other; the
    other tokens stay random. One factor gives the vectors the standard deviation of the random
    embeddings. A training that resumes, or starts from a checkpoint, keeps the checkpoint's.

    Args:
        path: a file with a word and its D values a line, divided by blanks; a first line of two
            numbers (word2vec) is skipped. D is the model's ``token_embed_dim``.
    """

    priority = 'HIGHEST'  # before copies of the weights are made

    def __init__(self, path: str) -> None:
        self.path = path

    @torch.no_grad()
    def before_train(self, runner: Runner) -> None:
        """Read the file and change the embeddings.

        Raises:
            FileNotFoundError: no such file.
            ValueError: the file does not fit; the message names file and line.
        """
        if is_resumed(runner) or loaded_from(runner):
            return
        tokenizer = next(tokenize.tokenizer for tokenize, _ in tokenizers_of(runner))
        weight = bare_model(runner).token_embedding
        rows = token_vectors(self.path, whole_words(tokenizer))
        if not rows:
            raise ValueError(
                f'{self.path}: none of its words is a token of {tokenizer.source}; take vectors of '
                'the language of the captions'
            )
        values = torch.from_numpy(np.stack([*rows.values()])).to(weight)
        if values.shape[1] != weight.shape[1]:
            raise ValueError(
                f'{self.path}: vectors of {values.shape[1]} values, token embeddings of '
                f'{weight.shape[1]}; set token_embed_dim={values.shape[1]} of the encoder '
                '(model.backbone or model.backbone.text_encoder)'
            )
        scale = weight.std() / values.std(correction=0).clamp_min(1e-6)
        weight[[*rows]] = values * scale
        runner.logger.info(
            f'word vectors: {len(rows)} of {len(tokenizer)} tokens start from {self.path}, the '
            'others at random'
        )


def whole_words(tokenizer: CaptionTokenizer) -> dict[int, str]:
    """Id -> word of each token that is a whole word, at the start of a text or inside."""
    special = {*tokenizer.special_ids}
    ordinary = sorted({*range(len(tokenizer))} - special)
    begin = 0 if tokenizer.cls_id is None else 1
    words = {}
    for text in dict.fromkeys(tokenizer.decode([token_id]).strip() for token_id in ordinary):
        ids = tokenizer.encode(f'{text} {text}', 8)[begin:-1]
        if text and len(ids) == 2 and not special & {*ids}:
            words.update(dict.fromkeys(ids, text))
    return words


def token_vectors(path: str, words: Mapping[int, str]) -> dict[int, np.ndarray]:
    """Id -> vector of each token whose word, or else its lower-case form, is in the file."""
    vectors = read_vectors(path, {*words.values(), *map(str.lower, words.values())})
    pairs = ((i, vectors.get(word, vectors.get(word.lower()))) for i, word in words.items())
    return {token_id: vector for token_id, vector in pairs if vector is not None}


def read_vectors(path: str, words: Collection[str]) -> dict[str, np.ndarray]:
    """Vectors float32 (D,) of those words that the file has, the first of each.

    Raises:
        FileNotFoundError: no such file.
        ValueError: an empty file, a line of another length, a value that is no finite number.
    """
    vectors: dict[str, np.ndarray] = {}
    for number, word, values in _lines(path):
        if word in words and word not in vectors:
            try:
                vector = np.array(values.split(' '), np.float32)
            except ValueError as error:
                raise ValueError(f'{path}, line {number}: {error}') from error
            if not np.isfinite(vector).all():
                raise ValueError(f"{path}, line {number}: a value of '{word}' is not finite")
            vectors[word] = vector
    return vectors


def _lines(path: str) -> Iterator[tuple[int, str, str]]:
    """Number, word and values of each line."""
    if not Path(path).is_file():
        raise FileNotFoundError(
            f'{path}: no such file; unpack word vectors there (glove.6B.100d.txt), or remove the '
            'hook (default_hooks.word_vectors=None)'
        )
    dims = 0
    with open(path, encoding='utf-8', errors='replace') as file:
        for number, line in enumerate(file, 1):
            line = line.rstrip()
            if not line or (number == 1 and re.fullmatch(r'\d+ \d+', line)):
                continue
            dims = dims or line.count(' ')
            extra = line.count(' ') - dims  # blanks in the word, as of '. . .' in glove.840B
            parts = line.split(' ', extra + 1)
            if not dims or extra < 0 or any(map(_NUMBER.fullmatch, parts[1:-1])):
                raise ValueError(
                    f'{path}, line {number}: {line.count(" ")} values after a word, the first line '
                    f'has {dims}; take a whole file with a word and its values a line'
                )
            yield number, ' '.join(parts[:-1]), parts[-1]
