"""What the retrieval protocols share: a loop that hands ranks to the evaluator."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

from mmengine.dist import collect_results, get_rank, get_world_size
from mmengine.runner import BaseLoop, Runner
from torch.utils.data import DataLoader

from mvlt.retrieval.scorer import PairScorer


class RankingLoop(BaseLoop):
    """A test loop whose results are one dict a query.

    A result has ``direction`` ('tir', 'itr'), ``query`` (row) and its ``product_id``, ``rank``
    (1 = first), ``draw``, and ``candidates`` (rows) with their ``scores`` (log-odds of a match) and
    ``positives``; the full protocol keeps the first ones only.

    Args:
        runner, dataloader, evaluator: as mmengine's TestLoop.
        batch_size: pairs at once.
        amp_dtype: 'bfloat16' or 'float16' scores under autocast; None in float32.
    """

    def __init__(
        self,
        runner: Runner,
        dataloader: DataLoader | dict,
        evaluator: Any,
        batch_size: int,
        amp_dtype: str | None,
    ) -> None:
        super().__init__(runner, dataloader)
        self.evaluator = (
            runner.build_evaluator(evaluator)
            if isinstance(evaluator, dict | list | tuple)
            else evaluator
        )
        self.scorer = PairScorer(runner.model, self.dataloader, batch_size, amp_dtype)
        self.results: list[dict] = []

    @property
    @abstractmethod
    def protocol(self) -> Mapping[str, Any]:
        """What a reader must know to compare the figures."""

    @abstractmethod
    def rank(self) -> tuple[list[dict], int, dict[str, float]]:
        """This rank's share of the results, the number of all, and further metrics."""

    def run(self) -> dict[str, float]:
        """Rank, let the evaluator count, return the metrics of all ranks.

        ``results`` then holds those of all ranks, on the main process.
        """
        self.runner.call_hook('before_test')
        self.runner.call_hook('before_test_epoch')
        self.runner.model.eval()
        results, total, more = self.rank()
        self.evaluator.process(data_samples=results, data_batch=None)
        metrics = {**self.evaluator.evaluate(total), **more}
        self.results = collect_results(results, total, 'gpu') or []
        for one in self.results:
            record = self.dataloader.dataset.get_data_info(one['query'])
            one['product_id'] = record['product_id']
        self.runner.call_hook('after_test_epoch', metrics=metrics)
        self.runner.call_hook('after_test')
        return metrics


def share(items: list) -> list:
    """This rank's part of a list that every rank has."""
    return items[get_rank() :: get_world_size()]
