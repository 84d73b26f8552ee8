"""A web page for a model and a catalogue: search, captions, categories, completion.

    python -m projects.web_demo.app --model MY_MODEL --catalogue MY_CATALOGUE/products.csv

Everything stays on this machine: no request leaves it, nobody outside reaches it unless --host says
so. Each part of the page takes the first model that has the head for it; without one it is absent.
"""

import argparse
import os
from pathlib import Path
from typing import Any, get_args

os.environ['GRADIO_ANALYTICS_ENABLED'] = 'False'
os.environ['HF_HUB_DISABLE_TELEMETRY'] = '1'

import gradio as gr
import torch

from mvlt.apis.completion import Style
from mvlt.command_line import run_command
from projects.web_demo.answers import ALL, AT_ONCE, BRUSH, MAX_WORDS, Page
from projects.web_demo.uploads import MAX_MEGABYTES, guarded

WAITING = 40  # requests that may wait
EVENT: dict = dict(api_visibility='private', concurrency_id='model', concurrency_limit=AT_ONCE)

CSS = """
footer {display: none !important}
.gradio-container {width: min(1100px, 100%) !important; margin: auto}
.caption {padding: 6px 0}
.caption div {height: 4px; background: #ec4899; opacity: .5; border-radius: 2px}
"""


def build(page: Page) -> gr.Blocks:
    """The page: a tab for each thing that its models can do."""
    with gr.Blocks(title='MVLT', analytics_enabled=False, delete_cache=(3600, 3600)) as blocks:
        gr.Markdown('# MVLT\nWords and pictures of a catalogue, compared by one model.')
        if page.shop is not None:
            with gr.Tab('Search'):
                _search(page)
        if page.caption_in is not None:
            with gr.Tab('Captions'), gr.Row():
                with gr.Column():
                    shown = _upload('picture')
                    rank = gr.Button('Rank captions', variant='primary', elem_id='rank')
                ranked = gr.HTML(elem_id='ranked')
                rank.click(page.captions, shown, ranked, **EVENT)
        if page.recognise is not None:
            with gr.Tab('Categories'), gr.Row():
                with gr.Column():
                    product = _upload('product')
                    title = gr.Textbox(label='Title (if there is one)', max_length=MAX_WORDS)
                    name = gr.Button('Name categories', variant='primary', elem_id='name')
                with gr.Column():
                    bars = [
                        gr.Label(label=level.replace('_', ' '), elem_id=f'bars_{level}')
                        for level in page.recognise.description.categories
                    ]
                name.click(page.categories, [product, title], bars, **EVENT)
        if page.complete_with is not None:
            with gr.Tab('Completion'):
                with gr.Row():
                    drawn = guarded(
                        gr.ImageEditor(
                            type='filepath',
                            image_mode='RGBA',
                            format='png',
                            label='Picture; paint over what is to be completed',
                            sources=['upload', 'clipboard'],
                            transforms=(),
                            brush=gr.Brush(default_size=24, colors=['#b3365b']),
                            layers=False,
                            buttons=[],
                            elem_id='drawn',
                        )
                    )
                    with gr.Column():
                        style = gr.Radio(
                            [BRUSH, *get_args(Style)], value=BRUSH, label='Hide', elem_id='style'
                        )
                        ratio = gr.Slider(
                            0.1, 0.9, 0.5, step=0.1, label='Share (not for the brush)'
                        )
                        caption = gr.Textbox(label='Title (if there is one)', max_length=MAX_WORDS)
                        complete = gr.Button('Complete', variant='primary', elem_id='complete')
                completed = gr.Gallery(
                    label='Completed', columns=2, elem_id='completed', buttons=[]
                )
                complete.click(
                    page.complete,
                    [drawn, caption, style, ratio],
                    completed,
                    **EVENT,
                )
    blocks.queue(max_size=WAITING, api_open=False)
    return blocks


