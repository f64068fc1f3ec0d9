// Models that learn while one watches: lessons, or a choice of one's own.

import {drawn, packPoints, unpackPoints} from './board.js';
import {job, say} from './jobs.js';
import {LESSONS} from './lessons.js';
import {button, choice, h, labelled, numberInput} from './page.js';
import * as state from './state.js';
import {Training} from './training.js';
import {named, t} from './words.js';

// A run in the address: model;data;name=value;...
const packed = ([model, data, settings]) => [model, data,
  ...Object.entries(settings).map(([name, value]) => `${name}=${value}`)].join(';');

function unpacked(text, offer) {
  const [model, data, ...pairs] = (text || '').split(';');
  const known = offer.models[model];
  if (!known?.sets.includes(data)) return null;
  const settings = {};
  for (const pair of pairs) {
    const [name, value] = pair.split('=');
    const found = known.settings[name]?.find((v) => String(v) === value);
    if (found !== undefined) settings[name] = found;
  }
  return [model, data, settings];
}

// Words that are explained beside the settings, by what a model's name begins with.
export const WORDS = {
  normal: ['nats'], gmm: ['component', 'responsibility', 'nats'],
  vae: ['code', 'prior', 'posterior', 'kl', 'bound', 'iwae'],
  gan: ['g', 'd', 'critic', 'pull'],
};
const COUNTED = ['ring', 'grid']; // sets with places

