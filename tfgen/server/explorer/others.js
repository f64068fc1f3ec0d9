// Models of sounds, of points, of text.

import {job} from './jobs.js';
import {inputsOf} from './model.js';
import {button, h, ink, labelChoice, labelled, numberInput} from './page.js';
import * as state from './state.js';

const SOUNDS = 6, POINTS = 512, LINES = 16, GRID = 40;

function wave(values, known = 0) {
  const canvas = h('canvas', {class: 'wave', width: 600, height: 80, role: 'img', 'aria-label': 'Waveform'});
  const context = canvas.getContext('2d');
  const [soft, mark] = [ink('--soft'), ink('--mark')];
  const across = canvas.width / values.length;
  values.forEach((value, t) => {
    context.fillStyle = t < known ? soft : mark;
    const tall = Math.max(1, Math.abs(value) * 38);
    context.fillRect(t * across, value > 0 ? 40 - tall : 40, Math.max(1, across), tall);
  });
  return canvas;
}

function player(base64, text) {
  return h('audio', {controls: true, 'aria-label': text, src: `data:audio/wav;base64,${base64}`});
}

export function sounds({client, model, set}) {
  const list = h('div', {class: 'sides'});
  let seed = state.seed(), label = state.label(model), share = state.number('known', 0, 0, 99);
  const show = () => {
    set({seed, label: model.conditional ? label : null, known: share || null});
    redraw();
  };
  const redraw = job(async () => {
    const part = share; // as it is now
    // (With its own seed a sound would go on as it did.)
    const seeds = Array.from({length: SOUNDS}, (_, i) => seed + i + (part ? 1 : 0));
    const given = {seed: seeds, label: Number(label)};
    let signature = 'sample', known = 0;
    if (part) {
      // The beginning of the first sample, continued in several ways.
      const first = await client.predict(model, 'sample', inputsOf(model, 'sample', 1, {seed: [seeds[0] - 1], label: given.label}), true);
      known = Math.round(part / 100 * model.shape[0]);
      given.audio = seeds.map(() => first.audio[0]);
      given.mask = seeds.map(() => first.audio[0].map((_, t) => Number(t < known)));
      signature = 'complete';
    }
    const inputs = (name) => inputsOf(model, name, SOUNDS, given);
    const {audio} = await client.predict(model, signature, inputs(signature));
    const {audio_bytes: files} = await client.predict(model, `${signature}_wav`, inputs(`${signature}_wav`), true);
    list.replaceChildren(...seeds.map((s, i) => h('figure', {}, wave(audio[i], known), player(files[i].b64, `Sound of seed ${s}`), h('figcaption', {}, `seed ${s}`))));
  });
  show();
  return [
    h('div', {class: 'bar'},
      labelled('first seed', numberInput(seed, (value) => { seed = value; show(); })),
      model.conditional ? labelChoice(model, label, (value) => { label = value; show(); }) : null,
      model.has('complete') ? labelled('continue the first one after %', numberInput(share, (value) => { share = value; show(); }, 0, 99)) : null),
    list,
  ];
}

