from .bfloat16 import BFloat16OptimWrapper
from .finite import FiniteOptimWrapper
from .late import LateOptimWrapper
from .sharded import ShardedStrategy

__all__ = ['BFloat16OptimWrapper', 'FiniteOptimWrapper', 'LateOptimWrapper', 'ShardedStrategy']
