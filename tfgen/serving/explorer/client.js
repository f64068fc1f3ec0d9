// TensorFlow Serving's REST API, as both servers speak it.

export class Refused extends Error {}

// What is asked for a panel that has been left meanwhile.
export class Left extends Error {}

const MOST_ROWS = 32; // of a request, as deploy/batching.config allows

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

  // Columns in, columns out, each by its name; many rows in several requests.
  //
  // aside: whether it is not what the request on the page should be.
  async predict(model, signature, inputs, aside = false) {
    const path = `/v1/models/${encodeURIComponent(model.name)}:predict`;
    if (!aside) {
      this.last = {path, body: {signature_name: signature, inputs}};
      this.onRequest();
    }
    const rows = Object.values(inputs)[0].length;
    let outputs = null;
    for (let start = 0; start < Math.max(rows, 1); start += MOST_ROWS) {
      const part = Object.fromEntries(Object.entries(inputs)
        .map(([name, values]) => [name, values.slice(start, start + MOST_ROWS)]));
      const found = await this.ask(model, path, {signature_name: signature, inputs: part});
      for (const name of Object.keys(outputs || {})) outputs[name].push(...found[name]);
      outputs ??= found;
    }
    return outputs;
  }

  async ask(model, path, body) {
    const answer = await this.json(path, {method: 'POST', body: JSON.stringify(body)});
    const names = Object.keys(model.signatures[body.signature_name].outputs);
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

// A client for as long as `signal` lasts.
export function during(client, signal) {
  const require = () => { if (signal.aborted) throw new Left(); };
  return {
    async predict(...inputs) {
      require();
      const found = await client.predict(...inputs);
      require();
      return found;
    },
  };
}

const quoted = (text) => `'${text.replaceAll("'", String.raw`'\''`)}'`;

export function asCurl(server, {path, body}) {
  return `curl ${quoted((server || location.origin) + path)} -d @- <<'JSON'\n${JSON.stringify(body)}\nJSON`;
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
