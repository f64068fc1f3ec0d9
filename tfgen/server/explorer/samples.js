// A grid of samples; one is opened by a click.

import {job} from './jobs.js';
import {inputsOf, INSPECTED} from './model.js';
import {button, h, labelChoice, labelled, numberInput} from './page.js';
import {packImage, picture} from './pictures.js';
import * as state from './state.js';
import {t} from './words.js';

const COUNT = 24;

export async function sampleImages(client, model, seeds, labels) {
  const given = {seed: seeds, label: labels};
  const {image} = await client.predict(model, 'sample', inputsOf(model, 'sample', seeds.length, given));
  return image;
}

// What draws one sample of any seed; null of a model that draws none.
export function anySample(client, model, label) {
  if (!model.has('sample')) return null;
  return async () => (await sampleImages(client, model, [Math.floor(Math.random() * 1e9)], [label()]))[0];
}

export function samples({client, model, set, open}) {
  const grid = h('div', {class: 'grid'});
  const dialog = h('dialog', {'aria-label': t('samples.one')});
  let seed = state.seed(), label = state.whole('of', 'all', 0, model.classes.length - 1);

  const show = () => {
    set({seed, of: model.conditional && label !== 'all' ? label : null});
    redraw();
  };
  const redraw = job(async () => {
    // All labels: one a column; on a phone, half of them.
    const across = model.conditional && label === 'all' && model.classes.length <= 12 ? model.classes.length : 0;
    grid.classList.toggle('columns', across > 0);
    grid.style.setProperty('--across', across);
    grid.style.setProperty('--half', Math.ceil(across / 2));
    const seeds = Array.from({length: across ? 3 * across : COUNT}, (_, i) => seed + i);
    const labels = seeds.map((_, i) => (label === 'all' ? i % model.classes.length : Number(label)));
    const images = await sampleImages(client, model, seeds, labels);
    const nameOf = (i) => [t('samples.seed', {seed: seeds[i]}), model.conditional && t('samples.label', {label: model.classes[labels[i]]})].filter(Boolean).join(', ');
    const heads = across ? model.classes.map((name) => h('span', {class: 'head'}, name)) : [];
    grid.replaceChildren(...heads, ...images.map((image, i) => {
      const name = nameOf(i);
      return button(picture(image, model.palette, name), () => enlarge(image, seeds[i], labels[i], name),
        {'aria-label': t('samples.open', {name}), 'data-label': model.conditional ? model.classes[labels[i]] : null});
    }));
    const opened = state.get('opened');
    if (opened && seeds.includes(Number(opened))) {
      const i = seeds.indexOf(Number(opened));
      enlarge(images[i], seeds[i], labels[i], nameOf(i));
    }
  });
  // A line begins, or ends, at the code of a sample.
  const code = job(async (end, image, label) => {
    const {mean, z} = await client.predict(model, 'encode', inputsOf(model, 'encode', 1, {image: [image], label}));
    go('codes', {[end]: (mean || z)[0].map((v) => v.toFixed(2)).join(',')}, label);
  });
  const go = (panel, changes, label) => {
    dialog.close();
    set({opened: null});
    open(panel, {...changes, label: model.conditional ? label : null});
  };

  const enlarge = (image, itsSeed, itsLabel, name) => {
    set({opened: itsSeed});
    // (Behind an open dialog nobody hears what goes wrong.)
    const line = (end) => { dialog.close(); code(end, image, itsLabel); };
    dialog.replaceChildren(
      h('figure', {}, picture(image, model.palette, name, 'large'), h('figcaption', {}, name)),
      h('div', {class: 'bar'},
        INSPECTED.some(model.has)
          ? button(t('samples.inspect'), () => go('closer', {p: packImage(image), given: model.conditional ? itsLabel : null}, itsLabel)) : null,
        model.has('complete') ? button(t('samples.complete'), () => go('complete', {p: packImage(image)}, itsLabel)) : null,
        model.has('encode') && model.has('interpolate')
          ? [button(t('samples.from'), () => line('a')), button(t('samples.to'), () => line('b'))] : null,
        button(t('close'), () => dialog.close())));
    if (!dialog.open) dialog.showModal();
  };
  dialog.onclose = () => set({opened: null});

  show();
  return [
    h('div', {class: 'bar'},
      labelled(t('first.seed'), numberInput(seed, (value) => { seed = value; show(); })),
      button(t('more'), () => { seed += Math.max(COUNT, grid.querySelectorAll('button').length); grid.parentNode.querySelector('input').value = seed; show(); }),
      model.conditional ? labelChoice(model, label, (value) => { label = value; show(); }, ['all', t('label.all')]) : null),
    grid, dialog,
  ];
}
