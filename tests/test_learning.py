"""Trainings that a page starts and watches."""

import concurrent.futures
import contextlib
import http.client
import json
import os
import shutil
import signal
import time

import numpy as np
import processes
import pytest
import tensorflow as tf
import tiny

import tfgen
from tfgen import presets
from tfgen.data.embedded.points import TOY_DISTRIBUTIONS
from tfgen.errors import UserError
from tfgen.export import saved_model
from tfgen.lab import options
from tfgen.lab.states import SIDE, States, terms
from tfgen.training import stopping

GAN = {'model': 'gan', 'data': 'ring'}
_WAIT = 120  # seconds after which a training counts as hanging


@pytest.fixture(scope='module')
def server(tmp_path_factory, data_dir):
    """The port of a server, and the folder of kept runs."""
    folder = tmp_path_factory.mktemp('learning')
    config, examples = tiny.load('gaussian', data_dir)
    saved_model.export(
        config.build(), config, 0, examples, folder / 'models' / 'gaussian'
    )
    process, port, _ = processes.start_server(
        folder / 'models', f'--runs_dir={folder}/runs'
    )
    try:
        yield port, folder / 'runs'
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


class _Film:
    """A training on the server, and its states."""

    def __init__(self, port, **asked):
        self.port = port
        status, self.first = _ask(port, '', asked)
        assert status == 200, self.first
        self.connection = http.client.HTTPConnection(
            '127.0.0.1', port, timeout=_WAIT
        )
        self.connection.request('GET', f'/explorer/learn/{self.first["id"]}')
        self.answer = self.connection.getresponse()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()

    def next(self):
        return json.loads(self.answer.readline())

    def until(self, step):
        """The states to one step."""
        found = [self.next()]
        while found[-1]['step'] < step:
            found.append(self.next())
        return found

    def tell(self, **what):
        status, told = _ask(self.port, f'/{self.first["id"]}', what)
        assert status == 204, told


def _ask(port, path, content=None, **headers):
    """Sends a request about trainings: status, and the object told."""
    connection = http.client.HTTPConnection('127.0.0.1', port, timeout=_WAIT)
    headers = {'Content-Type': 'application/json'} | {
        k.replace('_', '-'): v for k, v in headers.items()
    }
    with contextlib.closing(connection):
        body = None if content is None else json.dumps(content)
        method = 'GET' if content is None else 'POST'
        connection.request(method, f'/explorer/learn{path}', body, headers)
        answer = connection.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if text else None


def test_equal_seeds_give_equal_films_and_others_do_not(server):
    port, _ = server
    films = []
    for seed in (1, 1, 2):
        with _Film(port, **GAN, seed=seed, every=5) as film:
            films.append(film.until(20))
    assert [s['step'] for s in films[0]] == [0, 5, 10, 15, 20]
    assert films[0] == films[1] != films[2]


def test_it_stops_and_steps_when_it_is_told(server):
    port, _ = server
    with _Film(port, **GAN, every=5, play=False) as film:
        assert film.next()['step'] == 0
        for step in (5, 10):
            film.tell(do='step')
            assert film.next()['step'] == step
        film.tell(do='every', value=1)
        film.tell(do='every', value=10**6)  # is not offered
        film.tell(do='nonsense')
        film.tell(do='step')
        assert film.next()['step'] == 11
        film.tell(do='play')
        assert [film.next()['step'] for _ in range(3)] == [12, 13, 14]


def test_it_pauses_at_the_step_that_it_is_told(server):
    port, _ = server
    with _Film(port, **GAN, every=5, until=10) as film:
        assert film.until(10)[-1]['step'] == 10
        time.sleep(0.5)
        # A training that goes on has told of step 15.
        film.tell(do='every', value=1)
        film.tell(do='step')
        assert film.next()['step'] == 11
        film.tell(do='play')  # it pauses once
        assert [film.next()['step'] for _ in range(2)] == [12, 13]
    with _Film(port, **GAN, every=20, until=10) as film:
        assert [film.next()['step'] for _ in range(2)] == [0, 10]


def test_a_kept_training_is_a_run_like_any_other(server, tmp_path):
    port, runs = server
    settings = {'loss': 'least_squares', 'learning_rate': 0.003}
    with _Film(port, **GAN, seed=3, every=10, settings=settings) as film:
        film.until(20)
        film.tell(do='keep')
        found = film.next()
        while found['kind'] == 'state':
            found = film.next()
        assert found['kind'] == 'kept' and film.next()['kind'] == 'end'
    (run,) = runs.iterdir()
    assert found['workdir'] == str(run)
    kept = tfgen.load(run)
    request = options.Request.of({**GAN, 'seed': 3, 'settings': settings})
    assert kept.config.preset.loss == 'least_squares'
    # The same training without a page gives the same weights.
    _, examples = request.opened()
    changed = {**request.settings, 'steps': kept.step}
    again = tfgen.train(
        'gan',
        tuple(
            np.concatenate([b['point'] for b in examples.evaluation(s, 500)])
            for s in ('train', 'test')
        ),
        workdir=tmp_path / 'again',
        seed=3,
        **changed,
    )
    for one, other in zip(
        kept.model().variables, again.model().variables, strict=True
    ):
        np.testing.assert_allclose(one, other, atol=1e-5)
    assert kept.sample(3).shape == (3, 2)
    shutil.rmtree(run)


