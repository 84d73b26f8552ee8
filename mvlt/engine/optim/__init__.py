from .async_wrapper import AsyncOptimWrapper
from .bfloat16 import BFloat16OptimWrapper
from .finite import FiniteOptimWrapper
from .sharded import ShardedStrategy

__all__ = ['AsyncOptimWrapper', 'BFloat16OptimWrapper', 'FiniteOptimWrapper', 'ShardedStrategy']
