#!/usr/bin/env bash
# Trains, evaluates, draws and exports three models on real digits and one on
# computed tones; loads the exports with TensorFlow alone.
# Needs Python 3.11 or later and nothing else; makes demo/.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/env.sh
echo 'installing (once) ...'
make_env serving
begin=$SECONDS

declare -A kinds=(
  [cvae_digits]=samples,interpolation,reconstruction,styles
  [pixelrnn_digits]=samples,completion
  [dcgan_digits]=samples,interpolation
  [wavenet_tones]=samples,completion
)
for preset in cvae_digits pixelrnn_digits dcgan_digits wavenet_tones; do
  workdir="demo/$preset"
  echo
  echo "== $preset"
  python scripts/train.py --preset="$preset" --workdir="$workdir"
  # (A classifier, in whose features the samples of a GAN are compared.)
  python scripts/evaluate.py --workdir="$workdir" --cache_dir=demo/cache
  python scripts/sample.py --workdir="$workdir" --kind="${kinds[$preset]}"
  python scripts/export.py --workdir="$workdir" --model_dir="demo/exports/$preset"
done

echo
echo '== a process with TensorFlow alone, as a server would load them'
python scripts/load_export.py demo/exports/*_*

python - "$((SECONDS - begin))" <<'PYTHON'
import json
import pathlib
import sys

from PIL import Image

names = 'cvae_digits pixelrnn_digits dcgan_digits wavenet_tones'.split()
folders = [pathlib.Path('demo', name) for name in names]
print(f'\n{"model":16} {"figure (test split)":24} {"value":>24}   pictures in')
for folder in folders:
    metrics = json.loads((folder / 'metrics.json').read_text())
    for name, figure in metrics['figures'].items():
        value = f'{figure["mean"]:.3f}'
        if figure['standard_error'] is not None:
            value += f' +- {figure["standard_error"]:.3f}'
        value += f' {figure.get("unit", ""):4}'
        print(f'{folder.name:16} {name:24} {value:>24}   {folder}/')
print('\nexports for TensorFlow Serving: demo/exports/')

grids = [Image.open(folder / 'samples.png') for folder in folders[:3]]
gap = 24
joined = Image.new('L', (sum(g.width + gap for g in grids) - gap, grids[0].height), 255)
left = 0
for grid in grids:
    joined.paste(grid, (left, 0))
    left += grid.width + gap
joined.save('demo/demo.png')
print(f'all samples: demo/demo.png\n{sys.argv[1]} seconds after the installation')
PYTHON
