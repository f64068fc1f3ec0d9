// The page: models as tabs, and what can be done with one.

import {asCurl, asPython, Client} from './client.js';
import {closer} from './closer.js';
import {codes} from './codes.js';
import {complete} from './complete.js';
import {learn} from './learn.js';
import {forget, job, say} from './jobs.js';
import {describe, INSPECTED} from './model.js';
import {button, choice, h, labelled, tabs} from './page.js';
import {points} from './points.js';
import {run} from './run.js';
import {samples} from './samples.js';
import {sounds} from './sounds.js';
import * as state from './state.js';
import {lines} from './text_lines.js';
import {language, named, NAMES, t} from './words.js';

// From another host, ?server=http://host:8501&models=one,two says where.
const query = new URLSearchParams(location.search);
const client = new Client((query.get('server') || '').replace(/\/$/, ''));
const byId = (id) => document.getElementById(id);
// Tabs that are no models, and their `view` in the address; no model has these
// names.
const VIEWS = {'@': 'run', '*': 'learn'};
const MAKERS = {run, learn};
const left = new Map(); // tab -> its state when it was left
let known = [], views = [], model = null, leave = new AbortController();

// key, whether a model has it, what makes it
const PANELS = [
  ['samples', (m) => m.kind === 'image' && m.has('sample'), samples],
  ['sounds', (m) => m.kind === 'audio' && m.has('sample'), sounds],
  ['points', (m) => m.kind === 'point' && m.has('sample'), points],
  ['lines', (m) => m.kind === 'symbols' && m.has('sample'), lines],
  ['complete', (m) => m.kind === 'image' && m.has('complete'), complete],
  ['codes', (m) => m.kind === 'image' && m.has('decode'), codes],
  ['closer', (m) => m.kind === 'image'
    && INSPECTED.some(m.has), closer],
];

function open(key, changes = {}) {
  state.turn();
  state.set({panel: key, ...changes});
  show();
}

function show() {
  const {signal} = leaving();
  const able = PANELS.filter(([, can]) => can(model));
  const chosen = able.find(([key]) => key === state.get('panel')) || able[0];
  byId('request').hidden = !chosen;
  if (!chosen) {
    byId('panels').replaceChildren();
    byId('panel').replaceChildren();
    say(t('page.nothing'));
    return;
  }
  tabs(byId('panels'), able.map(([key]) => [key, t(`panel.${key}`)]), chosen[0], open, 'panel');
  // A panel that has been left asks nothing more, and leaves the address alone.
  const panel = {
    client: client.during(signal), model, open,
    set: (changes) => { if (!signal.aborted) state.set(changes); },
  };
  byId('panel').setAttribute('aria-labelledby', `panels-${chosen[0]}`);
  const hint = h('p', {class: 'note'}, t(hintOf(chosen[0])));
  byId('panel').replaceChildren(hint, ...chosen[2](panel).flat(Infinity).filter(Boolean));
}

// Something to try in a panel, with what the model can do.
function hintOf(panel) {
  if (panel === 'samples' && !(model.has('encode') && model.has('interpolate'))) return model.has('complete') ? 'try.samples.complete' : 'try.samples.inspect';
  if (panel === 'closer' && !model.has('elbo') && !model.has('log_prob')) return /GAN$/.test(model.info?.model ?? '') && model.has('score') ? 'try.closer.score' : 'try.closer.inspect';
  if (panel === 'codes' && (!model.around.codes || model.conditional)) return 'try.codes.draw';
  if (panel === 'points' && model.has('responsibilities')) return 'try.points.mixture';
  return `try.${panel}`;
}

function leaving() {
  leave.abort();
  forget();
  leave = new AbortController();
  return leave;
}

function choose(name) {
  const {signal} = leaving(), view = VIEWS[name];
  const before = Object.keys(VIEWS).find((key) => VIEWS[key] === state.get('view')) ?? state.get('model', name);
  if (before !== name) {
    // A tab that is opened again is as it was left.
    left.set(before, state.clear());
    state.set(left.get(name) || {});
  }
  state.set(view ? {view} : {model: name});
  const items = [...views.map((key) => [key, t(VIEWS[key])]), ...known.map((m) => [m.name, m.name])];
  tabs(byId('models'), items, name, (other) => {
    state.turn();
    choose(other);
  }, 'panel');
  byId('request').hidden = Boolean(view);
  // Nothing of the model before, while this one is asked what it is.
  byId('panels').replaceChildren();
  byId('panel').replaceChildren();
  for (const id of ['name', 'about', 'facts']) byId(id).textContent = '';
  byId('card').hidden = true;
  byId('intro').hidden = Boolean(view); // it tells to open Learn
  speak();
  document.title = `${view ? t(view) : name} - tfgen`;
  if (view) {
    byId('panel').setAttribute('aria-busy', 'false');
    byId('panel').setAttribute('aria-labelledby', `models-${name}`);
    byId('panel').replaceChildren(...MAKERS[view]({client: client.during(signal), signal}));
    return;
  }
  byId('panel').setAttribute('aria-busy', 'true');
  meet(name, signal);
}

