"""The explorer's page while models learn, in a real browser."""

import re

import numpy as np
import pages
import pytest
from pages import NAMELESS
from scipy import stats

from tfgen.lab import options

pytestmark = pages.NEEDED
MODELS = ('gaussian',)  # the page opens on it


def _learn(visit, address='', **how):
    """Opens the page, then the trainings of an address."""
    page = visit(**how)
    # The states of a training come in one request, which does not end.
    page.tab.evaluate(f"location.hash = '#view=learn{address}'")
    return page


def _steps(page):
    """The steps that are shown, one for each training."""
    texts = page.tab.locator('.training .numbers').all_inner_texts()
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
    assert '[object' not in page.tab.inner_text('#panel')
    heads = page.tab.locator('.training h3').all_inner_texts()
    assert heads == ['A: G minimises log(1 - D)', 'B: G maximises log D']
    pictures = page.pixels('canvas.chart')
    assert all(len(np.unique(p)) > 2 for p in pictures)
    # What to look for and both pictures are on one screen.
    text = page.tab.get_by_text('D learns fast').bounding_box()
    squares = page.tab.get_by_label('Samples over data').all()
    for box in (text, *(square.bounding_box() for square in squares)):
        assert 0 <= box['y'] < box['y'] + box['height'] <= 720
    page.tab.get_by_role('button', name='Pause').click()
    before = None
    while before != (now := _steps(page)):
        before = now  # a state that was on its way has come
        page.tab.wait_for_timeout(700)
    page.tab.get_by_role('button', name='Step').click()
    _wait(page, lambda: all(np.subtract(_steps(page), before) > 0))
    assert all(np.subtract(_steps(page), before) % 5 == 0)
    assert page.status() == ''
    # The losses differ, and so do the scales of their curves.
    curves = page.tab.locator('canvas[aria-label^="Terms of the loss"]')
    scales = curves.evaluate_all('all => all.map(c => c.ariaLabel)')
    assert len(set(scales)) == 2
    # An earlier state, by the film.
    film = page.tab.get_by_label('Film')
    film.fill('1')
    _wait(page, lambda: _steps(page) == [5, 5])
    page.tab.get_by_role('button', name='Reset').click()
    _wait(page, lambda: _steps(page) == [0, 0])  # it stays paused


def test_a_lesson_pauses_where_there_is_something_to_see(visit):
    page = _learn(visit, '&lesson=normal')
    _wait(
        page,
        lambda: page.tab.get_by_role('button', name='Run', exact=True).count(),
    )
    page.tab.wait_for_timeout(1000)  # a state that was on its way has come
    before = _steps(page)
    assert before == [40, 40]
    assert page.tab.get_by_text('Paused: this is').count()
    # Both losses are in nats: their curves have one scale.
    curves = page.tab.locator('canvas[aria-label^="Terms of the loss"]')
    scales = curves.evaluate_all('all => all.map(c => c.ariaLabel)')
    assert len(scales) == 2 and len(set(scales)) == 1
    page.tab.wait_for_timeout(1000)
    assert _steps(page) == before
    page.tab.get_by_role('button', name='Run', exact=True).click()
    _wait(page, lambda: all(np.subtract(_steps(page), before) > 5))
    assert page.tab.get_by_role('button', name='Pause').count()
    assert page.status() == ''


def test_all_lessons_are_offered_and_named_in_both_languages(visit):
    code = """Promise.all(['lessons', 'words', 'learn', 'training'].map(
        name => import(`./${name}.js`))).then(([l, w, {WORDS}, {NUMBERS}]) => (
            {lessons: l.LESSONS, words: w.LANGUAGES, used: WORDS,
             numbers: NUMBERS}))"""
    found = visit().tab.evaluate(code)
    assert len(found['lessons']) == 10
    english, chinese = found['words']['en'], found['words']['zh']
    assert english.keys() == chinese.keys()
    for key, text in english.items():
        values = [set(re.findall(r'{\w+}', x)) for x in (text, chinese[key])]
        assert values[0] == values[1], key
    for model in options.described().values():
        assert {f'help.{name}' for name in model['settings']} <= english.keys()
    for names in found['used'].values():
        for name in names:
            assert {f'word.{name}', f'word.{name}.is'} <= english.keys()
    for lesson in found['lessons']:
        assert set(lesson['tells']) <= set(found['numbers'])
        for side in 'ab':
            if side in lesson:
                model, data, settings = lesson[side]
                asked = {'model': model, 'data': data, 'settings': settings}
                options.Request.of(asked)
        for end in ('', '.look'):
            assert f'lesson.{lesson["key"]}{end}' in english


def test_a_point_has_the_colour_of_its_likeliest_component(visit):
    random = np.random.default_rng(2)
    weights = random.dirichlet(np.ones(3))
    means = random.normal(size=[3, 2])
    scales = np.tril(random.normal(size=[3, 2, 2]))
    points = random.normal(size=[50, 2])
    parts = {'weights': weights, 'means': means, 'scales': scales}
    found = visit().tab.evaluate(
        """([parts, points]) => import('./charts.js').then(m =>
            points.map(p => m.likeliest(parts, p)))""",
        [{k: v.tolist() for k, v in parts.items()}, points.tolist()],
    )
    densities = [
        weight * stats.multivariate_normal(mean, scale @ scale.T).pdf(points)
        for weight, mean, scale in zip(weights, means, scales, strict=True)
    ]
    assert found == np.argmax(densities, axis=0).tolist()
    assert len(set(found)) == 3


def test_the_distance_of_d_from_the_best_d(visit):
    random = np.random.default_rng(3)
    p, q = random.uniform(0.1, 1, [2, 20])
    score = random.normal(size=20)
    p[:3], q[:3] = 0.001, 0.002  # neither data nor samples
    found = visit().tab.evaluate(
        """([first, state]) => import('./charts.js').then(m =>
            m.distance(first, state))""",
        [
            {'truth': np.log(p).tolist()},
            {'drawn': q.tolist(), 'score': score.tolist()},
        ],
    )
    apart = abs(p / (p + q) - 1 / (1 + np.exp(-score)))[3:]
    assert found == pytest.approx(apart.mean())


def test_curves_of_equal_terms_have_one_scale(visit):
    code = """films => import('./charts.js').then(m => {
        const found = m.limits(films);
        films.forEach(film => {
            const canvas = m.chart('curves', 110);
            document.getElementById('panel').append(canvas);
            m.terms(canvas, film, found); });
        return found; })"""
    films = [
        [{'step': k, 'terms': {'loss': value}} for k in range(1, steps)]
        for steps, value in ((60, 1.0), (100, 3.0), (40, 2.0))
    ]
    page = visit()
    page.tab.evaluate("document.getElementById('panel').replaceChildren()")
    found = page.tab.evaluate(code, films)
    assert found == {'low': 1, 'high': 3, 'last': 99}
    # The first is at the bottom, the second at the top, the third between them.
    ends = (59, 99, 39)
    for drawn, place, last in zip(
        page.pixels('canvas.chart'), (104, 6, 55), ends, strict=True
    ):
        rows, columns = np.nonzero(abs(drawn - 230) < 6)  # the first colour
        share = drawn.shape[0] / 110
        assert abs(np.median(rows) / share - place) < 3
        assert columns.max() / drawn.shape[1] == pytest.approx(
            last / 99, abs=0.02
        )


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
    _wait(page, lambda: '第' in page.tab.inner_text('.training .numbers'))
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
    assert page.tab.evaluate(NAMELESS) == []
