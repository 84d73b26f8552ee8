from .category import CategoryHead
from .itm import ITMHead
from .mir import MIRHead
from .mlm import MLMHead
from .ranking import RankingHead

__all__ = ['CategoryHead', 'ITMHead', 'MIRHead', 'MLMHead', 'RankingHead']
