// Drawings of a training's state, as tfgen/lab/states.py gives it.

import {h, ink} from './page.js';
import {draw} from './pictures.js';

const SIDE = 360; // pixels of a square chart
export const SUMS = /^loss$|^bound$|negative_log_likelihood$/; // the loss of a model that is no GAN
export const CLASSES = ['#e6194b', '#3cb44b', '#4363d8', '#f58231', '#911eb4', '#42d4f4', '#f032e6', '#9a6324', '#808000', '#000075'];

export function chart(text, height = SIDE, width = SIDE) {
  const scale = Math.min(2, window.devicePixelRatio || 1);
  const canvas = h('canvas', {class: 'chart', width: width * scale, height: height * scale, role: 'img', 'aria-label': text});
  canvas.style.aspectRatio = `${width} / ${height}`;
  canvas.getContext('2d').scale(scale, scale);
  canvas.side = [width, height];
  return canvas;
}

function cleared(canvas) {
  const context = canvas.getContext('2d');
  context.clearRect(0, 0, ...canvas.side);
  return context;
}

// Samples over data, with the field of the discriminator or the density.
// longest: the length of an arrow that fills its cell.
export function plane(canvas, first, state, layers, longest) {
  const context = cleared(canvas);
  const [width, height] = canvas.side, reach = first.extent;
  const place = ([x, y]) => [width * (x / reach + 1) / 2, height * (1 - y / reach) / 2];
  if (layers.field && state.score) scores(context, state.score, width, height);
  if (layers.field && state.log_prob) shades(context, state.log_prob, width, height);
  if (layers.truth && first.truth) shades(context, first.truth, width, height, '60, 160, 90');
  if (state.components) {
    context.globalAlpha = 0.3;
    dots(context, state.samples.map(place), ink('--drawn'), 1.7);
    context.globalAlpha = 1;
    first.data.forEach((point) => dots(context, [place(point)], CLASSES[likeliest(state.components, point) % CLASSES.length], 1.7));
    ellipses(context, state.components, place);
    return;
  }
  dots(context, first.data.map(place), ink('--soft'), 1.2);
  if (layers.arrows && state.push) arrows(context, state.push, width, height, longest);
  dots(context, state.samples.map(place), ink('--drawn'), 1.7);
}

// The component with the largest share of a point.
export function likeliest({weights, means, scales}, [x, y]) {
  const logs = means.map(([mx, my], k) => {
    const [[a, b], [c, d]] = scales[k % scales.length], area = a * d - b * c;
    const u = (d * (x - mx) - b * (y - my)) / area, v = (a * (y - my) - c * (x - mx)) / area;
    return Math.log(weights[k] / Math.abs(area)) - (u * u + v * v) / 2;
  });
  return logs.indexOf(Math.max(...logs));
}

function dots(context, places, colour, size) {
  context.fillStyle = colour;
  for (const [x, y] of places) context.fillRect(x - size, y - size, 2 * size, 2 * size);
}

// High scores, for data, are blue; low ones are orange; the middle is clear.
function scores(context, values, width, height) {
  const side = Math.round(Math.sqrt(values.length)), cell = [width / side, height / side];
  const finite = values.filter((v) => v !== null).sort((a, b) => a - b);
  const middle = finite[finite.length >> 1] || 0;
  const most = Math.max(...finite.map((v) => Math.abs(v - middle)), 1e-6);
  values.forEach((value, k) => {
    const share = ((value ?? middle) - middle) / most;
    context.fillStyle = `rgba(${share > 0 ? '60, 110, 230' : '235, 130, 40'}, ${(0.55 * Math.abs(share)).toFixed(3)})`;
    context.fillRect((k % side) * cell[0], Math.floor(k / side) * cell[1], cell[0] + 0.5, cell[1] + 0.5);
  });
}