def test_a_training_ends_with_its_page(server):
    port, runs = server
    with _Film(port, **GAN) as film:
        film.until(10)
        assert list(runs.iterdir())
    _until(lambda: not list(runs.iterdir()))
    status, told = _ask(port, f'/{film.first["id"]}')
    assert (status, told) == (404, {'error': 'this training has ended'})


def _until(happens):
    end = time.monotonic() + _WAIT
    while not happens():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.parametrize(
    'headers',
    [
        {'Origin': 'http://evil.test'},
        {'Origin': 'null'},
        {'Sec_Fetch_Site': 'cross-site'},
        {'Sec_Fetch_Site': 'same-site'},
    ],
)
def test_a_page_of_another_origin_is_refused(server, headers):
    for path, content in (('', None), ('', GAN), ('/x', {'do': 'end'})):
        status, told = _ask(server[0], path, content, **headers)
        assert status == 403 and 'only a page of this server' in told['error']


def test_a_form_and_a_flood_are_refused(server):
    port, _ = server
    status, _ = _ask(port, '', GAN, Content_Type='text/plain')
    assert status == 415  # what a page may send elsewhere without asking
    status, _ = _ask(port, '', {**GAN, 'x': 'y' * 300_000})
    assert status == 413
    with contextlib.ExitStack() as stack:
        for _ in range(4):
            stack.enter_context(_Film(port, **GAN, play=False))
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda _: _ask(port, '', GAN), range(8)))
    assert {status for status, _ in found} == {429}
    assert 'close a page' in found[0][1]['error']


_FEW = {'model': 'normal', 'data': 'drawn'}


@pytest.mark.parametrize(
    ('asked', 'message'),
    [
        ([], 'an object of model'),
        ({}, 'model None is not offered: use normal, gmm'),
        ({'model': 'gan'}, 'data None is not offered'),
        ({'model': 'gan', 'data': 'digits'}, "data 'digits' is not offered"),
        ({**GAN, 'seed': -1}, 'seed -1'),
        ({**GAN, 'seed': True}, 'seed True'),
        ({**GAN, 'settings': []}, 'settings are an object'),
        ({**GAN, 'settings': {'steps': 1}}, "setting 'steps' is not offered"),
        ({**GAN, 'settings': {'loss': 'x'}}, "loss 'x' is not offered"),
        ({**GAN, 'settings': {'unrolled_steps': True}}, 'True is not offered'),
        ({**GAN, 'settings': {'unrolled_steps': 99}}, '99 is not offered'),
        (_FEW, 'draw 3 to 2000'),
        ({**_FEW, 'points': [[0, 0]] * 2}, 'draw 3 to 2000'),
        ({**_FEW, 'points': [[0, 0]] * 2001}, 'draw 3 to 2000'),
        ({**_FEW, 'points': [[0, 1e9]] * 3}, 'at most 10'),
        ({**_FEW, 'points': [[0, float('nan')]] * 3}, 'at most 10'),
        ({**_FEW, 'points': [[0, 'x']] * 3}, 'at most 10'),
    ],
)
def test_what_is_not_offered_is_refused(asked, message):
    with pytest.raises(UserError, match=message):
        options.Request.of(asked)


def test_a_refused_training_is_told(server):
    status, told = _ask(server[0], '', {**GAN, 'settings': {'loss': 'x'}})
    assert status == 400 and "loss 'x' is not offered" in told['error']


def test_every_model_and_every_setting_that_is_offered_can_be_built():
    for model, known in options.MODELS.items():
        for data in known.sets:
            points = [[i, i % 3] for i in range(9)] if data == 'drawn' else None
            asked = {'model': model, 'data': data, 'points': points}
            config, examples = options.Request.of(asked).opened()
            assert config.build() and examples.count('train') >= 9
        for name, values in known.free.items():
            for value in values:
                presets.with_values(known.preset, {name: value})


