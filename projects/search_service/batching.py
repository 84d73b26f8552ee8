"""One model for many requests: waiting requests are embedded in one batch."""

from collections.abc import Sequence
from concurrent.futures import Future
from queue import SimpleQueue
from threading import Thread
from typing import Any

import numpy as np
import torch

from mvlt.apis import Search
from mvlt.deadline import left

MAX_BATCH = 64  # requests


class BatchedSearch(Search):
    """A search whose model runs in one thread and batches waiting requests.

    Args: see :class:`mvlt.apis.Search`.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._queue: SimpleQueue = SimpleQueue()
        self._thread = Thread(target=self._work, name='model', daemon=True)
        self._thread.start()

    def warm_up(self) -> None:
        """Read all that is read late, so that later changes of the model's folder do not matter."""
        self.embed_images([self.pixels(np.zeros((8, 8, 3), np.uint8))])
        self.embed_texts(self.tokens(['a']))

    def waiting(self) -> int:
        """Number of requests that wait for the model."""
        return self._queue.qsize()

    def close(self) -> None:
        """Answer waiting requests, then end the thread."""
        self._queue.put(None)
        self._thread.join()

    def embed_texts(self, token_ids: Sequence[torch.Tensor]) -> np.ndarray:
        """See the base class."""
        return self._ask('texts', token_ids)

    def embed_images(self, pixels: Sequence[torch.Tensor]) -> np.ndarray:
        """See the base class."""
        return self._ask('images', pixels)

    def _ask(self, kind: str, inputs: Sequence[torch.Tensor]) -> np.ndarray:
        future: Future = Future()
        self._queue.put((kind, list(inputs), future))
        return future.result(left())

    def _work(self) -> None:
        compute = dict(texts=super().embed_texts, images=super().embed_images)
        last = False
        while not last:
            waiting = [self._queue.get()]
            while not self._queue.empty() and len(waiting) < MAX_BATCH:
                waiting.append(self._queue.get())
            last = None in waiting
            for kind in compute:
                batch = [request for request in waiting if request and request[0] == kind]
                if batch:
                    self._answer(compute[kind], batch)

    def _answer(self, compute: Any, batch: list[tuple[str, list, Future]]) -> None:
        try:
            embeddings = compute([item for _, inputs, _ in batch for item in inputs])
        except BaseException as error:
            for _, _, future in batch:
                future.set_exception(error)
            return
        start = 0
        for _, inputs, future in batch:
            future.set_result(embeddings[start : start + len(inputs)])
            start += len(inputs)
