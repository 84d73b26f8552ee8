"""mmengine's Runner, which says on the terminal what one reads there."""

import logging
from typing import Any

from mmengine.logging import MMLogger

from mvlt.mmengine_private import CompilingRunner
from mvlt.registry import RUNNERS

_LINES = 3
# of its own old names, which no config here uses; a line for every weight
_OF_MMENGINE = ('will be deprecated in future', 'paramwise_options')


@RUNNERS.register_module(name='QuietRunner')
class QuietRunner(CompilingRunner):
    """What has more than three lines (machine, config, order of hooks) goes to the log file alone.

    So does what each weight's decay is. The config lies in the work dir, too.
    """

    def compile_model(self, target: str) -> None:
        """``compile``, true or arguments of torch.compile: of a model that names its parts, those.

        As a whole, a step is not one graph: labels and errors are Python's.
        """
        settings = self.cfg.get('compile')
        model: Any = getattr(self.model, 'module', self.model)
        if not settings or not hasattr(model, 'compile_parts'):
            super().compile_model(target)
            return
        model.compile_parts(**(settings if isinstance(settings, dict) else {}))
        self.logger.info('the model is compiled: its first steps are slow')

    def build_logger(self, *args: Any, **kwargs: Any) -> MMLogger:
        """mmengine's, whose terminal is quiet."""
        logger = super().build_logger(*args, **kwargs)
        for handler in logger.handlers:
            if not isinstance(handler, logging.FileHandler):
                handler.addFilter(_is_for_people)
        return logger


def _is_for_people(record: logging.LogRecord) -> bool:
    if record.levelno >= logging.WARNING and 'deprecated' not in record.getMessage():
        return True
    message = record.getMessage()
    return message.count('\n') < _LINES and not any(one in message for one in _OF_MMENGINE)
