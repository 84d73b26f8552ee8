"""Quick start with held-out brands: chooses settings by what helps products of new brands.

Validation and test rank brands that training has not seen. Any recipe trains so with --cfg-options
split_by=brand. Test with retrieval_by_brand_catalogue.py.
Command: tools/train.py configs/mvlt/quick_start_by_brand_catalogue.py --data-root MY_CATALOGUE
Hardware: two CPU cores. Time: as quick_start_catalogue.py. Metric: not measured.
"""

from mmengine.config import read_base

with read_base():
    from .quick_start_catalogue import *

split_by = 'brand'
