"""What travels beside the tensors of a sample: labels on the way in, predictions on the way out."""

import hashlib
import unicodedata
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import torch
from mmengine.structures import BaseDataElement
from torch.nn.utils.rnn import pad_sequence

STREAMS = dict(
    images='image', texts='text'
)  # the streams of a pair, whose keys are the record's own
STREAM_INPUTS = dict(  # keys of a batch's inputs that are a stream's
    images=('image', 'pixels', 'image_mask', 'whole_image', 'mixed'),
    texts=('token_ids', 'text_mask', 'whole_token_ids'),
)
CATEGORIES = ('main_category', 'sub_category')  # the labels of paper Task 3
IMAGE_KEYS, TEXT_KEYS = 16, 4  # columns of Batch.image_keys and Batch.text_keys
_ACCENTS = range(0x300, 0x370)  # the marks over Latin, Greek and Cyrillic letters


def text_key(text: str) -> str:
    """What two captions share that a tokenizer of lower case reads alike.

    Case, blanks and the accents of Latin, Greek and Cyrillic letters make no difference.

    Example:
        'Café  Top' and 'CAFE TOP' -> 'cafe top'.
    """
    letters = unicodedata.normalize('NFKD', text)
    plain = ''.join(letter for letter in letters if ord(letter) not in _ACCENTS)
    return ' '.join(unicodedata.normalize('NFC', plain).casefold().split())


def stream_key(stream: str, key: str) -> str:
    """A sample's key of a stream: 'image_mask' of the pair's own, else 'reference_image_mask'."""
    return f'{stream}_{key}' if stream not in ('', *STREAMS.values()) else key


def with_streams(inputs: Mapping[str, Any], image: str, text: str) -> dict[str, Any]:
    """Inputs of a batch with a named image and a named text in the place of the pair's own.

    Args:
        inputs: what ``PairDataPreprocessor`` returns under ``inputs``.
        image, text: names of streams, 'image' and 'text' the pair's own.

    Raises:
        KeyError: there is no such stream.
    """
    chosen = dict(inputs)
    for kind, name in (('images', image), ('texts', text)):
        if name == STREAMS[kind]:
            continue
        if name not in inputs.get(kind, {}):
            legal = ', '.join((STREAMS[kind], *inputs.get(kind, {})))
            raise KeyError(f'the batch has no {kind} stream {name!r}; it has {legal}')
        for key in STREAM_INPUTS[kind]:
            chosen.pop(key, None)
        chosen.update(inputs[kind][name])
    return chosen


class PairDataSample(BaseDataElement):
    """One image-caption pair.

     A task sets only the keys that it needs; ``'key' in sample`` asks whether one is there.
     H, W: image sides in pixels; u: side of a masking unit in pixels (alpha x P); T: tokens of this
     caption with [CLS] and [SEP]; V: tokenizer size.

     ===================  ==================  ====================================================
     key                  type, shape         meaning
     ===================  ==================  ====================================================
     matched              int                 1 if image and caption belong together, else 0
     main_category        int                 class index, classes sorted by name
     sub_category         int                 the same, of the finer labels
     <attribute>          int                 class index of another column, -1 = not known
     image_mask           bool (H/u, W/u)     True = hidden from the model; u = 1: single pixels;
                                              (N, D) of features in the place of pictures
     mlm_labels          int64 (T,)          original token id where a word is hidden, else -1
     itm_score          float               predicted probability of a match, 0 to 1
     word_predictions     int64 (N,)          predicted ids at the N positions where labels >= 0
     word_log_probs       float32 (N,)        log-probability of the hidden word at each of them
     similarity           float               of the two vectors of the head ``itc``, -1 to 1
     reconstruction       float32 (3, H, W)   predicted image, RGB, nominally 0 to 1
     pixels               uint8 (3, H, W)     the image as the model was to see it, unmasked
     <head>_scores        float32 (classes,)  probabilities, e.g. ``main_category_scores``
     ===================  ==================  ====================================================

     Meta information, str unless said otherwise: ``product_id``, ``caption``, ``title`` (the
    dataset's caption if a transform has changed it), ``img_path`` (may be absent), ``sample_idx``
    (int, the row in its dataset), ``other_caption_keys`` (what each other caption names),
    ``read_caption_key`` (what the caption names that was read). A mismatched pair also has
    ``caption_product_id`` (the caption's product), ``image_title`` and
    ``image_other_caption_keys`` (those of the image). Masks of another stream have its name
    before the key: ``reference_image_mask``.
    """


