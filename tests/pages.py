"""A real browser for the tests of the explorer's page."""

import contextlib
import http.client
import json
import shutil
import time

import numpy as np
import pytest
import tiny

playwright = pytest.importorskip(
    'playwright.sync_api', reason='playwright is missing: pip install it'
)
CHROMIUM = shutil.which('chromium') or shutil.which('chromium-browser')
NEEDED = pytest.mark.skipif(
    not CHROMIUM, reason='no chromium: apt-get install chromium'
)
_WAIT = 120  # seconds
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


@contextlib.contextmanager
def chromium():
    """A browser."""
    with (
        playwright.sync_playwright() as p,
        contextlib.closing(
            p.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        ) as found,
    ):
        yield found


@contextlib.contextmanager
def visits(browser, port):
    """A function that opens pages of a server; none of them may complain."""
    opened = []

    def page(address='', **options):
        opened.append(Page(browser, port, address, **options))
        return opened[-1]

    yield page
    for page_ in opened:
        page_.context.close()
        assert page_.complaints == []


class Page:
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
        quiet, end = 0, time.monotonic() + _WAIT
        while quiet < 3:
            assert time.monotonic() < end, 'the page does not come to rest'
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
        # (As text, which arrives many times faster than a list of numbers.)
        code = """all => all.map(canvas => {
            const {width, height} = canvas;
            const data = canvas.getContext('2d').getImageData(
                0, 0, width, height).data;
            let text = '';
            for (let k = 0; k < data.length; k += 4)
                text += String.fromCharCode(data[k]);
            return [height, width, text]; })"""
        found = self.tab.locator(selector).evaluate_all(code)
        return [
            np.array([*text.encode('latin1')]).reshape(height, width)
            for height, width, text in found
        ]

    def press(self, *keys):
        for key in keys:
            self.tab.keyboard.press(key)
        self.settle()


def get(port, path):
    """The JSON that a server answers to a GET."""
    connection = http.client.HTTPConnection('127.0.0.1', port, timeout=60)
    with contextlib.closing(connection):
        connection.request('GET', path)
        return json.loads(connection.getresponse().read())


def predict(port, model, signature, **inputs):
    """The outputs of a signature, by the REST API."""
    connection = http.client.HTTPConnection('127.0.0.1', port, timeout=60)
    body = {'signature_name': signature, 'inputs': inputs}
    with contextlib.closing(connection):
        connection.request(
            'POST', f'/v1/models/{model}:predict', json.dumps(body)
        )
        return json.loads(connection.getresponse().read())['outputs']


def grey(image):
    """The bytes of the first channel, as the page draws them."""
    return np.floor(np.asarray(image)[..., 0] * 255 + 0.5)


# Controls without a name.
NAMELESS = """() => [...document.querySelectorAll(
        'button, input:not([hidden]), select, canvas, audio, [role]'
        )].filter(e =>
            e.checkVisibility() && !e.closest('[role=img] *')
            && !e.innerText?.trim() && !e.ariaLabel
            && !e.querySelector('[aria-label]') && !e.labels?.length
            && !e.getAttribute('aria-labelledby') && e.role !== 'status'
            ).map(e => e.outerHTML)"""