export function learn({client, signal}) {
  const top = h('div', {}), stage = h('div', {class: 'sides'});
  const title = h('h2', {}), look = h('p', {}), note = h('p', {class: 'note'});
  const points = unpackPoints(state.get('points'));
  let offer = null, trainings = [], playing = false;
  let runs = [], seed = state.seed(), every = null;
  const layers = {field: true, arrows: true, truth: false};

  const lesson = () => LESSONS.find(({key}) => key === state.get('lesson'));
  // A lesson has its own runs.
  const keep = () => state.set({
    a: lesson() ? null : packed(runs[0]), b: lesson() || !runs[1] ? null : packed(runs[1]), seed: seed || null, every,
    points: runs.some(([, data]) => data === 'drawn') && points.length ? packPoints(points) : null,
  });

  const open = job(async () => {
    say(t('learn.starting'));
    offer = await client.json('/explorer/learn');
    say('');
    // What to look for stands beside the pictures, on one screen.
    top.replaceChildren(list, h('div', {class: 'lesson'},
      h('div', {}, title, way, look, bar, film, now), stage,
      h('div', {}, note, more, words)),
    h('div', {class: 'bar'}, labelled(compare, t('learn.compare'))), settings, hand);
    const chosen = lesson(), first = LESSONS[0];
    const a = unpacked(state.get('a'), offer), b = unpacked(state.get('b'), offer);
    if (a && !chosen) runs = b ? [a, b] : [a];
    else {
      const {a: one, b: two} = chosen || first;
      runs = two ? [one, two] : [one];
      state.set({lesson: (chosen || first).key});
    }
    every = state.whole('every', 0);
    if (!offer.every.includes(every)) every = lesson()?.every ?? offer.models[runs[0][0]].every;
    choose();
    reset(lesson()?.play ?? true);
  });

  // Ends what runs, and begins anew.
  const reset = (play) => {
    trainings.forEach((one) => one.end());
    playing = play;
    keep();
    trainings = runs.map(([model, data, settings]) => new Training(client, {
      model, data, settings, seed, every, play: playing, until: lesson()?.until, points: data === 'drawn' ? points : undefined,
    }, {layers, told, beside: () => trainings, tells: lesson()?.tells, unit: unit([model, data, settings])}));
    stage.replaceChildren(...trainings.map((one, k) => {
      one.head.textContent = trainings.length > 1 ? `${t(k ? 'learn.second' : 'learn.first')}: ${named(`lesson.${lesson()?.key}.${'ab'[k]}`, special(k))}` : t(`model.${one.asked.model}`);
      return one.element;
    }));
    film.max = 0;
    film.value = 0;
    now.textContent = '';
    controls();
    if (runs.some(([, data]) => data === 'drawn') && points.length < 3) {
      say(t('learn.few'));
      trainings.forEach((one) => one.end());
      return;
    }
    trainings.forEach(async (one) => {
      await job(() => one.start(signal))();
      if (one.id) await one.followed().catch((error) => say(error.message, true));
      one.ended ??= {kind: 'end'};
      if (trainings.includes(one)) told();
    });
  };

  // Of the loss: curves in one unit have one scale. All but those of GANs are in nats.
  const unit = (run) => (run[0].startsWith('gan') ? valueOf(run, 'loss') : 'nats');

  // The value of a setting: the chosen one, or the default.
  const valueOf = ([model, , own], name) => (name in own ? own[name] : offer.models[model].settings[name][0]);

  // What a run has and the other one has not.
  const special = (k) => {
    const [mine, other] = [runs[k], runs[1 - k]];
    if (mine[0] !== other[0]) return t(`model.${mine[0]}`);
    const names = Object.keys(offer.models[mine[0]].settings).filter((name) => valueOf(mine, name) !== valueOf(other, name) && valueOf(mine, name) !== null);
    if (mine[1] !== other[1]) return t(`set.${mine[1]}`);
    return names.map((name) => `${name.replaceAll('_', ' ')} ${String(valueOf(mine, name)).replaceAll('_', ' ')}`).join(', ') || t(`model.${mine[0]}`);
  };

  const all = (what, which = trainings) => Promise.all(which.map((one) => one.quietly(what)));
  const toggle = job(async () => {
    playing = !playing;
    film.value = film.max;
    follow();
    // The first of two that has arrived waits for the other.
    const behind = trainings.filter((one) => !one.waits && !one.ended);
    const going = playing && behind.length ? behind : trainings;
    if (playing) going.forEach((one) => { one.waits = false; });
    await all({do: playing ? 'play' : 'pause'}, going);
    controls();
  });
  const once = job(async () => {
    playing = false;
    film.value = film.max;
    follow();
    trainings.forEach((one) => { one.waits = false; });
    await all({do: 'step'});
    controls();
  });

  // The film.
  const told = () => {
    const last = Math.max(0, ...trainings.map((one) => one.film.length - 1));
    const followed = Number(film.value) >= Number(film.max);
    film.max = last;
    if (followed) film.value = last;
    trainings.forEach((one) => one.show(one.at)); // they may share a scale
    if (playing && trainings.every((one) => one.waits || one.ended)) {
      playing = false;
      controls();
      if (trainings.every((one) => one.waits)) now.textContent = t('learn.arrived');
    }
  };
  const follow = () => {
    const at = Number(film.value), last = Number(film.max);
    trainings.forEach((one) => {
      one.following = at >= last;
      one.show(one.following ? one.film.length - 1 : at);
    });
    now.textContent = at >= last ? '' : t('learn.earlier');
  };
  const now = h('output', {});
  const film = h('input', {type: 'range', min: 0, max: 0, value: 0, 'aria-label': t('learn.film'), oninput: follow});
  const bar = h('div', {class: 'bar'});
  const more = h('div', {class: 'bar'});
  const controls = () => {
    bar.replaceChildren(
      button(t(playing ? 'learn.pause' : 'learn.play'), toggle, {class: 'main'}),
      button(t('learn.once'), once), button(t('learn.reset'), () => reset(playing)));
    more.replaceChildren(...offered());
  };
  const offered = () => [
    labelled(t('learn.every'), choice(offer.every.map((v) => [String(v), String(v)]), String(every), (value) => {
      every = Number(value);
      keep();
      all({do: 'every', value: every});
    })),
    labelled(t('learn.seed'), numberInput(seed, (value) => { seed = value; reset(playing); }, 0, 2 ** 31 - 1)),
    ...shown().map(layer)];
  // The layers that these models have.
  const shown = () => {
    const has = (name) => runs.some(([model, data]) => data !== 'digits' && data !== 'bells' && (
      name === 'truth' ? !['drawn', 'far_line', 'two_lines'].includes(data) : name === 'field' ? !model.startsWith('vae') : model.startsWith('gan')));
    return Object.keys(layers).filter(has);
  };
  const layer = (name) => labelled(h('input', {type: 'checkbox', checked: layers[name], onchange: ({target}) => {
    layers[name] = target.checked;
    trainings.forEach((one) => one.show(one.at));
  }}), t(`learn.${name}`));

  // Lessons and choices.
  const href = (key) => `#view=learn&lesson=${key}${['lang', 'smooth'].map((name) => (state.get(name) ? `&${name}=${state.get(name)}` : '')).join('')}`;
  const lessons = h('ol', {class: 'lessons'}, LESSONS.map(({key}) => h('li', {}, h('a', {href: href(key), 'data-lesson': key}, t(`lesson.${key}`)))));
  const list = h('details', {open: true}, h('summary', {}, t('learn.lessons')), h('p', {}, t('learn.about')), lessons);
  const way = h('p', {class: 'way'}); // to the lesson before, and to the next one
  const settings = h('div', {class: 'sides'});
  const pick = (k, changes) => {
    const [model, data, own] = runs[k];
    runs[k] = [model, data, own];
    changes(runs[k]);
    const known = offer.models[runs[k][0]];
    if (!known.sets.includes(runs[k][1])) runs[k][1] = known.sets[0];
    runs[k][2] = Object.fromEntries(Object.entries(runs[k][2]).filter(([name]) => name in known.settings));
    state.set({lesson: null});
    choose();
    reset(playing);
  };
  const choose = () => {
    settings.replaceChildren(...runs.map(([model, data, own], k) => {
      const known = offer.models[model];
      return h('fieldset', {}, h('legend', {}, t(k ? 'learn.second' : 'learn.first')),
        labelled(t('learn.model'), choice(Object.keys(offer.models).map((m) => [m, t(`model.${m}`)]), model,
          (value) => pick(k, (run) => { run[0] = value; }))),
        labelled(t('learn.data'), choice(known.sets.map((s) => [s, t(`set.${s}`)]), data,
          (value) => pick(k, (run) => { run[1] = value; }))),
        Object.entries(known.settings).map(([name, values]) => labelled(name.replaceAll('_', ' '), choice(
          values.map((v) => [String(v), v === null ? '-' : String(v)]), String(name in own ? own[name] : values[0]),
          (value) => pick(k, (run) => { run[2] = {...run[2], [name]: values.find((v) => String(v) === value)}; })))));
    }));
    const used = runs.flatMap(([model, data]) => [
      ...WORDS[model.split(' ')[0]], ...(COUNTED.includes(data) ? ['place'] : []), ...(data === 'digits' ? ['sharpness'] : [])]);
    const free = runs.flatMap(([model]) => Object.keys(offer.models[model].settings));
    words.lastChild.replaceChildren(
      ...[...new Set(used)].flatMap((name) => [h('dt', {}, t(`word.${name}`)), h('dd', {}, t(`word.${name}.is`))]),
      ...[...new Set(free)].flatMap((name) => [h('dt', {}, name.replaceAll('_', ' ')), h('dd', {}, t(`help.${name}`))]));
    lessons.querySelectorAll('a').forEach((a) => {
      a.setAttribute('aria-current', a.getAttribute('data-lesson') === state.get('lesson'));
    });
    compare.checked = runs.length > 1;
    hand.hidden = !runs.some(([, data]) => data === 'drawn');
    const chosen = lesson();
    list.open = !chosen;
    const number = LESSONS.indexOf(chosen);
    title.textContent = chosen ? t('learn.lesson', {number: number + 1, of: LESSONS.length, name: t(`lesson.${chosen.key}`)}) : t('learn.own');
    const beside = [['learn.before', LESSONS[number - 1]], ['learn.next', LESSONS[number + 1]]];
    way.replaceChildren(...beside.filter(([, one]) => chosen && one).map(([key, one]) => h('a', {href: href(one.key)}, t(key))));
    look.textContent = chosen ? t(`lesson.${chosen.key}.look`) : '';
    const kind = ([model, data]) => ({digits: [data, `${model.split(' ')[0]}.${data}`], bells: [data, `${model}.${data}`]}[data] ?? [model]);
    // (That of a mixture says all that is said of a normal distribution.)
    const kinds = [...new Set(runs.flatMap(kind))].filter((key, _, all) => named(`legend.${key}`, '') && (key !== 'normal' || !all.includes('gmm')));
    note.textContent = kinds.map((key) => t(`legend.${key}`)).join(' ');
  };
  const words = h('details', {}, h('summary', {}, t('learn.words')), h('dl', {}));
  const compare = h('input', {type: 'checkbox', onchange: ({target}) => {
    runs = target.checked ? [runs[0], structuredClone(runs[0])] : [runs[0]];
    state.set({lesson: null});
    choose();
    reset(playing);
  }});

  const hand = drawn(points, () => keep());

  signal.addEventListener('abort', () => trainings.forEach((one) => one.end()));
  open();
  return [top];
}
