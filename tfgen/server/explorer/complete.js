// A picture of which a part is hidden, and several ways to complete it.

import {job} from './jobs.js';
import {inputsOf} from './model.js';
import {button, h, labelChoice, labelled, numberInput} from './page.js';
import {editor, stroke, toggle, workbench} from './pen.js';
import {blank, draw, packImage, packMask, unpackImage, unpackMask} from './pictures.js';
import {anySample, sampleImages} from './samples.js';
import * as state from './state.js';

const WAYS = 6;
// With its own seed a sample would be completed as it was: these are far from
// those that Samples begins with.
const FIRST = 1000;

export function complete({client, model, set}) {
  const [height, width] = model.shape;
  const halves = {
    'Lower half': (x, y) => y < height / 2, 'Upper half': (x, y) => y >= height / 2,
    'Left half': (x) => x >= width / 2, 'Right half': (x) => x < width / 2,
    'Everything': () => false, 'Nothing': () => true,
  };
  const masked = (known) => Array.from({length: height * width}, (_, k) => Number(known(k % width, Math.floor(k / width))));
  let image = unpackImage(state.get('p'), model.shape);
  let mask = unpackMask(state.get('m'), height * width) || masked(halves['Lower half']);
  let label = state.label(model), seed = state.seed('ways', FIRST), brush = state.whole('brush', Math.ceil(width / 10), 1, width);
  let answer = null, timer = null, reveal = false;

  const hidden = editor(model.shape, 'Hidden pixels', {
    redraw: (canvas) => draw(canvas, image || blank(model.shape), model.palette, mask),
    erasing: () => reveal,
    paint: (from, to, erase) => stroke(model.shape, from, to, brush, (x, y, share) => {
      if (share >= 0.5) mask[y * width + x] = Number(erase);
    }),
    done: () => ask(),
  });
  const canvases = Array.from({length: WAYS}, (_, k) => h('canvas', {class: 'picture', role: 'img', 'aria-label': `Completion ${k + 1}`}));
  const pace = h('input', {type: 'range', min: 1, max: 60, value: 12, 'aria-label': 'Pixels per second'});

  const ask = () => {
    if (!image) return; // its first one is still to come
    const p = packImage(image);
    // As the address has it, so that a link shows the same.
    image = unpackImage(p, model.shape);
    set({p, m: packMask(mask), ways: seed, label: model.conditional ? label : null});
    fill();
  };
  const fill = job(async () => {
    const known = [...mask]; // as it is now
    const rows = Array.from({length: WAYS}, (_, k) => seed + k);
    const cells = Array.from({length: height}, (_, y) => Array.from({length: width}, (_, x) => [known[y * width + x]]));
    const {image: made} = await client.predict(model, 'complete', inputsOf(model, 'complete', WAYS, {
      image: rows.map(() => image), mask: rows.map(() => cells), seed: rows, label,
    }));
    answer = {made, known};
    watch.disabled = false;
    stop();
  });

  const stop = () => {
    cancelAnimationFrame(timer);
    timer = null;
    watch.textContent = 'Watch it draw';
    canvases.forEach((canvas, k) => draw(canvas, answer.made[k], model.palette));
  };
  const play = () => {
    if (timer) {
      stop();
      return;
    }
    watch.textContent = 'Stop';
    const {made, known} = answer, shown = [...known];
    // In the order in which they were drawn: each given all before.
    const waiting = known.flatMap((is, k) => (is ? [] : [k]));
    let due = 0, before = performance.now();
    const frame = (now) => {
      due += (now - before) / 1000 * Number(pace.value);
      before = now;
      for (; due >= 1 && waiting.length; due -= 1) shown[waiting.shift()] = 1;
      canvases.forEach((canvas, k) => draw(canvas, made[k], model.palette, shown));
      if (waiting.length) timer = requestAnimationFrame(frame);
      else stop();
    };
    timer = requestAnimationFrame(frame);
  };
  const watch = button('Watch it draw', play, {disabled: true});

  const own = anySample(client, model, () => label);
  const work = () => {
    place.replaceChildren(h('h2', {}, 'The picture'), workbench(model, image, (now) => { image = now; hidden.again(); ask(); }, own));
    hidden.again();
    ask();
  };
  const begin = job(async () => {
    [image] = await sampleImages(client, model, [state.seed()], [label]);
    work();
  });
  const place = h('div', {});
  if (!image && own) begin();
  else {
    image ??= blank(model.shape);
    work();
  }
  return [
    h('div', {class: 'bar'},
      labelled('first seed', numberInput(seed, (value) => { seed = value; ask(); })),
      model.conditional ? labelChoice(model, String(label), (value) => { label = Number(value); ask(); }) : null),
    h('div', {class: 'sides'}, place,
      h('div', {}, h('h2', {}, 'Hidden pixels'), hidden,
        h('div', {class: 'bar'}, Object.entries(halves).map(([name, known]) =>
          button(name, () => { mask = masked(known); hidden.again(); ask(); }))),
        h('div', {class: 'bar'},
          labelled('brush', numberInput(brush, (value) => { brush = value; set({brush}); }, 1, width)),
          toggle('Show again', (pressed) => { reveal = pressed; })),
        h('p', {class: 'note'}, 'Paint to hide pixels. "Show again", shift or the right button shows them.')),
      h('div', {}, h('h2', {}, 'Completions'), h('div', {class: 'grid'}, canvases),
        model.inOrder ? h('div', {class: 'bar'}, watch, labelled('pixels a second', pace)) : null)),
  ];
}
