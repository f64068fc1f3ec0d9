// TensorFlow Serving's REST API, as both servers speak it.

import {t} from './words.js';

export class Refused extends Error {}

// What is asked for a panel that has been left meanwhile.
export class Left extends Error {}

const MOST_ROWS = 32; // of a request, as deploy/batching.config allows
const PATIENCE = 120; // seconds

export class Client {
  // server: '' for the one that the page came from, or http://host:port.
  constructor(server) {
    this.server = server;
    this.signal = new AbortController().signal;
    // The newest request for an answer: {path, body, rows, of}.
    this.shown = {last: null, act: () => {}};
  }

  // The same client for as long as `signal` lasts: then it says Left.
  during(signal) {
    return Object.assign(Object.create(this), {signal});
  }

  async json(path, options) {
    const {signal} = this;
    let answer, text;
    try {
      signal.throwIfAborted();
      answer = await fetch(this.server + path, {
        ...options, signal: AbortSignal.any([signal, AbortSignal.timeout(1000 * PATIENCE)]),
      });
      text = await answer.text();
      signal.throwIfAborted();
    } catch (error) {
      if (signal.aborted) throw new Left();
      const late = error.name === 'TimeoutError';
      throw new Refused(t(late ? 'client.late' : 'client.silent', {server: this.server || location.origin, seconds: PATIENCE}));
    }
    // A number that is none is no JSON, but the servers write it.
    if (answer.ok && !text) return null; // nothing to tell
    const plain = text.replace(/(?<=[\[\s,:])(-?Infinity|NaN)(?=[\s,\]}])/g, 'null');
    let content;
    try {
      content = JSON.parse(plain);
    } catch {
      throw new Refused(`${path}: ${answer.status} ${text.slice(0, 80)}`);
    }
    if (!answer.ok) {
      // The place in the graph is of no use here.
      throw new Refused(String(content.error).split('\n\t [[')[0]);
    }
    return content;
  }

  // {models: [{name, info}], learn, run} of the local server; null of one that
  // cannot say.
  async offers() {
    try {
      return await this.json('/explorer/models');
    } catch {
      return null;
    }
  }

  // Of the test set: {numbers, codes}; {} of a server that cannot say.
  async surroundings(name) {
    try {
      return await this.json(`/explorer/models/${encodeURIComponent(name)}`);
    } catch (error) {
      if (error instanceof Left) throw error;
      return {};
    }
  }

  async signatures(name) {
    const found = await this.json(`/v1/models/${encodeURIComponent(name)}/metadata`);
    const all = found.metadata.signature_def.signature_def;
    const tensors = (side) => Object.fromEntries(Object.entries(side).map(([key, tensor]) => [
      key, {dtype: tensor.dtype, shape: (tensor.tensor_shape.dim || []).map((d) => Number(d.size))},
    ]));
    return Object.fromEntries(Object.entries(all)
      .filter(([key]) => !key.startsWith('__'))
      .map(([key, s]) => [key, {inputs: tensors(s.inputs), outputs: tensors(s.outputs)}]));
  }

  // Columns in, columns out, each by its name; many rows in several requests.
  //
  // aside: whether it is not what the request on the page should be.
  async predict(model, signature, inputs, aside = false) {
    const path = `/v1/models/${encodeURIComponent(model.name)}:predict`;
    const of = Object.values(inputs)[0].length;
    const names = Object.keys(model.signatures[signature].outputs);
    let outputs = null;
    for (let start = 0; start < Math.max(of, 1); start += MOST_ROWS) {
      const part = Object.fromEntries(Object.entries(inputs)
        .map(([name, values]) => [name, values.slice(start, start + MOST_ROWS)]));
      const body = JSON.stringify({signature_name: signature, inputs: part});
      if (!aside && !start) {
        this.shown.last = {path, body, rows: Math.min(of, MOST_ROWS), of};
        this.shown.act();
      }
      const answer = await this.json(path, {method: 'POST', body});
      const found = names.length > 1 ? answer.outputs : {[names[0]]: answer.outputs};
      for (const name of Object.keys(outputs || {})) outputs[name].push(...found[name]);
      outputs ??= found;
    }
    return outputs;
  }
}

const quoted = (text) => `'${text.replaceAll("'", String.raw`'\''`)}'`;

const heading = ({rows, of}) => (rows < of ? `# The first ${rows} rows of ${of}.\n` : '');

export function asCurl(server, last) {
  return `${heading(last)}curl ${quoted((server || location.origin) + last.path)} -d @- <<'JSON'\n${last.body}\nJSON`;
}

export function asPython(server, last) {
  return heading(last) + [
    'import json, urllib.request', '',
    `body = json.loads(r'''${last.body}''')`,
    `url = ${JSON.stringify((server || location.origin) + last.path)}`,
    'request = urllib.request.Request(url, json.dumps(body).encode())',
    "print(json.load(urllib.request.urlopen(request))['outputs'])",
  ].join('\n');
}
