"""The explorer's page, in a real browser."""

import base64
import contextlib
import http.client
import http.server
import io
import json
import re
import subprocess
import sys
import threading

import numpy as np
import pages
import processes
import pytest
from pages import NAMELESS, PAGE, get, grey, predict
from scipy.io import wavfile

from tfgen import presets
from tfgen.export import saved_model
from tfgen.training import workdir

pytestmark = pages.NEEDED
MODELS = ('cvae', 'pixelrnn', 'wavenet', 'gaussian', 'text_vae')


@pytest.fixture(scope='module')
def models(models):
    """Adds a mixture of known components."""
    preset = presets.get('gmm_two_moons', ['num_components=3'])
    config, examples = workdir.Config.of('gmm_two_moons', preset)
    mixture = config.build()
    mixture.means.assign([[1.0, 0.5], [0.0, 0.2], [-1.0, -0.4]])
    saved_model.export(mixture, config, 0, examples, models / 'gmm')
    return models


def test_samples_are_what_the_server_draws_and_a_link_shows_them(port, visit):
    page = visit('#model=cvae&seed=5&of=3')
    images = predict(
        port, 'cvae', 'sample', seed=[*range(5, 29)], label=[3] * 24
    )
    shown = page.pixels('.grid canvas')
    np.testing.assert_allclose(shown, grey(images), atol=1)
    page.tab.get_by_label('Open the sample of seed 6').click()
    page.settle()
    page.state()  # writes the state to the address
    again = visit(f'#{page.tab.url.partition("#")[2]}')
    np.testing.assert_array_equal(again.pixels('.grid canvas'), shown)
    np.testing.assert_array_equal(again.pixels('dialog canvas')[0], shown[1])


def test_back_leads_to_what_was_shown_before(visit):
    page = visit('#model=cvae&seed=5&of=3')
    first = page.pixels('.grid canvas')
    page.tab.get_by_role('tab', name='Codes').click()
    page.settle()
    page.tab.get_by_role('tab', name='pixelrnn').click()
    page.settle()
    assert page.state()['model'] == 'pixelrnn'
    page.tab.go_back()
    page.settle()
    assert page.state()['panel'] == 'codes'
    assert page.tab.get_by_role('tab', name='cvae', selected=True).count()
    page.tab.go_back()
    page.settle()
    np.testing.assert_array_equal(page.pixels('.grid canvas'), first)
    page.tab.go_forward()
    page.settle()
    assert page.state()['panel'] == 'codes'


def _wide(*case):
    return pytest.param(*case, marks=pytest.mark.wide)


