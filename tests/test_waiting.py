"""Contract: NothingWaits refuses what would wait for a device, and nothing else."""

import pytest
import torch

from tests.waiting import NothingWaits


@pytest.mark.parametrize(
    'waits',
    [
        lambda there, here: there.sum().item(),
        lambda there, here: bool((there > 0).all()),
        lambda there, here: there[there > 0],
        lambda there, here: there.nonzero(),
        lambda there, here: there.unique(),
        lambda there, here: there.cpu(),
        lambda there, here: here.to('meta'),
    ],
)
def test_refused(waits):
    with NothingWaits(), pytest.raises((AssertionError, RuntimeError, NotImplementedError)):
        waits(torch.ones(4, device='meta'), torch.ones(4))


def test_taken():
    there, here = torch.ones(4, device='meta'), torch.ones(4)
    with NothingWaits():
        there[torch.zeros(2, dtype=torch.int64, device='meta')].sum()
        torch.where(there > 0, there, 0.0)
        here.to('meta', non_blocking=True)
        assert here[here > 0].sum().item() == 4  # the host's own
