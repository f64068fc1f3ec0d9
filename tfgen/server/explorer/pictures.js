// Pictures as nested lists [H][W][C] of values in [0, 1], and their canvases.

import {Refused} from './client.js';
import {h} from './page.js';
import {t} from './words.js';

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
function pack(numbers) {
  const text = Array.from(numbers, (byte) => String.fromCharCode(byte)).join('');
  return btoa(text).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
}

function unpack(text) {
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
export async function fromFile(file, model) {
  const {palette, shape: [height, width, channels]} = model;
  let bitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    throw new Refused(t('pen.unreadable', {file: file.name}));
  }
  const canvas = h('canvas', {width, height});
  const context = canvas.getContext('2d', {willReadFrequently: true});
  const scale = Math.min(width / bitmap.width, height / bitmap.height);
  const [wide, tall] = [bitmap.width * scale, bitmap.height * scale];
  context.fillRect(0, 0, width, height);
  context.drawImage(bitmap, (width - wide) / 2, (height - tall) / 2, wide, tall);
  const {data} = context.getImageData(0, 0, width, height);
  return blank([height, width, channels]).map((row, y) => row.map((_, x) => {
    const rgb = Array.from(data.slice(4 * (y * width + x), 4 * (y * width + x) + 3));
    if (palette) return [nearest(rgb, palette) / (palette.length - 1)];
    if (channels === 3) return rgb.map((v) => v / 255);
    const grey = (0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2]) / 255;
    return [model.binary ? Number(grey >= 0.5) : grey];
  }));
}

// Whether the border of a picture is lighter than its middle.
export function darkOnLight(image) {
  const mean = (rows) => {
    const all = rows.flat(2);
    return all.reduce((sum, v) => sum + v, 0) / all.length;
  };
  const border = [image[0], image.at(-1), image.map((row) => row[0]), image.map((row) => row.at(-1))];
  return mean(border) > 0.5 && mean(border) > mean(image);
}

export const inverted = (image) => image.map((row) => row.map((values) => values.map((v) => 1 - v)));

function nearest(rgb, palette) {
  const far = palette.map((p) => p.reduce((sum, v, i) => sum + (v - rgb[i]) ** 2, 0));
  return far.indexOf(Math.min(...far));
}
