"""A pipeline of named steps over the streams of a record.

The streams 'image' and 'text' are the record's keys ``img_path`` or ``img``, and ``caption``.
Further streams are in its ``images`` and ``texts``, by name: a path, an array, a text, or a dict of
such keys.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from mmengine.dataset import Compose

from mvlt.datasets.transforms import Tokenize
from mvlt.registry import TRANSFORMS
from mvlt.structures import STREAMS

Steps = Mapping[str, dict | Callable | None] | Sequence[dict | Callable]
Step = Callable[[dict], dict | None]


class Pipeline(Compose):
    """mmengine's Compose over ``dict(load=..., resize=..., tokenize=..., pack=...)``.

    Steps run in order; None skips one. In a list, as OpenMMLab's, names are the indices.

    A step changes every stream of its kind: texts if its ``modality`` is 'texts', else images.
    ``streams=('reference',)`` in its config restricts it.

    Args:
        steps: name -> transform, its config, or None.

    Raises:
        ValueError: a step after ``pack``.
    """

    def __init__(self, steps: Steps | None) -> None:
        configs = named(steps)
        if 'pack' in configs and list(configs)[-1] != 'pack':
            raise ValueError(
                f"pipeline: 'pack' must be the last step, the order is {', '.join(configs)}. Add a "
                "step with pipeline=dict(...), which keeps the order; mmengine's Config.dump sorts "
                "keys, load_config's does not"
            )
        self.steps: dict[str, Step] = {
            name: step if callable(step) else build_step(step) for name, step in configs.items()
        }
        super().__init__(list(self.steps.values()))
        self._named = any(hasattr(step, 'streams') for step in self.transforms)

    def __call__(self, data: dict) -> Any:
        """A record after all steps."""
        if not (self._named or 'images' in data or 'texts' in data):
            return super().__call__(data)
        record: dict | None = _with_streams(data)
        for step in self.transforms:
            if record is not None:
                record = over_streams(step, record)
        return record

    def find(self, kind: type) -> Any:
        """The first step of a class, or None."""
        return next((step for step in self.steps.values() if isinstance(step, kind)), None)

    def around(self, kind: type) -> tuple['Pipeline', 'Pipeline']:
        """The steps before the first step of a class, and the steps from it on."""
        steps = list(self.steps.items())
        matches = [isinstance(step, kind) for _, step in steps]
        index = matches.index(True) if True in matches else len(steps)
        return Pipeline(dict(steps[:index])), Pipeline(dict(steps[index:]))

    def of_images(self) -> 'Pipeline':
        """The steps that change images alone."""
        return Pipeline({name: step for name, step in self.steps.items() if _of_images(step)})

    def without_images(self) -> 'Pipeline':
        """The other steps, of texts and of the whole record."""
        return Pipeline({name: step for name, step in self.steps.items() if not _of_images(step)})

    def tokenize(self) -> Tokenize:
        """The step Tokenize; ValueError if the pipeline has none."""
        step = self.find(Tokenize)
        if step is None:
            raise ValueError('the pipeline has no Tokenize: captions need it')
        return step


def _of_images(step: Step) -> bool:
    return getattr(step, 'modality', 'images') == 'images'


# keys of streams that are paths or texts, and of streams that are arrays
_KEYS = dict(images=('img_path', 'img'), texts=('caption', 'caption'))


def _with_streams(record: Mapping[str, Any]) -> dict:
    """A record whose further streams are dicts, as steps expect them."""
    opened = dict(record)
    for kind, (path, array) in _KEYS.items():
        if kind in record:
            opened[kind] = {
                name: dict(stream)
                if isinstance(stream, Mapping)
                else {array if isinstance(stream, np.ndarray) else path: stream}
                for name, stream in record[kind].items()
            }
            opened.update(opened[kind].pop(STREAMS[kind], {}))
    return opened


def build_step(settings: Mapping[str, Any]) -> Any:
    """A transform from its config; ``streams`` becomes an attribute."""
    settings = dict(settings)
    streams = settings.pop('streams', None)
    step = TRANSFORMS.build(settings)
    if streams is not None:
        step.streams = tuple(streams)
    return step


def changes_pair(streams: Sequence[str] | None) -> bool:
    """Whether a step with these streams changes the pair; None = all streams."""
    return streams is None or bool({*streams} & {*STREAMS.values()})


def over_streams(step: Any, record: dict) -> dict | None:
    """A record after a step changed its streams; KeyError if it lacks one that the step names."""
    modality = getattr(step, 'modality', 'images')
    if modality not in STREAMS:  # a step over whole records
        return step(record)
    streams = record.get(modality, {})
    for name in getattr(step, 'streams', (STREAMS[modality], *streams)):
        if name == STREAMS[modality]:
            changed = step(record)
            if changed is None:
                return None
            record = changed
        elif name in streams:
            streams[name] = step(streams[name])
        else:
            raise KeyError(
                f'{type(step).__name__}.streams: a record has no {modality} stream {name!r}; it '
                f'has {", ".join((STREAMS[modality], *streams))}'
            )
    return record


def named(steps: Steps | None) -> dict[str, Any]:
    """Name -> step of a config, without None."""
    if not isinstance(steps, Mapping):
        steps = {str(i): step for i, step in enumerate(steps or ())}
    return {name: step for name, step in steps.items() if step is not None}
