"""Contract: a converted released recognition checkpoint is tested unchanged (fidelity point 29)."""

import h5py
import pytest
from safetensors.torch import save_file

from mvlt.config import load_config
from mvlt.engine.launch import build_runner
from mvlt.tools.dataset_converters.make_demo_data import draw_products, write_fashion_gen
from mvlt.tools.model_converters.weight_names import convert_released
from tests.models.released_twin import Sizes, draw_weights

SIZES = Sizes(image_size=32, context_length=24, vocab_size=420, classes=(5, 12), decoder=8)


@pytest.fixture
def data(demo_data, tmp_path):
    """Training lacks one of validation's twelve sub-categories."""
    training = [p for p in draw_products(2, seed=0) if p.cut != 'BACKPACKS']
    for name, products in dict(train=training, validation=draw_products(2, seed=1)).items():
        file = tmp_path / f'fashiongen_256_256_{name}.h5'
        list(write_fashion_gen(file, products, views=1, side=32))
    return tmp_path


def _run(data, demo_data, classes):
    state = {
        name: value.contiguous()
        for name, value in convert_released(draw_weights(SIZES, 0)).items()
        if name.startswith(('backbone', 'heads'))
    }
    save_file(state, data / 'released.safetensors')
    config = load_config(
        'configs/mvlt/recognition_fashiongen_released.py',
        {
            'model.backbone.image_size': SIZES.image_size,
            'model.backbone.context_length': SIZES.context_length,
            'model.backbone.vocab_size': SIZES.vocab_size,
            'model.backbone.embed_dims': SIZES.dims,
            'model.backbone.depths': SIZES.depths,
            'model.backbone.num_heads': SIZES.heads,
            'model.backbone.token_embed_dim': SIZES.words,
            'model.data_preprocessor.context_length': SIZES.context_length,
            'test_dataloader.num_workers': 0,
            **{
                f'model.heads.{level}_category.{key}': value
                for level, rows in zip(('main', 'sub'), classes)
                for key, value in dict(num_classes=rows, hidden_dims=SIZES.words).items()
            },
        },
        str(data),
    )
    for step in filter(None, config.test_dataloader.dataset.pipeline.values()):
        if 'scale' in step:
            step.scale = (SIZES.image_size,) * 2
        if 'tokenizer' in step:
            step.merge(
                dict(tokenizer=str(demo_data / 'tokenizer'), max_length=SIZES.context_length)
            )
    weights = str(data / 'released.safetensors')
    runner = build_runner(config, 'test', weights, work_dir=str(data / 'work'))
    return runner.test(), runner


def test_the_row_that_only_validation_has(data, demo_data):
    metrics, runner = _run(data, demo_data, SIZES.classes)
    assert metrics['sub_category/classes_of_truth'] == 12
    details = runner.test_loop.evaluator.metrics[1].details['per_class']
    assert {row['name'] for row in details if not row['in_training']} == {'BACKPACKS'}
    with h5py.File(data / 'fashiongen_256_256_validation.h5') as file:
        names = {value.decode() for value in file['input_subcategory'][:, 0]}
    assert {row['name'] for row in details} == names
    with h5py.File(data / 'fashiongen_256_256_train.h5') as file:
        shown = [value.decode() for value in file['input_subcategory'][:, 0]]
    trained = runner.test_dataloader.dataset.metainfo['sub_category'][: len(set(shown))]
    assert trained == tuple(dict.fromkeys(shown)) != tuple(sorted(trained))


def test_the_config_has_the_released_rows_in_the_released_order():
    config = load_config('mvlt/recognition_fashiongen_released')
    heads = config.model.heads
    assert (heads.main_category.num_classes, heads.sub_category.num_classes) == (48, 122)
    for loader in (config.train_dataloader, config.test_dataloader):
        assert loader.dataset.class_order == 'appearance'


def test_rows_without_a_class_name():
    """122 rows on a part of the data: predictions of unnamed rows count."""
    from mvlt.evaluation import CategoryMetric

    metric = CategoryMetric('sub_category')
    metric.dataset_meta = dict(sub_category=('A', 'B'), sub_category_trained=2)
    metric.compute_metrics([(0, 0), (1, 121)])
    assert metric.details['confusion']['names'] == ['A', 'B', 'row 121']
