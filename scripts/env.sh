# Sourced by the other scripts: a virtual environment that installs once.
#
#   make_env EXTRAS    makes .venv, installs tfgen[EXTRAS] into it, and puts it
#                      first on PATH; does nothing if that has been done.

make_env() {
  local python stamp wanted
  if [ ! -x .venv/bin/python ]; then
    # The tested version first; python3 may be newer than TensorFlow knows.
    for python in python3.11 python3.12 python3.13 python3; do
      if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
          2>/dev/null && "$python" -m venv .venv; then
        break
      fi
      rm -rf .venv
    done
    if [ ! -x .venv/bin/python ]; then
      echo "error: no Python 3.11 or later found: install one" >&2
      return 2
    fi
  fi
  # One stamp per set of extras, holding what it was made from.
  stamp=".venv/installed-${1//,/-}"
  wanted=$(cat setup.py constraints.txt | cksum)
  if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
    echo "installing tfgen[$1] into .venv (a minute or two) ..." >&2
    # (In the other editable mode a clone named tfgen hides the package from
    # who starts Python beside it.)
    .venv/bin/python -m pip install --quiet --disable-pip-version-check \
      --constraint constraints.txt --config-settings editable_mode=compat \
      --editable ".[$1]"
    echo "$wanted" > "$stamp"
  fi
  PATH="$PWD/.venv/bin:$PATH"
}
