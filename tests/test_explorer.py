"""The explorer page, in a real browser."""

import base64
import contextlib
import http.client
import http.server
import json
import shutil
import subprocess
import sys
import threading

import numpy as np
import processes
import pytest
import tiny
from PIL import Image
from scipy import ndimage

from tfgen.export import saved_model
from tfgen.lab import options

playwright = pytest.importorskip(
    'playwright.sync_api', reason='playwright is missing: pip install it'
)
CHROMIUM = shutil.which('chromium') or shutil.which('chromium-browser')
pytestmark = pytest.mark.skipif(
    not CHROMIUM, reason='no chromium: apt-get install chromium'
)
_TURN = 'new Promise(r => requestAnimationFrame(() => setTimeout(r)))'
PAGE = tiny.ROOT / 'tfgen' / 'server' / 'explorer'
QUIET = (
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
)


@pytest.fixture(scope='module')
def port(tmp_path_factory, data_dir):
    """Returns the port of a server of small models, one for each spec."""
    folder = tmp_path_factory.mktemp('models')
    for name in ('cvae', 'pixelrnn', 'wavenet', 'gaussian', 'text_vae'):
        config, examples = tiny.load(name, data_dir)
        saved_model.export(config.build(), config, 0, examples, folder / name)
    runs = tmp_path_factory.mktemp('runs')
    server, number, _ = processes.start_server(folder, f'--runs_dir={runs}')
    try:
        yield number
    finally:
        server.kill()
        server.wait()


@pytest.fixture(scope='module')
def browser():
    with (
        playwright.sync_playwright() as p,
        contextlib.closing(
            p.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        ) as found,
    ):
        yield found


class _Page:
    """A browser tab, with its requests and its error messages."""

    def __init__(self, browser, port, address='', **options):
        self.context = browser.new_context(**options)
        self.tab = self.context.new_page()
        self.asked, self.complaints = [], []
        self.waiting = 0
        self.tab.on('request', self._begun)
        self.tab.on('requestfinished', self._ended)
        self.tab.on('requestfailed', self._ended)
        self.tab.on('pageerror', lambda e: self.complaints.append(str(e)))
        self.tab.on(
            'console',
            lambda m: (
                self.complaints.append(m.text) if m.type == 'error' else None
            ),
        )
        self.tab.set_default_timeout(60_000)
        self.origin = f'http://127.0.0.1:{port}'
        self.tab.goto(f'{self.origin}/{address}')
        self.settle()

    def _begun(self, request):
        self.asked.append(request.url)
        self.waiting += 1

    def _ended(self, _):
        self.waiting -= 1

    def settle(self):
        """Waits until the page sends no more requests."""
        quiet = 0
        while quiet < 3:
            self.tab.wait_for_timeout(30)
            # The page has handled all input, even if it is busy.
            self.tab.evaluate(_TURN)
            busy = self.tab.locator('[aria-busy=true]').count()
            quiet = 0 if self.waiting or busy else quiet + 1
        assert not self.tab.locator('#status.wrong').count(), self.status()

    def status(self):
        return self.tab.inner_text('#status')

    def state(self):
        # The address is updated a moment later, or when the page is left.
        self.tab.evaluate("dispatchEvent(new Event('pagehide'))")
        code = 'Object.fromEntries(new URLSearchParams(location.hash.slice(1)))'
        return self.tab.evaluate(code)

    def pixels(self, selector='#panel canvas'):
        """Returns the grey bytes of canvases, [count, H, W]."""
        code = """all => all.map(c => [c.height, c.width, Array.from(
            c.getContext('2d').getImageData(0, 0, c.width, c.height).data)])"""
        found = self.tab.locator(selector).evaluate_all(code)
        return [np.reshape(d, [h, w, 4])[..., 0] for h, w, d in found]

    def press(self, *keys):
        for key in keys:
            self.tab.keyboard.press(key)
        self.settle()


@pytest.fixture
def visit(browser, port):
    opened = []

    def page(address='', **options):
        opened.append(_Page(browser, port, address, **options))
        return opened[-1]

    yield page
    for page_ in opened:
        page_.context.close()
        assert page_.complaints == []


def _predict(port, model, signature, **inputs):
    connection = http.client.HTTPConnection('127.0.0.1', port, timeout=60)
    body = {'signature_name': signature, 'inputs': inputs}
    with contextlib.closing(connection):
        connection.request(
            'POST', f'/v1/models/{model}:predict', json.dumps(body)
        )
        return json.loads(connection.getresponse().read())['outputs']


def _bytes(image):
    return np.floor(np.asarray(image)[..., 0] * 255 + 0.5)


