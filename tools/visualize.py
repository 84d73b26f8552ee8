"""Draw the paper's figures for your model and data, as PNG files and as one page.

    tools/visualize.py architecture   configs/mvlt/pretrain_fashiongen.py                # Fig. 3
    tools/visualize.py units          configs/mvlt/generation_catalogue.py               # Fig. 4
    tools/visualize.py retrieval      configs/mvlt/retrieval_catalogue.py   CHECKPOINT   # Fig. 5
    tools/visualize.py recognition    configs/mvlt/recognition_catalogue.py CHECKPOINT   # Fig. 6
    tools/visualize.py reconstruction configs/mvlt/generation_catalogue.py  CHECKPOINT   # Fig. 7
    tools/visualize.py masks          configs/mvlt/generation_catalogue.py [CHECKPOINT]  # Fig. 8
    tools/visualize.py attention      configs/mvlt/retrieval_catalogue.py   CHECKPOINT   # [CLS]

--ids 10000 10017 draws these products in one figure, as in the paper. Without --ids, the figure
shows the best and the worst of --pool evenly spaced records of the config's test data.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.runner import set_random_seed

from mvlt.checkpoints.loading import load_model
from mvlt.config import heads_of, load_config, section, with_classes
from mvlt.datasets import (
    CentreMask,
    GridMask,
    ImageMask,
    PairDataset,
    RandomGridMask,
    StrokeMask,
)
from mvlt.engine.launch import build_runner
from mvlt.engine.loops.ranking import RankingLoop
from mvlt.engine.resolve import resolve, work_dir_of
from mvlt.files import file_sha256, written_whole
from mvlt.registry import DATASETS, LOOPS, MODELS
from mvlt.structures import CATEGORIES
from mvlt.tools.command_line import add_options, config_from, run_command
from mvlt.tools.figures.architecture import draw_architecture
from mvlt.tools.figures.attention import attention_rows
from mvlt.tools.figures.categories import category_cells
from mvlt.tools.figures.page import write_sheet
from mvlt.visualization import (
    Cell,
    Row,
    Section,
    hide,
    in_rows,
    ranking_rows,
    reconstruction_cells,
)

STYLES = (RandomGridMask, GridMask, StrokeMask, CentreMask)
ALPHAS = (1, 2, 4, 8)
_MASKED = 'configs/mvlt/generation_catalogue.py'


def main() -> None:
    """Parse, predict, draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('kind', choices=KINDS)
    add_options(parser)
    parser.add_argument(
        'checkpoint',
        nargs='?',
        help='.pth, .safetensors or a published model folder; optional for architecture, units and '
        'masks',
    )
    parser.add_argument('--out', type=Path, help='folder; default <work dir>/images/<kind>')
    parser.add_argument('--ids', nargs='+', metavar='ID', help='products to draw')
    parser.add_argument('--count', type=int, default=6, help='number of best and of worst cases')
    parser.add_argument('--pool', type=int, default=200, help='number of records to choose from')
    args = parser.parse_args()
    if not 1 <= args.count <= args.pool:
        raise ValueError(f'--count {args.count} --pool {args.pool}: give 1 <= count <= pool')
    if args.checkpoint is None and args.kind not in _WITHOUT:
        raise ValueError(f'{args.kind} needs a model: name its CHECKPOINT behind the config')
    if args.kind == 'retrieval':
        args.cfg_options = {**args.cfg_options, **_pool_of(args)}
    config = config_from(args)
    facts = dict(config=args.config)
    args.model = args.checkpoint
    if args.checkpoint is not None:
        config = resolve(config, 'test', args.checkpoint, work_dir=args.work_dir)
        args.checkpoint = config.load_from
        facts['checkpoint'] = file_sha256(args.checkpoint)[:12]
    elif args.kind != 'architecture':
        config = resolve(config, 'data', work_dir=args.work_dir)
    set_random_seed(config.randomness.get('seed') or 0)
    folder = args.out or Path(work_dir_of(config, args.work_dir)) / 'pictures' / args.kind
    if args.kind == 'architecture':
        written = architecture(config, folder)
    else:
        written = write_sheet(folder, f'MVLT: {args.kind}', KINDS[args.kind](config, args), facts)
    print('\n'.join(map(str, written)))


def _pool_of(args: argparse.Namespace) -> dict[str, Any]:
    """Options of a ranking of some queries; no results are written.

    Raises:
        ValueError: the config is no ranking.
    """
    example = 'configs/mvlt/retrieval_catalogue.py'
    settings = section(load_config(args.config), 'test_cfg', example)
    if not issubclass(LOOPS.get(settings.type), RankingLoop):
        raise ValueError(f'{args.config}: its test_cfg is no ranking; take e.g. {example}')
    options: dict[str, Any] = {'default_hooks.results': None}
    if 'num_queries' in settings:
        options |= {'test_cfg.num_queries': args.pool, 'test_cfg.products': args.ids}
    return options


