// What is shown, as it stands in the address.

const PAUSE = 200; // milliseconds: browsers refuse an address that changes faster
const values = new URLSearchParams(location.hash.slice(1));

let timer = null;

export function get(key, otherwise = '') {
  return values.get(key) ?? otherwise;
}

// An address may be mistyped: what it cannot mean counts as not there.
export function number(key, otherwise, least, most) {
  const value = values.has(key) ? Number(get(key)) : NaN;
  return value >= least && value <= most ? value : otherwise;
}

export function whole(key, otherwise, least = 0, most = Number.MAX_SAFE_INTEGER) {
  const value = number(key, otherwise, least, most);
  return Number.isInteger(value) ? value : otherwise;
}

export const seed = (key = 'seed', otherwise = 0) => whole(key, otherwise, Number.MIN_SAFE_INTEGER);
export const label = (model) => whole('label', 0, 0, model.classes.length - 1);

// A code; no model takes larger numbers.
export function code(key, size) {
  if (!values.has(key)) return null;
  const found = get(key).split(',').map(Number);
  return found.length === size && found.every((v) => Math.abs(v) <= 100) ? found : null;
}

// Puts values into the address; '' or null takes one out.
export function set(changes) {
  for (const [key, value] of Object.entries(changes)) {
    if (value === null || value === '') values.delete(key);
    else values.set(key, value);
  }
  timer ??= setTimeout(write, PAUSE);
}

// What is set from here on is what the browser's Back comes back from.
export function turn() {
  write();
  history.pushState(null, '', location.hash);
}

export function write() {
  clearTimeout(timer);
  timer = null;
  history.replaceState(null, '', `#${values}`);
}

addEventListener('pagehide', write);

const ALWAYS = ['lang', 'smooth']; // of the page, whatever it shows

// Takes all out that is not `kept`, and returns it.
export function clear(kept = ALWAYS) {
  const gone = Object.fromEntries([...values].filter(([key]) => !kept.includes(key)));
  for (const key of Object.keys(gone)) values.delete(key);
  return gone;
}

export function onForeignChange(act) {
  addEventListener('hashchange', () => {
    const now = new URLSearchParams(location.hash.slice(1));
    if (String(now) === String(values)) return;
    clearTimeout(timer);
    timer = null;
    clear([]);
    for (const [key, value] of now) values.set(key, value);
    act();
  });
}
