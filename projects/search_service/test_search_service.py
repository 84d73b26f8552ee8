"""Contract: an HTTP client searches, adds and deletes; mistakes get one line and a 4xx."""

import json
import signal
import socket
import struct
import subprocess
import sys
import time
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from projects.search_service.conftest import TOKEN, files, png

httpx = pytest.importorskip('httpx', reason="its tests need '.[dev]'")


@pytest.fixture(scope='module')
def service(serve):
    return serve(token='secret', rate='10000/second')


@pytest.fixture
def client(service):
    with httpx.Client(base_url=service[0], timeout=30) as http:
        yield http


def test_search_equals_the_python_api(client, service):
    results = client.post('/search', json=dict(text='a red shoe', topk=5)).json()['results']
    expected = service[1]('a red shoe', topk=5)
    assert [row['product_id'] for row in results] == [row['product_id'] for row in expected]
    assert results[0]['score'] == pytest.approx(expected[0]['score'], abs=1e-5)
    assert 'img_path' not in results[0] and results[0]['caption'].startswith('Bag')
    where = dict(price=dict(max=3))
    cheap = client.post('/search', json=dict(text='shoe', where=where)).json()['results']
    assert {row['product_id'] for row in cheap} == {'0', '1', '2', '3'}


def test_similar_products(client):
    results = client.post('/similar', files=files(png((12 * 7, 0, 255 - 12 * 7)))).json()['results']
    assert results[0]['product_id'] == '7'
    query = json.dumps(dict(text='shoe', topk=2, where=dict(main_category='Bags')))
    results = client.post('/similar', files=files(png()), data=dict(query=query)).json()['results']
    assert len(results) == 2 and all(int(row['product_id']) % 2 == 0 for row in results)
    similar = client.post('/search', json=dict(products=['7'])).json()['results']
    assert '7' not in {row['product_id'] for row in similar}


def test_add_and_delete_a_product(client, service, shop):
    path = '/products/green%2Fone'
    values = dict(values=json.dumps(dict(price=5, caption='Green thing')))
    assert client.put(path, files=files(png()), data=values).status_code == 401
    done = client.put(path, files=files(png()), data=values, headers=TOKEN)
    assert done.json() == dict(product_id='green/one', images=1)
    best = client.post('/similar', files=files(png())).json()['results'][0]
    assert best['product_id'] == 'green/one' and best['caption'] == 'Green thing'
    image = client.get('/images/green%2Fone')
    assert image.content == png() and image.headers['content-type'] == 'image/png'
    assert client.get('/images/3').content == (shop / 'images/3.png').read_bytes()
    assert client.delete(path, headers=TOKEN).status_code == 200
    assert client.delete(path, headers=TOKEN).json() == dict(error='no such product')
    assert client.get('/healthz').json() == dict(status='ok', images=20)


def bomb():
    """A PNG whose header claims 10 thousand million pixels."""
    head = struct.pack('>IIBBBBB', 100_000, 100_000, 8, 2, 0, 0, 0)

    def chunk(kind, data):
        return (
            struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))
        )

    body = chunk(b'IHDR', head) + chunk(b'IDAT', zlib.compress(bytes(1000))) + chunk(b'IEND', b'')
    return b'\x89PNG\r\n\x1a\n' + body


@pytest.mark.parametrize(
    'query, says',
    [
        (dict(text='a' * 5000), 'text: String should have at most 200'),
        (dict(text='shoe', topk=0), 'topk'),
        (dict(text='shoe', where=dict(size=3)), "no column 'size'; legal: "),
        (dict(text='shoe', where=dict(price='cheap')), "'price' holds numbers"),
        (dict(text='shoe', wheer={}), 'wheer: Extra inputs'),
        (dict(text=''), 'empty query'),
        (dict(products=['../../etc/passwd']), "no product '../../etc/passwd'"),
        (dict(text='shoe', rerank='random'), 'rerank'),
        (dict(text='shoe', dedup_threshold=7), 'dedup_threshold'),
    ],
)
def test_a_wrong_query_is_refused(client, query, says):
    refused = client.post('/search', json=query)
    assert refused.status_code == 422 and says in refused.json()['error'], refused.text


