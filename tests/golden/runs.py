"""Small runs whose results must not change when the code is refactored.

    python -m tests.golden.runs          # rewrites tests/golden/*.json

The results do not depend on the code's structure: weights follow from a tensor's original name (see
``canonical``), random numbers from step and sample. Images are noise that no library resizes, and
training runs in float64.
"""

import csv
import json
import tempfile
import zlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.optim import build_optim_wrapper
from PIL import Image

from mvlt.config import load_config
from mvlt.engine import resolve
from mvlt.engine.launch import build_runner
from mvlt.randomness import random_of
from mvlt.registry import DATASETS, FUNCTIONS, HOOKS, METRICS, MODELS
from tests.small_model import with_model

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
STEPS, BATCH, SIDE = 20, 4, 32
TRAININGS = (
    'mvlt/pretrain_fashiongen',
    'mvlt/pretrain_fashiongen_released',
    'mvlt/recognition_fashiongen',
    'mvlt/pretrain_catalogue',
    'mvlt/recognition_catalogue',
    'mvlt/pretrain_coco',
    'mvlt/finetune_coco_vilt',
    'mvlt/backbones/pretrain_vit_vl',
    'mvlt/backbones/pretrain_pvt_v2_vl',
    'mvlt/ablations/d2_itm_mir',
    'demo/pretrain_demo',
)
GENERATIONS = ('mvlt/generation_fashiongen', 'mvlt/generation_catalogue', 'demo/generation_demo')
# protocol, options, recipe of the model; None = the pre-training on the same data
RANKINGS: dict[str, tuple[str, dict[str, Any], str | None]] = {
    '101': ('mvlt/retrieval_catalogue', {'test_cfg.num_candidates': 9}, None),
    '101 x 5': ('mvlt/retrieval_101x5_catalogue', {'test_cfg.num_candidates': 9}, None),
    'full': ('mvlt/retrieval_full_catalogue', {}, None),
    'full, embeddings': (
        'mvlt/retrieval_full_catalogue',
        {'test_cfg.rerank': None},
        'mvlt/dual_encoder_catalogue_scratch',
    ),
    'full, 10 best reranked': (
        'mvlt/retrieval_full_catalogue',
        {'test_cfg.rerank_topk': 10},
        'mvlt/shop_catalogue_scratch',
    ),
    'full, captions apart': ('mvlt/retrieval_full_coco', {}, None),
    '101, fashion': ('mvlt/retrieval_fashiongen', {'test_cfg.num_candidates': 9}, None),
}
_TOKENS = ('red', 'blue', 'green', 'light', 'dark', 'wool', 'bag', 'shoe', 'boot', 'shirt', 'skirt')


def canonical(name: str) -> str:
    """A tensor's name at the time of the files; map renamed tensors back here."""
    head, _, rest = name.removeprefix('heads.').partition('.')
    if not name.startswith('heads.'):
        return name
    return f'{head}_head.{rest}' if head in ('itm', 'mlm', 'mir') else f'category_heads.{name[6:]}'


def fill(model: torch.nn.Module) -> None:
    """Fill weights with noise seeded by their names; norms are near 1."""
    for name, value in model.state_dict().items():
        if not value.is_floating_point():
            continue
        seed = zlib.crc32(canonical(name).encode())
        noise = torch.from_numpy(np.random.default_rng(seed).standard_normal(value.shape))
        if name.endswith('running_var') or ('norm' in name and name.endswith('weight')):
            weights = 1 + 0.1 * noise.abs()
        else:
            weights = noise / max(1, value[0].numel() if value.ndim > 1 else 100) ** 0.5
        with torch.no_grad():
            value.copy_(weights)


def write_data(root: Path) -> None:
    """Write noise as Fashion-Gen, catalogue, COCO and tokenizer files."""
    rng = np.random.default_rng(0)

    def caption() -> str:
        return ' '.join(rng.choice(_TOKENS, 5))

    def category() -> tuple[str, str]:
        main, sub = rng.integers(3), rng.integers(2)
        return f'MAIN {main}', f'SUB {main}{sub}'

    for split, products in dict(train=24, validation=20).items():
        rows = [(i, *category(), caption()) for i in range(products) for _ in range(2)]
        rows = [(i, *rows[2 * i][1:]) for i, *_ in rows]  # views share all but the image
        for side in (64, 256):
            with h5py.File(root / f'fashiongen_{side}_{side}_{split}.h5', 'w') as file:
                pixels = rng.integers(0, 256, (len(rows), SIDE, SIDE, 3), dtype=np.uint8)
                file['input_image'] = pixels
                for position, key in enumerate(
                    ('input_productID', 'input_category', 'input_subcategory', 'input_description')
                ):
                    column = [[str(row[position]).encode('latin-1')] for row in rows]
                    file[key] = np.array(column, dtype='S60')
                file['input_name'] = np.array([[b'thing']] * len(rows), dtype='S60')
    (root / 'images').mkdir()
    with open(root / 'products.csv', 'w', newline='', encoding='utf-8') as file:
        writer = csv.writer(file)
        writer.writerow(['id', 'image', 'productDisplayName', 'subCategory', 'articleType'])
        for i in range(240):
            writer.writerow([i, f'images/{i}.png', caption(), *category()])
            noise = rng.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
            Image.fromarray(noise).save(root / f'images/{i}.png')
    images = [
        dict(
            filepath='images',
            filename=f'{i}.png',
            cocoid=i,
            split='test' if i % 3 == 0 else 'train',
            sentences=[dict(raw=caption()) for _ in range(2)],
        )
        for i in range(36)
    ]
    (root / 'dataset_coco.json').write_text(json.dumps(dict(images=images)))
    special = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]']
    (root / 'tokenizer').mkdir()
    (root / 'tokenizer/vocab.txt').write_text('\n'.join([*special, *_TOKENS, 'thing', '.']))


