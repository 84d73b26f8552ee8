"""Print Tables 2 to 6 of the paper, its results beside ours.

    tools/analysis_tools/paper_tables.py work_dirs [MORE ...] [--format markdown] [--significance]

The tool reads every results.json below the folders. The config of the pre-training determines the
column (a1_ratio_10, ...; pretrain_fashiongen and pretrain_catalogue are "Final"); for a converted
released checkpoint, the config of the test does. Each dataset has its tables, each protocol its
rows. Several seeds give mean and standard deviation; results that differ in more than the seed are
refused. Cells read "paper / ours".
"""

import argparse
import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import NamedTuple

import numpy as np

from mvlt.evaluation.significance import paired_bootstrap
from mvlt.tools.analysis_tools.compare import matched, read_answers, right
from mvlt.tools.analysis_tools.paper_results import RECOGNITION, RELEASED, Result, read_results
from mvlt.tools.command_line import run_command

PROTOCOL = '101'  # the paper's, without fine-tuning; only its rows show the paper's results
# Tables 2 (MVLT is "Final"), 3, 4 (E1, Final) and 6. "Second" is the best competitor of Table 2 in
# a metric; Table 2's Diff refers to it. Metric -> column -> value
with open(Path(__file__).with_name('paper_figures.csv'), encoding='utf-8', newline='') as file:
    PAPER: dict[str, dict[str, float]] = {
        row.pop('metric'): {name: float(figure) for name, figure in row.items() if figure}
        for row in csv.DictReader(file)
    }
# title -> columns, reference column of Diff
TABLES = {
    'Table 2': (
        (
            *('VSE', 'VSE++', 'SCAN', 'PFAN', 'ViLBERT', 'ImageBERT', 'FashionBERT', 'VL-BERT'),
            *('OSCAR', 'Kaleido-BERT', 'Final', 'Released recipe', RELEASED),
        ),
        'Kaleido-BERT',
    ),
    'Table 5, zero-shot': (('ViLBERT, zero-shot', 'CLIP', 'CLIP, trained', 'Final'), None),
    'Fig. 1, pixels against features of patches and their classes': (
        ('Features', 'Classes', 'Final'),
        'Final',
    ),
    'Table 3 (a), mask ratio': (('A1', 'A2', 'A3', 'A4', 'Final'), 'Final'),
    'Table 3 (b), masking unit': (('B1', 'B2', 'B3', 'B4', 'Final'), 'Final'),
    'Table 3 (c), masking style': (
        ('C1', 'C2', 'C2 released', 'C3', 'C3 released', 'Final'),
        'Final',
    ),
    'Table 3 (d), objectives': (('D1', 'D2', 'D3', 'Final'), 'Final'),
    'Table 3 (e) and Table 4 (there with the other sign)': (
        ('E1', 'E1 with PVT', 'Final'),
        'Final',
    ),
    'Table 6, COCO': (
        ('Unicoder-VL', 'UNITER', 'ViLT', 'COCO', 'COCO, ViLT loss', 'COCO, from Fashion-Gen'),
        None,
    ),
}
# rows of a table: name, and the metrics to sum
_RETRIEVAL = [
    (f'{way.upper()} {name}', [f'retrieval/{way}/R@{k}' for k in ks])
    for way in ('tir', 'itr')
    for name, ks in (('R@1', [1]), ('R@5', [5]), ('R@10', [10]), ('SumR', [1, 5, 10]))
]
_CATEGORIES = [
    (f'{short} {name}', [f'{level}_category/{key}' for key in keys])
    for short, level in (('M-CR', 'main'), ('S-CR', 'sub'))
    for name, keys in (
        ('A', ['accuracy']),
        ('macro-F', ['macro_f']),
        ('SumC', ['accuracy', 'macro_f']),
    )
]


class Table(NamedTuple):
    """Title, column names, rows (the first cell is the name), and a note below."""

    title: str
    head: list[str]
    rows: list[list[str]]
    note: str


