"""Screenshots of the page for README and site, with the model and products of make demo.

    python -m projects.web_demo.screenshots docs

Writes web_demo.png (search by a text), web_image.png (search by an image), web_captions.png,
web_categories.png and web_completion.png.
"""

import argparse
import shutil
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import expect, sync_playwright

from mvlt.config import load_config
from mvlt.engine import resolve
from mvlt.registry import DATASETS
from mvlt.tools.command_line import run_command
from projects.web_demo import app

MODEL = 'work_dirs/demo/models/shop'
TEXT = 'dark blue striped cotton tank tops. light green stripes.'


def main() -> None:
    """Open the page in a browser and take a screenshot of each part."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('out', type=Path, help='folder of the screenshots')
    parser.add_argument('--text', default=TEXT, help='query')
    parser.add_argument('--row', type=int, default=100, help='row of the uploaded product')
    args = parser.parse_args()
    browser = shutil.which('chromium') or shutil.which('chromium-browser')
    if browser is None:
        raise FileNotFoundError('no chromium: apt install chromium')
    page_object = app.Page([MODEL], 'configs/demo/retrieval_demo.py')
    blocks = app.build(page_object)
    address = app.launch(blocks, '127.0.0.1', None, block=False)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        opened = driver.chromium.launch(
            executable_path=browser, args=['--no-sandbox', '--disable-gpu']
        )
        page = opened.new_page(viewport=dict(width=1280, height=860))
        page.set_default_timeout(120_000)
        expect.set_options(timeout=120_000)
        page.goto(address, wait_until='networkidle')
        walk(page, args.out, args.text, product(Path(folder, 'product.png'), args.row))
        opened.close()
    blocks.close()


def product(path: Path, row: int) -> Path:
    """Write the image of a test product of the demo."""
    config = resolve(load_config('configs/demo/retrieval_demo.py'), 'data')
    dataset = DATASETS.build(config.test_dataloader.dataset)
    Image.fromarray(dataset.load(dataset.get_data_info(row))['img']).save(path)
    return path


def walk(page: Any, out: Path, text: str, image: Path) -> None:
    """Use each part of the page and take screenshots."""

    def capture(name: str) -> None:
        page.wait_for_load_state('networkidle')
        page.screenshot(path=out / f'web_{name}.png')
        print(out / f'web_{name}.png', flush=True)

    def upload(part: str) -> None:
        page.set_input_files(f'#{part} input[type=file]', image)
        page.locator(f'#{part} img, #{part} canvas').first.wait_for()

    page.fill('#text textarea, #text input', text)
    page.click('#search')
    expect(page.locator('#results img')).to_have_count(12)
    capture('demo')
    page.fill('#text textarea, #text input', '')
    upload('query_image')
    page.click('#search')
    page.wait_for_timeout(3000)  # twelve images replace twelve others
    capture('image')
    page.get_by_role('tab', name='Captions').click()
    upload('image')
    page.click('#rank')
    expect(page.locator('#ranked .caption')).to_have_count(10)
    capture('captions')
    page.get_by_role('tab', name='Categories').click()
    upload('product')
    page.click('#name')
    expect(page.locator('#bars_main_category')).to_contain_text('%')
    capture('categories')
    page.get_by_role('tab', name='Completion').click()
    page.wait_for_selector('#editor canvas')
    page.set_input_files('#editor input[type=file]', image)
    page.wait_for_timeout(2000)  # the canvas has no event for a drawn image
    page.get_by_role('radio', name='grid').check()
    page.click('#complete')
    expect(page.locator('#completed img')).to_have_count(2)
    capture('completion')


if __name__ == '__main__':
    run_command(main)