export function points({client, model, set}) {
  const canvas = h('canvas', {class: 'large', width: 400, height: 400, role: 'img', 'aria-label': 'Samples as points'});
  const told = h('p', {class: 'note'});
  let seed = state.seed(), label = state.label(model);
  const show = () => {
    set({seed, label: model.conditional ? label : null});
    redraw();
  };
  const redraw = job(async () => {
    const seeds = Array.from({length: POINTS}, (_, i) => seed + i);
    const {point} = await client.predict(model, 'sample', inputsOf(model, 'sample', POINTS, {seed: seeds, label}));
    const flat = point.map((p) => [p[0], p[1] ?? 0]);
    const reach = 1.15 * Math.max(...flat.flat().map(Math.abs), 1e-6);
    const place = ([x, y]) => [200 + 200 * x / reach, 200 - 200 * y / reach];
    const context = canvas.getContext('2d');
    context.clearRect(0, 0, 400, 400);
    if (model.has('log_prob') && model.shape[0] === 2) {
      const at = (k) => (2 * (k + 0.5) / GRID - 1) * reach;
      const cells = Array.from({length: GRID * GRID}, (_, k) => [at(k % GRID), -at(Math.floor(k / GRID))]);
      const {log_prob: densities} = await client.predict(model, 'log_prob', inputsOf(model, 'log_prob', cells.length, {point: cells, label}), true);
      const most = Math.max(...densities), side = 400 / GRID;
      densities.forEach((d, k) => {
        context.fillStyle = `rgba(120, 150, 220, ${Math.exp(d - most).toFixed(3)})`;
        context.fillRect((k % GRID) * side, Math.floor(k / GRID) * side, side + .5, side + .5);
      });
    }
    context.fillStyle = ink('--ink');
    flat.map(place).forEach(([x, y]) => context.fillRect(x - 1, y - 1, 2, 2));
    told.textContent = `${POINTS} samples; the axes end at ${reach.toFixed(2)}.${model.has('log_prob') ? ' The shading is the density.' : ''}`;
  });
  show();
  return [
    h('div', {class: 'bar'},
      labelled('first seed', numberInput(seed, (value) => { seed = value; show(); })),
      model.conditional ? labelChoice(model, String(label), (value) => { label = Number(value); show(); }) : null),
    canvas, told,
  ];
}

const decoder = new TextDecoder();
const texts = (rows) => rows.map((r) => decoder.decode(Uint8Array.from(atob(r.b64), (c) => c.charCodeAt(0))).trim());

export function lines({client, model, set}) {
  const list = h('ol', {class: 'lines'}), way = h('ol', {class: 'lines'});
  let seed = state.seed(), label = state.label(model), from = state.seed('a'), to = state.seed('b', 1);
  const items = (found) => found.map((text) => h('li', {}, text || '(empty)'));
  const show = () => {
    set({seed, label: model.conditional ? label : null});
    redraw();
  };
  const redraw = job(async () => {
    const seeds = Array.from({length: LINES}, (_, i) => seed + i);
    const {symbols_bytes: found} = await client.predict(model, 'sample_txt', inputsOf(model, 'sample_txt', LINES, {seed: seeds, label}));
    list.start = seed;
    list.replaceChildren(...items(texts(found)));
  });
  const walk = () => {
    set({a: from, b: to});
    pass();
  };
  const pass = job(async () => {
    const {symbols} = await client.predict(model, 'sample', inputsOf(model, 'sample', 2, {seed: [from, to], label}));
    const {mean, z} = await client.predict(model, 'encode', inputsOf(model, 'encode', 2, {symbols, label}));
    const weights = Array.from({length: 9}, (_, k) => k / 8), [a, b] = mean || z;
    const {symbols_bytes: found} = await client.predict(model, 'interpolate_txt', inputsOf(model, 'interpolate_txt', 9, {
      z: weights.map(() => a), z_to: weights.map(() => b), weight: weights, spherical: 0, label,
    }));
    way.replaceChildren(...items(texts(found)));
  });
  show();
  const walks = model.has('interpolate_txt') && model.has('encode');
  if (walks) walk();
  return [
    h('div', {class: 'bar'}, labelled('first seed', numberInput(seed, (value) => { seed = value; show(); })),
      button('More samples', () => { seed += LINES; list.parentNode.querySelector('input').value = seed; show(); }),
      model.conditional ? labelChoice(model, String(label), (value) => {
        label = Number(value);
        show();
        if (walks) walk();
      }) : null),
    list,
    walks ? [h('h2', {}, 'Interpolate between two lines'), h('div', {class: 'bar'},
      labelled('line of seed', numberInput(from, (value) => { from = value; walk(); })),
      labelled('to that of', numberInput(to, (value) => { to = value; walk(); }))), way] : null,
  ];
}
