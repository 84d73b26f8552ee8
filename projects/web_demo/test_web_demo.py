"""Contract: the page in a real browser: search, upload, completion, refusals, visitors at once."""

import importlib
import json
import shutil
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from mvlt.datasets import FashionGen

gr = pytest.importorskip('gradio', reason="the page needs '.[web]'")
playwright = pytest.importorskip('playwright.sync_api', reason="its tests need '.[dev]'")
expect = playwright.expect
CHROMIUM = shutil.which('chromium') or shutil.which('chromium-browser')
in_a_browser = pytest.mark.skipif(CHROMIUM is None, reason='no chromium (apt install chromium)')
app = importlib.import_module('projects.web_demo.app')
uploads = importlib.import_module('projects.web_demo.uploads')


@pytest.fixture(scope='module')
def shop(tmp_path_factory):
    """20 products in two categories; no page may take their titles for tags."""
    root = tmp_path_factory.mktemp('shop')
    (root / 'images').mkdir()
    lines = ['image,id,title,category']
    for i in range(20):
        Image.new('RGB', (40, 60), (12 * i, 0, 255 - 12 * i)).save(root / f'images/{i}.png')
        lines.append(f'images/{i}.png,{i},Bag <b {i},{"Shoes" if i % 2 else "Bags"}')
    (root / 'products.csv').write_text('\n'.join(lines))
    return root


@pytest.fixture(scope='module')
def page_of(model_folder, shop, tmp_path_factory):
    def build(**kwargs):
        cache = tmp_path_factory.mktemp('cache')
        return app.Page(
            [model_folder], shop / 'products.csv', cache_dir=cache, **{'seconds': 120, **kwargs}
        )

    return build


@pytest.fixture(scope='module')
def address(page_of):
    blocks = app.build(page_of())
    yield app.launch(blocks, '127.0.0.1', None, block=False)
    blocks.close()


@pytest.fixture(scope='module')
def context(address, shop_address):
    """A browser that reaches this machine only; asking for anything elsewhere fails at the end."""
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
    # what is clicked before the page's scripts listen is lost
    page.goto(address, wait_until='networkidle')
    page.wait_for_selector('#words')
    if tab:
        page.get_by_role('tab', name=tab).click()
    return page


def _upload(page, name, file, seen=True):
    page.set_input_files(f'#{name} input[type=file]', file)
    if seen:
        page.wait_for_selector(f'#{name} img')


def _search(page, words):
    page.fill('#words textarea, #words input', words)
    page.click('#search')


@in_a_browser
def test_search_with_and_without_a_category(context, address):
    page = _open(context, address)
    _search(page, 'a red bag')
    expect(page.locator('#found img')).to_have_count(12)
    expect(page.locator('#said')).to_contain_text('12 of 20 pictures')
    page.click('#main_category input')
    page.get_by_role('option', name='Shoes').click()
    page.click('#search')
    expect(page.locator('#found img')).to_have_count(10)
    page.close()


@in_a_browser
def test_an_empty_search_is_refused_in_words(context, address, capfd):
    page = _open(context, address)
    capfd.readouterr()
    _search(page, '   ')
    expect(page.get_by_text('Type a word at least.')).to_be_visible()
    printed = ''.join(capfd.readouterr())
    assert 'refused: Type a word at least.\n' in printed and 'Traceback' not in printed
    page.close()


@in_a_browser
def test_captions_are_ranked_and_are_text(context, address, shop):
    page = _open(context, address, 'Captions')
    _upload(page, 'picture', shop / 'images/3.png')
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
    page.wait_for_selector('#drawn canvas')
    page.set_input_files('#drawn input[type=file]', shop / 'images/3.png')
    page.wait_for_timeout(1500)  # the canvas tells nobody that the picture is on it
    page.get_by_role('radio', name='grid').check()
    page.click('#complete')
    expect(page.locator('#completed img')).to_have_count(2)
    first = page.locator('#completed img').last.get_attribute('src')
    page.get_by_role('radio', name='brush').check()
    box = page.locator('#drawn canvas').first.bounding_box()
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
def test_a_bad_upload_is_refused_and_the_page_goes_on(context, address, shop, tmp_path, content):
    bad = tmp_path / 'bad.jpg'
    bad.write_bytes(content)
    page = _open(context, address, 'Captions')
    _upload(page, 'picture', bad, seen=False)
    page.wait_for_timeout(500)
    page.click('#rank')
    expect(page.get_by_text('no picture that can be read').first).to_be_visible()
    assert str(tmp_path) not in page.content() and '/gradio/' not in page.inner_text('body')
    page.reload(wait_until='networkidle')
    page.get_by_role('tab', name='Captions').click()
    _upload(page, 'picture', shop / 'images/3.png')
    page.click('#rank')
    expect(page.locator('#ranked .caption')).to_have_count(10)
    page.close()


