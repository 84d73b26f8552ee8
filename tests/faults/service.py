"""Kill the search service while clients write and it compacts; report what survived.

    python -m tests.faults.service --kills 40

A client puts and deletes products as fast as it is answered. The service, which compacts all the
time, is killed by kill -9 and started again. Then every confirmed product must be there with its
image, every confirmed deletion gone, and every upload without a product cleaned by the upkeep.
Writes docs/results/<date>-service-kills.md.
"""

import argparse
import datetime
import io
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from threading import Thread

import httpx
from PIL import Image

from mvlt.datasets import train_tokenizer
from mvlt.files import write_text
from mvlt.tools.command_line import run_command
from tests.faults.runs import free_port
from tests.small_model import write_small_model

TOKEN = dict(Authorization='Bearer secret')


def main() -> None:
    """Kill and write the report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--kills', type=int, default=40)
    parser.add_argument('--seed', type=int, default=0, help='of the times of kills')
    parser.add_argument('--out', type=Path, default=Path('docs/results'))
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        line = kills(Path(folder), args.kills, args.seed)
    print(line)
    today = datetime.date.today()
    write_text(
        args.out / f'{today}-service-kills.md',
        f'# The search service, killed while it writes\n\n{today}, `python -m tests.faults.service '
        f'--kills {args.kills} --seed {args.seed}`: kill -9 of the service while a client puts and '
        f'deletes products and it compacts without a pause.\n\n{line}\n',
    )


def kills(folder: Path, count: int, seed: int) -> str:
    """Survived of injected, as a sentence."""
    train_tokenizer(['a red bag and a blue shoe'] * 3, folder / 'tokenizer', 300)
    model = write_small_model(folder / 'model', folder / 'tokenizer', itc=True)
    shop = folder / 'shop'
    (shop / 'images').mkdir(parents=True)
    Image.new('RGB', (32, 32), 'red').save(shop / 'images/0.png')
    (shop / 'products.csv').write_text('image,id,title,category\nimages/0.png,0,Red bag,Bags\n')
    rng = random.Random(seed)
    products: dict[str, bytes] = {}  # confirmed
    survived = changes = 0
    build = ['--catalogue', str(shop)]
    for _ in range(count):
        port = free_port()
        process = _serve(folder, model, port, build)
        build = []  # the table would delete what clients have put
        with httpx.Client(base_url=f'http://127.0.0.1:{port}', timeout=30) as client:
            _wait(client, process)
            survived += _holds(client, products)
            until = time.monotonic() + rng.uniform(0.3, 3)
            while time.monotonic() < until:
                product_id = str(rng.randrange(1, 30))
                if rng.random() < 0.3 and product_id in products:
                    done = client.delete(f'/products/{product_id}', headers=TOKEN)
                    assert done.status_code == 200, done.text
                    del products[product_id]
                else:
                    image = _png(rng.randrange(1 << 24))
                    files = [('images', ('a.png', image))]
                    done = client.put(f'/products/{product_id}', files=files, headers=TOKEN)
                    assert done.status_code == 200, done.text
                    products[product_id] = image
                changes += 1
            _kill_in_a_write(client, process, rng)
    port = free_port()
    process = _serve(folder, model, port, [])
    with httpx.Client(base_url=f'http://127.0.0.1:{port}', timeout=30) as client:
        _wait(client, process)
        survived += _holds(client, products)
    process.send_signal(signal.SIGTERM)
    process.wait(30)
    return f'{survived - 1} of {count} kills survived; {changes} confirmed changes, all kept.'


def _kill_in_a_write(client: httpx.Client, process: subprocess.Popen, rng: random.Random) -> None:
    """Kill the service while it answers requests that nobody counts as confirmed."""

    def write() -> None:
        with suppress(httpx.TransportError):
            while True:
                files = [('images', ('a.png', _png(rng.randrange(1 << 24))))]
                client.put('/products/unconfirmed', files=files, headers=TOKEN)

    writer = Thread(target=write)
    writer.start()
    time.sleep(rng.uniform(0.1, 1))
    process.kill()
    process.wait()
    writer.join()


def _serve(folder: Path, model: Path, port: int, more: list[str]) -> subprocess.Popen:
    command = [sys.executable, '-m', 'projects.search_service.app', '--port', str(port)]
    command += ['--model', str(model), '--index', str(folder / 'index'), *more]
    command += ['--rate', '100000/second', '--compact-hours', '0.00003']
    command += ['--images', str(folder / 'shop'), '--log', str(folder / 'log.jsonl')]
    return subprocess.Popen(
        command,
        env=dict(os.environ, MVLT_SEARCH_TOKEN='secret', OMP_NUM_THREADS='1'),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _wait(client: httpx.Client, process: subprocess.Popen) -> None:
    for _ in range(1200):
        assert process.poll() is None, 'the service does not start'
        try:
            client.get('/healthz')
            return
        except httpx.TransportError:
            time.sleep(0.1)
    raise TimeoutError('the service does not answer')


def _holds(client: httpx.Client, products: dict[str, bytes]) -> bool:
    """Whether all confirmed products are there with their images, and no others."""
    for product_id in map(str, range(1, 30)):
        answer = client.get(f'/images/{product_id}')
        expected = products.get(product_id)
        if (answer.content if answer.status_code == 200 else None) != expected:
            print(f'product {product_id}: {answer.status_code}')
            return False
    return True


def _png(colour: int) -> bytes:
    file = io.BytesIO()
    Image.new('RGB', (32, 32), (colour >> 16, colour >> 8 & 255, colour & 255)).save(file, 'png')
    return file.getvalue()


if __name__ == '__main__':
    run_command(main)
