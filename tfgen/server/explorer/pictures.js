// Pictures as nested lists [H][W][C] of values in [0, 1], and their canvases.

import {Refused} from './client.js';
import {job} from './jobs.js';
import {h, button, choice, labelled} from './page.js';

const HIDDEN = [128, 128, 128];

// RGB bytes of a pixel's values.
function colour(values, palette) {
  if (palette) return palette[Math.round(values[0] * (palette.length - 1))];
  const bytes = values.map((v) => Math.round(255 * v));
  return bytes.length === 1 ? [bytes[0], bytes[0], bytes[0]] : bytes;
}

export function draw(canvas, image, palette, mask = null) {
  const height = image.length, width = image[0].length;
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext('2d');
  const pixels = context.createImageData(width, height);
  image.forEach((row, y) => row.forEach((values, x) => {
    const hidden = mask && !mask[y * width + x];
    // Hidden ones are a grey chequer, which no picture has.
    const rgb = hidden ? HIDDEN.map((v) => v + ((x + y) % 2 ? 12 : -12)) : colour(values, palette);
    pixels.data.set([...rgb, 255], 4 * (y * width + x));
  }));
  context.putImageData(pixels, 0, 0);
}

export function picture(image, palette, text, size = '') {
  const canvas = h('canvas', {class: `picture ${size}`, role: 'img', 'aria-label': text});
  draw(canvas, image, palette);
  return canvas;
}

export function blank([height, width, channels], value = 0) {
  return Array.from({length: height}, () => Array.from({length: width}, () => Array(channels).fill(value)));
}

// For the address: a byte a value, or a bit a pixel of a mask.
export function pack(numbers) {
  const text = Array.from(numbers, (byte) => String.fromCharCode(byte)).join('');
  return btoa(text).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
}

export function unpack(text) {
  try {
    return Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (c) => c.charCodeAt(0));
  } catch {
    return [];
  }
}

export function packImage(image) {
  return pack(image.flat(2).map((v) => Math.round(255 * v)));
}

export function unpackImage(text, [height, width, channels]) {
  const bytes = unpack(text);
  if (bytes.length !== height * width * channels) return null;
  let at = 0;
  return Array.from({length: height}, () => Array.from({length: width},
    () => Array.from({length: channels}, () => bytes[at++] / 255)));
}

export function packMask(mask) {
  const bytes = Array(Math.ceil(mask.length / 8)).fill(0);
  mask.forEach((known, i) => { if (known) bytes[i >> 3] |= 1 << (i & 7); });
  return pack(bytes);
}

export function unpackMask(text, count) {
  const bytes = unpack(text);
  if (bytes.length !== Math.ceil(count / 8)) return null;
  return Array.from({length: count}, (_, i) => (bytes[i >> 3] >> (i & 7)) & 1);
}

// A picture file, scaled to fit the model; what is left over is black.
export async function fromFile(file, [height, width, channels], palette) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    throw new Refused(`${file.name} is not a picture that this browser can read`);
  }
  const canvas = h('canvas', {width, height});
  const context = canvas.getContext('2d', {willReadFrequently: true});
  const scale = Math.min(width / bitmap.width, height / bitmap.height);
  const [w, t] = [bitmap.width * scale, bitmap.height * scale];
  context.fillRect(0, 0, width, height);
  context.drawImage(bitmap, (width - w) / 2, (height - t) / 2, w, t);
  const {data} = context.getImageData(0, 0, width, height);
  return blank([height, width, channels]).map((row, y) => row.map((_, x) => {
    const rgb = Array.from(data.slice(4 * (y * width + x), 4 * (y * width + x) + 3));
    if (palette) return [nearest(rgb, palette) / (palette.length - 1)];
    if (channels === 3) return rgb.map((v) => v / 255);
    return [(0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2]) / 255];
  }));
}

function nearest(rgb, palette) {
  const far = palette.map((p) => p.reduce((sum, v, i) => sum + (v - rgb[i]) ** 2, 0));
  return far.indexOf(Math.min(...far));
}

