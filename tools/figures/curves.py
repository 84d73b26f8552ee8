"""Loss curves from mmengine's own logs."""

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from mvlt.tools.figures.page import bytes_uri


def read_scalars(work_dir: str | Path) -> list[dict[str, float]]:
    """Logged values of a work dir by step; a later run replaces a repeated step."""
    steps: dict[float, dict[str, float]] = {}
    for file in sorted(Path(work_dir).glob('*/vis_data/scalars.json')):
        for line in file.read_text().splitlines():
            try:
                entry = json.loads(line)
            except json.JSONDecodeError:  # a killed run may leave half a line
                continue
            if 'step' in entry:  # of training, or of the validation after it
                steps.setdefault(entry['step'], {}).update(entry)
    return [steps[step] for step in sorted(steps)]


def draw_losses(
    runs: Mapping[str, Sequence[Mapping[str, float]]], names: Sequence[str], kind: str
) -> bytes:
    """One panel a name, one line a run, over training steps.

    Args:
        runs: run -> its entries (:func:`read_scalars`).
        names: logged values, e.g. 'loss_itm'.
        kind: 'svg', 'png' or 'pdf'.
    """
    import matplotlib  # slow to import, and needed here only

    matplotlib.use('agg')
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, len(names), figsize=(3.2 * len(names), 2.6), squeeze=False)
    colours = ['#b3365b', *(f'C{i}' for i in range(10))]
    for panel, name in zip(panels[0], names):
        for (run, entries), colour in zip(runs.items(), colours * len(runs)):
            points = [(entry['step'], entry[name]) for entry in entries if name in entry]
            if points:
                mark = 'o' if len(points) < 12 else None
                panel.plot(
                    *zip(*points), color=colour, linewidth=1.6, label=run, marker=mark, markersize=3
                )
        panel.set_title(name, fontsize=10)
        panel.set_xlabel('step', fontsize=8)
        panel.tick_params(labelsize=8)
        panel.grid(alpha=0.3)
        panel.spines[['top', 'right']].set_visible(False)
    if len(runs) > 1:
        panels[0][0].legend(fontsize=6)
    figure.tight_layout()
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, dpi=120)
    pyplot.close(figure)
    return buffer.getvalue()


def plot_losses(work_dir: str | Path, names: Sequence[str]) -> str:
    """An SVG data URI with one panel a loss, over training steps.

    Raises:
        FileNotFoundError: the work dir has no training log.
    """
    entries = read_scalars(work_dir)
    if not entries:
        raise FileNotFoundError(f'{work_dir}: no training log (*/vis_data/scalars.json)')
    return bytes_uri(draw_losses({'': entries}, names, 'svg'), 'image/svg+xml')
