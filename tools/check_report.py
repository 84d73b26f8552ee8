"""The report of tools/check_dataset.py as text."""


def lines(report: dict) -> list[str]:
    """The report as lines."""
    printed = list(report.get('said', ()))
    for example in (report['splits'].get('train') or {}).get('examples', ()):
        labels = ', '.join(f'{k} {v}' for k, v in example.items() if k not in ('image', 'caption'))
        printed.append(f"e.g. {example['image']}: '{example['caption']}'; {labels}".rstrip('; '))
    for name, summary in report['splits'].items():
        printed.append(
            f'\n{name}: {summary["rows"]} rows, {summary["products"]} products, '
            f'{summary["images"]} images ({len(summary["unreadable"])} unreadable)'
        )
        for level in summary['labels']:
            if level in summary:
                counts = summary[level]
                largest = ', '.join(f'{key} {n}' for key, n in counts['largest'].items())
                printed.append(
                    f'  {level}: {counts["classes"]} classes, largest {largest}; '
                    f'{len(counts["single_product"])} with a single product'
                    + (f'; unknown for {counts["unknown"]} products' if counts['unknown'] else '')
                )
        lengths = ', '.join(f'{key} {n}' for key, n in summary['caption_length'].items())
        printed.append(
            f'  caption length in {summary["length_unit"]}: {lengths}; cut: '
            f'{"unknown" if summary["captions_cut"] is None else summary["captions_cut"]}'
        )
        printed.append(
            f'  captions of several products: {summary["shared_captions"]} '
            f'({summary["products_sharing"]} products); repeated images: '
            f'{summary["same_images"]}'
        )
        sizes = ', '.join(f'{key} {w} x {h}' for key, (w, h) in summary['sizes'].items())
        printed.append(f'  image sizes: {sizes}')
        printed.append(
            f'  products with fewer than 100 candidates of their sub-category: '
            f'{summary["short_of_candidates"]}'
        )
    printed.append('')
    printed += [f'WARN {line}' for line in report['warn']]
    printed += [f'FAIL {line}' for line in report['fail']]
    printed.append('training or evaluation would fail' if report['fail'] else 'training can start')
    return printed
