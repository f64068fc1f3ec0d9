#!/usr/bin/env bash
# Trains, evaluates, draws, exports and serves three models on real digits.
# Needs Python 3.11 or later and nothing else; makes demo/.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/env.sh
echo 'installing (once) ...'
make_env serving
begin=$SECONDS

declare -A kinds=(
  [cvae]=samples,interpolation,manifold,reconstruction,styles
  [pixelrnn]=samples,completion
  [dcgan]=samples,interpolation
)
for model in cvae pixelrnn dcgan; do
  preset="${model}_digits"
  workdir="demo/$preset"
  echo
  echo "== $preset"
  python scripts/train.py --preset="$preset" --workdir="$workdir"
  python scripts/evaluate.py --workdir="$workdir"
  python scripts/sample.py --workdir="$workdir" --kind="${kinds[$model]}"
  python scripts/export.py --workdir="$workdir" --model_dir="demo/exports/$preset"
done

echo
echo '== a process with TensorFlow alone, as a server would load them'
python scripts/load_export.py demo/exports/*_digits

python - "$((SECONDS - begin))" <<'PYTHON'
import json
import pathlib
import sys

from PIL import Image

folders = [pathlib.Path('demo', f'{m}_digits') for m in ('cvae', 'pixelrnn', 'dcgan')]
print(f'\n{"model":16} {"figure (test split)":24} {"value":>24}   pictures in')
for folder in folders:
    metrics = json.loads((folder / 'metrics.json').read_text())
    for name, figure in metrics['figures'].items():
        value = f'{figure["mean"]:.3f} +- {figure["standard_error"]:.3f}'
        value += f' {figure.get("unit", ""):4}'
        print(f'{folder.name:16} {name:24} {value:>24}   {folder}/')
print('\nexports for TensorFlow Serving: demo/exports/')

grids = [Image.open(folder / 'samples.png') for folder in folders]
gap = 24
joined = Image.new('L', (sum(g.width + gap for g in grids) - gap, grids[0].height), 255)
left = 0
for grid in grids:
    joined.paste(grid, (left, 0))
    left += grid.width + gap
joined.save('demo/demo.png')
print(f'all samples: demo/demo.png\n{sys.argv[1]} seconds after the installation')
PYTHON
