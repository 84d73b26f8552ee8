"""Keeps a model's classes and the data's together."""

from collections.abc import Mapping, Sequence

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mvlt.registry import HOOKS


@HOOKS.register_module()
class ClassNamesHook(Hook):
    """Refuse to test category heads on data that number the classes otherwise.

    Args:
        categories: head -> names in the order of its outputs, as the model was published with.
    """

    def __init__(self, categories: Mapping[str, Sequence[str]]) -> None:
        self.categories = {name: list(names) for name, names in categories.items()}

    def before_test(self, runner: Runner) -> None:
        """Compare with the test data.

        Raises:
            ValueError: a name differs.
        """
        metainfo = runner.test_loop.dataloader.dataset.metainfo
        for level, names in self.categories.items():
            found = list(metainfo.get(level, ()))
            for place, name in enumerate(names):
                if found[place : place + 1] != [name]:
                    there = repr(found[place]) if place < len(found) else 'nothing'
                    raise ValueError(
                        f"class {place} of {level} is '{name}' for the model and {there} in these "
                        'data: test it on the catalogue that it was trained on, or fine-tune it'
                    )
