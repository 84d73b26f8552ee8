"""Counts the records that a training cannot read."""

import json
from pathlib import Path
from typing import Any

from mmengine.dist import barrier, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mvlt.mmengine_private import is_resumed
from mvlt.registry import HOOKS


@HOOKS.register_module()
class SkippedRecordsHook(Hook):
    """Lists the records that ``on_error='skip'`` skips in ``<work_dir>/skipped.jsonl``.

    Args:
        max_share: share of the training's records, 0 to 1, that all processes together may skip;
            a single record may always be skipped.

    Raises:
        ValueError: more records are unreadable.
    """

    def __init__(self, max_share: float = 0.01) -> None:
        if not 0 <= max_share <= 1:
            raise ValueError(f'SkippedRecordsHook.max_share={max_share}: a share from 0 to 1')
        self.max_share = max_share
        self._rows: set[int] = set()

    def before_train(self, runner: Runner) -> None:
        """Start a new list, or continue that of a resumed run."""
        if is_main_process() and not is_resumed(runner):
            _path(runner).unlink(missing_ok=True)
        barrier()
        self._rows = _listed(runner)

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        for sample in data_batch['data_samples']:
            for row, reason in sample.get('skipped', ()):
                if row not in self._rows:
                    self._add(runner, row, reason)

    def _add(self, runner: Runner, row: int, reason: str) -> None:
        self._rows |= _listed(runner)
        if row in self._rows:
            return
        self._rows.add(row)
        count, total = len(self._rows), len(runner.train_dataloader.dataset)
        limit = max(1, int(self.max_share * total))
        with open(_path(runner), 'a', encoding='utf-8') as file:
            file.write(json.dumps(dict(row=row, step=runner.iter, reason=reason)) + '\n')
        runner.logger.warning(f'skipped ({count}, at most {limit}): {reason}')
        if count > limit:
            raise ValueError(
                f'{count} of {total} records cannot be read, the limit is '
                f'max_share={self.max_share} of them; they are listed in {_path(runner)}. Repair '
                'them (tools/check_dataset.py finds all) or raise SkippedRecordsHook.max_share'
            )

    def after_train(self, runner: Runner) -> None:
        if self._rows:
            runner.logger.warning(f'{len(self._rows)} records could not be read: {_path(runner)}')


def _path(runner: Runner) -> Path:
    return Path(runner.work_dir, 'skipped.jsonl')


def _listed(runner: Runner) -> set[int]:
    """Rows that any process has listed; incomplete lines are skipped."""
    path = _path(runner)
    rows = set()
    for line in path.read_text(encoding='utf-8').splitlines() if path.exists() else ():
        try:
            rows.add(json.loads(line)['row'])
        except ValueError:
            continue
    return rows
