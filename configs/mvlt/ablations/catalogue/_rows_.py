"""The rows of Table 3 and Fig. 1 (top) on a catalogue, over pretrain_catalogue.py.

A row that names two configs repeats the change from the first to the second. The other rows differ:

* B: masking units are 1/4, 1/2, 2 and 4 times the 8 pixels here; the paper's unit is 16 pixels.
* E1: PVT-VL Tiny from random weights, e1_with_pvt from ImageNet weights. Their sizes do not fit the
  catalogue's small model.
* Fig. 1: the features are gradient histograms (HOG) in the mask's units, which need no weights.

Command: tools/train.py mvlt/ablations/catalogue/ROW --data-root MY_CATALOGUE
Hardware: two CPU cores. Time: 8 minutes a row of 2,400 steps.
Metric: docs/results/2026-11-24-ablation.md (A1, A4, D1 to D3); other rows not measured.
"""

from mmengine.config import read_base

from mvlt.checkpoints import PretrainedImagePart
from mvlt.engine import FitClustersHook
from mvlt.evaluation import MLMMetric
from mvlt.models import PVTVL, HOGTargets, MaskedClusterHead, MaskedFeatureHead

with read_base():
    from ...pretrain_catalogue import *

rows = {
    **{
        row: ('mvlt/pretrain_fashiongen', f'mvlt/ablations/{row}')
        for row in (
            *('a1_ratio_10', 'a2_ratio_30', 'a3_ratio_70', 'a4_ratio_90'),
            *('c1_grid', 'c2_stroke', 'c3_centre'),
            *('d1_itm', 'd2_itm_mir', 'd3_itm_mlm'),
        )
    },
    'b1_unit_2': {
        'train_dataloader.dataset.dataset.pipeline.mask.patch_size': 2,
        'train_dataloader.dataset.dataset.pipeline.mask.alpha': 1,
    },
    'b2_unit_4': {'train_dataloader.dataset.dataset.pipeline.mask.alpha': 1},
    'b3_unit_16': {'train_dataloader.dataset.dataset.pipeline.mask.alpha': 4},
    'b4_unit_32': {'train_dataloader.dataset.dataset.pipeline.mask.alpha': 8},
    'e1_without_pvt': {
        'model.backbone': dict(
            type=PVTVL,
            image_size='image_size',
            context_length=64,
            vocab_size=vocab_size,
            drop_path_rate=0.1,
        ),
        'model.neck.channels': None,
    },
    'features_regression': {
        'model.heads.mir': dict(
            type=MaskedFeatureHead, targets=dict(type=HOGTargets, stride=8), loss_weight=1.0
        ),
        'test_evaluator': dict(type=MLMMetric),
    },
}
rows['e1_with_pvt'] = {
    **rows['e1_without_pvt'],
    'model.backbone.init_cfg': dict(
        type=PretrainedImagePart, checkpoint='checkpoints/pvt_tiny.safetensors'
    ),
}
rows['features_clusters'] = {
    **rows['features_regression'],
    'model.heads.mir.type': MaskedClusterHead,
    'model.heads.mir.num_clusters': 64,
    'default_hooks.fit_clusters': dict(type=FitClustersHook),
}
