"""Make a model folder of a CLIP, SigLIP, SigLIP 2 or open_clip folder.

    tools/model_converters/import_folder.py FASHION_CLIP MY_MODEL --licence MIT

FASHION_CLIP is a folder of transformers' ``save_pretrained`` with its processor (FashionCLIP,
OpenAI's CLIP, SigLIP), or an open_clip folder: ``open_clip_config.json`` with
``open_clip_model.safetensors`` or ``open_clip_pytorch_model.bin`` (Marqo-FashionSigLIP). Nothing is
downloaded and no code of the folder runs. MY_MODEL opens wherever a published model does: index,
search, service, page, tools/test.py, tools/export.py, tools/train.py --from.

The tool embeds images and texts by the library and by the new folder, prints the largest
difference, and refuses a model that differs. Two differences remain: transparent images become
white here, and a SigLIP 2 of ``model_type`` siglip2 reads every image as a square.
"""

import argparse
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from PIL import Image

from mvlt.checkpoints.description import checked
from mvlt.checkpoints.folder import write_model_folder
from mvlt.checkpoints.loading import open_model
from mvlt.datasets import load_tokenizer
from mvlt.retrieval.encoder import Embedder
from mvlt.tools.command_line import run_command
from mvlt.tools.model_converters.foreign_folders import Imported, read_folder
from mvlt.tools.model_converters.publish import model_card

TOLERANCE = 1e-4
_TEXTS = (
    'red cotton dress',
    'Women’s T-Shirt  (size: M) &amp; 2 socks!',
    ' '.join(['a very long title'] * 40),
)


def main() -> None:
    """Parse, import, compare, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('folder', type=Path, help='of transformers or open_clip')
    parser.add_argument('out', type=Path, help='the new folder')
    parser.add_argument('--name', help='title of the card; default: the name of the new folder')
    parser.add_argument('--licence', default='unknown', help='of the weights, an SPDX identifier')
    args = parser.parse_args()
    imported = read_folder(args.folder)
    out = write(imported, args.out, args.name or args.out.name, args.licence)
    try:
        for kind, difference in compare(imported, out).items():
            print(f'{kind}: largest difference from the library {difference:.1e}')
            if not difference <= TOLERANCE:
                raise ValueError(
                    f'{args.folder}: embeddings of {kind} differ from the library by '
                    f'{difference:.1e}: mvlt cannot reproduce this model'
                )
    except BaseException:
        shutil.rmtree(out)
        raise
    for path in sorted(out.iterdir()):
        print(f'{path}  {path.stat().st_size:,} bytes')


def write(imported: Imported, out: Path, name: str, licence: str) -> Path:
    """Write the model folder; errors of ``write_model_folder``."""
    with TemporaryDirectory() as partial:
        imported.tokenizer.save_pretrained(partial)
        preprocessor = dict(imported.preprocessor, pad_id=load_tokenizer(partial).pad_id)
        description = checked(
            dict(
                model=dict(
                    type='MVLT',
                    data_preprocessor=dict(type='PairDataPreprocessor', **preprocessor),
                    backbone=dict(type='DualEncoder', **imported.backbone),
                    neck=None,
                    heads=dict(itc=dict(type='ITCHead', dims=None, **imported.itc)),
                ),
                preprocessing=dict(
                    load=dict(type='LoadImage'),
                    **imported.resize,
                    tokenize=dict(type='Tokenize', max_length=imported.max_length),
                ),
                mask=None,
                categories={},
            ),
            str(out),
        )
        data = f'Imported from a folder of {imported.library}; see its card.'
        card = model_card(name, description, [], licence, data, {})
        return write_model_folder(out, description, imported.state, partial, card)


@torch.no_grad()
def compare(imported: Imported, out: Path) -> dict[str, float]:
    """Largest differences of a model folder's embeddings from the library's."""
    embedder = Embedder(open_model(out), batch_size=2)
    rng = np.random.default_rng(0)
    side = 2 * imported.image_size
    images = [rng.integers(0, 256, (side, side, 3), np.uint8) for _ in range(2)]
    ours = embedder.embed_images([embedder.pixels(image) for image in images])
    theirs = imported.images([Image.fromarray(image) for image in images])
    texts = embedder.embed_texts(embedder.tokens(_TEXTS)) - imported.texts(list(_TEXTS))
    return dict(images=float(np.abs(ours - theirs).max()), texts=float(np.abs(texts).max()))


if __name__ == '__main__':
    run_command(main)
