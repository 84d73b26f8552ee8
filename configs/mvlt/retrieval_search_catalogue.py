"""What search finds on one's own catalogue: every caption of the test split against all pictures.

The order and the shortlist are those of TextToImageRetrievalInferencer and of the page; others:
--cfg-options test_cfg.order=vectors test_cfg.shortlist=100.
Command: tools/test.py configs/mvlt/retrieval_search_catalogue.py MY_MODEL --data-root MY_CATALOGUE
"""

from mmengine.config import read_base

with read_base():
    from .retrieval_full_catalogue import *

test_cfg.order = 'both'
test_cfg.shortlist = 300
