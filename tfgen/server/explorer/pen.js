// A canvas to draw on, and the pens.

import {job} from './jobs.js';
import {button, choice, h, labelled} from './page.js';
import {blank, darkOnLight, draw, fromFile, inverted} from './pictures.js';
import {t} from './words.js';

const UNDOS = 50;

// What a stroke of a round pen covers: act(x, y, share of the pixel).
//
// from, to: centres of the pen in pixels; the centre of the first pixel is at
// 0.5. A pen of any width covers a pixel in each column or row that it passes,
// so a stroke is one connected line.
export function stroke([height, width], from, to, size, act) {
  const reach = Math.max(size, 1) / 2;
  const within = (x, y) => [from, to].some(([a, b]) => Math.floor(a) === x && Math.floor(b) === y);
  const [dx, dy] = [to[0] - from[0], to[1] - from[1]];
  const length = dx * dx + dy * dy;
  const span = (a, b, most) => [
    Math.max(0, Math.floor(Math.min(a, b) - reach - 1)), Math.min(most - 1, Math.ceil(Math.max(a, b) + reach)),
  ];
  const [left, right] = span(from[0], to[0], width), [top, bottom] = span(from[1], to[1], height);
  for (let y = top; y <= bottom; y += 1) {
    for (let x = left; x <= right; x += 1) {
      const [px, py] = [x + 0.5 - from[0], y + 0.5 - from[1]];
      const along = length ? Math.min(1, Math.max(0, (px * dx + py * dy) / length)) : 0;
      const far = Math.hypot(px - along * dx, py - along * dy);
      // The edge of a wide pen is soft over one pixel.
      const share = size > 1 ? reach + 0.5 - far : Number(far <= reach + 1e-9 || within(x, y));
      if (share > 0) act(x, y, Math.min(1, share));
    }
  }
}

// A canvas that a hand, or arrow keys and the space bar, paints on.
//
// paint(from, to, erase): a part of a stroke, in pixels; the editor draws again.
// begin(), done(): of a stroke.
export function editor([height, width], text, {redraw, paint, begin = () => {}, done, erasing = () => false}) {
  const canvas = h('canvas', {
    class: 'picture edit', width, height, tabindex: 0, role: 'application',
    'aria-label': t('pen.keys', {name: text}),
  });
  let cursor = null, last = null;
  const again = () => {
    redraw(canvas);
    if (!cursor || document.activeElement !== canvas) return;
    const context = canvas.getContext('2d');
    context.fillStyle = 'rgba(255, 64, 64, .7)';
    context.fillRect(...cursor, 1, 1);
  };
  const at = (event) => {
    const box = canvas.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width * width, (event.clientY - box.top) / box.height * height];
  };
  const move = (place, erase) => {
    paint(last || place, place, erase || erasing());
    last = place;
  };
  canvas.onpointerdown = (event) => {
    cursor = null;
    canvas.setPointerCapture(event.pointerId);
    begin();
    move(at(event), event.button === 2 || event.shiftKey);
    again();
  };
  canvas.onpointermove = (event) => {
    if (!last) return;
    for (const e of event.getCoalescedEvents?.() || [event]) move(at(e), event.buttons === 2 || event.shiftKey);
    again();
  };
  canvas.onpointerup = canvas.onpointercancel = () => {
    if (last) done();
    last = null;
  };
  canvas.oncontextmenu = (event) => event.preventDefault();
  canvas.onfocus = () => { if (!last) cursor ??= [width >> 1, height >> 1]; again(); };
  canvas.onblur = again;
  canvas.onkeydown = (event) => {
    const step = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]}[event.key];
    cursor ??= [width >> 1, height >> 1];
    if (step) {
      cursor = [Math.min(width - 1, Math.max(0, cursor[0] + step[0])), Math.min(height - 1, Math.max(0, cursor[1] + step[1]))];
      again();
    } else if (event.key === ' ' || event.key === 'Backspace') {
      const centre = cursor.map((v) => v + 0.5);
      begin();
      paint(centre, centre, event.key === 'Backspace' || erasing());
      again();
      done();
    } else return;
    event.preventDefault();
  };
  canvas.again = again;
  again();
  return canvas;
}

// A button that stays pressed; act(pressed).
export function toggle(text, act) {
  const made = button(text, () => {
    const pressed = made.getAttribute('aria-pressed') !== 'true';
    made.setAttribute('aria-pressed', pressed);
    act(pressed);
  }, {'aria-pressed': false});
  return made;
}

