"""Draw the page as the README shows it, with the models and products of make demo.

python -m projects.web_demo.picture docs/web_demo.png
"""

import argparse
import shutil
from pathlib import Path

from playwright.sync_api import expect, sync_playwright

from mvlt.command_line import run_command
from projects.web_demo import app

MODEL = 'work_dirs/demo/models/shop'
WORDS = 'dark blue striped cotton tank tops. light green stripes.'


def main() -> None:
    """Open the page in a browser, search, draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('out', type=Path)
    parser.add_argument('--words', default=WORDS)
    args = parser.parse_args()
    browser = shutil.which('chromium') or shutil.which('chromium-browser')
    if browser is None:
        raise FileNotFoundError('no chromium: apt install chromium')
    shown = app.Page([MODEL], 'configs/demo/retrieval_demo.py')
    blocks = app.build(shown)
    address = app.launch(blocks, '127.0.0.1', None, block=False)
    with sync_playwright() as driver:
        opened = driver.chromium.launch(
            executable_path=browser, args=['--no-sandbox', '--disable-gpu']
        )
        page = opened.new_page(viewport=dict(width=1280, height=860))
        page.goto(address, wait_until='networkidle')
        page.fill('#words textarea, #words input', args.words)
        page.click('#search')
        expect(page.locator('#found img')).to_have_count(12, timeout=120_000)
        page.wait_for_load_state('networkidle')
        page.screenshot(path=args.out)
        opened.close()
    blocks.close()


if __name__ == '__main__':
    run_command(main)
