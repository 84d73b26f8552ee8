"""Contract: each address is fetched once; a server's fault becomes one line."""

import io
import re
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pandas as pd
import pytest
from PIL import Image

from mvlt.tools.dataset_converters import fetch_images
from mvlt.tools.dataset_converters.fetch_images import Limits, addresses_in, fetch, fetch_to
from tests.commands import run_here

QUICK = Limits(seconds=1, max_bytes=20_000, retries=1, private=True)


def _png(colour=(200, 0, 0)):
    file = io.BytesIO()
    Image.new('RGB', (8, 6), colour).save(file, 'PNG')
    return file.getvalue()


class _Shop(BaseHTTPRequestHandler):
    """A server with all common faults."""

    protocol_version = 'HTTP/1.1'
    asked: list[str] = []

    def log_message(self, *args):
        pass

    def _send(self, status, body=b'', length=None, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header('Content-Length', str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.asked.append(self.path)
        name = self.path.split('?')[0].strip('/')
        turn = self.asked.count(self.path)
        if name.startswith('good'):
            self._send(200, _png())
        elif name == 'busy':
            self._send(503) if turn == 1 else self._send(200, _png())
        elif name == 'down':
            self._send(500)
        elif name == 'page':
            self._send(200, b'<html>no image</html>')
        elif name == 'cut':
            self._send(200, _png()[:40], length=len(_png()))
            self.close_connection = True
        elif name == 'long':  # by its header
            self._send(200, b'', length=10_000_000)
        elif name == 'endless':  # without a length
            self.send_response(200)
            self.send_header('Connection', 'close')
            self.end_headers()
            for _ in range(100):
                self.wfile.write(bytes(4096))
            self.close_connection = True
        elif name == 'stalls':
            self.send_response(200)
            self.send_header('Content-Length', '100')
            self.end_headers()
            self.wfile.write(b'x')
            self.wfile.flush()
            time.sleep(3)
        elif name == 'drips':
            self.send_response(200)
            self.send_header('Content-Length', '1000')
            self.end_headers()
            for _ in range(20):
                self.wfile.write(b'x')
                self.wfile.flush()
                time.sleep(0.2)
        elif name == 'drips_headers':
            for _ in range(20):
                self.wfile.write(b'H')
                self.wfile.flush()
                time.sleep(0.2)
            self.close_connection = True
        elif name == 'moved':
            self._send(302, Location='/good.png')
        elif name == 'around':
            self._send(302, Location='/around')
        elif name == 'file':
            self._send(302, Location='file:///etc/hostname')
        else:
            self._send(404)


@pytest.fixture(scope='module')
def shop():
    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *args):
            pass

    server = Server(('127.0.0.1', 0), _Shop)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f'http://127.0.0.1:{server.server_port}'
    server.shutdown()


@pytest.fixture(autouse=True)
def _at_once(monkeypatch):
    _Shop.asked.clear()
    pause = time.sleep
    monkeypatch.setattr(fetch_images.time, 'sleep', lambda seconds: pause(min(seconds, 3)))


def test_images_are_fetched_once(shop, tmp_path):
    name = fetch_to(f'{shop}/good.png?a=1&b=ü', tmp_path, QUICK)
    assert name.endswith('.png') and Image.open(tmp_path / name).size == (8, 6)
    assert fetch_to(f'{shop}/good.png?a=1&b=ü', tmp_path, QUICK) == name
    assert _Shop.asked == ['/good.png?a=1&b=%C3%BC']
    assert fetch(f'{shop}/moved', QUICK) == _png()


def test_a_busy_server_is_retried(shop):
    assert fetch(f'{shop}/busy', QUICK) == _png()
    assert _Shop.asked == ['/busy', '/busy']


@pytest.mark.parametrize(
    ('path', 'message', 'tries'),
    [
        ('none', 'the server answers 404 Not Found', 1),
        ('down', 'the server answers 500; tried 2 times', 2),
        ('page', 'not an image (21 bytes)', 1),
        ('cut', 'broken off after 40 of', 2),
        ('long', '10.0 MB, more than 0.0', 1),
        ('endless', 'more than 0.0 MB', 1),
        ('stalls', 'no answer in time; tried 2 times', 2),
        ('drips', 'no answer in time; tried 2 times', 2),
        ('drips_headers', 'no answer in time; tried 2 times', 2),
        ('around', 'more than 5 redirections', 6),
        ('file', 'not an http address: file:///etc/hostname', 1),
    ],
)
def test_faults_of_servers(shop, tmp_path, path, message, tries):
    started = time.monotonic()
    with pytest.raises((OSError, ValueError), match=re.escape(message)):
        fetch_to(f'{shop}/{path}', tmp_path, QUICK)
    assert time.monotonic() - started < 8
    assert len(_Shop.asked) == tries and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    'address',
    [
        *('10.0.0.1', '169.254.169.254', '::1', '::ffff:127.0.0.1', 'fd00::1', '0.0.0.0'),
        *('64:ff9b::7f00:1', '2002:7f00:1::', '::127.0.0.1'),  # private IPv4 inside
    ],
)
def test_only_public_addresses_are_fetched(monkeypatch, address):
    """Checked after the name is resolved; redirections are checked, too."""
    family = socket.AF_INET6 if ':' in address else socket.AF_INET

    def lookup(host, port, **kwargs):
        return [(family, socket.SOCK_STREAM, 6, '', (address, port))]

    def refuse(*args, **kwargs):
        raise AssertionError('a private address was called')

    monkeypatch.setattr(socket, 'getaddrinfo', lookup)
    monkeypatch.setattr(socket, 'create_connection', refuse)
    with pytest.raises(ValueError, match='not public; to allow it, add --private'):
        fetch('http://images.example/a.jpg', QUICK._replace(private=False))


