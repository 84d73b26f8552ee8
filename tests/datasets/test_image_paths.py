"""Contract: a cell gives the image that it means, never a file outside the folder."""

import pytest

from mvlt.datasets.image_paths import ImageFolder

TWICE = ('images/twice.png', 'pics/twice.png')


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / 'shop'
    for name in (
        'images/Shoe 1.JPG',
        'images/2.png',
        'images/v1.2.png',
        'pics/a/7.jpg',
        '.trash/8.jpg',
        '3.webp',
        *TWICE,
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b'')
    (tmp_path / 'secret.png').write_bytes(b'')
    return ImageFolder(str(root))


@pytest.mark.parametrize(
    ('cell', 'path'),
    [
        ('images/2.png', 'images/2.png'),
        ('./images//2.png', 'images/2.png'),
        ('images\\2.png', 'images/2.png'),
        ('C:\\Users\\me\\shop\\images\\2.png', 'images/2.png'),
        ('C:2.png', 'images/2.png'),
        ('file:///srv/shop/images/2.png', 'images/2.png'),
        ('/srv/shop/images/2.png', 'images/2.png'),
        ('  images/2.png ', 'images/2.png'),
        ('images/shoe 1.jpg', 'images/Shoe 1.JPG'),
        ('IMAGES/SHOE 1', 'images/Shoe 1.JPG'),
        ('images/2', 'images/2.png'),
        ('2.png', 'images/2.png'),  # without its folder
        ('7.jpg', 'pics/a/7.jpg'),
        ('8.jpg', None),  # hidden folders are not searched
        ('v1.2', 'images/v1.2.png'),
        ('v1', None),
        ('other/2.png', None),  # an equal name in another folder may be another image
        ('other/3.webp', None),
        ('/srv/other/3.webp', '3.webp'),
        ('twice.png', None),
        ('pics/a/7.jpg', 'pics/a/7.jpg'),
        ('3.webp', '3.webp'),
        ('2.jpg', None),  # another suffix may be another image
        ('4.png', None),
        ('../secret.png', None),
        ('', None),
        ('..', None),
        ('images', None),
    ],
)
def test_find(folder, cell, path):
    assert folder.find(cell) == (path and f'{folder.root}/{path}')


def test_images_of_one_name_but_for_its_case(tmp_path):
    for name in ('a.JPG', 'A.jpg'):
        (tmp_path / name).write_bytes(b'')
    folder = ImageFolder(str(tmp_path))
    assert folder.find('a.JPG').endswith('/a.JPG') and folder.find('A.jpg').endswith('/A.jpg')
