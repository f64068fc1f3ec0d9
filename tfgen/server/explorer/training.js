// One training: its connection, its film, its charts.

import {chart, codes, distance, limits, line, longestArrow, plane, SUMS, terms, tiles} from './charts.js';
import {Left, Refused} from './client.js';
import {button, h} from './page.js';
import {named, t} from './words.js';

const FILM = 2000; // states that are kept
export const NUMBERS = ['modes', 'nats', 'pull', 'kl', 'widths', 'sharpness', 'distance'];

// asked: {model, data, points, seed, settings}, every, play, until.
// told(): after each state. layers: of the plane, see charts.js. beside(): all
// trainings on the page; curves in one unit have one scale. tells: the numbers that
// are shown, in their order. unit: of the curves.
export class Training {
  constructor(client, asked, {layers, told, beside, tells = NUMBERS, unit}) {
    Object.assign(this, {client, asked, layers, told, beside, tells, unit});
    this.until = asked.until ?? Infinity;
    this.waits = false; // paused at `until`
    this.leave = new AbortController();
    this.film = [];
    this.at = -1; // the shown state; the newest if it is followed
    this.following = true;
    this.id = this.first = this.ended = null;
    this.head = h('h3', {});
    this.facts = h('p', {class: 'numbers'}, t('learn.preparing'));
    this.place = h('div', {class: 'charts'});
    this.keepButton = button(t('learn.keep'), () => this.quietly({do: 'keep'}), {disabled: true});
    this.place.append(this.facts);
    this.element = h('section', {class: 'training'}, this.head, this.place, h('div', {class: 'bar'}, this.keepButton));
  }

  // Starts it; followed() then lasts until it ends.
  async start(signal) {
    this.all = AbortSignal.any([signal, this.leave.signal]);
    const client = this.client.during(this.all);
    this.first = await client.json('/explorer/learn', {
      method: 'POST', headers: {'Content-Type': 'application/json'}, body: JSON.stringify(this.asked),
    });
    this.id = this.first.id;
    this.keepButton.disabled = false;
    this.layout();
  }

  // Rejects if it ends by itself or by an error.
  async followed() {
    try {
      await this.states();
      if (this.ended?.kind !== 'kept') throw new Refused(t('learn.lost'));
    } catch (error) {
      if (this.all.aborted) return;
      throw error instanceof Refused ? error : new Refused(t('learn.lost'));
    } finally {
      this.keepButton.disabled = true;
    }
  }

  async states() {
    const answer = await fetch(`${this.client.server}/explorer/learn/${this.id}`, {signal: this.all});
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = '';
    for (;;) {
      const {done, value} = await reader.read();
      if (done) break;
      const lines = (rest + value).split('\n');
      rest = lines.pop();
      lines.forEach((text) => this.take(JSON.parse(text)));
    }
  }

  take(found) {
    if (found.kind === 'state') {
      this.film.push(found);
      if (this.film.length > FILM) {
        // Every second one of the first half goes.
        this.film = this.film.filter((_, k) => k > FILM / 2 || k % 2 === 0);
      }
      if (this.following) this.show(this.film.length - 1);
      // A lesson pauses where there is something to see.
      if (found.step >= this.until) {
        this.until = Infinity;
        this.waits = true;
      }
      this.told();
    } else if (found.kind === 'kept') {
      this.facts.textContent = t('learn.kept', {workdir: found.workdir});
      this.ended = found;
    } else if (found.kind === 'error') {
      throw new Refused(found.message);
    } else {
      this.ended ??= found;
    }
  }

  async tell(what) {
    if (!this.id || this.ended) return;
    await this.client.during(this.leave.signal).json(`/explorer/learn/${this.id}`, {
      method: 'POST', headers: {'Content-Type': 'application/json'}, body: JSON.stringify(what),
    });
  }

  // The same; a training that has ended meanwhile does nothing more.
  async quietly(what) {
    try {
      await this.tell(what);
    } catch (error) {
      if (!(error instanceof Left || error instanceof Refused)) throw error;
    }
  }

  end() {
    this.leave.abort();
  }

  layout() {
    const {first} = this;
    this.main = first.images
      ? chart(t('learn.images'), 300) : chart(t('learn.plane'), first.size === 1 ? 200 : 360);
    this.curves = chart(t('learn.terms'), 110);
    this.legend = h('p', {class: 'legend'});
    this.pair = h('div', {class: 'pair'}, this.main);
    this.place.replaceChildren(this.facts, this.pair, this.curves, this.legend);
    if (this.film.length) this.show(this.at);
  }

  show(at) {
    this.at = Math.max(0, Math.min(this.film.length - 1, at));
    if (this.painting) return;
    this.painting = requestAnimationFrame(() => {
      this.painting = null;
      if (this.film.length) this.paint(this.film[this.at]);
    });
  }

  paint(state) {
    const {first} = this;
    if (first.images) tiles(this.main, [...first.images.slice(0, 6), ...state.images]);
    else if (first.size === 1) line(this.main, first, state);
    else plane(this.main, first, state, this.layers, longestArrow(this.beside().flatMap((one) => one.film[one.at] ?? [])));
    if (state.codes) {
      // (Beside pictures it would make them smaller than those of a GAN.)
      this.codes ??= (first.images ? this.place : this.pair).appendChild(chart(t('learn.codes'), 180, 180));
      this.codes.classList.add('codes');
      codes(this.codes, state);
    }
    this.legend.replaceChildren(...this.termsShown().map(([name, colour, value]) => {
      const spot = h('i', {});
      spot.style.background = colour;
      return h('span', {}, spot, ` ${named(`term.${name}`, name)} ${value == null ? t('learn.infinite') : value.toPrecision(3)}`);
    }));
    if (this.ended?.kind !== 'kept') this.facts.textContent = this.words(state);
  }

  // The shown part of the film.
  get past() {
    return this.film.slice(0, this.at + 1);
  }

  // Draws the curves; returns their names, colours and values.
  termsShown() {
    const shared = this.beside().filter((one) => one.unit === this.unit);
    const found = limits(shared.map((one) => one.past));
    if (!found) return [];
    const [low, high] = [found.low, found.high].map((v) => v.toPrecision(3));
    this.curves.setAttribute('aria-label', t('learn.terms', {low, high}));
    return terms(this.curves, this.past, found);
  }

  // The step, and the chosen numbers of a state.
  words(state) {
    const {counted, terms: losses} = state;
    const loss = Object.entries(losses).find(([name]) => SUMS.test(name));
    const found = {
      modes: counted && t('learn.modes', {modes: counted.modes, of: counted.of, quality: Number((100 * counted.quality).toPrecision(2))}),
      nats: loss?.[1] != null && `${named(`term.${loss[0]}`, loss[0])}: ${loss[1].toFixed(2)}`,
      distance: this.first.truth && state.drawn && state.score && t('learn.distance', {distance: distance(this.first, state).toFixed(2)}),
      pull: state.pull != null && t('learn.pull', {pull: state.pull.toPrecision(2)}),
      kl: state.kl != null && t('learn.kl', {kl: state.kl.toFixed(2)}),
      widths: state.widths && t('learn.widths', {widths: state.widths.map((v) => v.toFixed(2)).join(', ')}),
      sharpness: state.sharpness != null && t('learn.sharpness', {sharpness: state.sharpness.toFixed(2)}),
    };
    return [t('learn.step', {step: state.step}), ...this.tells.map((name) => found[name]).filter(Boolean)].join(' · ');
  }
}
