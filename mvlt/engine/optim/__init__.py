from .bfloat16 import BFloat16OptimWrapper
from .late import LateOptimWrapper
from .sharded import ShardedStrategy

__all__ = ['BFloat16OptimWrapper', 'LateOptimWrapper', 'ShardedStrategy']
