"""Pages of a joint model and of a dual encoder with an index."""

import importlib

import pytest
from PIL import Image


def _app():
    pytest.importorskip('gradio', reason="the page needs '.[web]'")
    return importlib.import_module('projects.web_demo.app')


@pytest.fixture(scope='module')
def shop(tmp_path_factory):
    """20 products in two categories; their captions look like HTML tags."""
    root = tmp_path_factory.mktemp('shop')
    (root / 'images').mkdir()
    lines = ['image,id,title,category']
    for i in range(20):
        Image.new('RGB', (40, 60), (12 * i, 0, 255 - 12 * i)).save(root / f'images/{i}.png')
        lines.append(f'images/{i}.png,{i},Bag <b {i},{"Shoes" if i % 2 else "Bags"}')
    (root / 'products.csv').write_text('\n'.join(lines))
    return root


@pytest.fixture(scope='module')
def page_of(model_folder, shop):
    def build(**kwargs):
        return _app().Page([model_folder], shop / 'products.csv', **{'seconds': 120, **kwargs})

    return build


@pytest.fixture(scope='module')
def address(page_of):
    blocks = _app().build(page_of())
    yield _app().launch(blocks, '127.0.0.1', None, block=False)
    blocks.close()


@pytest.fixture(scope='module')
def shop_page(embedding_folder, shop, tmp_path_factory):
    """A dual encoder: an index, with a price for each product."""
    table = (shop / 'products.csv').read_text().splitlines()
    lines = [f'{line},{"price" if not i else i - 1}' for i, line in enumerate(table)]
    (shop / 'priced.csv').write_text('\n'.join(lines))
    index = tmp_path_factory.mktemp('index') / 'index'
    return _app().Page([embedding_folder], shop / 'priced.csv', index=index, seconds=120)


@pytest.fixture(scope='module')
def shop_address(shop_page):
    blocks = _app().build(shop_page)
    yield _app().launch(blocks, '127.0.0.1', None, block=False)
    blocks.close()
