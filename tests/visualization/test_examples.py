"""Contract: cells show the right pixels, scores and matches."""

import numpy as np
import pytest
import torch

from mvlt.visualization import ranking_rows, reconstruction_cells
from tests.small_model import build_small


def test_ranking_rows_show_the_first_and_the_match(masked_products):
    ranking = dict(
        direction='tir',
        query=4,
        rank=3,
        candidates=[4, 0, 2, 6],
        scores=[-1.0, 2.0, 0.0, -3.0],  # log-odds
        positives=[True, False, False, False],
    )
    (row,) = ranking_rows(masked_products, [ranking], shown=2)
    query, first, second, match = row.cells
    assert query.image is None and query.words == masked_products.get_data_info(4)['caption']
    assert [first.words, second.words, match.words] == ['0.881', '0.500', '0.269 matched, rank 3']
    assert [cell.mark for cell in row.cells] == ['query', '', '', 'right']
    assert np.array_equal(
        first.image, masked_products.load(masked_products.get_data_info(0))['img']
    )
    (row,) = ranking_rows(masked_products, [dict(ranking, direction='itr')], shown=4)
    assert len(row.cells) == 5 and row.cells[1].image is None
    assert np.array_equal(
        row.cells[0].image, masked_products.load(masked_products.get_data_info(4))['img']
    )
    assert row.cells[3].words == f'0.269 matched {masked_products.get_data_info(4)["caption"]}'
    # a second positive behind adds nothing when the best one is shown
    both = dict(
        ranking, scores=[2.0, -1.0, 0.0, -3.0], positives=[True, True, False, False], rank=1
    )
    (row,) = ranking_rows(masked_products, [both], shown=2)
    assert [cell.words for cell in row.cells[1:]] == ['0.881 matched', '0.500']


def test_reconstruction_cells(masked_products, monkeypatch):
    model = build_small(neck=dict(type='UNet'), heads=dict(mir=dict(type='MIRHead')))
    monkeypatch.setattr(
        type(model.heads.mir), 'forward', lambda self, decoded: torch.full((1, 3, 32, 32), 0.5)
    )
    ((psnr, (masked, rebuilt, original)),) = reconstruction_cells(model, masked_products, [3])
    truth = masked_products.load(masked_products.get_data_info(3))['img']
    assert np.array_equal(original.image, truth) and (rebuilt.image == 128).all()
    grey = (masked.image == 190).all(-1)
    assert grey.mean() == pytest.approx(0.25, abs=0.02)  # four of sixteen units
    visible = (masked.image == truth).all(-1)
    hidden = ~visible
    error = np.mean((truth[hidden] / 255 - 0.5) ** 2)
    assert psnr == pytest.approx(-10 * np.log10(error), abs=0.05)


def test_a_model_without_the_head_is_refused(masked_products):
    with pytest.raises(ValueError, match=r'no model.heads.mir'):
        reconstruction_cells(build_small(), masked_products, [0])
