// Models of sounds.

import {job} from './jobs.js';
import {inputsOf} from './model.js';
import {choice, h, ink, labelChoice, labelled, numberInput} from './page.js';
import * as state from './state.js';
import {t} from './words.js';

const SOUNDS = 6, LENGTHS = [1, 2, 4, 8];
const APART = 1_000_003; // between the seeds of the parts of a sound

function wave(values, known = 0) {
  const canvas = h('canvas', {class: 'wave', width: 600, height: 80, role: 'img', 'aria-label': t('sounds.wave')});
  const context = canvas.getContext('2d');
  const [soft, mark] = [ink('--soft'), ink('--mark')];
  const across = canvas.width / values.length;
  values.forEach((value, k) => {
    context.fillStyle = k < known ? soft : mark;
    const tall = Math.max(1, Math.abs(value) * 38);
    context.fillRect(k * across, value > 0 ? 40 - tall : 40, Math.max(1, across), tall);
  });
  return canvas;
}

// A WAV file, as base64: 16 bits, one channel.
function wav(values, rate) {
  const bytes = new DataView(new ArrayBuffer(44 + 2 * values.length));
  const text = (at, word) => [...word].forEach((letter, k) => bytes.setUint8(at + k, letter.charCodeAt(0)));
  text(0, 'RIFF');
  bytes.setUint32(4, 36 + 2 * values.length, true);
  text(8, 'WAVEfmt ');
  [[16, 16, 4], [20, 1, 2], [22, 1, 2], [24, rate, 4], [28, 2 * rate, 4], [32, 2, 2], [34, 16, 2]]
    .forEach(([at, value, size]) => bytes[size === 4 ? 'setUint32' : 'setUint16'](at, value, true));
  text(36, 'data');
  bytes.setUint32(40, 2 * values.length, true);
  values.forEach((value, k) => bytes.setInt16(44 + 2 * k, Math.round(32767 * Math.max(-1, Math.min(1, value))), true));
  return btoa(Array.from(new Uint8Array(bytes.buffer), (byte) => String.fromCharCode(byte)).join(''));
}

export function sounds({client, model, set}) {
  const list = h('div', {class: 'sounds'});
  const length = model.shape[0];
  let seed = state.seed(), label = state.label(model), share = state.number('known', 0, 0, 99);
  let times = state.whole('times', model.has('complete') ? 4 : 1, 1, LENGTHS.at(-1));
  if (!LENGTHS.includes(times)) times = 1;
  let rate = model.info?.spec?.sample_rate;

  const ask = (signature, seeds, given, aside) => client.predict(
    model, signature, inputsOf(model, signature, seeds.length, {seed: seeds, label: Number(label), ...given}), aside);
  // What follows `before`: the last `known` samples of it are given.
  const after = async (before, known, seeds, aside) => {
    const whole = before.map((sound) => [...sound.slice(sound.length - known), ...Array(length - known).fill(0)]);
    const mask = seeds.map(() => Array.from({length}, (_, k) => Number(k < known)));
    return (await ask('complete', seeds, {audio: whole, mask}, aside)).audio.map((sound) => sound.slice(known));
  };
  // A server that does not tell the rate writes it into its files.
  const rateOf = async () => {
    const {audio_bytes: [file]} = await ask('sample_wav', [0], {}, true);
    return new DataView(Uint8Array.from(atob(file.b64), (c) => c.charCodeAt(0)).buffer).getUint32(24, true);
  };
  const redraw = job(async () => {
    const part = share, parts = times, turn = changes; // as they are now
    // (With its own seed a sound would go on as it did.)
    const seeds = Array.from({length: SOUNDS}, (_, i) => seed + i + (part ? 1 : 0));
    let made, known = 0;
    rate ||= await rateOf();
    if (part) {
      // The beginning of the first sample, continued in several ways.
      const {audio: [first]} = await ask('sample', [seeds[0] - 1], {}, true);
      known = Math.round(part / 100 * length);
      const begun = seeds.map(() => first.slice(0, known));
      const rest = await after(begun, known, seeds, false);
      made = begun.map((sound, i) => [...sound, ...rest[i]]);
    } else made = (await ask('sample', seeds, {}, false)).audio;
    show(made, known, seeds);
    // Each further half is drawn given the half before.
    const half = Math.floor(length / 2);
    for (let k = 1; made[0].length < parts * length; k += 1) {
      if (turn !== changes) return; // something else is wanted meanwhile
      const more = await after(made, half, seeds.map((s) => s + k * APART), true);
      made = made.map((sound, i) => [...sound, ...more[i]].slice(0, parts * length));
    }
    if (parts > 1) show(made, known, seeds);
  });
  const show = (made, known, seeds) => list.replaceChildren(...made.map((sound, i) => h('figure', {},
    wave(sound, known),
    h('audio', {controls: true, 'aria-label': t('sounds.one', {seed: seeds[i]}), src: `data:audio/wav;base64,${wav(sound, rate)}`}),
    h('figcaption', {}, t('sounds.long', {seed: seeds[i], seconds: (sound.length / rate).toFixed(2)})))));
  let changes = 0;
  const changed = () => {
    changes += 1;
    set({seed, label: model.conditional ? label : null, known: share || null, times});
    redraw();
  };
  changed();
  return [
    h('div', {class: 'bar'},
      labelled(t('first.seed'), numberInput(seed, (value) => { seed = value; changed(); })),
      model.conditional ? labelChoice(model, String(label), (value) => { label = value; changed(); }) : null,
      model.has('complete') ? [
        labelled(t('sounds.times'), choice(LENGTHS.map((k) => [String(k), `${k} x`]), String(times), (value) => { times = Number(value); changed(); })),
        labelled(t('sounds.continue', {length}), numberInput(share, (value) => { share = value; changed(); }, 0, 99))] : null),
    list,
  ];
}
