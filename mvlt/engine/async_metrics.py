"""Metrics that are read from a GPU a step later, so that nobody waits for it."""

import torch


class AsyncMetrics:
    """Returns each step's tensor at the next step.

    A GPU runs behind the program that feeds it; reading a value of the current step would make it
    idle.
    """

    def __init__(self) -> None:
        self._waiting: tuple[torch.Tensor, torch.cuda.Event | None] | None = None

    def swap(self, values: torch.Tensor) -> torch.Tensor | None:
        """Start copying ``values`` to the host; return the previous ones, None at first.

        Args:
            values: of any shape; do not change them in place afterwards.
        """
        before = self.settle()
        host, event = values.detach().to('cpu', non_blocking=values.is_cuda), None
        if values.is_cuda:
            event = torch.cuda.Event()
            event.record()
        self._waiting = host, event
        return before

    def settle(self) -> torch.Tensor | None:
        """Return the values that are still waiting, or None."""
        if self._waiting is None:
            return None
        (host, event), self._waiting = self._waiting, None
        if event is not None:
            event.synchronize()
        return host