def architecture(config: Config, folder: Path) -> list[Path]:
    """Draw the config's model with its sizes."""
    uncounted = [
        head.get('label', name)
        for name, head in heads_of(config.model).items()
        if head.get('num_classes') == 'data'
    ]
    one_each = {label: ['?'] for label in (*CATEGORIES, *uncounted)}
    with torch.device('meta'):  # a drawing needs no data
        model = MODELS.build(with_classes(config.model, one_each, 'the drawing'))
    written = []
    for kind in ('png', 'svg'):
        path = folder / f'architecture.{kind}'
        with written_whole(path) as file:
            name = Path(str(config.filename)).stem
            file.write(draw_architecture(model, name, kind, uncounted))
        written.append(path)
    return written


def units(config: Config, args: argparse.Namespace) -> list[Section]:
    """Masking units of (alpha x P) pixels, side by side on the same products."""
    pipeline_mask, frames = _frames(config, args)
    rows = []
    for image, words in frames:
        cells = [Cell(image, words)]
        for alpha in ALPHAS:
            unit = alpha * pipeline_mask.patch_size
            if image.shape[0] % unit or image.shape[1] % unit:
                continue
            mask = RandomGridMask(_ratio(pipeline_mask), alpha, pipeline_mask.patch_size)
            hidden = mask(dict(img=image))['image_mask']
            label = f'alpha {alpha}: {hidden.sum()} of {hidden.size} units of {unit} pixels'
            cells.append(Cell(hide(image, hidden), label))
        rows.append(Row('', tuple(cells)))
    note = (
        f'{_ratio(pipeline_mask):.0%} of the units masked; P = {pipeline_mask.patch_size} pixels.'
    )
    return [Section('units', 'Masking units', note, tuple(rows))]


def retrieval(config: Config, args: argparse.Namespace) -> list[Section]:
    """Queries whose match ranks first and last, or the named products, both directions."""
    runner = build_runner(config, 'test', args.model, work_dir=args.work_dir)
    runner.test()
    loop: Any = runner.test_loop
    dataset, name = loop.dataloader.dataset, loop.protocol['name']
    rerank = dict(rerank=loop.rerank)
    scores = 'Similarity' if loop.rerank is None else 'Matching probability'
    if args.ids:
        rows: list[Row] = []
        for direction in ('tir', 'itr'):
            of_product = {
                dataset.get_data_info(result['query'])['product_id']: result
                for result in reversed(loop.results)
                if result['direction'] == direction
            }
            missing = [product for product in args.ids if product not in of_product]
            if missing:
                raise ValueError(
                    f'--ids {" ".join(missing)}: not among the queries of {direction}; take e.g. '
                    f'{", ".join(list(of_product)[:5])} (equal captions are one query; a candidate '
                    'file has its own queries)'
                )
            chosen = [of_product[product] for product in args.ids]
            rows += ranking_rows(dataset, chosen, **rerank)
        note = f'Protocol {name}. {scores}; green: the match.'
        return [Section('retrieval', 'Text to image, image to text', note, tuple(rows))]
    sections = []
    for direction, title in (('tir', 'Text to image'), ('itr', 'Image to text')):
        results = [result for result in loop.results if result['direction'] == direction]
        results.sort(key=lambda result: result['rank'])
        for which, chosen in (('best', results[: args.count]), ('worst', results[-args.count :])):
            sections.append(
                Section(
                    f'{direction}_{which}',
                    f'{title}, {which}',
                    f'Of {len(results)} queries, those whose match ranks '
                    f'{"first" if which == "best" else "last"}; protocol {name}. '
                    f'{scores}; green: the match.',
                    ranking_rows(dataset, chosen, **rerank),
                )
            )
    return sections


def recognition(config: Config, args: argparse.Namespace) -> list[Section]:
    """Products whose true class is most and least probable, or the named products."""
    model, dataset = load_model(config, args.checkpoint), _dataset(config)
    cards = category_cells(model, dataset, _rows(dataset, args, args.pool))
    measure = 'probability of the true class (green)'
    if args.ids:
        cells = [cell for _, cell in cards]
        return [Section('recognition', 'Categories', f'With the {measure}.', in_rows(cells, 4))]
    return _best_and_worst(
        [(probability, (cell,)) for probability, cell in cards], args.count, 'Categories', measure
    )


def reconstruction(config: Config, args: argparse.Namespace) -> list[Section]:
    """Images reconstructed best and worst, or the named products."""
    model, dataset = load_model(config, args.checkpoint), _dataset(config)
    cards = reconstruction_cells(model, dataset, _rows(dataset, args, args.pool))
    measure = 'PSNR of the masked part; the model sees the rest and the caption'
    title = 'Masked, reconstructed, original'
    if args.ids:
        cells = [cell for _, three in cards for cell in three]
        return [Section('reconstruction', title, f'With the {measure}.', in_rows(cells, 6))]
    return _best_and_worst(cards, args.count, title, measure)


