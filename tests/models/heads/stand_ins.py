"""Losses and predictions of heads on features and labels made from tensors."""

from types import SimpleNamespace

import torch

from mvlt.structures import Batch, PairDataSample


def loss_of(head, **given):
    """The ``loss`` of a head; names as of :func:`_split`."""
    return head.loss(*_split(**given))['loss']


def answer_of(head, **given):
    """The only field that a head predicts."""
    (field,) = head.predict(*_split(**given)).values()
    return field


def _split(
    cls=None,
    text=None,
    decoded=None,
    token_embedding=None,
    target=None,
    mask=None,
    words=None,
    **labels,
):
    """Stand-ins for :class:`mvlt.models.Features` and :class:`mvlt.structures.Batch`."""
    features = SimpleNamespace(
        cls=cls,
        pair=SimpleNamespace(texts=(text,)),
        decoded=decoded,
        token_embedding=token_embedding,
    )
    labels = {name: values for name, values in labels.items() if values is not None}
    count = max(map(len, [*labels.values(), *([] if words is None else [words])]), default=0)
    samples = [PairDataSample() for _ in range(count)]
    for i, sample in enumerate(samples):
        for name, values in labels.items():
            sample.set_field(int(values[i]), name)
        if words is not None:
            sample.mlm_labels = words[i]
    shape = (count, 1) if words is None else words.shape
    return features, _Batch(target, mask, shape, samples)


class _Batch(Batch):
    """A batch whose pixels are float, 0 to 1."""

    pixels = None

    def __init__(self, target, mask, shape, samples):
        ids = torch.zeros(shape, dtype=torch.int64)
        super().__init__(dict(pixels=target, image_mask=mask, token_ids=ids), samples)
        self.pixels = target