def test_a_redirection_to_a_private_address_is_refused(shop, monkeypatch):
    """A public host redirects to the local network."""
    checked = []

    def is_public(address):
        checked.append(address)
        return len(checked) == 1

    monkeypatch.setattr(fetch_images, 'is_public', is_public)
    with pytest.raises(ValueError, match='not public'):
        fetch(f'{shop}/moved', QUICK._replace(private=False))
    assert _Shop.asked == ['/moved']


def test_several_addresses_in_a_cell():
    first, second = 'https://a.example/1.jpg?w=1,2', 'http://b.example/2.jpg'
    for cell in (
        f'{first}|{second}',
        f'{first}, {second}',
        f'{first},{second}',
        f'{first}\n{second}',
    ):
        assert addresses_in(cell) == [first, second]
    assert addresses_in('') == []


def test_a_table(shop, tmp_path):
    path, out = tmp_path / 'export.csv', tmp_path / 'shop'
    links = [f'{shop}/good1.png', f'{shop}/good2.png|{shop}/good1.png', f'{shop}/none', '']
    titles = ['a', 'b', 'c', 'd']
    pages = [f'{shop}/page'] * 4
    pd.DataFrame(dict(Title=titles, Link=pages, image_link=links)).to_csv(path, index=False)
    command = ['tools/dataset_converters/fetch_images.py', path, out]
    refused = run_here(*command)
    assert 'not public; to allow it, add --private' in refused.stdout and refused.returncode == 0
    run = run_here(*command, '--private')
    assert run.returncode == 0, run.stderr
    assert f'{shop}/none: the server answers 404' in run.stdout
    assert '2 images downloaded, 1 failed; 2 of 4 rows have no image' in run.stdout
    table = pd.read_csv(out / 'products.csv', keep_default_na=False)
    assert list(table['Title']) == titles
    assert [len(list(filter(None, cell.split('|')))) for cell in table['image_link']] == [
        1,
        2,
        0,
        0,
    ]
    assert all((out / name).is_file() for name in table['image_link'][1].split('|'))
    _Shop.asked.clear()
    assert run_here(*command, '--private').returncode == 0
    assert _Shop.asked == ['/none']  # fetched files are not fetched again
