"""A shop of 20 products, and its service on a free port."""

import importlib
import io
import threading
import time

import pytest
from PIL import Image

TOKEN = dict(Authorization='Bearer secret')


def png(colour=(0, 200, 0), size=(40, 60)):
    file = io.BytesIO()
    Image.new('RGB', size, colour).save(file, 'png')
    return file.getvalue()


def files(*contents):
    return [('images', ('a.png', content)) for content in contents]


@pytest.fixture(scope='module')
def shop(tmp_path_factory):
    """20 products, each with a colour and a price."""
    root = tmp_path_factory.mktemp('shop')
    (root / 'images').mkdir()
    lines = ['image,id,title,category,price']
    for i in range(20):
        Image.new('RGB', (40, 60), (12 * i, 0, 255 - 12 * i)).save(root / f'images/{i}.png')
        lines.append(f'images/{i}.png,{i},Bag {i},{"Shoes" if i % 2 else "Bags"},{i}')
    (root / 'products.csv').write_text('\n'.join(lines))
    return root


@pytest.fixture(scope='module')
def serve(embedding_folder, shop, tmp_path_factory):
    """(settings) -> address and search of a new service."""
    servers = []

    def start(**settings):
        pytest.importorskip('uvicorn', reason="the service needs '.[serve]'")
        app = importlib.import_module('projects.search_service.app')
        search = app.BatchedSearch(
            embedding_folder, tmp_path_factory.mktemp('i') / 'index', device='cpu'
        )
        search.build(shop)
        server = app.make_server(search, app.Settings(**settings), port=0, log_level='error')
        thread = threading.Thread(target=server.run)
        thread.start()
        servers.append((server, thread))
        while not server.started:
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        return f'http://127.0.0.1:{port}', search

    yield start
    for server, _ in servers:
        server.should_exit = True
    for _, thread in servers:
        thread.join(20)
