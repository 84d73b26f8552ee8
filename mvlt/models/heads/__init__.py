from .category import CategoryHead
from .itm import ITMHead
from .masked_features import MaskedClusterHead, MaskedFeatureHead
from .mir import MIRHead
from .mlm import MLMHead
from .patch_targets import BackboneTargets, HOGTargets
from .ranking import RankingHead

__all__ = [
    'BackboneTargets',
    'CategoryHead',
    'HOGTargets',
    'ITMHead',
    'MIRHead',
    'MLMHead',
    'MaskedClusterHead',
    'MaskedFeatureHead',
    'RankingHead',
]
