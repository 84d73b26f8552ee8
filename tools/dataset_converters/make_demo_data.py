"""Draw the demo's products and write them as Fashion-Gen files, training and validation.

    tools/dataset_converters/make_demo_data.py work_dirs/demo/data

A product is a cut (sub-category) with colour, pattern, second colour and material. Its caption
names all of them, its views show them. Products of one cut differ in nothing else, so retrieval
needs both text and image.
"""

import argparse
import os
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter
from rich.progress import track

_HUES = {
    'red': (220, 20, 20),
    'yellow': (250, 220, 20),
    'green': (30, 150, 40),
    'blue': (30, 60, 220),
}
# 'light red', 'dark red', ...: the hue mixed with white or black
COLOURS = {
    f'{tone} {hue}': tuple(round(share * c + (1 - share) * mixed) for c in rgb)
    for tone, mixed, share in (('light', 255, 0.6), ('dark', 0, 0.5))
    for hue, rgb in _HUES.items()
}
PATTERNS = {
    'plain': 'No print.',
    'striped': '{second} stripes.',
    'dotted': '{second} dots.',
    'checked': '{second} lines.',
}
MATERIALS = ('cotton', 'leather', 'wool')

# Half outlines, clockwise from the top middle, in units of the image's side; x is mirrored.
_TOP = [(0.5, 0.2), (0.58, 0.16), (0.68, 0.18)]
CUTS: dict[str, tuple[str, list[tuple[float, float]]]] = {
    'T-SHIRTS': (
        'TOPS',
        [*_TOP, (0.88, 0.36), (0.78, 0.45), (0.7, 0.37), (0.7, 0.85), (0.5, 0.85)],
    ),
    'TANK TOPS': (
        'TOPS',
        [(0.5, 0.34), (0.57, 0.3), (0.6, 0.15), (0.66, 0.15), (0.7, 0.4), (0.7, 0.85), (0.5, 0.85)],
    ),
    'LONG SLEEVES': (
        'TOPS',
        [*_TOP, (0.8, 0.28), (0.93, 0.78), (0.83, 0.81), (0.7, 0.42), (0.7, 0.85), (0.5, 0.85)],
    ),
    'SHORTS': (
        'TROUSERS',
        [(0.5, 0.25), (0.7, 0.25), (0.78, 0.68), (0.54, 0.68), (0.5, 0.45)],
    ),
    'STRAIGHT LEG': (
        'TROUSERS',
        [(0.5, 0.1), (0.66, 0.1), (0.7, 0.92), (0.55, 0.92), (0.5, 0.38)],
    ),
    'FLARED': (
        'TROUSERS',
        [(0.5, 0.1), (0.66, 0.1), (0.66, 0.55), (0.84, 0.92), (0.56, 0.92), (0.5, 0.38)],
    ),
    'MINI SKIRTS': (
        'SKIRTS',
        [(0.5, 0.28), (0.64, 0.28), (0.86, 0.7), (0.5, 0.74)],
    ),
    'PENCIL SKIRTS': (
        'SKIRTS',
        [(0.5, 0.12), (0.64, 0.12), (0.7, 0.4), (0.64, 0.88), (0.5, 0.88)],
    ),
    'ANKLE BOOTS': (
        'SHOES',
        [(0.3, 0.2), (0.56, 0.2), (0.58, 0.5), (0.88, 0.66), (0.9, 0.8), (0.26, 0.8)],
    ),
    'SNEAKERS': (
        'SHOES',
        [
            (0.12, 0.46),
            (0.3, 0.46),
            (0.4, 0.52),
            (0.56, 0.44),
            (0.92, 0.66),
            (0.92, 0.76),
            (0.1, 0.76),
        ],
    ),
    'TOTE BAGS': (
        'BAGS',
        [
            (0.5, 0.38),
            (0.58, 0.38),
            (0.62, 0.12),
            (0.66, 0.12),
            (0.64, 0.38),
            (0.82, 0.38),
            (0.86, 0.86),
            (0.5, 0.86),
        ],
    ),
    'BACKPACKS': (
        'BAGS',
        [(0.5, 0.14), (0.64, 0.18), (0.74, 0.32), (0.76, 0.86), (0.5, 0.9)],
    ),
}
_ONE_SIDED = ('ANKLE BOOTS', 'SNEAKERS')
VIEWS = ('front', 'turned', 'back', 'detail')


