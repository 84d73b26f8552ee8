"""A pipeline whose steps have names, so that a config changes one without counting."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mmengine.dataset import Compose

from mvlt.datasets.transforms import Tokenize
from mvlt.registry import TRANSFORMS

Steps = Mapping[str, dict | Callable | None] | Sequence[dict | Callable]


class Pipeline(Compose):
    """mmengine's Compose over ``dict(load=..., resize=..., tokenize=..., pack=...)``.

    Steps run in the order in which they stand; None leaves one out. A list, as OpenMMLab's, works
    too; its steps have their numbers as names.

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
        self.steps: dict[str, Callable[[dict], dict | None]] = {
            name: step if callable(step) else TRANSFORMS.build(step)
            for name, step in wanted.items()
        }
        super().__init__(list(self.steps.values()))

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


def named(steps: Steps | None) -> dict[str, Any]:
    """Name -> step of what a config says, without those that are None."""
    if not isinstance(steps, Mapping):
        steps = {str(place): step for place, step in enumerate(steps or ())}
    return {name: step for name, step in steps.items() if step is not None}