function shades(context, logs, width, height, colour = '60, 110, 230') {
  const side = Math.round(Math.sqrt(logs.length)), cell = [width / side, height / side];
  const most = Math.max(...logs.filter((v) => v !== null));
  logs.forEach((value, k) => {
    if (value === null) return;
    context.fillStyle = `rgba(${colour}, ${(0.6 * Math.exp(value - most)).toFixed(3)})`;
    context.fillRect((k % side) * cell[0], Math.floor(k / side) * cell[1], cell[0] + 0.5, cell[1] + 0.5);
  });
}

// The longest of the arrows of states.
export const longestArrow = (states) => Math.max(1e-9, ...states.flatMap(({push}) => lengthsOf(push ?? [])));

const lengthsOf = (pushes) => pushes.map(([x, y]) => Math.hypot(x ?? 0, y ?? 0));

function arrows(context, pushes, width, height, longest) {
  const side = Math.round(Math.sqrt(pushes.length)), cell = width / side;
  const lengths = lengthsOf(pushes);
  context.strokeStyle = ink('--ink');
  context.globalAlpha = 0.45;
  context.lineWidth = 1;
  context.beginPath();
  pushes.forEach(([dx, dy], k) => {
    if (!lengths[k]) return;
    // Short ones are still seen: the length is that of the root.
    const long = 0.9 * cell * Math.sqrt(lengths[k] / longest) / lengths[k];
    const x = (k % side + 0.5) * cell, y = (Math.floor(k / side) + 0.5) * height / side;
    const tip = [x + dx * long, y - dy * long];
    context.moveTo(x, y);
    context.lineTo(...tip);
    const angle = Math.atan2(tip[1] - y, tip[0] - x);
    for (const turn of [2.6, -2.6]) {
      context.moveTo(...tip);
      context.lineTo(tip[0] + 3 * Math.cos(angle + turn), tip[1] + 3 * Math.sin(angle + turn));
    }
  });
  context.stroke();
  context.globalAlpha = 1;
}

// Two deviations wide.
export function ellipses(context, {weights, means, scales}, place) {
  means.forEach((mean, k) => {
    const scale = scales[k % scales.length], colour = CLASSES[k % CLASSES.length];
    context.strokeStyle = colour;
    context.lineWidth = 1 + 8 * weights[k];
    context.beginPath();
    for (let step = 0; step <= 48; step += 1) {
      const angle = step / 24 * Math.PI, unit = [Math.cos(angle), Math.sin(angle)];
      const at = mean.map((m, i) => m + 2 * unit.reduce((sum, u, j) => sum + u * scale[i][j], 0));
      context[step ? 'lineTo' : 'moveTo'](...place(at));
    }
    context.stroke();
  });
}

// Points on a line: the densities of data and samples, D, and the best D.
export function line(canvas, first, state) {
  const context = cleared(canvas);
  const [width, height] = canvas.side, {line: xs} = first;
  const p = first.truth?.map((v) => Math.exp(v)), q = state.drawn;
  const tall = 1.15 * Math.max(...(p || [0]), ...q.slice(0), 1);
  const curve = (values, colour, dash = [], scale = 1) => {
    if (!values) return;
    context.strokeStyle = colour;
    context.lineWidth = 2;
    context.setLineDash(dash);
    context.beginPath();
    values.forEach((value, k) => {
      if (value === null) return;
      context[k ? 'lineTo' : 'moveTo'](width * k / (xs.length - 1), height * (1 - value * scale / tall) - 4);
    });
    context.stroke();
    context.setLineDash([]);
  };
  curve(p, ink('--soft'), [2, 3]);
  curve(q, ink('--drawn'));
  if (state.log_prob) curve(state.log_prob.map((v) => Math.exp(v)), ink('--mark'));
  if (!state.score) return;
  curve(xs.map(() => 0.5), ink('--line'), [1, 3], tall);
  // D is a share of the whole height.
  curve(shares(state), ink('--mark'), [6, 4], tall);
  if (p) curve(best(first, state), ink('--wrong'), [1, 4], tall);
}

// D over a line of points.
const shares = (state) => state.score.map((v) => 1 / (1 + Math.exp(-v)));

