"""A trained model, ready to be asked."""

import torch
from mmengine.config import Config

from mvlt.engine.checkpoint import read_checkpoint
from mvlt.models import MVLT
from mvlt.registry import MODELS


def load_model(config: Config, checkpoint: str, device: str = 'cpu') -> MVLT:
    """Build ``config.model`` and load the weights that it has a place for, in evaluation mode.

    Raises:
        FileNotFoundError, ValueError: no such file; not a checkpoint of this model.
    """
    model = MODELS.build(config.model)
    stored = read_checkpoint(checkpoint)
    state = stored.get('state_dict', stored)
    own = model.state_dict()
    missing = own.keys() - state.keys()
    if missing:
        raise ValueError(
            f'{checkpoint} lacks {len(missing)} tensors of the model, e.g. {min(missing)}: it was '
            'made by another config'
        )
    try:
        model.load_state_dict({key: state[key] for key in own})
    except RuntimeError as error:
        raise ValueError(f'{checkpoint} does not fit the model: {error}') from error
    return model.to(torch.device(device)).eval()