def small(
    name: str, root: Path, options: dict[str, Any] | None = None, recipe: str | None = None
) -> Config:
    """A config at 32 px with narrow stages and no dropout, on the data of ``root``.

    A protocol gets the model of ``recipe``, or of the pre-training on the same data.
    """
    config = load_config(ROOT / f'configs/{name}.py', options, str(root))
    if config.get('model') is None:
        kind, data = name.split('/')[0], name.rpartition('_')[2]
        config = with_model(config, recipe or f'{kind}/pretrain_{data}')
    else:
        config = resolve(Config({**config.to_dict(), 'load_from': None}, filename=config.filename))
    backbone = config.model.backbone
    stages = dict(embed_dims=(8, 16, 24, 32), num_heads=(1, 2, 1, 2), depths=(1, 1, 2, 1))
    if backbone.type.endswith('ViTVL'):
        stages = dict(embed_dims=(24,), num_heads=2, depth=2)
    sizes = dict(image_size=SIDE, vocab_size=20, token_embed_dim=16, token_dropout=0.0)
    backbone.merge(dict(stages, **sizes, drop_path_rate=0.0, init_cfg=None))

    def shrink(settings: Any) -> Any:
        if isinstance(settings, dict):
            for key in settings:
                if key == 'augment':  # random draws of a library change with its version
                    settings[key] = None
                elif key == 'scale':
                    settings[key] = (SIDE, SIDE)
                elif key == 'alpha':
                    settings[key] = 2
                elif key == 'tokenizer':
                    settings[key] = str(root / 'tokenizer')
                else:
                    settings[key] = shrink(settings[key])
        elif isinstance(settings, list | tuple):
            return type(settings)(map(shrink, settings))
        return settings

    for key in ('train_dataloader', 'test_dataloader'):
        if config.get(key):
            shrink(config[key])
            config[key].num_workers = 0
            config[key].persistent_workers = False
    return config


def losses(name: str, root: Path) -> list[dict[str, float]]:
    """Loss terms of each of 20 steps."""
    config = small(name, root)
    torch.manual_seed(0)
    model = MODELS.build(config.model).double()
    fill(model)
    dataset = DATASETS.build(config.train_dataloader.dataset)
    collate_fn = config.train_dataloader.get('collate_fn')
    collate = FUNCTIONS.get(collate_fn.type) if collate_fn else pseudo_collate
    wrapper = build_optim_wrapper(model, config.optim_wrapper)
    hook = config.default_hooks.get('mask_steps')
    model.train()
    steps = []
    for step in range(STEPS):
        if hook:
            HOOKS.build(dict(hook)).before_train_iter(SimpleNamespace(model=model, iter=step), 0)
        samples = []
        for position in range(BATCH):
            with random_of((step, position)):
                samples.append(dataset[(BATCH * step + position) % len(dataset)])
        data = model.data_preprocessor(collate(samples), True)
        data['inputs']['image'] = data['inputs']['image'].double()
        terms = model(**data, mode='loss')
        steps.append({key: float(value.detach()) for key, value in terms.items()})
        wrapper.update_params(model.parse_losses(terms)[0])
    return steps


def generation(name: str, root: Path) -> dict[str, float]:
    """Metrics of reconstructed images."""
    config = small(name, root)
    model = MODELS.build(config.model).eval()
    fill(model)
    dataset = DATASETS.build(config.test_dataloader.dataset)
    metric = METRICS.build(dict(config.test_evaluator))
    samples = []
    for row in range(8):
        with random_of((row,)):
            samples.append(dataset[row])
    answers = model(**model.data_preprocessor(pseudo_collate(samples)), mode='predict')
    metric.process(None, [answer.to_dict() for answer in answers])
    return metric.evaluate(len(answers))


def ranking(
    name: str, options: dict[str, Any], recipe: str | None, root: Path, work_dir: Path
) -> dict[str, Any]:
    """Ranks of all queries in order, and the metrics."""
    config = small(name, root, options, recipe)
    config.work_dir = str(work_dir)
    config.experiment_name = f'golden_{zlib.crc32(str(work_dir).encode())}'
    runner = build_runner(config, 'test')
    fill(runner.model)
    metrics = runner.test()
    ranks: dict[str, list[int]] = {}
    for result in runner.test_loop.results:
        ranks.setdefault(f'{result["direction"]} {result.get("draw", 0)}', []).append(
            int(result['rank'])
        )
    return dict(ranks=ranks, metrics=metrics)


def main() -> None:
    """Write the files."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_data(root)
        files = dict(
            losses={name: losses(name, root) for name in TRAININGS},
            generation={name: generation(name, root) for name in GENERATIONS},
            rankings={
                title: ranking(*asked, root, root / f'work_{position}')
                for position, (title, asked) in enumerate(RANKINGS.items())
            },
        )
    for name, content in files.items():
        (HERE / f'{name}.json').write_text(json.dumps(content, indent=1) + '\n')


if __name__ == '__main__':
    main()
