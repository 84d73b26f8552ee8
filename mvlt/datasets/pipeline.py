"""A pipeline whose steps have names and run over the streams of a record.

A record is one image, the stream 'image', and one text, the stream 'text'. Their keys are the
record's own: ``img_path`` or ``img``, and ``caption``. More of them stand by name in its ``images``
and ``texts``: a path, an array, a text, or a dict of such keys.
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

    Steps run in the order in which they stand; None leaves one out. A list, as OpenMMLab's, works
    too; its steps have their numbers as names.

    A step changes every stream of its kind that a record has: texts, if its ``modality`` is
    'texts', else images. ``streams=('reference',)`` in its config names those that it changes.

    Args:
        steps: name -> transform, its config, or None.

    Raises:
        ValueError: something comes after ``pack``, which ends a pipeline.
    """

    def __init__(self, steps: Steps | None) -> None:
        wanted = named(steps)
        if 'pack' in wanted and list(wanted)[-1] != 'pack':
            raise ValueError(
                f"pipeline: 'pack' is the last step, these come in the order {', '.join(wanted)}. "
                'A new step goes in with pipeline=dict(...), which keeps the order that it is '
                "written in; mmengine's own Config.dump sorts keys, load_config's does not"
            )
        self.steps: dict[str, Step] = {
            name: step if callable(step) else build_step(step) for name, step in wanted.items()
        }
        super().__init__(list(self.steps.values()))
        self._named = any(hasattr(step, 'streams') for step in self.transforms)

    def __call__(self, data: dict) -> Any:
        """A record through all steps."""
        if not (self._named or 'images' in data or 'texts' in data):
            return super().__call__(data)
        record: dict | None = _with_opened(data)
        for step in self.transforms:
            if record is not None:
                record = over_streams(step, record)
        return record

    def find(self, kind: type) -> Any:
        """The first step of a kind, None where there is none."""
        return next((step for step in self.steps.values() if isinstance(step, kind)), None)

    def around(self, kind: type) -> tuple['Pipeline', 'Pipeline']:
        """The steps before the first one of a kind, and that one with all behind it."""
        names = list(self.steps)
        kinds = [isinstance(step, kind) for step in self.steps.values()]
        place = kinds.index(True) if True in kinds else len(names)
        parts = names[:place], names[place:]
        return Pipeline(self._only(parts[0])), Pipeline(self._only(parts[1]))

    def tokenize(self) -> Tokenize:
        """The step that reads captions.

        Raises:
            ValueError: there is none.
        """
        found = self.find(Tokenize)
        if found is None:
            raise ValueError('the pipeline has no Tokenize: captions need it')
        return found

    def _only(self, names: Sequence[str]) -> dict[str, Callable]:
        return {name: self.steps[name] for name in names}


# keys of a stream that is a path or a text, and of one that is an array
_KEYS = dict(images=('img_path', 'img'), texts=('caption', 'caption'))


def _with_opened(record: Mapping[str, Any]) -> dict:
    """A record whose further streams are dicts of their own keys, which steps may change."""
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
    """A transform from its config; ``streams``, where they are named, become an attribute."""
    settings = dict(settings)
    streams = settings.pop('streams', None)
    step = TRANSFORMS.build(settings)
    if streams is not None:
        step.streams = tuple(streams)
    return step


def changes_pair(streams: Sequence[str] | None) -> bool:
    """Whether a step that names these streams changes the pair's own; None names all."""
    return streams is None or bool({*streams} & {*STREAMS.values()})


def over_streams(step: Any, record: dict) -> dict | None:
    """A record whose streams a step has changed, those of its kind or those that it names.

    Raises:
        KeyError: the record lacks a stream that the step names.
    """
    modality = getattr(step, 'modality', 'images')
    if modality not in STREAMS:  # reads all of them
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
    """Name -> step of what a config says, without those that are None."""
    if not isinstance(steps, Mapping):
        steps = {str(place): step for place, step in enumerate(steps or ())}
    return {name: step for name, step in steps.items() if step is not None}
