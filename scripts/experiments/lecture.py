"""Draws the notes' demonstrations on the way to the VAE from real runs.

    python scripts/experiments/lecture.py --workdir=runs/lecture \\
      --output=runs/lecture

Trains the models in the workdir (a second call trains nothing) and draws:
  moon_pair.png         half way between two moons, of two pictures alone
  moon_phases.png       the same for a set of all phases
  drawn_codes.png       codes from N(0, 1), by an auto-encoder and by a VAE
  variance.png          the VAE's variance with the KL term, and without
  penalty.png           the KL, lowest where the variance is 1
  tuning.png            bound and likelihood as p, q or both are tuned
  bound.png             the bound approaches log P(x) as q alone is trained
  density.png           two moons: the data, two mixtures, a VAE
  responsibilities.png  a mixture: whose point is it
  code_line.png         log P(x) along a line of codes
  two_bells.png         a normal fitted to two bells by each KL
  inverse.png           the code of an image, for a finished GAN
  sevens.png            a 7, and two 7s that differ from it in one pixel
  codes.png             PCA, shallow and deep auto-encoders of equal code size
  map_deep_ae.png       codes of the same digit lie together
  ranked.png            samples of a PixelRNN, the most probable first
  drawing.gif           a PixelRNN draws; receptive_field.gif: of WaveNet;
                        walk.gif: through the codes of a VAE
Drawn only if --only names them, because they need MNIST in --data_dir:
  latents     mnist_line, _plane, _corners, _traversal, _attribute, _map,
              _neighbours, and digits_neighbours.png
  dimensions  mnist_dimensions.png: the accuracy of codes against their size
The numbers are written to lecture.json. scripts/lecture.sh installs the
requirements first.
"""

import datetime
import json
import os
import platform

import lecture_bounds
import lecture_digits
import lecture_gans
import lecture_latents
import lecture_moons
import lecture_points
from absl import flags

from tfgen.commands import cli

cli.workdir_flag()
cli.data_flag()
flags.DEFINE_string('output', 'runs/lecture', 'Folder of the pictures.')
flags.DEFINE_list('only', None, 'Of the demonstrations, these alone.')
flags.DEFINE_integer('seeds', 3, 'Runs of each model of moon phases.', 1)


def main() -> None:
    from tfgen import storage
    from tfgen.errors import UserError
    from tfgen.evaluation import recording

    cli.require_matplotlib()
    wanted = flags.FLAGS.only or list(_DEMONSTRATIONS)
    known = _DEMONSTRATIONS | _ON_MNIST
    for name in wanted:
        if name not in known:
            raise UserError(
                f'unknown demonstration {name!r}: use {", ".join(known)}'
            )
    folder = cli.path(flags.FLAGS.output)
    record = folder / 'lecture.json'
    report = {
        'command': 'bash scripts/lecture.sh',
        'machine': f'{platform.machine()}, {os.cpu_count()} CPU cores',
    }
    for name in wanted:
        pictures, figures = known[name]()
        storage.write({folder / k: v for k, v in pictures.items()})
        for file in pictures:
            print(folder / file, flush=True)
        report[name] = figures | {
            'commit': recording.commit(),
            'date': datetime.date.today().isoformat(),
        }
        if name in _ON_MNIST:
            report[name]['command'] = (
                f'python scripts/experiments/lecture.py --only={name} '
                '--data_dir=TFDS'
            )
    # Demonstrations that --only leaves out keep their earlier entries.
    earlier = json.loads(record.read_text()) if record.exists() else {}
    storage.write_json(record, earlier | report)
    print(record)


_DEMONSTRATIONS = {
    'moon_pair': lecture_moons.moon_pair,
    'moon_phases': lecture_moons.moon_phases,
    'drawn_codes': lecture_moons.drawn_codes,
    'variance': lecture_bounds.variance,
    'penalty': lecture_bounds.penalty,
    'tuning': lecture_bounds.tuning,
    'bound': lecture_bounds.bound,
    'density': lecture_points.density,
    'responsibilities': lecture_points.responsibilities,
    'code_line': lecture_points.code_line,
    'two_bells': lecture_gans.two_bells,
    'inverse': lecture_gans.inverse,
    'sevens': lecture_digits.sevens,
    'codes': lecture_digits.codes,
    'ranked': lecture_digits.ranked,
    'moving': lecture_digits.moving,
}
_ON_MNIST = {
    'latents': lecture_latents.latents,
    'dimensions': lecture_latents.dimensions,
}


if __name__ == '__main__':
    cli.run(main)
