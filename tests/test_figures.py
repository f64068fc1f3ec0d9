"""Every figure in the documents is in results/, or marked as not recorded."""

import dataclasses
import importlib.util
import json
import re
import statistics

import pytest
import tiny

from tfgen import presets
from tfgen.evaluation import published, records

DOCS = [
    'README.md',
    *(
        f'docs/{file.name}'
        for file in sorted((tiny.ROOT / 'docs').glob('*.md'))
    ),
]
# Sections that say that their figures have no record.
FREE = ('Tried once',)
# Published results, figures that a test computes, and versions.
OTHERS = re.compile(r'^Published\b|`test_|Python 3\.11|==2\.20|Apache 2\.0')


def _result(name):
    return json.loads((records.folder() / f'{name}.json').read_text())


def _script(name):
    file = tiny.script(name)
    spec = importlib.util.spec_from_file_location(name, file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _prose(document):
    """Yields the paragraphs and list items, without code and tables."""
    text = (tiny.ROOT / document).read_text()
    text = re.sub(r'^```.*?^```', '', text, flags=re.M | re.S)
    text = re.sub(r'^\|.*\n', '\n', text, flags=re.M)
    text = re.sub(r'\]\([^)]*\)', ']', text)
    for section in re.split(r'^#+ ', text, flags=re.M):
        if not section.startswith(FREE):
            for part in re.split(r'\n\s*\n|^- ', section, flags=re.M):
                if part.strip():
                    yield ' '.join(part.split())


def test_tables_are_made_from_the_records():
    tables = _script('tables')
    for name in tables.DOCUMENTS:
        text = (tiny.ROOT / name).read_text()
        assert tables.renewed(name) == text, (
            f'{name}: run scripts/experiments/tables.py'
        )


def test_no_row_of_a_preset_has_figures_that_were_not_made():
    tables = _script('tables')
    made = set()
    for name, makers in tables.DOCUMENTS.items():
        text = (tiny.ROOT / name).read_text()
        made |= {line for make in makers for line in make(text)}
    for document in DOCS:
        lines = (tiny.ROOT / document).read_text().splitlines()
        for line in lines:
            named = re.match(r'\| `(\w+)` \|.*\d\.\d', line)
            if named and named[1] in presets.PRESETS:
                assert line in made, f'{document}: {line}'


def test_a_table_says_how_long_the_run_was_and_not_the_preset(
    tmp_path, monkeypatch
):
    record = _result('gaussian_two_moons')
    record['training'] |= {'steps': 1234, 'batch_size': 56}
    (tmp_path / 'gaussian_two_moons.json').write_text(json.dumps(record))
    monkeypatch.setattr(records, 'folder', lambda: tmp_path)
    for lines in (records.markdown(), records.markdown(whole=True)):
        assert sum('1,234 x 56' in line for line in lines) == 1


def test_a_deviation_over_seeds_is_that_of_a_sample():
    values = {'a': {'ring': {'modes': [6.0, 8.0], 'quality': [0.5, None]}}}
    values['b'] = {'ring': {'modes': [8.0, 8.0], 'quality': [None, None]}}
    head, _, first, second = records.compared(values)
    assert head == '| row | ring: modes | quality |'
    assert first == '| a | 7.0 +- 1.4 | 50 % (1 not finite) |'
    assert second == '| b | 8 | (2 not finite) |'


# Document -> phrases of its prose, made from the records.


def _readme():
    found = records.read()
    nats = {
        name: f'{record["figures"][figure]["mean"]:.2f}'
        for name, figure in (
            ('diagonal_bilstm_mnist', 'negative_log_likelihood'),
            ('diagonal_bilstm7_mnist', 'negative_log_likelihood'),
            ('conv_vae_mnist', 'importance_bound'),
        )
        for record in [found[name]]
    }
    (one,) = published.PUBLISHED['diagonal_bilstm_mnist']
    (seven,) = published.PUBLISHED['diagonal_bilstm7_mnist']
    vae, iwae = published.PUBLISHED['conv_vae_mnist']
    assert not iwae.seen and not vae.seen
    stopped = _stopped()
    ratio = max(c['ratio'] for c in _result('benchmark')['sampling'].values())
    return [
        f'the Diagonal BiLSTM reaches {nats["diagonal_bilstm_mnist"]} nats '
        f'with one layer (van den Oord et al. 2016: {one.value}, with half '
        f'the units) and {nats["diagonal_bilstm7_mnist"]} nats with seven '
        f'({seven.value})',
        f'a bound of {nats["conv_vae_mnist"]} nats (Burda et al. 2016, from '
        f'memory: {vae.value} for a VAE and {iwae.value} for IWAE, both with '
        'dense layers)',
        f'In {_result("reliability_disks")["minutes"]:.0f} minutes of fault '
        f'injection runs were killed or told to stop {stopped} times',
        f'up to {ratio // 100 * 100:.0f} times faster',
    ]


def _stopped():
    return sum(
        count
        for fault, count in _result('reliability_disks')['faults'].items()
        if fault.startswith('SIG')
    )


def _lecture():
    found = _result('lecture')
    moons = found['moon_phases']
    with_kl, without = (
        found['variance'][name]['4000'] for name in ('with KL', 'without KL')
    )
    active, silent = [], []
    for deviation, nats in zip(*with_kl.values(), strict=True):
        (active if nats > 0.1 else silent).append((deviation, nats))
    said = [nats for _, nats in active]
    spread = [deviation for deviation, _ in active]
    ((still, nothing),) = silent
    density = {
        k: f'({v["negative_log_likelihood"]:.3f}'
        for k, v in found['density'].items()
        if isinstance(v, dict)
    }
    bound, sevens = found['bound'], found['sevens']
    errors = [f'{v:.2f}' for v in sevens['squared_error'].values()]
    d = [f'{v:+.2f}' for v in sevens['d'].values()]
    pca, shallow, deep8 = (
        found['codes'][k] for k in ('PCA', 'shallow', 'deep')
    )
    assert len(active) == 7 and len(silent) == 1

    def percent(record):
        return f'{100 * record["code_accuracy"]:.1f} %'

    def mnist(name, figure='code_accuracy'):
        mean = records.read()[name]['figures'][figure]['mean']
        return f'{100 * mean:.1f} %'

    return [
        f'squared error of {pca["squared_error"]:.2f}, '
        f'{shallow["squared_error"]:.2f} and {deep8["squared_error"]:.2f}.',
        f'{mnist("deep_ae_mnist")} by the code of `deep_ae_mnist`, '
        f'{mnist("pca_mnist")} by that of `pca_mnist`, '
        f'{mnist("deep_ae_mnist", "value_accuracy")} by pixels. The notes are '
        'right',
        f'{percent(deep8)} by the deep code, {percent(pca)} by PCA, '
        f'{percent(shallow)} by the shallow one, '
        f'{100 * deep8["value_accuracy"]:.1f} % by pixels. The notes are wrong',
        *_moons(moons, found['moon_pair']),
        *_codes(found),
        f'deviation is {statistics.fmean(without["deviation"]):.4f} after '
        '4,000 steps',
        'Seven of the eight dimensions are active after 4,000 steps',
        f'they carry {min(said):.1f} to {max(said):.1f} nats each, and their '
        f'deviations, {min(spread):.2f} to {max(spread):.2f}, still fall',
        f'it carries {nothing:.2f} nats, and its deviation is {still:.2f}',
        f'the data {density["data"]} nats), mixtures of 2 '
        f'{density["mixture of 2"]}) and of 20 {density["mixture of 20"]}), '
        f'and a VAE with two latent dimensions {density["VAE"]})',
        f'rises from {bound["first"]:.0f} to within '
        f'{bound["exact"] - bound["last"]:.2f} nats of log P(x)',
        f'reconstruction are {errors[1]} and {errors[2]}, and {errors[0]} for '
        f'the 7 itself, on average over {sevens["sevens"]} test digits',
        f'd is {d[0]}, {d[1]} and {d[2]}, and the longer stroke scores above '
        f'the speck in {100 * sevens["stroke_above_speck"]:.0f} % of the '
        'digits',
    ]


def _moons(moons, pair):
    """What docs/lecture.md says about the moons."""

    def spread(values, digits=1):
        return f'{min(values):.{digits}f} to {max(values):.{digits}f}'

    middle = {
        name: statistics.fmean(found['midpoint_error'])
        for name, found in moons.items()
        if isinstance(found, dict)
    }
    ends = {name: statistics.fmean(moons[name]['end_error']) for name in middle}
    to_truth = {
        name: spread(found['to_truth'], 0)
        for name, found in pair.items()
        if isinstance(found, dict) and name != 'average'
    }
    return [
        f'speckles ({to_truth["auto-encoder"]} of squared error',
        f'at random ({to_truth["noise on code"]})',
        f'cross-fade ({to_truth["VAE"]})',
        f'has {pair["average"]["to_truth"]:.1f}: the',
        f'within {max(pair["VAE"]["to_average"]):.1f}.',
        f'is {middle["PCA"]:.1f} for PCA, {middle["auto-encoder"]:.1f} for the '
        f'auto-encoder ({spread(moons["auto-encoder"]["midpoint_error"])} over '
        f'three seeds), {middle["noise on code"]:.1f} with noise on its code '
        f'({spread(moons["noise on code"]["midpoint_error"])}), and '
        f'{middle["VAE"]:.1f} for the VAE '
        f'({spread(moons["VAE"]["midpoint_error"])})',
        f'pays with an error of {ends["VAE"]:.2f}',
        f"worse than the auto-encoder's ({middle['learned s']:.1f})",
        f'with beta 30 gives {middle["s, beta 30"]:.1f}, with an error of '
        f'{ends["s, beta 30"]:.2f} at the ends',
    ]


def _codes(found):
    """What docs/lecture.md says about codes, bounds and divergences."""
    drawn, tuned, bells = (
        found[name] for name in ('drawn_codes', 'tuning', 'two_bells')
    )
    line, inverse = found['code_line'], found['inverse']
    frechet = {
        name: f'{cell["frechet_distance"]:.0f}'
        for name, cell in drawn.items()
        if isinstance(cell, dict)
    }
    bound, logs = tuned['p alone']['bound'], tuned['p alone']['log_prob']
    both, one = bells['KL(p || q)'], bells['KL(q || p)']
    predicted, bigan = inverse['predicted z'], inverse['BiGAN']
    return [
        f'test digits is {frechet["auto-encoder"]}, that of the VAE '
        f'{frechet["VAE"]}.',
        f'mends it: {frechet["fitted normal"]}.',
        f'rises by {bound[1] - bound[0]:.2f} nats, and log P(x) falls by '
        f'{logs[0] - logs[1]:.2f}',
        f'largest likelihood, {tuned["optimum"]:.3f} nats',
        f'{100 * found["responsibilities"]["sure"]:.0f} % of the points',
        f'falls to {line["line of points"]["least_log_prob"]:.1f} nats',
        f'stays above {line["line of codes"]["least_log_prob"]:.1f}',
        f'mean {abs(both["mean"]):.1f}, deviation {both["deviation"]:.2f}',
        f'mean {one["mean"]:.1f}, deviation {one["deviation"]:.2f}',
        f'for {100 * predicted["code_accuracy"]:.0f} % of the test digits',
        f'for {100 * bigan["code_accuracy"]:.0f} %, the pixels themselves for '
        f'{100 * bigan["value_accuracy"]:.0f} %',
        f'reaches {100 * inverse["linear_svm_accuracy"]:.0f} %',
    ]


def _gan():
    table = _result('modes')
    rows = {
        row: {
            (world, figure): values
            for world, cell in record['values'].items()
            for figure, values in cell.items()
        }
        for row, record in table['rows'].items()
    }
    rows.pop('data')
    best = {('ring', 'modes'): 8, ('grid', 'modes'): 25}
    whole = [
        row
        for row, cells in rows.items()
        if all(set(cells[at]) == {most} for at, most in best.items())
    ]
    qualities = {
        row: [rows[row][world, 'quality'] for world in ('ring', 'grid')]
        for row in whole
    }
    good = {
        row: both
        for row, both in qualities.items()
        if all(statistics.fmean(q) > 0.95 for q in both)
    }
    lowest = [
        f'{100 * min(map(min, both)):.1f} % ({row})'
        for row, both in good.items()
    ]

    def modes(row, world):
        return f'{statistics.fmean(rows[row][world, "modes"]):.3g}'

    def quality(row, world):
        return f'{100 * statistics.fmean(rows[row][world, "quality"]):.1f} %'

    def weight(row):
        settings = table['rows'][row]['settings']
        return re.search(r'penalty_weight=(\S+)', settings)[1]

    def ended(words):
        return f'{", ".join(words[:-1])} and {words[-1]}'

    lines = _result('two_lines')
    assert table['seeds'] == 5
    off = max(
        abs(row['wasserstein'] / row['distance'] - 1)
        for row in lines['rows']
        if row['distance']
    )
    slow, seeing = (
        [modes(row, world) for world in ('ring', 'grid')]
        for row in ('slow d', 'slow d, Unrolled')
    )
    told = records.read()['gan_stacked_mnist']['figures']['modes']
    return [
        f'here within {100 * off + 0.05:.1f} %',
        f'{lines["steps"]:,} steps, seed {lines["seed"]}, {lines["date"]}; its '
        f'gradient penalty has weight {lines["gradient_penalty_weight"]:.0f}',
        *(
            f'{_result(name)["steps"]:,} steps of '
            f'{_result(name)["batch_size"]}, one seed'
            for name in ('stacked', 'images')
        ),
        'with five seeds, and resumes',
        f'All rows share steps ({table["steps"]:,} of {table["batch_size"]})',
        f'clipping at {weight("WGAN")} (of 0.02, 0.03, 0.05 and 0.1), WGAN-GP '
        f"{weight('WGAN-GP')} (as in its authors' code for such problems), "
        f'DRAGAN {weight("DRAGAN")} (of 0.1, 1 and 10), R1 '
        f'{presets.PRESETS["gan_ring"].penalty_weight:.0f}, orthonormal '
        f'tangents {weight("orthonormal tangents")} (of',
        'papers have 0.01 for clipping and 10 for',
        f'5,000, 10,000, 15,000 and {table["steps"]:,} steps, seed 0',
        f'{ended([f"`{row}`" for row in whole])} cover every mode with every '
        'seed;',
        f'{ended(list(good))} have a mean quality above 95 % on both data sets',
        f'DRAGAN covers {modes("DRAGAN, weight 10", "grid")} and WGAN-GP '
        f'{modes("WGAN-GP, weight 10", "grid")} modes of the grid',
        f'the lowest quality of a run is {ended(lowest)}.',
        f'from {slow[0]} to {seeing[0]} modes of the ring, and from {slow[1]} '
        f'to {seeing[1]} of the grid',
        f'uniform {modes("uniform z", "grid")}, normal '
        f'{modes("non-saturating", "grid")}, mixture '
        f'{modes("mixture z", "grid")} modes of the grid',
        f'its quality is {quality("VAE", "ring")} on the ring and '
        f'{quality("VAE", "grid")} on the grid. The VAE-GAN has '
        f'{quality("VAE-GAN", "ring")} and {quality("VAE-GAN", "grid")}.',
        f'right for {100 * told["classifier_accuracy"]:.2f} %',
    ]


def _serve():
    serving = _result('benchmark')['serving']
    return [f'{serving["date"]}, 2 CPU cores'] + [
        f'{serving["sgemm_gflops"]} GFLOP/s'
    ]


def _train():
    found = _result('reliability_disks')
    trials, faults = found['trials'], found['faults']
    assert not found['lost']
    compiled = _result('tpu_compile')['presets']
    # A preset may be newer than the record.
    assert set(compiled) <= set(presets.PRESETS)
    memory = {
        name: max(
            part['arguments'] + part['temporaries']
            for part in parts.values()
            if isinstance(part, dict) and 'arguments' in part
        )
        for name, parts in compiled.items()
    }
    largest = max(memory, key=memory.get)
    return [
        f'In {found["minutes"]:.0f} minutes',
        f'{trials["kills"]} trainings of six models were killed or told to '
        f'stop {_stopped()} times',
        f'{faults["bit flipped"] + faults["truncated"]:,} checkpoint files '
        'were damaged',
        f'{faults["disk: status 2"]} disks were too small',
        f'{trials["two_at_once"]} second trainings were started',
        f'{faults["requests"]:,} requests',
        f'{len(compiled)} presets compiled',
        f'The largest, `{largest}`, needs {memory[largest] / 2**30:.1f} GiB',
    ]


def _speed():
    found = _result('benchmark')
    loops = found['training_loops']
    cvae, dcgan, loop = (loops[k] for k in ('cvae', 'dcgan', 'loop'))
    training, sampling = found['bilstm_training'], found['sampling']
    speed = {k: f'{v:.0f}' for k, v in training['images_per_second'].items()}
    pixel = [
        f'{v:.0f}' for v in found['growth']['microseconds_per_pixel'].values()
    ]

    seconds = [
        cell[f'{what}_seconds']
        for cell in sampling.values()
        for what in ('sample', 'complete')
    ]

    def rounds(loop):
        return ', '.join(f'{r:.2f}' for r in loop['ratio_of_each_round'])

    def ratio(name):
        return f'{10 * round(sampling[name]["ratio"] / 10)} x'

    return [
        f'**{cvae["ratio"]:.3f} x** the images/s of the CVAE tutorial '
        f'({cvae["cvae_tfgen"]["images_per_second"]:,.0f} against '
        f'{cvae["cvae_tutorial"]["images_per_second"]:,.0f}; rounds '
        f'{rounds(cvae)})',
        f'**{dcgan["ratio"]:.2f} x** those of the tutorial '
        f'({dcgan["dcgan_tfgen"]["images_per_second"]:.0f} against '
        f'{dcgan["dcgan_tutorial"]["images_per_second"]:.0f}; rounds '
        f'{rounds(dcgan)}; on {dcgan["date"]})',
        f'{dcgan["dcgan_tfgen"]["million_operations_per_image"]:.0f} million '
        'operations against '
        f'{dcgan["dcgan_tutorial"]["million_operations_per_image"]:.0f}',
        f'at {100 * cvae["cvae_tfgen"]["of_sgemm"]:.0f} % and '
        f'{100 * dcgan["dcgan_tfgen"]["of_sgemm"]:.0f} % of the machine',
        f'**{loop["ratio"]:.2f} x** slower',
        f'({min(loop["ratio_of_each_round"]):.2f} to '
        f'{max(loop["ratio_of_each_round"]):.2f})',
        f'`lstm` {ratio("lstm")}, `gru` {ratio("gru")}, `row_lstm` '
        f'{ratio("row_lstm")}, `diagonal_bilstm` {ratio("diagonal_bilstm")} '
        f'(7 layers of 16 units: {ratio("diagonal_bilstm, 7 layers of 16")}), '
        f'`pixelcnn` of 7 layers {ratio("pixelcnn, 7 layers")}, gated '
        f'{ratio("gated pixelcnn, 7 layers")}',
        f'Sixteen images take {min(seconds):.2f} to {max(seconds):.1f} s',
        f'**{found["wavenet_sampling"]["ratio"] // 10 * 10:.0f} x**',
        f'{", ".join(pixel)} microseconds',
        f'{speed["tfgen"]} on one device, whose step is two streams, and '
        f'{speed["tfgen_two_replicas"]} as two replicas',
        f'in the same loop: {speed["keras_rnn"]}; compiled by XLA '
        f'{training["images_per_second"]["keras_rnn_xla"] // 1:.0f}, and '
        f'{speed["keras_rnn_xla_two_replicas"]} as two replicas',
        f'**{training["ratio_of_the_best"]:.1f} x**',
    ]


def _families():
    rows = _result('families')['rows']

    def mean(row, figure, digits=1, data='digits'):
        cell = rows[row]['values'][data]
        return f'{statistics.fmean(cell[figure]):.{digits}f}'

    def large(row, figure='frechet_distance', digits=1):
        return mean(row, figure, digits, 'mnist')

    def frechet(*rows):
        return [mean(row, 'frechet_distance') for row in rows]

    rnn, cnn, mixture, vae, conditional, gan, label, pca, ae = frechet(
        'PixelRNN',
        'PixelCNN',
        'GMM',
        'VAE',
        'conditional VAE',
        'GAN',
        'conditional GAN',
        'PCA, normal codes',
        'auto-encoder, normal codes',
    )
    near = 'distance_to_training'
    least = min(
        row['values']['mnist'][near][0]
        for row in rows.values()
        if 'mnist' in row['values']
    )
    return [
        f'(Frechet {rnn} and {cnn})',
        f'the worst, {mean("PixelRNN", "nats")} and '
        f'{mean("PixelCNN", "nats")}, and',
        f'images ({mean("PixelRNN", near, 2)} and {mean("PixelCNN", near, 2)})',
        f'are {mean("PixelRNN, dropout", "nats")} and '
        f'{mean("PixelCNN, dropout", "nats")}, and the copies are gone '
        f'({mean("PixelRNN, dropout", near, 2)} and '
        f'{mean("PixelCNN, dropout", near, 2)})',
        f'stay good (Frechet {mean("PixelRNN, dropout", "frechet_distance")})',
        f'noisy (Frechet {mean("PixelCNN, dropout", "frechet_distance")}, '
        f'sharpness {mean("PixelCNN, dropout", "sharpness")})',
        f'Frechet {mixture} after three',
        f'a bound ({mean("VAE", "nats")} nats)',
        f'as the data ({mean("VAE", "sharpness", 2)})',
        f'the GAN from {gan} to {label} and the VAE from {vae} to '
        f'{conditional}',
        f"like a VAE's ({mean('RBM', 'nats')})",
        f'{mean("RBM", "sampling_cpu_seconds")} CPU-seconds for a thousand, '
        f'where one pass takes {mean("VAE", "sampling_cpu_seconds", 2)}',
        f'show it ({pca} and {ae})',
        f'(recall {mean("VAE", "recall", 2)}), but neither does the GAN '
        f'({mean("GAN", "recall", 2)})',
        f'the least distance to training is {least:.2f}',
        f'{large("PixelRNN", "nats")} against {large("RBM", "nats")} of the '
        f'RBM and {large("VAE", "nats")} of the VAE',
        f'a precision of {large("PixelRNN", "precision", 2)} only',
        f'(sharpness {large("PixelRNN", "sharpness", 2)})',
        f'the VAE from {large("VAE")} to {large("conditional VAE")}, the GAN '
        f'from {large("GAN")} to {large("conditional GAN")}',
        f'(recall {large("conditional GAN", "recall", 2)} and '
        f'{large("conditional VAE", "recall", 2)})',
        f'recall {large("GMM", "recall", 3)}, sharpness '
        f'{large("GMM", "sharpness")}',
        f'(Frechet {large("RBM")} and {large("VAE")})',
        f'take {large("RBM", "sampling_cpu_seconds")} CPU-seconds, and '
        f'{large("VAE", "sampling_cpu_seconds")} with the VAE',
        f'(Frechet {large("GAN")}, {large("VAE-GAN")} and {large("BiGAN")})',
    ]


PHRASES = {
    'docs/families.md': _families,
    'README.md': _readme,
    'docs/gan.md': _gan,
    'docs/lecture.md': _lecture,
    'docs/results.md': _speed,
    'docs/serve.md': _serve,
    'docs/train.md': _train,
}


@pytest.mark.parametrize('document', PHRASES)
def test_prose_says_what_was_measured(document):
    text = ' '.join((tiny.ROOT / document).read_text().split())
    text = re.sub(r'\]\([^)]*\)', ']', text).replace('[', '').replace(']', '')
    for phrase in PHRASES[document]():
        assert phrase in text, f'{document} does not say: {phrase}'


def test_a_gru_is_as_good_as_an_lstm():
    rows = _result('cells')['rows']
    lstm, gru = (rows[name]['values']['digits'] for name in ('LSTM', 'GRU'))
    nats = [cell['negative_log_likelihood'] for cell in (lstm, gru)]
    apart = statistics.fmean(nats[1]) - statistics.fmean(nats[0])
    # As docs/lecture.md says.
    assert 0 < apart < sum(map(statistics.stdev, nats))
    seconds = [statistics.fmean(c['training_cpu_seconds']) for c in (lstm, gru)]
    assert 0.8 < seconds[1] / seconds[0] < 1


def test_the_accuracy_of_codes_is_as_recorded():
    found = _result('lecture')['dimensions']
    two = {name: found[name]['2'] for name in ('auto-encoder', 'VAE', 'PCA')}
    eight = found['auto-encoder']['8']
    assert eight > found['pixels'] > found['PCA']['8']
    text = (tiny.ROOT / 'docs' / 'latent.md').read_text()
    for phrase in (
        f'with two, {two["auto-encoder"]:.2f} (auto-encoder) and '
        f'{two["VAE"]:.2f} (VAE) against {two["PCA"]:.2f}',
        f'themselves: {eight:.2f} against {found["pixels"]:.2f}',
    ):
        assert phrase in ' '.join(text.split())


def test_the_hour_of_faults_in_buckets_is_as_recorded():
    found = _result('reliability')
    assert not found['lost']
    trials = found['trials']
    assert sum('missing' in left for left in found['left_behind']) == 2
    text = (tiny.ROOT / 'docs' / 'storage.md').read_text()
    for phrase in (
        f'In {found["minutes"]:.0f} minutes',
        f'{trials["trainings"]} trainings on one worker, {trials["workers"]} '
        f'on two workers and {trials["exports"]} exports met a fault each',
        'Two pictures of samples were missing',
    ):
        assert phrase in ' '.join(text.split())


_FIGURE = re.compile(
    r'(?<![\w.,=-])[+-]?(\d[\d,]*(?:\.\d+)?)( %| nats| minutes| seconds'
    r'| errors| parameters| steps| times| epochs)?(?![\w.]*\d)'
)


def _figures(text):
    """Yields (text, number, decimal digits) of possible measurements."""
    for found in _FIGURE.finditer(text):
        number, unit = found[1].rstrip(','), found[2]
        if '.' in number or unit:
            digits = len(number.partition('.')[2])
            value = float(number.replace(',', ''))
            if unit == ' %':
                value, digits = value / 100, digits + 2
            yield found[0], value, digits


def _known(found):
    """Yields all numbers of a record, also in words, and seconds as minutes."""
    if isinstance(found, dict):
        for name, value in found.items():
            yield from _known(value)
            if name == 'seconds':
                yield value / 60
    elif isinstance(found, list):
        for value in found:
            yield from _known(value)
    elif isinstance(found, str):
        yield from (value for _, value, _ in _figures(found))
    elif found is not None:
        yield abs(found)


def _of_preset(name):
    record = records.read().get(name, {})
    yield from _known(record)
    yield from _known(
        json.loads(json.dumps(dataclasses.asdict(presets.PRESETS[name])))
    )
    for other in published.PUBLISHED.get(name, ()):
        value = float(other.value)
        yield value
        yield abs(value - record['figures'][other.figure]['mean'])
    if record:
        training = record['training']
        rows = training['steps'] * training['batch_size']
        # Earlier records lack the sizes of the splits.
        sizes = record.get('spec', {}).get('split_sizes', {'train': 50_000})
        yield rows / sizes['train']


@pytest.mark.parametrize('document', DOCS)
def test_a_figure_beside_a_preset_is_in_its_record(document):
    phrases = PHRASES.get(document, list)()
    for part in _prose(document):
        named = set(re.findall(r'`(\w+)`', part)) & set(presets.PRESETS)
        plain = part.replace('[', '').replace(']', '')
        for phrase in phrases:
            plain = plain.replace(phrase, '')
        if OTHERS.search(plain) or not (named or document in PHRASES):
            continue
        known = [value for name in named for value in _of_preset(name)]
        for words, value, digits in _figures(plain):
            near = 0.5 * 10**-digits + 1e-9
            assert any(abs(value - k) <= near for k in known), (
                f'{document}: {words!r} is in no record of {named or "any"}: '
                f'{part}'
            )


def test_what_is_said_to_be_ahead_and_behind_is():
    text = (tiny.ROOT / 'docs' / 'results.md').read_text()
    text = text[text.index('Compared with the best published figure') :]
    said = dict(
        re.findall(
            r'^- (Ahead|Level|Behind)(.*?)(?=^- |\n\n)', text, re.M | re.S
        )
    )
    found = {'Ahead': set(), 'Level': set(), 'Behind': set()}
    for name, others in published.PUBLISHED.items():
        figures = records.read()[name]['figures']
        stands = set()
        for figure in {o.figure for o in others}:
            up = figure in ('accuracy', 'modes', 'quality')
            theirs = [float(o.value) for o in others if o.figure == figure]
            best = max(theirs) if up else min(theirs)
            ours, error = (
                figures[figure]['mean'],
                figures[figure]['standard_error'],
            )
            gain = (ours - best) if up else (best - ours)
            level = abs(gain) <= error
            stands.add('Level' if level else 'Ahead' if gain > 0 else 'Behind')
        worst = [s for s in ('Behind', 'Level', 'Ahead') if s in stands]
        found[worst[0]].add(name)
    for stand, names in found.items():
        assert set(re.findall(r'`(\w+)`', said[stand])) == names, stand


def test_what_is_not_comparable_is_not_compared():
    # Grey targets and a mean bound cannot be compared with binarized digits.
    files = [tiny.ROOT / name for name in DOCS]
    files += (tiny.ROOT / 'tfgen').rglob('*.py')
    for file in files:
        assert not re.search(r'\b(71\.8|24\.2)\b', file.read_text()), file
