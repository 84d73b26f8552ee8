"""Write a trained model as one folder: weights, architecture, tokenizer, categories, card.

    tools/model_converters/publish.py work_dirs/pretrain_catalogue/iter_6000.pth MY_MODEL \\
        --licence CC-BY-4.0 --data 'our catalogue of 2026' --results work_dirs/*/results.json

The inferencers of mvlt.apis, tools/train.py --from, tools/test.py, tools/export.py and the web page
take the folder. It holds no code and can be uploaded to a model hub.
"""

import argparse
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from safetensors.torch import save

import mvlt
from mvlt.checkpoints.checkpoint import run_of
from mvlt.checkpoints.description import ModelDescription, stored_config
from mvlt.checkpoints.folder import fitting, weights_metadata, write_model_folder
from mvlt.checkpoints.loading import read_trained
from mvlt.config import load_config
from mvlt.files import file_sha256, read_json
from mvlt.tools.command_line import run_command


def main() -> None:
    """Parse, gather, write the whole folder or none."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('checkpoint', help='.pth of a training, or .safetensors with --config')
    parser.add_argument('out', type=Path, help='the new folder')
    parser.add_argument('--config', help='config file; default: the config in the checkpoint')
    parser.add_argument('--data-root', help='with --config: replaces its data_root')
    parser.add_argument('--tokenizer', help='folder; default: as in the config')
    parser.add_argument('--name', help='title of the card; default: the name of the folder')
    parser.add_argument('--licence', default='unknown', help='of the weights, an SPDX identifier')
    parser.add_argument('--data', default='', help='training data, a line for the card')
    parser.add_argument(
        '--limits', nargs='*', default=[], help='limits of the model, a sentence each, for the card'
    )
    parser.add_argument(
        '--results',
        nargs='*',
        help='results.json of tools/test.py for this checkpoint; default: all below its work dir',
    )
    args = parser.parse_args()
    config = None
    if args.config:
        config = load_config(args.config, data_root=args.data_root)
    trained = (
        read_trained(config, args.checkpoint, args.tokenizer)
        if config is not None
        else read_trained(args.checkpoint, tokenizer=args.tokenizer)
    )
    run = run_of(args.checkpoint)
    weights = save(fitting(trained.description, trained.state), weights_metadata(run))
    digests = {file_sha256(args.checkpoint), hashlib.sha256(weights).hexdigest()}
    if args.results is None:
        folder = Path(args.checkpoint).parent  # at most two deep: the folder may hold anything
        below = [file for deep in ('', '*/', '*/*/') for file in folder.glob(f'{deep}results.json')]
        results = [result for path in sorted(below) if (result := _measured(str(path), digests))]
    else:
        results = [_results(path, digests) for path in args.results]
    card = model_card(
        args.name or args.out.name,
        trained.description,
        results,
        args.licence,
        args.data,
        trained.meta,
        args.limits,
    )
    out = write_model_folder(
        args.out, trained.description, trained.state, trained.tokenizer, card, run
    )
    for path in sorted(out.iterdir()):
        print(f'{path}  {path.stat().st_size:,} bytes')


def _measured(path: str, digests: set[str]) -> dict[str, Any] | None:
    """Results of these weights, as a checkpoint or in a folder; None for other weights."""
    result = read_json(path, 'tools/test.py writes it')
    return result if result.get('checkpoint_sha256') in digests else None


def _results(path: str, digests: set[str]) -> dict[str, Any]:
    result = _measured(path, digests)
    if result is None:
        other = read_json(path, '').get('checkpoint')
        raise ValueError(f'{path}: results of another checkpoint ({other})')
    return result


def _data(meta: Mapping[str, Any]) -> str:
    """The training data by the config in a checkpoint, without paths of a machine."""
    try:
        dataset = stored_config(meta['cfg'], 'the checkpoint').train_dataloader['dataset']
    except (AttributeError, KeyError, TypeError, ValueError):
        return 'Unknown.'
    while 'dataset' in dataset:
        dataset = dataset['dataset']
    kind = str(dataset.get('type', '')).rpartition('.')[2]
    table = Path(str(dataset.get('ann_file', ''))).name
    parts = [f'{kind}, {table}', f'split {dataset.get("split", "of its own file")}']
    for key in ('split_by', 'split_seed'):
        if dataset.get(key) is not None:
            parts.append(f'{key} {dataset[key]}')
    return f'{", ".join(parts)}.'


def model_card(
    name: str,
    description: ModelDescription,
    results: list[dict[str, Any]],
    licence: str,
    data: str,
    meta: Mapping[str, Any],
    limits: Sequence[str] = (),
) -> str:
    """Markdown with the front matter that model hubs read.

    Args:
        name: title.
        description: of the model.
        results: contents of ``results.json``.
        licence: SPDX identifier, or 'unknown'.
        data: a line; '' = unknown.
        meta: of the checkpoint, with seed and steps.
        limits: of the model, a sentence each.
    """
    named = ', '.join(name.replace('_', ' ') for name in description.categories)
    can = [
        words
        for able, words in (
            (description.that_give('embedding'), 'search by embeddings, from text and from images'),
            (description.that_give('match'), 'score an image with a text; search both ways'),
            (named, f'name the {named}'),
            (description.reconstructing, 'inpaint masked images'),
            (description.that_give('words'), 'predict masked tokens'),
        )
        if able
    ]
    front = yaml.safe_dump(
        dict(
            library_name='mvlt',
            license=licence.lower(),
            tags=['fashion', 'vision-language', 'image-text-matching'],
        ),
        sort_keys=False,
        allow_unicode=True,
    )
    lines = [
        f'---\n{front}---\n',
        f'# {name}\n',
        'A Masked Vision-Language Transformer (MVLT) for fashion. It can:\n',
        *(f'- {words}' for words in can),
        *(['\nIt cannot:\n', *(f'- {limit}' for limit in limits)] if limits else []),
        '\n## Use\n',
        '```python\nfrom mvlt.apis import FeatureExtractor\n\n'
        "result = FeatureExtractor('THIS_FOLDER')('image.jpg', 'its title')\n"
        "features = result['predictions'][0]\n```",
        '\nSee `mvlt.apis` for the other inferencers.',
        '\n## Trained on\n',
        data or _data(meta),
        f'\nSteps: {meta.get("iter", "unknown")}; seed: {meta.get("seed", "unknown")}; '
        f'mvlt {mvlt.__version__}.',
    ]
    for level, names in description.categories.items():
        lines.append(f'\n{level.replace("_", " ").capitalize()}, {len(names)}: {", ".join(names)}.')
    lines.append('\n## Measured\n')
    if not results:
        lines.append('Nothing yet. Run `tools/test.py CONFIG THIS_FOLDER`.')
    for result in results:
        protocol = ', '.join(
            f'{key} {value}' for key, value in result['protocol'].items() if key != 'candidates'
        )
        lines += [
            f'{result["config"]}; {protocol}; data: {result["data"].get("ann_file", "unknown")}, '
            f'split {result["data"].get("split", "of its own file")}\n',
            '| metric | value |\n|---|---|',
            *(f'| {key} | {value:.4g} |' for key, value in result['metrics'].items()),
            '',
        ]
    lines += ['\n## Licence\n', licence]
    return '\n'.join(lines) + '\n'


if __name__ == '__main__':
    run_command(main)
