"""The explorer's page and its models, in a real browser."""

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
import tiny
from pages import NAMELESS, PAGE, get, grey, predict
from PIL import Image
from scipy import ndimage
from scipy.io import wavfile

from tfgen import presets
from tfgen.export import saved_model
from tfgen.training import workdir

pytestmark = pages.NEEDED


@pytest.fixture(scope='module')
def port(tmp_path_factory, data_dir):
    """Returns the port of a server of small models, one for each spec."""
    folder = tmp_path_factory.mktemp('models')
    for name in ('cvae', 'pixelrnn', 'wavenet', 'gaussian', 'text_vae'):
        config, examples = tiny.load(name, data_dir)
        saved_model.export(config.build(), config, 0, examples, folder / name)
    preset = presets.get('gmm_two_moons', ['num_components=3'])
    config, examples = workdir.Config.of('gmm_two_moons', preset)
    mixture = config.build()
    mixture.means.assign([[1.0, 0.5], [0.0, 0.2], [-1.0, -0.4]])
    saved_model.export(mixture, config, 0, examples, folder / 'gmm')
    runs = tmp_path_factory.mktemp('runs')
    server, number, _ = processes.start_server(folder, f'--runs_dir={runs}')
    try:
        yield number
    finally:
        server.kill()
        server.wait()


@pytest.fixture(scope='module')
def browser():
    with pages.chromium() as found:
        yield found


