// The page: models as tabs, and what can be done with one.

import {asCurl, asPython, Client} from './client.js';
import {closer} from './closer.js';
import {codes} from './codes.js';
import {complete} from './complete.js';
import {learn} from './learn.js';
import {forget, job, say} from './jobs.js';
import {describe} from './model.js';
import {lines, points, sounds} from './others.js';
import {h, tabs} from './page.js';
import {samples} from './samples.js';
import * as state from './state.js';
import {language, t} from './words.js';

// From another host, ?server=http://host:8501&models=one,two says where.
const query = new URLSearchParams(location.search);
const client = new Client((query.get('server') || '').replace(/\/$/, ''));
const byId = (id) => document.getElementById(id);
const KINDS = {image: 'pictures of', audio: 'sounds of samples', point: 'points of dimension', symbols: 'lines of letters'};
const LEARN = '*'; // the tab of trainings; no model has this name
let known = [], learns = false, model = null, leave = new AbortController();

// key, name, whether a model has it, what makes it
const PANELS = [
  ['samples', 'Samples', (m) => m.kind === 'image' && m.has('sample'), samples],
  ['sounds', 'Sounds', (m) => m.kind === 'audio' && m.has('sample'), sounds],
  ['points', 'Points', (m) => m.kind === 'point' && m.has('sample'), points],
  ['lines', 'Lines', (m) => m.kind === 'symbols' && m.has('sample'), lines],
  ['complete', 'Complete', (m) => m.kind === 'image' && m.has('complete'), complete],
  ['codes', 'Codes', (m) => m.kind === 'image' && m.has('decode'), codes],
  ['closer', 'Draw and inspect', (m) => m.kind === 'image'
    && ['reconstruct', 'log_prob', 'elbo', 'classify', 'score'].some(m.has), closer],
];

function open(key, changes = {}) {
  state.turn();
  state.set({panel: key, ...changes});
  show();
}

function show() {
  const {signal} = leaving();
  const able = PANELS.filter(([, , can]) => can(model));
  const chosen = able.find(([key]) => key === state.get('panel')) || able[0];
  byId('request').hidden = !chosen;
  if (!chosen) {
    byId('panels').replaceChildren();
    byId('panel').replaceChildren();
    say('This page cannot show any signature of this model.');
    return;
  }
  tabs(byId('panels'), able.map(([key, name]) => [key, name]), chosen[0], open, 'panel');
  // A panel that has been left asks nothing more, and leaves the address alone.
  const panel = {
    client: client.during(signal), model, open,
    set: (changes) => { if (!signal.aborted) state.set(changes); },
  };
  byId('panel').setAttribute('aria-labelledby', `panels-${chosen[0]}`);
  const hint = h('p', {class: 'note'}, t(`try.${chosen[0]}`));
  byId('panel').replaceChildren(hint, ...chosen[3](panel).flat(Infinity).filter(Boolean));
}

function leaving() {
  leave.abort();
  forget();
  leave = new AbortController();
  return leave;
}

function choose(name) {
  const {signal} = leaving();
  const now = name === LEARN ? state.get('view') === 'learn' : state.get('model', name) === name && !state.get('view');
  if (!now) state.clear();
  state.set(name === LEARN ? {view: 'learn'} : {model: name});
  const items = [...(learns ? [[LEARN, t('learn')]] : []), ...known.map((m) => [m.name, m.name])];
  tabs(byId('models'), items, name, (other) => {
    state.turn();
    choose(other);
  }, 'panel');
  byId('request').hidden = name === LEARN;
  // Nothing of the model before, while this one is asked what it is.
  byId('panels').replaceChildren();
  byId('panel').replaceChildren();
  for (const id of ['name', 'about', 'facts']) byId(id).textContent = '';
  byId('card').hidden = true;
  document.documentElement.lang = language();
  byId('link').textContent = t('page.link');
  document.title = `${name === LEARN ? t('learn') : name} - tfgen`;
  if (name === LEARN) {
    byId('panel').setAttribute('aria-busy', 'false');
    byId('panel').setAttribute('aria-labelledby', `models-${LEARN}`);
    byId('panel').replaceChildren(...learn({client: client.during(signal), signal}));
    return;
  }
  byId('panel').setAttribute('aria-busy', 'true');
  meet(name, signal);
}