def main() -> None:
    """Read results and print tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('folders', type=Path, nargs='+')
    parser.add_argument('--format', choices=FORMATS, default='text')
    parser.add_argument(
        '--significance',
        action='store_true',
        help='mark columns that differ from Final with * (paired bootstrap over queries, mean over '
        'common seeds, 95 %%)',
    )
    args = parser.parse_args()
    print_tables(args.folders, args.format, args.significance)


def print_tables(folders: Sequence[Path], style: str = 'text', significance: bool = False) -> None:
    """Print all tables with results in the folders."""
    results, others = read_results(folders)
    if style == 'text':
        for result in results:
            print(f'read: {result.path} -> {result.column}, {result.protocol}')
        for path in others:
            print(f'read: {path} -> no column of the paper')
    for data in sorted({result.data for result in results}):
        print(f'\n===== {data}' if style == 'text' else f'\n{data}\n')
        of_data = [result for result in results if result.data == data]
        print('\n\n'.join(FORMATS[style](table) for table in tables(of_data, significance)))


def tables(results: Sequence[Result], significance: bool = False) -> list[Table]:
    """Tables with results of one dataset."""
    built = []
    protocols = sorted({result.protocol for result in results} - {RECOGNITION}, key=_paper_first)
    for title, (names, against) in TABLES.items():
        chosen = [result for result in results if result.column in names]
        if not chosen or (
            all(result.column == 'Final' for result in chosen) and title != 'Table 2'
        ):
            continue
        if _has(chosen, _WITH_PVT):  # on a catalogue Final has other sizes than E1
            names, against = ('E1', _WITH_PVT), _WITH_PVT
        elif 'E1' in names and 'fashiongen' not in chosen[0].data:
            against = None
        # our additional columns appear only with results
        columns = [name for name in names if name in _IN_PAPER or _has(chosen, name)]
        rows = []
        for protocol in [*protocols, RECOGNITION]:
            of_protocol = [result for result in chosen if result.protocol == protocol]
            if of_protocol:
                rows += _rows(of_protocol, protocol, columns, against, significance)
        empty = [name for name in names if name in _MEASURABLE and not _has(chosen, name)]
        note = f'without a result: {", ".join(empty)}' if empty else ''
        built.append(Table(title, ['paper / ours', *columns], rows, note))
    return built


_WITH_PVT = 'E1 with PVT'
_NOTHING = '- / -'
_IN_PAPER = {*next(iter(PAPER.values()))}
_MEASURABLE = _IN_PAPER - {'Second', 'ViLBERT, zero-shot'}


def _paper_first(protocol: str) -> tuple[bool, str]:
    return protocol != PROTOCOL, protocol


def _has(results: Iterable[Result], column: str) -> bool:
    return any(result.column == column for result in results)


def _rows(
    results: Sequence[Result],
    protocol: str,
    columns: Sequence[str],
    against: str | None,
    significance: bool,
) -> list[list[str]]:
    """Rows of a protocol."""
    recognition = protocol == RECOGNITION
    in_paper = recognition or protocol == ('full' if 'COCO' in columns else PROTOCOL)
    by_column = {name: [result for result in results if result.column == name] for name in columns}
    rows = []
    for name, metrics in _CATEGORIES if recognition else _RETRIEVAL:
        label = name if in_paper else f'{name} ({protocol})'
        digits = 3 if metrics[-1].endswith('macro_f') and len(metrics) == 1 else 2
        printed = {m: PAPER[m] if in_paper else {} for m in metrics}
        paper = {c: _total({m: printed[m].get(c) for m in metrics}, metrics) for c in columns}
        measured = {
            c: [_total(result.metrics, metrics) for result in by_column[c]] for c in columns
        }
        ours = {c: [value for value in measured[c] if value is not None] for c in columns}
        if not any(ours.values()):
            continue
        marks = _marks(by_column, metrics, against) if significance else {}
        cells = [_cell(paper[c], ours[c], digits) + marks.get(c, '') for c in columns]
        rows.append([label, *cells])
        if against is not None and (len(metrics) > 1 or against != 'Final' or 'E1' in columns):
            base = paper.get(against)
            if against == 'Kaleido-BERT' and len(metrics) == 1 and in_paper:
                base = PAPER[metrics[0]]['Second']
            # competitors are comparable on the paper's data only
            comparable = 'fashiongen' in results[0].data and against == 'Kaleido-BERT'
            mean_base = mean(ours[against]) if ours[against] else base if comparable else None
            cells = [_difference(paper[c], base, ours[c], mean_base, digits) for c in columns]
            if set(cells) == {_NOTHING}:
                continue
            cells[columns.index(against)] = ''
            rows.append([f'{label} Diff', *cells])
    return rows


def _total(metrics: Mapping[str, float | None], names: Sequence[str]) -> float | None:
    """A metric, or a sum with macro-F in percent (SumR and SumC of Table 2)."""
    values = [metrics.get(name) for name in names]
    if None in values or len(values) == 1:
        return None if None in values else values[0]
    return sum(
        value * (100 if name.endswith('macro_f') else 1)
        for name, value in zip(names, values)
        if value is not None
    )


def _cell(paper: float | None, ours: Sequence[float], digits: int) -> str:
    """Paper / mean, sample standard deviation, number of runs."""
    printed = '-' if paper is None else f'{paper:.{digits}f}'
    if not ours:
        return f'{printed} / -'
    spread = f' +- {stdev(ours):.{digits}f}' if len(ours) > 1 else ''
    return f'{printed} / {mean(ours):.{digits}f}{spread} (n={len(ours)})'


def _difference(
    paper: float | None,
    paper_base: float | None,
    ours: Sequence[float],
    base: float | None,
    digits: int,
) -> str:
    """A column minus its reference, in the paper and here."""
    printed = '-' if paper is None or paper_base is None else f'{paper - paper_base:+.{digits}f}'
    measured = '-' if not ours or base is None else f'{mean(ours) - base:+.{digits}f}'
    return f'{printed} / {measured}'


def _marks(
    by_column: Mapping[str, Sequence[Result]], metrics: Sequence[str], against: str | None
) -> dict[str, str]:
    """'*' for columns whose hits differ significantly from the reference."""
    if against not in ('Final', _WITH_PVT) or len(metrics) > 1 or metrics[0].endswith('macro_f'):
        return {}
    marks = {}
    for column, results in by_column.items():
        base = by_column[against]
        pairs = [(ours, ref) for ours in results for ref in base if ours.seed == ref.seed]
        if column == against or not pairs:
            continue
        hits = [_hits(*pair, metrics[0]) for pair in pairs]
        first, second = (np.mean([pair[side] for pair in hits], axis=0) for side in (0, 1))
        if paired_bootstrap(first, second, groups=hits[0][2]).significant:
            marks[column] = ' *'
    return marks


def _hits(ours: Result, other: Result, metric: str) -> tuple[np.ndarray, np.ndarray, list]:
    """Hits of two results on the same queries, bool (n,), and the queries' products."""
    name = metric.split('/')[-2]
    first, second = (read_answers(result.path)[name] for result in (ours, other))
    k = int(metric.rpartition('@')[2]) if '@' in metric else 1
    hits = [right(values, k) for values in matched(first, second, name)]
    return hits[0], hits[1], first.groups


