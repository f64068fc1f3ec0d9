// What the page is about, and what went wrong with it.

import {Left, Refused} from './client.js';
import {t} from './words.js';

const PATIENCE = 400; // milliseconds before it is called work
const jobs = new Set(); // of what is shown; the newest last
const byId = (id) => document.getElementById(id);
let said = {text: '', wrong: false};

// A function that does `work` and answers with what came of it, or null.
//
// Of what it is asked meanwhile it does the newest alone. What goes wrong is
// told, until it is asked again or forgotten.
export function job(work) {
  const mine = {busy: false, slow: false, error: null, again: null};
  let waiting = null;
  return async function run(...values) {
    if (mine.busy) {
      waiting = values;
      return null;
    }
    mine.busy = true;
    said = {text: '', wrong: false};
    const timer = setTimeout(() => { mine.slow = true; tell(); }, PATIENCE);
    let result;
    for (let given = values; given; given = waiting) {
      const asked = given;
      waiting = null;
      result = null;
      Object.assign(mine, {error: null, again: () => run(...asked)});
      jobs.delete(mine);
      jobs.add(mine);
      tell();
      try {
        result = await work(...asked);
      } catch (error) {
        if (!(error instanceof Left)) mine.error = error;
        if (!(error instanceof Left || error instanceof Refused)) console.error(error);
      }
    }
    clearTimeout(timer);
    Object.assign(mine, {busy: false, slow: false});
    tell();
    return result;
  };
}

// Whatever was under way is of no interest any more.
export function forget() {
  jobs.clear();
  say('');
}

export function say(text, wrong = false) {
  said = {text, wrong};
  tell();
}

const failed = () => [...jobs].filter(({error}) => error);

function tell() {
  const {error} = failed().at(-1) || {};
  const slow = [...jobs].some((one) => one.slow);
  const line = byId('status'), text = error?.message || said.text || (slow ? t('working') : '');
  if (line.textContent !== text) line.textContent = text;
  line.classList.toggle('wrong', Boolean(error) || said.wrong);
  byId('again').hidden = !error;
}

byId('again').onclick = () => {
  byId('panel').focus(); // the button goes
  failed().forEach(({again}) => again());
};
