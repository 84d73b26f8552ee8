"""Web page for a model and a catalogue: search, captions, categories, completion.

    python -m projects.web_demo.app --model MY_MODEL --catalogue MY_CATALOGUE/products.csv

The page sends nothing anywhere, and other machines cannot reach it unless --host allows it. Each
part uses the first model with the head for it; without such a model the part is hidden.
"""

import argparse
import os
from pathlib import Path
from typing import Any, get_args

os.environ['GRADIO_ANALYTICS_ENABLED'] = 'False'
os.environ['HF_HUB_DISABLE_TELEMETRY'] = '1'

import gradio as gr
import torch
from starlette.middleware import Middleware

from mvlt.apis.completion import Style
from mvlt.tools.command_line import run_command
from projects.web_demo.page import ALL, BRUSH, CONCURRENCY, MAX_TEXT, Page
from projects.web_demo.uploads import MAX_MEGABYTES, NoRedirections, guarded

WAITING = 40  # requests that may wait
EVENT: dict = dict(api_visibility='private', concurrency_id='model', concurrency_limit=CONCURRENCY)

CSS = """
footer {display: none !important}
.gradio-container {width: min(1100px, 100%) !important; margin: auto}
.caption {padding: 6px 0}
.caption div {height: 4px; background: #ec4899; opacity: .5; border-radius: 2px}
"""


def build(page: Page) -> gr.Blocks:
    """The page, with a tab for each task of its models."""
    with gr.Blocks(title='MVLT', analytics_enabled=False, delete_cache=(3600, 3600)) as blocks:
        gr.Markdown('# MVLT\nSearch, captions and categories of a catalogue by one model.')
        if page.shop is not None:
            with gr.Tab('Search'):
                _search(page)
        if page.caption_in is not None:
            with gr.Tab('Captions'), gr.Row():
                with gr.Column():
                    shown = _upload('image')
                    rank = gr.Button('Rank captions', variant='primary', elem_id='rank')
                ranked = gr.HTML(elem_id='ranked')
                rank.click(page.captions, shown, ranked, **EVENT)
        if page.recognise is not None:
            with gr.Tab('Categories'), gr.Row():
                with gr.Column():
                    image = _upload('product')
                    caption = gr.Textbox(label='Caption (optional)', max_length=MAX_TEXT)
                    button = gr.Button('Predict categories', variant='primary', elem_id='name')
                with gr.Column():
                    labels = [
                        gr.Label(label=level.replace('_', ' '), elem_id=f'bars_{level}')
                        for level in page.recognise.description.categories
                    ]
                button.click(page.categories, [image, caption], labels, **EVENT)
        if page.complete_with is not None:
            with gr.Tab('Completion'):
                with gr.Row():
                    editor = guarded(
                        gr.ImageEditor(
                            type='filepath',
                            image_mode='RGBA',
                            format='png',
                            label='Image; paint over the part to complete',
                            sources=['upload', 'clipboard'],
                            transforms=(),
                            brush=gr.Brush(default_size=24, colors=['#b3365b']),
                            layers=False,
                            buttons=[],
                            elem_id='editor',
                        )
                    )
                    with gr.Column():
                        style = gr.Radio(
                            [BRUSH, *get_args(Style)], value=BRUSH, label='Mask', elem_id='style'
                        )
                        ratio = gr.Slider(
                            0.1, 0.9, 0.5, step=0.1, label='Mask ratio (not for the brush)'
                        )
                        editor_caption = gr.Textbox(label='Caption (optional)', max_length=MAX_TEXT)
                        complete_button = gr.Button(
                            'Complete', variant='primary', elem_id='complete'
                        )
                completed = gr.Gallery(
                    label='Completed', columns=2, elem_id='completed', buttons=[]
                )
                complete_button.click(
                    page.complete,
                    [editor, editor_caption, style, ratio],
                    completed,
                    **EVENT,
                )
    blocks.queue(max_size=WAITING, api_open=False)
    return blocks


def _search(page: Page) -> None:
    """Search by text, image and filters; a click on a result finds similar products."""
    assert page.shop is not None
    embeds = page.shop.embeds
    with gr.Row():
        with gr.Column(scale=3):
            text = gr.Textbox(label='Text', max_length=MAX_TEXT, elem_id='text')
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
            deduplicate = gr.Checkbox(label='Hide near-duplicates', visible=embeds, elem_id='dedup')
            like = _upload('query_image', 'Query image', embeds, 200)
    go = gr.Button('Search', variant='primary', elem_id='search')
    summary = gr.Markdown(elem_id='summary')
    results = gr.Gallery(
        label='Results; click to find similar products' if embeds else 'Results',
        columns=4,
        elem_id='results',
        object_fit='contain',
        buttons=[],
        allow_preview=not embeds,
    )
    ids = gr.JSON([], visible=False)  # a State would hold a connection open for each visitor
    inputs = [text, like, low, high, deduplicate, *narrow]
    for event in (go.click, text.submit):
        event(page.search, inputs, [results, summary, ids], **EVENT)

    def similar(at: gr.SelectData, product_ids: list[str], *chosen: Any) -> tuple:
        return page.search('', None, *chosen, like=product_ids[int(at.index)])

    if embeds:
        results.select(
            similar, [ids, low, high, deduplicate, *narrow], [results, summary, ids], **EVENT
        )


def launch(blocks: gr.Blocks, host: str, port: int | None, block: bool = True) -> str:
    """Serve the page until ctrl-C; return its address at once if ``block`` is False."""
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
        app_kwargs=dict(middleware=[Middleware(NoRedirections)]),
    )
    print(f'{address} (ctrl-C stops it)', flush=True)
    if block:
        blocks.block_thread()
    return address


def _upload(name: str, label: str = 'Image', visible: bool = True, height: int = 320) -> gr.Image:
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
    """Load and serve."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    demo = 'work_dirs/demo/models'
    parser.add_argument(
        '--model',
        nargs='+',
        help="folders of tools/model_converters/publish.py; default: the demo's",
    )
    parser.add_argument(
        '--catalogue',
        help='CSV, Parquet, a folder of images, or a config (its test data); default: the demo',
    )
    parser.add_argument(
        '--index', help='index of tools/build_index.py; default: shared with the service'
    )
    parser.add_argument('--host', default='127.0.0.1', help='0.0.0.0 accepts other machines')
    parser.add_argument('--port', type=int, default=7860)
    args = parser.parse_args()
    if bool(args.model) != bool(args.catalogue):
        raise ValueError('give both --model and --catalogue, or neither for the demo')
    models = args.model or [f'{demo}/shop']
    for model in models:
        if not Path(model).is_dir():
            raise FileNotFoundError(
                f'{model}: no such model folder; make one with tools/model_converters/publish.py, '
                'or run make demo'
            )
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // CONCURRENCY))
    gallery = args.catalogue or 'configs/demo/retrieval_demo.py'
    page = build(Page(models, gallery, index=args.index))
    try:
        launch(page, args.host, args.port)
    except OSError as error:
        raise OSError(
            f'{args.host}:{args.port}: port in use, or not an address of this machine; change '
            '--port or --host'
        ) from error


if __name__ == '__main__':
    run_command(main)
