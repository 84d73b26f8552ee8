"""Captions to ids, by any tokenizer that `transformers` knows, from a local folder; one trained."""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable
from functools import cached_property, lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tokenizers import BertWordPieceTokenizer

from mvlt.files import written_whole

SPECIAL_TOKENS = ('[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]')
# what a folder may hold of a tokenizer; the last ones are those of a folder without the first
FILES = (
    'tokenizer_config.json',
    'special_tokens_map.json',
    'added_tokens.json',
    'merges.txt',
    'vocab.json',
    'spiece.model',
    'sentencepiece.bpe.model',
    'tokenizer.model',
    'tokenizer.json',
    'vocab.txt',
)
_ROLES = dict(pad='pad', cls='cls bos', sep='sep eos', mask='mask')


class CaptionTokenizer:
    """A tokenizer: word pieces (BERT), byte pairs or SentencePiece, and which ids are special.

    Args:
        source: a folder as transformers saves one (``tokenizer_config.json`` and its files), or
            with ``tokenizer.json`` or ``vocab.txt`` (one word piece a line, lower case) alone; or
            the name of a tokenizer on the Hugging Face hub, e.g. 'bert-base-uncased'.
        download: allow the network for a hub name; else only its local cache is read.

    Raises:
        FileNotFoundError: no such folder, and not in the local hub cache.
        ValueError: files that are no tokenizer, or one without padding or end.
    """

    def __init__(self, source: str, download: bool = False) -> None:
        self.source = source
        self.tokenizer = _read(source, download)
        self._backend = getattr(self.tokenizer, 'backend_tokenizer', None)  # several times as fast
        missing = [role for role in ('pad', 'sep') if self._role(role) is None]
        if missing:
            raise ValueError(
                f"tokenizer '{source}' lacks a token for {', '.join(missing)}: MVLT reads "
                '[CLS] words [SEP] [PAD]; begin and end of sentence serve as the first two'
            )
        self.pad_id, self.cls_id, self.sep_id = map(self._role, ('pad', 'cls', 'sep'))
        added = [self.tokenizer.init_kwargs.get(f'add_{one}_token') for one in ('bos', 'eos')]
        if added == [False, True]:  # SigLIP 2's has a token for the beginning and leaves it out
            self.cls_id = None

    def _role(self, role: str) -> Any:
        """Id of the special token with a role; None = there is none."""
        ids = (getattr(self.tokenizer, f'{name}_token_id') for name in _ROLES[role].split())
        return next((one for one in ids if one is not None), None)

    @property
    def mask_id(self) -> int:
        """Id of the token that hides a word.

        Raises:
            ValueError: the tokenizer has none.
        """
        found = self._role('mask')
        if found is None:
            raise ValueError(
                f"tokenizer '{self.source}' has no mask token: words cannot be hidden; leave MLM "
                'out (pipeline.words=None, model.heads.mlm=None) or take another tokenizer'
            )
        return found

    def __len__(self) -> int:
        """Number of word pieces, the special ones included."""
        return len(self.tokenizer)

    def encode(self, caption: str, max_length: int) -> list[int]:
        """[CLS], the caption's ids, [SEP]; a long caption is cut so that both remain.

        Where the tokenizer begins with no token (SigLIP's), there is no [CLS].
        """
        if self._backend is not None:
            ids = self._backend.encode(caption, add_special_tokens=False).ids
        else:
            ids = self.tokenizer.encode(caption, add_special_tokens=False, verbose=False)
        begin = [] if self.cls_id is None else [self.cls_id]
        return [*begin, *ids[: max_length - 1 - len(begin)], self.sep_id]

    def decode(self, ids: Iterable[int]) -> str:
        """Readable text of ``ids`` without special tokens."""
        return self.tokenizer.decode(list(ids), skip_special_tokens=True)

    def token(self, token_id: int) -> str:
        """The word piece of one id."""
        return self.tokenizer.convert_ids_to_tokens(int(token_id)) or '[UNK]'

    @cached_property
    def special_ids(self) -> list[int]:
        """Ids that are never hidden and never predicted: the special and unused ones."""
        words = self.tokenizer.get_vocab()
        unused = (place for word, place in words.items() if word.startswith('[unused'))
        return sorted({*self.tokenizer.all_special_ids, *unused})

    @property
    def fingerprint(self) -> str:
        """Hash of all pieces in order: equal where two tokenizers_of agree on every id."""
        words = sorted(self.tokenizer.get_vocab().items(), key=lambda item: item[1])
        digest = hashlib.sha256('\n'.join(word for word, _ in words).encode())
        if self._backend is not None and type(self._backend.model).__name__ != 'WordPiece':
            digest.update(self._backend.to_str().encode())  # merges, scores, normalisation
        return digest.hexdigest()[:16]

    def save(self, folder: str | Path) -> None:
        """Write a folder that gives this tokenizer, here and to transformers; each file whole."""
        with TemporaryDirectory() as partial:
            self.tokenizer.save_pretrained(partial)
            for name in FILES:  # what decides alone comes last
                if (written := Path(partial, name)).is_file():
                    with written_whole(Path(folder, name)) as file:
                        file.write(written.read_bytes())


