/* Runs the kernel in a worker, so that the page stays fluid; where there is none, on the page. */
(() => {
  "use strict";

  const live = (globalThis.cifarcamLive ??= {});
  const data = new URL("data/", document.currentScript.src);
  live.networks ??= {};

  /* The worker's side: answers messages {id, job, key, ...} through `send(message, transferred)`.
     Without free variables, as the kernel. */
  const serve = (kernel, send) => {
    const SLICE = 12; // milliseconds of a long job, before other messages get their turn
    const networks = {};
    const newest = {}; // the number of the newest long job, by kind and network

    const buffersIn = (value) => {
      if (ArrayBuffer.isView(value)) return [value.buffer];
      return value && typeof value === "object" ? Object.values(value).flatMap(buffersIn) : [];
    };

    const guarded = (id, work) => {
      try {
        work();
      } catch (error) {
        send({ id, error: error.message }, []);
      }
    };

    const finish = (id, result) => send({ id, result }, buffersIn(result));

    const goOn = (id, job, key, going) => guarded(id, () => {
      if (newest[`${job} ${key}`] !== id) return finish(id, null);
      const end = Date.now() + SLICE;
      let step = going.next();
      while (!step.done && Date.now() < end) step = going.next();
      if (step.done) return finish(id, step.value);
      send({ id, share: step.value }, []);
      return setTimeout(() => goOn(id, job, key, going));
    });

    return ({ id, job, key, network, pixels, options }) => guarded(id, () => {
      if (job === "load") {
        kernel.network(network).then(
          (net) => {
            networks[key] = net;
            finish(id, null);
          },
          (error) => send({ id, error: error.message }, []),
        );
      } else if (job in kernel.slowly) {
        newest[`${job} ${key}`] = id;
        goOn(id, job, key, kernel.slowly[job](networks[key], pixels, options));
      } else finish(id, kernel[job](networks[key], pixels, options));
    });
  };

  /* ---- the page's side ---- */

  const open = new Map(); // by number: {resolve, reject, onprogress}
  let count = 0;

  const receive = ({ id, result, share, error }) => {
    const call = open.get(id);
    if (share !== undefined) return call.onprogress?.(share);
    open.delete(id);
    return error === undefined ? call.resolve(result) : call.reject(new Error(error));
  };

  const onPage = () => {
    const handle = serve(live.kernel, (message) => receive(message));
    return (message) => setTimeout(() => handle(message));
  };

  const inWorker = () => {
    const text = `"use strict";
      const handle = (${serve})(${live.kernelText}, (message, buffers) => postMessage(message, buffers));
      onmessage = (event) => handle(event.data);
      postMessage("ready");`;
    const address = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
    return new Promise((resolve) => {
      const refuse = () => resolve(onPage());
      try {
        const worker = new Worker(address);
        worker.onerror = (event) => {
          event.preventDefault();
          refuse();
        };
        worker.onmessage = (event) => {
          if (event.data !== "ready") receive(event.data);
          else resolve((message, buffers) => worker.postMessage(message, buffers));
        };
      } catch {
        refuse();
      }
    }).finally(() => URL.revokeObjectURL(address));
  };

  let opened = null;

  const call = async (job, message, buffers = [], onprogress = null) => {
    const post = await (opened ??= inWorker());
    return new Promise((resolve, reject) => {
      const id = count++;
      open.set(id, { resolve, reject, onprogress });
      post({ id, job, ...message }, buffers);
    });
  };

  /* ---- networks ---- */

  const loaded = {}; // by key: a promise of the network's title

  const addScript = (source) =>
    new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = new URL(source, data);
      script.onload = resolve;
      script.onerror = () => reject(new Error("this network's file is missing beside the page"));
      document.head.append(script);
    });

  const fetched = async (key) => {
    const network = live.data.networks.find((one) => one.key === key);
    if (!network) throw new Error(`there is no network ${key} here`);
    if (!live.networks[key]) await addScript(network.script);
    await call("load", { key, network: live.networks[key] });
    return network.title;
  };

  const load = (key) => {
    loaded[key] ??= fetched(key).catch((error) => {
      delete loaded[key]; // so that it can be tried again
      throw error;
    });
    return loaded[key];
  };

  const ask = (job) => async (key, pixels, options, onprogress = null) => {
    const copy = Float32Array.from(pixels);
    await load(key);
    return call(job, { key, pixels: copy, options }, [copy.buffer], onprogress);
  };

  const newest = {}; // by key: the number of the newest answer asked for
  const askForAnswer = ask("answer");

  /* Null where a newer answer of the same network was asked for meanwhile. */
  const answer = async (key, pixels, options) => {
    const number = (newest[key] = (newest[key] ?? 0) + 1);
    const result = await askForAnswer(key, pixels, options);
    return number === newest[key] ? result : null;
  };

  live.engine = {
    load,
    answer,
    inside: ask("inside"),
    deletion: ask("deletion"),
    occlusion: ask("occlusion"),
  };
})();
