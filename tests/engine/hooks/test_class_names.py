"""Contract: category heads are tested only on data that number the classes as they do."""

from types import SimpleNamespace

import pytest

from mvlt.engine import ClassNamesHook


def _runner(**metainfo):
    dataset = SimpleNamespace(metainfo=metainfo)
    return SimpleNamespace(test_loop=SimpleNamespace(dataloader=SimpleNamespace(dataset=dataset)))


def test_the_same_names_and_unseen_ones_behind_them():
    hook = ClassNamesHook(dict(main_category=['a', 'b']))
    hook.before_test(_runner(main_category=('a', 'b')))
    hook.before_test(_runner(main_category=('a', 'b', 'unseen')))


@pytest.mark.parametrize(
    ('names', 'message'),
    [
        (('b', 'a'), "class 0 of main_category is 'a' for the model and 'b' in these data"),
        (('a',), "class 1 of main_category is 'b' for the model and nothing"),
    ],
)
def test_other_names_are_refused(names, message):
    with pytest.raises(ValueError, match=message):
        ClassNamesHook(dict(main_category=['a', 'b'])).before_test(_runner(main_category=names))


def test_a_level_that_the_data_lack():
    with pytest.raises(ValueError, match='nothing in these data'):
        ClassNamesHook(dict(main_category=['a'])).before_test(_runner())
