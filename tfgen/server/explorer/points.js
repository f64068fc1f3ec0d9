// Models of points: samples, density, components.

import {CLASSES, ellipses, written} from './charts.js';
import {job} from './jobs.js';
import {inputsOf} from './model.js';
import {h, ink, labelChoice, labelled, numberInput} from './page.js';
import * as state from './state.js';
import {t} from './words.js';

const POINTS = 512, GRID = 40, SIDE = 400; // pixels
const LEAST = 0.01; // share of a component that is told

export function points({client, model, set}) {
  const shares = model.has('responsibilities') && model.shape[0] === 2;
  const canvas = h('canvas', {class: 'points', width: SIDE, height: SIDE, ...(shares
    ? {tabindex: 0, role: 'application', 'aria-label': t('points.choose')}
    : {role: 'img', 'aria-label': t('points.samples')})});
  const told = h('p', {class: 'note'}), answer = h('table', {'aria-live': 'polite'});
  const components = model.around.components;
  let seed = state.seed(), label = state.label(model);
  let reach = 1, picture = null, at = null; // the chosen point
  const wanted = state.get('at').split(',').map(Number);
  if (shares && wanted.length === 2 && wanted.every((v) => Math.abs(v) <= 100)) at = wanted;

  const place = ([x, y]) => [SIDE / 2 * (1 + x / reach), SIDE / 2 * (1 - y / reach)];
  const redraw = job(async () => {
    const seeds = Array.from({length: POINTS}, (_, i) => seed + i);
    const {point} = await client.predict(model, 'sample', inputsOf(model, 'sample', POINTS, {seed: seeds, label}));
    const flat = point.map((p) => [p[0], p[1] ?? 0]);
    reach = 1.15 * Math.max(...flat.flat().map(Math.abs), 1e-6);
    const context = canvas.getContext('2d');
    context.clearRect(0, 0, SIDE, SIDE);
    if (model.has('log_prob') && model.shape[0] === 2) {
      const centre = (k) => (2 * (k + 0.5) / GRID - 1) * reach;
      const cells = Array.from({length: GRID * GRID}, (_, k) => [centre(k % GRID), -centre(Math.floor(k / GRID))]);
      const {log_prob: densities} = await client.predict(model, 'log_prob', inputsOf(model, 'log_prob', cells.length, {point: cells, label}), true);
      const most = Math.max(...densities), side = SIDE / GRID;
      densities.forEach((d, k) => {
        context.fillStyle = `rgba(120, 150, 220, ${Math.exp(d - most).toFixed(3)})`;
        context.fillRect((k % GRID) * side, Math.floor(k / GRID) * side, side + .5, side + .5);
      });
    }
    context.fillStyle = ink('--ink');
    flat.map(place).forEach(([x, y]) => context.fillRect(x - 1, y - 1, 2, 2));
    if (components) {
      ellipses(context, components, place);
      context.font = 'bold 12px sans-serif';
      context.textAlign = 'center';
      components.means.map(place).forEach(([x, y], k) => {
        written(context, k + 1, x, y + 4, CLASSES[k % CLASSES.length]);
      });
    }
    picture = context.getImageData(0, 0, SIDE, SIDE);
    told.textContent = [t('points.told', {count: POINTS, reach: reach.toFixed(2)}), model.has('log_prob') && t('points.shading'),
      components && t('points.ellipses')].filter(Boolean).join(' ');
    if (at) mark();
  });
  // p(component | point), of the point that is chosen.
  const mark = () => {
    const context = canvas.getContext('2d'), [x, y] = place(at);
    context.putImageData(picture, 0, 0);
    context.strokeStyle = ink('--wrong');
    context.lineWidth = 3;
    context.strokeRect(x - 5, y - 5, 10, 10);
    ask();
  };
  const ask = job(async () => {
    const {responsibilities: [found]} = await client.predict(model, 'responsibilities', {point: [at]}, true);
    const large = found.map((share, k) => [share, k]).filter(([share]) => share >= LEAST).toSorted(([a], [b]) => b - a);
    answer.replaceChildren(...large.map(([share, k]) => {
      const name = h('th', {scope: 'row'}, t('points.component', {number: k + 1}));
      name.style.color = CLASSES[k % CLASSES.length];
      return h('tr', {}, name, h('td', {}, h('meter', {min: 0, max: 1, value: share, 'aria-label': name.textContent}), ` ${share.toFixed(3)}`));
    }));
  });
  const choose = (x, y) => {
    const bound = (v) => Number(Math.max(-reach, Math.min(reach, v)).toFixed(3));
    at = [bound(x), bound(y)];
    set({at: at.join(',')});
    mark();
  };
  if (shares) {
    canvas.onpointerdown = (event) => {
      if (!picture) return;
      const box = canvas.getBoundingClientRect();
      choose((2 * (event.clientX - box.left) / box.width - 1) * reach, (1 - 2 * (event.clientY - box.top) / box.height) * reach);
    };
    canvas.onkeydown = (event) => {
      const step = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1]}[event.key];
      if (!step || !picture) return;
      event.preventDefault();
      choose(...(at || [0, 0]).map((v, i) => v + step[i] * reach / 20));
    };
  }
  const show = () => {
    set({seed, label: model.conditional ? label : null});
    redraw();
  };
  show();
  return [
    h('div', {class: 'bar'},
      labelled(t('first.seed'), numberInput(seed, (value) => { seed = value; show(); })),
      model.conditional ? labelChoice(model, String(label), (value) => { label = Number(value); show(); }) : null),
    h('div', {class: 'sides'}, canvas, shares ? h('div', {}, h('h2', {}, t('points.shares')), h('p', {class: 'note'}, t('points.press')), answer) : null),
    told,
  ];
}