def test_wrong_requests_are_refused_and_leave_nothing(client, service, shop):
    before = sorted((shop / 'uploads').glob('*')) if (shop / 'uploads').is_dir() else []
    put = dict(headers=TOKEN)
    for content in (b'', b'no image', png()[:60], bomb(), b'GIF89a' + bytes(99)):
        for refused in (
            client.post('/similar', files=files(content)),
            client.put('/products/x', files=files(content), **put),
        ):
            assert refused.status_code == 422 and 'unreadable image' in refused.json()['error']
    for values in ('[]', '{', json.dumps(dict(price='cheap')), json.dumps(dict(img_path='/etc'))):
        refused = client.put(
            '/products/x', files=files(png((1, 2, 3))), data=dict(values=values), **put
        )
        assert refused.status_code == 422, refused.text
    refused = client.put('/products/x', files=files(png()), data=dict(values='{"nope": 1}'), **put)
    assert 'no column nope' in refused.json()['error']
    for product_id in ('a' * 201, 'a%09b', '%00'):
        refused = client.put(f'/products/{product_id}', files=files(png((1, 2, 3))), **put)
        assert refused.status_code == 422 and 'product id' in refused.json()['error']
    assert client.post('/similar', files=files(*[png()] * 9)).status_code == 422
    assert client.post('/similar', files=files(png()), data=dict(query='{')).status_code == 422
    assert client.post('/search', content=b'{').status_code == 422
    assert client.post('/search', content=iter([b'{}'])).status_code == 422
    assert client.post('/similar', content=bytes(20_000_001)).status_code == 413
    for path in ('/images/none', '/images/..%2F..%2Fproducts.csv', '/nowhere'):
        refused = client.get(path)
        assert refused.status_code == 404 and refused.headers['content-type'] == 'application/json'
    after = sorted((shop / 'uploads').glob('*')) if (shop / 'uploads').is_dir() else []
    assert {*after} <= {*before} and service[1].count() == 20


def test_a_second_writer_gets_409(client, service, tmp_path):
    code = (
        'import sys, time; from mvlt.retrieval.index import open_index\n'
        'with open_index(sys.argv[1]).writing(): print("held", flush=True); time.sleep(60)'
    )
    holder = subprocess.Popen(
        [sys.executable, '-c', code, str(service[1].location)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout.readline() == 'held\n'
        refused = client.put('/products/x', files=files(png()), headers=TOKEN)
        assert refused.status_code == 409 and str(holder.pid) in refused.json()['error']
        assert client.post('/search', json=dict(text='shoe')).status_code == 200
    finally:
        holder.kill()
        holder.wait()


def test_time_and_rate_limits(serve):
    address, search = serve(rate='5/minute', seconds=0.5)
    with httpx.Client(base_url=address, timeout=30) as client:
        assert client.put('/products/x', files=files(png())).status_code == 403
        assert client.post('/search', json=dict(text='shoe')).status_code == 200
        slow = search.encoder.texts
        search.encoder.texts = lambda ids: time.sleep(1) or slow(ids)
        late = client.post('/search', json=dict(text='shoe'))
        assert late.status_code == 503 and '0.5 seconds' in late.json()['error']
        search.encoder.texts = slow
        codes = [client.post('/search', json=dict(text='shoe')).status_code for _ in range(4)]
        assert codes[-1] == 429 and client.get('/healthz').status_code == 200


def test_twenty_clients_at_once_get_the_right_answers(service):
    texts = [f'{colour} {kind}' for colour in ('red', 'blue', 'green') for kind in ('shoe', 'bag')]

    def ask(i):
        response = httpx.post(f'{service[0]}/search', json=dict(text=texts[i % 6]), timeout=30)
        return [row['product_id'] for row in response.json()['results']]

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(ask, range(60)))
    expected = [[row['product_id'] for row in service[1](text)] for text in texts]
    assert answers == [expected[i % 6] for i in range(60)]


def test_metrics_and_docs(client):
    client.get('/nowhere/1')
    text = client.get('/metrics').text
    assert 'mvlt_requests_total{path="other",status="404"}' in text
    assert 'mvlt_index_images 20.0' in text and 'path="search"' in text
    page = client.get('/docs').text
    assert '/search' in page and 'http' not in page.replace('"/', '')
    assert '/similar' in client.get('/openapi.json').json()['paths']


def test_an_internal_error_reveals_nothing(service, monkeypatch):
    monkeypatch.setattr(service[1], 'embed_query', lambda *_: 1 / 0)
    refused = httpx.post(f'{service[0]}/search', json=dict(text='shoe'))
    assert refused.status_code == 500
    assert refused.json() == dict(error='internal error; see the log of the service')


def test_the_command_serves_and_stops(embedding_folder, shop, tmp_path):
    """As in make serve; SIGTERM ends it after the running requests."""
    index = tmp_path / 'index'
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    command = [sys.executable, '-m', 'projects.search_service.app', '--port', str(port)]
    command += ['--model', str(embedding_folder), '--index', str(index), '--catalogue', str(shop)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert '20 products: 20 new' in process.stdout.readline()
        assert f'20 images; http://127.0.0.1:{port}' in process.stdout.readline()
        address = f'http://127.0.0.1:{port}'
        transport = httpx.HTTPTransport(retries=20)
        with httpx.Client(transport=transport, timeout=30) as client:
            for _ in range(100):
                try:
                    client.get(f'{address}/healthz')
                    break
                except httpx.TransportError:
                    time.sleep(0.1)
            example = [
                sys.executable,
                'projects/search_service/client_example.py',
                address,
                'shoes',
            ]
            output = subprocess.run(example, capture_output=True, text=True, check=True).stdout
            assert output.startswith('200') and output.count('"product_id"') == 3
    finally:
        process.send_signal(signal.SIGTERM)
    assert process.wait(30) in (0, -signal.SIGTERM)


def test_nan_is_refused(service):
    with pytest.raises(ValueError, match='finite'):
        service[1].index.search(np.full(service[1].index.description.dims, np.nan), 3)
