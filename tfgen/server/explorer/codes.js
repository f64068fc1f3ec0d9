// The space of codes: sliders, a plane to hover over, a line between two codes.

import {CLASSES} from './charts.js';
import {job} from './jobs.js';
import {inputsOf, normals} from './model.js';
import {button, choice, h, labelChoice, labelled, numberInput} from './page.js';
import {draw, picture} from './pictures.js';
import * as state from './state.js';

const FEW = 8; // sliders that are shown at first
const REACH = 3; // of sliders and plane, in standard deviations
const SIDE = 7; // pictures along a side of the plane's map
const STEPS = 9; // pictures along a line

export function codes({client, model, set}) {
  const size = model.zSize;
  let z = state.code('z', size) || Array(size).fill(0);
  let label = state.label(model);
  const test = model.around.codes;
  // A line between two classes of the test set says more than one between draws.
  const second = test?.label ? test.label.findIndex((k) => k !== test.label[0]) : -1;
  const usual = second > 0 ? [test.z[0], test.z[second]] : [normals(1, size), normals(2, size)];
  const ends = {a: state.code('a', size) || usual[0], b: state.code('b', size) || usual[1]};
  let weight = state.number('w', 0.5, 0, 1), arc = state.get('arc') === '1';

  const decode = async (rows, aside = false) => (await client.predict(model, 'decode',
    inputsOf(model, 'decode', rows.length, {z: rows, label}), aside)).image;

  // The picture under the hand.
  const large = h('canvas', {class: 'picture large', role: 'img', 'aria-label': 'The picture of this code'});
  const redraw = job(async () => {
    const [image] = await decode([z]);
    draw(large, image, model.palette);
  });
  const follow = () => {
    set({z: z.join(','), label: model.conditional ? label : null});
    redraw();
  };

  const sliders = h('div', {class: 'sliders'});
  const showSliders = (all) => {
    const shown = z.slice(0, all ? size : FEW);
    sliders.replaceChildren(...shown.flatMap((value, i) => {
      const number = h('output', {}, value.toFixed(2));
      return [h('label', {for: `z${i}`}, `z${i + 1}`), h('input', {
        id: `z${i}`, type: 'range', min: -REACH, max: REACH, step: 0.01, value,
        oninput: (event) => {
          resting = null;
          z[i] = Number(event.target.value);
          number.textContent = z[i].toFixed(2);
          follow();
          if (axes.includes(i)) mark();
        },
        // The plane, of many pictures, waits until the hand rests.
        onchange: () => { if (!axes.includes(i)) map(); },
      }), number];
    }));
    if (size > shown.length) {
      sliders.append(button(`All ${size}`, () => {
        showSliders(true);
        document.getElementById(`z${FEW}`).focus();
      }));
    }
  };
  const put = (code) => {
    resting = null;
    z = [...code];
    showSliders(sliders.querySelectorAll('input').length > FEW);
    follow();
    map();
  };

  // The plane of two of its numbers, the others held.
  const axes = [state.whole('i', 0, 0, size - 1), state.whole('j', Math.min(1, size - 1), 0, size - 1)];
  const plane = h('canvas', {
    class: 'picture plane', tabindex: 0, role: 'application',
    'aria-label': 'A plane of codes. Hover to see a code, press to choose it, or use the arrow keys.',
  });
  let tiles = null, resting = null; // the code from which a hovering hand started
  // Of so many pixels that a frame around one is thin.
  const scale = Math.ceil(48 / model.shape[1]);
  const [height, width] = model.shape.map((side) => side * scale);
  const map = job(async () => {
    const at = (k) => (2 * k / (SIDE - 1) - 1) * REACH;
    const rows = Array.from({length: SIDE * SIDE}, (_, k) => {
      const row = [...z];
      row[axes[0]] = at(k % SIDE);
      row[axes[1]] = -at(Math.floor(k / SIDE));
      return row;
    });
    const images = await decode(rows, true);
    tiles = document.createElement('canvas');
    const tile = document.createElement('canvas');
    tiles.width = SIDE * width;
    tiles.height = SIDE * height;
    const context = tiles.getContext('2d');
    context.imageSmoothingEnabled = false;
    images.forEach((image, k) => {
      draw(tile, image, model.palette);
      context.drawImage(tile, (k % SIDE) * width, Math.floor(k / SIDE) * height, width, height);
    });
    mark();
  });
  const mark = () => {
    if (!tiles) return;
    plane.width = tiles.width;
    plane.height = tiles.height;
    const context = plane.getContext('2d');
    context.drawImage(tiles, 0, 0);
    const x = (z[axes[0]] / REACH + 1) / 2 * (tiles.width - width) + width / 2;
    const y = (1 - z[axes[1]] / REACH) / 2 * (tiles.height - height) + height / 2;
    context.strokeStyle = '#ff4040';
    context.lineWidth = 3;
    context.strokeRect(x - width / 2, y - height / 2, width, height);
  };
  const moveTo = (a, b) => {
    const bound = (v) => Number(Math.min(REACH, Math.max(-REACH, v)).toFixed(2));
    z[axes[0]] = bound(a);
    z[axes[1]] = bound(b);
    moved();
  };
  const moved = () => {
    for (const i of axes) {
      const slider = document.getElementById(`z${i}`);
      if (slider) {
        slider.value = z[i];
        slider.nextSibling.textContent = z[i].toFixed(2);
      }
    }
    mark();
    follow();
  };
  // A hand that hovers looks; one that presses takes.
  plane.onpointermove = plane.onpointerdown = (event) => {
    if (!tiles) return;
    if (event.buttons) resting = null;
    else resting ??= [...z];
    const box = plane.getBoundingClientRect();
    const across = (event.clientX - box.left) / box.width * tiles.width;
    const down = (event.clientY - box.top) / box.height * tiles.height;
    moveTo((2 * (across - width / 2) / (tiles.width - width) - 1) * REACH,
      (1 - 2 * (down - height / 2) / (tiles.height - height)) * REACH);
  };
  plane.onpointerleave = plane.onpointercancel = () => {
    if (!resting) return;
    z = resting;
    resting = null;
    moved();
  };
  plane.onkeydown = (event) => {
    const step = {ArrowLeft: [-.1, 0], ArrowRight: [.1, 0], ArrowUp: [0, .1], ArrowDown: [0, -.1]}[event.key];
    if (!step) return;
    event.preventDefault();
    resting = null;
    moveTo(z[axes[0]] + step[0], z[axes[1]] + step[1]);
  };
  const dimensions = Array.from({length: size}, (_, i) => [String(i), `z${i + 1}`]);
  const axis = (k) => choice(dimensions, String(axes[k]), (value) => {
    axes[k] = Number(value);
    set({i: axes[0] || null, j: axes[1] === 1 ? null : axes[1]});
    map();
  });

  // The codes of test examples, to choose from.
  const field = h('canvas', {class: 'map', width: 320, height: 320, tabindex: 0, role: 'application',
    'aria-label': 'Codes of test examples by class. Press near one to choose it; arrow keys go from one to the next.'});
  let chosen = -1;
  const reach = test ? 1.08 * Math.max(...test.plane.flat().map(Math.abs), 1e-6) : 1;
  const spot = ([x, y]) => [160 * (1 + x / reach), 160 * (1 - y / reach)];
  const survey = () => {
    const context = field.getContext('2d');
    context.clearRect(0, 0, 320, 320);
    test.plane.forEach((place, k) => {
      context.fillStyle = CLASSES[(test.label?.[k] ?? 0) % CLASSES.length];
      const [x, y] = spot(place), wide = k === chosen ? 6 : 2.5;
      context.fillRect(x - wide, y - wide, 2 * wide, 2 * wide);
    });
  };
  const take = (k) => {
    chosen = k;
    survey();
    // A conditional model decodes it with its own label.
    if (model.conditional && test.label) label = test.label[k];
    put(test.z[k]);
  };
  field.onpointerdown = (event) => {
    const box = field.getBoundingClientRect(), at = [event.clientX - box.left, event.clientY - box.top].map((v) => v * 320 / box.width);
    const far = test.plane.map((place) => Math.hypot(...spot(place).map((v, i) => v - at[i])));
    take(far.indexOf(Math.min(...far)));
  };
  field.onkeydown = (event) => {
    const step = {ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1}[event.key];
    if (!step) return;
    event.preventDefault();
    take((chosen + step + test.z.length) % test.z.length);
  };
  if (test) survey();

  // The line between two codes.
  const strip = h('div', {class: 'grid'});
  const between = h('canvas', {class: 'picture large', role: 'img', 'aria-label': 'The picture between A and B'});
  let touched = false; // the line, by a hand
  const onLine = async (weights) => (await client.predict(model, 'interpolate', inputsOf(model, 'interpolate', weights.length, {
    z: weights.map(() => ends.a), z_to: weights.map(() => ends.b), weight: weights, spherical: arc ? 1 : 0, label,
  }), !touched)).image;
  const line = job(async () => {
    const weights = Array.from({length: STEPS}, (_, k) => k / (STEPS - 1));
    const images = await onLine(weights);
    strip.replaceChildren(...images.map((image, k) =>
      button(picture(image, model.palette, `${Math.round(100 * weights[k])} % of the way`), () => {
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
  const both = () => {
    set({a: ends.a.join(','), b: ends.b.join(','), arc: arc ? 1 : null});
    line();
    slide();
  };
  const slider = h('input', {
    type: 'range', min: 0, max: 1, step: 0.01, value: weight, 'aria-label': 'Position between A and B',
    oninput: (event) => { weight = Number(event.target.value); touched = true; slide(); },
  });
  const keep = (name) => { ends[name] = [...z]; both(); };

  showSliders(false);
  follow();
  map();
  if (model.has('interpolate')) both();
  return [
    h('div', {class: 'bar'},
      labelled('draw a code, seed', numberInput('', (seed) => put(normals(seed, size)))),
      button('All zero', () => put(Array(size).fill(0))),
      model.conditional ? labelChoice(model, String(label), (value) => {
        label = Number(value); follow(); map(); if (model.has('interpolate')) both();
      }) : null),
    h('div', {class: 'sides'}, h('div', {}, large, sliders),
      h('div', {}, plane, h('div', {class: 'bar'}, labelled('across', axis(0)), labelled('up', axis(1))))),
    test ? [h('h2', {}, 'Codes of test examples'), h('p', {class: 'note'}, 'A colour is a class. Press near a point to take its code.'), field] : null,
    model.has('interpolate') ? [
      h('h2', {}, 'Interpolate between two codes'),
      h('div', {class: 'bar'}, button('Use this code as A', () => keep('a')), button('Use this code as B', () => keep('b')),
        labelled(h('input', {type: 'checkbox', checked: arc, onchange: (event) => { arc = event.target.checked; both(); }}), 'along an arc, as normal codes lie')),
      h('p', {class: 'note'}, 'From A (left) to B (right).'), strip, slider, between] : null,
  ];
}
