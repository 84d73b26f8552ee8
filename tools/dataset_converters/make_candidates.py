"""Draw candidate lists for retrieval and write them as a file of ids.

    tools/dataset_converters/make_candidates.py configs/mvlt/retrieval_fashiongen.py candidates.json

The config gives the test data; its test_cfg gives the numbers of queries and candidates and the
first seed. The same config and seed give the same bytes on any machine. To rank the lists:
tools/test.py CONFIG CHECKPOINT --cfg-options test_cfg.candidates=candidates.json
"""

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.logging import MMLogger

from mvlt.config import section
from mvlt.datasets import draw_candidates
from mvlt.datasets.candidate_files import DIRECTIONS, FORMAT, VERSION, row_ids
from mvlt.engine import resolve
from mvlt.files import write_json
from mvlt.registry import DATASETS
from mvlt.tools.command_line import add_options, config_from, run_command

_DATA = ('ann_file', 'split', 'split_by', 'split_seed')  # settings of the dataset that the file has


def main() -> None:
    """Parse, draw, write the whole file or none."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_options(parser)
    parser.add_argument('out', help='the JSON file to write')
    parser.add_argument('--draws', type=int, default=5, help='seeds seed, seed + 1, ...')
    args = parser.parse_args()
    if args.draws < 1:
        raise ValueError(f'--draws {args.draws}: give 1 or more')
    MMLogger.get_instance('make_candidates')
    config = resolve(config_from(args), 'data')
    example = 'configs/mvlt/retrieval_catalogue.py'
    described = section(config, 'test_dataloader', example).dataset
    settings = section(config, 'test_cfg', example)
    dataset = DATASETS.build(dict(described, pipeline=[]))
    records = [dataset.get_data_info(row) for row in range(len(dataset))]
    first = settings.get('seed', 0)
    content = candidate_content(
        records,
        {key: described[key] for key in _DATA if described.get(key) is not None},
        settings.get('num_queries', 1000),
        settings.get('num_candidates', 101),
        range(first, first + args.draws),
    )
    write_json(args.out, content, indent=None)
    protocol = content['protocol']
    print(
        f'{args.out}: {args.draws} draws of {protocol["queries"]} queries a direction, '
        f'{protocol["candidates"]} candidates each, from {len(records)} rows'
    )


def candidate_content(
    records: Sequence[Mapping],
    data: Mapping[str, Any],
    num_queries: int = 1000,
    num_candidates: int = 101,
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
) -> dict[str, Any]:
    """Content of a candidate file, the same for the same arguments on any machine.

    Args:
        records: of the evaluated split; see :func:`mvlt.datasets.draw_candidates`.
        data: origin of the records, e.g. annotation file and split.
        num_queries, num_candidates: of each draw.
        seeds: one a draw.

    Raises:
        ValueError: too few products for a list.
    """
    ids = row_ids(records)
    draws: list[dict[str, Any]] = []
    for seed in seeds:
        lists = [
            [ids[row] for row in query.candidates]
            for query in draw_candidates(records, num_queries, num_candidates, seed)
        ]
        draws.append(dict(seed=seed, **{direction: lists for direction in DIRECTIONS}))
    protocol = dict(
        queries=len(draws[0]['tir']),
        candidates=num_candidates,
        negatives='other products of the same sub-category; where too few, of the same main '
        'category, then any; never the same product or the same caption',
    )
    return candidate_file(protocol, dict(data, rows=len(records)), draws)


def candidate_file(
    protocol: Mapping[str, Any], data: Mapping[str, Any], draws: Sequence[Mapping]
) -> dict[str, Any]:
    """The frame of a candidate file."""
    return dict(
        format=FORMAT,
        version=VERSION,
        protocol=dict(protocol),
        data=dict(data),
        draws=[dict(draw) for draw in draws],
    )


if __name__ == '__main__':
    run_command(main)
