"""`dream cite`: the papers and repositories behind what a dream used."""

from keras_dream.cli.options import Switch
from keras_dream.cli.output import plain, write_stdout


def cite(picture: str, /, *, bibtex: Switch = False) -> int:
    """Print the papers and repositories behind a dream.

    Args:
        picture: a picture or a film that keras-dream saved, or a recipe in JSON
        bibtex: print BibTeX, for LaTeX
    """
    from keras_dream.citations.cite import cite as citations_of

    citations = citations_of(picture)
    text = citations.bibtex if bibtex else citations.text
    write_stdout("\n".join(plain(line) for line in text.split("\n")))
    return 0