@pytest.fixture
def visit(browser, port):
    with pages.visits(browser, port) as page:
        yield page


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
        _wide('model=cvae&panel=closer&label=-1&p=x',
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


def test_the_picture_follows_the_sliders_and_the_plane(port, visit):
    page = visit('#model=cvae&panel=codes&label=2')

    def expected():
        z = [float(v) for v in page.state()['z'].split(',')]
        answer = predict(port, 'cvae', 'decode', z=[z], label=[2])
        return grey(answer['image'][0])

    before = page.pixels('canvas.code')[0]
    page.tab.get_by_role('slider', name='z2').focus()
    page.press(*['ArrowRight'] * 20)
    assert float(page.state()['z'].split(',')[1]) == pytest.approx(0.2)
    np.testing.assert_allclose(
        page.pixels('canvas.code')[0], expected(), atol=1
    )
    assert np.abs(page.pixels('canvas.code')[0] - before).max() > 0
    plane = page.tab.locator('canvas.plane')
    plane.hover(position={'x': 40, 'y': 40})
    page.settle()
    left, up, _ = (float(v) for v in page.state()['z'].split(','))
    assert left < -2 and up > 2
    np.testing.assert_allclose(
        page.pixels('canvas.code')[0], expected(), atol=1
    )
    # Hovering previews; pressing selects.
    page.tab.mouse.move(1, 1)
    page.settle()
    assert page.state()['z'] == '0,0.2,0'
    np.testing.assert_allclose(
        page.pixels('canvas.code')[0], expected(), atol=1
    )
    plane.click(position={'x': 40, 'y': 40})
    page.tab.mouse.move(1, 1)
    page.settle()
    assert page.state()['z'] == f'{left:g},{up:g},0'
    plane.focus()
    page.press('ArrowRight', 'ArrowDown')
    moved = [float(v) for v in page.state()['z'].split(',')]
    assert moved[0] == pytest.approx(left + 0.1)
    assert moved[1] == pytest.approx(up - 0.1)


def test_a_line_leads_from_one_sample_to_another(port, visit):
    page = visit('#model=cvae&of=4')
    codes = []
    for seed, words in (
        (3, 'Interpolate from here'),
        (8, 'Interpolate to here'),
    ):
        page.tab.get_by_label(f'Open the sample of seed {seed},').click()
        page.tab.get_by_role('button', name=words).click()
        page.settle()
        image = predict(port, 'cvae', 'sample', seed=[seed], label=[4])
        found = predict(port, 'cvae', 'encode', image=image, label=[4])
        codes.append(found['mean'][0])
        if len(codes) == 1:
            page.tab.get_by_role('tab', name='Samples').click()
            page.settle()
    state = page.state()
    for end, code in zip('ab', codes, strict=True):
        found = [float(v) for v in state[end].split(',')]
        np.testing.assert_allclose(found, code, atol=0.006)
    first, *_, last = page.pixels('.line canvas')
    for end, shown in (('a', first), ('b', last)):
        z = [float(v) for v in state[end].split(',')]
        image = predict(port, 'cvae', 'decode', z=[z], label=[4])['image']
        np.testing.assert_allclose(shown, grey(image[0]), atol=1)


def test_what_is_known_stays_in_a_completion(visit):
    page = visit('#model=pixelrnn&panel=complete&label=7')
    picture, _, *ways = page.pixels()
    assert len(ways) == 6
    for way in ways:
        np.testing.assert_array_equal(way[:4], picture[:4])
    different = {way.tobytes() for way in [picture, *ways]}
    assert len(different) == 7  # none equals the original picture
    # With the keyboard alone, hide only the pixel in the middle.
    page.tab.get_by_role('button', name='Nothing').click()
    page.tab.get_by_label('Hidden pixels').focus()
    page.press('Space')
    picture, _, *ways = page.pixels()
    changed = np.any(np.array(ways) != picture, axis=0)
    assert set(zip(*np.nonzero(changed), strict=True)) <= {(4, 4)}
    page.press('Backspace')
    for way in page.pixels()[2:]:
        np.testing.assert_array_equal(way, picture)


def test_it_shows_how_a_picture_was_drawn(visit):
    page = visit('#model=pixelrnn&panel=complete&label=7')
    _, hidden, *done = page.pixels()
    film = page.tab.get_by_label('Pixels that are drawn')
    film.fill('5')  # of the lower half, row by row
    for way, whole in zip(page.pixels()[2:], done, strict=True):
        rows = [way.ravel(), whole.ravel(), hidden.ravel()]
        np.testing.assert_array_equal(rows[0][:37], rows[1][:37])
        np.testing.assert_array_equal(rows[0][37:], rows[2][37:])
    watch = page.tab.get_by_role('button', name='Watch it draw')
    watch.click()  # goes on from there
    assert 5 <= int(film.input_value()) < 32
    watch.wait_for()
    np.testing.assert_array_equal(page.pixels()[2:], done)


@contextlib.contextmanager
def _held(page):
    """Holds back predict requests inside the context; sends them after it."""
    held, holding = [], [True]

    def hold(route):
        if holding:
            held.append(route)
        else:
            route.continue_()

    page.tab.route('**/*:predict', hold)
    yield held
    holding.clear()
    for route in held:
        route.continue_()
    page.settle()
    page.tab.unroute('**/*:predict')


def test_what_is_done_before_an_answer_comes_is_not_lost(visit):
    page = visit('#model=pixelrnn&panel=complete&label=7')
    before = page.state()
    with _held(page) as held:
        page.tab.get_by_role('button', name='Nothing').click()
        page.tab.get_by_label('Hidden pixels').focus()
        page.tab.keyboard.press('Space')
        after = page.state()
        while not held:
            page.tab.wait_for_timeout(20)
        page.tab.get_by_role('tab', name='Samples').click()
    assert after['m'] != before['m']
    page.tab.get_by_role('tab', name='Complete').click()
    page.settle()
    assert page.state()['m'] == after['m']
    picture, _, *ways = page.pixels()
    changed = np.any(np.array(ways) != picture, axis=0)
    assert set(zip(*np.nonzero(changed), strict=True)) <= {(4, 4)}


@pytest.mark.parametrize(
    ('panel', 'button'), [('complete', 'Right half'), ('closer', None)]
)
def test_controls_wait_for_the_first_sample(panel, button, visit):
    page = visit('#model=pixelrnn')
    with _held(page):
        address = f'#model=pixelrnn&panel={panel}&label=1'
        page.tab.evaluate('to => { location.hash = to; }', address)
        page.tab.get_by_label('label').select_option('3')
        if button:
            page.tab.get_by_role('button', name=button).click()
        page.tab.wait_for_timeout(100)
        assert not page.tab.locator('#status.wrong').count(), page.status()
    assert page.state()['label'] == '3'
    assert page.tab.locator('#panel canvas').count()


def test_a_late_sample_does_not_take_a_drawing_away(visit):
    page = visit('#model=pixelrnn&panel=closer&label=1')
    with _held(page) as held:
        page.tab.get_by_role('button', name='Use a sample').click()
        while not held:
            page.tab.wait_for_timeout(20)
        page.tab.get_by_role('button', name='Clear').click()
        page.tab.get_by_label('Drawing').focus()
        page.tab.keyboard.press('Space')
    drawn = page.pixels('canvas.edit')[0] > 0
    drawn[4, 4] = False  # the cursor
    assert not drawn.any()


def test_it_watches_the_answer_that_it_has(visit):
    page = visit('#model=pixelrnn&panel=complete&label=7')
    picture, _, *done = page.pixels()
    watch = page.tab.get_by_role('button', name='Watch it draw')
    with _held(page):
        page.tab.get_by_role('button', name='Upper half').click()
        watch.click()
        page.tab.wait_for_timeout(100)
        for way in page.pixels()[2:]:
            # The request hid the lower half, so the upper half is unchanged.
            np.testing.assert_array_equal(way[:4], picture[:4])
    watch.wait_for()  # a new answer stops the animation
    assert np.any(np.array(page.pixels()[2:]) != np.array(done))
    with _held(page):
        address = '#model=pixelrnn&panel=complete&label=3'
        page.tab.evaluate('to => { location.hash = to; }', address)
        assert watch.is_disabled()


def test_a_link_asks_for_the_same(visit):
    page = visit('#model=pixelrnn&panel=complete&label=7')
    asked = []

    def note(request):
        if request.url.endswith(':predict') and 'complete' in request.post_data:
            asked.append(json.loads(request.post_data))

    page.tab.get_by_label('pen').select_option('0.5')
    page.tab.on('request', note)
    page.tab.get_by_label('Drawing').focus()
    page.press('Space')
    page.state()
    again = visit('')
    again.tab.on('request', note)
    again.tab.goto(page.tab.url)
    again.settle()
    assert len(asked) == 2
    assert asked[0]['inputs']['image'] == asked[1]['inputs']['image']


def test_a_large_picture_fits_the_address(visit):
    code = """import('./pictures.js').then(m => {
        const image = m.blank([256, 256, 3], 1);
        const again = m.unpackImage(m.packImage(image), [256, 256, 3]);
        return JSON.stringify(again) === JSON.stringify(image);})"""
    assert visit().tab.evaluate(code)


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


def test_a_drawing_and_a_file_are_looked_at(port, visit, tmp_path):
    page = visit('#model=cvae&panel=closer&label=1')
    page.tab.get_by_role('button', name='Clear').click()
    page.tab.get_by_label('Drawing').focus()
    page.press('ArrowUp', 'ArrowLeft', 'Space')
    image = np.zeros([8, 8, 1])
    image[3, 3] = 1.0
    np.testing.assert_array_equal(page.pixels()[0] > 250, grey(image) > 0)
    elbo = predict(
        port, 'cvae', 'elbo', image=[image.tolist()], label=[1], seed=[0]
    )
    assert f'{elbo[0]:.2f} nats' in page.tab.inner_text('table')
    ramp = np.tile(np.linspace(0, 255, 16).astype(np.uint8), [16, 1])
    Image.fromarray(ramp).save(tmp_path / 'ramp.png')
    page.tab.set_input_files('input[type=file]', tmp_path / 'ramp.png')
    page.settle()
    row = page.pixels('canvas.edit')[0][6]  # not where the cursor is
    assert np.all(np.diff(row) > 0) and row[0] < 30 and row[-1] > 225
    (tmp_path / 'no.png').write_text('nothing')
    page.tab.set_input_files('input[type=file]', tmp_path / 'no.png')
    page.tab.locator('#status.wrong').wait_for()
    assert 'no.png is not a picture' in page.status()


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
    assert page.tab.inner_text('#name') == 'PixelRNN'
    assert 'pixel after pixel' in page.tab.inner_text('#about')
    assert 'PixelRNN: pixelrnn' in page.tab.title()
    assert 'Try: hide' in page.tab.inner_text('#panel')
    assert page.tab.locator('#card').is_hidden()  # it has none
    link = visit('')
    link.tab.context.grant_permissions(['clipboard-read', 'clipboard-write'])
    link.tab.get_by_role('button', name='Copy a link').click()
    link.settle()
    copied = link.tab.evaluate('navigator.clipboard.readText()')
    assert copied == link.tab.url and '#model=cvae' in copied


def test_a_number_stands_among_those_of_the_test_set(port, visit):
    page = visit('#model=cvae&panel=closer&label=1')
    place = page.tab.locator('canvas.scale')
    assert place.count() == 1
    text = place.get_attribute('aria-label')
    share = int(text.split('above ')[1].split(' %')[0])
    found = get(port, '/explorer/models/cvae')
    counts = np.array(found['numbers']['elbo']['counts'])
    edges = np.array(found['numbers']['elbo']['edges'])
    row = page.tab.locator('tr', has_text='lower bound').inner_text()
    value = float(row.split('\t')[1].split()[0])
    below = counts[edges[1:] <= value].sum() / counts.sum()
    assert share == pytest.approx(100 * below, abs=1)
    # The shares of the labels add up to 1.
    rows = page.tab.locator('tr', has_text='p(label').all_inner_texts()
    assert len(rows) == 10
    shares = [float(row.split()[-1]) for row in rows]
    assert sum(shares) == pytest.approx(1, abs=0.006)


def test_a_code_of_the_test_set_is_chosen_on_the_map(port, visit):
    page = visit('#model=cvae&panel=codes')
    chart = page.tab.locator('canvas.map')
    chart.focus()
    page.press('ArrowRight')
    codes = get(port, '/explorer/models/cvae')['codes']
    assert len(json.dumps(codes)) < 200_000
    assert page.state()['z'] == ','.join(f'{v:g}' for v in codes['z'][0])
    assert page.state()['label'] == str(codes['label'][0])
    image = predict(
        port, 'cvae', 'decode', z=codes['z'][:1], label=codes['label'][:1]
    )['image']
    np.testing.assert_allclose(
        page.pixels('canvas.code')[0], grey(image[0]), atol=1
    )
    # Press where another one is.
    reach = 1.08 * np.abs(codes['plane']).max()
    x, y = codes['plane'][5]
    box = chart.bounding_box()
    chart.click(
        position={
            'x': box['width'] * (1 + x / reach) / 2,
            'y': box['height'] * (1 - y / reach) / 2,
        }
    )
    page.settle()
    place = codes['plane'].index([x, y])
    assert page.state()['z'] == ','.join(f'{v:g}' for v in codes['z'][place])


def test_four_codes_span_a_square_and_are_added(port, visit):
    page = visit('#model=cvae&panel=codes&label=2')
    state = page.state()
    codes = {k: [float(v) for v in state[k].split(',')] for k in 'abcd'}
    classes = get(port, '/explorer/models/cvae')['codes']
    labels = [classes['label'][classes['z'].index(z)] for z in codes.values()]
    assert len(set(labels)) == 4
    a, b, c, d = (np.array(codes[k]) for k in 'abcd')
    z = [a, b, c, d, a - b + c, 0.6 * a + 0.4 * b]
    expected = grey(
        predict(port, 'cvae', 'decode', z=np.stack(z).tolist(), label=[2] * 6)[
            'image'
        ]
    )
    square = page.pixels('.square canvas')
    side = round(len(square) ** 0.5)
    corners = [square[k] for k in (0, side - 1, -side, -1)]
    np.testing.assert_allclose(corners, expected[:4], atol=1)
    np.testing.assert_allclose(
        page.pixels('.one canvas')[0], expected[4], atol=1
    )
    np.testing.assert_allclose(square[2], expected[5], atol=1)
    # A sum is taken as the code of above, and kept in another place.
    page.tab.get_by_label('Take the code of A - B + C').click()
    page.tab.get_by_role('button', name='Use this code as D').click()
    page.settle()
    state = page.state()
    assert state['d'] == state['z']
    np.testing.assert_allclose(
        [float(v) for v in state['z'].split(',')], a - b + c, atol=0.006
    )
    np.testing.assert_allclose(
        page.pixels('.square canvas')[-1], expected[4], atol=1
    )


class _Silent(http.server.SimpleHTTPRequestHandler):
    def __init__(self, *arguments):
        super().__init__(*arguments, directory=PAGE)

    def log_message(self, *_):
        pass


def _connected(ink):
    """Whether the pixels of a drawing are one piece, corners included."""
    _, pieces = ndimage.label(ink, structure=np.ones([3, 3]))
    return pieces == 1


def test_a_fast_stroke_is_one_connected_line(visit):
    """A fast hand is seen at a few places only; the pen joins them."""
    page = visit('#model=pixelrnn&panel=closer&label=1')
    page.tab.get_by_role('button', name='Clear').click()
    canvas = page.tab.locator('canvas.edit')
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()

    def at(x, y):
        return box['x'] + x * box['width'], box['y'] + y * box['height']

    mouse = page.tab.mouse
    mouse.move(*at(0.1, 0.1))
    mouse.down()
    for place in ((0.9, 0.3), (0.2, 0.95), (0.8, 0.8)):
        mouse.move(*at(*place))  # one event for each
    mouse.up()
    page.settle()
    drawn = page.pixels('canvas.edit')[0] > 0
    assert _connected(drawn) and 10 < drawn.sum() < 30
    page.tab.get_by_role('button', name='Undo').click()
    page.settle()
    assert not (page.pixels('canvas.edit')[0] > 0).any()


def test_pens_of_all_widths_draw_connected_lines(visit):
    """Random strokes, by the pen alone; the wider covers the narrower."""
    code = """([strokes, sizes]) => import('./pen.js').then(({stroke}) =>
        strokes.map(([from, to]) => sizes.map(size => {
            const rows = Array.from({length: 28}, () => Array(28).fill(0));
            stroke([28, 28], from, to, size, (x, y, share) => {
                rows[y][x] = share; });
            return rows; })))"""
    random = np.random.default_rng(1)
    strokes = random.uniform(0, 28, [40, 2, 2]).tolist()
    found = np.array(visit().tab.evaluate(code, [strokes, [1, 2, 4]]))
    for (begin, end), drawn in zip(strokes, found, strict=True):
        for share in drawn:
            assert _connected(share >= 0.5) and share.max() <= 1
            for x, y in (begin, end):
                assert share[int(y), int(x)] > 0.4
        assert np.all((drawn[2] >= 0.5) >= (drawn[0] >= 0.5))


def test_dark_on_white_is_offered_inverted(visit, tmp_path):
    page = visit('#model=cvae&panel=closer&label=1')
    paper = np.full([16, 16], 255, np.uint8)
    paper[4:12, 6:8] = 0
    Image.fromarray(paper).save(tmp_path / 'one.png')
    page.tab.set_input_files('input[type=file]', tmp_path / 'one.png')
    page.settle()
    assert page.pixels('canvas.edit')[0][0].min() > 200
    page.tab.get_by_role('button', name='Invert it').click()
    page.settle()
    drawn = page.pixels('canvas.edit')[0]
    assert drawn[0].max() < 50 and drawn.max() > 200
    assert not page.tab.get_by_role('button', name='Invert it').count()
