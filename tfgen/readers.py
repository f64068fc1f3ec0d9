"""Where images come from: TFDS sets, the embedded digits, image folders.

`open_source` turns a name into a Source, which gathers uint8 images by index.
A set that fits is decoded once into memory (gathering from memory is 100
times faster than decoding); a larger one is read by random access.
"""

import contextlib
import dataclasses
import io
import pathlib
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from PIL import Image

from tfgen import digits
from tfgen.errors import UserError

# Sets whose images do not use the 256 values of a byte.
_LEVELS = {'digits': digits.LEVELS, 'binarized_mnist': 2}
_MEMORY_LIMIT = 4 << 30  # bytes of decoded images
_SUFFIXES = {'.png', '.jpg', '.jpeg', '.bmp', '.gif'}
# Share of the training images that becomes the test split where a set has
# none: every tenth image, counted from the first.
_HOLD_OUT = 10


@dataclasses.dataclass(frozen=True)
class Source:
    """Images by index.

    Attributes:
      image_shape: (H, W, C) of every image.
      levels: values per channel: integers 0 .. levels - 1.
      num_classes: 0 without labels.
      splits: 'train' and 'test' -> a sequence of (image, label) arrays for a
        list of indices; see `gather`.
    """

    image_shape: tuple[int, int, int]
    levels: int
    num_classes: int
    splits: Mapping[str, 'InMemory | RandomAccess']

    def gather(self, split: str, indices: tf.Tensor):
        """uint8 [B, H, W, C] and int32 [B] (or None) of int64 `indices`."""
        return self.splits[split].gather(indices)


class InMemory:
    """A split that was decoded into arrays."""

    def __init__(self, images: np.ndarray, labels: np.ndarray | None):
        # On the host: an accelerator's memory is for the model.
        with tf.device('CPU'):
            self._images = tf.constant(images)
            self._labels = (
                None if labels is None else tf.constant(labels, tf.int32)
            )

    def __len__(self):
        return self._images.shape[0]

    def gather(self, indices):
        images = tf.gather(self._images, indices)
        if self._labels is None:
            return images, None
        return images, tf.gather(self._labels, indices)


class RandomAccess:
    """A split that is decoded when it is asked for."""

    def __init__(self, source, rows: Sequence[int], keys, size, image_shape):
        self._source = source
        self._rows = rows
        self._image_key, self._label_key = keys
        self._size = size
        self._shape = image_shape

    def __len__(self):
        return len(self._rows)

    def gather(self, indices):
        images, labels = tf.numpy_function(
            self._read, [indices], [tf.uint8, tf.int32]
        )
        images = tf.ensure_shape(images, [indices.shape[0], *self._shape])
        labels = tf.ensure_shape(labels, [indices.shape[0]])
        return images, None if self._label_key is None else labels

    def _read(self, indices):
        examples = self._source.__getitems__(
            [self._rows[int(i)] for i in indices]
        )
        images = [fit(e[self._image_key], self._size) for e in examples]
        labels = [
            e[self._label_key] if self._label_key else 0 for e in examples
        ]
        return np.stack(images), np.asarray(labels, np.int32)


def open_source(
    name: str,
    data_dir: str | None,
    image_size: tuple[int, int] | None,
    memory_limit: int = _MEMORY_LIMIT,
) -> Source:
    """Opens 'digits', a TFDS set or 'folder:PATH'; see data.load."""
    if name.startswith('folder:'):
        path = pathlib.Path(name[len('folder:') :]).expanduser()
        return _open_folder(path, image_size)
    return _open_tfds(name, data_dir, image_size, memory_limit)


def fit(images: np.ndarray, size: tuple[int, int] | None) -> np.ndarray:
    """The largest centred crop of `size`'s shape, resized to `size`.

    uint8 [..., h, w, C] -> uint8 [..., H, W, C]; averages pixels when it
    shrinks.
    """
    height, width = images.shape[-3:-1]
    if size is None or (height, width) == tuple(size):
        return images
    scale = min(height / size[0], width / size[1])
    crop = [max(1, round(size[0] * scale)), max(1, round(size[1] * scale))]
    top, left = (height - crop[0]) // 2, (width - crop[1]) // 2
    images = images[..., top : top + crop[0], left : left + crop[1], :]
    resized = tf.image.resize(images, size, antialias=True).numpy()
    return np.clip(np.round(resized), 0, 255).astype(np.uint8)


# TFDS