const spoken = (key) => (t(key) === key ? '' : t(key));

// Asks a model what it is, and shows it.
const meet = job(async (name, signal) => {
  try {
    model = await describe(client.during(signal), name, known.find((m) => m.name === name)?.info);
  } finally {
    if (!signal.aborted) byId('panel').setAttribute('aria-busy', 'false');
  }
  const {info} = model;
  if (info?.model) {
    // (A model of one's own has no name here.)
    byId('name').textContent = spoken(`name.${info.model}`) || info.model;
    byId('about').textContent = spoken(`about.${info.model}`);
    document.title = `${byId('name').textContent}: ${name} - tfgen`;
  }
  const {card} = model.around;
  byId('card').hidden = !card;
  byId('card').open = false;
  byId('card').firstChild.textContent = t('page.card');
  byId('card').lastChild.textContent = card || '';
  byId('facts').textContent = [
    info?.preset && `preset ${info.preset}, step ${info.step}`,
    info?.spec && `data ${info.spec.name}`,
    model.kind && `${KINDS[model.kind]} ${model.shape.join(' x ')}`,
    model.zSize && `code of ${model.zSize}`,
  ].filter(Boolean).join(' · ');
  show();
});

function showRequest() {
  const {value} = document.querySelector('input[name=language]:checked');
  const {last} = client.shown;
  if (!last) return '';
  const text = (value === 'curl' ? asCurl : asPython)(client.server, last);
  byId('code').textContent = text.length > 4000 ? `${text.slice(0, 4000)} ... (copied whole)` : text;
  return text;
}

const copy = job(async () => {
  const text = showRequest();
  // (A page that does not come from this machine has no clipboard without TLS.)
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(text);
    say('Copied.');
    return;
  }
  byId('code').textContent = text;
  getSelection().selectAllChildren(byId('code'));
  say('This browser does not allow copying. The whole request is selected below.');
});

// The address holds all that is shown.
const link = job(async () => {
  state.write();
  if (!navigator.clipboard) {
    say(location.href);
    return;
  }
  await navigator.clipboard.writeText(location.href);
  say(t('page.copied'));
});

async function begin() {
  const offers = await client.offers(), listed = offers?.models;
  learns = Boolean(offers?.learn);
  const named = (query.get('models') || '').split(',').filter(Boolean);
  known = listed || named.map((name) => ({name}));
  byId('server').textContent = client.server || location.host;
  if (!known.length && !learns) {
    byId('panel').setAttribute('aria-busy', 'false');
    say(listed ? 'This server has no model yet. Export one into its folder and reload this page.'
      : 'This server does not list its models. Add ?models=NAME,... to the address.', true);
    return;
  }
  chooseAsAddressed();
}

// The model of the largest pictures; the first one of several.
function largest() {
  const size = ({info}) => (info?.spec?.height || 0) * (info?.spec?.width || 0);
  return known.reduce((best, one) => (size(one) > size(best) ? one : best));
}

function chooseAsAddressed() {
  const wanted = state.get('model');
  if (learns && (state.get('view') === 'learn' || !known.length)) choose(LEARN);
  else choose(known.some((m) => m.name === wanted) ? wanted : largest().name);
}

client.shown.act = () => { if (byId('request').open) showRequest(); };
byId('request').ontoggle = showRequest;
document.querySelectorAll('input[name=language]').forEach((radio) => { radio.onchange = showRequest; });
byId('copy').onclick = copy;
byId('link').onclick = link;
state.onForeignChange(() => { if (known.length || learns) chooseAsAddressed(); });
begin();
