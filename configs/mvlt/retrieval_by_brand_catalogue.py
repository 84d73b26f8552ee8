"""TIR and ITR on a catalogue, 101 protocol, on brands that training has not seen.

Ranked by embeddings. The model must be trained with the same split: quick_start_by_brand_catalogue
or --cfg-options split_by=brand. Without a column of brands, a caption's first word is its brand.
Command: tools/test.py configs/mvlt/retrieval_by_brand_catalogue.py MODEL --data-root MY_CATALOGUE
Hardware: two CPU cores. Time and metric: not measured.
"""

from mmengine.config import read_base

with read_base():
    from .retrieval_catalogue import *

split_by = 'brand'
test_cfg.rerank = None
