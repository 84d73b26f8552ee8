"""One model for many requests: what waits at the same time is computed at once."""

from collections.abc import Sequence
from concurrent.futures import Future
from queue import SimpleQueue
from threading import Thread
from typing import Any

import numpy as np
import torch

from mvlt.apis import Search
from mvlt.deadline import left

AT_ONCE = 64  # texts or pictures


class BatchedSearch(Search):
    """A search whose model runs in one thread, on all that has been asked meanwhile.

    Args: see :class:`mvlt.apis.Search`.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._asked: SimpleQueue = SimpleQueue()
        self._thread = Thread(target=self._work, name='model', daemon=True)
        self._thread.start()

    def close(self) -> None:
        """What has been asked is answered, then the thread ends."""
        self._asked.put(None)
        self._thread.join()

    def embed_texts(self, token_ids: Sequence[torch.Tensor]) -> np.ndarray:
        """See the base class."""
        return self._ask('texts', token_ids)

    def embed_images(self, pixels: Sequence[torch.Tensor]) -> np.ndarray:
        """See the base class."""
        return self._ask('images', pixels)

    def _ask(self, kind: str, inputs: Sequence[torch.Tensor]) -> np.ndarray:
        future: Future = Future()
        self._asked.put((kind, list(inputs), future))
        return future.result(left())

    def _work(self) -> None:
        compute = dict(texts=super().embed_texts, images=super().embed_images)
        last = False
        while not last:
            waiting = [self._asked.get()]
            while not self._asked.empty() and len(waiting) < AT_ONCE:
                waiting.append(self._asked.get())
            last = None in waiting
            for kind in compute:
                asked = [one for one in waiting if one is not None and one[0] == kind]
                if asked:
                    self._answer(compute[kind], asked)

    def _answer(self, compute: Any, asked: list[tuple[str, list, Future]]) -> None:
        try:
            vectors = compute([one for _, inputs, _ in asked for one in inputs])
        except BaseException as error:
            for _, _, future in asked:
                future.set_exception(error)
            return
        start = 0
        for _, inputs, future in asked:
            future.set_result(vectors[start : start + len(inputs)])
            start += len(inputs)
