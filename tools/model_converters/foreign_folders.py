"""Folders of transformers (CLIP, SigLIP, SigLIP 2) and open_clip, in this library's terms."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from mvlt.datasets import CaptionTokenizer
from mvlt.datasets.tokenizer import open_clip_package
from mvlt.files import read_json
from mvlt.models import TransformersImageEncoder, TransformersTextEncoder
from mvlt.models.encoders.from_transformers import read_config

Images = Sequence[Image.Image]
_OPEN_CLIP = 'open_clip_config.json'
_PROCESSOR = 'preprocessor_config.json'
_AGAIN = 'fetch the whole folder again'


class Imported(NamedTuple):
    """A model of another library.

    library: its name and version.
    backbone: arguments of :class:`mvlt.models.DualEncoder`.
    itc: arguments of :class:`mvlt.models.ITCHead`.
    preprocessor: arguments of :class:`mvlt.models.PairDataPreprocessor`, without ``pad_id``.
    resize: steps by name that resize an image.
    image_size: side of the images that the model reads.
    max_length: of ``Tokenize``.
    state: weights by their names in the new model.
    tokenizer: of transformers.
    images, texts: the library's own embeddings, float32 (n, D) of length 1.
    """

    library: str
    backbone: dict[str, Any]
    itc: dict[str, Any]
    preprocessor: dict[str, Any]
    resize: dict[str, dict[str, Any]]
    image_size: int
    max_length: int
    state: dict[str, torch.Tensor]
    tokenizer: Any
    images: Callable[[Images], np.ndarray]
    texts: Callable[[list[str]], np.ndarray]


def read_folder(folder: Path) -> Imported:
    """Read a folder by its library.

    Raises:
        FileNotFoundError, ValueError: not a folder of a known kind; a file or a package is
            missing; the folder needs custom code or the network.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f'{folder}: no such folder')
    if (folder / 'SHA256SUMS').is_file():
        raise ValueError(f'{folder}: a model folder of mvlt already; use it as it is')
    if (folder / _OPEN_CLIP).is_file():
        return read_open_clip(folder)
    if not (folder / 'config.json').is_file():
        raise FileNotFoundError(
            f"{folder}: neither config.json (transformers' save_pretrained) nor {_OPEN_CLIP} "
            '(open_clip); name a folder with one of them'
        )
    return read_transformers(folder)


def read_transformers(folder: Path) -> Imported:
    """CLIP, SigLIP or SigLIP 2 of ``save_pretrained``; errors of :func:`read_folder`."""
    import transformers

    kind = read_config(str(folder))['model_type']
    if kind not in ('clip', 'siglip', 'siglip2'):
        raise ValueError(
            f"{folder / 'config.json'}: model_type '{kind}'; legal: clip, siglip, siglip2. A text "
            'encoder alone is a part of a recipe: '
            "model.backbone.text_encoder=dict(type=TransformersTextEncoder, folder='...')"
        )
    processor = _processor(folder)
    _weights_of(folder, 'model*.safetensors', 'pytorch_model*.bin')
    model, report = transformers.AutoModel.from_pretrained(
        str(folder), local_files_only=True, output_loading_info=True
    )
    if report['missing_keys']:
        raise ValueError(
            f'{folder}: its weights lack {sorted(report["missing_keys"])[0]}; {_AGAIN}'
        )
    model = model.float().eval()
    tokenizer = _tokenizer(folder)
    lower = kind != 'clip' and _lower(tokenizer)
    try:
        theirs = transformers.AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
    except (ImportError, ValueError):  # SigLIP's own class needs sentencepiece
        theirs = tokenizer
    image, text = (
        side.side_of(model.config) for side in (TransformersImageEncoder, TransformersTextEncoder)
    )
    length = text['max_position_embeddings']
    resize, size = (
        _squares(image, processor) if kind == 'siglip2' else _resize(processor, folder / _PROCESSOR)
    )

    def images(batch: Images) -> np.ndarray:
        inputs = processor(images=list(batch), return_tensors='pt')
        return _unit(model.get_image_features(**inputs))

    def texts(batch: list[str]) -> np.ndarray:
        batch = [text.lower() for text in batch] if lower else batch
        fill = True if kind == 'clip' else 'max_length'
        ids = theirs(batch, padding=fill, max_length=length, truncation=True, return_tensors='pt')
        return _unit(model.get_text_features(input_ids=ids.input_ids))

    return Imported(
        library=f'transformers {transformers.__version__}',
        backbone=dict(
            image_encoder=dict(type='TransformersImageEncoder', config=image),
            text_encoder=dict(type='TransformersTextEncoder', config=text),
        ),
        itc=_head(kind != 'clip'),
        preprocessor=dict(
            mean=_three(processor.image_mean),
            std=_three(processor.image_std),
            **({} if kind == 'clip' else dict(context_length=length, attend_pad=True)),
        ),
        resize=resize,
        image_size=size,
        max_length=length,
        state=_state(model, lambda name: name.startswith('vision_') or name.startswith('visual_')),
        tokenizer=tokenizer,
        images=images,
        texts=texts,
    )


