// The codes of test examples, to choose from.

import {CLASSES} from './charts.js';
import {h} from './page.js';
import {t} from './words.js';

const SIDE = 320; // pixels

// A map of {plane, label}; act(k) takes the code of one.
export function examples({plane, label}, act) {
  const field = h('canvas', {class: 'map', width: SIDE, height: SIDE, tabindex: 0, role: 'application', 'aria-label': t('codes.map')});
  const reach = 1.08 * Math.max(...plane.flat().map(Math.abs), 1e-6);
  const spot = ([x, y]) => [SIDE / 2 * (1 + x / reach), SIDE / 2 * (1 - y / reach)];
  let chosen = -1;
  const paint = () => {
    const context = field.getContext('2d');
    context.clearRect(0, 0, SIDE, SIDE);
    plane.forEach((place, k) => {
      context.fillStyle = CLASSES[(label?.[k] ?? 0) % CLASSES.length];
      const [x, y] = spot(place), wide = k === chosen ? 6 : 2.5;
      context.fillRect(x - wide, y - wide, 2 * wide, 2 * wide);
    });
  };
  const take = (k) => {
    chosen = k;
    paint();
    act(k);
  };
  field.onpointerdown = (event) => {
    const box = field.getBoundingClientRect();
    const at = [event.clientX - box.left, event.clientY - box.top].map((v) => v * SIDE / box.width);
    const far = plane.map((place) => Math.hypot(...spot(place).map((v, i) => v - at[i])));
    take(far.indexOf(Math.min(...far)));
  };
  field.onkeydown = (event) => {
    const step = {ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1}[event.key];
    if (!step) return;
    event.preventDefault();
    take((chosen + step + plane.length) % plane.length);
  };
  paint();
  return field;
}