def test_states_are_those_of_the_model():
    """Closed forms of a mixture, and differences for the push of the loss."""
    request = options.Request.of({'model': 'gmm', 'data': 'ring'})
    config, examples = request.opened()
    model, states = config.build(), States(request, examples)
    places = TOY_DISTRIBUTIONS['ring'].places
    model.means.assign(places)
    model.scales.assign(np.tile(0.01 * np.eye(2), [8, 1, 1]))
    found = states.of(model)
    assert found['counted']['modes'] == found['counted']['of'] == 8
    # Within three deviations in the plane.
    quality = 1 - np.exp(-4.5)
    assert found['counted']['quality'] == pytest.approx(quality, abs=0.01)
    fields = np.reshape(found['log_prob'], [SIDE, SIDE])
    truth = np.reshape(states.first()['truth'], [SIDE, SIDE])
    np.testing.assert_allclose(fields, truth, rtol=1e-3, atol=0.01)
    request = options.Request.of({**GAN, 'data': 'grid'})
    config, examples = request.opened()
    model, states = config.build(), States(request, examples)
    push = np.array(states.of(model)['push'])
    side = int(np.sqrt(len(push)))
    extent = TOY_DISTRIBUTIONS['grid'].extent
    along = (2 * (np.arange(side) + 0.5) / side - 1) * extent
    x, y = along[3], -along[1]  # the fourth of the second row
    for number, move in enumerate(([0.01, 0], [0, 0.01])):
        ends = np.array([[x, y]], np.float32) + np.array([move]) * [[1], [-1]]
        score = model.score(tf.constant(ends, tf.float32))
        up, down = -tf.math.log_sigmoid(score).numpy()  # G's loss, -log D
        assert push[side + 3][number] == pytest.approx(
            (down - up) / 0.02, abs=2e-3
        )


def test_nobody_else_on_the_network_may_train(tmp_path, data_dir):
    config, examples = tiny.load('gaussian', data_dir)
    saved_model.export(config.build(), config, 0, examples, tmp_path / 'm')
    process, port, _ = processes.start_server(tmp_path, '--host=0.0.0.0')
    try:
        connection = http.client.HTTPConnection('127.0.0.1', port)
        connection.request('GET', '/explorer/models')
        assert json.loads(connection.getresponse().read())['learn'] is False
        connection.request('GET', '/explorer/learn')
        assert connection.getresponse().status == 404
    finally:
        process.kill()
        process.wait()


def test_a_sum_of_one_term_is_left_out():
    logs = {'loss': 3.0, 'distortion': 1.0, 'rate': 2.0}
    assert terms(logs) == logs
    assert terms({'loss': 1.0, 'negative_log_likelihood': 1.0}) == {
        'negative_log_likelihood': 1.0
    }
    game = {'generator_loss': 1.0, 'generator/fool': 1.0}
    game |= {'discriminator/real': 1.0, 'discriminator/fake': float('nan')}
    assert terms(game | {'discriminator_loss': 2.0}) == {
        'generator/fool': 1.0,
        'discriminator/real': 1.0,
        'discriminator/fake': None,
        'discriminator_loss': 2.0,
    }


def test_the_pull_on_a_sample_is_the_slope_of_the_loss():
    """By the formulas of both losses, for one discriminator."""
    pulls = {}
    for loss in ('minimax', 'non_saturating'):
        request = options.Request.of(GAN | {'settings': {'loss': loss}})
        config, examples = request.opened()
        model = config.build()
        state = States(request, examples).of(model)
        x = tf.constant(state['samples'], tf.float32)
        with tf.GradientTape() as tape:
            tape.watch(x)
            score = model.score(x)
        slope = np.linalg.norm(tape.gradient(score, x), axis=1)
        real = tf.sigmoid(score).numpy()
        # -log D falls with 1 - D, log(1 - D) with D.
        share = real if loss == 'minimax' else 1 - real
        pulls[loss] = state['pull']
        assert state['pull'] == pytest.approx(np.mean(share * slope), abs=6e-4)
    assert pulls['minimax'] != pulls['non_saturating']


def test_a_training_that_does_not_end_is_killed_and_leaves_nothing(server):
    port, runs = server
    with _Film(port, **GAN, every=5) as film:
        film.until(5)
        (folder,) = (f for f in runs.iterdir() if (f / '.lock').exists())
        trains, process = stopping.holder(folder)
        assert trains
        os.kill(process, signal.SIGSTOP)  # it hears nothing
    for _ in range(10 * _WAIT):
        if not folder.exists():
            break
        time.sleep(0.1)
    assert not folder.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


def test_what_is_not_finite_is_told_as_nothing():
    for asked in (GAN, {'model': 'vae', 'data': 'ring'}):
        config, examples = options.Request.of(asked).opened()
        model = config.build()
        for weight in model.trainable_variables:
            weight.assign(np.full(weight.shape, np.nan))
        state = States(options.Request.of(asked), examples).of(model)
        assert state['samples'][0] == [None, None]
        assert state.get('pull', state.get('kl')) is None
        json.dumps(state, allow_nan=False)


def test_the_sharpness_of_data_is_one_and_need_not_be_finite():
    request = options.Request.of({'model': 'gan of digits', 'data': 'digits'})
    _, examples = request.opened()
    states, data = States(request, examples), examples.evaluation('test', 297)
    images = next(iter(data))['image']

    def told(shown):
        # As if these were the samples of a model.
        states._functions['sample'] = lambda seed: tf.constant(shown)
        return states.of(None)['sharpness']

    assert told(images) == pytest.approx(1)
    assert told(images / 2) == pytest.approx(1 / 4)
    assert told(np.full_like(images, np.nan)) is None
