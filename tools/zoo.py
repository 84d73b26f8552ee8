"""Keep the results of a recipe, and write the zoo's files from the kept results.

    tools/zoo.py keep configs/mvlt/dual_encoder_catalogue.py W/results.json FULL/results.json \
        --data-root MY_CATALOGUE --note docs/results/2026-11-28-towers.md
    tools/zoo.py write

keep: writes one JSON file per training to docs/results/zoo/, from results.json of tools/test.py.
write: writes the table of configs/mvlt/README.md, docs/zoo.md, each metafile.yml, model-index.yml.
Several seeds of a recipe become mean and standard deviation. No figure is written by hand.
"""

import argparse
import datetime
import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch
import yaml
from torch.utils.flop_counter import FlopCounterMode

from mvlt.config import load_config
from mvlt.engine import resolve
from mvlt.files import read_json, write_json, write_text
from mvlt.registry import MODELS
from mvlt.tools.command_line import run_command

ROOT = Path(__file__).resolve().parents[1]
KEPT = 'docs/results/zoo'
METHOD = 'configs/mvlt'
BASELINES = 'projects/baselines'
MARKS = ('<!-- zoo: begin -->', '<!-- zoo: end -->')
TOKENS = 16  # of the pair for the operation count
# key of results.json -> task and metric by their usual names
METRICS = {
    **{f'retrieval/tir/R@{k}': ('Text-To-Image Retrieval', f'Recall@{k}') for k in (1, 5, 10)},
    **{f'retrieval/itr/R@{k}': ('Image-To-Text Retrieval', f'Recall@{k}') for k in (1, 5, 10)},
    'sub_category/accuracy': ('Image Classification', 'Top 1 Accuracy'),
}
# names of projects/baselines/results.json
SHORT = {
    **{f'TIR R@{k}': f'retrieval/tir/R@{k}' for k in (1, 5, 10)},
    **{f'ITR R@{k}': f'retrieval/itr/R@{k}' for k in (1, 5, 10)},
    'S-CR': 'sub_category/accuracy',
}
PAPER = dict(
    Title='Masked Vision-Language Transformer in Fashion', URL='https://arxiv.org/abs/2210.15110'
)


_SITE = """# Zoo

Trained and tested on real products, on two CPU cores; recipes named `_scratch` and the other
systems from random weights; mean ± SD over several seeds. Ties count against the model. No weights
are published yet; `make release` packs a trained model and its card into one archive.
`tools/zoo.py` writes this page from the JSON files in
`docs/results/zoo/`. `configs/mvlt/README.md` says how to train and test.

## This project's recipes

{ours}
101 candidates: the match and 100 negatives of its sub-category. If it has too few (68 % of the
test queries), its main category and then all products fill them up. Chance is 1, 5 and 10. The
best floor needs no training of a network (`tools/analysis_tools/floors.py`).

## Other systems, on the same data

Each training took {budget} on one thread. `projects/baselines/README.md` explains these figures,
lists differences from the originals, and has published figures.

{theirs}"""