@pytest.mark.parametrize(
    ('address', 'as_if'),
    [
        _wide('model=none&seed=1e99', 'model=cvae'),
        _wide('model=cvae&seed=1.5&of=10', 'model=cvae'),
        ('model=cvae&panel=none&seed=x&of=-1', 'model=cvae'),
        ('model=cvae&panel=codes&label=99&z=1e9,0,0&i=7&j=-1&w=3',
         'model=cvae&panel=codes'),
        _wide('model=cvae&panel=closer&given=-1&p=x',
              'model=cvae&panel=closer'),
        _wide('model=pixelrnn&panel=complete&label=1.5&brush=0&m=x',
              'model=pixelrnn&panel=complete'),
    ],
)  # fmt: skip
def test_what_an_address_cannot_mean_counts_as_not_there(visit, address, as_if):
    shown, expected = visit(f'#{address}'), visit(f'#{as_if}')
    chosen = '[role=tab][aria-selected=true]'
    assert shown.tab.locator(chosen).all_inner_texts() == (
        expected.tab.locator(chosen).all_inner_texts()
    )
    for one, other in zip(shown.pixels(), expected.pixels(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_failed_is_told_and_tried_again(port, browser, visit):
    page = visit('#model=cvae&of=3')
    shown = page.pixels('.grid canvas')
    page.tab.route(
        '**/*:predict', lambda r: r.fulfill(status=503, body='{"error": "no"}')
    )
    page.tab.get_by_label('first seed').fill('50')
    page.tab.keyboard.press('Enter')
    page.tab.locator('#status.wrong').wait_for()
    assert page.status() == 'no'
    box = page.tab.locator('#status').bounding_box()
    assert box['y'] + box['height'] <= page.tab.viewport_size['height']
    np.testing.assert_array_equal(page.pixels('.grid canvas'), shown)
    page.tab.unroute('**/*:predict')
    page.tab.get_by_role('button', name='Try again').click()
    page.settle()
    images = predict(
        port, 'cvae', 'sample', seed=[*range(50, 74)], label=[3] * 24
    )
    np.testing.assert_allclose(
        page.pixels('.grid canvas'), grey(images), atol=1
    )
    assert not page.tab.get_by_role('button', name='Try again').count()
    # Chromium logs the status.
    assert all('503' in text for text in page.complaints)
    page.complaints.clear()


def test_a_tab_that_is_pressed_keeps_the_focus_and_counts_once(visit):
    page = visit('#model=cvae')
    focused = 'document.activeElement.textContent'
    entries = page.tab.evaluate('history.length')
    for name in ('Codes', 'Codes', 'pixelrnn', 'pixelrnn'):
        page.tab.get_by_role('tab', name=name).click()
        page.settle()
        assert page.tab.evaluate(focused) == name
    assert page.tab.evaluate('history.length') == entries + 2


def test_a_panel_that_is_left_says_no_more(visit):
    page = visit('#model=pixelrnn')
    page.tab.locator('#request summary').click()
    page.tab.get_by_role('tab', name='Complete').click()
    page.tab.get_by_role('tab', name='Samples').click()
    page.settle()
    state = page.state()
    assert state['panel'] == 'samples'
    assert '"sample"' in page.tab.inner_text('#code')
    page.tab.get_by_role('tab', name='Complete').click()
    page.tab.get_by_role('tab', name='cvae').click()
    page.settle()
    assert not {'p', 'm'} & page.state().keys()
    assert page.tab.locator('.grid button').count() == 30


def test_a_sound_is_made_longer_half_by_half(port, visit):
    page = visit('#model=wavenet&seed=3&times=2')
    found = []
    for source in page.tab.locator('audio').all():
        text = source.get_attribute('src').partition(',')[2]
        rate, data = wavfile.read(io.BytesIO(base64.b64decode(text)))
        found.append(data / 32767)
    given = {'seed': list(range(3, 9)), 'label': [0] * 6}
    first = np.array(predict(port, 'wavenet', 'sample', **given))
    length = first.shape[1]
    assert rate == 8000
    assert {len(sound) for sound in found} == {2 * length}
    np.testing.assert_allclose([s[:length] for s in found], first, atol=4e-5)
    assert all(np.ptp(sound[length:]) > 0 for sound in found)


def test_a_sound_is_continued_in_several_ways(visit):
    page = visit('#model=wavenet&known=50&times=1')
    assert page.tab.locator('audio').count() == 6
    waves = page.pixels('canvas.wave')
    half = waves[0].shape[1] // 2 - 1
    for wave in waves:
        np.testing.assert_array_equal(wave[:, :half], waves[0][:, :half])
    assert len({wave.tobytes() for wave in waves}) == 6


def test_a_press_tells_the_shares_of_the_components(port, visit):
    page = visit('#model=gmm')
    canvas = page.tab.get_by_label('Samples as points')
    box = canvas.bounding_box()
    canvas.click(position={'x': 0.7 * box['width'], 'y': 0.4 * box['height']})
    page.settle()
    at = [float(v) for v in page.state()['at'].split(',')]
    shares = predict(port, 'gmm', 'responsibilities', point=[at])[0]
    rows = page.tab.locator('#panel tr').all_inner_texts()
    # The large ones, the largest first.
    told = {int(row.split()[1]): float(row.split()[-1]) for row in rows}
    large = {k + 1: v for k, v in enumerate(shares) if v >= 0.01}
    assert told == pytest.approx(large, abs=6e-4)
    assert list(told.values()) == sorted(told.values(), reverse=True)
    parts = get(port, '/explorer/models/gmm')['components']
    assert parts['means'] == [[1.0, 0.5], [0.0, 0.2], [-1.0, -0.4]]
    # By the keyboard, and in a link.
    canvas.focus()
    page.press('ArrowRight')
    moved = [float(v) for v in page.state()['at'].split(',')]
    assert moved[0] > at[0] and moved[1] == at[1]
    told = page.tab.locator('#panel table').inner_text()
    again = visit(f'#{page.tab.url.partition("#")[2]}')
    assert again.tab.locator('#panel table').inner_text() == told


def test_points_and_lines_are_shown(visit):
    page = visit('#model=gaussian')
    (points,) = page.pixels()
    # Background, points, and the density behind them.
    assert len(np.unique(points)) > 2
    page.tab.get_by_role('tab', name='text_vae').click()
    page.settle()
    assert page.tab.locator('ol').first.locator('li').count() == 16
    assert page.tab.locator('ol').last.locator('li').count() == 9


def test_the_look_of_the_page_stays_from_model_to_model(visit):
    page = visit('#model=cvae')
    look = "getComputedStyle(document.querySelector('canvas')).imageRendering"
    assert page.tab.evaluate(look) == 'pixelated'
    page.tab.get_by_label('smooth pictures').check()
    page.tab.get_by_label('Language').select_option('zh')
    page.settle()
    page.tab.get_by_role('tab', name='pixelrnn').click()
    page.settle()
    assert page.tab.evaluate(look) == 'auto'
    assert '样本' in page.tab.inner_text('#panels')
    assert page.tab.evaluate('document.documentElement.lang') == 'zh'


def test_the_keyboard_alone_reaches_everything(visit):
    page = visit('#model=cvae')
    page.tab.get_by_role('tab', name='cvae').focus()
    page.press('ArrowRight')
    assert page.state()['model'] == 'pixelrnn'
    # A model has no panels until its metadata has arrived.
    page.press('ArrowLeft')
    page.press('Tab', 'ArrowRight')
    assert page.state()['panel'] == 'codes'
    page.press('ArrowLeft')
    assert page.state()['panel'] == 'samples'
    page.press('Tab', 'Tab', 'Tab', 'Tab', 'Enter')
    assert page.tab.locator('dialog[open]').count() == 1
    page.press('Escape')
    assert page.tab.locator('dialog[open]').count() == 0


PANELS = (
    'cvae&panel=samples',
    'cvae&panel=codes',
    'cvae&panel=closer',
    'pixelrnn&panel=complete',
    'wavenet',
    'gmm',
    'text_vae',
)


# All that a reader sees or hears, but the names of models and of their data.
_TEXTS = """() => {
    document.querySelectorAll('.lines, #facts, #models button, pre').forEach(
        e => e.remove());
    const named = document.querySelectorAll('[aria-label], [alt]');
    return [document.body.innerText, ...[...named].map(
        e => `${e.ariaLabel} ${e.getAttribute('alt')}`)].join(' '); }"""
_NAMES = {
    *('tfgen', 'explorer', 'English', 'Chinese', 'Python', 'PixelRNN'),
    *('WaveNet', 'Shift', 'curl', 'nat', 'nats', 'null'),
}


@pytest.mark.parametrize('panel', PANELS)
def test_it_fits_a_small_screen_and_everything_has_a_name(panel, visit):
    page = visit(
        f'#model={panel}&lang=zh',
        viewport={'width': 360, 'height': 740},
        color_scheme='dark',
    )
    assert page.tab.evaluate('document.documentElement.scrollWidth') <= 360
    nameless = page.tab.evaluate(NAMELESS)
    assert nameless == []
    for one in page.tab.locator('.grid button canvas').all()[:3]:
        assert one.bounding_box()['width'] > 45  # pixels
    # No word of the page has been left untranslated.
    english = re.findall('[A-Za-z]{3,}', page.tab.evaluate(_TEXTS))
    assert not set(english) - _NAMES
    # Nothing is loaded from other hosts.
    assert all(
        url.startswith((page.origin, 'data:', 'blob:')) for url in page.asked
    )


def test_a_request_can_be_copied_and_run(port, visit):
    page = visit('#model=pixelrnn&seed=2&of=9')
    page.tab.locator('#request summary').click()
    page.tab.get_by_label('Python').check()
    code = page.tab.inner_text('#code')
    done = processes.run([sys.executable, '-c', code]).stdout
    found = np.array(json.loads(done.replace("'", '"')))
    shown = page.pixels('.grid canvas')
    np.testing.assert_array_equal(shown, grey(found))
    page.tab.get_by_label('curl').check()
    command = page.tab.inner_text('#code')
    done = subprocess.run(
        ['bash', '-c', command], capture_output=True, text=True
    )
    again = json.loads(done.stdout)['outputs']
    np.testing.assert_array_equal(np.array(again), found)


def test_a_request_is_shown_whole_where_nothing_can_be_copied(visit):
    page = visit('#model=gaussian')
    page.tab.evaluate(
        "Object.defineProperty(navigator, 'clipboard', {value: undefined})"
    )
    page.tab.locator('#request summary').click()
    page.tab.locator('#code:not(:empty)').wait_for()
    code = page.tab.inner_text('#code')
    # At most as many rows as a production server accepts.
    assert code.startswith('# The first 32 rows of 512.')
    done = subprocess.run(['bash', '-c', code], capture_output=True, text=True)
    assert len(json.loads(done.stdout)['outputs']) == 32
    page.tab.get_by_role('tab', name='pixelrnn').click()
    page.settle()
    page.tab.get_by_role('tab', name='Complete').click()
    page.settle()
    assert page.tab.inner_text('#code').endswith('(copied whole)')
    page.tab.get_by_role('button', name='Copy', exact=True).click()
    page.settle()
    code = page.tab.inner_text('#code')
    assert page.tab.evaluate('getSelection().toString()').strip() == code
    done = subprocess.run(['bash', '-c', code], capture_output=True, text=True)
    assert len(json.loads(done.stdout)['outputs']) == 6


def test_from_another_host_it_asks_the_server_that_it_is_told(port, browser):
    host = http.server.ThreadingHTTPServer(('127.0.0.1', 0), _Silent)
    threading.Thread(target=host.serve_forever, daemon=True).start()

    def as_tensorflow_serving(route):
        """Simulates a host that allows other origins but lists no models."""
        path = route.request.url.partition(':8501')[2]
        connection = http.client.HTTPConnection('127.0.0.1', port, timeout=60)
        status, text = 404, ''
        if path.startswith('/v1'):
            with contextlib.closing(connection):
                connection.request(
                    route.request.method, path, route.request.post_data
                )
                answer = connection.getresponse()
                status, text = answer.status, answer.read().decode()
        headers = {'Access-Control-Allow-Origin': '*'}
        route.fulfill(status=status, body=text, headers=headers)

    context = browser.new_context()
    context.route('http://serving.test:8501/**', as_tensorflow_serving)
    tab = context.new_page()
    address = f'http://127.0.0.1:{host.server_port}/index.html'
    tab.goto(f'{address}?server=http://serving.test:8501&models=pixelrnn')
    tab.locator('.grid canvas').nth(23).wait_for()
    # The page has found the number of classes by itself.
    assert tab.locator('#panel select option').count() == 11
    context.close()
    host.shutdown()


def test_a_model_is_introduced_and_its_card_is_shown(port, visit):
    page = visit('#model=pixelrnn&panel=complete&label=7')
    assert page.tab.inner_text('#name') == 'PixelRNN, given a label'
    assert 'pixel after pixel' in page.tab.inner_text('#about')
    assert 'PixelRNN, given a label: pixelrnn' in page.tab.title()
    assert 'Try: hide' in page.tab.inner_text('#panel')
    assert page.tab.locator('#card').is_hidden()  # it has none
    link = visit('')
    link.tab.context.grant_permissions(['clipboard-read', 'clipboard-write'])
    link.tab.get_by_role('button', name='Copy a link').click()
    link.settle()
    copied = link.tab.evaluate('navigator.clipboard.readText()')
    assert copied == link.tab.url and '#model=cvae' in copied


class _Silent(http.server.SimpleHTTPRequestHandler):
    def __init__(self, *arguments):
        super().__init__(*arguments, directory=PAGE)

    def log_message(self, *_):
        pass
