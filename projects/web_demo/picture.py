"""Draw the page as README and site show it, with the model and products of make demo.

    python -m projects.web_demo.picture docs

Writes web_demo.png, what the README shows, and a walk: web_picture.png (search by a picture),
web_captions.png, web_categories.png, web_completion.png.
"""

import argparse
import shutil
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import expect, sync_playwright

from mvlt.command_line import run_command
from mvlt.config import load_config
from mvlt.engine import resolve
from mvlt.registry import DATASETS
from projects.web_demo import app

MODEL = 'work_dirs/demo/models/shop'
WORDS = 'dark blue striped cotton tank tops. light green stripes.'


def main() -> None:
    """Open the page in a browser, go through it, draw each part."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('out', type=Path, help='the folder of the pictures')
    parser.add_argument('--words', default=WORDS)
    parser.add_argument('--row', type=int, default=100, help='the product that is uploaded')
    args = parser.parse_args()
    browser = shutil.which('chromium') or shutil.which('chromium-browser')
    if browser is None:
        raise FileNotFoundError('no chromium: apt install chromium')
    shown = app.Page([MODEL], 'configs/demo/retrieval_demo.py')
    blocks = app.build(shown)
    address = app.launch(blocks, '127.0.0.1', None, block=False)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        opened = driver.chromium.launch(
            executable_path=browser, args=['--no-sandbox', '--disable-gpu']
        )
        page = opened.new_page(viewport=dict(width=1280, height=860))
        page.set_default_timeout(120_000)
        expect.set_options(timeout=120_000)
        page.goto(address, wait_until='networkidle')
        walk(page, args.out, args.words, product(Path(folder, 'product.png'), args.row))
        opened.close()
    blocks.close()


def product(path: Path, row: int) -> Path:
    """A test product of the demo as a file."""
    config = resolve(load_config('configs/demo/retrieval_demo.py'), 'data')
    dataset = DATASETS.build(config.test_dataloader.dataset)
    Image.fromarray(dataset.load(dataset.get_data_info(row))['img']).save(path)
    return path


def walk(page: Any, out: Path, words: str, picture: Path) -> None:
    """Each part of the page, as somebody would use it."""

    def draw(name: str) -> None:
        page.wait_for_load_state('networkidle')
        page.screenshot(path=out / f'web_{name}.png')
        print(out / f'web_{name}.png', flush=True)

    def upload(part: str) -> None:
        page.set_input_files(f'#{part} input[type=file]', picture)
        page.locator(f'#{part} img, #{part} canvas').first.wait_for()

    page.fill('#words textarea, #words input', words)
    page.click('#search')
    expect(page.locator('#found img')).to_have_count(12)
    draw('demo')
    page.fill('#words textarea, #words input', '')
    upload('looks')
    page.click('#search')
    page.wait_for_timeout(3000)  # twelve pictures give way to twelve others
    draw('picture')
    page.get_by_role('tab', name='Captions').click()
    upload('picture')
    page.click('#rank')
    expect(page.locator('#ranked .caption')).to_have_count(10)
    draw('captions')
    page.get_by_role('tab', name='Categories').click()
    upload('product')
    page.click('#name')
    expect(page.locator('#bars_main_category')).to_contain_text('%')
    draw('categories')
    page.get_by_role('tab', name='Completion').click()
    page.wait_for_selector('#drawn canvas')
    page.set_input_files('#drawn input[type=file]', picture)
    page.wait_for_timeout(2000)  # the canvas tells nobody that the picture is on it
    page.get_by_role('radio', name='grid').check()
    page.click('#complete')
    expect(page.locator('#completed img')).to_have_count(2)
    draw('completion')


if __name__ == '__main__':
    run_command(main)
