"""Writes the couplets of the Tang poems as a text file, one per line.

    npm pack chinese-poetry@2.0.1
    python scripts/experiments/poems.py --package=chinese-poetry-2.0.1.tgz

The package holds the Complete Tang Poems, in traditional characters (MIT
licence; the poems themselves are a thousand years old). A couplet has two
verses of five characters. Couplets with a rare character are left out: a
character that is seen a few times cannot be learned.
"""

import collections
import json
import re
import tarfile

from absl import flags

from tfgen.commands import cli

_POEMS = re.compile(r'.*/quantangshi/poet\.tang\.\d+\.json')
_VERSE = '[\u4e00-\u9fff]{5}'
_COUPLET = re.compile(f'{_VERSE}，{_VERSE}')

flags.DEFINE_string('package', None, 'The .tgz file of the package.')
flags.DEFINE_string('output', 'poems.txt', 'The text file.')
flags.DEFINE_integer('characters', 1000, 'The most frequent to keep.', 1)


def main() -> None:
    from tfgen import storage
    from tfgen.errors import UserError

    file = cli.path(cli.required('package'))
    try:
        with tarfile.open(file) as package:
            found = _couplets(package)
    except (OSError, tarfile.TarError) as error:
        raise UserError(
            f'package {str(file)!r} cannot be read ({error}): make it with '
            'npm pack chinese-poetry@2.0.1'
        ) from None
    frequent = collections.Counter(''.join(found))
    known = {c for c, _ in frequent.most_common(flags.FLAGS.characters + 1)}
    kept = sorted(line for line in found if known.issuperset(line))
    if not kept:
        raise UserError(
            f'package {str(file)!r} has no Tang poems: make it with npm pack '
            'chinese-poetry@2.0.1'
        )
    output = cli.path(flags.FLAGS.output)
    storage.write({output: ('\n'.join(kept) + '\n').encode()})
    print(f'{output}: {len(kept):,} of {len(found):,} couplets')


def _couplets(package):
    """The set of all couplets in the poems of a package."""
    found = set()
    for member in package:
        if _POEMS.fullmatch(member.name):
            for poem in json.load(package.extractfile(member)):
                for line in poem['paragraphs']:
                    parts = re.split('[。？！；]', line)
                    found |= {p for p in parts if _COUPLET.fullmatch(p)}
    return found


if __name__ == '__main__':
    cli.run(main)
