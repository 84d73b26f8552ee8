"""Samples of image and caption, and what heads read of a batch."""

import hashlib
import unicodedata
from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from typing import Any

import torch
from mmengine.structures import BaseDataElement
from torch.nn.utils.rnn import pad_sequence

STREAMS = dict(images='image', texts='text')  # the pair's streams; their keys have no prefix
STREAM_INPUTS = dict(  # keys of a stream in a batch's inputs
    images=('image', 'pixels', 'image_mask', 'whole_image', 'mixed'),
    texts=('token_ids', 'text_mask', 'whole_token_ids'),
)
CATEGORIES = ('main_category', 'sub_category')  # the labels of paper Task 3
IMAGE_KEYS, TEXT_KEYS = 16, 4  # columns of Batch.image_keys and Batch.text_keys
_ACCENTS = range(0x300, 0x370)  # the marks over Latin, Greek and Cyrillic letters


@lru_cache(maxsize=100_000)  # templates of a catalogue repeat few values
def text_key(text: str) -> str:
    """A caption without case, surplus blanks and Latin, Greek and Cyrillic accents.

    Example:
        'Café  Top' and 'CAFE TOP' -> 'cafe top'.
    """
    letters = unicodedata.normalize('NFKD', text)
    plain = ''.join(letter for letter in letters if ord(letter) not in _ACCENTS)
    return ' '.join(unicodedata.normalize('NFC', plain).casefold().split())


def stream_key(stream: str, key: str) -> str:
    """A sample's key of a stream: 'image_mask' of the pair's, else 'reference_image_mask'."""
    return f'{stream}_{key}' if stream not in ('', *STREAMS.values()) else key


def with_streams(inputs: Mapping[str, Any], image: str, text: str) -> dict[str, Any]:
    """Inputs of a batch with named streams in place of the pair's image and text.

    Args:
        inputs: of ``PairDataPreprocessor``.
        image, text: names of streams; 'image' and 'text' are the pair's.

    Raises:
        KeyError: unknown stream.
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

    A task sets only the keys that it needs; ``'key' in sample`` says whether a key is set.
    H, W: image sides in pixels; u: side of a masking unit in pixels (alpha x P); T: tokens of this
    caption with [CLS] and [SEP].

    ===================  ==================  ====================================================
    key                  type, shape         meaning
    ===================  ==================  ====================================================
    matched              int                 1 if image and caption belong together, else 0
    main_category        int                 class index, classes sorted by name
    sub_category         int                 the same, of the finer labels
    <attribute>          int                 class index of another column, -1 = unknown
    image_mask           bool (H/u, W/u)     True = masked; u = 1: single pixels; (N, D) if the
                                              image is given as features
    mlm_labels           int64 (T,)          original id of a masked token, else -1
    itm_score            float               predicted probability of a match, 0 to 1
    word_predictions     int64 (N,)          predicted ids of the N masked tokens
    word_log_probs       float32 (N,)        log-probabilities of their original ids
    similarity           float               cosine of the embeddings of ``itc``, -1 to 1
    reconstruction       float32 (3, H, W)   predicted image, RGB, nominally 0 to 1
    pixels               uint8 (3, H, W)     the unmasked image at the model's size
    <head>_scores        float32 (classes,)  probabilities, e.g. ``main_category_scores``
    ===================  ==================  ====================================================

    Meta information, str unless noted: ``product_id``, ``caption``, ``title`` (the dataset's
    caption if a transform changed it), ``img_path`` (may be absent), ``sample_idx`` (int, the row
    in its dataset), ``other_caption_keys`` (the columns of each other caption),
    ``read_caption_key`` (those of the caption that was read). A mismatched pair also has
    ``caption_product_id`` (the caption's product), ``image_title`` and
    ``image_other_caption_keys`` (those of the image). Masks of another stream have its name
    before the key: ``reference_image_mask``.
    """


def unit_range(pixels: torch.Tensor) -> torch.Tensor:
    """Uint8 pixels -> float32, 0 to 1; features (float) are returned unchanged."""
    return pixels if pixels.is_floating_point() else pixels.float() / 255


