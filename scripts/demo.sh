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
import json, pathlib, sys

print(f'\n{"model":16} {"figure (test split)":26} {"value":>22}  made')
for folder in sorted(pathlib.Path('demo').glob('*_digits')):
    metrics = json.loads((folder / 'metrics.json').read_text())
    made = [f'{folder}/*.png', f'demo/exports/{folder.name}/']
    for name, figure in metrics['figures'].items():
        value = f'{figure["mean"]:.3f} +- {figure["standard_error"]:.3f}'
        value += f' {figure.get("unit", ""):4}'
        print(f'{folder.name:16} {name:26} {value:>22}  {"".join(made[:1])}')
        made = made[1:]
print(f'\n{sys.argv[1]} seconds after the installation')
PYTHON