def unit_range(pixels: torch.Tensor) -> torch.Tensor:
    """Uint8 pixels -> float32, 0 to 1; features in the place of pictures, float, as they are."""
    return pixels if pixels.is_floating_point() else pixels.float() / 255


class Batch:
    """What a head's loss and answers may read beside features.

    Args:
        inputs: what ``PairDataPreprocessor`` returns under ``inputs``.
        samples: one a pair.
        text: the text stream whose tokens are masked.
    """

    def __init__(
        self, inputs: dict[str, Any], samples: Sequence[PairDataSample], text: str = 'text'
    ) -> None:
        self.inputs = inputs
        self.samples = samples
        self._labels = stream_key(text, 'mlm_labels')

    def of(self, image: str = 'image', text: str = 'text') -> 'Batch':
        """The batch with other streams in the place of the pair's; errors of ``with_streams``."""
        return Batch(with_streams(self.inputs, image, text), self.samples, text)

    @property
    def step(self) -> int:
        """Of the training, from 0; 0 where nobody trains."""
        return int(self.inputs.get('step', 0))

    def has(self, key: str) -> bool:
        """Whether the samples have this label."""
        return bool(self.samples) and key in self.samples[0]

    def values(self, key: str) -> list[int]:
        """One integer label of every sample, on the host.

        Raises:
            KeyError: a sample lacks the label, which means that the dataset or ``PackPairInputs``
                does not provide what a head of the model learns from.
        """
        values = [sample.get(key, None) for sample in self.samples]
        if None in values:
            raise KeyError(
                f"a head needs the label '{key}', which no transform or dataset has set: wrap the "
                "dataset in MatchingPairs for 'matched', or take the head out of the config"
            )
        return [int(value) for value in values]

    def labels(self, key: str) -> torch.Tensor:
        """:meth:`values`, int64 (B,), on the device; errors of it."""
        return self.on_device(torch.tensor(self.values(key), dtype=torch.int64))

    def on_device(self, host: torch.Tensor) -> torch.Tensor:
        """Copied there; the host does not wait for the device to have done it."""
        return host.to(self.inputs['token_ids'].device, non_blocking=True)

    @property
    def pixels(self) -> torch.Tensor:
        """Unmasked, float32 (B, 3, H, W), 0 to 1; features (B, N, D) in their place as they are."""
        return unit_range(self.inputs['pixels'])

    @property
    def image_mask(self) -> torch.Tensor | None:
        """Bool (B, H / u, W / u), of features (B, N, D), True = hidden; None where nothing is."""
        return self.inputs['image_mask']

    def masked_tokens(self, matched_only: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
        """Where words are hidden, and which: int64 (M,) each, M of the whole batch.

        Places are counted through (B, T), a caption behind the other: the host knows M, so that
        nothing is read back from the device.

        Args:
            matched_only: those of pairs that are labelled ``matched``, where that label is there.

        Raises:
            KeyError: the samples have none.
        """
        if not all(self._labels in sample for sample in self.samples):
            raise KeyError("the MLM head needs 'mlm_labels': add MaskWords to the pipeline")
        width = self.inputs['token_ids'].shape[1]
        ids = torch.empty(len(self.samples), width, dtype=torch.int64)
        labels = mlm_labels(self.samples, ids, self._labels)
        if matched_only and self.has('matched'):
            labels[torch.tensor(self.values('matched')) == 0] = -1
        places = (labels.flatten() >= 0).nonzero()[:, 0]
        return self.on_device(places), self.on_device(labels.flatten()[places])

    @property
    def mixed(self) -> tuple[torch.Tensor, float] | None:
        """Whose picture is laid over each, int64 (B,), and the share of a row's own, 0.5 to 1.

        None where pictures, as the towers read them, are their own alone.
        """
        return self.inputs.get('mixed')

    @cached_property
    def image_keys(self) -> torch.Tensor:
        """What describes each picture, int64 (B, IMAGE_KEYS), 0 = nothing.

        Columns: product id; its dataset's caption; the caption that was read with it; each of the
        dataset's other other_captions. See :func:`belong`.

        Raises:
            ValueError: a sample has more other_captions than there are columns.
        """
        rows = []
        for sample in self.samples:
            title = sample.get('image_title', sample.get('title', sample.get('caption', '')))
            read = sample.get('caption', '') if sample.get('matched', 1) else ''
            other_captions = sample.get(
                'image_other_caption_keys', sample.get('other_caption_keys', ())
            )
            keys = [_number('product', sample.get('product_id', ''))]
            keys += [_number('text', text_key(text)) for text in (title, read)]
            keys += [_number('other_caption', other_caption) for other_caption in other_captions]
            if len(keys) > IMAGE_KEYS:
                raise ValueError(
                    f'{len(other_captions)} other captions; at most {IMAGE_KEYS - 3} are compared'
                )
            rows.append(keys + [0] * (IMAGE_KEYS - len(keys)))
        return self.on_device(torch.tensor(rows))

    @cached_property
    def text_keys(self) -> torch.Tensor:
        """What each caption describes, int64 (B, TEXT_KEYS), 0 = nothing.

        Columns: product id, dataset's caption, caption as it was read, what its template names.
        """
        rows = []
        for sample in self.samples:
            caption = sample.get('caption', '')
            product = sample.get('caption_product_id', sample.get('product_id', ''))
            rows.append(
                [
                    _number('product', product),
                    _number('text', text_key(sample.get('title', caption))),
                    _number('text', text_key(caption)),
                    _number('other_caption', sample.get('read_caption_key', '')),
                ]
            )
        return self.on_device(torch.tensor(rows))

    @cached_property
    def matched(self) -> torch.Tensor:
        """Which rows are pairs that match, bool (B,); all where no label says otherwise."""
        labels = [sample.get('matched', 1) for sample in self.samples]
        return self.on_device(torch.tensor(labels, dtype=torch.bool))

    @property
    def positives(self) -> torch.Tensor:
        """Which captions belong to which pictures of this batch, bool (B, B)."""
        return belong(self.image_keys, self.text_keys) | torch.diag(self.matched)


def belong(image_keys: torch.Tensor, text_keys: torch.Tensor) -> torch.Tensor:
    """Which captions describe which pictures, bool (I, T): same product, caption or named columns.

    Args:
        image_keys, text_keys: int64 (I, IMAGE_KEYS), (T, TEXT_KEYS), of any batches.
    """

    def equal(image: int, text: int) -> torch.Tensor:
        ours, theirs = image_keys[:, image, None], text_keys[None, :, text]
        return (ours == theirs) & (ours != 0)

    pairs = [(0, 0), *((i, t) for i in (1, 2) for t in (1, 2))]
    pairs += [(i, 3) for i in range(3, IMAGE_KEYS)]
    described = equal(*pairs[0])
    for image, text in pairs[1:]:
        described = described | equal(image, text)
    return described


def mlm_labels(
    samples: Sequence[Any], token_ids: torch.Tensor, key: str = 'mlm_labels'
) -> torch.Tensor:
    """Hidden token ids of samples, int64 (B, T) as ``token_ids``, -1 where nothing is hidden."""
    labels = pad_sequence(
        [sample.get(key) for sample in samples], batch_first=True, padding_value=-1
    )
    full = token_ids.new_full(token_ids.shape, -1)
    full[:, : labels.shape[1]] = labels
    return full


def _number(kind: str, text: str) -> int:
    """Of equal texts of a kind the same in every process, -2^63 to 2^63 - 1; 0 of no text."""
    if not text:
        return 0
    digest = hashlib.blake2b(f'{kind} {text}'.encode(), digest_size=8).digest()
    return int.from_bytes(digest, 'big', signed=True)