def _open_tfds(name, data_dir, size, memory_limit):
    builder = _builder(name, data_dir)
    image_key, label_key = _keys(name, builder.info.features)
    builder = _prepared(name, builder, data_dir)
    levels = _LEVELS.get(builder.name, 256)
    channels = builder.info.features[image_key].shape[-1]
    shape = (*(size or builder.info.features[image_key].shape[:2]), channels)
    rows = _split_rows(builder)
    total = sum(len(r) for _, r in rows.values())
    if None not in shape and total * np.prod(shape) > memory_limit:
        splits = {
            split: RandomAccess(
                _data_source(name, builder, stored),
                r,
                (image_key, label_key),
                size,
                shape,
            )
            for split, (stored, r) in rows.items()
        }
    else:
        decoded = {
            stored: _decode(name, builder, stored, image_key, label_key, size)
            for stored in {stored for stored, _ in rows.values()}
        }
        splits = {
            split: InMemory(
                _take(decoded[stored][0], r),
                None if label_key is None else _take(decoded[stored][1], r),
            )
            for split, (stored, r) in rows.items()
        }
        shape = next(iter(decoded.values()))[0].shape[1:]
        largest = max(images.max() for images, _ in decoded.values())
        if largest >= levels:
            raise UserError(
                f'data set {name!r} has a pixel of {largest} where {levels} '
                'levels are expected: prepare it again with tfds build'
            )
    classes = 0
    if label_key is not None:
        classes = builder.info.features[label_key].num_classes
    return Source(tuple(shape), levels, classes, splits)


def _builder(name, data_dir):
    try:
        if name == 'digits':
            return digits.Digits(data_dir=data_dir)
        return tfds.builder(name, data_dir=data_dir)
    except tfds.core.DatasetNotFoundError:
        raise UserError(
            f'unknown data set {name!r}: use digits, folder:PATH, or a TFDS '
            'name such as mnist, fashion_mnist, cifar10'
        ) from None
    except (
        ValueError,
        KeyError,
        OSError,
        ImportError,
        AssertionError,
    ) as error:
        raise UserError(
            f'data set {name!r} in {data_dir or "the TFDS default folder"} '
            f'cannot be opened: {_one_line(error)}'
        ) from None


def _keys(name, features):
    features = dict(features) if hasattr(features, 'keys') else {}
    images = [
        key
        for key, feature in features.items()
        if isinstance(feature, tfds.features.Image)
    ]
    if not images:
        raise UserError(f'data set {name!r} has no image: use a TFDS image set')
    key = 'image' if 'image' in images else images[0]
    if features[key].np_dtype != np.uint8:
        raise UserError(
            f'data set {name!r} has {features[key].np_dtype.__name__} images:'
            ' only 8-bit images are supported'
        )
    label = features.get('label')
    has_label = isinstance(label, tfds.features.ClassLabel)
    return key, 'label' if has_label else None


def _prepared(name, builder, data_dir):
    info = builder.data_path / 'dataset_info.json'
    if info.exists():
        return builder
    for url in getattr(builder, 'url_infos', None) or ():
        # TFDS itself retries for minutes before it gives up.
        if not _reachable(url):
            raise UserError(
                f'data set {name!r} is not prepared in {builder.data_dir} and '
                'its source cannot be reached: run `tfds build '
                f'{name}` where there is a network and pass --data_dir, or '
                'use the embedded set digits'
            )
        break
    # Nothing worth reporting happens while the embedded set is written.
    quiet = io.StringIO() if name == 'digits' else sys.stdout
    try:
        with contextlib.redirect_stdout(quiet):
            builder.download_and_prepare()
    except Exception as error:  # TFDS raises all kinds
        # Another process, say another worker, may have been faster.
        if not info.exists():
            raise UserError(
                f'data set {name!r} cannot be prepared in {builder.data_dir}: '
                f'{_one_line(error)}'
            ) from None
    return _builder(name, data_dir)


def _reachable(url):
    request = urllib.request.Request(url, method='HEAD')
    try:
        urllib.request.urlopen(request, timeout=5).close()
    except urllib.error.HTTPError:
        return True  # a server answered; TFDS will say what it thinks of it
    except OSError:  # URLError and time-outs among them
        return False
    return True


def _split_rows(builder):
    """'train', 'test' -> (name of the stored split, its row numbers)."""
    sizes = {k: v.num_examples for k, v in builder.info.splits.items()}
    train = 'train' if 'train' in sizes else next(iter(sizes), None)
    if train is None or sizes[train] == 0:
        raise UserError(
            f'data set {builder.name!r} in {builder.data_dir} has no '
            'examples: prepare it again with tfds build'
        )
    for test in ('test', 'validation'):
        if sizes.get(test) and test != train:
            return {
                'train': (train, np.arange(sizes[train])),
                'test': (test, np.arange(sizes[test])),
            }
    return {k: (train, rows) for k, rows in _hold_out(sizes[train]).items()}


def _take(values, rows):
    # A split that is used whole is not copied.
    return values if len(rows) == len(values) else values[rows]


def _hold_out(count):
    rows = np.arange(count)
    if count < 2:
        raise UserError(
            f'{count} image is too few: one is needed to train and one to test'
        )
    held = rows % _HOLD_OUT == 0
    return {'train': rows[~held], 'test': rows[held]}