def test_samples_are_what_the_server_draws_and_a_link_shows_them(port, visit):
    page = visit('#model=cvae&seed=5&of=3')
    images = _predict(
        port, 'cvae', 'sample', seed=[*range(5, 29)], label=[3] * 24
    )
    shown = page.pixels('.grid canvas')
    np.testing.assert_allclose(shown, _bytes(images), atol=1)
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
        answer = _predict(port, 'cvae', 'decode', z=[z], label=[2])
        return _bytes(answer['image'][0])

    before = page.pixels()[0]
    page.tab.get_by_role('slider', name='z2').focus()
    page.press(*['ArrowRight'] * 20)
    assert float(page.state()['z'].split(',')[1]) == pytest.approx(0.2)
    np.testing.assert_allclose(page.pixels()[0], expected(), atol=1)
    assert np.abs(page.pixels()[0] - before).max() > 0
    plane = page.tab.locator('canvas.plane')
    plane.hover(position={'x': 40, 'y': 40})
    page.settle()
    left, up, _ = (float(v) for v in page.state()['z'].split(','))
    assert left < -2 and up > 2
    np.testing.assert_allclose(page.pixels()[0], expected(), atol=1)
    # Hovering previews; pressing selects.
    page.tab.mouse.move(1, 1)
    page.settle()
    assert page.state()['z'] == '0,0.2,0'
    np.testing.assert_allclose(page.pixels()[0], expected(), atol=1)
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
        image = _predict(port, 'cvae', 'sample', seed=[seed], label=[4])
        found = _predict(port, 'cvae', 'encode', image=image, label=[4])
        codes.append(found['mean'][0])
        if len(codes) == 1:
            page.tab.get_by_role('tab', name='Samples').click()
            page.settle()
    state = page.state()
    for end, code in zip('ab', codes, strict=True):
        found = [float(v) for v in state[end].split(',')]
        np.testing.assert_allclose(found, code, atol=0.006)
    first, *_, last = page.pixels('.grid canvas')
    for end, shown in (('a', first), ('b', last)):
        z = [float(v) for v in state[end].split(',')]
        image = _predict(port, 'cvae', 'decode', z=[z], label=[4])['image']
        np.testing.assert_allclose(shown, _bytes(image[0]), atol=1)


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
    done = page.pixels()[2:]
    page.tab.get_by_label('Pixels per second').fill('60')
    page.tab.get_by_role('button', name='Watch it draw').click()
    page.tab.wait_for_timeout(150)
    assert np.any(np.array(page.pixels()[2:]) != np.array(done))
    page.tab.get_by_role('button', name='Watch it draw').wait_for()
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
    page.tab.get_by_label('Pixels per second').fill('1')
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
    images = _predict(
        port, 'cvae', 'sample', seed=[*range(50, 74)], label=[3] * 24
    )
    np.testing.assert_allclose(
        page.pixels('.grid canvas'), _bytes(images), atol=1
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
    np.testing.assert_array_equal(page.pixels()[0] > 250, _bytes(image) > 0)
    elbo = _predict(
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


def test_sounds_points_and_lines_are_shown(port, visit):
    page = visit('#model=wavenet&known=50')
    assert page.tab.locator('audio').count() == 6
    source = page.tab.locator('audio').first.get_attribute('src')
    sound = base64.b64decode(source.partition(',')[2])
    assert sound[:4] == b'RIFF'
    page.tab.get_by_role('tab', name='gaussian').click()
    page.settle()
    (points,) = page.pixels()
    # Background, points, and the density behind them.
    assert len(np.unique(points)) > 2
    page.tab.get_by_role('tab', name='text_vae').click()
    page.settle()
    assert page.tab.locator('ol').first.locator('li').count() == 16
    assert page.tab.locator('ol').last.locator('li').count() == 9


def test_the_keyboard_alone_reaches_everything(visit):
    page = visit('#model=cvae')
    page.tab.get_by_role('tab', name='cvae').focus()
    page.press('ArrowRight')
    assert page.state()['model'] == 'gaussian'
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


# Controls without a name.
_NAMELESS = """() => [...document.querySelectorAll(
        'button, input:not([hidden]), select, canvas, audio, [role]'
        )].filter(e =>
            e.checkVisibility() && !e.closest('[role=img] *')
            && !e.innerText?.trim() && !e.ariaLabel
            && !e.querySelector('[aria-label]') && !e.labels?.length
            && !e.getAttribute('aria-labelledby') && e.role !== 'status'
            ).map(e => e.outerHTML)"""
PANELS = (
    'cvae&panel=samples',
    'cvae&panel=codes',
    'cvae&panel=closer',
    'pixelrnn&panel=complete',
    'wavenet',
    'gaussian',
    'text_vae',
)


@pytest.mark.parametrize('panel', PANELS)
def test_it_fits_a_small_screen_and_everything_has_a_name(panel, visit):
    page = visit(
        f'#model={panel}',
        viewport={'width': 360, 'height': 740},
        color_scheme='dark',
    )
    assert page.tab.evaluate('document.documentElement.scrollWidth') <= 360
    nameless = page.tab.evaluate(_NAMELESS)
    assert nameless == []
    # Nothing is loaded from other hosts.
    assert {url.partition('/v1')[0].rpartition('/')[0] for url in page.asked}
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
    np.testing.assert_array_equal(shown, _bytes(found))
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
    assert tab.locator('select option').count() == 11
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
    connection = http.client.HTTPConnection('127.0.0.1', port, timeout=60)
    with contextlib.closing(connection):
        connection.request('GET', '/explorer/models/cvae')
        found = json.loads(connection.getresponse().read())
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
    connection = http.client.HTTPConnection('127.0.0.1', port, timeout=60)
    with contextlib.closing(connection):
        connection.request('GET', '/explorer/models/cvae')
        text = connection.getresponse().read()
    assert len(text) < 200_000
    codes = json.loads(text)['codes']
    assert page.state()['z'] == ','.join(f'{v:g}' for v in codes['z'][0])
    assert page.state()['label'] == str(codes['label'][0])
    image = _predict(
        port, 'cvae', 'decode', z=codes['z'][:1], label=codes['label'][:1]
    )['image']
    np.testing.assert_allclose(page.pixels()[0], _bytes(image[0]), atol=1)
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


def _learn(visit, address='', **how):
    """Opens the page, then the trainings of an address."""
    page = visit(**how)
    # The states of a training come in one request, which does not end.
    page.tab.evaluate(f"location.hash = '#view=learn{address}'")
    return page


def _steps(page):
    """The steps that are shown, one for each training."""
    texts = page.tab.locator('.training .note').all_inner_texts()
    return [int(t.split()[1]) if t.startswith('step') else -1 for t in texts]


def _wait(page, happens):
    for _ in range(2400):
        if happens():
            return
        page.tab.wait_for_timeout(50)
    raise AssertionError(page.status())


def test_a_link_opens_a_lesson_with_two_trainings(visit):
    page = _learn(visit, '&lesson=vanishing')
    _wait(page, lambda: len(_steps(page)) == 2 and min(_steps(page)) > 20)
    assert 'log(1 - D)' in page.tab.inner_text('#panel')
    pictures = page.pixels('canvas.chart')
    assert all(len(np.unique(p)) > 2 for p in pictures)
    page.tab.get_by_role('button', name='Pause').click()
    before = None
    while before != (now := _steps(page)):
        before = now  # a state that was on its way has come
        page.tab.wait_for_timeout(2000)
    page.tab.get_by_role('button', name='Step').click()
    _wait(page, lambda: all(np.subtract(_steps(page), before) > 0))
    assert all(np.subtract(_steps(page), before) % 10 == 0)
    # An earlier state, by the film.
    film = page.tab.get_by_label('Film')
    film.fill('1')
    _wait(page, lambda: _steps(page) == [10, 10])
    page.tab.get_by_role('button', name='Reset').click()
    _wait(page, lambda: _steps(page) == [0, 0])  # it stays paused


def test_all_lessons_are_offered_and_named_in_both_languages(visit):
    code = """Promise.all([import('./lessons.js'), import('./words.js')]).then(
        ([l, w]) => ({lessons: l.LESSONS, words: w.LANGUAGES}))"""
    found = visit().tab.evaluate(code)
    assert len(found['lessons']) == 10
    english, chinese = found['words']['en'], found['words']['zh']
    assert english.keys() == chinese.keys()
    for lesson in found['lessons']:
        for side in 'ab':
            if side in lesson:
                model, data, settings = lesson[side]
                asked = {'model': model, 'data': data, 'settings': settings}
                options.Request.of(asked)
        for end in ('', '.look'):
            assert f'lesson.{lesson["key"]}{end}' in english


def test_points_of_a_hand_are_trained_on(visit):
    page = _learn(visit, '&a=normal;drawn&lang=zh')
    board = page.tab.locator('canvas.board')
    board.wait_for()
    assert '学习' in page.tab.inner_text('#models')
    board.scroll_into_view_if_needed()
    box = board.bounding_box()
    mouse = page.tab.mouse
    x, y = box['x'] + 0.75 * box['width'], box['y'] + 0.25 * box['height']
    mouse.move(x, y)
    mouse.down()
    mouse.move(x + 20, y + 10, steps=10)
    mouse.up()
    assert page.state()['points'].count('.') > 3
    page.tab.get_by_role('button', name='重来').click()
    _wait(page, lambda: '第' in page.tab.inner_text('.training .note'))
    assert page.tab.locator('#status.wrong').count() == 0


@pytest.mark.parametrize('lesson', ['kl', 'blur'])
def test_trainings_fit_a_small_screen_and_have_names(lesson, visit):
    page = _learn(
        visit,
        f'&lesson={lesson}',
        viewport={'width': 360, 'height': 740},
        color_scheme='dark',
    )
    _wait(page, lambda: page.tab.locator('canvas.chart').count() >= 4)
    assert page.tab.evaluate('document.documentElement.scrollWidth') <= 360
    assert page.tab.evaluate(_NAMELESS) == []


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