class Batch:
    """Inputs and labels that heads read beside the features.

    Args:
        inputs: of ``PairDataPreprocessor``.
        samples: a sample per pair.
        text: the text stream whose tokens are masked.
    """

    def __init__(
        self, inputs: dict[str, Any], samples: Sequence[PairDataSample], text: str = 'text'
    ) -> None:
        self.inputs = inputs
        self.samples = samples
        self._labels = stream_key(text, 'mlm_labels')

    def of(self, image: str = 'image', text: str = 'text') -> 'Batch':
        """The batch with other streams as its image and text; see :func:`with_streams`."""
        return Batch(with_streams(self.inputs, image, text), self.samples, text)

    @property
    def step(self) -> int:
        """The training step, from 0; 0 outside training."""
        return int(self.inputs.get('step', 0))

    def has(self, key: str) -> bool:
        """Whether the samples have this label."""
        return bool(self.samples) and key in self.samples[0]

    def values(self, key: str) -> list[int]:
        """An integer label of every sample, on the host.

        Raises:
            KeyError: neither the dataset nor ``PackPairInputs`` provides the label.
        """
        values = [sample.get(key, None) for sample in self.samples]
        if None in values:
            raise KeyError(
                f"a head needs the label '{key}', which no transform or dataset has set: wrap the "
                "dataset in MatchingPairs for 'matched', or remove the head from the config"
            )
        return [int(value) for value in values]

    def labels(self, key: str) -> torch.Tensor:
        """:meth:`values` on the device, int64 (B,)."""
        return self.on_device(torch.tensor(self.values(key), dtype=torch.int64))

    def on_device(self, host: torch.Tensor) -> torch.Tensor:
        """Copy to the device, without waiting for it."""
        return host.to(self.inputs['token_ids'].device, non_blocking=True)

    @property
    def pixels(self) -> torch.Tensor:
        """Unmasked images, float32 (B, 3, H, W), 0 to 1; or features (B, N, D), unchanged."""
        return unit_range(self.inputs['pixels'])

    @property
    def image_mask(self) -> torch.Tensor | None:
        """Bool (B, H / u, W / u), of features (B, N, D), True = masked; None without a mask."""
        return self.inputs['image_mask']

    def masked_tokens(self, matched_only: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
        """Positions and ids of the M masked tokens of the batch, int64 (M,) each.

        Positions count through the flattened (B, T). The host knows M, so nothing is read back
        from the device.

        Args:
            matched_only: skip pairs whose label ``matched``, if set, is 0.

        Raises:
            KeyError: the samples have no ``mlm_labels``.
        """
        if not all(self._labels in sample for sample in self.samples):
            raise KeyError("the MLM head needs 'mlm_labels': add MaskWords to the pipeline")
        width = self.inputs['token_ids'].shape[1]
        ids = torch.empty(len(self.samples), width, dtype=torch.int64)
        labels = mlm_labels(self.samples, ids, self._labels)
        if matched_only and self.has('matched'):
            labels[torch.tensor(self.values('matched')) == 0] = -1
        positions = (labels.flatten() >= 0).nonzero()[:, 0]
        return self.on_device(positions), self.on_device(labels.flatten()[positions])

    @property
    def mixed(self) -> tuple[torch.Tensor, float] | None:
        """Mixup: the row mixed into each image, int64 (B,), and the image's weight, 0.5 to 1.

        None without mixup.
        """
        return self.inputs.get('mixed')

    @cached_property
    def image_keys(self) -> torch.Tensor:
        """Hashes of what describes each image, int64 (B, IMAGE_KEYS), 0 = nothing.

        Columns: product id; the dataset's caption; the caption that was read with the image; each
        other caption of the dataset. See :func:`belong`.

        Raises:
            ValueError: a sample has more other captions than there are columns.
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
        """Hashes of what each caption describes, int64 (B, TEXT_KEYS), 0 = nothing.

        Columns: product id, dataset's caption, caption as read, columns that its template names.
        """
        rows = []
        for sample in self.samples:
            caption = sample.get('caption', '')
            product = sample.get('caption_product_id', sample.get('product_id', ''))
            keys = [_number('product', product)]
            keys += [_number('text', text_key(t)) for t in (sample.get('title', caption), caption)]
            rows.append([*keys, _number('other_caption', sample.get('read_caption_key', ''))])
        return self.on_device(torch.tensor(rows))

    @cached_property
    def matched(self) -> torch.Tensor:
        """Which pairs match, bool (B,); all of them without a label."""
        labels = [sample.get('matched', 1) for sample in self.samples]
        return self.on_device(torch.tensor(labels, dtype=torch.bool))

    @property
    def positives(self) -> torch.Tensor:
        """Which images (rows) and captions (columns) of this batch match, bool (B, B)."""
        return belong(self.image_keys, self.text_keys) | torch.diag(self.matched)


def belong(image_keys: torch.Tensor, text_keys: torch.Tensor) -> torch.Tensor:
    """Which images and captions share a product, caption or named columns, bool (I, T).

    Args:
        image_keys, text_keys: of any batches, int64 (I, IMAGE_KEYS), (T, TEXT_KEYS).
    """

    def equal(image: int, text: int) -> torch.Tensor:
        images, texts = image_keys[:, image, None], text_keys[None, :, text]
        return (images == texts) & (images != 0)

    pairs = [(0, 0), *((i, t) for i in (1, 2) for t in (1, 2))]
    pairs += [(i, 3) for i in range(3, IMAGE_KEYS)]
    described = equal(*pairs[0])
    for image, text in pairs[1:]:
        described = described | equal(image, text)
    return described


def mlm_labels(
    samples: Sequence[Any], token_ids: torch.Tensor, key: str = 'mlm_labels'
) -> torch.Tensor:
    """Ids of masked tokens, int64 (B, T) as ``token_ids``, -1 at unmasked ones."""
    labels = pad_sequence(
        [sample.get(key) for sample in samples], batch_first=True, padding_value=-1
    )
    full = token_ids.new_full(token_ids.shape, -1)
    full[:, : labels.shape[1]] = labels
    return full


def _number(kind: str, text: str) -> int:
    """A hash that is equal in every process, -2^63 to 2^63 - 1; 0 of an empty text."""
    if not text:
        return 0
    digest = hashlib.blake2b(f'{kind} {text}'.encode(), digest_size=8).digest()
    return int.from_bytes(digest, 'big', signed=True)
