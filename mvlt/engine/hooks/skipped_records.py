"""Counts the records that a training could not read."""

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
    """Lists what ``on_error='skip'`` leaves out, in ``skipped.jsonl`` of the work dir; bounds it.

    Args:
        max_share: of the training's records, 0 to 1; one at least may always be left out. The list
            is that of all processes.

    Raises:
        ValueError: more than that could not be read.
    """

    def __init__(self, max_share: float = 0.01) -> None:
        if not 0 <= max_share <= 1:
            raise ValueError(f'SkippedRecordsHook.max_share={max_share}: a share from 0 to 1')
        self.max_share = max_share
        self._known: set[int] = set()

    def before_train(self, runner: Runner) -> None:
        """Go on with the list of a run that is resumed; a new run begins a new one."""
        if is_main_process() and not is_resumed(runner):
            _path(runner).unlink(missing_ok=True)
        barrier()
        self._known = _listed(runner)

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Write down what this batch has left out."""
        for sample in data_batch['data_samples']:
            for row, reason in sample.get('skipped', ()):
                if row not in self._known:
                    self._add(runner, row, reason)

    def _add(self, runner: Runner, row: int, reason: str) -> None:
        self._known |= _listed(runner)
        if row in self._known:
            return
        self._known.add(row)
        rows = len(runner.train_dataloader.dataset)
        limit = max(1, int(self.max_share * rows))
        with open(_path(runner), 'a', encoding='utf-8') as file:
            file.write(json.dumps(dict(row=row, step=runner.iter, reason=reason)) + '\n')
        runner.logger.warning(f'skipped ({len(self._known)}, at most {limit}): {reason}')
        if len(self._known) > limit:
            raise ValueError(
                f'{len(self._known)} of {rows} records cannot be read, the limit is '
                f'max_share={self.max_share} of them; they are listed in {_path(runner)}. Mend '
                'them (tools/check_dataset.py finds all) or raise SkippedRecordsHook.max_share'
            )

    def after_train(self, runner: Runner) -> None:
        """Say how many."""
        if self._known:
            runner.logger.warning(f'{len(self._known)} records could not be read: {_path(runner)}')


def _path(runner: Runner) -> Path:
    return Path(runner.work_dir, 'skipped.jsonl')


def _listed(runner: Runner) -> set[int]:
    """Rows that any process has listed; a line that a killed one has cut short is passed over."""
    path = _path(runner)
    rows = set()
    for line in path.read_text(encoding='utf-8').splitlines() if path.exists() else ():
        try:
            rows.add(json.loads(line)['row'])
        except ValueError:
            continue
    return rows
