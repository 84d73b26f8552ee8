"""Contract: images of any format become RGB; unreadable files are named."""

import io

import numpy as np
import pytest
from PIL import Image

from mvlt.datasets.transforms.loading import LoadImage, read_image


def _save(path, image, **kwargs):
    image.save(path, **kwargs)
    return read_image(str(path))


@pytest.mark.parametrize('mode', ['RGB', 'RGBA', 'L', 'P', 'CMYK', '1'])
def test_modes(tmp_path, mode):
    image = Image.new('RGB', (8, 6), 'white').convert(mode)
    img = _save(tmp_path / f'a.{"tif" if mode == "CMYK" else "png"}', image)
    assert img.dtype == np.uint8 and img.shape == (6, 8, 3)
    assert (img == 255).all()


def test_transparency_is_laid_on_white(tmp_path):
    assert (_save(tmp_path / 'a.png', Image.new('RGBA', (4, 4), (0, 0, 0, 0))) == 255).all()


def test_16_bit_grey_is_scaled(tmp_path):
    values = np.full((4, 4), 32768, np.uint16)
    img = _save(tmp_path / 'a.png', Image.fromarray(values))
    assert (img == 127).all()  # 32768 x 255 / 65535 = 127.5, cut


def test_exif_orientation_is_applied(tmp_path):
    image = Image.new('RGB', (8, 4), 'white')
    image.paste((255, 0, 0), (0, 0, 4, 4))  # the left half is red
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: show it rotated by 90 degrees clockwise
    img = _save(tmp_path / 'a.png', image, exif=exif)
    assert img.shape == (8, 4, 3)
    assert (img[:4] == (255, 0, 0)).all() and (img[4:] == 255).all()


def test_unreadable_files_are_named(tmp_path):
    whole = io.BytesIO()
    Image.effect_noise((64, 64), 50).save(whole, 'png')
    (tmp_path / 'cut.png').write_bytes(whole.getvalue()[:300])
    (tmp_path / 'empty.png').write_bytes(b'')
    (tmp_path / 'text.jpg').write_text('hello')
    for name in ('cut.png', 'empty.png', 'text.jpg'):
        with pytest.raises(OSError, match=f'{name}: unreadable image'):
            read_image(str(tmp_path / name))
    with pytest.raises(FileNotFoundError, match='none.png: no such image'):
        read_image(str(tmp_path / 'none.png'))


def test_bomb_is_refused_before_it_is_decoded(tmp_path):
    Image.new('1', (20_000, 20_000)).save(tmp_path / 'bomb.png')
    with pytest.raises(OSError, match='bomb.png: unreadable image .*limit'):
        read_image(str(tmp_path / 'bomb.png'))


def test_a_record_with_an_image_keeps_it():
    img = np.zeros((5, 4, 3), np.uint8)
    results = LoadImage()(dict(img=img))
    assert results['img'] is img and results['img_shape'] == (5, 4)


def test_a_side_holds_for_files_and_for_arrays(tmp_path):
    """Arrays and files give the same image."""
    noise = np.random.default_rng(0).integers(0, 256, (90, 60, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / 'a.png')
    load = LoadImage(side=30)
    from_file = load(dict(img_path=str(tmp_path / 'a.png')))
    assert from_file['img'].shape == (45, 30, 3) and from_file['img_shape'] == (45, 30)
    assert np.array_equal(load(dict(img=noise))['img'], from_file['img'])
    assert LoadImage(side=60)(dict(img=noise))['img'] is noise
    with pytest.raises(ValueError, match=r'LoadImage\.side=0: a positive number'):
        LoadImage(side=0)


def test_a_draft_has_the_side_and_nearly_the_pixels(tmp_path):
    """800 x 400 to a side of 100: decoded at a quarter, 200 x 100."""
    smooth = Image.effect_noise((80, 40), 60).convert('RGB').resize((800, 400))
    smooth.save(tmp_path / 'a.jpg', quality=95)
    assert read_image(str(tmp_path / 'a.jpg'), at_least=100).shape == (100, 200, 3)
    assert read_image(str(tmp_path / 'a.jpg'), at_least=101).shape == (200, 400, 3)
    draft, whole = (
        LoadImage(side=100, draft=draft)(dict(img_path=str(tmp_path / 'a.jpg')))['img']
        for draft in (True, False)
    )
    assert draft.shape == whole.shape == (100, 200, 3)
    assert np.abs(draft.astype(int) - whole).mean() < 8
    smooth.save(tmp_path / 'a.png')
    assert read_image(str(tmp_path / 'a.png'), at_least=100).shape == (400, 800, 3)
    with pytest.raises(ValueError, match='draft needs side'):
        LoadImage(draft=True)


def test_cached_images_are_read_once_and_stay_the_same(tmp_path):
    paths = [tmp_path / f'{i}.png' for i in range(2)]
    for path in paths:
        Image.new('RGB', (4, 4), 'red').save(path)
    load = LoadImage(cache_size=1)
    for path in paths:
        assert not load(dict(img_path=str(path)))['img'].flags.writeable
        path.unlink()
    assert (load(dict(img_path=str(paths[0])))['img'] == (255, 0, 0)).all()
    with pytest.raises(FileNotFoundError):  # the second had no room
        load(dict(img_path=str(paths[1])))


def test_shapes_other_than_square():
    image = np.zeros((3, 5, 3), np.uint8)
    image[:, 2] = 9
    padded = LoadImage(shape='padded')(dict(img=image))['img']
    assert padded.shape == (5, 5, 3)
    assert (padded[0] == 255).all() and (padded[4] == 255).all()
    assert np.array_equal(padded[1:4], image)
    cropped = LoadImage(shape='cropped')(dict(img=image))['img']
    assert np.array_equal(cropped, image[:, 1:4])
    assert LoadImage(shape='padded', side=2)(dict(img=image))['img'].shape == (2, 2, 3)
    assert LoadImage()(dict(img=image))['img'] is image
    with pytest.raises(ValueError, match="shape='square'; legal: as_is, padded, cropped"):
        LoadImage(shape='square')


@pytest.mark.parametrize('suffix', ['avif', 'heic'])
def test_images_of_phones(tmp_path, suffix):
    if suffix == 'heic':
        pytest.importorskip('pillow_heif', reason="HEIC needs '.[heic]'").register_heif_opener()
    path = tmp_path / f'a.{suffix}'
    Image.new('RGB', (32, 24), (200, 30, 30)).save(path)
    image = read_image(str(path))
    assert image.shape == (24, 32, 3) and abs(int(image[12, 16, 0]) - 200) < 12