def main() -> None:
    """Parse, store or write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('mode', choices=('keep', 'write'))
    parser.add_argument('recipe', nargs='?', help='keep: the config that was trained')
    parser.add_argument('results', nargs='*', type=Path, help='keep: of tools/test.py')
    parser.add_argument('--data-root', help='keep: the data, for the numbers of classes')
    parser.add_argument('--data', default='8,005 products', help='keep: their description')
    parser.add_argument('--note', help='keep: the dated file that describes it')
    args = parser.parse_args()
    if args.mode == 'write':
        for path, text in files(ROOT).items():
            write_text(ROOT / path, text)
            print(path)
        return
    if not args.recipe or not args.results or not args.note:
        raise ValueError('keep needs a config, its results.json files and --note')
    entry = kept(args.recipe, args.results, args.data_root, args.data, args.note)
    name = f'{Path(args.recipe).stem}-{entry["checkpoint_sha256"][:8]}.json'
    write_json(ROOT / KEPT / name, entry)
    print(f'{KEPT}/{name}')


def kept(recipe: str, results: list[Path], data_root: str | None, data: str, note: str) -> dict:
    """The stored results of one training.

    Raises:
        ValueError: results of several checkpoints, or no such note.
    """
    if not (ROOT / note).is_file():
        raise ValueError(f'--note {note}: no such file below {ROOT}')
    read = [read_json(str(path), 'tools/test.py writes it') for path in results]
    hashes = {result['checkpoint_sha256'] for result in read}
    if len(hashes) != 1:
        raise ValueError(
            f'{", ".join(map(str, results))}: of {len(hashes)} checkpoints; give the results of one'
        )
    run = read[0]['run']
    return dict(
        date=str(datetime.date.fromtimestamp(results[0].stat().st_mtime)),
        recipe=recipe,
        data=data,
        note=note,
        seed=run['seed'],
        steps=_steps(run),
        checkpoint_sha256=hashes.pop(),
        versions=read[0]['versions'],
        **size(recipe, data_root),
        results={result['config']: _chosen(result) for result in read},
    )


def _steps(run: dict) -> int:
    """Steps of a training and of the trainings that it started from."""
    before = run.get('started_from')
    return run.get('iter', 0) + (_steps(before) if before else 0)


def _chosen(result: dict) -> dict[str, Any]:
    candidates = (result.get('protocol') or {}).get('num_candidates')
    if isinstance(candidates, dict):  # the full protocol
        candidates = f'{candidates["tir"]} images, {candidates["itr"]} captions'
    floors = {name: _of_the_zoo(of) for name, of in (result.get('floors') or {}).items()}
    return dict(candidates=candidates, metrics=_of_the_zoo(result['metrics']), floors=floors)


def _of_the_zoo(values: dict[str, float]) -> dict[str, float]:
    return {key: round(values[key], 4) for key in METRICS if key in values}


def size(recipe: str, data_root: str | None) -> dict[str, float]:
    """Parameters in millions, heads included, and GFLOP of scoring one pair."""
    options = {'model.backbone.init_cfg': None, 'load_from': None}
    config = resolve(load_config(str(ROOT / recipe), options, data_root))
    model = MODELS.build(config.model).eval().requires_grad_(False)
    side = config.image_size
    tokens = config.model.data_preprocessor.get('context_length') or TOKENS
    image, words = torch.zeros(1, 3, side, side), torch.full((1, tokens), 5)
    torch.backends.mha.set_fastpath_enabled(False)  # its fused operation would not be counted
    with FlopCounterMode(display=False) as counter:
        if config.test_cfg.rerank != 'itm':
            model.image_embeds(image)
            model.text_embeds(words, None)
        if config.test_cfg.rerank is not None:
            model.match(image, words, None)
    count = sum(weight.numel() for weight in model.parameters())
    return dict(parameters=round(count / 1e6, 2), gflop=round(counter.get_total_flops() / 1e9, 4))


def files(root: Path) -> dict[str, str]:
    """Path below the repository -> content, of all generated files."""
    ours, theirs = _ours(root), _baselines(root)
    page = (root / METHOD / 'README.md').read_text(encoding='utf-8')
    begin, end = MARKS
    marked = re.compile(f'{re.escape(begin)}.*{re.escape(end)}', re.DOTALL)
    return {
        f'{METHOD}/README.md': marked.sub(lambda _: f'{begin}\n{_table(ours)}{end}', page),
        'docs/zoo.md': _SITE.format(
            ours=_table(ours, site=True),
            theirs=_table(theirs, site=True),
            budget=theirs[0]['budget'] if theirs else 'no time',
        ),
        f'{METHOD}/metafile.yml': _metafile('MVLT', METHOD, ours),
        f'{BASELINES}/metafile.yml': _metafile('Baselines', BASELINES, theirs),
        'model-index.yml': _dump(
            dict(Import=[f'{METHOD}/metafile.yml', f'{BASELINES}/metafile.yml'])
        ),
    }


def _ours(root: Path) -> list[dict]:
    """One entry a recipe, data set and number of steps; of a seed the newest run."""
    groups: dict[tuple, list[dict]] = defaultdict(list)
    floors: dict[tuple, dict] = {}  # of data, protocol and candidates, whichever run brought them
    for path in sorted((root / KEPT).glob('*.json')):
        entry = read_json(str(path), 'tools/zoo.py keep writes it')
        groups[entry['recipe'], entry['data'], entry['steps']].append(entry)
        for config, result in entry['results'].items():
            if result.get('floors'):
                floors[entry['data'], config, str(result['candidates'])] = result['floors']
    entries = []
    for runs in groups.values():
        of_seed = {run['seed']: run for run in sorted(runs, key=lambda run: run['date'])}
        newest = [of_seed[seed] for seed in sorted(of_seed)]
        protocols = {config: result for run in newest for config, result in run['results'].items()}
        data = newest[0]['data']
        entries.append(
            dict(
                max(newest, key=lambda run: run['date']),
                seeds=[run['seed'] for run in newest],
                protocols=[
                    dict(
                        config=config,
                        candidates=protocol['candidates'],
                        floors=floors.get((data, config, str(protocol['candidates'])), {}),
                        metrics=_together(
                            run['results'][config]['metrics']
                            for run in newest
                            if config in run['results']
                        ),
                    )
                    for config, protocol in protocols.items()
                ],
            )
        )
    return entries


def _baselines(root: Path) -> list[dict]:
    path = root / BASELINES / 'results.json'
    measured = read_json(str(path), 'projects.baselines.run_all writes it')
    entries = []
    for name, row in measured['rows'].items():
        paths = sorted((root / BASELINES).glob(f'**/{name}_catalogue.py'))
        runs = [
            {SHORT[key]: value for key, value in run['metrics'].items() if key in SHORT}
            for run in row['runs'].values()
        ]
        entries.append(
            dict(
                row,
                recipe=str(paths[0].relative_to(root)),
                data=f'8,005 products, {measured["minutes"]:g} minutes of a thread',
                budget=f'{measured["minutes"]:g} minute(s)',
                date=measured['date'],
                seeds=sorted(map(int, row['runs'])),
                steps=', '.join(
                    str(n) for n in sorted({run['steps'] for run in row['runs'].values()})
                ),
                note=f'{BASELINES}/README.md',
                protocols=[dict(candidates=101, metrics=_together(runs))],
            )
        )
    return entries


def _together(runs: Iterable[dict[str, float]]) -> dict[str, list[float]]:
    """Metric -> mean and, for several runs, standard deviation."""
    values: dict[str, list[float]] = defaultdict(list)
    for run in runs:
        for key, value in run.items():
            values[key].append(value)
    return {
        key: [mean(numbers), *([stdev(numbers)] if len(numbers) > 1 else [])]
        for key, numbers in values.items()
    }


def _table(entries: list[dict], site: bool = False) -> str:
    head = ['recipe', 'M params', 'GFLOP per pair', 'steps', 'seeds', 'candidates']
    head += ['TIR Recall@1 / 5 / 10', 'ITR Recall@1 / 5 / 10', 'best floor TIR, ITR @1', 'log']
    lines = [head, ['---'] * len(head)]
    for entry in entries:
        for protocol in entry['protocols']:
            metrics = protocol['metrics']
            if 'retrieval/tir/R@1' not in metrics:
                continue
            cells = [
                ' / '.join(_cell(metrics[f'retrieval/{way}/R@{k}']) for k in (1, 5, 10))
                for way in ('tir', 'itr')
            ]
            name, note = Path(entry['recipe']).stem, entry['note']
            link, log = f'[{name}]({name}.py)', f'[{entry["date"]}](../../{note})'
            if site:
                link = f'`{name}`'
                inside = note.startswith('docs/')
                log = f'[{entry["date"]}]({note.removeprefix("docs/")})' if inside else f'`{note}`'
            lines.append(
                [
                    link,
                    f'{entry["parameters"]:.1f}',
                    f'{entry["gflop"]:.3f}',
                    str(entry['steps']),
                    ', '.join(map(str, entry['seeds'])),
                    str(protocol['candidates'] or 'all'),
                    *cells,
                    _best_floor(protocol.get('floors') or {}),
                    log,
                ]
            )
    return '\n'.join('| ' + ' | '.join(line) + ' |' for line in lines) + '\n'


def _best_floor(floors: dict[str, dict[str, float]]) -> str:
    """Recall@1 of the best floor, text to image and image to text; '-' if none was measured."""
    best = [
        max((of.get(f'retrieval/{way}/R@1', 0.0) for of in floors.values()), default=0.0)
        for way in ('tir', 'itr')
    ]
    return ', '.join(f'{value:.1f}' for value in best) if all(best) else '-'


def _cell(values: list[float]) -> str:
    return f'{values[0]:.1f}' + (f' ± {values[1]:.1f}' if len(values) > 1 else '')


def _metafile(collection: str, folder: str, entries: list[dict]) -> str:
    models = []
    for entry in entries:
        results = []
        for protocol in entry['protocols']:
            tasks: dict[str, dict[str, float]] = defaultdict(dict)
            for key, values in protocol['metrics'].items():
                task, metric = METRICS[key]
                tasks[task][metric] = round(values[0], 2)
            where = f', {protocol["candidates"] or "all"} candidates'
            results += [
                dict(Task=task, Dataset=entry['data'] + where, Metrics=metrics)
                for task, metrics in tasks.items()
            ]
        models.append(
            {
                'Name': entry['recipe'].removeprefix('configs/').removesuffix('.py'),
                'In Collection': collection,
                'Config': entry['recipe'],
                'Metadata': {
                    'Parameters': round(1e6 * entry['parameters']),
                    'FLOPs': round(1e9 * entry['gflop']),
                    'Training Log': entry['note'],
                },
                'Results': results,
                'Weights': '',
            }
        )
    about: dict[str, Any] = dict(Name=collection, README=f'{folder}/README.md')
    if collection == 'MVLT':
        about['Paper'] = PAPER
    return _dump(dict(Collections=[about], Models=models))


def _dump(content: dict) -> str:
    note = '# written by tools/zoo.py from dated results; no weights are published yet\n'
    return note + yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)


if __name__ == '__main__':
    run_command(main)