@in_a_browser
def test_a_file_that_is_too_large_is_refused(context, address, tmp_path):
    large = tmp_path / 'large.jpg'
    large.write_bytes(bytes(uploads.MAX_MEGABYTES * 1_100_000))
    page = _open(context, address, 'Captions')
    refusal = page.get_by_text('size').first
    for _ in range(6):  # it says so for some seconds only, and not if it is not yet listening
        _upload(page, 'picture', large, seen=False)
        try:
            refusal.wait_for(timeout=10_000)
            break
        except playwright.TimeoutError:
            continue
    else:
        pytest.fail('never refused')
    expect(page.locator('#picture img')).to_have_count(0)
    page.close()


@in_a_browser
def test_four_visitors_at_once(context, address):
    pages = [_open(context, address) for _ in range(4)]
    for number, page in enumerate(pages):
        page.fill('#words textarea, #words input', f'bag number {number}')
    for page in pages:
        page.click('#search', no_wait_after=True)
    for page in pages:
        expect(page.locator('#found img')).to_have_count(12)
        page.close()


@pytest.mark.parametrize(
    'path',
    [
        'gradio_api/file=/etc/passwd',
        'gradio_api/file=../../../../etc/passwd',
        'gradio_api/file=/',
        'file=/etc/passwd',
        'gradio_api/file=README.md',
        'assets/../../../etc/passwd',
    ],
)
def test_no_path_reaches_the_file_system(address, path):
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f'{address}{path}')
    assert caught.value.code in (403, 404)


@pytest.mark.parametrize('address_of_a_picture', ['http://{}/a.png', 'https://{}/', 'ftp://{}/a'])
def test_no_address_is_fetched(shop_address, address_of_a_picture):
    """Whatever a request made by hand names, nobody is called."""
    import socket

    with socket.create_server(('127.0.0.1', 0)) as server:
        server.settimeout(1)
        path = address_of_a_picture.format(f'localhost:{server.getsockname()[1]}')
        file = dict(path=path, url=path, meta={'_type': 'gradio.FileData'})
        config = json.load(urllib.request.urlopen(f'{shop_address}config'))
        event = next(one for one in config['dependencies'] if len(one['inputs']) > 3)
        data = ['', file, None, None, False, *['all'] * (len(event['inputs']) - 5)]
        body = dict(fn_index=event['id'], session_hash='a' + str(len(path)), data=data)
        request = urllib.request.Request(
            f'{shop_address}gradio_api/queue/join',
            json.dumps(body).encode(),
            {'Content-Type': 'application/json'},
        )
        urllib.request.urlopen(request)
        stream = f'{shop_address}gradio_api/queue/data?session_hash={body["session_hash"]}'
        said = urllib.request.urlopen(stream).read().decode()
        assert '"success":false' in said and '"success":true' not in said
        with pytest.raises(TimeoutError):
            server.accept()


@pytest.mark.parametrize('said_to_be', [dict(meta={'_type': 'gradio.FileData'}), {}])
@pytest.mark.parametrize('inputs', [1, 2, 4])  # captions, categories, completion
def test_a_path_in_a_request_by_hand_is_no_upload(address, shop, said_to_be, inputs):
    """Gradio alone reads any picture of the machine if `meta` is left out."""
    config = json.load(urllib.request.urlopen(f'{address}config'))
    event = next(one for one in config['dependencies'] if len(one['inputs']) == inputs)
    file = dict(path=str(shop / 'images/3.png'), **said_to_be)
    if inputs == 4:
        file = dict(background=file, layers=[], composite=None)
    body = dict(
        fn_index=event['id'],
        session_hash=f'by-hand-{inputs}-{len(said_to_be)}',
        data=[file, '', 'grid', 0.5][:inputs],
    )
    request = urllib.request.Request(
        f'{address}gradio_api/queue/join',
        json.dumps(body).encode(),
        {'Content-Type': 'application/json'},
    )
    urllib.request.urlopen(request)
    stream = f'{address}gradio_api/queue/data?session_hash={body["session_hash"]}'
    said = urllib.request.urlopen(stream).read().decode()
    assert '"success":false' in said and '"success":true' not in said


def test_requests_end_in_time(page_of, monkeypatch):
    import time

    page = page_of(seconds=0.2)
    monkeypatch.setattr(page, 'search_in', lambda *_, **__: time.sleep(1))
    started = time.monotonic()
    with pytest.raises(gr.Error, match=r'No answer within 0.2 seconds'):
        page.search('bag')
    assert time.monotonic() - started < 0.9
    with ThreadPoolExecutor(8) as pool:  # more than may run
        errors = list(pool.map(lambda _: _message(page), range(8)))
    assert all('No answer within 0.2 seconds' in error for error in errors)
    assert time.monotonic() - started < 3


