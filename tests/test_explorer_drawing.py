"""Drawings and completions in the explorer's page, in a real browser."""

import contextlib
import json

import numpy as np
import pages
import pytest
from pages import get, grey, predict
from PIL import Image
from scipy import ndimage

pytestmark = pages.NEEDED
MODELS = ('cvae', 'pixelrnn')


def _connected(ink):
    """Whether the pixels of a drawing are one piece, corners included."""
    _, pieces = ndimage.label(ink, structure=np.ones([3, 3]))
    return pieces == 1


def test_a_fast_stroke_is_one_connected_line(visit):
    """A fast hand is seen at a few places only; the pen joins them."""
    page = visit('#model=pixelrnn&panel=closer&given=1')
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
    page = visit('#model=cvae&panel=closer&given=1')
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


def test_a_drawing_and_a_file_are_looked_at(port, visit, tmp_path):
    page = visit('#model=cvae&panel=closer&given=1')
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


def test_a_number_stands_among_those_of_the_test_set(port, visit):
    page = visit('#model=cvae&panel=closer&given=1')
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


def test_without_a_chosen_label_the_likeliest_counts(port, visit):
    page = visit('#model=cvae&panel=closer')
    image = [(page.pixels('canvas.edit')[0][..., None] / 255).tolist()]
    bounds = predict(
        port,
        'cvae',
        'elbo',
        image=image * 10,
        label=[*range(10)],
        seed=[0] * 10,
    )
    label = int(np.argmax(bounds))
    chosen = page.tab.locator('#panel select').first
    assert chosen.locator('option').first.inner_text().endswith(f' {label}')
    row = page.tab.locator('tr', has_text='lower bound').inner_text()
    assert f'{bounds[label]:.2f} nats' in row
    assert 'given' not in page.state()
    other = (label + 1) % 10
    chosen.select_option(str(other))
    page.settle()
    row = page.tab.locator('tr', has_text='lower bound').inner_text()
    assert f'{bounds[other]:.2f} nats' in row
    assert page.state()['given'] == str(other)
    # What another panel chooses does not count here.
    page = visit('#model=cvae&panel=closer&label=' + str(other))
    row = page.tab.locator('tr', has_text='lower bound').inner_text()
    assert f'given label {label}' in row
    # A sample that is inspected brings its own.
    page = visit(f'#model=cvae&of={other}&given={label}')
    page.tab.get_by_label('Open the sample of seed 0').click()
    page.tab.get_by_role('button', name='Inspect').click()
    page.settle()
    row = page.tab.locator('tr', has_text='lower bound').inner_text()
    assert f'given label {other}' in row


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
    key = 'given' if panel == 'closer' else 'label'
    assert page.state()[key] == '3'
    assert page.tab.locator('#panel canvas').count()


def test_a_late_sample_does_not_take_a_drawing_away(visit):
    page = visit('#model=pixelrnn&panel=closer&given=1')
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
