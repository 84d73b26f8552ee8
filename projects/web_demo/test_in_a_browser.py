"""Contract: the page in a real browser: search, upload, completion, refusals, many visitors."""

import importlib
import shutil

import pytest

pytest.importorskip('gradio', reason="the page needs '.[web]'")
playwright = pytest.importorskip('playwright.sync_api', reason="its tests need '.[dev]'")
expect = playwright.expect
CHROMIUM = shutil.which('chromium') or shutil.which('chromium-browser')
in_a_browser = pytest.mark.skipif(CHROMIUM is None, reason='no chromium (apt install chromium)')
uploads = importlib.import_module('projects.web_demo.uploads')


@pytest.fixture(scope='module')
def context(address, shop_address):
    """A browser without network; requests to other machines fail the tests at the end."""
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=CHROMIUM, args=['--no-sandbox', '--disable-gpu']
        )
        context = browser.new_context()
        context.set_default_timeout(180_000)
        expect.set_options(timeout=180_000)
        outside = []

        def local_only(route):
            if route.request.url.startswith((address, shop_address, 'data:', 'blob:')):
                route.continue_()
            else:
                outside.append(route.request.url)
                route.abort()

        context.route('**/*', local_only)
        yield context
        browser.close()
    assert outside == []


def _open(context, address, tab=None):
    page = context.new_page()
    # clicks before the page's scripts run are lost
    page.goto(address, wait_until='networkidle')
    page.wait_for_selector('#text')
    if tab:
        page.get_by_role('tab', name=tab).click()
    return page


def _upload(page, name, file, seen=True):
    page.set_input_files(f'#{name} input[type=file]', file)
    if seen:
        page.wait_for_selector(f'#{name} img')


def _search(page, text):
    page.fill('#text textarea, #text input', text)
    page.click('#search')


@in_a_browser
def test_search_with_and_without_a_category(context, address):
    page = _open(context, address)
    _search(page, 'a red bag')
    expect(page.locator('#results img')).to_have_count(12)
    expect(page.locator('#summary')).to_contain_text('12 of 20 images')
    page.click('#main_category input')
    page.get_by_role('option', name='Shoes').click()
    page.click('#search')
    expect(page.locator('#results img')).to_have_count(10)
    page.close()


@in_a_browser
def test_an_empty_search_is_refused(context, address, capfd):
    page = _open(context, address)
    capfd.readouterr()
    _search(page, '   ')
    expect(page.get_by_text('Type a text.')).to_be_visible()
    printed = ''.join(capfd.readouterr())
    assert 'refused: Type a text.\n' in printed and 'Traceback' not in printed
    page.close()


@in_a_browser
def test_captions_are_ranked_and_escaped(context, address, shop):
    page = _open(context, address, 'Captions')
    _upload(page, 'image', shop / 'images/3.png')
    page.click('#rank')
    expect(page.locator('#ranked .caption')).to_have_count(10)
    assert '<b ' in page.locator('#ranked .caption').first.inner_text()
    page.close()


@in_a_browser
def test_categories_with_bars(context, address, shop):
    page = _open(context, address, 'Categories')
    _upload(page, 'product', shop / 'images/3.png')
    page.click('#name')
    expect(page.locator('#bars_main_category')).to_contain_text('BAGS')
    expect(page.locator('#bars_sub_category')).to_contain_text('TOTES')
    page.close()


@in_a_browser
def test_completion_with_a_style_and_with_the_brush(context, address, shop):
    page = _open(context, address, 'Completion')
    page.wait_for_selector('#editor canvas')
    page.set_input_files('#editor input[type=file]', shop / 'images/3.png')
    page.wait_for_timeout(1500)  # the canvas has no event for a drawn image
    page.get_by_role('radio', name='grid').check()
    page.click('#complete')
    expect(page.locator('#completed img')).to_have_count(2)
    first = page.locator('#completed img').last.get_attribute('src')
    page.get_by_role('radio', name='brush').check()
    box = page.locator('#editor canvas').first.bounding_box()
    x, y = box['x'] + box['width'] / 2, box['y'] + box['height'] / 2
    page.mouse.move(x - 10, y)
    page.mouse.down()
    page.mouse.move(x + 10, y + 5, steps=4)
    page.mouse.up()
    page.click('#complete')
    expect(page.locator('#completed img').last).not_to_have_attribute('src', first)
    page.close()


@in_a_browser
@pytest.mark.parametrize('content', [b'', b'\x89PNG\r\n\x1a\n cut short'])
def test_a_bad_upload_is_refused_and_the_page_works_on(context, address, shop, tmp_path, content):
    bad = tmp_path / 'bad.jpg'
    bad.write_bytes(content)
    page = _open(context, address, 'Captions')
    _upload(page, 'image', bad, seen=False)
    page.wait_for_timeout(500)
    page.click('#rank')
    expect(page.get_by_text('Unreadable image').first).to_be_visible()
    assert str(tmp_path) not in page.content() and '/gradio/' not in page.inner_text('body')
    page.reload(wait_until='networkidle')
    page.get_by_role('tab', name='Captions').click()
    _upload(page, 'image', shop / 'images/3.png')
    page.click('#rank')
    expect(page.locator('#ranked .caption')).to_have_count(10)
    page.close()


@in_a_browser
def test_a_file_that_is_too_large_is_refused(context, address, tmp_path):
    large = tmp_path / 'large.jpg'
    large.write_bytes(bytes(uploads.MAX_MEGABYTES * 1_100_000))
    page = _open(context, address, 'Captions')
    refusal = page.get_by_text('size').first
    for _ in range(6):  # the message disappears, and is missing if the scripts are not running yet
        _upload(page, 'image', large, seen=False)
        try:
            refusal.wait_for(timeout=10_000)
            break
        except playwright.TimeoutError:
            continue
    else:
        pytest.fail('never refused')
    expect(page.locator('#image img')).to_have_count(0)
    page.close()


@in_a_browser
def test_four_visitors_at_once(context, address):
    pages = [_open(context, address) for _ in range(4)]
    for number, page in enumerate(pages):
        page.fill('#text textarea, #text input', f'bag number {number}')
    for page in pages:
        page.click('#search', no_wait_after=True)
    for page in pages:
        expect(page.locator('#results img')).to_have_count(12)
        page.close()


@in_a_browser
def test_search_by_text_image_price_and_click(shop_address, shop, context):
    page = _open(context, shop_address)
    _search(page, 'a red bag')
    expect(page.locator('#results img')).to_have_count(12)
    page.check('#dedup input')
    page.click('#search')
    expect(page.locator('#results img')).not_to_have_count(12)
    page.uncheck('#dedup input')
    page.fill('#low input', '3')
    page.fill('#high input', '5')
    page.click('#search')
    expect(page.locator('#summary')).to_contain_text('3 of 20 images')
    expect(page.locator('#results img')).to_have_count(3)
    page.fill('#low input', '')
    page.fill('#high input', '')
    page.fill('#text textarea, #text input', '')
    _upload(page, 'query_image', shop / 'images/7.png')
    page.click('#search')
    expect(page.locator('#results')).to_contain_text('1.00 Bag <b 7')
    page.locator('#results button.thumbnail-item').first.click()
    expect(page.locator('#results')).not_to_contain_text('Bag <b 7')
    page.close()