def read_open_clip(folder: Path) -> Imported:
    """A ``local-dir:`` folder of open_clip; errors of :func:`read_folder`."""
    package = open_clip_package()
    path = folder / _OPEN_CLIP
    config = read_json(str(path), _AGAIN)
    settings = config.get('model_cfg') if isinstance(config, dict) else None
    if not isinstance(settings, dict) or not {'embed_dim', 'vision_cfg', 'text_cfg'} <= {*settings}:
        raise ValueError(f'{path}: no model_cfg with embed_dim, vision_cfg and text_cfg; {_AGAIN}')
    if 'multimodal_cfg' in settings:
        raise ValueError(f'{path}: multimodal_cfg: CoCa writes captions, which mvlt does not do')
    text = settings['text_cfg']
    unsupported = [key for key in ('hf_model_name', 'tokenizer_mode') if text.get(key)]
    if unsupported:
        raise ValueError(
            f"{path}: text_cfg.{unsupported[0]}; mvlt reads open_clip's own text transformer alone"
        )
    _weights_of(folder, 'open_clip_*.safetensors', 'open_clip_*.bin', 'open_clip_*.pth')
    model, transform = package.create_model_from_pretrained(f'local-dir:{folder}')
    model = model.float().eval()
    reading = package.get_model_preprocess_cfg(model)
    theirs = package.get_tokenizer(f'local-dir:{folder}')
    length = theirs.context_length
    tokenizer = _open_clip_tokenizer(package, theirs, folder)
    common = dict(embed_dims=settings['embed_dim'])
    common['quick_gelu'] = settings.get('quick_gelu', False)
    resize, size = _open_clip_resize(reading, path)
    return Imported(
        library=f'open_clip {package.__version__}',
        backbone=dict(
            image_encoder=dict(
                type='OpenCLIPImageEncoder', config=settings['vision_cfg'], **common
            ),
            text_encoder=dict(type='OpenCLIPTextEncoder', config=text, **common),
        ),
        itc=_head(model.logit_bias is not None),
        preprocessor=dict(
            mean=_three(reading['mean']),
            std=_three(reading['std']),
            context_length=length,
            attend_pad=True,
        ),
        resize=resize,
        image_size=size,
        max_length=length,
        state=_state(model, lambda name: name.startswith('visual.')),
        tokenizer=tokenizer,
        images=lambda batch: _unit(model.encode_image(torch.stack([*map(transform, batch)]))),
        texts=lambda batch: _unit(model.encode_text(theirs(batch))),
    )


def _unit(embeds: torch.Tensor) -> np.ndarray:
    return F.normalize(embeds.float(), dim=-1).numpy()


def _three(values: Any) -> list[float]:
    """A number for each colour."""
    return [*map(float, values)] if isinstance(values, list | tuple) else [float(values)] * 3


def _head(sigmoid: bool) -> dict[str, Any]:
    """Settings of the head; sigmoid losses do not limit the scale (SigLIP's is about 117)."""
    return dict(form='sigmoid', max_logit_scale=1000.0) if sigmoid else dict(form='softmax')


def _state(model: Any, of_image: Callable[[str], bool]) -> dict[str, torch.Tensor]:
    """Weights by their names in :class:`mvlt.models.DualEncoder` and the head."""
    state = {name: value.float() for name, value in model.state_dict().items()}
    renamed = {'heads.itc.logit_scale': state.pop('logit_scale').reshape(())}
    if 'logit_bias' in state:
        renamed['heads.itc.bias'] = state.pop('logit_bias').reshape(())
    for name, value in state.items():
        side = 'image' if of_image(name) else 'text'
        inner = name.removeprefix('visual.').removeprefix('text.')
        renamed[f'backbone.{side}_encoder.model.{inner}'] = value
    return renamed


def _weights_of(folder: Path, *patterns: str) -> None:
    if not any(file for pattern in patterns for file in folder.glob(pattern)):
        raise FileNotFoundError(f'{folder}: no weights ({", ".join(patterns)}); {_AGAIN}')


def _tokenizer(folder: Path) -> Any:
    """The tokenizer of a folder, as this library reads it."""
    return CaptionTokenizer(str(folder)).tokenizer


def _lower(tokenizer: Any) -> bool:
    """Let a tokenizer lower-case captions if its settings say so.

    SigLIP 2 was trained on lower-cased captions; Gemma's tokenizer ignores the setting.
    """
    lower = tokenizer.init_kwargs.get('do_lower_case') and tokenizer.is_fast
    if lower:
        from tokenizers.normalizers import Lowercase, Sequence

        backend = tokenizer.backend_tokenizer
        steps = [Lowercase(), *filter(None, [backend.normalizer])]
        backend.normalizer = Sequence(steps)
    return bool(lower)


