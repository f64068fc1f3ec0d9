// Four codes that are kept, A to D: the line between two of them, the square of
// all four, and arithmetic with them.

import {job} from './jobs.js';
import {inputsOf, normals} from './model.js';
import {button, h, labelled} from './page.js';
import {draw, picture} from './pictures.js';
import * as state from './state.js';
import {t} from './words.js';

const NAMES = ['a', 'b', 'c', 'd'];
const STEPS = 9; // pictures along the line
const SIDE = 6; // pictures along a side of the square

// Four codes of test examples, of different classes where there are any.
function usual(test, size) {
  if (!test) return NAMES.map((_, k) => normals(k + 1, size));
  const labels = test.label || [];
  const first = test.z.map((_, k) => k).filter((k) => labels.indexOf(labels[k]) === k);
  return NAMES.map((_, k) => test.z[first[k] ?? k % test.z.length]);
}

// code(), label(): those of the panel; take(code): makes one that of the panel.
export function kept({client, model, set, decode, code, label, take}) {
  const size = model.zSize;
  const first = usual(model.around.codes, size);
  const codes = Object.fromEntries(NAMES.map((name, k) => [name, state.code(name, size) || first[k]]));
  let weight = state.number('w', 0.5, 0, 1), arc = state.get('arc') === '1';

  // The four, and A - B + C.
  const row = h('div', {class: 'grid four'});
  const sum = () => codes.a.map((v, i) => Number((v - codes.b[i] + codes.c[i]).toFixed(2)));
  const show = job(async () => {
    const made = await decode([...NAMES.map((name) => codes[name]), sum()], true);
    const taken = (image, key, of) => button(picture(image, model.palette, key), () => take(of()), {'aria-label': t('codes.take', {name: key})});
    row.replaceChildren(...NAMES.map((name, k) => h('figure', {},
      taken(made[k], name.toUpperCase(), () => codes[name]),
      button(t('codes.use', {name: name.toUpperCase()}), () => keep(name)))));
    result.replaceChildren(h('figure', {class: 'one'}, taken(made[4], 'A - B + C', sum)));
  });
  const result = h('div', {});
  const keep = (name) => {
    codes[name] = [...code()];
    again();
  };

  // The line from A to B.
  const strip = h('div', {class: 'grid line'});
  const between = h('canvas', {class: 'picture large', role: 'img', 'aria-label': t('codes.between')});
  let touched = false; // the line, by a hand
  const onLine = async (weights) => (await client.predict(model, 'interpolate', inputsOf(model, 'interpolate', weights.length, {
    z: weights.map(() => codes.a), z_to: weights.map(() => codes.b), weight: weights, spherical: arc ? 1 : 0, label: label(),
  }), !touched)).image;
  const line = job(async () => {
    const weights = Array.from({length: STEPS}, (_, k) => k / (STEPS - 1));
    const images = await onLine(weights);
    strip.replaceChildren(...images.map((image, k) =>
      button(picture(image, model.palette, t('codes.way', {share: Math.round(100 * weights[k])})), () => {
        slider.value = weight = weights[k];
        touched = true;
        slide();
      })));
  });
  const middle = job(async () => {
    const [image] = await onLine([weight]);
    draw(between, image, model.palette);
  });
  const slide = () => {
    set({w: weight});
    middle();
  };
  const slider = h('input', {
    type: 'range', min: 0, max: 1, step: 0.01, value: weight, 'aria-label': t('codes.position'),
    oninput: (event) => { weight = Number(event.target.value); touched = true; slide(); },
  });

  // The square: the nearer a corner, the larger its weight.
  const field = h('div', {class: 'square'});
  const fill = job(async () => {
    const cells = Array.from({length: SIDE * SIDE}, (_, k) => {
      const x = k % SIDE / (SIDE - 1), y = Math.floor(k / SIDE) / (SIDE - 1);
      const shares = {a: (1 - x) * (1 - y), b: x * (1 - y), c: (1 - x) * y, d: x * y};
      return codes.a.map((_, i) => Number(NAMES.reduce((total, name) => total + shares[name] * codes[name][i], 0).toFixed(2)));
    });
    const images = await decode(cells, true);
    field.replaceChildren(...images.map((image, k) =>
      button(picture(image, model.palette, t('codes.cell', {row: Math.floor(k / SIDE) + 1, column: k % SIDE + 1})), () => take(cells[k]))));
  });

  // All of it, after a change of a code or of the label.
  const again = () => {
    set({...Object.fromEntries(NAMES.map((name) => [name, codes[name].join(',')])), arc: arc ? 1 : null});
    show();
    fill();
    if (!model.has('interpolate')) return;
    line();
    slide();
  };
  const lineOf = model.has('interpolate') ? [
    h('h2', {}, t('codes.line')), strip,
    h('div', {class: 'sides'}, between, h('div', {}, slider,
      labelled(h('input', {type: 'checkbox', checked: arc, onchange: (event) => { arc = event.target.checked; again(); }}), t('codes.arc')))),
  ] : [];
  const rest = [
    h('h2', {}, t('codes.kept')), h('p', {class: 'note'}, t(model.around.codes ? 'codes.kept.note' : 'codes.kept.drawn')), row,
    h('div', {class: 'sides'},
      h('div', {}, h('h2', {}, t('codes.square')), field),
      h('div', {}, h('h2', {}, t('codes.sum')), h('p', {class: 'note'}, t('codes.sum.note')), result)),
  ];
  return {line: lineOf, rest, again};
}
