"""Contract: the student follows the mean of its teachers; other captions and mixed images do not."""

import math
from types import SimpleNamespace

import pytest
import torch

from mvlt.models import TeacherHead
from mvlt.structures import Batch, PairDataSample

UNIT = torch.eye(2)


def _batch(**more):
    samples = [PairDataSample(metainfo=dict(sample_idx=i)) for i in range(2)]
    samples[1].set_metainfo(more)
    return Batch(dict(image=UNIT, token_ids=torch.zeros(2, 1, dtype=torch.int64)), samples)


def _features(images, texts):
    embedding = SimpleNamespace(logits=lambda a, b: 2.0 * a @ b.T)
    return SimpleNamespace(
        embeds=(images, texts), model=SimpleNamespace(head_that=lambda gives: embedding)
    )


def _head(*teachers, temperature=0.5):
    head = TeacherHead([f't{i}' for i in range(len(teachers))], [2] * len(teachers), 2, temperature)
    for layer in (*head.image, *head.text):
        torch.nn.init.eye_(layer.weight)
    head.know([dict(image=image, text=text) for image, text in teachers])
    return head


def test_a_student_like_its_teacher_has_no_loss():
    """Logits 2 cos of the student and cos / 0.5 of the teacher are equal."""
    loss = _head((UNIT, UNIT)).loss(_features(UNIT, UNIT), _batch())
    assert loss['loss_similarity'].item() == pytest.approx(0, abs=1e-6)
    assert loss['loss_embedding'].item() == pytest.approx(0, abs=1e-6)


def test_values_by_hand():
    """Teachers right and wrong: the mean target is (1/2, 1/2); the student says (s, 1 - s)."""
    swapped = UNIT.flip(0)
    loss = _head((UNIT, UNIT), (UNIT, swapped)).loss(_features(UNIT, UNIT), _batch())
    s = 1 / (1 + math.exp(-2))
    divergence = -0.5 * math.log(s) - 0.5 * math.log(1 - s) - math.log(2)
    assert loss['loss_similarity'].item() == pytest.approx(divergence, abs=1e-6)
    # images agree with both teachers; texts with the first, and are at 90 degrees of the second
    assert loss['loss_embedding'].item() == pytest.approx((0 + 1) / 2, abs=1e-6)


@pytest.mark.parametrize('key', ['read_caption_key', 'caption_product_id'])
def test_another_caption_is_left_out(key):
    """Only the first text counts: every softmax over it is 1, and both ways have no divergence."""
    swapped = UNIT.flip(0)
    loss = _head((UNIT, UNIT)).loss(_features(UNIT, swapped), _batch(**{key: 'x'}))
    expected = 0.0 + (1 - 0.0)  # the first text is at 90 degrees of its teacher's
    assert loss['loss_embedding'].item() == pytest.approx(expected, abs=1e-6)
    logits = torch.tensor([0.0, 2.0])  # of both images for that text; the teacher says (2, 0)
    target, log_student = torch.tensor([2.0, 0.0]).softmax(0), logits.log_softmax(0)
    divergence = (target * (target.log() - log_student)).sum().item()
    assert loss['loss_similarity'].item() == pytest.approx(divergence / 2, abs=1e-6)


def test_without_embeddings_or_sizes_it_is_refused():
    head = TeacherHead(['t'], [2], 2)
    with pytest.raises(ValueError, match='TeachersHook'):
        head.loss(_features(UNIT, UNIT), _batch())
    with pytest.raises(ValueError, match='1 teachers and 2 dims'):
        TeacherHead(['t'], [2, 2], 2)
