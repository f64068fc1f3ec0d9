// A square on which a hand draws points to train on.

import {button, h, ink} from './page.js';
import {t} from './words.js';

const MOST = 2000; // points
const REACH = 2; // of the square
const SIDE = 240; // pixels

// For the address.
export const packPoints = (points) => points.map((p) => p.map((v) => Math.round(100 * v)).join('_')).join('.');

export function unpackPoints(text) {
  const found = (text || '').split('.').filter(Boolean).map((pair) => pair.split('_').map((v) => Number(v) / 100));
  return found.every((p) => p.length === 2 && p.every((v) => Math.abs(v) <= REACH)) ? found.slice(0, MOST) : [];
}

// points: [[x, y], ...], which the hand changes; done(): after a stroke.
export function drawn(points, done) {
  const count = h('output', {});
  const board = h('canvas', {class: 'board', width: SIDE, height: SIDE, tabindex: 0, role: 'application', 'aria-label': t('learn.draw')});
  const place = ([x, y]) => [SIDE / 2 * (1 + x / REACH), SIDE / 2 * (1 - y / REACH)];
  const paint = () => {
    const context = board.getContext('2d');
    context.clearRect(0, 0, SIDE, SIDE);
    context.fillStyle = ink('--ink');
    points.forEach((point) => {
      const [x, y] = place(point);
      context.fillRect(x - 2, y - 2, 4, 4);
    });
    count.textContent = t('learn.points', {count: points.length});
  };
  const add = (event) => {
    const box = board.getBoundingClientRect();
    const x = (2 * (event.clientX - box.left) / box.width - 1) * REACH, y = (1 - 2 * (event.clientY - box.top) / box.height) * REACH;
    if (points.length >= MOST || Math.abs(x) > REACH || Math.abs(y) > REACH) return;
    points.push([Number(x.toFixed(2)), Number(y.toFixed(2))]);
    paint();
  };
  const cursor = [0, 0];
  board.onpointerdown = (event) => { board.setPointerCapture(event.pointerId); add(event); };
  board.onpointermove = (event) => { if (event.buttons) (event.getCoalescedEvents?.() || [event]).forEach(add); };
  board.onpointerup = done;
  board.onkeydown = (event) => {
    const step = {ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, 0.1], ArrowDown: [0, -0.1]}[event.key];
    if (step) step.forEach((v, i) => { cursor[i] = Math.max(-REACH, Math.min(REACH, cursor[i] + v)); });
    else if (event.key === ' ' && points.length < MOST) {
      points.push(cursor.map((v) => Number(v.toFixed(2))));
      done();
    } else return;
    event.preventDefault();
    paint();
    const [x, y] = place(cursor);
    board.getContext('2d').strokeRect(x - 4, y - 4, 8, 8);
  };
  paint();
  return h('div', {hidden: true}, h('p', {class: 'note'}, t('learn.draw')), board,
    h('div', {class: 'bar'}, button(t('learn.clear'), () => { points.length = 0; paint(); done(); }), count));
}
