// A picture that is drawn or loaded, and all that a model says of it.

import {job} from './jobs.js';
import {inputsOf} from './model.js';
import {h, ink, labelChoice} from './page.js';
import {workbench} from './pen.js';
import {blank, packImage, picture, unpackImage} from './pictures.js';
import {anySample, sampleImages} from './samples.js';
import * as state from './state.js';
import {t} from './words.js';

// Signatures that give a number for each picture: name, unit.
const NUMBERS = [
  ['log_prob', 'nats'],
  ['elbo', 'nats'],
  ['score', ''],
];

// The histogram of test examples, and where a value stands in it.
function scale(found, value, meaning) {
  if (!found?.counts.length || value == null) return '';
  const {counts, edges} = found, [low, high] = [edges[0], edges.at(-1)];
  const below = counts.reduce((sum, n, k) => sum + (edges[k + 1] <= value ? n : 0), 0) / counts.reduce((a, b) => a + b, 0);
  const canvas = h('canvas', {class: 'scale', width: 200, height: 44, role: 'img',
    'aria-label': t('closer.above', {what: meaning, share: Math.round(100 * below)})});
  const context = canvas.getContext('2d'), most = Math.max(...counts);
  const place = (v) => 10 + 180 * Math.min(1.05, Math.max(-0.05, (v - low) / (high - low || 1)));
  const beyond = value < low || value > high;
  context.fillStyle = ink('--line');
  counts.forEach((n, k) => context.fillRect(place(edges[k]), 34 - 30 * n / most, 180 / counts.length, 30 * n / most));
  context.fillStyle = ink('--wrong');
  context.fillRect(place(value) - 1.5, 0, 3, 34);
  context.fillStyle = ink('--soft');
  context.font = '10px sans-serif';
  const digits = high - low < 10 ? 2 : 0;
  context.fillText(low.toFixed(digits), 0, 44);
  context.textAlign = 'right';
  context.fillText(high.toFixed(digits), 200, 44);
  return h('figure', {}, canvas, h('figcaption', {}, t(beyond ? 'closer.beyond' : 'closer.here')));
}

export function closer({client, model, set}) {
  let image = unpackImage(state.get('p'), model.shape);
  const told = NUMBERS.find(([key, unit]) => unit && model.has(key));
  // Without a chosen label, the likeliest one of each picture.
  const likeliest = Boolean(told) && model.conditional;
  // (In the address under a name of its own: no other panel chooses it.)
  let label = model.conditional ? state.whole('given', likeliest ? null : 0, 0, model.classes.length - 1) : null;
  const answer = h('div', {'aria-live': 'polite'});

  let shown = false; // the request of the first thing that is told
  const ask = (signature, given) => {
    const aside = shown;
    shown = true;
    return client.predict(model, signature, inputsOf(model, signature, 1, {image: [image], label: given, seed: 0}), aside);
  };
  // p(label | picture), from log p(picture | label) and equally likely labels.
  const classes = async (signature) => {
    const count = model.classes.length;
    const given = inputsOf(model, signature, count, {image: Array(count).fill(image), label: model.classes.map((_, k) => k), seed: 0});
    const logs = (await client.predict(model, signature, given, true))[signature];
    const most = Math.max(...logs.filter((v) => v != null));
    const shares = logs.map((v) => (v == null ? 0 : Math.exp(v - most)));
    const total = shares.reduce((sum, v) => sum + v, 0) || 1;
    return shares.map((v) => v / total);
  };
  const best = (shares) => shares.indexOf(Math.max(...shares));
  const bars = (shares) => shares.map((v, k) => h('tr', {}, h('th', {scope: 'row'}, t('closer.given', {label: model.classes[k]})),
    h('td', {}, h('meter', {min: 0, max: 1, value: v, 'aria-label': t('closer.given', {label: model.classes[k]})}), ` ${v.toFixed(3)}`)));
  const look = () => {
    if (!image) return; // its first one is still to come
    const p = packImage(image);
    // As the address has it, so that a link tells the same.
    image = unpackImage(p, model.shape);
    set({p, given: label});
    learn();
  };
  const learn = job(async () => {
    shown = false;
    const rows = [];
    const shares = likeliest ? await classes(told[0]) : [];
    const given = label ?? best(shares);
    for (const [name, unit] of NUMBERS.filter(([key]) => model.has(key))) {
      const value = (await ask(name, given))[name][0];
      const meaning = model.conditional ? t('closer.under', {what: t(`closer.${name}`), label: model.classes[given]}) : t(`closer.${name}`);
      rows.push(h('tr', {}, h('th', {scope: 'row'}, meaning), h('td', {}, value == null ? t('learn.infinite') : `${value.toFixed(2)} ${unit}`)));
      const place = scale(model.around.numbers?.[name], value, meaning);
      if (place) rows.push(h('tr', {}, h('td', {colspan: 2}, place)));
    }
    if (told) rows.push(h('tr', {}, h('td', {colspan: 2, class: 'note'}, t('closer.nats'))));
    rows.push(...bars(shares));
    if (model.has('classify')) {
      const {probabilities: [found]} = await ask('classify', given);
      found.forEach((value, k) => rows.push(h('tr', {}, h('th', {scope: 'row'}, t('closer.class', {number: k})),
        h('td', {}, h('meter', {min: 0, max: 1, value: value ?? 0}), ` ${value?.toFixed(3)}`))));
    }
    const made = model.has('reconstruct') ? (await ask('reconstruct', given)).image[0] : null;
    answer.replaceChildren(
      made ? h('figure', {}, picture(made, model.palette, t('closer.reconstruction'), 'large'), h('figcaption', {}, t('closer.reconstruction'))) : '',
      h('table', {}, rows));
    if (likeliest) labels.querySelector('option').textContent = t('label.likeliest', {label: model.classes[best(shares)]});
  });

  const labels = labelChoice(model, label === null ? 'any' : String(label), (value) => {
    label = value === 'any' ? null : Number(value);
    look();
  }, likeliest && ['any', t('label.likeliest', {label: '?'})]);
  const own = anySample(client, model, () => label ?? state.label(model));
  const place = h('div', {});
  const work = () => {
    place.replaceChildren(workbench(model, image, (now) => { image = now; look(); }, own));
    look();
  };
  const begin = job(async () => {
    [image] = await sampleImages(client, model, [0], [label ?? state.label(model)]);
    work();
  });
  if (!image && own) begin();
  else {
    image ??= blank(model.shape);
    work();
  }
  return [
    model.conditional ? h('div', {class: 'bar'}, labels) : null,
    h('div', {class: 'sides'}, place, answer),
  ];
}
