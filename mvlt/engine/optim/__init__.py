from .bfloat16 import BFloat16OptimWrapper
from .sharded import ShardedStrategy
from .wrapper import LateOptimWrapper

__all__ = ['BFloat16OptimWrapper', 'LateOptimWrapper', 'ShardedStrategy']
