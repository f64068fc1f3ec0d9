"""Packaging of tfgen. Tool settings are in pyproject.toml.

Why each dependency is there:
  tensorflow, keras      what tfgen is about; Python 3.11 is the floor
  tensorflow-datasets    any image set by name
  importlib_resources    tensorflow-datasets imports it without declaring it
  absl-py                flags of the scripts
  numpy, pillow          arrays and picture files
  scikit-learn           ships the embedded digits; neighbours, distances,
                         t-SNE, linear machines
  tensorboard            reads the summaries that training writes
  tqdm                   the progress line (TFDS needs it, too)
  filelock               one training at a time in a workdir; its lock ends
                         with the process
"""

from pathlib import Path

from setuptools import find_packages, setup

setup(
    name='tfgen',
    version='0.1.0',
    description='Deep generative models for TensorFlow and Keras',
    long_description=Path('README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    # The records of the presets' runs travel with them, and trained models.
    packages=[
        *find_packages(include=['tfgen', 'tfgen.*']),
        'tfgen.results',
        'tfgen.pretrained',
    ],
    package_dir={
        'tfgen.results': 'results',
        'tfgen.pretrained': 'pretrained',
    },
    package_data={
        'tfgen': ['py.typed'],
        'tfgen.results': ['*.json'],
        'tfgen.pretrained': ['*/*', '*/1/*', '*/1/*/*'],
        'tfgen.server': ['explorer/*'],
    },
    entry_points={
        'console_scripts': [
            'tfgen = tfgen.commands.main:run',
            *(
                f'tfgen-{name} = tfgen.commands.{name}:run'
                for name in ('train', 'evaluate', 'sample', 'export', 'serve')
            ),
        ]
    },
    python_requires='>=3.11',
    classifiers=[
        f'Programming Language :: Python :: {version}'
        for version in ('3.11', '3.12', '3.13')
    ],
    install_requires=[
        'tensorflow>=2.20',
        'keras>=3.12',
        'tensorflow-datasets>=4.9.9',
        'importlib_resources>=6',
        'absl-py>=2.1',
        'numpy>=1.26',
        'pillow>=10.1',
        'scikit-learn>=1.5',
        'tensorboard>=2.20',
        'tqdm>=4.66',
        'filelock>=4.3',
    ],
    extras_require={
        # Warm-up records of an export; clients over gRPC.
        'serving': ['tensorflow-serving-api>=2.19'],
        # The local server: an ASGI stack, of the kind that is widely kept.
        'server': ['starlette>=0.47', 'uvicorn>=0.34'],
        # Curves of two_lines.py and game.py, in scripts/experiments/.
        'figures': ['matplotlib>=3.8'],
        # Makes and executes docs/notebooks/ from their sources.
        'notebooks': [
            'jupytext>=1.16',
            'nbclient>=0.10',
            'ipykernel>=6.29',
        ],
        # What scripts/check_tpu.py compiles with; by no stable interface.
        'tpu-check': ['jax==0.10.2', 'libtpu==0.0.52'],
        'test': [
            # (9 ends a test that hangs: see pyproject.toml.)
            'pytest>=9',
            'pytest-xdist>=3.6',
            'ruff>=0.12',
            # Checks the types of the public interface; see pyproject.toml.
            'mypy>=1.18',
            # Keeps imports running downwards; see pyproject.toml.
            'import-linter>=2.3',
            # Makes the wheel that is tested.
            'build>=1.2',
            # Requests of any kind, in tests/soak.py.
            'hypothesis>=6.100',
            # Schemas of Kubernetes, for deploy/.
            'kubernetes-validate>=1.31',
            # Drives the browser that tests the explorer.
            'playwright>=1.50',
        ],
    },
)
