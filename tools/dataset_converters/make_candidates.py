"""Draw candidate lists for retrieval and write them as a file of ids.

    tools/dataset_converters/make_candidates.py configs/mvlt/retrieval_fashiongen.py candidates.json

The lists are of the config's test data; numbers of queries and candidates and the first seed are
those of its test_cfg. The same config and seed give the same bytes on any machine. To rank them:
tools/test.py CONFIG CHECKPOINT --cfg-options test_cfg.candidates=candidates.json
"""

import argparse

from mmengine.logging import MMLogger

from mvlt.command_line import add_options, config_from, run_command
from mvlt.config import section
from mvlt.datasets.candidate_files import candidate_content
from mvlt.engine import resolve
from mvlt.files import write_json
from mvlt.registry import DATASETS


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
        raise ValueError(f'--draws {args.draws}: one at least is needed')
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
        {key: described[key] for key in ('ann_file', 'split', 'split_seed') if key in described},
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


if __name__ == '__main__':
    run_command(main)
