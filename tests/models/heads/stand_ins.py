"""Losses and answers of heads on features and labels that a test makes of tensors."""

from types import SimpleNamespace


def loss_of(head, **given):
    """The ``loss`` of a head; names as of :func:`_split`."""
    return head.loss(*_split(**given))['loss']


def answer_of(head, **given):
    """The only field that a head answers with."""
    (field,) = head.predict(*_split(**given)).values()
    return field


def _split(
    cls=None, text=None, decoded=None, word_table=None, target=None, mask=None, words=None, **labels
):
    """What :class:`mvlt.models.Features` and :class:`mvlt.structures.Batch` would give."""
    features = SimpleNamespace(
        cls=cls, pair=SimpleNamespace(texts=(text,)), decoded=decoded, word_table=word_table
    )
    batch = SimpleNamespace(
        has=lambda key: labels.get(key) is not None,
        labels=labels.__getitem__,
        mixed=labels.get('mixed'),
        pixels=target,
        image_mask=mask,
        word_labels=words,
        inputs=dict(pixels=target),
    )
    return features, batch
