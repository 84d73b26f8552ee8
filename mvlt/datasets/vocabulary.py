"""Word-piece vocabularies: load one, train one, and know which ids are special."""

import hashlib
import os
from collections import Counter
from collections.abc import Iterable
from functools import cached_property, lru_cache
from pathlib import Path

from tokenizers import BertWordPieceTokenizer, Tokenizer

from mvlt.files import write_text

SPECIAL_TOKENS = ('[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]')


class Vocabulary:
    """A word-piece tokenizer as BERT uses it (lower case, accents stripped).

    Args:
        source: a folder with ``vocab.txt`` (one word piece a line) or ``tokenizer.json``, or the
            name of a tokenizer on the Hugging Face hub, e.g. 'bert-base-uncased'.
        download: allow the network for a hub name; else only its local cache is read.

    Raises:
        FileNotFoundError: no such folder, and not in the local hub cache.
        ValueError: a file that is no vocabulary, or lacks one of BERT's five special tokens.
    """

    def __init__(self, source: str, download: bool = False) -> None:
        self.source = source
        self._tokenizer = _read(source, download)
        missing = [token for token in SPECIAL_TOKENS if self._tokenizer.token_to_id(token) is None]
        if missing:
            raise ValueError(f"vocabulary '{source}' lacks {missing}: it is not one of BERT's kind")
        ids = [self._tokenizer.token_to_id(token) for token in SPECIAL_TOKENS]
        self.pad_id, self.unk_id, self.cls_id, self.sep_id, self.mask_id = ids

    def __len__(self) -> int:
        """Number of word pieces, the special ones included."""
        return self._tokenizer.get_vocab_size()

    def encode(self, caption: str, max_len: int) -> list[int]:
        """[CLS], the caption's ids, [SEP]; a long caption is cut so that both remain."""
        ids = self._tokenizer.encode(caption, add_special_tokens=False).ids
        return [self.cls_id, *ids[: max_len - 2], self.sep_id]

    def decode(self, ids: Iterable[int]) -> str:
        """Readable text of ``ids`` without special tokens."""
        return self._tokenizer.decode(list(ids))

    def token(self, token_id: int) -> str:
        """The word piece of one id."""
        return self._tokenizer.id_to_token(int(token_id)) or '[UNK]'

    @cached_property
    def special_ids(self) -> list[int]:
        """Ids that are never hidden and never predicted: the special and unused ones."""
        words = self._tokenizer.get_vocab()
        return sorted(
            i for word, i in words.items() if word in SPECIAL_TOKENS or word.startswith('[unused')
        )

    @property
    def fingerprint(self) -> str:
        """Hash of all word pieces in order: equal where two vocabularies agree on every id."""
        words = sorted(self._tokenizer.get_vocab().items(), key=lambda item: item[1])
        return hashlib.sha256('\n'.join(word for word, _ in words).encode()).hexdigest()[:16]


@lru_cache(maxsize=8)
def load_vocabulary(source: str, download: bool = False) -> Vocabulary:
    """The :class:`Vocabulary` of ``source``, read once a process."""
    return Vocabulary(source, download)


def train_vocabulary(captions: Iterable[str], folder: str | Path, size: int) -> Vocabulary:
    """Train word pieces on ``captions`` and write ``folder/vocab.txt``, whole or not at all.

    Args:
        captions: one string a product.
        folder: made if missing.
        size: at most so many pieces; small corpora give fewer. A quarter is for single letters.
    """
    os.environ.setdefault('TOKENIZERS_PARALLELISM', 'false')  # forked data workers follow
    tokenizer = BertWordPieceTokenizer(lowercase=True)
    captions, letters = _alphabet(captions, tokenizer, limit=max(size // 4, 1))
    # The trainer numbers word-inner letters in the order of a hash table, and breaks ties by these
    # numbers; named beforehand they have fixed ones, and the same captions give the same pieces.
    fixed = [*SPECIAL_TOKENS, *(f'##{letter}' for letter in letters)]
    tokenizer.train_from_iterator(
        captions,
        vocab_size=max(size, len(fixed) + len(letters)),
        special_tokens=fixed,
        limit_alphabet=len(letters),
        show_progress=False,
    )
    words = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    write_text(Path(folder, 'vocab.txt'), '\n'.join(word for word, _ in words) + '\n')
    load_vocabulary.cache_clear()
    return load_vocabulary(str(folder))


def _alphabet(
    captions: Iterable[str], tokenizer: BertWordPieceTokenizer, limit: int
) -> tuple[list[str], list[str]]:
    """Normalised captions and their letters; words with letters beyond the ``limit`` most frequent
    are left out (they would become [UNK])."""
    words = [tokenizer.normalize(caption).split() for caption in captions]
    counts = Counter(letter for caption in words for word in caption for letter in word)
    letters = {x for x, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:limit]}
    kept = [' '.join(word for word in caption if letters.issuperset(word)) for caption in words]
    return kept, sorted(letters)


_FILES = ('tokenizer.json', 'vocab.txt')


def _read(source: str, download: bool) -> Tokenizer | BertWordPieceTokenizer:
    folder = Path(source)
    file = next((one for name in _FILES if (one := folder / name).is_file()), None)
    if file is not None:
        try:
            if file.suffix == '.json':
                return Tokenizer.from_file(str(file))
            return BertWordPieceTokenizer(str(file), lowercase=True)
        except Exception as error:  # the library has no class of its own for what it refuses
            raise ValueError(f'{file}: not a vocabulary of the kind of BERT ({error})') from error
    if not folder.is_dir() and source.count('/') <= 1 and not source.startswith(('.', '/')):
        from huggingface_hub import hf_hub_download  # slow to import, and seldom needed
        from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

        try:
            return Tokenizer.from_file(
                hf_hub_download(source, 'tokenizer.json', local_files_only=not download)
            )
        except (LocalEntryNotFoundError, EntryNotFoundError, OSError, ValueError):
            pass
    raise FileNotFoundError(
        f"vocabulary '{source}': no folder with vocab.txt or tokenizer.json, and no tokenizer of "
        'that name in the local Hugging Face cache. Train one (VocabularyHook.train_size), point '
        'to a folder, or set download=True to fetch it from the hub'
    )
