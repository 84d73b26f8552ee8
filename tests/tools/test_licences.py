"""Contract: each installed package is listed with its version and licence."""

from mvlt.tools.licences import main


def test_known_licences(capsys):
    main()
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert 'BSD' in lines['torch'] and 'Apache' in lines['safetensors'] + lines['transformers']
    assert 'Apache' in lines['mvlt'] or 'MIT' in lines['mvlt']
