// The space of codes: sliders, and a plane to hover over.

import {examples} from './code_map.js';
import {kept} from './code_square.js';
import {job} from './jobs.js';
import {inputsOf, normals} from './model.js';
import {button, choice, h, labelChoice, labelled, numberInput} from './page.js';
import {draw} from './pictures.js';
import * as state from './state.js';
import {t} from './words.js';

const FEW = 8; // sliders that are shown at first
const REACH = 3; // of sliders and plane, in standard deviations
const SIDE = 7; // pictures along a side of the plane's map

export function codes({client, model, set}) {
  const size = model.zSize;
  let z = state.code('z', size) || Array(size).fill(0);
  let label = state.label(model);
  const test = model.around.codes;

  const decode = async (rows, aside = false) => (await client.predict(model, 'decode',
    inputsOf(model, 'decode', rows.length, {z: rows, label}), aside)).image;

  // The picture under the hand.
  const large = h('canvas', {class: 'picture large code', role: 'img', 'aria-label': t('codes.picture')});
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
      sliders.append(button(t('codes.all', {count: size}), () => {
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
    'aria-label': t('codes.plane'),
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

  const places = test && examples(test, (k) => {
    // A conditional model decodes it with its own label.
    if (model.conditional && test.label && label !== test.label[k]) {
      label = test.label[k];
      labels.querySelector('select').value = label;
      square.again();
    }
    put(test.z[k]);
  });
  const square = kept({client, model, set, decode, code: () => z, label: () => label, take: put});
  const labels = model.conditional ? labelChoice(model, String(label), (value) => {
    label = Number(value);
    follow();
    map();
    square.again();
  }) : null;

  showSliders(false);
  follow();
  map();
  square.again();
  return [
    labels && h('div', {class: 'bar'}, labels),
    ...square.line,
    h('h2', {}, t('codes.one')),
    h('div', {class: 'bar'},
      labelled(t('codes.draw'), numberInput('', (seed) => put(normals(seed, size)))),
      button(t('codes.zero'), () => put(Array(size).fill(0)))),
    h('div', {class: 'sides'}, h('div', {}, large, sliders),
      h('div', {}, plane, h('div', {class: 'bar'}, labelled(t('codes.across'), axis(0)), labelled(t('codes.up'), axis(1)))),
      places && h('div', {}, places, h('p', {class: 'note'}, t(model.conditional ? 'codes.press.conditional' : 'codes.press')))),
    ...square.rest,
  ];
}