class Product(NamedTuple):
    """The properties of one product, in its captions and images."""

    product_id: int
    cut: str
    colour: str
    pattern: str
    second: str
    material: str

    @property
    def main_category(self) -> str:
        """E.g. TOPS."""
        return CUTS[self.cut][0]

    @property
    def name(self) -> str:
        """The title a shopper sees."""
        pattern = '' if self.pattern == 'plain' else f' {self.pattern}'
        return f'{self.colour}{pattern} {self.material} {self.cut.lower()}'.title()

    @property
    def description(self) -> str:
        """The text below the title."""
        return PATTERNS[self.pattern].format(second=self.second).capitalize()


def draw_products(per_cut: int, seed: int, first_id: int = 1) -> list[Product]:
    """Different products, ``per_cut`` of each cut, in random order.

    Raises:
        ValueError: more products than different looks.
    """
    if per_cut > 500:
        raise ValueError(f'{per_cut} products a cut: too few different looks; give 500 or fewer')
    draw = random.Random(seed)
    products = []
    for cut in CUTS:
        looks: dict[tuple[str, str, str, str], None] = {}
        while len(looks) < per_cut:
            colour, second = draw.sample(list(COLOURS), 2)
            pattern = draw.choice(list(PATTERNS))
            material = draw.choice(MATERIALS)
            looks.setdefault((colour, pattern, '' if pattern == 'plain' else second, material))
        products += [(cut, *look) for look in looks]
    draw.shuffle(products)
    return [Product(first_id + i, *product) for i, product in enumerate(products)]


def split_products(products: Sequence[Product], train: int) -> tuple[list[Product], list[Product]]:
    """The first ``train`` products of each cut, and the rest; no look is in both."""
    seen: Counter[str] = Counter()
    splits: tuple[list[Product], list[Product]] = ([], [])
    for product in products:
        splits[seen[product.cut] >= train].append(product)
        seen[product.cut] += 1
    return splits