def _text(table: Table) -> str:
    widths = [max(map(len, column)) for column in zip(table.head, *table.rows)]
    lines = [
        '  '.join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()
        for row in (table.head, *table.rows)
    ]
    return '\n'.join([table.title, *lines, table.note]).rstrip()


def _markdown(table: Table) -> str:
    rows = [table.head, ['---'] * len(table.head), *table.rows]
    lines = ['| ' + ' | '.join(cell.replace('+-', '±') for cell in row) + ' |' for row in rows]
    return '\n'.join([f'**{table.title}**', '', *lines, '', table.note]).rstrip()


def _latex(table: Table) -> str:
    def escaped(cell: str) -> str:
        cell = re.sub(r'([&%#_])', r'\\\1', cell)
        return cell.replace('+-', r'$\pm$').replace(' *', r'\textsuperscript{*}')

    lines = [' & '.join(map(escaped, row)) + r' \\' for row in (table.head, *table.rows)]
    return '\n'.join(
        [
            f'% {table.title}; {table.note}'.rstrip('; '),
            rf'\begin{{tabular}}{{l{"r" * (len(table.head) - 1)}}}',
            r'\hline',
            lines[0],
            r'\hline',
            *lines[1:],
            r'\hline',
            r'\end{tabular}',
        ]
    )


FORMATS = dict(text=_text, markdown=_markdown, latex=_latex)


if __name__ == '__main__':
    run_command(main)
