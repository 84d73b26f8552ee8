"""The shop of the tests of resolving."""

import numpy as np
import pytest
from PIL import Image

from tests.engine.resolve.shop_table import write_table


@pytest.fixture
def shop(tmp_path):
    """36 products of three kinds under the packaged configs' column names, and a second table."""
    root = tmp_path / 'shop'
    (root / 'images').mkdir(parents=True)
    rows = []
    for i in range(36):
        noise = np.random.default_rng(i).integers(0, 255, (32, 32, 3), np.uint8)
        Image.fromarray(noise).save(root / f'images/{i}.png')
        kind = ('Shoes', 'Hats', 'Bags')[i % 3]
        rows.append(
            dict(
                id=str(i + 2),
                image=f'images/{i}.png',
                productDisplayName=f'thing {i} of {kind}',
                subCategory=kind,
                articleType=f'{kind} {i % 2}',
                baseColour=('red', 'blue')[i % 2],
            )
        )
    write_table(root, rows)
    return root
