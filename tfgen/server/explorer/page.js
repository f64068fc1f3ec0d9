// Small helpers that make the page.

import {t} from './words.js';

// h('button', {type: 'button', onclick: act}, 'text', child, ...)
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith('on')) element.addEventListener(key.slice(2), value);
    else if (key.startsWith('aria-')) element.setAttribute(key, value);
    else if (value === true) element.setAttribute(key, '');
    else if (value !== false && value != null) element.setAttribute(key, value);
  }
  element.append(...children.flat(Infinity).filter((c) => c != null));
  return element;
}

// A colour of the style sheet, as a canvas takes it.
export function ink(name) {
  const probe = document.body.appendChild(h('span'));
  probe.style.color = `var(${name})`;
  const {color} = getComputedStyle(probe);
  probe.remove();
  return color;
}

export function button(text, act, attributes = {}) {
  return h('button', {type: 'button', onclick: act, ...attributes}, text);
}

export function labelled(text, control) {
  return h('label', {}, text, control);
}

export function numberInput(value, act, min = Number.MIN_SAFE_INTEGER, max = Number.MAX_SAFE_INTEGER) {
  return h('input', {
    type: 'number', value, step: 1, min, max,
    onchange: ({target}) => {
      target.value = Math.min(max, Math.max(min, Math.round(Number(target.value))));
      act(Number(target.value));
    },
  });
}

export function choice(options, value, act, attributes = {}) {
  const select = h('select', {...attributes, onchange: (event) => act(event.target.value)},
    options.map(([key, text]) => h('option', {value: key, selected: key === value}, text)));
  select.value = value;
  return select;
}

// first: an option before those of the classes, [key, text].
export function labelChoice(model, value, act, first = null) {
  const options = model.classes.map((name, k) => [String(k), name]);
  return labelled(t('label'), choice(first ? [first, ...options] : options, value, act));
}

// A row of tabs; arrow keys move between them. act(key) makes the row anew.
export function tabs(row, items, chosen, act, controls) {
  const press = (key) => {
    if (key === chosen) return;
    act(key);
    document.getElementById(`${row.id}-${key}`)?.focus();
  };
  row.replaceChildren(...items.map(([key, text]) => h('button', {
    type: 'button', role: 'tab', id: `${row.id}-${key}`, 'aria-controls': controls,
    'aria-selected': key === chosen, tabindex: key === chosen ? 0 : -1, onclick: () => press(key),
  }, text)));
  // (On a phone the row is longer than the screen.)
  const first = row.firstElementChild, shown = row.querySelector('[aria-selected=true]');
  if (shown) row.scrollLeft = shown.offsetLeft - first.offsetLeft;
  row.onkeydown = (event) => {
    const step = {ArrowRight: 1, ArrowLeft: -1}[event.key];
    if (!step) return;
    event.preventDefault();
    const at = items.findIndex(([key]) => key === chosen);
    press(items[(at + step + items.length) % items.length][0]);
  };
}
