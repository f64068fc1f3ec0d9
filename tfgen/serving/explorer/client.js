// TensorFlow Serving's REST API, as both servers speak it.

export class Refused extends Error {}

export class Client {
  // server: '' for the one that the page came from, or http://host:port.
  constructor(server) {
    this.server = server;
    this.last = null; // {path, body} of the newest request for an answer
    this.onRequest = () => {};
  }

  async json(path, options) {
    let answer;
    try {
      answer = await fetch(this.server + path, options);
    } catch {
      throw new Refused(`no answer from ${this.server || location.origin}`);
    }
    const text = await answer.text();
    // A number that is none is no JSON, but the servers write it.
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

  // [{name, info}] of the local server; null of one that cannot say.
  async models() {
    try {
      return await this.json('/explorer/models');
    } catch {
      return null;
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

  // Columns in, columns out, each by its name.
  async predict(model, signature, inputs) {
    const body = {signature_name: signature, inputs};
    const path = `/v1/models/${encodeURIComponent(model.name)}:predict`;
    this.last = {path, body};
    this.onRequest();
    const answer = await this.json(path, {method: 'POST', body: JSON.stringify(body)});
    const names = Object.keys(model.signatures[signature].outputs);
    return names.length > 1 ? answer.outputs : {[names[0]]: answer.outputs};
  }
}

// Runs `work` for the newest value alone: what came in between is left out.
export function latest(work) {
  let busy = false, waiting = null;
  return async function run(...values) {
    if (busy) {
      waiting = values;
      return;
    }
    busy = true;
    try {
      await work(...values);
    } finally {
      busy = false;
      if (waiting) {
        const next = waiting;
        waiting = null;
        run(...next);
      }
    }
  };
}

export function asCurl(server, {path, body}) {
  const text = JSON.stringify(body).replaceAll("'", String.raw`'\''`);
  return `curl ${server || location.origin}${path} \\\n  -d '${text}'`;
}

export function asPython(server, {path, body}) {
  return [
    'import json, urllib.request', '',
    `body = json.loads(r'''${JSON.stringify(body)}''')`,
    `url = ${JSON.stringify((server || location.origin) + path)}`,
    'request = urllib.request.Request(url, json.dumps(body).encode())',
    "print(json.load(urllib.request.urlopen(request))['outputs'])",
  ].join('\n');
}
