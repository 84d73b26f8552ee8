"""The architecture as a figure, drawn from a model's own sizes (paper Fig. 3)."""

import io
from collections.abc import Collection
from typing import Any, NamedTuple

from mvlt.models import MVLT

_IMAGE, _TEXT, _BOTH, _HEAD = '#dbe9f6', '#fbe3cf', '#ece8f4', '#dff0e2'
_INK, _LINE = '#23202b', '#8d879b'


class Stage(NamedTuple):
    """One stage: M_k layers over a map of rows x columns and C_k channels (Table 1).

    keys: image keys of attention, after reduction.
    parameters: of embeddings and layers.
    """

    layers: int
    channels: int
    rows: int
    columns: int
    keys: int
    parameters: int


def stages_of(model: MVLT) -> list[Stage]:
    """The stages of a model's encoder at its image size."""
    backbone, stages = model.backbone, []
    for stage, stride, dims in zip(backbone.stages, backbone.strides, backbone.embed_dims):
        side = backbone.image_size // stride
        attention: Any = stage.layers[0].attention
        keys = attention.image_keys((side, side))
        stages.append(Stage(len(stage.layers), dims, side, side, keys, _count(stage)))
    return stages


def draw_architecture(
    model: MVLT, title: str, kind: str = 'png', uncounted: Collection[str] = ()
) -> bytes:
    """Fig. 3 for any model here: inputs, stages, decoder, heads, with their sizes.

    Args:
        model: on any device, also ``meta``.
        title: heading.
        kind: 'png', 'svg' or 'pdf'.
        uncounted: category heads whose number of classes depends on the data.

    Raises:
        ValueError: the encoder is dual.
    """
    if not model.is_joint:
        raise ValueError('a dual-encoder model cannot be drawn as Fig. 3: it has no joint stages')
    import matplotlib  # slow to import, and needed here only

    matplotlib.use('agg')
    from matplotlib import pyplot

    stages, backbone = stages_of(model), model.backbone
    width = 3.2 + 2.5 * len(stages) + 2.6
    figure = pyplot.figure(figsize=(width, 6.2))
    panel = figure.add_axes((0, 0, 1, 1))
    panel.set_xlim(0, width)
    panel.set_ylim(0, 6.2)
    panel.axis('off')
    panel.text(0.3, 5.9, title, fontsize=12, weight='bold', va='center', color=_INK)
    pen = _Pen(panel)
    side = backbone.image_size
    words = f'{backbone.vocab_size:,} tokens in all'
    pen.box(0.3, 4.25, 1.9, 0.9, _TEXT, ['caption', f'{backbone.context_length} tokens', words])
    pen.box(0.3, 1.95, 1.9, 0.9, _IMAGE, ['image', f'{side} x {side} x 3'])
    left = 2.9
    for number, stage in enumerate(stages, 1):
        panel.text(left + 0.95, 5.15, f'stage {number}', fontsize=9, ha='center', color=_INK)
        text = f'$T^{{{number}}}$  {backbone.context_length} x {stage.channels}'
        pen.box(left, 4.45, 1.9, 0.5, _TEXT, [text])
        layers = 'layer' if stage.layers == 1 else 'layers'
        summary = [f'{stage.layers} {layers}, {_short(stage.parameters)}']
        pen.box(left, 3.4, 1.9, 0.6, _BOTH, [*summary, f'{stage.keys} image keys'])
        tall = 0.35 + 0.95 * (stage.rows / stages[0].rows) ** 0.5
        name = f'{stage.rows} x {stage.columns} x {stage.channels}'
        pen.box(left, 2.4 - tall / 2, 1.9, tall, _IMAGE, [f'$V^{{{number}}}$  {name}'])
        for y in (4.7, 2.4):
            pen.arrow(left - (0.7 if number == 1 else 0.6), y, left, y)
        if model.neck is not None:
            pen.arrow(left + 0.95, 2.4 - tall / 2, left + 0.95, 1.1, dashed=True)
        left += 2.5
    end, y = left - 0.6, 4.7
    heads, decoding = {}, None
    for name, module in model.heads.items():
        classes = getattr(module, 'num_classes', None)
        shown = name.upper() if len(name) < 4 else name.replace('_', ' ')
        if 'decoded' in module.reads:
            decoding = module
        else:
            heads[f'{shown}: {classes}' if classes and name not in uncounted else shown] = module
    unknown = {name.replace('_', ' ') for name in uncounted}
    for name, module in heads.items():
        label = name if name in unknown else f'{name}, {_short(_count(module))}'
        pen.box(left, y - 0.28, 2.1, 0.56, _HEAD, [label])
        pen.arrow(end, 4.7, left, y)
        y -= 0.75
    if model.neck is not None:
        across = end - 2.9
        name = f'{type(model.neck).__name__}, {_short(_count(model.neck))}'
        pen.box(2.9, 0.4, across, 0.7, _BOTH, [f'{name}: a map at 1/{model.neck.stride}'])
        caption = (
            ['MIR', f'{side} x {side} x 3'] if model.gives('pixels') else [type(decoding).__name__]
        )
        pen.box(left, 0.35, 2.1, 0.8, _HEAD, [*caption, _short(_count(decoding))])
        pen.arrow(end, 0.75, left, 0.75)
    token_weights = _short(_count(backbone.words))
    total = (
        f'{type(backbone).__name__}; {_short(_count(model))} weights, {token_weights} of them '
        'token embeddings'
    )
    panel.text(0.3, 5.6, total, fontsize=9, color=_INK)
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, dpi=130)
    pyplot.close(figure)
    return buffer.getvalue()


class _Pen:
    """Boxes and arrows."""

    def __init__(self, panel: Any) -> None:
        self.panel = panel

    def box(
        self, x: float, y: float, width: float, height: float, colour: str, lines: list[str]
    ) -> None:
        """A box with its lower left corner at x, y; its first line is larger."""
        from matplotlib.patches import FancyBboxPatch

        style = 'round,pad=0,rounding_size=0.06'
        patch = FancyBboxPatch((x, y), width, height, style, facecolor=colour, edgecolor=_LINE)
        self.panel.add_patch(patch)
        for number, line in enumerate(lines):
            line_y = y + height / 2 + 0.2 * ((len(lines) - 1) / 2 - number)
            size = 8.5 if number == 0 else 7.5
            self.panel.text(
                x + width / 2, line_y, line, fontsize=size, ha='center', va='center', color=_INK
            )

    def arrow(self, x: float, y: float, to_x: float, to_y: float, dashed: bool = False) -> None:
        """An arrow from x, y to to_x, to_y."""
        arrow = dict(arrowstyle='->', color=_LINE, linestyle='--' if dashed else '-')
        self.panel.annotate('', (to_x, to_y), (x, y), arrowprops=arrow)


def _count(module: Any) -> int:
    return sum(weight.numel() for weight in module.parameters() if weight.requires_grad)


def _short(count: int) -> str:
    return f'{count / 1e6:.1f} M' if count >= 1e5 else f'{count / 1e3:.1f} k'
