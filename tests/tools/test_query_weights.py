"""Contract: the sampled queries and their positives."""

import numpy as np

from mvlt.tools.analysis_tools.query_weights import changed_queries, left_out_queries, precision

KINDS = np.array([0] * 6 + [1] * 2)
COLOURS = np.array([0, 0, 0, 0, 0, 1, 1, -1])


def test_queries():
    # five of kind 0 have colour 0, so that its one product of colour 1 is asked for in colour 0
    assert changed_queries(KINDS, COLOURS) == [(5, 0, 0)]
    assert left_out_queries(KINDS, COLOURS) == []  # ten without the colour are needed
    kinds, colours = np.zeros(15, int), np.array([0] * 5 + [1] * 10)
    assert left_out_queries(kinds, colours) == [(0, 0)]


def test_precision():
    # three could be right, two of the first ten are
    right = np.zeros(12, bool)
    right[[0, 5, 11]] = True
    assert round(precision(-np.arange(12.0), right), 3) == 66.667
