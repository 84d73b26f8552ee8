"""mmengine's Runner with a short terminal output."""

import logging
from typing import Any

from mmengine.logging import MMLogger
from mmengine.runner import Runner

from mvlt.mmengine_private import CompilingRunner
from mvlt.registry import RUNNERS

_LINES = 3
# of mmengine; a frozen backbone has a line for every weight
_HIDDEN = ('will be deprecated in future', 'paramwise_options', 'since its requires_grad=False')


@RUNNERS.register_module(name='QuietRunner')
class QuietRunner(CompilingRunner):
    """Writes messages of more than three lines (machine, config, hooks) to the log file alone."""

    def compile_model(self, target: str) -> None:
        """Compile the parts that the model names, else ``target``.

        The config's ``compile`` is true or arguments of torch.compile. A whole training step is
        no single graph: labels and errors are Python's.
        """
        settings = self.cfg.get('compile')
        model = bare_model(self)
        if not settings or not hasattr(model, 'compile_parts'):
            super().compile_model(target)
            return
        model.compile_parts(**(settings if isinstance(settings, dict) else {}))
        self.logger.info('the model is compiled: its first steps are slow')

    def build_logger(self, *args: Any, **kwargs: Any) -> MMLogger:
        logger = super().build_logger(*args, **kwargs)
        for handler in logger.handlers:
            if not isinstance(handler, logging.FileHandler):
                handler.addFilter(_is_for_people)
        return logger


def bare_model(runner: Runner) -> Any:
    """The model without the wrapper of distributed training."""
    return getattr(runner.model, 'module', runner.model)


def _is_for_people(record: logging.LogRecord) -> bool:
    message = record.getMessage()
    if any(part in message for part in _HIDDEN):
        return False
    return record.levelno >= logging.WARNING or message.count('\n') < _LINES
