// A run, while it trains or after: curves, samples by step, settings, Stop.

import {chart, limits, terms} from './charts.js';
import {Refused} from './client.js';
import {job, say} from './jobs.js';
import {button, h} from './page.js';
import {named, t} from './words.js';

const EVERY = 2000; // milliseconds between two looks

export function run({client, signal}) {
  const name = h('h2', {}), told = h('p', {'aria-live': 'polite'});
  const done = h('progress', {'aria-label': t('run.progress')});
  const curves = h('div', {class: 'curves'}), charts = new Map();
  const settings = h('table', {});
  const shown = h('img', {class: 'samples', alt: '', hidden: true});
  const film = h('input', {type: 'range', min: 0, max: 0, value: 0, 'aria-label': t('run.film'), oninput: () => picture()});
  const at = h('figcaption', {});
  let now = null, timer = null;

  const picture = () => {
    const step = now.pictures[Number(film.value)];
    const of = {step: step.toLocaleString()};
    at.textContent = shown.alt = t('run.samples', of);
    shown.src = `${client.server}/explorer/run/samples/${step}`;
    shown.hidden = false;
  };
  const look = async () => {
    now = await client.json('/explorer/run');
    stop.hidden = !now.stops;
    stop.disabled = false;
    told.textContent = words(now);
    if (now.state === 'waiting') return;
    name.textContent = now.model ? `${named(`name.${now.model}`, now.model)}: ${now.preset}` : now.preset;
    document.title = `${now.preset}, ${Math.floor(100 * now.step / now.steps)} % - tfgen`;
    done.max = now.steps;
    done.value = now.step;
    for (const [key, [steps, values]] of Object.entries(now.curves)) {
      if (!charts.has(key)) {
        const canvas = chart(key, 110, 260), caption = h('figcaption', {});
        charts.set(key, [canvas, caption]);
        curves.append(h('figure', {}, canvas, caption));
      }
      const [canvas, caption] = charts.get(key), last = values.at(-1);
      const curve = steps.map((step, k) => ({step, terms: {[key]: values[k]}})), within = limits([curve]);
      if (within) terms(canvas, curve, within);
      caption.textContent = `${key} ${last == null ? t('learn.infinite') : Number(last.toPrecision(4)).toLocaleString()}`;
    }
    settings.replaceChildren(...Object.entries(now.settings).map(([key, value]) =>
      h('tr', {}, h('th', {scope: 'row'}, key), h('td', {}, Array.isArray(value) ? value.join(', ') : String(value ?? '-')))));
    const followed = Number(film.value) === Number(film.max), last = now.pictures.length - 1;
    if (last >= 0 && (followed || shown.hidden)) {
      const before = Number(film.max);
      film.max = last;
      film.value = last;
      if (last !== before || shown.hidden) picture();
    } else film.max = Math.max(0, last);
  };
  // Looks again and again, until the page is left.
  const follow = async () => {
    try {
      await look();
      if (lost) say('');
      lost = false;
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof Refused)) throw error;
      lost = true;
      say(error.message, true);
    }
    if (!signal.aborted) timer = setTimeout(follow, EVERY);
  };
  let lost = false;
  const stop = button(t('run.stop'), job(async () => {
    stop.disabled = true;
    await client.json('/explorer/run', {
      method: 'POST', headers: {'Content-Type': 'application/json'}, body: '{"do": "stop"}',
    });
  }), {hidden: true});

  signal.addEventListener('abort', () => clearTimeout(timer));
  follow();
  return [
    name, told, done, h('div', {class: 'bar'}, stop),
    h('div', {class: 'sides'},
      h('figure', {}, shown, film, at),
      curves),
    h('details', {}, h('summary', {}, t('run.settings')), settings),
  ];
}

function words({state, step, steps, seconds_left: left, workdir}) {
  const parts = [t(`run.${state}`, {workdir})];
  if (step !== undefined) parts.push(t('run.step', {step: step.toLocaleString(), steps: steps.toLocaleString()}));
  if (left != null) parts.push(t('run.left', {time: duration(left)}));
  return parts.join(' · ');
}

function duration(seconds) {
  const units = [[86400, 'd'], [3600, 'h'], [60, 'min'], [1, 's']];
  const k = units.findIndex(([size]) => seconds >= size);
  if (k < 0) return '0 s';
  const [size, unit] = units[k], whole = Math.floor(seconds / size);
  const [small, next] = units[k + 1] || [];
  const rest = small ? Math.floor((seconds - whole * size) / small) : 0;
  return rest ? `${whole} ${unit} ${rest} ${next}` : `${whole} ${unit}`;
}
