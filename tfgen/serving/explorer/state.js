// What is shown, as it stands in the address.

const PAUSE = 200; // milliseconds: browsers refuse an address that changes faster
const values = new URLSearchParams(location.hash.slice(1));

let timer = null;

export function get(key, otherwise = '') {
  return values.get(key) ?? otherwise;
}

export function number(key, otherwise) {
  const value = Number(get(key, otherwise));
  return Number.isFinite(value) ? value : otherwise;
}

export function numbers(key, count) {
  if (!values.has(key)) return null;
  const found = get(key).split(',').map(Number);
  return found.length === count && found.every(Number.isFinite) ? found : null;
}

// Puts values into the address; '' or null takes one out.
export function set(changes) {
  for (const [key, value] of Object.entries(changes)) {
    if (value === null || value === '') values.delete(key);
    else values.set(key, value);
  }
  timer ??= setTimeout(write, PAUSE);
}

function write() {
  clearTimeout(timer);
  timer = null;
  history.replaceState(null, '', `#${values}`);
}

addEventListener('pagehide', write);

export function clear() {
  for (const key of [...values.keys()]) values.delete(key);
}

export function onForeignChange(act) {
  addEventListener('hashchange', () => {
    const now = new URLSearchParams(location.hash.slice(1));
    if (String(now) === String(values)) return;
    clearTimeout(timer);
    timer = null;
    clear();
    for (const [key, value] of now) values.set(key, value);
    act();
  });
}
