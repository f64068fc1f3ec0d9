// A picture that is drawn or loaded, and all that a model says of it.

import {job} from './jobs.js';
import {inputsOf} from './model.js';
import {h, labelChoice} from './page.js';
import {workbench} from './pen.js';
import {blank, packImage, picture, unpackImage} from './pictures.js';
import {anySample, sampleImages} from './samples.js';
import * as state from './state.js';

// Signatures that give a number for each picture: name, unit, what it means.
const NUMBERS = [
  ['log_prob', 'nats', 'log-likelihood'],
  ['elbo', 'nats', 'lower bound of the log-likelihood'],
  ['score', '', 'score of the discriminator; high for data'],
];

export function closer({client, model, set}) {
  let image = unpackImage(state.get('p'), model.shape);
  let label = state.label(model);
  const answer = h('div', {'aria-live': 'polite'});

  let shown = false; // the request of the first thing that is told
  const ask = (signature) => {
    const aside = shown;
    shown = true;
    return client.predict(model, signature, inputsOf(model, signature, 1, {image: [image], label, seed: 0}), aside);
  };
  const look = () => {
    if (!image) return; // its first one is still to come
    const p = packImage(image);
    // As the address has it, so that a link tells the same.
    image = unpackImage(p, model.shape);
    set({p, label: model.conditional ? label : null});
    learn();
  };
  const learn = job(async () => {
    shown = false;
    const rows = [];
    for (const [name, unit, meaning] of NUMBERS.filter(([key]) => model.has(key))) {
      const value = (await ask(name))[name][0];
      rows.push(h('tr', {}, h('th', {scope: 'row'}, meaning), h('td', {}, value == null ? 'not finite' : `${value.toFixed(2)} ${unit}`)));
    }
    if (model.has('classify')) {
      const {probabilities: [found]} = await ask('classify');
      found.forEach((value, k) => rows.push(h('tr', {}, h('th', {scope: 'row'}, `class ${k}`),
        h('td', {}, h('meter', {min: 0, max: 1, value: value ?? 0}), ` ${value?.toFixed(3)}`))));
    }
    const made = model.has('reconstruct') ? (await ask('reconstruct')).image[0] : null;
    answer.replaceChildren(
      made ? h('figure', {}, picture(made, model.palette, 'The reconstruction', 'large'), h('figcaption', {}, 'reconstruction')) : '',
      h('table', {}, rows),
      NUMBERS.some(([key, unit]) => unit && model.has(key))
        ? h('p', {class: 'note'}, 'Nats of a probability are negative. Nats of a density, for models of continuous pixels, may be positive. The two cannot be compared.')
        : '');
  });

  const own = anySample(client, model, () => label);
  const place = h('div', {});
  const work = () => {
    place.replaceChildren(workbench(model, image, (now) => { image = now; look(); }, own));
    look();
  };
  const begin = job(async () => {
    [image] = await sampleImages(client, model, [0], [label]);
    work();
  });
  if (!image && own) begin();
  else {
    image ??= blank(model.shape);
    work();
  }
  return [
    model.conditional ? h('div', {class: 'bar'}, labelChoice(model, String(label), (value) => { label = Number(value); look(); })) : null,
    h('div', {class: 'sides'}, place, answer),
  ];
}
