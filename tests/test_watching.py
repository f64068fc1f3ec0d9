"""A run in the explorer's page, while it trains and after."""

import http.client
import json
import os
import signal
import sys
import time

import numpy as np
import pages
import processes
import pytest
import tiny

from tfgen.server import watching
from tfgen.storage import heartbeat
from tfgen.training import stopping
from tfgen.training.history import read_history

_WAIT = 120  # seconds after which something counts as hanging
_OWN = {'Content-Type': 'application/json'}


def _train(folder, *changes):
    """Starts a training that lasts until it is stopped."""
    command = [sys.executable, str(tiny.script('train'))]
    command += ['--preset=cvae_digits', f'--workdir={folder}']
    sizes = ('filters=4', 'latent_size=2', 'units=8', 'steps=1000000')
    for setting in (*sizes, 'log_every=5', 'checkpoint_every=25', *changes):
        command.append(f'--set={setting}')
    # (A line without room in the pipe is left out.)
    return processes.start(command, stdout=processes.PIPE)


@pytest.fixture
def run(tmp_path):
    """A folder, a server that shows it, and its port."""
    folder = tmp_path / 'run'
    server, port, _ = processes.start_server('', f'--workdir={folder}')
    try:
        yield folder, port
    finally:
        server.kill()
        server.wait()


def _ask(port, content=None, path='', **headers):
    connection = http.client.HTTPConnection('127.0.0.1', port, timeout=_WAIT)
    body = None if content is None else json.dumps(content)
    method = 'GET' if content is None else 'POST'
    try:
        connection.request(method, f'/explorer/run{path}', body, _OWN | headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def _facts(port):
    return json.loads(_ask(port)[1])


def _until(port, happens):
    """The facts, as soon as they are as wanted."""
    for _ in range(10 * _WAIT):
        found = _facts(port)
        if happens(found):
            return found
        time.sleep(0.1)
    raise AssertionError(found)


def test_a_run_is_shown_from_before_its_first_step_to_its_end(run):
    folder, port = run
    assert _facts(port) == {'workdir': str(folder), 'state': 'waiting'}
    assert pages.get(port, '/explorer/models')['run'] is True
    with _train(folder) as training:
        found = _until(
            port,
            lambda f: (
                f.get('step', 0) > 30
                and len(f['pictures']) > 1
                and f['seconds_left']
            ),
        )
        assert found['state'] == 'training' and found['stops']
        assert found['preset'] == 'cvae_digits' and found['model'] == 'CVAE'
        assert found['settings']['latent_size'] == 2
        assert found['steps'] == 10**6
        # Others may not stop it.
        for headers, status in (
            ({'Origin': 'http://elsewhere.test'}, 403),
            ({'Sec-Fetch-Site': 'cross-site'}, 403),
            ({'Content-Type': 'text/plain'}, 415),
        ):
            assert _ask(port, {'do': 'stop'}, **headers)[0] == status
        assert _ask(port, {'do': 'start'})[0] == 400
        assert training.poll() is None
        assert _ask(port, {'do': 'stop'})[0] == 204
        # A second signal, a second later, would end it before it saves.
        while training.poll() is None:
            assert _ask(port, {'do': 'stop'})[0] in (204, 409)
            time.sleep(0.2)
        training.wait(_WAIT)
    assert training.returncode == 128 + signal.SIGTERM
    found = _facts(port)
    assert found['state'] == 'stopped' and not found['stops']
    assert _ask(port, {'do': 'stop'})[0] == 409
    # Its last step is saved, and the curves are those of the run.
    history = read_history(folder)
    assert found['step'] == history['step'][-1]
    assert (
        folder / 'checkpoints' / f'checkpoint-{found["step"]}.index'
    ).exists()
    for name, (steps, values) in found['curves'].items():
        known = dict(zip(history['step'].tolist(), history[name], strict=True))
        assert [known[step] for step in steps] == pytest.approx(values)
        assert steps[-1] == found['step']
    step = found['pictures'][-1]
    status, picture = _ask(port, path=f'/samples/{step}')
    assert status == 200
    file = folder / 'samples' / f'step_{step:07d}.png'
    assert picture == file.read_bytes()
    assert _ask(port, path='/samples/3')[0] == 404


def test_a_finished_run_is_shown(run):
    folder, port = run
    with _train(folder, 'steps=20') as training:
        training.wait(_WAIT)
    found = _facts(port)
    assert found['state'] == 'finished' and found['step'] == 20
    assert found['seconds_left'] is None
    (folder / 'config.json').write_text('{')
    status, told = _ask(port)
    assert status == 503 and str(folder) in json.loads(told)['error']


def test_a_lock_tells_who_holds_it(tmp_path):
    assert stopping.holder(tmp_path) == (False, None)
    with stopping.alone_in(tmp_path):
        assert stopping.holder(tmp_path) == (True, os.getpid())
        # Another machine, or an earlier tfgen, wrote the lock.
        (tmp_path / '.lock').write_text(f'{os.getpid()} elsewhere')
        assert stopping.holder(tmp_path) == (True, None)
        (tmp_path / '.lock').write_text('')
        assert stopping.holder(tmp_path) == (True, None)
        # The id is that of a process which has nothing to do with the lock.
        (tmp_path / '.lock').write_text(stopping._here(os.getppid()))
        assert stopping.holder(tmp_path) == (True, None)
    # That of a dead process counts for nothing.
    (tmp_path / '.lock').write_text(stopping._here(os.getpid()))
    assert stopping.holder(tmp_path) == (False, None)


def test_an_object_that_is_written_again_and_again_is_alive(tmp_path):
    assert not heartbeat.alive(tmp_path / '.lock')
    (tmp_path / 'one.json').write_text('{}')
    assert heartbeat.alive(tmp_path)
    past = time.time() - 2 * heartbeat.STALE
    os.utime(tmp_path / 'one.json', (past, past))
    assert not heartbeat.alive(tmp_path)


def test_a_long_curve_keeps_its_last_point():
    steps = np.arange(5, 50_005, 5)
    values = np.where(steps % 10, steps.astype(float), np.nan)
    values[-2] = np.inf
    found, told = watching._thinned(steps, values)
    assert len(found) <= 400 and found[-1] == 49_995
    assert told[-1] is None and told[:-1] == found[:-1]


@pages.NEEDED
def test_the_page_follows_a_run_and_stops_it(run, browser):
    folder, port = run
    with pages.visits(browser, port) as visit:
        page = visit()
        assert str(folder) in page.tab.inner_text('#panel')
        with _train(folder) as training:
            page.tab.locator('img.samples').wait_for()
            page.tab.get_by_role('button', name='Stop').wait_for()
            film = page.tab.locator('input[type=range]')
            _until(port, lambda f: len(f['pictures']) > 2)
            page.tab.locator('input[type=range]:not([max="0"])').wait_for()
            film.fill('0')
            text = page.tab.locator('figure:has(img) figcaption')
            assert text.inner_text() == 'Samples at step 25'
            page.tab.get_by_role('button', name='Stop').click()
            training.wait(_WAIT)
        page.tab.get_by_text('tfgen train --workdir=').wait_for()
        assert text.inner_text() == 'Samples at step 25'
        assert page.tab.get_by_role('button', name='Stop').is_hidden()
        drawn = page.pixels('.curves canvas')
        assert len(drawn) >= 3
        assert all(len(np.unique(curve)) > 1 for curve in drawn)
        assert page.tab.evaluate(pages.NAMELESS) == []
        page.tab.get_by_text('Settings').click()
        assert 'latent_size' in page.tab.inner_text('#panel table')