def _best_and_worst(
    cards: Sequence[tuple[float, Sequence[Cell]]], count: int, title: str, measure: str
) -> list[Section]:
    """Cards of the ``count`` highest and of the ``count`` lowest values."""
    ordered = sorted(cards, key=lambda card: -card[0])
    return [
        Section(
            name,
            f'{title}: {name}',
            f'Of {len(ordered)} products, those with the {which} {measure}.',
            in_rows([cell for _, cells in chosen for cell in cells], 6),
        )
        for name, which, chosen in (
            ('best', 'highest', ordered[:count]),
            ('worst', 'lowest', ordered[-count:]),
        )
    ]


def masks(config: Config, args: argparse.Namespace) -> list[Section]:
    """The four mask styles on the same products, and the reconstruction of each."""
    pipeline_mask, frames = _frames(config, args)
    ratio, alpha = _ratio(pipeline_mask), pipeline_mask.unit // pipeline_mask.patch_size
    styles = [style(ratio, alpha, pipeline_mask.patch_size) for style in STYLES]
    cells = [[Cell(image, words)] for image, words in frames]
    if args.checkpoint is None:
        for style in styles:
            for card, (image, _) in zip(cells, frames):
                hidden = style(dict(img=image))['image_mask']
                card.append(Cell(hide(image, hidden), type(style).__name__))
    else:
        model, dataset = load_model(config, args.checkpoint), _dataset(config)
        transforms = dataset.pipeline.transforms
        position = transforms.index(dataset.pipeline.find(ImageMask))
        chosen = _rows(dataset, args, max(1, args.count // 2))
        for style in styles:
            transforms[position] = style
            reconstructed = reconstruction_cells(model, dataset, chosen)
            for card, (_, (masked, rebuilt, _original)) in zip(cells, reconstructed):
                card += [masked._replace(words=type(style).__name__), rebuilt]
    note = f'{ratio:.0%} masked, by units of {pipeline_mask.unit} pixels or by pixels.'
    return [Section('masks', 'Mask styles', note, tuple(Row('', tuple(card)) for card in cells))]


def attention(config: Config, args: argparse.Namespace) -> list[Section]:
    """What [CLS] attends to."""
    model, dataset = load_model(config, args.checkpoint), _dataset(config)
    tokenize = dataset.pipeline.tokenize()
    rows = _rows(dataset, args, args.count)
    return [
        Section(
            'attention',
            'What [CLS] attends to',
            'Last layer of each stage, mean over heads. Red: most of the weight on the image; '
            'bars: the tokens with most weight.',
            attention_rows(model, dataset, rows, tokenize.tokenizer),
        )
    ]


def _ratio(mask: ImageMask) -> float:
    """Its ratio; the paper's 0.5 if it has none (strokes as released)."""
    return 0.5 if mask.ratio is None else mask.ratio


def _dataset(config: Config) -> PairDataset:
    return DATASETS.build(section(config, 'test_dataloader', _MASKED).dataset)


def _frames(
    config: Config, args: argparse.Namespace
) -> tuple[ImageMask, list[tuple[np.ndarray, str]]]:
    """The test pipeline's mask, and its input images, uint8 (H, W, 3), with captions."""
    settings = section(config, 'test_dataloader', _MASKED).dataset
    whole = DATASETS.build(settings)
    mask = whole.pipeline.find(ImageMask)
    if mask is None:
        raise ValueError(
            f'{args.config}: its test pipeline masks no image; take a config with an image mask, '
            f'e.g. {_MASKED}'
        )
    whole.pipeline, _ = whole.pipeline.around(ImageMask)
    rows = _rows(whole, args, max(1, args.count // 2))
    return mask, [
        (record['img'], record['caption']) for record in (whole.prepare_data(row) for row in rows)
    ]


def _rows(dataset: PairDataset, args: argparse.Namespace, count: int) -> list[int]:
    """The first row of each named product, or evenly spaced rows.

    Raises:
        ValueError: an unknown product.
    """
    if not args.ids:
        count = min(count, len(dataset))
        return np.linspace(0, len(dataset) - 1, count).astype(int).tolist()
    first: dict[str, int] = {}
    for row in range(len(dataset)):
        first.setdefault(dataset.get_data_info(row)['product_id'], row)
    unknown = [product for product in args.ids if product not in first]
    if unknown:
        raise ValueError(
            f'--ids {" ".join(unknown)}: no such product in the test data; take e.g. '
            f'{", ".join(list(first)[:5])}'
        )
    return [first[product] for product in args.ids]


_WITHOUT = ('architecture', 'units', 'masks')
KINDS: dict[str, Any] = dict(
    architecture=architecture,
    units=units,
    retrieval=retrieval,
    recognition=recognition,
    reconstruction=reconstruction,
    masks=masks,
    attention=attention,
)


if __name__ == '__main__':
    run_command(main)
