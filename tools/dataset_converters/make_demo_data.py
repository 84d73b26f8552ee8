"""Draw the demo's products and write them as Fashion-Gen files, training and validation.

tools/dataset_converters/make_demo_data.py work_dirs/demo/data
"""

import argparse
from pathlib import Path

from rich.progress import track

from mvlt.datasets.synthetic import CUTS, draw_products, split_products, write_fashion_gen


def main() -> None:
    """Parse and write what is not there yet."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('out', type=Path)
    parser.add_argument('--train', type=int, default=250, help='products a sub-category')
    parser.add_argument('--validation', type=int, default=105, help='products a sub-category')
    parser.add_argument('--views', type=int, default=3, help='pictures a product, 1 to 4')
    parser.add_argument('--side', type=int, default=64, help='of the pictures, pixels')
    parser.add_argument('--seed', type=int, default=0)
    args = parser.parse_args()
    splits = split_products(draw_products(args.train + args.validation, args.seed), args.train)
    for split, products in zip(('train', 'validation'), splits):
        path = args.out / f'fashiongen_{args.side}_{args.side}_{split}.h5'
        if path.exists():
            print(f'{path} is there already')
            continue
        for _ in track(
            write_fashion_gen(path, products, args.views, args.side, args.seed),
            description=f'drawing {split}',
            total=len(products),
        ):
            pass
        print(f'{path}: {len(products)} products of {len(CUTS)} kinds, {args.views} views each')


if __name__ == '__main__':
    main()
