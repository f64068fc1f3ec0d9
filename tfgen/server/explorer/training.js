// One training: its connection, its film, its charts.

import {chart, codes, line, plane, reach, terms, tiles} from './charts.js';
import {Left, Refused} from './client.js';
import {button, h} from './page.js';
import {t} from './words.js';

const FILM = 2000; // states that are kept

// asked: {model, data, points, seed, settings}, every, play.
// told(): after each state. layers: of the plane, see charts.js. beside(): all
// trainings on the page; curves of the same terms have one scale. until: the step
// at which it pauses.
export class Training {
  constructor(client, asked, layers, told, beside, until = Infinity) {
    Object.assign(this, {client, asked, layers, told, beside, until});
    this.waits = false; // paused at `until`
    this.leave = new AbortController();
    this.film = [];
    this.at = -1; // the shown state; the newest if it is followed
    this.following = true;
    this.id = this.first = this.ended = null;
    this.head = h('h3', {});
    this.facts = h('p', {class: 'note'}, t('learn.preparing'));
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
        this.quietly({do: 'pause'});
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
    this.codes = h('div', {});
    this.place.replaceChildren(this.main, this.facts, this.codes, this.curves, this.legend);
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
    else plane(this.main, first, state, this.layers);
    if (state.codes) {
      this.codesChart ??= chart(t('learn.codes'), 180, 180);
      this.codes.replaceChildren(this.codesChart);
      codes(this.codesChart, state);
    }
    const named = this.termsShown();
    this.legend.replaceChildren(...named.map(([name, colour, value]) => {
      const spot = h('i', {});
      spot.style.background = colour;
      return h('span', {}, spot, ` ${name} ${value == null ? t('learn.infinite') : value.toPrecision(3)}`);
    }));
    if (this.ended?.kind !== 'kept') this.facts.textContent = this.words(state);
  }

  // The shown part of the film.
  get past() {
    return this.film.slice(0, this.at + 1);
  }

  // Draws the curves; returns their names, colours and values.
  termsShown() {
    const own = this.termNames();
    const shared = this.beside().filter((one) => one === this || one.termNames() === own);
    const found = reach(shared.map((one) => one.past));
    return found ? terms(this.curves, this.past, found) : [];
  }

  termNames() {
    return Object.keys(this.film[this.at]?.terms ?? {}).join();
  }

  words(state) {
    const parts = [t('learn.step', {step: state.step})];
    if (state.counted) {
      const {modes, of, quality} = state.counted;
      parts.push(t('learn.modes', {modes, of, quality: Math.round(100 * quality)}));
    }
    if (state.pull != null) parts.push(t('learn.pull', {pull: state.pull.toPrecision(2)}));
    if (state.kl != null) parts.push(t('learn.kl', {kl: state.kl.toFixed(2)}));
    if (state.widths) parts.push(t('learn.widths', {widths: state.widths.map((v) => v.toFixed(2)).join(', ')}));
    return parts.join(' · ');
  }
}