def render(product: Product, view: str, side: int, seed: int) -> np.ndarray:
    """An image of the product on white, uint8 (side, side, 3), RGB.

    Args:
        view: 'front', 'turned' (narrower, at an angle), 'back' (mirrored) or 'detail' (closer).
        side: pixels.
        seed: of small differences in position and size.
    """
    draw = random.Random(f'{seed}:{product.product_id}:{view}')
    big = 2 * side
    outline = _outline(product.cut, big)
    cloth = _cloth(product, big, draw)
    line = 2 * max(big // 100, 1) + 1  # a filter of 1 crashes some releases of Pillow
    edge = ImageChops.subtract(outline, outline.filter(ImageFilter.MinFilter(line)))
    cloth.paste(tuple(c // 2 for c in COLOURS[product.colour]), mask=edge)
    image = Image.new('RGB', (big, big), 'white')
    image.paste(cloth, mask=outline)
    if view == 'back':
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    width = draw.uniform(0.7, 0.8) if view == 'turned' else 1.0
    zoom = draw.uniform(1.5, 1.7) if view == 'detail' else draw.uniform(1.0, 1.15)
    angle = np.deg2rad(draw.uniform(-12, 12) if view == 'turned' else draw.uniform(-4, 4))
    shift = [draw.uniform(-0.04, 0.04) * big for _ in range(2)]
    image = image.transform(
        (big, big),
        Image.Transform.AFFINE,
        _affine(big, width * zoom, zoom, float(angle), shift),
        Image.Resampling.BILINEAR,
        fillcolor='white',
    )
    return np.asarray(image.resize((side, side), Image.Resampling.BOX))


def write_fashion_gen(
    path: str | Path,
    products: Sequence[Product],
    views: int = 3,
    side: int = 64,
    seed: int = 0,
) -> Iterator[int]:
    """Write products as a Fashion-Gen split; yields the number of products drawn so far.

    The file gets its name when it is whole.

    Args:
        path: the ``.h5`` file.
        products: rows follow their order, ``views`` rows a product.
        views: 1 to 4 images a product.
        side: of the images; the real files have 256.
        seed: of the images.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f'.{path.name}.{os.getpid()}')
    rows = [(product, view) for product in products for view in VIEWS[:views]]
    try:
        with h5py.File(partial, 'w') as file:
            for key, values in _columns(rows).items():
                file[key] = values
            images = file.create_dataset('input_image', (len(rows), side, side, 3), np.uint8)
            for row, (product, view) in enumerate(rows):
                images[row] = render(product, view, side, seed)
                if (row + 1) % views == 0:
                    yield (row + 1) // views
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _columns(rows: Sequence[tuple[Product, str]]) -> dict[str, np.ndarray]:
    """The 15 columns beside the images, (N, 1) each except ``index_2``; text in latin-1."""

    def text(values: Iterable[str]) -> np.ndarray:
        return np.array([value.encode('latin-1') for value in values])[:, None]

    count = np.arange(len(rows))
    same = dict(
        input_brand='Mvlt Atelier',
        input_department='Clothing',
        input_gender='Women',
        input_season='SS2017',
    )
    return {
        'index': count[:, None],
        'index_2': count,
        'input_productID': np.array([p.product_id for p, _ in rows], np.int32)[:, None],
        'input_msrpUSD': np.array([50.0 + p.product_id % 450 for p, _ in rows])[:, None],
        'input_name': text(p.name for p, _ in rows),
        'input_description': text(p.description for p, _ in rows),
        'input_concat_description': text(f'{p.name} {p.description}' for p, _ in rows),
        'input_composition': text(f'100% {p.material}.' for p, _ in rows),
        'input_category': text(p.main_category for p, _ in rows),
        'input_subcategory': text(p.cut for p, _ in rows),
        'input_pose': text(f'id_gridfs_{VIEWS.index(view) + 1}' for _, view in rows),
        **{key: text([value] * len(rows)) for key, value in same.items()},
    }


def _outline(cut: str, big: int) -> Image.Image:
    half = CUTS[cut][1]
    points = half if cut in _ONE_SIDED else half + [(1 - x, y) for x, y in half[::-1]]
    mask = Image.new('L', (big, big), 0)
    ImageDraw.Draw(mask).polygon([(x * big, y * big) for x, y in points], fill=255)
    return mask


def _cloth(product: Product, big: int, draw: random.Random) -> Image.Image:
    """A square of the product's fabric."""
    cloth = Image.new('RGB', (big, big), COLOURS[product.colour])
    pen = ImageDraw.Draw(cloth)
    second = COLOURS.get(product.second, COLOURS[product.colour])
    step = big // 8
    start = draw.randrange(step)
    lines = range(start - step, big, step)
    if product.pattern == 'striped':
        for y in lines:
            pen.rectangle((0, y, big, y + step // 2), fill=second)
    elif product.pattern == 'checked':
        for at in lines:
            pen.rectangle((at, 0, at + step // 4, big), fill=second)
            pen.rectangle((0, at, big, at + step // 4), fill=second)
    elif product.pattern == 'dotted':
        for row, y in enumerate(lines):
            for x in lines:
                left = x + (row % 2) * step // 2
                pen.ellipse((left, y, left + step // 2, y + step // 2), fill=second)
    return _textured(cloth, product.material, big, draw)


def _textured(cloth: Image.Image, material: str, big: int, draw: random.Random) -> Image.Image:
    y, x = np.mgrid[:big, :big] / big
    if material == 'cotton':
        light: np.ndarray = np.zeros((big, big))
    elif material == 'leather':
        light = 110 * np.exp(-(((x - 0.3 - 0.4 * y) / 0.1) ** 2)) - 10
    else:
        noise = np.random.default_rng(draw.getrandbits(32)).normal(0, 34, (32, 32))
        light = np.asarray(Image.fromarray(noise).resize((big, big), Image.Resampling.NEAREST))
    shaded = np.asarray(cloth, dtype=np.float32) + light[..., None]
    return Image.fromarray(shaded.clip(0, 255).astype(np.uint8))


def _affine(
    big: int, width: float, height: float, angle: float, shift: Sequence[float]
) -> tuple[float, ...]:
    """Pillow's six numbers: from a position in the new image to that in the old image."""
    cos, sin, middle = np.cos(angle), np.sin(angle), big / 2
    a, b, d, e = cos / width, sin / width, -sin / height, cos / height
    dx, dy = middle + shift[0], middle + shift[1]
    return (a, b, middle - a * dx - b * dy, d, e, middle - d * dx - e * dy)


def main() -> None:
    """Parse, and write the missing files."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('out', type=Path)
    parser.add_argument('--train', type=int, default=250, help='products a sub-category')
    parser.add_argument('--validation', type=int, default=105, help='products a sub-category')
    parser.add_argument('--views', type=int, default=3, help='images a product, 1 to 4')
    parser.add_argument('--side', type=int, default=64, help='of the images, pixels')
    parser.add_argument('--seed', type=int, default=0)
    args = parser.parse_args()
    splits = split_products(draw_products(args.train + args.validation, args.seed), args.train)
    for split, products in zip(('train', 'validation'), splits):
        path = args.out / f'fashiongen_{args.side}_{args.side}_{split}.h5'
        if path.exists():
            print(f'{path} exists')
            continue
        for _ in track(
            write_fashion_gen(path, products, args.views, args.side, args.seed),
            description=f'drawing {split}',
            total=len(products),
        ):
            pass
        print(
            f'{path}: {len(products)} products, {len(CUTS)} sub-categories, {args.views} views each'
        )


if __name__ == '__main__':
    main()