// A button for each colour of a palette.
function swatches(palette, act) {
  const buttons = palette.map(([r, g, b], k) => {
    const swatch = button('', () => {
      buttons.forEach((other) => other.setAttribute('aria-pressed', other === swatch));
      act([k / (palette.length - 1)]);
    }, {'aria-label': t('pen.colour', {number: k, red: r, green: g, blue: b}), 'aria-pressed': k === palette.length - 1});
    swatch.style.background = `rgb(${r}, ${g}, ${b})`;
    return swatch;
  });
  return h('div', {class: 'swatches', role: 'group', 'aria-label': t('pen')}, buttons);
}

// The choice of the ink: act(values of a pixel).
function inks(model, act) {
  if (model.palette) return swatches(model.palette, act);
  if (model.shape[2] === 3) {
    const parts = (text) => [1, 3, 5].map((k) => parseInt(text.slice(k, k + 2), 16) / 255);
    return labelled(t('pen'), h('input', {type: 'color', value: '#ffffff', oninput: ({target}) => act(parts(target.value))}));
  }
  const shades = [['1', t('pen.white')], ['0.5', t('pen.grey')], ['0', t('pen.black')]].filter(([v]) => v !== '0.5' || !model.binary);
  return labelled(t('pen'), choice(shades, '1', (value) => act([Number(value)])));
}

// The widths of the pen in pixels, and the one to begin with.
function widths([height, width]) {
  const side = Math.min(height, width);
  const usual = Math.max(1, Math.round(side / 14));
  return [[...new Set([1, usual, Math.max(2, Math.round(side / 9)), Math.max(3, Math.round(side / 5))])], usual];
}

// The picture that a panel works on: drawn, loaded, or one of the model's own.
//
// changed(image): after each stroke, file or choice.
export function workbench(model, image, changed, ownSample) {
  const channels = model.shape[2], hard = model.palette || model.binary;
  const [sizes, usual] = widths(model.shape);
  let current = image, ink = Array(channels).fill(1), size = usual, erase = false;
  let changes = 0, covered = null; // pixel -> its share in the stroke
  const before = []; // what Undo goes back to
  const keep = () => {
    changes += 1;
    before.push(structuredClone(current));
    if (before.length > UNDOS) before.shift();
    undo.disabled = false;
  };
  const canvas = editor(model.shape, t('pen.drawing'), {
    redraw: (c) => draw(c, current, model.palette),
    begin: () => {
      keep();
      covered = new Map();
    },
    erasing: () => erase,
    paint: (from, to, erased) => {
      const wanted = erased ? Array(channels).fill(0) : ink;
      stroke(model.shape, from, to, size, (x, y, share) => {
        // Parts of a stroke overlap, and the largest share of a pixel counts.
        const key = y * model.shape[1] + x, now = hard ? Number(share >= 0.5) : share;
        if (now <= (covered.get(key) || 0)) return;
        covered.set(key, now);
        current[y][x] = before.at(-1)[y][x].map((v, c) => v + now * (wanted[c] - v));
      });
    },
    done: () => changed(current),
  });
  const show = (found) => {
    current = found;
    canvas.again();
    changed(current);
  };
  const put = (found) => {
    keep();
    offer.replaceChildren();
    show(found);
  };
  const undo = button(t('pen.undo'), () => {
    changes += 1;
    show(before.pop());
    undo.disabled = !before.length;
    if (undo.disabled) canvas.focus();
  }, {disabled: true});
  canvas.addEventListener('keydown', (event) => {
    if (event.key !== 'z' || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    if (!undo.disabled) undo.click();
  });
  // What comes when the hand has gone on meanwhile is not shown.
  const later = job(async (make, after = () => {}) => {
    const then = changes;
    const found = await make();
    if (changes !== then) return;
    put(found);
    after(found);
  });
  const offer = h('div', {class: 'bar', role: 'status'});
  // Drawings on paper are dark on white; most sets of data are white on black.
  const suggest = (found) => {
    if (model.palette || channels !== 1 || !darkOnLight(found)) return;
    offer.replaceChildren(t('pen.dark'), button(t('pen.invert'), () => put(inverted(found))));
  };
  const file = h('input', {type: 'file', accept: 'image/*', hidden: true, onchange: () => {
    const [chosen] = file.files;
    later(() => fromFile(chosen, model), suggest);
    file.value = '';
  }});
  return h('div', {}, canvas,
    h('div', {class: 'bar'}, inks(model, (values) => { ink = values; }),
      labelled(t('pen.width'), choice(sizes.map((v) => [String(v), `${v} px`]), String(usual), (value) => { size = Number(value); })),
      toggle(t('pen.erase'), (pressed) => { erase = pressed; }), undo),
    h('div', {class: 'bar'},
      button(t('pen.clear'), () => put(blank(model.shape))),
      button(t('pen.load'), () => file.click()), file,
      ownSample && button(t('pen.sample'), () => later(ownSample))),
    offer);
}
