"""Contract: every kind of picture becomes the same RGB; what is no picture is named."""

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


def test_a_record_with_a_picture_keeps_it():
    img = np.zeros((5, 4, 3), np.uint8)
    results = LoadImage()(dict(img=img))
    assert results['img'] is img and results['img_shape'] == (5, 4)