@lru_cache(maxsize=8)
def load_tokenizer(source: str, download: bool = False) -> CaptionTokenizer:
    """The :class:`CaptionTokenizer` of ``source``, read once a process."""
    return CaptionTokenizer(source, download)


def train_tokenizer(captions: Iterable[str], folder: str | Path, size: int) -> CaptionTokenizer:
    """Train word pieces on ``captions`` and write them as a folder that transformers reads, too.

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
    with TemporaryDirectory() as partial:
        Path(partial, 'vocab.txt').write_text('\n'.join(word for word, _ in words) + '\n', 'utf-8')
        CaptionTokenizer(partial).save(folder)
    load_tokenizer.cache_clear()
    return load_tokenizer(str(folder))


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


def _fast_class(name: str) -> Any:
    """The class of transformers that a folder names, if it is one that reads tokenizer.json."""
    import transformers

    for one in (name, f'{name}Fast'):
        found = getattr(transformers, one, None)
        if isinstance(found, type) and issubclass(found, transformers.PreTrainedTokenizerFast):
            return found
    return transformers.PreTrainedTokenizerFast


def _auto(source: str, download: bool) -> Any:
    from transformers import AutoTokenizer  # slower still

    return AutoTokenizer.from_pretrained(
        source, local_files_only=not download, trust_remote_code=False
    )


def _read(source: str, download: bool) -> Any:
    """The tokenizer of transformers."""
    from transformers import BertTokenizerFast, PreTrainedTokenizerFast  # slow to import

    folder = Path(source)
    there = [name for name in FILES if (folder / name).is_file()]
    try:
        if 'tokenizer_config.json' in there:
            settings = json.loads((folder / 'tokenizer_config.json').read_text('utf-8'))
            if 'auto_map' in settings:
                raise ValueError('it asks for code of its own (auto_map), which is never run')
            if 'tokenizer.json' in there:
                kind = _fast_class(str(settings.get('tokenizer_class')))
                return kind.from_pretrained(source, local_files_only=True)
            return _auto(source, False)
        if 'tokenizer.json' in there:
            found = PreTrainedTokenizerFast(tokenizer_file=str(folder / 'tokenizer.json'))
            words = found.get_vocab()
            roles = zip(('pad', 'unk', 'cls', 'sep', 'mask'), SPECIAL_TOKENS)
            found.add_special_tokens({f'{k}_token': v for k, v in roles if v in words})
            return found
        if 'vocab.txt' in there:
            lines = (folder / 'vocab.txt').read_text('utf-8').splitlines()
            missing = [token for token in SPECIAL_TOKENS if token not in lines]
            if missing:
                raise ValueError(f"it lacks {missing}: it is not one of BERT's kind")
            return BertTokenizerFast(vocab_file=str(folder / 'vocab.txt'), do_lower_case=True)
    except Exception as error:  # the library has no class of its own for what it refuses
        raise ValueError(f'{folder / there[-1]}: not a tokenizer ({error})') from error
    if not folder.is_dir() and source.count('/') <= 1 and not source.startswith(('.', '/')):
        try:
            return _auto(source, download)
        except (OSError, ValueError, KeyError):
            pass
    raise FileNotFoundError(
        f"tokenizer '{source}': no folder with tokenizer.json or vocab.txt, and no tokenizer of "
        'that name in the local Hugging Face cache. Train one (TokenizerHook.train_size), point '
        'to a folder, or set download=True to fetch it from the hub'
    )
