"""Numbers that a device has made, read on the host without waiting for what it does since."""

import torch


class AsyncMetrics:
    """One tensor a step: it is handed over when the next one comes.

    A GPU runs behind the program that feeds it; whoever reads a number of the step that has just
    begun lets it run empty.
    """

    def __init__(self) -> None:
        self._waiting: tuple[torch.Tensor, torch.cuda.Event | None] | None = None

    def swap(self, values: torch.Tensor) -> torch.Tensor | None:
        """Begin to copy ``values`` to the host; give those of the call before, None at the first.

        Args:
            values: of any shape, of its own: nobody changes them later.
        """
        before = self.settle()
        host, event = values.detach().to('cpu', non_blocking=values.is_cuda), None
        if values.is_cuda:
            event = torch.cuda.Event()
            event.record()
        self._waiting = host, event
        return before

    def settle(self) -> torch.Tensor | None:
        """Give what has been waiting, None where nothing has."""
        if self._waiting is None:
            return None
        (host, event), self._waiting = self._waiting, None
        if event is not None:
            event.synchronize()
        return host
