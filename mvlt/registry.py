"""The registries of scope ``mvlt``, children of mmengine's.

A part is registered where it is defined (``@MODELS.register_module()``). A config names the class;
the command line names it by a string.
"""

from difflib import get_close_matches
from importlib import import_module
from typing import Any

from mmengine import registry as mmengine_registry


class Registry(mmengine_registry.Registry):
    """mmengine's registry, whose error for an unknown name lists the legal ones."""

    last_resort: tuple[str, ...] = ()  # modules to import for a name that nothing else has

    def get(self, key: str) -> Any:
        """Return the class registered as ``key`` here or in a parent.

        Raises:
            KeyError: unknown name; the message lists the legal ones.
        """
        for module in (None, *self.last_resort):
            if module is not None:
                import_module(module)
            try:
                registered = super().get(key)
            except RuntimeError:
                continue
            if registered is not None:
                return registered
        legal = sorted(self.module_dict)
        near = get_close_matches(key.rpartition('.')[2], legal, n=1, cutoff=0.5)
        hint = f' Did you mean {near[0]}?' if near else ''
        raise KeyError(
            f"no {self.name} is called '{key}'.{hint} Legal names in scope 'mvlt': "
            f'{", ".join(legal)} (and those of mmengine; import a part of your own first)'
        )


def _child(name: str, parent: mmengine_registry.Registry, *locations: str) -> Registry:
    return Registry(name, parent=parent, scope='mvlt', locations=list(locations))


MODELS = _child('model', mmengine_registry.MODELS, 'mvlt.models')
DATASETS = _child('dataset', mmengine_registry.DATASETS, 'mvlt.datasets')
TRANSFORMS = _child('transform', mmengine_registry.TRANSFORMS, 'mvlt.datasets')
METRICS = _child('metric', mmengine_registry.METRICS, 'mvlt.evaluation')
RUNNERS = _child('runner', mmengine_registry.RUNNERS, 'mvlt.engine')
TASK_UTILS = _child('task util', mmengine_registry.TASK_UTILS, 'mvlt.retrieval')
FUNCTIONS = _child('function', mmengine_registry.FUNCTIONS, 'mvlt.datasets')
HOOKS = _child('hook', mmengine_registry.HOOKS, 'mvlt.engine')
LOOPS = _child('loop', mmengine_registry.LOOPS, 'mvlt.engine')
DATA_SAMPLERS = _child('data sampler', mmengine_registry.DATA_SAMPLERS, 'mvlt.datasets')
DATA_SAMPLERS.last_resort = ('mvlt.datasets.repeated_sampler',)  # mmpretrain's data, slow to import
OPTIM_WRAPPERS = _child('optimizer wrapper', mmengine_registry.OPTIM_WRAPPERS, 'mvlt.engine')
STRATEGIES = _child('strategy', mmengine_registry.STRATEGIES, 'mvlt.engine')
WEIGHT_INITIALIZERS = _child(
    'weight initializer', mmengine_registry.WEIGHT_INITIALIZERS, 'mvlt.checkpoints'
)

# Nothing is registered in these yet; without a child mmengine warns at every build in our scope.
MODEL_WRAPPERS = _child('model wrapper', mmengine_registry.MODEL_WRAPPERS, 'mvlt.models')
OPTIMIZERS = _child('optimizer', mmengine_registry.OPTIMIZERS, 'mvlt.engine')
OPTIM_WRAPPER_CONSTRUCTORS = _child(
    'optimizer wrapper constructor', mmengine_registry.OPTIM_WRAPPER_CONSTRUCTORS, 'mvlt.engine'
)
PARAM_SCHEDULERS = _child('parameter scheduler', mmengine_registry.PARAM_SCHEDULERS, 'mvlt.engine')
LOG_PROCESSORS = _child('log processor', mmengine_registry.LOG_PROCESSORS, 'mvlt.engine')
EVALUATORS = _child('evaluator', mmengine_registry.EVALUATOR, 'mvlt.evaluation')
INFERENCERS = _child('inferencer', mmengine_registry.INFERENCERS, 'mvlt.apis')
VISUALIZERS = _child('visualizer', mmengine_registry.VISUALIZERS)
VISBACKENDS = _child('visualizer backend', mmengine_registry.VISBACKENDS)
for _registry in (VISUALIZERS, VISBACKENDS):  # few runs need matplotlib
    _registry.last_resort = ('mvlt.visualization',)
