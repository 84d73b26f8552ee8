"""Contract: the README's nginx block and systemd unit are valid, and do what it says."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from projects.search_service.conftest import TOKEN, files, png
from tests.faults.runs import free_port

httpx = pytest.importorskip('httpx', reason="its tests need '.[dev]'")
README = Path(__file__).with_name('README.md').read_text('utf-8')


def _block(language: str) -> str:
    return re.search(rf'```{language}\n(.*?)```', README, re.DOTALL).group(1)


@pytest.mark.skipif(not shutil.which('systemd-analyze'), reason='no systemd-analyze')
def test_the_unit_is_valid(tmp_path):
    unit = tmp_path / 'mvlt.service'
    text = _block('ini').replace('/srv/mvlt/.venv/bin/python', sys.executable)
    unit.write_text(text.replace('User=mvlt\n', 'User=root\n'))
    done = subprocess.run(['systemd-analyze', 'verify', str(unit)], capture_output=True, text=True)
    ours = [line for line in done.stderr.splitlines() if 'mvlt.service' in line]
    assert not ours, done.stderr


@pytest.fixture(scope='module')
def process(embedding_folder, shop, tmp_path_factory):
    """(public address, admin address) of the command as the README runs it."""
    folder = tmp_path_factory.mktemp('deployed')
    public, admin = free_port(), free_port()
    command = [sys.executable, '-m', 'projects.search_service.app', '--port', str(public)]
    command += ['--model', str(embedding_folder), '--index', str(folder / 'index')]
    command += ['--catalogue', str(shop), '--admin-port', str(admin), '--proxies', '127.0.0.1']
    command += ['--log', str(folder / 'requests.jsonl'), '--rate', '20/minute']
    environment = dict(os.environ, MVLT_SEARCH_TOKEN='secret')
    running = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    addresses = [f'http://127.0.0.1:{port}' for port in (public, admin)]
    for _ in range(600):
        try:
            httpx.get(f'{addresses[0]}/healthz')
            break
        except httpx.TransportError:
            time.sleep(0.1)
    yield *addresses, folder
    running.send_signal(signal.SIGTERM)
    assert running.wait(30) in (0, -signal.SIGTERM)


def test_two_ports(process):
    public, admin, folder = process
    assert httpx.post(f'{public}/search', json=dict(text='shoe')).status_code == 200
    assert httpx.put(f'{public}/products/x', files=files(png()), headers=TOKEN).status_code == 404
    assert httpx.get(f'{public}/metrics').status_code == 404
    assert httpx.put(f'{admin}/products/x', files=files(png()), headers=TOKEN).status_code == 200
    assert 'mvlt_index_images 21.0' in httpx.get(f'{admin}/metrics').text
    assert httpx.delete(f'{admin}/products/x', headers=TOKEN).status_code == 200
    assert '/search' in (folder / 'requests.jsonl').read_text()


def test_a_restart_keeps_what_clients_have_put(embedding_folder, shop, tmp_path):
    """Only --update follows the table, which lacks their products."""
    from projects.search_service import app

    opened = (str(embedding_folder), str(shop), str(tmp_path / 'index'), None)
    search = app.open_search(*opened, update=False)
    search.upsert('put', shop / 'images/3.png', ['images/3.png'])
    search.close()
    search = app.open_search(*opened, update=False)
    assert search.count() == 21 and search.images == shop
    assert search('a bag', topk=30)[0]['product_id']
    search.close()
    search = app.open_search(*opened, update=True)
    assert search.count() == 20
    search.close()


@pytest.mark.skipif(not shutil.which('nginx'), reason='no nginx')
def test_behind_nginx_visitors_are_told_apart_and_cannot_choose(process, tmp_path):
    """The block of the README, without its certificate."""
    public, _, _ = process
    port = free_port()
    block = _block('nginx').replace('listen 443 ssl;', f'listen 127.0.0.1:{port};')
    block = block.replace('http://127.0.0.1:8000', public)
    config = tmp_path / 'nginx.conf'
    config.write_text(
        f'pid {tmp_path}/pid; error_log {tmp_path}/error.log; events {{}}\n'
        f'http {{ access_log off; client_body_temp_path {tmp_path}/body;\n{block}\n}}\n'
    )
    nginx = subprocess.Popen(['nginx', '-p', str(tmp_path), '-c', str(config), '-g', 'daemon off;'])
    try:
        transport = httpx.HTTPTransport(retries=30)
        with httpx.Client(base_url=f'http://127.0.0.1:{port}', transport=transport) as client:
            time.sleep(0.5)
            codes = [
                client.post(
                    '/search', json=dict(text='shoe'), headers={'X-Forwarded-For': f'9.9.9.{i}'}
                ).status_code
                for i in range(25)
            ]
        assert codes[0] == 200 and codes[-1] == 429  # one visitor, whatever he says
        slow = socket.create_connection(('127.0.0.1', port))
        slow.sendall(b'POST /search HTTP/1.1\r\nHost')
        started = time.monotonic()
        slow.settimeout(20)
        assert slow.recv(100) == b''  # closed by nginx after ten seconds
        assert time.monotonic() - started < 15
    finally:
        nginx.terminate()
        nginx.wait(20)
