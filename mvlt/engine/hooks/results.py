"""Writes the results of a test."""

import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mmengine
import torch
from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.runner import Runner

import mvlt
from mvlt.checkpoints.checkpoint import run_of
from mvlt.config import heads_of
from mvlt.config_files import config_name
from mvlt.engine.loops.ranking import RankingLoop
from mvlt.files import file_sha256, write_json
from mvlt.mmengine_private import loaded_from
from mvlt.registry import HOOKS

# settings of the dataset in results.json; the config dump beside has the classes
_DATA = (
    *('type', 'data_root', 'ann_file', 'split', 'split_seed', 'split_ratios', 'classes_from'),
    *('columns', 'caption', 'attributes', 'caption_templates', 'max_missing_ratio', 'indices'),
)


@HOOKS.register_module()
class ResultsHook(Hook):
    """Writes ``work_dir/results.json`` after a test: metrics, protocol, network, data.

    ``resolved`` lists the changes of :mod:`mvlt.engine.resolve`.

    Ranking protocols also write ``rankings.json``, a dict per query; recognition writes
    ``predictions.json``, per category level ``truth`` and ``predicted`` of each sample, and
    ``product_id``.
    """

    priority = 'VERY_LOW'

    def after_test_epoch(self, runner: Runner, metrics: Mapping[str, float] | None = None) -> None:
        """Write the files."""
        _write(runner, metrics or {})


@master_only
def _write(runner: Runner, metrics: Mapping[str, float]) -> None:
    checkpoint = loaded_from(runner)
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
            data={key: value for key, value in dataset.items() if key in _DATA and value},
            model=_network(runner.cfg.get('model')),
            resolved=list(runner.cfg.get('resolved') or ()),
            config=config_name(runner.cfg.filename),
            checkpoint=checkpoint,  # None: random weights
            checkpoint_sha256=checkpoint and file_sha256(checkpoint),
            run=run_of(checkpoint) if checkpoint else {},
            versions=dict(
                mvlt=mvlt.__version__,
                torch=torch.__version__,
                mmengine=mmengine.__version__,
                python=platform.python_version(),
            ),
        ),
    )


def _network(model: Mapping[str, Any] | None) -> dict[str, Any]:
    """The tested network: type, settings of the backbone, names of the heads."""
    model = model or {}
    return dict(type=model.get('type'), backbone=model.get('backbone'), heads=list(heads_of(model)))
