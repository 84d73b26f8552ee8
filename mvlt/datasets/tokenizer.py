"""Tokenizers: any of transformers, from a local folder or the hub, or a trained one."""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable
from functools import cached_property, lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tokenizers import BertWordPieceTokenizer

from mvlt.files import written_whole

SPECIAL_TOKENS = ('[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]')
# files of a tokenizer's folder; `save` writes in this order, those that suffice alone last
FILES = (
    *('tokenizer_config.json', 'special_tokens_map.json', 'added_tokens.json'),
    *('merges.txt', 'vocab.json', 'spiece.model', 'sentencepiece.bpe.model', 'tokenizer.model'),
    *('tokenizer.json', 'vocab.txt'),
)
_ROLES = dict(pad='pad', cls='cls bos', sep='sep eos', mask='mask')


class CaptionTokenizer:
    """A tokenizer (WordPiece, byte pairs or SentencePiece) and its special ids.

    Args:
        source: a folder that transformers saved (``tokenizer_config.json`` and its files), or with
            only ``tokenizer.json`` or ``vocab.txt`` (one lower-case word piece a line); or a name
            on the Hugging Face hub, e.g. 'bert-base-uncased'.
        download: allow the network for a hub name; else only the local cache is read.

    Raises:
        FileNotFoundError: no such folder, and not in the local hub cache.
        ValueError: not a tokenizer, or one without padding or end token.
    """

    def __init__(self, source: str, download: bool = False) -> None:
        self.source = source
        self.tokenizer = _read(source, download)
        self._backend = getattr(self.tokenizer, 'backend_tokenizer', None)  # several times faster
        if self._backend is not None:  # a file may hold the settings of the last call
            self._backend.no_padding()
            self._backend.no_truncation()
        self.cleaning: str | None = self.tokenizer.init_kwargs.get('open_clip_cleaning')
        missing = [role for role in ('pad', 'sep') if self._role(role) is None]
        if missing:
            raise ValueError(
                f"tokenizer '{source}' lacks a token for {', '.join(missing)}: MVLT reads "
                '[CLS] tokens [SEP] [PAD]; bos and eos serve as [CLS] and [SEP]'
            )
        self.pad_id, self.cls_id, self.sep_id = map(self._role, ('pad', 'cls', 'sep'))
        added = [self.tokenizer.init_kwargs.get(f'add_{role}_token') for role in ('bos', 'eos')]
        if added == [False, True]:  # SigLIP 2 has a bos token but does not use it
            self.cls_id = None

    def _role(self, role: str) -> Any:
        """Id of the special token with a role, or None."""
        ids = (getattr(self.tokenizer, f'{name}_token_id') for name in _ROLES[role].split())
        return next((token_id for token_id in ids if token_id is not None), None)

    @property
    def mask_id(self) -> int:
        """Id of the mask token; ValueError if the tokenizer has none."""
        mask_id = self._role('mask')
        if mask_id is None:
            raise ValueError(
                f"tokenizer '{self.source}' has no mask token: remove MLM (pipeline.words=None, "
                'model.heads.mlm=None) or use another tokenizer'
            )
        return mask_id

    def __len__(self) -> int:
        """Number of tokens, special ones included."""
        return len(self.tokenizer)

    def encode(self, caption: str, max_length: int) -> list[int]:
        """[CLS], the caption's ids, [SEP]; long captions are truncated before [SEP].

        There is no [CLS] if the tokenizer has no first token (SigLIP). ``open_clip_cleaning`` in
        ``tokenizer_config.json`` ('lower', 'whitespace' or 'canonicalize') cleans captions by
        open_clip's own function: mojibake and curly quotes (ftfy), HTML, whitespace.
        """
        caption = self._clean(caption)
        if self._backend is not None:
            ids = self._backend.encode(caption, add_special_tokens=False).ids
        else:
            ids = self.tokenizer.encode(caption, add_special_tokens=False, verbose=False)
        begin = [] if self.cls_id is None else [self.cls_id]
        return [*begin, *ids[: max_length - 1 - len(begin)], self.sep_id]

    def decode(self, ids: Iterable[int]) -> str:
        """Text of ``ids`` without special tokens."""
        return self.tokenizer.decode(list(ids), skip_special_tokens=True)

    def token(self, token_id: int) -> str:
        """The token of an id."""
        return self.tokenizer.convert_ids_to_tokens(int(token_id)) or '[UNK]'

    @cached_property
    def _clean(self) -> Callable[[str], str]:
        if self.cleaning is None:
            return str
        return open_clip_package().tokenizer.get_clean_fn(self.cleaning)

    @cached_property
    def special_ids(self) -> list[int]:
        """Ids of special and unused tokens, which are never masked and never predicted."""
        ids = self.tokenizer.get_vocab()
        unused = (ids[token] for token in ids if token.startswith('[unused'))
        return sorted({*self.tokenizer.all_special_ids, *unused})

    @property
    def fingerprint(self) -> str:
        """Hash of all tokens in order: equal if two tokenizers agree on every id."""
        ids = self.tokenizer.get_vocab()
        digest = hashlib.sha256('\n'.join(sorted(ids, key=ids.__getitem__)).encode())
        if self._backend is not None and type(self._backend.model).__name__ != 'WordPiece':
            digest.update(self._backend.to_str().encode())  # merges, scores, normalisation
        digest.update((self.cleaning or '').encode())
        return digest.hexdigest()[:16]

    def save(self, folder: str | Path) -> None:
        """Write the tokenizer's folder, as transformers reads it too; each file whole."""
        with TemporaryDirectory() as partial:
            self.tokenizer.save_pretrained(partial)
            for name in FILES:  # a partial folder gives no other tokenizer
                if (written := Path(partial, name)).is_file():
                    with written_whole(Path(folder, name)) as file:
                        file.write(written.read_bytes())


