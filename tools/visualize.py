"""Draw what a trained model does, best and worst cases, as PNG and as one page.

    tools/visualize.py retrieval      configs/mvlt/retrieval_catalogue.py   CHECKPOINT   # Fig. 5
    tools/visualize.py recognition    configs/mvlt/recognition_catalogue.py CHECKPOINT   # Fig. 6
    tools/visualize.py reconstruction configs/mvlt/generation_catalogue.py  CHECKPOINT   # Fig. 7
    tools/visualize.py masks          configs/mvlt/generation_catalogue.py  CHECKPOINT   # Fig. 8
    tools/visualize.py attention      configs/mvlt/retrieval_catalogue.py   CHECKPOINT   # [CLS]

Best and worst are looked for among --pool records of the config's test data, at even distances.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.runner import set_random_seed

from mvlt.apis import load_model
from mvlt.datasets import (
    CentreMask,
    GridMask,
    ImageMask,
    PairDataset,
    RandomGridMask,
    StrokeMask,
    Tokenize,
)
from mvlt.engine.checkpoint import file_sha256
from mvlt.engine.command_line import add_options, config_from, run_command
from mvlt.engine.config import section
from mvlt.engine.launch import build_runner
from mvlt.engine.model_folder import use_checkpoint
from mvlt.engine.ranking_loop import RankingLoop
from mvlt.registry import DATASETS, LOOPS
from mvlt.visualization import (
    Cell,
    Row,
    Section,
    attention_rows,
    category_cells,
    in_rows,
    ranking_rows,
    reconstruction_cells,
    write_sheet,
)

STYLES = (RandomGridMask, GridMask, StrokeMask, CentreMask)


def main() -> None:
    """Parse, ask the model, draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('kind', choices=KINDS)
    add_options(parser)
    parser.add_argument('checkpoint', help='.pth, .safetensors or a published model folder')
    parser.add_argument('--out', type=Path, help='folder; default <work dir>/pictures/<kind>')
    parser.add_argument('--count', type=int, default=6, help='best cases and worst cases to draw')
    parser.add_argument('--pool', type=int, default=200, help='records to look among')
    args = parser.parse_args()
    if not 1 <= args.count <= args.pool:
        raise ValueError(f'--count {args.count} --pool {args.pool}: 1 <= count <= pool is needed')
    config = config_from(args)
    args.checkpoint = use_checkpoint(config, args.checkpoint)
    set_random_seed(config.randomness.get('seed') or 0)
    sections = KINDS[args.kind](config, args)
    written = write_sheet(
        args.out or Path(config.work_dir) / 'pictures' / args.kind,
        f'MVLT: {args.kind}',
        sections,
        dict(config=args.config, checkpoint=file_sha256(args.checkpoint)[:12]),
    )
    print('\n'.join(map(str, written)))


def retrieval(config: Config, args: argparse.Namespace) -> list[Section]:
    """Queries whose match ranks first and last, both directions."""
    example = 'configs/mvlt/retrieval_catalogue.py'
    settings = section(config, 'test_cfg', example)
    kind = LOOPS.get(settings.type)
    if not issubclass(kind, RankingLoop):
        raise ValueError(f'{args.config}: its test_cfg ranks nothing; take e.g. {example}')
    if 'num_queries' in settings:
        settings.num_queries = args.pool
    config.resume = False
    runner = build_runner(config, args.launcher)
    runner.test()
    loop: Any = runner.test_loop
    sections = []
    for direction, title in (('tir', 'Text to image'), ('itr', 'Image to text')):
        found = [one for one in loop.results if one['direction'] == direction]
        found.sort(key=lambda one: one['rank'])
        for name, chosen in (('best', found[: args.count]), ('worst', found[-args.count :])):
            sections.append(
                Section(
                    f'{direction}_{name}',
                    f'{title}, {name}',
                    f'Of {len(found)} queries those whose match ranks '
                    f'{"first" if name == "best" else "last"}; protocol {loop.protocol["name"]}. '
                    'Matching probability; green: the match.',
                    ranking_rows(loop.dataloader.dataset, chosen),
                )
            )
    return sections


