"""Loss curves from mmengine's own logs."""

import io
import json
from collections.abc import Sequence
from pathlib import Path

from mvlt.visualization.pictures import bytes_uri


def read_scalars(work_dir: str | Path) -> list[dict[str, float]]:
    """Logged values of a work dir in the order of steps; a later run replaces a repeated step."""
    steps: dict[float, dict[str, float]] = {}
    for file in sorted(Path(work_dir).glob('*/vis_data/scalars.json')):
        for line in file.read_text().splitlines():
            entry = json.loads(line)
            if 'step' in entry and 'loss' in entry:
                steps[entry['step']] = entry
    return [steps[step] for step in sorted(steps)]


def plot_losses(work_dir: str | Path, names: Sequence[str]) -> str:
    """An SVG data URI with one panel a loss, over training steps.

    Raises:
        FileNotFoundError: the work dir has no training log.
    """
    import matplotlib  # slow to import, and needed here only

    matplotlib.use('agg')
    from matplotlib import pyplot

    entries = read_scalars(work_dir)
    if not entries:
        raise FileNotFoundError(f'{work_dir}: no training log (*/vis_data/scalars.json)')
    figure, panels = pyplot.subplots(1, len(names), figsize=(3.2 * len(names), 2.6), squeeze=False)
    for panel, name in zip(panels[0], names):
        points = [(entry['step'], entry[name]) for entry in entries if name in entry]
        panel.plot(*zip(*points), color='#b3365b', linewidth=1.6)
        panel.set_title(name, fontsize=10)
        panel.set_xlabel('step', fontsize=8)
        panel.tick_params(labelsize=8)
        panel.grid(alpha=0.3)
        panel.spines[['top', 'right']].set_visible(False)
    figure.tight_layout()
    buffer = io.BytesIO()
    figure.savefig(buffer, format='svg')
    pyplot.close(figure)
    return bytes_uri(buffer.getvalue(), 'image/svg+xml')