def open_clip_package() -> Any:
    """open_clip; ValueError with the remedy if it is missing."""
    try:
        import open_clip
    except ImportError as error:
        raise ValueError(
            f"models of open_clip need its package: pip install 'mvlt[open_clip]' ({error})"
        ) from error
    return open_clip


@lru_cache(maxsize=8)
def load_tokenizer(source: str, download: bool = False) -> CaptionTokenizer:
    """The :class:`CaptionTokenizer` of ``source``, loaded once a process."""
    return CaptionTokenizer(source, download)


def train_tokenizer(captions: Iterable[str], folder: str | Path, size: int) -> CaptionTokenizer:
    """Train a WordPiece tokenizer on ``captions`` and save it.

    Args:
        captions: one string a product.
        folder: created if missing; transformers reads it too.
        size: most tokens, a quarter of them for single letters; small corpora give fewer.
    """
    os.environ.setdefault('TOKENIZERS_PARALLELISM', 'false')  # forked data workers follow
    tokenizer = BertWordPieceTokenizer(lowercase=True)
    captions, letters = _alphabet(captions, tokenizer, limit=max(size // 4, 1))
    # The trainer numbers word-inner letters in the order of a hash table and breaks ties by these
    # ids. As special tokens they have fixed ids: the same captions give the same tokens.
    fixed = [*SPECIAL_TOKENS, *(f'##{letter}' for letter in letters)]
    tokenizer.train_from_iterator(
        captions,
        vocab_size=max(size, len(fixed) + len(letters)),
        special_tokens=fixed,
        limit_alphabet=len(letters),
        show_progress=False,
    )
    ids = tokenizer.get_vocab()
    lines = [f'{token}\n' for token in sorted(ids, key=ids.__getitem__)]
    with TemporaryDirectory() as partial:
        Path(partial, 'vocab.txt').write_text(''.join(lines), 'utf-8')
        CaptionTokenizer(partial).save(folder)
    load_tokenizer.cache_clear()
    return load_tokenizer(str(folder))


def _alphabet(
    captions: Iterable[str], tokenizer: BertWordPieceTokenizer, limit: int
) -> tuple[list[str], list[str]]:
    """Normalised captions and their letters, without words that have rarer letters than the
    ``limit`` most frequent ones (these words would become [UNK])."""
    words = [tokenizer.normalize(caption).split() for caption in captions]
    counts = Counter(letter for caption in words for word in caption for letter in word)
    letters = {x for x, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:limit]}
    kept = [' '.join(word for word in caption if letters.issuperset(word)) for caption in words]
    return kept, sorted(letters)


def _fast_class(name: str) -> Any:
    """The class of transformers of a name, or the general one for tokenizer.json."""
    import transformers

    for candidate in (name, f'{name}Fast'):
        kind = getattr(transformers, candidate, None)
        if isinstance(kind, type) and issubclass(kind, transformers.PreTrainedTokenizerFast):
            return kind
    return transformers.PreTrainedTokenizerFast


def _auto(source: str, download: bool) -> Any:
    from transformers import AutoTokenizer  # slowest to import

    return AutoTokenizer.from_pretrained(
        source, local_files_only=not download, trust_remote_code=False
    )


def _read(source: str, download: bool) -> Any:
    """The tokenizer of transformers in a folder or on the hub."""
    from transformers import BertTokenizerFast, PreTrainedTokenizerFast  # slow to import

    folder = Path(source)
    there = [name for name in FILES if (folder / name).is_file()]
    try:
        if 'tokenizer_config.json' in there:
            settings = json.loads((folder / 'tokenizer_config.json').read_text('utf-8'))
            if 'auto_map' in settings:
                raise ValueError('it needs custom code (auto_map), which mvlt never runs')
            if 'tokenizer.json' in there:
                kind = _fast_class(str(settings.get('tokenizer_class')))
                return kind.from_pretrained(source, local_files_only=True)
            return _auto(source, False)
        if 'tokenizer.json' in there:
            tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(folder / 'tokenizer.json'))
            ids = tokenizer.get_vocab()
            roles = zip(('pad', 'unk', 'cls', 'sep', 'mask'), SPECIAL_TOKENS)
            tokenizer.add_special_tokens({f'{k}_token': v for k, v in roles if v in ids})
            return tokenizer
        if 'vocab.txt' in there:
            lines = (folder / 'vocab.txt').read_text('utf-8').splitlines()
            missing = [token for token in SPECIAL_TOKENS if token not in lines]
            if missing:
                raise ValueError(f'it lacks {missing}, which BERT needs')
            return BertTokenizerFast(vocab_file=str(folder / 'vocab.txt'), do_lower_case=True)
    except Exception as error:  # the library raises no specific class
        raise ValueError(f'{folder / there[-1]}: not a tokenizer ({error})') from error
    if not folder.is_dir() and source.count('/') <= 1 and not source.startswith(('.', '/')):
        try:
            return _auto(source, download)
        except (OSError, ValueError, KeyError):
            pass
    raise FileNotFoundError(
        f"tokenizer '{source}': no folder with tokenizer.json or vocab.txt, and not in the local "
        'Hugging Face cache. Train a tokenizer (TokenizerHook.train_size), name a folder, or set '
        'download=True to fetch it from the hub'
    )
