// Models of lines of text.

import {job} from './jobs.js';
import {inputsOf} from './model.js';
import {button, h, labelChoice, labelled, numberInput} from './page.js';
import * as state from './state.js';
import {t} from './words.js';

const LINES = 16;

const decoder = new TextDecoder();
const texts = (rows) => rows.map((r) => decoder.decode(Uint8Array.from(atob(r.b64), (c) => c.charCodeAt(0))).trim());

export function lines({client, model, set}) {
  const list = h('ol', {class: 'lines'}), way = h('ol', {class: 'lines'});
  let seed = state.seed(), label = state.label(model), from = state.seed('a'), to = state.seed('b', 1);
  const items = (found) => found.map((text) => h('li', {}, text || t('lines.empty')));
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
    h('div', {class: 'bar'}, labelled(t('first.seed'), numberInput(seed, (value) => { seed = value; show(); })),
      button(t('more'), () => { seed += LINES; list.parentNode.querySelector('input').value = seed; show(); }),
      model.conditional ? labelChoice(model, String(label), (value) => {
        label = Number(value);
        show();
        if (walks) walk();
      }) : null),
    list,
    walks ? [h('h2', {}, t('lines.way')), h('div', {class: 'bar'},
      labelled(t('lines.from'), numberInput(from, (value) => { from = value; walk(); })),
      labelled(t('lines.to'), numberInput(to, (value) => { to = value; walk(); }))), way] : null,
  ];
}