def recognition(config: Config, args: argparse.Namespace) -> list[Section]:
    """Products whose truth gets most and least probability."""
    model, dataset = load_model(config, args.checkpoint), _dataset(config)
    found = category_cells(model, dataset, _pool(dataset, args.pool))
    return _best_and_worst(
        [(probability, (cell,)) for probability, cell in found],
        args.count,
        'Categories',
        'probability of the truth, which is green',
    )


def reconstruction(config: Config, args: argparse.Namespace) -> list[Section]:
    """Pictures rebuilt best and worst."""
    model, dataset = load_model(config, args.checkpoint), _dataset(config)
    return _best_and_worst(
        reconstruction_cells(model, dataset, _pool(dataset, args.pool)),
        args.count,
        'Masked, rebuilt, original',
        'PSNR over the hidden part; the model sees the rest and the caption',
    )


def _best_and_worst(
    found: Sequence[tuple[float, Sequence[Cell]]], count: int, title: str, measure: str
) -> list[Section]:
    """Cards of the ``count`` highest and of the ``count`` lowest values."""
    ordered = sorted(found, key=lambda one: -one[0])
    return [
        Section(
            name,
            f'{title}: {name}',
            f'Of {len(ordered)} products those with the {which} {measure}.',
            in_rows([cell for _, cells in chosen for cell in cells], 6),
        )
        for name, which, chosen in (
            ('best', 'highest', ordered[:count]),
            ('worst', 'lowest', ordered[-count:]),
        )
    ]


def masks(config: Config, args: argparse.Namespace) -> list[Section]:
    """The four mask styles on the same products, and what the model makes of each."""
    model, dataset = load_model(config, args.checkpoint), _dataset(config)
    transforms = dataset.pipeline.transforms
    place = next((i for i, one in enumerate(transforms) if isinstance(one, ImageMask)), None)
    if place is None:
        raise ValueError(
            f'{args.config}: its test pipeline hides nothing; take one with an image mask, e.g. '
            'configs/mvlt/generation_catalogue.py'
        )
    own = transforms[place]
    rows = []
    for style in STYLES:
        transforms[place] = style(own.ratio, own.unit // own.patch_size, own.patch_size)
        cells: list[Cell] = []
        for _, (masked, rebuilt, _original) in reconstruction_cells(
            model, dataset, _pool(dataset, max(1, args.count // 2))
        ):
            cells += [masked._replace(words='masked'), rebuilt]
        rows.append(Row(style.__name__, tuple(cells)))
    note = f'{own.ratio:.0%} of the units of {own.unit} pixels hidden, beside what is rebuilt.'
    return [Section('masks', 'Mask styles', note, tuple(rows))]


def attention(config: Config, args: argparse.Namespace) -> list[Section]:
    """Where [CLS] looks."""
    model, dataset = load_model(config, args.checkpoint), _dataset(config)
    tokenizers = [one for one in dataset.pipeline.transforms if isinstance(one, Tokenize)]
    if not tokenizers:
        raise ValueError(f'{args.config}: its test pipeline has no Tokenize')
    return [
        Section(
            'attention',
            'Where [CLS] looks',
            'Last layer of each stage, mean over heads. Red: most of the weight on the picture; '
            'bars: the words with most weight.',
            attention_rows(model, dataset, _pool(dataset, args.count), tokenizers[0].vocabulary),
        )
    ]


def _dataset(config: Config) -> PairDataset:
    loader = section(config, 'test_dataloader', 'configs/mvlt/generation_catalogue.py')
    return DATASETS.build(loader.dataset)


def _pool(dataset: PairDataset, count: int) -> list[int]:
    """So many rows, fewer where there are fewer, at even distances."""
    count = min(count, len(dataset))
    return np.linspace(0, len(dataset) - 1, count).astype(int).tolist()


KINDS = dict(
    retrieval=retrieval,
    recognition=recognition,
    reconstruction=reconstruction,
    masks=masks,
    attention=attention,
)


if __name__ == '__main__':
    run_command(main)