def test_a_request_that_hangs_keeps_no_place(page_of, monkeypatch):
    import time

    page = page_of(seconds=0.3)
    answer = page.search_in
    monkeypatch.setattr(page, 'search_in', lambda *_, **__: time.sleep(2))
    with ThreadPoolExecutor(2) as pool:  # as many as may run
        assert all('No answer' in said for said in pool.map(lambda _: _message(page), range(2)))
    page.seconds = 20
    monkeypatch.setattr(page, 'search_in', answer)
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
    with pytest.raises(gr.Error, match='Upload a picture first'):
        page.captions(None)
    with pytest.raises(gr.Error, match='Upload a picture first'):
        page.complete(None, '', 'grid', 0.5)
    drawn = dict(background=str(shop / 'images/1.png'), layers=[])
    with pytest.raises(gr.Error, match='Paint over'):
        page.complete(drawn, '', 'brush', 0.5)
    with pytest.raises(gr.Error, match='No such style'):
        page.complete(drawn, '', 'os.system', 0.5)
    for style in ('random', 'grid', 'stroke', 'centre'):
        (seen, _), (completed, _) = page.complete(drawn, 'a bag', style, 7)
        assert seen.shape == completed.shape == (60, 40, 3) and (seen == 190).all()
    layer = np.zeros((60, 40, 4), np.uint8)
    layer[:10] = 255
    Image.fromarray(layer).save(shop / 'layer.png')
    drawn['layers'] = [str(shop / 'layer.png')]
    (seen, _), _ = page.complete(drawn, '', 'brush', 0.5)
    assert (seen[:10] == 190).all() and not (seen[10:] == 190).all()


def test_a_folder_of_pictures_has_no_captions_and_no_categories(shop, model_folder, tmp_path):
    page = app.Page([model_folder], shop / 'images', cache_dir=tmp_path)
    assert page.caption_in is None and page.filters == {}
    assert len(page.search('bag')[0]) == 12
    app.build(page)


@pytest.fixture(scope='module')
def shop_page(tower_folder, shop, tmp_path_factory):
    """A model with towers: an index, with a price for each product."""
    table = (shop / 'products.csv').read_text().splitlines()
    lines = [f'{line},{"price" if not i else i - 1}' for i, line in enumerate(table)]
    (shop / 'priced.csv').write_text('\n'.join(lines))
    cache = tmp_path_factory.mktemp('cache')
    return app.Page([tower_folder], shop / 'priced.csv', cache_dir=cache, seconds=120)


@pytest.fixture(scope='module')
def shop_address(shop_page):
    blocks = app.build(shop_page)
    yield app.launch(blocks, '127.0.0.1', None, block=False)
    blocks.close()


def test_pictures_that_are_no_files(tower_folder, demo_data, tmp_path):
    """As the demo's: in one HDF5 file, under product ids that are no rows."""
    views = FashionGen(ann_file=str(demo_data / 'fashiongen_64_64_validation.h5'), test_mode=True)
    page = app.Page([tower_folder], views, cache_dir=tmp_path)
    cards, said, ids = page.search('a red bag')
    assert len(cards) == 12 and said.startswith('12 of ')
    records = [views.get_data_info(row) for row in range(len(views))]
    for (image, _), product_id in zip(cards, ids):
        rows = [row for row, one in enumerate(records) if one['product_id'] == product_id]
        own = [views.load(dict(records[row]))['img'] for row in rows]
        assert any(np.array_equal(np.asarray(image), picture) for picture in own)


@in_a_browser
def test_search_by_words_picture_price_and_click(shop_address, shop, context):
    page = _open(context, shop_address)
    _search(page, 'a red bag')
    expect(page.locator('#found img')).to_have_count(12)
    page.check('#once input')
    page.click('#search')
    expect(page.locator('#found img')).not_to_have_count(12)
    page.uncheck('#once input')
    page.fill('#low input', '3')
    page.fill('#high input', '5')
    page.click('#search')
    expect(page.locator('#said')).to_contain_text('3 of 20 pictures')
    expect(page.locator('#found img')).to_have_count(3)
    page.fill('#low input', '')
    page.fill('#high input', '')
    page.fill('#words textarea, #words input', '')
    _upload(page, 'looks', shop / 'images/7.png')
    page.click('#search')
    expect(page.locator('#found')).to_contain_text('1.00 Bag <b 7')
    page.locator('#found button.thumbnail-item').first.click()
    expect(page.locator('#found')).not_to_contain_text('Bag <b 7')
    page.close()