// A canvas that a hand, or arrow keys and the space bar, paints on.
//
// paint(x, y, erase): changes a pixel; the editor draws again. done(): the
// stroke has ended.
export function editor([height, width], text, {redraw, paint, done}) {
  const canvas = h('canvas', {
    class: 'picture edit', width, height, tabindex: 0, role: 'application',
    'aria-label': `${text}. Arrow keys move, space paints, backspace erases.`,
  });
  let cursor = null, stroke = false;
  const again = () => {
    redraw(canvas);
    if (!cursor || document.activeElement !== canvas) return;
    const context = canvas.getContext('2d');
    context.fillStyle = 'rgba(255, 64, 64, .7)';
    context.fillRect(...cursor, 1, 1);
  };
  const at = (event) => {
    const box = canvas.getBoundingClientRect();
    return [Math.floor((event.clientX - box.left) / box.width * width),
      Math.floor((event.clientY - box.top) / box.height * height)];
  };
  const apply = (x, y, erase) => {
    if (x < 0 || y < 0 || x >= width || y >= height) return;
    paint(x, y, erase);
    again();
  };
  canvas.onpointerdown = (event) => {
    stroke = true;
    cursor = null;
    canvas.setPointerCapture(event.pointerId);
    apply(...at(event), event.button === 2 || event.shiftKey);
  };
  canvas.onpointermove = (event) => {
    if (!stroke) return;
    for (const e of event.getCoalescedEvents?.() || [event]) apply(...at(e), event.buttons === 2 || event.shiftKey);
  };
  canvas.onpointerup = canvas.onpointercancel = () => {
    if (stroke) done();
    stroke = false;
  };
  canvas.oncontextmenu = (event) => event.preventDefault();
  canvas.onfocus = () => { if (!stroke) cursor ??= [width >> 1, height >> 1]; again(); };
  canvas.onblur = again;
  canvas.onkeydown = (event) => {
    const move = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]}[event.key];
    cursor ??= [width >> 1, height >> 1];
    if (move) {
      cursor = [Math.min(width - 1, Math.max(0, cursor[0] + move[0])), Math.min(height - 1, Math.max(0, cursor[1] + move[1]))];
      again();
    } else if (event.key === ' ' || event.key === 'Backspace') {
      apply(...cursor, event.key === 'Backspace');
      done();
    } else return;
    event.preventDefault();
  };
  canvas.again = again;
  again();
  return canvas;
}

// A button for each colour of a palette.
function swatches(palette, act) {
  const buttons = palette.map(([r, g, b], k) => {
    const swatch = button('', () => {
      buttons.forEach((other) => other.setAttribute('aria-pressed', other === swatch));
      act(k / (palette.length - 1));
    }, {'aria-label': `colour ${k}: ${r}, ${g}, ${b}`, 'aria-pressed': k === palette.length - 1});
    swatch.style.background = `rgb(${r}, ${g}, ${b})`;
    return swatch;
  });
  return h('div', {class: 'swatches', role: 'group', 'aria-label': 'Pen'}, buttons);
}

// The picture that a panel works on: drawn, loaded, or one of the model's own.
//
// changed(image): after each stroke, file or choice.
export function workbench(model, image, changed, ownSample) {
  const [height, width, channels] = model.shape;
  let current = image, ink = 1, changes = 0;
  const soft = !model.palette && channels === 1;
  const pens = model.palette
    ? swatches(model.palette, (value) => { ink = value; })
    : labelled('pen', choice([['1', 'white'], ['0.5', 'grey'], ['0', 'black']], '1', (value) => { ink = Number(value); }));
  const canvas = editor(model.shape, 'Drawing', {
    redraw: (c) => draw(c, current, model.palette),
    paint: (x, y, erase) => {
      const value = erase ? 0 : ink;
      changes += 1;
      current[y][x] = Array(channels).fill(value);
      if (!soft || erase || width < 20) return;
      // A pen of a pixel is thinner than any digit.
      for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
        const pixel = current[y + dy]?.[x + dx];
        if (pixel) pixel[0] = ink ? Math.max(pixel[0], 0.6 * ink) : 0;
      }
    },
    done: () => changed(current),
  });
  const show = (found) => {
    changes += 1;
    current = found;
    canvas.again();
    changed(current);
  };
  // What comes when the hand has gone on meanwhile is not shown.
  const later = job(async (make) => {
    const before = changes;
    const found = await make();
    if (changes === before) show(found);
  });
  const file = h('input', {type: 'file', accept: 'image/*', hidden: true, onchange: () => {
    const [chosen] = file.files;
    later(() => fromFile(chosen, model.shape, model.palette));
    file.value = '';
  }});
  const bar = h('div', {class: 'bar'},
    button('Clear', () => show(blank(model.shape))),
    button('Load a picture', () => file.click()), file,
    ownSample && button('Use a sample', () => later(ownSample)));
  return h('div', {}, canvas, pens, bar);
}
