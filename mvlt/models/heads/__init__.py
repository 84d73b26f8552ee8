from .base import Head
from .category import CategoryHead
from .hard_itm import HardITMHead
from .itc import ITCHead
from .itm import ITMHead
from .masked_features import MaskedClusterHead, MaskedFeatureHead
from .mir import MIRHead
from .mlm import MLMHead
from .patch_targets import BackboneTargets, HOGTargets
from .prompt import PromptHead
from .ranking import RankingHead
from .teacher import TeacherHead

__all__ = [
    'BackboneTargets',
    'CategoryHead',
    'HOGTargets',
    'HardITMHead',
    'Head',
    'ITCHead',
    'ITMHead',
    'MIRHead',
    'MLMHead',
    'MaskedClusterHead',
    'MaskedFeatureHead',
    'PromptHead',
    'RankingHead',
    'TeacherHead',
]
