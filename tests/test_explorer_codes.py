"""Codes in the explorer's page, in a real browser."""

import json

import numpy as np
import pages
import pytest
from pages import get, grey, predict

pytestmark = pages.NEEDED
MODELS = ('cvae',)


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
