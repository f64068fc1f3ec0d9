"""tfgen installed as a wheel, in an environment without a clone."""

import os
import pathlib
import shutil
import site
import sys

import processes
import pytest
import tiny

SOURCES = (
    'tfgen',
    'results',
    'pretrained',
    'setup.py',
    'pyproject.toml',
    'README.md',
    'LICENSE',
)


@pytest.fixture(scope='module')
def installed(tmp_path_factory):
    """A function that runs a console command of the installed wheel."""
    root = tmp_path_factory.mktemp('installed')
    for name in SOURCES:
        source = tiny.ROOT / name
        if source.is_dir():
            shutil.copytree(
                source,
                root / 'source' / name,
                ignore=shutil.ignore_patterns('__pycache__'),
            )
        else:
            shutil.copy(source, root / 'source' / name)
    build = [sys.executable, '-m', 'build', '--wheel', '--outdir', str(root)]
    processes.run([*build, str(root / 'source')])
    shutil.rmtree(root / 'source')
    (wheel,) = root.glob('*.whl')
    python = root / 'env' / 'bin' / 'python'
    processes.run([sys.executable, '-m', 'venv', '--without-pip', root / 'env'])
    pip = [sys.executable, '-m', 'pip', '--python', str(python)]
    pip += ['--disable-pip-version-check', '--quiet']
    processes.run([*pip, 'install', '--no-deps', '--no-index', str(wheel)])
    # The dependencies are too large to install again, so those of this
    # environment are added. Its own .pth files are not read, so the clone stays
    # hidden.
    (libraries,) = (root / 'env' / 'lib').glob('python*/site-packages')
    (libraries / 'others.pth').write_text('\n'.join(site.getsitepackages()))
    environment = {k: v for k, v in os.environ.items() if k != 'PYTHONPATH'}
    forks = processes.Forks(env=environment, python=str(python))

    def run(*command):
        if command[0] != '-c':
            command = (python.with_name(command[0]), *command[1:])
        done = forks.outcome([python, *command], cwd=root)
        assert done.returncode == 0, done.stderr
        return done.stdout

    yield run
    forks.close()


def test_the_package_is_the_installed_one(installed):
    where = installed('-c', 'import tfgen; print(tfgen.__file__)')
    assert not pathlib.Path(where).is_relative_to(tiny.ROOT)


def test_records_travel_with_the_presets(installed):
    for command in (('tfgen-train', '--list_presets'), ('tfgen', 'list')):
        lines = installed(*command).splitlines()
        (line,) = [x for x in lines if x.split()[:1] == ['conv_vae_mnist']]
        assert '378.8K' in line and 'nats' in line


def test_a_run_from_training_to_export(installed, data_dir, tmp_path):
    workdir = f'--workdir={tmp_path / "run"}'
    settings = [f'--set={s}' for s in tiny.settings('cvae')]
    trained = installed(
        'tfgen-train',
        '--preset=cvae_digits',
        workdir,
        f'--data_dir={data_dir}',
        *settings,
        '--set=steps=2',
    )
    assert 'step 2/2' in trained
    evaluated = installed('tfgen-evaluate', workdir, '--num_samples=2')
    assert 'negative_elbo' in evaluated
    installed('tfgen-sample', workdir, '--count=4')
    assert (tmp_path / 'run' / 'samples.png').is_file()
    installed('tfgen-export', workdir, f'--model_dir={tmp_path / "export"}')
    assert (tmp_path / 'export' / '1' / 'saved_model.pb').is_file()


def test_trained_models_and_the_page_travel_with_it(installed):
    code = 'import tfgen; print(tfgen.load("cvae_digits").step)'
    assert installed('-c', code).strip() == '4000'
    code = """
import pathlib, tfgen.server
page = pathlib.Path(tfgen.server.__file__).parent / 'explorer'
print(*sorted(f.name for f in page.iterdir()))"""
    page = tiny.ROOT / 'tfgen' / 'server' / 'explorer'
    expected = sorted(f.name for f in page.iterdir())
    assert installed('-c', code).split() == expected