def _decode(name, builder, split, image_key, label_key, size):
    shape = builder.info.features[image_key].shape
    images, labels = [], []
    try:
        for batch in _batches(builder, split, None not in shape[:2]):
            images.extend(fit(batch[image_key], size))
            if images[-1].shape != images[0].shape:
                break  # _stack will say so
            if label_key:
                labels.extend(batch[label_key])
    except tf.errors.OpError as error:
        raise UserError(
            f'data set {name!r} in {builder.data_dir} cannot be read: '
            f'{_one_line(error)}'
        ) from None
    return _stack(name, images), np.asarray(labels, np.int32)


def _batches(builder, split, same_shape):
    """Examples of a stored split in order, stacked along a first axis."""
    if builder.info.file_format == tfds.core.FileFormat.ARRAY_RECORD:
        source = builder.as_data_source(split=split)
        for index in range(len(source)):
            yield {k: np.asarray(v)[None] for k, v in source[index].items()}
        return
    # Batches decode twice as fast, but only images of one shape make a batch.
    examples = builder.as_dataset(
        split=split, batch_size=1000 if same_shape else 1
    )
    yield from tfds.as_numpy(examples)


def _data_source(name, builder, split):
    try:
        return builder.as_data_source(split=split)
    except NotImplementedError:
        raise UserError(
            f'data set {name!r} is too large for memory and its files have no '
            f'random access: run `tfds build {name} '
            '--file_format=array_record --data_dir=OTHER` and pass '
            '--data_dir=OTHER, or set a smaller image_size'
        ) from None


# Folders


def _open_folder(path, size):
    """Reads PATH/{train,test}/CLASS/*.png, PATH/CLASS/*.png or PATH/*.png.

    TFDS's ImageFolder reads only the first of these layouts and does not say
    which file is damaged.
    """
    if not path.is_dir():
        raise UserError(
            f'folder {str(path)!r} does not exist: give folder:PATH with the '
            'path of a folder of images'
        )
    if (path / 'train').is_dir():
        listed = {'train': _listed(path / 'train')}
        if (path / 'test').is_dir():
            listed['test'] = _listed(path / 'test')
    else:
        listed = {'train': _listed(path)}
    for split, files in listed.items():
        if not files:
            raise UserError(
                f'folder {str(path)!r} holds no images for {split}: put .png '
                f'or .jpg files into it or into one folder per class'
            )
    classes = sorted({c for files in listed.values() for _, c in files})
    if classes == ['']:
        classes = []
    elif '' in classes:
        raise UserError(
            f'folder {str(path)!r} has classes in one place and loose images '
            'in another: put every image into the folder of its class'
        )
    channels = _folder_channels(listed['train'][0][0])
    arrays = {}
    for split, files in listed.items():
        images = [fit(_decode_file(f, channels), size) for f, _ in files]
        labels = [classes.index(c) if classes else 0 for _, c in files]
        arrays[split] = (_stack(str(path), images), np.asarray(labels))
    if 'test' not in arrays:
        images, labels = arrays['train']
        arrays = {
            split: (images[rows], labels[rows])
            for split, rows in _hold_out(len(images)).items()
        }
    splits = {
        split: InMemory(images, labels if classes else None)
        for split, (images, labels) in arrays.items()
    }
    shape = arrays['train'][0].shape[1:]
    if arrays['test'][0].shape[1:] != shape:
        raise UserError(
            f'images of {str(path)!r} differ in size between train and test: '
            'set image_size, for example --set image_size=32,32'
        )
    return Source(shape, 256, len(classes), splits)


def _listed(folder):
    """[(file, class)], by name; the class of a loose file is ''."""

    def files(where):
        return sorted(
            f for f in where.iterdir() if f.suffix.lower() in _SUFFIXES
        )

    return [(f, '') for f in files(folder)] + [
        (f, sub.name)
        for sub in sorted(folder.iterdir())
        if sub.is_dir()
        for f in files(sub)
    ]


def _folder_channels(file):
    """1 or 3, as the first image."""
    grey = {'1', 'L', 'LA', 'I', 'I;16', 'F'}
    with _opened(file) as image:
        return 1 if image.mode in grey else 3


def _decode_file(file, channels):
    with _opened(file) as image:
        pixels = np.asarray(image.convert('L' if channels == 1 else 'RGB'))
    return pixels.reshape(*pixels.shape[:2], channels)


@contextlib.contextmanager
def _opened(file):
    try:
        with Image.open(file) as image:
            yield image
    except (OSError, ValueError, SyntaxError):  # what Pillow raises
        raise UserError(
            f'image {str(file)!r} cannot be decoded: replace or remove it'
        ) from None


def _stack(name, images):
    shapes = {image.shape for image in images}
    if len(shapes) > 1:
        small, large = min(shapes), max(shapes)
        raise UserError(
            f'images of {name!r} differ in size ({small[0]}x{small[1]}, '
            f'{large[0]}x{large[1]}): set image_size, for example '
            '--set image_size=32,32'
        )
    return np.stack(images)


def _one_line(error):
    return ' '.join(str(error).split())[:300] or type(error).__name__
