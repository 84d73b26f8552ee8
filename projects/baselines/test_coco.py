"""Contract: the rows of Table 6 train on Karpathy's split and rank its whole test split."""

import pytest

from mvlt.datasets import train_tokenizer
from projects.baselines.conftest import draw_noise
from tests.datasets.test_coco import write_coco

CNN = dict(type='mmpretrain.ResNet', depth=18, stem_channels=8, base_channels=8, out_indices=(3,))
STREAM = dict(dims=16, depth=1, num_heads=2, token_embed_dim=16, vocab_size=60, cnn_dims=64)
VILT = dict(
    hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=64,
    patch_size=32,
)  # fmt: skip
ROWS = {
    'one_stream/unicoder_vl': STREAM,
    'one_stream/uniter': STREAM,
    'from_transformers/vilt': dict(
        folder=None, vocab_size=60, settings=dict(VILT, _delete_=True), empty_caption=(2, 3)
    ),
}


@pytest.mark.parametrize('row', ROWS)
def test_a_row_of_table_6(two_steps, tmp_path, row):
    (tmp_path / 'coco').mkdir()
    write_coco(tmp_path / 'coco', images=12)
    draw_noise((tmp_path / 'coco').glob('*/*.jpg'))
    train_tokenizer(['a small red thing on a table'], tmp_path / 'tokenizer', 60)
    options = {f'model.backbone.{key}': value for key, value in ROWS[row].items()}
    if 'vilt' not in row:
        options['model.backbone.cnn'] = dict(CNN, _delete_=True)
        options['model.heads.region_classes.num_clusters'] = 4
    train = 'train_dataloader.dataset.dataset.pipeline'
    options |= {f'{train}.words.tokenizer': str(tmp_path / 'tokenizer')}
    for pipeline in (train, 'test_dataloader.dataset.pipeline'):
        options |= {
            f'{pipeline}.tokenize.tokenizer': str(tmp_path / 'tokenizer'),
            f'{pipeline}.resize.scale': (64, 64),
        }
    options |= {
        'train_cfg.max_epochs': 2,
        'train_dataloader.num_workers': 0,
        'train_dataloader.persistent_workers': False,
        'train_dataloader.batch_size': 4,
        'test_dataloader.num_workers': 0,
        'default_hooks.checkpoint': None,
    }
    _, metrics = two_steps(f'projects/baselines/{row}_coco.py', options, tmp_path / 'coco')
    assert metrics['retrieval/tir/queries'] == 5 * metrics['retrieval/itr/queries']
    assert metrics['retrieval/tir/candidates'] == metrics['retrieval/itr/queries']