// The best D, p / (p + q); null where there is next to nothing.
const best = (first, state) => first.truth.map((v, k) => (Math.exp(v) + state.drawn[k] > 0.02 ? Math.exp(v) / (Math.exp(v) + state.drawn[k]) : null));

// The mean distance of D from the best D, over a line of points.
export function distance(first, state) {
  const found = shares(state);
  const apart = best(first, state).flatMap((v, k) => (v === null ? [] : [Math.abs(v - found[k])]));
  return apart.reduce((sum, v) => sum + v, 0) / apart.length;
}

// Codes of examples, and the circle that holds most of the prior.
export function codes(canvas, state) {
  const context = cleared(canvas);
  const flat = state.codes.map(([x, y]) => [x, y ?? 0]);
  const [width, height] = canvas.side, reach = Math.max(4, ...flat.flat().map(Math.abs));
  const place = ([x, y]) => [width * (x / reach + 1) / 2, height * (1 - y / reach) / 2];
  context.strokeStyle = ink('--line');
  context.setLineDash([3, 3]);
  context.beginPath();
  context.arc(width / 2, height / 2, width / reach, 0, 2 * Math.PI);
  context.stroke();
  context.setLineDash([]);
  flat.map(place).forEach((at, k) => dots(context, [at], state.classes ? CLASSES[state.classes[k] % 10] : ink('--mark'), 1.8));
}

// The values and the last step within which the terms of films lie; null without
// any.
export function limits(films) {
  const states = films.flat();
  const values = Float64Array.from(states.flatMap((s) => Object.values(s.terms)).filter((v) => v !== null)).sort();
  if (!values.length) return null;
  // A first spike must not flatten the rest.
  return {
    low: values[Math.floor(0.01 * values.length)], high: values[Math.ceil(0.98 * values.length) - 1],
    last: Math.max(1, ...films.map((film) => film.at(-1)?.step ?? 0)),
  };
}

// A text that is read over curves and points.
export function written(context, text, x, y, colour = ink('--ink')) {
  context.strokeStyle = ink('--paper');
  context.lineWidth = 3;
  context.strokeText(text, x, y);
  context.fillStyle = colour;
  context.fillText(text, x, y);
}

// The terms of the loss over the steps of a film, within limits.
export function terms(canvas, film, {low, high, last}) {
  const context = cleared(canvas);
  const [width, height] = canvas.side;
  const shown = film.filter((s) => Object.keys(s.terms).length);
  if (!shown.length) return [];
  // A loss has one colour in all models.
  const names = Object.keys(shown.at(-1).terms).toSorted((one, other) => Number(SUMS.test(other)) - Number(SUMS.test(one)));
  const span = Math.max(high - low, 1e-6);
  names.forEach((name, k) => {
    context.strokeStyle = CLASSES[k % CLASSES.length];
    context.lineWidth = 1.5;
    context.beginPath();
    shown.forEach((s, i) => {
      const value = s.terms[name];
      if (value == null) return;
      const y = height - 6 - (height - 12) * Math.min(1, Math.max(0, (value - low) / span));
      context[i ? 'lineTo' : 'moveTo'](width * s.step / last, y);
    });
    context.stroke();
  });
  // 11 pixels of the screen, however small the canvas is shown.
  const size = 11 * Math.max(1, width / (canvas.clientWidth || width));
  context.font = `${size}px sans-serif`;
  written(context, high.toPrecision(3), 3, size + 1);
  written(context, low.toPrecision(3), 3, height - 4);
  return names.map((name, k) => [name, CLASSES[k % CLASSES.length], shown.at(-1).terms[name]]);
}

// Small pictures side by side on one canvas.
export function tiles(canvas, images) {
  const context = cleared(canvas), [width] = canvas.side;
  const across = 6, cell = width / across, tile = document.createElement('canvas');
  context.imageSmoothingEnabled = false;
  images.forEach((image, k) => {
    draw(tile, image, null);
    context.drawImage(tile, (k % across) * cell + 1, Math.floor(k / across) * cell + 1, cell - 2, cell - 2);
  });
}
