"""Contract: models train on and rank regions from files instead of images."""

import base64
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
import torch

from mvlt.models import MaskedFeatureHead, PairDataPreprocessor
from mvlt.structures import Batch
from projects.baselines.region_files import write_regions
from projects.baselines.regions import LoadRegions, RandomRegionMask, cell_boxes


def _tsv(path, ids, count=3, size=8):
    rng = np.random.default_rng(0)
    lines = []
    for image_id in ids:
        arrays = [
            np.tile([10.0, 0.0, 40.0, 30.0], (count, 1)).astype(np.float32),
            rng.normal(size=(count, size)).astype(np.float32),
        ]
        coded = [base64.b64encode(array.tobytes()).decode() for array in arrays]
        lines.append('\t'.join([str(image_id), '40', '60', str(count), *coded]))
    path.write_text('\n'.join(lines))
    return path


def test_bottom_up_attention_to_regions(tmp_path):
    out = tmp_path / 'regions.h5'
    assert write_regions([_tsv(tmp_path / 'a.tsv', [7, 8])], str(out)) == 2
    regions = LoadRegions(str(out)).transform(dict(product_id='8'))['img']
    assert regions.shape == (3, 8 + 5) and regions.dtype == np.float32
    np.testing.assert_allclose(regions[0, -5:], [0.25, 0, 1, 0.5, 0.375])
    with h5py.File(out) as file:
        assert file['features'].chunks == (1, 3, 8)  # one read for a product
        np.testing.assert_array_equal(file['features'][1], regions[:, :8])
    with pytest.raises(KeyError, match='no regions of product 9; it has 2'):
        LoadRegions(str(out)).transform(dict(product_id='9'))
    with pytest.raises(FileNotFoundError, match='no such file of regions'):
        LoadRegions(str(tmp_path / 'none.npz')).transform(dict(product_id='9'))


def test_a_broken_file_leaves_nothing(tmp_path):
    (tmp_path / 'a.tsv').write_text('7\t40\t60\tmany\tAAAA\tAAAA')
    with pytest.raises(ValueError, match='a.tsv, row 1: invalid literal'):
        write_regions([str(tmp_path / 'a.tsv')], str(tmp_path / 'out.h5'))
    files = [_tsv(tmp_path / 'b.tsv', [1]), _tsv(tmp_path / 'c.tsv', [2], count=4)]
    with pytest.raises(ValueError, match='extract as many boxes'):
        write_regions(files, str(tmp_path / 'out.h5'))
    assert not [*tmp_path.glob('out.h5*')]


def test_boxes_in_pixels_are_refused(tmp_path):
    boxes = np.array([[[0, 0, 30, 40]]], np.float32)
    np.savez(tmp_path / 'a.npz', ids=np.array(['7']), features=np.zeros((1, 1, 8)), boxes=boxes)
    with pytest.raises(ValueError, match='a box of product 7 lies outside 0..1'):
        LoadRegions(str(tmp_path / 'a.npz')).transform(dict(product_id='7'))


def test_masked_regions_keep_their_boxes():
    mask = RandomRegionMask(1.0).transform(dict(img=np.zeros((3, 8 + 5), np.float32)))
    assert mask['image_mask'][:, :8].all() and not mask['image_mask'][:, 8:].any()
    assert not RandomRegionMask(0.0).mask(3, 8 + 5).any()
    regions, image_mask = torch.rand(2, 3, 13), torch.from_numpy(mask['image_mask'])
    image_mask = torch.stack((image_mask, image_mask & False))
    normalised = PairDataPreprocessor().normalise(regions, image_mask)
    assert not normalised[0, :, :8].any() and torch.equal(normalised[0, :, 8:], regions[0, :, 8:])
    assert torch.equal(normalised[1], regions[1])
    with pytest.raises(ValueError, match='of image units does not fit'):
        PairDataPreprocessor().normalise(regions, torch.zeros(2, 4, 4, dtype=torch.bool))


def test_the_error_of_masked_regions_by_hand():
    # features (0, 2) are (-1, 1) normalised; (0, 0) is predicted: an error of 1
    head = MaskedFeatureHead(4, 32, dict(type='RegionTargets', channels=2))  # COCO's stride
    torch.nn.init.zeros_(head.predict_patches.weight)
    torch.nn.init.zeros_(head.predict_patches.bias)
    regions = torch.tensor([[[0.0, 2, 0, 0, 1, 1, 1], [7, 7, 0, 0, 1, 1, 1]]])
    mask = torch.zeros(1, 2, 7, dtype=torch.bool)
    mask[0, 0, :2] = True
    batch = Batch(dict(pixels=regions, image_mask=mask), [])
    loss = head.loss(SimpleNamespace(decoded=torch.rand(1, 4, 2, 1)), batch)['loss']
    assert loss.item() == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize(
    'row',
    [
        'one_stream/one_stream',
        'one_stream/uniter',
        'two_streams/vilbert',
        'late_interaction/pfan',
        'dual_encoder/vse_pp',
    ],
)
def test_a_model_of_regions_trains_and_ranks(two_steps, tmp_path, row):
    rng = np.random.default_rng(0)
    boxes = np.tile(cell_boxes((1, 3)).numpy()[:, :4], (20, 1, 1))
    ids = np.array([str(i) for i in range(20)])
    file = tmp_path / 'regions.npz'
    np.savez(file, ids=ids, features=rng.normal(size=(20, 3, 8)).astype(np.float32), boxes=boxes)
    joint = row.startswith(('one_stream', 'two_streams'))
    train = 'train_dataloader.dataset.pipeline'
    if joint:
        train = 'train_dataloader.dataset.dataset.pipeline'
    load = dict(type='LoadRegions', file=str(file), _delete_=True)
    options = {f'model.backbone.{"" if joint else "image_encoder."}region_dims': 8}
    for pipeline in (train, 'test_dataloader.dataset.pipeline'):
        options |= {f'{pipeline}.load': load, f'{pipeline}.resize': None}
    options |= {f'{train}.crop': None, f'{train}.flip': None}
    if row.endswith(('uniter', 'vilbert')):
        targets = dict(type='RegionTargets', channels=8, _delete_=True)
        options[f'{train}.mask'] = dict(type='RandomRegionMask', ratio=0.5, _delete_=True)
        options |= {'model.heads.region_classes.targets': targets}
        options |= {'model.heads.region_classes.num_clusters': 4}
        if row.endswith('uniter'):
            options['model.heads.region_features.targets'] = targets
    _, metrics = two_steps(f'projects/baselines/{row}_catalogue.py', options)
    assert metrics['retrieval/tir/candidates'] == 3
