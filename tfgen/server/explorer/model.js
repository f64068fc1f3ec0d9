// What a model is, by what it serves.

const KINDS = ['image', 'audio', 'point', 'symbols'];

// The description of a model, or a Refused.
// Signatures that tell something of a picture.
export const INSPECTED = ['reconstruct', 'log_prob', 'elbo', 'classify', 'score'];

export async function describe(client, name, info) {
  const signatures = await client.signatures(name);
  const inputs = {}, outputs = {};
  for (const {inputs: i, outputs: o} of Object.values(signatures)) {
    Object.assign(inputs, i);
    Object.assign(outputs, o);
  }
  const tensors = {...outputs, ...inputs};
  const kind = KINDS.find((key) => key in tensors) || '';
  const spec = info?.spec || {};
  const around = info ? await client.surroundings(name) : {};
  const model = {
    name, info, signatures, kind, around,
    shape: kind ? tensors[kind].shape.slice(1) : [],
    zSize: inputs.z ? inputs.z.shape[1] : 0,
    conditional: 'label' in inputs,
    classes: [],
    palette: spec.palette || null,
    binary: spec.levels === 2 && !spec.palette,
    has: (signature) => signature in signatures,
    // A model that draws value after value can show how it did.
    inOrder: 'complete' in signatures && 'log_prob' in signatures,
  };
  if (model.conditional) {
    model.classes = spec.class_names?.length ? spec.class_names : await classes(client, model);
  }
  return model;
}

// Names of classes of a server that does not tell them: it tells their number
// to whom asks for one that there is not.
async function classes(client, model) {
  const [signature] = Object.entries(model.signatures)
    .find(([, s]) => 'label' in s.inputs && 'seed' in s.inputs && Object.keys(s.inputs).length === 2) || [];
  try {
    if (signature) await client.predict(model, signature, {seed: [0], label: [-1]});
  } catch (error) {
    const found = /label must be in 0\.\.(\d+)/.exec(error.message);
    if (!found) throw error;
    return Array.from({length: Number(found[1]) + 1}, (_, k) => String(k));
  }
  return ['0'];
}

// Inputs of a signature by name: those that it takes of `given`, for `rows`.
export function inputsOf(model, signature, rows, given) {
  const taken = Object.keys(model.signatures[signature].inputs);
  const inputs = {};
  for (const name of taken) {
    if (!(name in given)) continue;
    const value = given[name];
    inputs[name] = Array.isArray(value) ? value : Array(rows).fill(value);
  }
  return inputs;
}

// Standard normal numbers of a whole number, the same on every machine.
export function normals(seed, count) {
  let state = seed >>> 0;
  const uniform = () => { // mulberry32
    state = (state + 0x6D2B79F5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    return (((t ^ (t >>> 14)) >>> 0) + 0.5) / 2 ** 32;
  };
  return Array.from({length: count}, () => {
    const radius = Math.sqrt(-2 * Math.log(uniform()));
    return Number((radius * Math.cos(2 * Math.PI * uniform())).toFixed(2));
  });
}
