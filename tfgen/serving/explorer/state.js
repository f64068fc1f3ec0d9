// What is shown, as it stands in the address.

const values = new URLSearchParams(location.hash.slice(1));

export function get(key, otherwise = '') {
  return values.get(key) ?? otherwise;
}

export function number(key, otherwise) {
  const value = Number(get(key, otherwise));
  return Number.isFinite(value) ? value : otherwise;
}

export function numbers(key, count) {
  const found = get(key).split(',').map(Number);
  return found.length === count && found.every(Number.isFinite) ? found : null;
}

// Puts values into the address; '' or null takes one out.
export function set(changes) {
  for (const [key, value] of Object.entries(changes)) {
    if (value === null || value === '') values.delete(key);
    else values.set(key, value);
  }
  history.replaceState(null, '', `#${values}`);
}

// What another model's place in the address is left with.
export function keepOnly(...keys) {
  for (const key of [...values.keys()]) {
    if (!keys.includes(key)) values.delete(key);
  }
}

export function onForeignChange(act) {
  addEventListener('hashchange', () => {
    const now = new URLSearchParams(location.hash.slice(1));
    if (String(now) === String(values)) return;
    for (const key of [...values.keys()]) values.delete(key);
    for (const [key, value] of now) values.set(key, value);
    act();
  });
}
