// A picture of which a part is hidden, and several ways to complete it.

import {job} from './jobs.js';
import {inputsOf} from './model.js';
import {button, h, labelChoice, labelled, numberInput} from './page.js';
import {editor, stroke, toggle, workbench} from './pen.js';
import {blank, draw, packImage, packMask, unpackImage, unpackMask} from './pictures.js';
import {anySample, sampleImages} from './samples.js';
import * as state from './state.js';
import {t} from './words.js';

const WAYS = 6;
// With its own seed a sample would be completed as it was: these are far from
// those that Samples begins with.
const FIRST = 1000;
const LASTS = 6; // seconds, of watching how they are drawn

export function complete({client, model, set}) {
  const [height, width] = model.shape;
  const halves = {
    lower: (x, y) => y < height / 2, upper: (x, y) => y >= height / 2,
    left: (x) => x >= width / 2, right: (x) => x < width / 2,
    everything: () => false, nothing: () => true,
  };
  const masked = (known) => Array.from({length: height * width}, (_, k) => Number(known(k % width, Math.floor(k / width))));
  let image = unpackImage(state.get('p'), model.shape);
  let mask = unpackMask(state.get('m'), height * width) || masked(halves.lower);
  let label = state.label(model), seed = state.seed('ways', FIRST), brush = state.whole('brush', Math.ceil(width / 10), 1, width);
  let answer = null, reveal = false;

  const hidden = editor(model.shape, t('complete.hidden'), {
    redraw: (canvas) => draw(canvas, image || blank(model.shape), model.palette, mask),
    erasing: () => reveal,
    paint: (from, to, erase) => stroke(model.shape, from, to, brush, (x, y, share) => {
      if (share >= 0.5) mask[y * width + x] = Number(erase);
    }),
    done: () => ask(),
  });
  const canvases = Array.from({length: WAYS}, (_, k) => h('canvas', {class: 'picture', role: 'img', 'aria-label': t('complete.one', {number: k + 1})}));

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
    stop();
    // In the order in which they were drawn: each given all before.
    answer = {made, known, order: known.flatMap((is, k) => (is ? [] : [k]))};
    watch.disabled = film.disabled = !answer.order.length;
    film.max = answer.order.length;
    to(answer.order.length);
  });

  // The film: its first `count` hidden pixels are drawn.
  let timer = null;
  const to = (count) => {
    const {made, known, order} = answer, shown = [...known];
    order.slice(0, count).forEach((k) => { shown[k] = 1; });
    film.value = count;
    canvases.forEach((canvas, k) => draw(canvas, made[k], model.palette, shown));
  };
  const stop = () => {
    cancelAnimationFrame(timer);
    timer = null;
    watch.textContent = t('complete.watch');
  };
  const play = () => {
    if (timer) {
      stop();
      return;
    }
    watch.textContent = t('complete.stop');
    const last = answer.order.length;
    // From where the hand has left it; from the beginning if all is drawn.
    const first = Number(film.value) < last ? Number(film.value) : 0, begin = performance.now();
    const frame = (now) => {
      const count = Math.min(last, first + Math.floor(last * Math.max(0, now - begin) / 1000 / LASTS));
      to(count);
      if (count < last) timer = requestAnimationFrame(frame);
      else stop();
    };
    timer = requestAnimationFrame(frame);
  };
  const watch = button(t('complete.watch'), play, {disabled: true});
  const film = h('input', {
    type: 'range', min: 0, max: 0, step: 1, value: 0, disabled: true, 'aria-label': t('complete.film'),
    oninput: ({target}) => {
      const wanted = Number(target.value);
      stop();
      to(wanted);
    },
  });

  const own = anySample(client, model, () => label);
  const work = () => {
    place.replaceChildren(h('h2', {}, t('complete.picture')), workbench(model, image, (now) => { image = now; hidden.again(); ask(); }, own));
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
      labelled(t('first.seed'), numberInput(seed, (value) => { seed = value; ask(); })),
      model.conditional ? labelChoice(model, String(label), (value) => { label = Number(value); ask(); }) : null),
    h('div', {class: 'sides'}, place,
      h('div', {}, h('h2', {}, t('complete.hidden')), hidden,
        h('div', {class: 'bar'}, t('complete.hide'), Object.entries(halves).map(([name, known]) =>
          button(t(`complete.${name}`), () => { mask = masked(known); hidden.again(); ask(); }))),
        h('div', {class: 'bar'},
          labelled(t('complete.brush'), numberInput(brush, (value) => { brush = value; set({brush}); }, 1, width)),
          toggle(t('complete.again'), (pressed) => { reveal = pressed; })),
        h('p', {class: 'note'}, t('complete.paint'))),
      h('div', {}, h('h2', {}, t('complete.ways')), h('div', {class: 'grid'}, canvases),
        model.inOrder ? h('div', {}, film, watch) : null)),
  ];
}
