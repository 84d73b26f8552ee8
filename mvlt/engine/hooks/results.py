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
from mvlt.engine.floors import above_floors, floor_key, read_floors, shared_floors
from mvlt.engine.loops.ranking import RankingLoop
from mvlt.files import file_sha256, write_json
from mvlt.mmengine_private import loaded_from
from mvlt.registry import HOOKS

# settings of the dataset in results.json; the config dump beside has the classes
_DATA = (
    *('type', 'data_root', 'ann_file', 'classes_from', 'max_missing_ratio', 'indices'),
    *('split', 'split_by', 'split_seed', 'split_ratios', 'brand'),
    *('columns', 'caption', 'attributes', 'caption_templates'),
)


@HOOKS.register_module()
class ResultsHook(Hook):
    """Writes ``work_dir/results.json`` after a test: metrics, protocol, network, data.

    ``resolved`` lists the changes of :mod:`mvlt.engine.resolve`, ``floors`` has the same metrics of
    :mod:`mvlt.engine.floors`, if they were measured.

    Ranking protocols also write ``rankings.json``, a dict per query; recognition writes
    ``predictions.json``, per category level ``truth`` and ``predicted`` of each sample, and
    ``product_id``.
    """

    priority = 'VERY_LOW'

    @master_only
    def after_test_epoch(self, runner: Runner, metrics: Mapping[str, float] | None = None) -> None:
        folder, config, loop = Path(runner.work_dir), runner.cfg, runner.test_loop
        dataset, checkpoint = loop.dataloader.dataset, loaded_from(runner)
        protocol: dict[str, Any] = dict(rows=len(dataset))
        if isinstance(loop, RankingLoop):
            protocol.update(loop.protocol)
            write_json(folder / 'rankings.json', loop.results, indent=None)
        measured = dict(metrics or {})
        floors = shared_floors(read_floors(floor_key(dataset, protocol)), measured)
        details, predictions = (
            {
                metric.prefix: getattr(metric, name)
                for metric in loop.evaluator.metrics
                if getattr(metric, name, None)
            }
            for name in ('details', 'predictions')
        )
        if predictions:
            ids = [dataset.get_data_info(row)['product_id'] for row in range(len(dataset))]
            write_json(folder / 'predictions.json', dict(predictions, product_id=ids), indent=None)
        settings, model = config.test_dataloader.dataset, config.get('model') or {}
        content = dict(
            metrics=measured,
            floors=floors,
            protocol=protocol,
            seed=runner.seed,
            test_cfg=config.test_cfg,
            details=details,
            data={key: value for key, value in settings.items() if key in _DATA and value},
            model=dict(
                type=model.get('type'), backbone=model.get('backbone'), heads=[*heads_of(model)]
            ),
            resolved=list(config.get('resolved') or ()),
            config=config_name(config.filename),
            checkpoint=checkpoint,  # None: random weights
            checkpoint_sha256=checkpoint and file_sha256(checkpoint),
            run=run_of(checkpoint) if checkpoint else {},
            versions=dict(
                mvlt=mvlt.__version__,
                torch=torch.__version__,
                mmengine=mmengine.__version__,
                python=platform.python_version(),
            ),
        )
        write_json(folder / 'results.json', content)
        for line in above_floors(measured, floors):
            runner.logger.info(line)
