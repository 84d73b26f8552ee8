"""The file that an evaluation leaves behind."""

import json
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mmengine
import numpy as np
import torch
from mmengine.dist import master_only
from mmengine.runner import Runner

import mvlt
from mvlt.engine.checkpoint import file_sha256, run_of
from mvlt.engine.ranking_loop import RankingLoop
from mvlt.whole_files import write_text


def write_json(path: str | Path, content: Any, indent: int | None = 1) -> None:
    """Write JSON, whole or not at all; ``indent`` None puts everything on one line.

    Raises:
        ValueError: a number is infinite or none, which JSON cannot say.
    """
    write_text(path, json.dumps(content, indent=indent, default=_plain, allow_nan=False) + '\n')


@master_only
def write_results(
    runner: Runner, metrics: Mapping[str, float], config: str, checkpoint: str
) -> None:
    """Write ``work_dir/results.json``: metrics, protocol, and what they were measured with.

    Protocols that rank also leave ``rankings.json``, a dict a query; recognition leaves
    ``predictions.json``, per category level ``truth`` and ``predicted`` of each sample, and
    ``product_id``.
    """
    loop = runner.test_loop
    protocol: dict[str, Any] = dict(rows=len(loop.dataloader.dataset))
    if isinstance(loop, RankingLoop):
        protocol.update(loop.protocol)
        write_json(Path(runner.work_dir) / 'rankings.json', loop.results, indent=None)
    details, predictions = (
        {
            metric.prefix: getattr(metric, name)
            for metric in loop.evaluator.metrics
            if getattr(metric, name, None)
        }
        for name in ('details', 'predictions')
    )
    if predictions:
        data = loop.dataloader.dataset
        predictions['product_id'] = [
            data.get_data_info(row)['product_id'] for row in range(len(data))
        ]
        write_json(Path(runner.work_dir) / 'predictions.json', predictions, indent=None)
    dataset = runner.cfg.test_dataloader.dataset
    write_json(
        Path(runner.work_dir) / 'results.json',
        dict(
            metrics=dict(metrics),
            protocol=protocol,
            seed=runner.seed,
            test_cfg=runner.cfg.test_cfg,
            details=details,
            data={
                key: dataset[key]
                for key in ('data_root', 'ann_file', 'split', 'split_seed')
                if key in dataset
            },
            config=config,
            checkpoint=checkpoint,
            checkpoint_sha256=file_sha256(checkpoint),
            run=run_of(checkpoint),
            versions=dict(
                mvlt=mvlt.__version__,
                torch=torch.__version__,
                mmengine=mmengine.__version__,
                python=platform.python_version(),
            ),
        ),
    )


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return str(value)
