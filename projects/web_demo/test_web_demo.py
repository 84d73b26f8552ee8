"""Contract: the page answers handmade requests in time; it fetches and reads nothing else."""

import importlib
import json
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from mvlt.datasets import FashionGen

gr = pytest.importorskip('gradio', reason="the page needs '.[web]'")
app = importlib.import_module('projects.web_demo.app')


@pytest.mark.parametrize(
    'path',
    [
        'gradio_api/file=/etc/passwd',
        'gradio_api/file=../../../../etc/passwd',
        'gradio_api/file=/',
        'file=/etc/passwd',
        'gradio_api/file=README.md',
        'assets/../../../etc/passwd',
        'gradio_api/file=https://example.com/',  # no redirection, either
        'gradio_api/file=//http://example.com/',
        'gradio_api/file=%68ttps://example.com/',
    ],
)
def test_no_path_reaches_the_file_system(address, path):
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f'{address}{path}')
    assert caught.value.code in (403, 404)


@pytest.mark.parametrize('image_address', ['http://{}/a.png', 'https://{}/', 'ftp://{}/a'])
def test_no_address_is_fetched(shop_address, image_address):
    """A handmade request makes the page call no address."""
    import socket

    with socket.create_server(('127.0.0.1', 0)) as server:
        server.settimeout(1)
        path = image_address.format(f'localhost:{server.getsockname()[1]}')
        file = dict(path=path, url=path, meta={'_type': 'gradio.FileData'})
        config = json.load(urllib.request.urlopen(f'{shop_address}config'))
        event = next(
            dependency for dependency in config['dependencies'] if len(dependency['inputs']) > 3
        )
        data = ['', file, None, None, False, *['all'] * (len(event['inputs']) - 5)]
        body = dict(fn_index=event['id'], session_hash='a' + str(len(path)), data=data)
        request = urllib.request.Request(
            f'{shop_address}gradio_api/queue/join',
            json.dumps(body).encode(),
            {'Content-Type': 'application/json'},
        )
        urllib.request.urlopen(request)
        stream = f'{shop_address}gradio_api/queue/data?session_hash={body["session_hash"]}'
        stream_text = urllib.request.urlopen(stream).read().decode()
        assert '"success":false' in stream_text and '"success":true' not in stream_text
        with pytest.raises(TimeoutError):
            server.accept()


@pytest.mark.parametrize('meta', [dict(meta={'_type': 'gradio.FileData'}), {}])
@pytest.mark.parametrize('inputs', [1, 2, 4])  # captions, categories, completion
def test_a_path_in_a_request_by_hand_is_no_upload(address, shop, meta, inputs):
    """Gradio alone reads any image of the machine if `meta` is missing."""
    config = json.load(urllib.request.urlopen(f'{address}config'))
    event = next(
        dependency for dependency in config['dependencies'] if len(dependency['inputs']) == inputs
    )
    file = dict(path=str(shop / 'images/3.png'), **meta)
    if inputs == 4:
        file = dict(background=file, layers=[], composite=None)
    body = dict(
        fn_index=event['id'],
        session_hash=f'by-hand-{inputs}-{len(meta)}',
        data=[file, '', 'grid', 0.5][:inputs],
    )
    request = urllib.request.Request(
        f'{address}gradio_api/queue/join',
        json.dumps(body).encode(),
        {'Content-Type': 'application/json'},
    )
    urllib.request.urlopen(request)
    stream = f'{address}gradio_api/queue/data?session_hash={body["session_hash"]}'
    stream_text = urllib.request.urlopen(stream).read().decode()
    assert '"success":false' in stream_text and '"success":true' not in stream_text


def test_requests_end_in_time(page_of, monkeypatch):
    import time

    page = page_of(seconds=0.2)
    monkeypatch.setattr(page, 'shop', lambda *_, **__: time.sleep(1))
    started = time.monotonic()
    with pytest.raises(gr.Error, match=r'No answer within 0.2 seconds'):
        page.search('bag')
    assert time.monotonic() - started < 0.9
    with ThreadPoolExecutor(8) as pool:  # more than may run
        errors = list(pool.map(lambda _: _message(page), range(8)))
    assert all('No answer within 0.2 seconds' in error for error in errors)
    assert time.monotonic() - started < 3


def test_a_hanging_request_frees_its_slot(page_of, monkeypatch):
    import time

    page = page_of(seconds=0.3)
    answer = page.shop
    monkeypatch.setattr(page, 'shop', lambda *_, **__: time.sleep(2))
    with ThreadPoolExecutor(2) as pool:  # as many as may run
        assert all(
            'No answer' in message for message in pool.map(lambda _: _message(page), range(2))
        )
    page.seconds = 20
    monkeypatch.setattr(page, 'shop', answer)
    started = time.monotonic()
    assert len(page.search('bag')[0]) == 12 and time.monotonic() - started < 1.5


def _message(page):
    try:
        page.search('bag')
    except gr.Error as error:
        return error.message
    return ''


def test_what_a_visitor_may_ask(page_of, shop):
    page = page_of()
    assert len(page.search('bag ' * 2000)[0]) == 12
    with pytest.raises(gr.Error, match='Upload an image first'):
        page.captions(None)
    with pytest.raises(gr.Error, match='Upload an image first'):
        page.complete(None, '', 'grid', 0.5)
    painted = dict(background=str(shop / 'images/1.png'), layers=[])
    with pytest.raises(gr.Error, match='Paint over'):
        page.complete(painted, '', 'brush', 0.5)
    with pytest.raises(gr.Error, match='Unknown mask style'):
        page.complete(painted, '', 'os.system', 0.5)
    for style in ('random', 'grid', 'stroke', 'centre'):
        (seen, _), (completed, _) = page.complete(painted, 'a bag', style, 7)
        assert seen.shape == completed.shape == (60, 40, 3) and (seen == 190).all()
    layer = np.zeros((60, 40, 4), np.uint8)
    layer[:10] = 255
    Image.fromarray(layer).save(shop / 'layer.png')
    painted['layers'] = [str(shop / 'layer.png')]
    (seen, _), _ = page.complete(painted, '', 'brush', 0.5)
    assert (seen[:10] == 190).all() and not (seen[10:] == 190).all()


def test_a_folder_of_images_has_no_captions_and_no_categories(shop, model_folder):
    page = app.Page([model_folder], shop / 'images')
    assert page.caption_in is None and page.filters == {}
    assert len(page.search('bag')[0]) == 12
    app.build(page)


def test_images_in_hdf5(embedding_folder, demo_data):
    """The demo's images: one HDF5 file, product ids that are no row numbers."""
    dataset = FashionGen(ann_file=str(demo_data / 'fashiongen_64_64_validation.h5'), test_mode=True)
    page = app.Page([embedding_folder], dataset)
    cards, summary, ids = page.search('a red bag')
    assert len(cards) == 12 and summary.startswith('12 of ')
    records = [dataset.get_data_info(row) for row in range(len(dataset))]
    for (image, _), product_id in zip(cards, ids):
        rows = [row for row, record in enumerate(records) if record['product_id'] == product_id]
        views = [dataset.load(dict(records[row]))['img'] for row in rows]
        assert any(np.array_equal(np.asarray(image), view) for view in views)