def _processor(folder: Path) -> Any:
    """The image processor of transformers; by Pillow, as the model was trained."""
    import transformers

    path = folder / _PROCESSOR
    settings = read_json(str(path), _AGAIN)
    if 'auto_map' in settings:
        raise ValueError(f'{path}: it needs custom code (auto_map), which mvlt never runs')
    processor = transformers.AutoImageProcessor.from_pretrained(
        str(folder), local_files_only=True, use_fast=False
    )
    expected = dict(do_resize=True, do_rescale=True, do_normalize=True)
    for key, value in expected.items():
        if getattr(processor, key) != value:
            raise ValueError(
                f'{path}: {key} is {getattr(processor, key)}; mvlt reads {value} alone'
            )
    if abs(processor.rescale_factor * 255 - 1) > 1e-6:
        raise ValueError(f'{path}: rescale_factor {processor.rescale_factor}; legal: 1 / 255')
    return processor


def _resize(processor: Any, path: Path) -> tuple[dict[str, dict[str, Any]], int]:
    """Steps of a processor of CLIP or SigLIP, and the side of its images."""
    size, crop = processor.size, getattr(processor, 'crop_size', None)
    crop = crop if getattr(processor, 'do_center_crop', False) else None
    filtered = Image.Resampling(processor.resample).name.lower()
    if (
        'shortest_edge' in size
        and crop
        and crop['height'] == crop['width'] <= size['shortest_edge']
    ):
        step = dict(type='ResizeShortEdge', size=size['shortest_edge'], crop_size=crop['height'])
        return dict(resize=dict(step, interpolation=filtered)), crop['height']
    if {*size} != {'height', 'width'} or crop not in (None, size):
        raise ValueError(
            f'{path}: size {dict(size)}, crop_size {crop and dict(crop)}; mvlt reads a '
            'shortest_edge with a square crop, or height and width without'
        )
    return dict(resize=_squash(size['height'], size['width'], filtered)), size['height']


def _squares(image: Mapping[str, Any], processor: Any) -> tuple[dict[str, dict[str, Any]], int]:
    """The step of SigLIP 2: the largest square of at most ``max_num_patches``."""
    side = int(processor.max_num_patches**0.5) * image['patch_size']
    filtered = Image.Resampling(processor.resample).name.lower()
    return dict(resize=_squash(side, side, filtered)), side


def _squash(height: int, width: int, filtered: str) -> dict[str, Any]:
    return dict(
        type='Resize',
        scale=[width, height],
        keep_ratio=False,
        backend='pillow',
        interpolation=filtered,
    )


def _open_clip_resize(
    reading: Mapping[str, Any], path: Path
) -> tuple[dict[str, dict[str, Any]], int]:
    """Steps of open_clip's ``preprocess_cfg``, and the side of its images."""
    size, mode = reading['size'], reading['resize_mode']
    height, width = size if isinstance(size, list | tuple) else (size, size)
    filtered = 'bilinear' if reading['interpolation'] == 'bilinear' else 'bicubic'
    if mode == 'squash':
        return dict(resize=_squash(height, width, filtered)), height
    if mode != 'shortest' or height != width:
        raise ValueError(
            f"{path}: resize_mode '{mode}' to {height} x {width}; mvlt reads 'squash', or "
            "'shortest' to a square"
        )
    step = dict(type='ResizeShortEdge', size=height, interpolation=filtered, rounding='even')
    return dict(resize=step), height


def _open_clip_tokenizer(package: Any, theirs: Any, folder: Path) -> Any:
    """open_clip's tokenizer as one of transformers, with the name of its cleaning."""
    cleanings = {
        package.tokenizer.get_clean_fn(name): name
        for name in ('lower', 'whitespace', 'canonicalize')
    }
    cleaning = cleanings[theirs.clean_fn]
    if isinstance(theirs, package.SimpleTokenizer):
        tokenizer = _byte_pairs(theirs)
    elif theirs.strip_sep_token:
        raise ValueError(f'{folder / _OPEN_CLIP}: tokenizer_kwargs.strip_sep_token: not supported')
    else:
        tokenizer = _tokenizer(folder)
    tokenizer.init_kwargs['open_clip_cleaning'] = cleaning
    return tokenizer


def _byte_pairs(theirs: Any) -> Any:
    """open_clip's ``SimpleTokenizer``; it pads with 0, this with the end token, as transformers.

    The text encoder reads nothing after the first end token.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    merges = sorted(theirs.bpe_ranks, key=theirs.bpe_ranks.__getitem__)
    tokenizer = Tokenizer(
        models.BPE(vocab=theirs.encoder, merges=merges, end_of_word_suffix='</w>')
    )
    words = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(words), 'removed', invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    begin, end = (theirs.decoder[i] for i in (theirs.sot_token_id, theirs.eot_token_id))
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=begin, eos_token=end, pad_token=end
    )
