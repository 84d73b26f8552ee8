"""MVLT, the Masked Vision-Language Transformer for fashion, as OpenMMLab components."""

import os

__version__ = '0.1.0'

# PyTorch then asks for 2 MB pages where it allocates much; one CPU thread then makes 15 % more
# training steps (docs/benchmarks). It reads this at its first tensor; whoever has set it decides.
os.environ.setdefault('THP_MEM_ALLOC_ENABLE', '1')
