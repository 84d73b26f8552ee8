"""Convert weights of the released MVLT code or of an ImageNet model, to safetensors.

    tools/model_converters/to_mvlt.py released checkpoint_retrieval.pth mvlt_retrieval.safetensors
    tools/model_converters/to_mvlt.py pvt pvt_tiny.pth checkpoints/pvt_tiny.safetensors
    tools/model_converters/to_mvlt.py pvt_v2 pvt_v2_b1.pth checkpoints/pvt_v2_b1.safetensors
    tools/model_converters/to_mvlt.py vit vit_small_patch32_224.pth checkpoints/vit_s32.safetensors

`pvt` is for PVTVL, `pvt_v2` (B0 to B5, B2-Li; also timm's names) for PVTV2VL, `vit` (timm's,
torchvision's or mmpretrain's names) for ViTVL. Set a released model as `load_from`, an ImageNet
model as `model.backbone.init_cfg=dict(type=PretrainedImagePart, checkpoint=...)`.
"""

import argparse
from collections import Counter
from pathlib import Path
from typing import Any

from safetensors.torch import save

from mvlt.checkpoints.checkpoint import read_checkpoint
from mvlt.checkpoints.folder import weights_metadata
from mvlt.files import written_whole
from mvlt.tools.command_line import run_command
from mvlt.tools.model_converters.weight_names import (
    convert_pvt,
    convert_pvt_v2,
    convert_released,
    convert_vit,
    folded_or_unused,
)

CONVERTERS = dict(
    released=convert_released, pvt=convert_pvt, pvt_v2=convert_pvt_v2, vit=convert_vit
)


def main() -> None:
    """Parse, convert, write the whole file or none."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('source', choices=CONVERTERS)
    parser.add_argument('checkpoint', help='.pth (read without running code) or .safetensors')
    parser.add_argument('out', type=Path, help='the .safetensors file to write')
    args = parser.parse_args()
    stored = read_checkpoint(args.checkpoint)
    state: Any = stored.get('model', stored)
    renamed = CONVERTERS[args.source](state)
    # results.json then names them as the authors' weights
    metadata = weights_metadata(dict(source='released') if args.source == 'released' else None)
    with written_whole(args.out) as file:
        file.write(save({key: value.contiguous() for key, value in renamed.items()}, metadata))
    parts = Counter(key.split('.')[0] for key in renamed)
    print(
        f'{args.out}: {len(renamed)} tensors ('
        + ', '.join(f'{part} {n}' for part, n in sorted(parts.items()))
        + ')'
    )
    dropped = folded_or_unused(state, args.source)
    print(f'{len(dropped)} merged into other tensors or not needed: {", ".join(dropped) or "none"}')


if __name__ == '__main__':
    run_command(main)
