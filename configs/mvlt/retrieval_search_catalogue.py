"""What search finds on one's own catalogue: every caption of the test split against all images.

Ranked as by mvlt.apis.Search, service and page; another ranking: --cfg-options
test_cfg.rerank=itm test_cfg.rerank_topk=100.
Command: tools/test.py configs/mvlt/retrieval_search_catalogue.py MY_MODEL --data-root MY_CATALOGUE
"""

from mmengine.config import read_base

with read_base():
    from .retrieval_full_catalogue import *

test_cfg.rerank = None
