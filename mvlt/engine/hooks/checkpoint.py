"""Checkpoints that are whole and resume exactly."""

import os
import re
import shutil
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from mmengine.dist import gather_object, get_rank, get_world_size, is_main_process
from mmengine.logging import print_log
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner

from mvlt.checkpoints.checkpoint import read_checkpoint, use_safe_files
from mvlt.config import RunConfig
from mvlt.datasets.samplers import EndlessSampler, EpochOrder
from mvlt.engine.loops.train import EpochTrainLoop
from mvlt.engine.runner import bare_model
from mvlt.files import remove_partial
from mvlt.mmengine_private import StepwiseCheckpointHook, accumulation, is_resumed, set_step
from mvlt.registry import HOOKS


@HOOKS.register_module()
class WholeCheckpointHook(StepwiseCheckpointHook):
    """mmengine's CheckpointHook with whole files and exact resume.

    A checkpoint gets its name once all of it is on the disk; older ones are deleted after it has
    been read back. The same holds for ``best_*`` and ``last_checkpoint``. A checkpoint also has
    each process's accumulated gradients.

    Args:
        interval, by_epoch, max_keep_ckpts, save_best, ...: see mmengine's CheckpointHook.
        on_failure: if a checkpoint cannot be written (a full disk), 'stop' ends the training and
            'continue' logs an error; older checkpoints stay. Several processes always stop, since
            only the main process notices.
    """

    def __init__(
        self, *args: Any, on_failure: Literal['stop', 'continue'] = 'stop', **kwargs: Any
    ) -> None:
        if on_failure not in ('stop', 'continue'):
            raise ValueError(f"checkpoint.on_failure='{on_failure}'; legal: 'stop', 'continue'")
        super().__init__(*args, **kwargs)
        self.on_failure = on_failure
        self._states: list[dict[str, Any]] = []
        self._meta: dict[str, int] = {}
        self._resumed: dict[str, Any] = {}

    def before_run(self, runner: Runner) -> None:
        """Read and write files safely; dump the config with its order of keys.

        mmengine's Runner has dumped it with sorted keys.
        """
        use_safe_files()
        if not isinstance(runner.cfg, RunConfig) and runner.cfg.filename:
            runner.cfg = RunConfig(
                runner.cfg.to_dict(), cfg_text=runner.cfg.text, filename=runner.cfg.filename
            )
            runner.dump_config()

    def before_train(self, runner: Runner) -> None:
        """Remove a killed run's partial files; restore each process's state."""
        super().before_train(runner)
        if is_main_process():
            remove_partial(self.out_dir)
        if get_world_size() > 1:
            self.on_failure = 'stop'
        loop = runner.train_loop
        sampler = loop.dataloader.sampler
        if self._resumed and not isinstance(sampler, EndlessSampler | EpochOrder):
            runner.logger.warning(
                f'{type(sampler).__name__}: the random numbers of samples differ from those of an '
                'uninterrupted run; use a sampler of mvlt.datasets'
            )
        elif self._resumed:
            sampler.seed = runner.seed  # the checkpoint's
        if isinstance(loop, EpochTrainLoop):
            loop.start_at(self._resumed.get('meta', {}).get('samples_done', 0))
        states = self._resumed.get('processes', [])
        if states and len(states) != get_world_size():
            runner.logger.warning(
                f'{len(states)} processes saved this checkpoint, {get_world_size()} resume it: the '
                'order of samples and the random numbers differ from an uninterrupted run'
            )
        elif states:
            _set_state(runner, states[get_rank()])
        self._resumed = {}

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        if self._states:
            checkpoint['processes'] = self._states
        checkpoint['meta'].update(self._meta)  # FlexibleRunner's is wrong after an evaluation
        loop = runner.train_loop
        if isinstance(loop, EpochTrainLoop) and not self.by_epoch:
            checkpoint['meta']['samples_done'] = loop.samples_done

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Keep the states for :meth:`before_train`, when the optimizer exists."""
        self._resumed = checkpoint if is_resumed(runner) else {}

    def save_step(self, runner: Runner, step: int, meta: dict) -> None:
        """Save, read back, update ``last_checkpoint``, then delete older ones."""
        self._states = gather_object(_state(runner)) or []
        self._meta = dict(meta)
        name = self.filename_tmpl.format(step)
        path = self.file_backend.join_path(self.out_dir, name)
        kept = list(getattr(self, 'keep_ckpt_ids', ()))
        if self.max_keep_ckpts > 0 and step not in kept:
            kept.append(step)
        # stored with the older ones, so that a resumed run deletes them
        runner.message_hub.update_info('keep_ckpt_ids', kept)
        runner.message_hub.update_info('last_ckpt', path)
        with self._reported(runner, path):
            runner.save_checkpoint(
                self.out_dir,
                name,
                save_optimizer=self.save_optimizer,
                save_param_scheduler=self.save_param_scheduler,
                meta=meta,
                by_epoch=self.by_epoch,
                backend_args=self.backend_args,
                **self.args,
            )
            self._check(path)
            if is_main_process():
                self.file_backend.put_text(path, os.path.join(runner.work_dir, 'last_checkpoint'))
            self.last_ckpt = path
            if self.max_keep_ckpts > 0:
                for old in kept[: -self.max_keep_ckpts]:
                    self._remove(
                        self.file_backend.join_path(self.out_dir, self.filename_tmpl.format(old))
                    )
                self.keep_ckpt_ids = deque(kept[-self.max_keep_ckpts :], self.max_keep_ckpts)
        self._states, self._meta = [], {}

    def save_now(self, runner: Runner) -> str | None:
        """Save a checkpoint after the current step; return its path.

        It is not counted by ``max_keep_ckpts``.
        """
        hook: Any = self
        step = runner.iter + 1
        path = hook.file_backend.join_path(hook.out_dir, f'iter_{step}.pth')
        if hook.last_ckpt == path:
            return path
        usual = hook.filename_tmpl, hook.by_epoch, hook.max_keep_ckpts
        hook.filename_tmpl, hook.by_epoch, hook.max_keep_ckpts = 'iter_{}.pth', False, -1
        try:
            hook.save_step(runner, step, dict(epoch=runner.epoch, iter=step))
        finally:
            hook.filename_tmpl, hook.by_epoch, hook.max_keep_ckpts = usual
        return path if hook.last_ckpt == path else None

    def save_best_of(self, runner: Runner, metrics: dict) -> None:
        """Save the best; delete the previous best once the new one has been read back."""
        missing = set(getattr(self, 'key_indicators', ())) - {*metrics, 'auto'}
        if metrics and missing:
            runner.logger.warning(
                f'checkpoint.save_best={", ".join(missing)} is not a metric of the validation '
                f'({", ".join(metrics)}): no best checkpoint is kept'
            )
            return
        later: list[str] = []
        backend, infos = self.file_backend, runner.message_hub.runtime_info
        before = {key: value for key, value in infos.items() if key.startswith('best_')}
        paths = self._best_paths()
        self.file_backend = _RemovesLater(backend, later)
        try:
            with self._reported(runner, 'the best checkpoint'):
                super().save_best_of(runner, metrics)
                for path in self._best_paths().values():
                    if path in later or path not in paths.values():
                        self._check(path)
                paths, before = self._best_paths(), {}
        finally:
            self.file_backend = backend
            if before:  # not written: the previous best is still the best
                infos.update(before)
                self._set_best_paths(paths)
        for path in set(later) - set(paths.values()):
            self._remove(path)

    def _best_paths(self) -> dict[str, str]:
        if hasattr(self, 'best_ckpt_path_dict'):
            return {key: path for key, path in self.best_ckpt_path_dict.items() if path}
        path = getattr(self, 'best_ckpt_path', None)
        return {'': path} if path else {}

    def _set_best_paths(self, paths: dict[str, str]) -> None:
        if hasattr(self, 'best_ckpt_path_dict'):
            self.best_ckpt_path_dict.update(paths)
        else:
            self.best_ckpt_path = paths.get('')

    def _check(self, path: str) -> None:
        if is_main_process() and os.path.isfile(path):  # a folder, where a strategy writes one
            read_checkpoint(path)

    def _remove(self, path: str) -> None:
        if not is_main_process():
            return
        if os.path.isdir(path):
            shutil.rmtree(path)
        elif os.path.isfile(path):
            os.remove(path)

    @contextmanager
    def _reported(self, runner: Runner, path: str) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError) as error:
            line = (
                f'{path} could not be written ({error}); the last whole checkpoint is '
                f'{self.last_ckpt or "none of this run"}. Free disk space, then use --resume'
            )
            if self.on_failure == 'stop':
                raise OSError(line) from error
            runner.logger.error(line)


class _RemovesLater:
    """A file backend that lists files instead of removing them."""

    def __init__(self, backend: Any, later: list[str]) -> None:
        self._backend = backend
        self.remove = self.rmtree = later.append

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)


def newest_checkpoint(folder: str | Path, since: float = 0) -> str | None:
    """The newest whole checkpoint of a run, or None.

    Damaged files and bare weights are skipped with a warning. A folder named in
    ``last_checkpoint`` (of a strategy) is not checked.

    Args:
        folder: the run's work dir; the folder of the file in ``last_checkpoint`` is searched, too.
        since: seconds since 1970; older files belong to an earlier run.
    """
    last = Path(folder, 'last_checkpoint')
    named = last.read_text(errors='replace').strip() if last.is_file() else ''
    if named and os.path.isdir(named):
        return named
    folders = {Path(folder).resolve(), *([Path(named).resolve().parent] if named else [])}
    paths = [
        path
        for parent in folders
        for path in parent.glob('*.pth')
        if re.fullmatch(r'(?!best_).*_\d+', path.stem) and path.stat().st_mtime >= since
    ]
    for path in sorted(paths, key=_age):
        try:
            if not read_checkpoint(str(path)).keys() >= {'state_dict', 'optimizer', 'meta'}:
                raise ValueError(f'{path}: weights only, training cannot resume from them')
        except ValueError as error:
            print_log(f'skipped: {error}', 'current', level=30)
            continue
        return str(path)
    print_log(f'no checkpoint to resume in {folder}: training starts anew', 'current', level=30)
    return None


def _age(path: Path) -> tuple[float, int]:
    """Newest first."""
    return -path.stat().st_mtime_ns, -int(path.stem.rpartition('_')[2])


def _state(runner: Runner) -> dict[str, Any]:
    """This process's state between two steps of the optimizer."""
    wrapper = runner.optim_wrapper
    if not isinstance(wrapper, OptimWrapper):
        return {}
    if wrapper.should_update():
        return dict(steps=wrapper.inner_count, gradients={})
    if any(hasattr(weight, 'full_tensor') for weight in runner.model.parameters()):
        raise ValueError(
            'with FSDP a checkpoint cannot hold accumulated gradients: set checkpoint.interval to '
            f'a multiple of {accumulation(wrapper)}'
        )
    weights = bare_model(runner).named_parameters()
    gradients = {name: weight.grad.cpu() for name, weight in weights if weight.grad is not None}
    return dict(steps=wrapper.inner_count, gradients=gradients)


def _set_state(runner: Runner, state: dict[str, Any]) -> None:
    if not state:
        return
    set_step(runner.optim_wrapper, state['steps'])
    for name, weight in bare_model(runner).named_parameters():
        if name in state['gradients']:
            weight.grad = state['gradients'][name].to(weight.device)