// The words around a panel.
function speak() {
  document.documentElement.lang = language();
  for (const [id, key] of [['copy', 'page.copy'], ['again', 'page.again']]) byId(id).textContent = t(key);
  byId('request').firstElementChild.textContent = t('page.request');
  byId('intro').textContent = t('page.intro');
  byId('models').setAttribute('aria-label', t('page.models'));
  byId('panels').setAttribute('aria-label', t('page.panels'));
  const smooth = h('input', {type: 'checkbox', checked: state.get('smooth') === '1', onchange: ({target}) => {
    state.set({smooth: target.checked ? 1 : null});
    document.body.classList.toggle('smooth', target.checked);
  }});
  document.body.classList.toggle('smooth', smooth.checked);
  byId('tools').replaceChildren(
    button(t('page.link'), link), labelled(smooth, t('page.smooth')),
    choice(Object.entries(NAMES), language(), (lang) => {
      state.set({lang: lang === 'en' ? null : lang});
      chooseAsAddressed();
    }, {'aria-label': t('page.language')}));
}

// The points of a card: - **name**: text.
const pointsOf = (card) => [...card.matchAll(/^- \*\*(.*?)\*\*: (.*)$/gm)]
  .flatMap(([, name, text]) => [h('dt', {}, name), h('dd', {}, text.replaceAll('`', ''))]);

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
    const kind = named(`name.${info.model}`, info.model);
    byId('name').textContent = model.conditional ? t('name.conditional', {name: kind}) : kind;
    byId('about').textContent = named(`about.${info.model}`, '');
    document.title = `${byId('name').textContent}: ${name} - tfgen`;
  }
  const {card} = model.around;
  byId('card').hidden = !card;
  byId('card').open = false;
  byId('card').firstChild.textContent = t('page.card');
  byId('card').lastChild.replaceChildren(...pointsOf(card || ''));
  const figure = /\*\*Figure\*\*: (.*?) \(/.exec(card || '')?.[1];
  byId('facts').textContent = [
    info?.preset && t('facts.preset', {preset: info.preset, step: info.step}),
    info?.spec && t('facts.data', {data: info.spec.name}),
    model.kind && t(`facts.${model.kind}`, {shape: model.shape.join(' x ')}),
    model.zSize && t('facts.code', {size: model.zSize}),
    figure,
  ].filter(Boolean).join(' · ');
  show();
});

function showRequest() {
  const {value} = document.querySelector('input[name=language]:checked');
  const {last} = client.shown;
  if (!last) return '';
  const text = (value === 'curl' ? asCurl : asPython)(client.server, last);
  byId('code').textContent = text.length > 4000 ? `${text.slice(0, 4000)} ... ${t('page.whole')}` : text;
  return text;
}

const copy = job(async () => {
  const text = showRequest();
  // (A page that does not come from this machine has no clipboard without TLS.)
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(text);
    say(t('page.copied'));
    return;
  }
  byId('code').textContent = text;
  getSelection().selectAllChildren(byId('code'));
  say(t('page.select'));
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
  views = Object.keys(VIEWS).filter((key) => offers?.[VIEWS[key]]);
  const named = (query.get('models') || '').split(',').filter(Boolean);
  // The largest pictures first, and of these the models that take a label; else
  // the order is that of the server.
  const rank = ({info}) => 2 * (info?.spec?.height || 0) * (info?.spec?.width || 0) + Number(info?.fields?.conditional ?? 0);
  known = listed?.toSorted((one, other) => rank(other) - rank(one)) || named.map((name) => ({name}));
  byId('server').textContent = client.server || location.host;
  if (!known.length && !views.length) {
    byId('panel').setAttribute('aria-busy', 'false');
    say(t(listed ? 'page.empty' : 'page.unlisted'), true);
    return;
  }
  chooseAsAddressed();
}

function chooseAsAddressed() {
  const wanted = state.get('model');
  const view = views.find((key) => VIEWS[key] === state.get('view'));
  if (view) choose(view);
  else if (known.some((m) => m.name === wanted)) choose(wanted);
  else choose(views.includes('@') || !known.length ? views[0] : known[0].name);
}

client.shown.act = () => { if (byId('request').open) showRequest(); };
byId('request').ontoggle = showRequest;
document.querySelectorAll('input[name=language]').forEach((radio) => { radio.onchange = showRequest; });
byId('copy').onclick = copy;
state.onForeignChange(() => { if (known.length || views.length) chooseAsAddressed(); });
begin();
