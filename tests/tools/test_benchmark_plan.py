"""Contract: operations and bytes equal hand counts and grow linearly with the batch."""

import argparse

import pytest
import torch

from mvlt.config import load_config
from mvlt.tools.benchmark_plan import Count, Device, _Counter, at_batch, count, held, seconds, sent


def test_a_product_by_hand():
    left, right = torch.ones(2, 3), torch.ones(3, 5)
    with _Counter() as counter:
        (left @ right).view(10)
    ((key, (flops, moved, calls)),) = counter.operations.items()
    assert key == ('mm', 'fp32') and calls == 1
    assert flops == 2 * 2 * 3 * 5 and moved == 4 * (6 + 15 + 10)


def test_time_is_the_maximum_of_arithmetic_and_reading():
    device = Device({'fp32': 10.0, 'bf16': 20.0}, bandwidth=5.0, start=3.0, pointwise=1.0)
    step = Count(
        {
            ('mm', 'fp32'): (100.0, 5.0, 1.0),  # 10 s and 1 s
            ('mm', 'bf16'): (100.0, 50.0, 1.0),  # 5 s and 10 s
            ('gelu', 'fp32'): (0.0, 7.0, 1.0),  # 7 s
            ('add', 'fp32'): (0.0, 5.0, 4.0),  # 1 s, four starts
        },
        kept=100.0,
        weights=10,
    )
    assert seconds(step, device) == pytest.approx(10 + 10 + 7 + 12)
    assert held(step) == 16 * 10 + 100
    assert sent(step, device, 8) == 0
    linked = device._replace(links=(4.0, 2.0))
    assert sent(step, linked, 8) == pytest.approx(2 * 7 / 8 * 40 / 4)
    assert sent(step, linked, 64) == pytest.approx(2 * 63 / 64 * 40 / 2)


def test_extrapolation_to_another_batch():
    few = Count({('mm', 'fp32'): (10.0, 4.0, 1.0)}, 8.0, 3)
    more = Count({('mm', 'fp32'): (20.0, 6.0, 1.0)}, 12.0, 3)
    predicted = at_batch((few, more), (2, 4), 10)
    assert predicted == Count({('mm', 'fp32'): (50.0, 12.0, 1.0)}, 24.0, 3)


def test_a_recipe():
    """Counts of three batch sizes lie on a line."""
    config = load_config('configs/mvlt/pretrain_catalogue.py')
    config.model.backbone.init_cfg = None
    args = argparse.Namespace(size=64, words=8, batch=2)
    counts = []
    for args.batch in (2, 4, 8):
        counts.append(count(config, args))
    along = at_batch(counts[:2], (2, 4), 8)
    total = [
        sum(values[0] for values in counted.operations.values()) for counted in (along, counts[2])
    ]
    assert total[0] == pytest.approx(total[1], rel=0.02)
    assert along.kept == pytest.approx(counts[2].kept, rel=0.02) and along.kept > 0