def _search(page: Page) -> None:
    """Words, a picture, filters; a click on what was found asks for more like it."""
    assert page.shop is not None
    embeds = page.shop.embeds
    with gr.Row():
        with gr.Column(scale=3):
            words = gr.Textbox(label='Words', max_length=MAX_WORDS, elem_id='words')
            with gr.Row():
                narrow = [
                    gr.Dropdown(
                        [ALL, *names], value=ALL, label=name.replace('_', ' '), elem_id=name
                    )
                    for name, names in page.filters.items()
                ]
            with gr.Row(visible=page.shop.prices):
                low = gr.Number(None, label='Price from', elem_id='low')
                high = gr.Number(None, label='to', elem_id='high')
        with gr.Column():
            once = gr.Checkbox(label='Show look-alikes once', visible=embeds, elem_id='once')
            like = _upload('looks', 'Picture that it should look like', embeds, 200)
    go = gr.Button('Search', variant='primary', elem_id='search')
    said = gr.Markdown(elem_id='said')
    found = gr.Gallery(
        label='Found; a click finds more like it' if embeds else 'Found',
        columns=4,
        elem_id='found',
        object_fit='contain',
        buttons=[],
        allow_preview=not embeds,
    )
    ids = gr.JSON([], visible=False)  # a State would hold a connection open for each visitor
    asked = [words, like, low, high, once, *narrow]
    for event in (go.click, words.submit):
        event(page.search, asked, [found, said, ids], **EVENT)

    def alike(at: gr.SelectData, known: list[str], *chosen: Any) -> tuple:
        return page.search('', None, *chosen, like=known[int(at.index)])

    if embeds:
        found.select(alike, [ids, low, high, once, *narrow], [found, said, ids], **EVENT)


def launch(blocks: gr.Blocks, host: str, port: int | None, block: bool = True) -> str:
    """Serve the page until it is stopped; its address if ``block`` is False."""
    local = ('system-ui', 'sans-serif')
    theme = gr.themes.Base(font=local, font_mono=('monospace',), primary_hue='pink')
    _, address, _ = blocks.launch(
        server_name=host,
        server_port=port,
        share=False,
        inbrowser=False,
        prevent_thread_lock=True,
        quiet=True,
        show_error=True,
        max_file_size=MAX_MEGABYTES * gr.FileSize.MB,
        allowed_paths=[],
        enable_monitoring=False,
        ssr_mode=False,
        footer_links=[],
        theme=theme,
        css=CSS,
    )
    print(f'{address} (ctrl-C stops it)', flush=True)
    if block:
        blocks.block_thread()
    return address


def _upload(name: str, label: str = 'Picture', visible: bool = True, height: int = 320) -> gr.Image:
    return guarded(
        gr.Image(
            type='filepath',
            image_mode=None,
            sources=['upload', 'clipboard'],
            label=label,
            elem_id=name,
            buttons=[],
            height=height,
            visible=visible,
        )
    )


def main() -> None:
    """Parse, load, serve."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    demo = 'work_dirs/demo/models'
    parser.add_argument(
        '--model',
        nargs='+',
        help='folders of tools/model_converters/publish.py; default: those of make demo',
    )
    parser.add_argument(
        '--catalogue',
        help='CSV, Parquet, a folder of pictures, or a config, whose test data are shown; default: '
        "the demo's",
    )
    parser.add_argument(
        '--index', help='of tools/build_index.py; default: the one that the service has, too'
    )
    parser.add_argument('--host', default='127.0.0.1', help='0.0.0.0 lets other machines in')
    parser.add_argument('--port', type=int, default=7860)
    args = parser.parse_args()
    if bool(args.model) != bool(args.catalogue):
        raise ValueError('--model and --catalogue: give both, or neither for the demo')
    models = args.model or [f'{demo}/shop']
    for model in models:
        if not Path(model).is_dir():
            raise FileNotFoundError(
                f'{model}: no such model folder; tools/model_converters/publish.py makes one of a '
                "checkpoint, make demo makes the demo's"
            )
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // AT_ONCE))
    gallery = args.catalogue or 'configs/demo/retrieval_demo.py'
    page = build(Page(models, gallery, index=args.index))
    try:
        launch(page, args.host, args.port)
    except OSError as error:
        raise OSError(
            f'{args.host}, port {args.port}: in use, or not of this machine; name others with '
            '--port, --host'
        ) from error


if __name__ == '__main__':
    run_command(main)
