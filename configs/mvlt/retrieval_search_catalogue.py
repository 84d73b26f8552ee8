"""Search quality on a catalogue: every caption of the test split against all images.

mvlt.apis.Search, the service and the web page rank alike. For another ranking: --cfg-options
test_cfg.rerank=itm test_cfg.rerank_topk=100.
Command: tools/test.py configs/mvlt/retrieval_search_catalogue.py MY_MODEL --data-root MY_CATALOGUE
Hardware: two CPU cores. Time: seconds. R@1 TIR 35.3 of 824, dual_encoder_catalogue_scratch.py
(docs/zoo.md).
"""

from mmengine.config import read_base

with read_base():
    from .retrieval_full_catalogue import *

test_cfg.rerank = None
