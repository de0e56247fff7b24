/* What is asked of a network: heatmaps, what builds them, deletion and occlusion.

   Definitions are those of `cifarcam.explain`. As in kernel.js, one function holds everything. */
(() => {
  "use strict";

  const live = (globalThis.cifarcamLive ??= {});

  const factory = ({ SIDE, network, run, backward }) => {
    const METHODS = ["grad-cam", "hires-cam", "layer-cam", "grad-cam++"];

    const stepOf = (net, layer) => {
      const name = layer ?? net.layers[net.layers.length - 1].name;
      const place = net.steps.findIndex((step) => step.isMap && step.name === name);
      if (place < 0) throw new Error(`the network has no layer ${name} to explain`);
      return place;
    };

    /* Gradients of scores at a step: a row for each target, its score minus that of `against`. */
    const gradientsAt = (net, place, targets, against) => {
      let gradients = new Float64Array(targets.length * net.classes);
      targets.forEach((target, row) => {
        gradients[row * net.classes + target] += 1;
        if (against !== null) gradients[row * net.classes + against] -= 1;
      });
      for (let i = net.steps.length - 1; i > place; i--) {
        gradients = backward(net.steps[i], gradients, targets.length);
      }
      return gradients;
    };

    /* The factor of each feature map, of Grad-CAM or Grad-CAM++, from one row of gradients. */
    const factorsOf = (method, { output, channels, size }, gradients, from) => {
      const factors = new Float64Array(channels);
      const sums = new Float64Array(channels);
      if (method === "grad-cam++") {
        for (let i = 0; i < size; i += channels) {
          for (let k = 0; k < channels; k++) sums[k] += output[i + k];
        }
      }
      for (let i = 0; i < size; i += channels) {
        for (let k = 0; k < channels; k++) {
          const gradient = gradients[from + i + k];
          if (method === "grad-cam") factors[k] += (gradient * channels) / size;
          else if (gradient > 0) {
            const share = 2 + sums[k] * gradient;
            if (share !== 0) factors[k] += gradient / share;
          }
        }
      }
      return factors;
    };

    /* Write over a row of gradients what each activation is multiplied by; return the factors. */
    const weigh = (method, step, gradients, from) => {
      const { channels, size } = step;
      if (!METHODS.includes(method)) throw new Error(`there is no method ${method} here`);
      if (method === "hires-cam") return null;
      if (method === "layer-cam") {
        for (let i = from; i < from + size; i++) if (gradients[i] < 0) gradients[i] = 0;
        return null;
      }
      const factors = factorsOf(method, step, gradients, from);
      for (let i = from; i < from + size; i += channels) {
        for (let k = 0; k < channels; k++) gradients[i + k] = factors[k];
      }
      return factors;
    };

    /* The two neighbours of each of `SIDE` places among `count`, with half-pixel centres. */
    const neighbours = (count) => {
      const lower = new Int32Array(SIDE);
      const upper = new Int32Array(SIDE);
      const share = new Float64Array(SIDE);
      for (let i = 0; i < SIDE; i++) {
        const place = ((i + 0.5) * count) / SIDE - 0.5;
        lower[i] = Math.max(0, Math.floor(place));
        upper[i] = Math.min(count - 1, Math.ceil(place));
        share[i] = place - Math.floor(place);
      }
      return { lower, upper, share };
    };

    /* A resize to `SIDE` x `SIDE`, bilinear: first along the rows, then along the columns. */
    const resizer = (height, width) => {
      const across = neighbours(width);
      const down = neighbours(height);
      const wide = new Float64Array(height * SIDE);
      return (map, result, to) => {
        for (let y = 0; y < height; y++) {
          for (let x = 0; x < SIDE; x++) {
            const first = map[y * width + across.lower[x]];
            const second = map[y * width + across.upper[x]];
            wide[y * SIDE + x] = first + (second - first) * across.share[x];
          }
        }
        for (let y = 0; y < SIDE; y++) {
          const [low, high] = [down.lower[y] * SIDE, down.upper[y] * SIDE];
          const share = down.share[y];
          for (let x = 0; x < SIDE; x++) {
            result[to + y * SIDE + x] = wide[low + x] + (wide[high + x] - wide[low + x]) * share;
          }
        }
      };
    };

    const resize = (map, height, width) => {
      const result = new Float32Array(SIDE * SIDE);
      resizer(height, width)(map, result, 0);
      return result;
    };

    /* The logits, the probabilities, and the heatmap of every class. */
    const answer = (net, pixels, { method = "grad-cam", layer = null, against = null } = {}) => {
      const place = stepOf(net, layer);
      const step = net.steps[place];
      const { height, width, channels, size, output } = step;
      const { logits, probabilities } = run(net, pixels);
      const targets = [...logits.keys()];
      const factors = gradientsAt(net, place, targets, against);
      const maps = new Float32Array(targets.length * SIDE * SIDE);
      const signed = new Float64Array(height * width);
      step.resize ??= resizer(height, width);
      for (let row = 0, from = 0; row < targets.length; row++, from += size) {
        weigh(method, step, factors, from);
        for (let i = 0, position = 0; i < size; i += channels, position++) {
          let sum = 0;
          for (let k = i; k < i + channels; k++) sum += output[k] * factors[from + k];
          signed[position] = sum > 0 ? sum : 0;
        }
        step.resize(signed, maps, row * SIDE * SIDE);
      }
      return { logits, probabilities, maps, height: SIDE, width: SIDE };
    };

    /* Values with channels last, rearranged: one map after another. */
    const channelByChannel = (values, channels) => {
      const positions = values.length / channels;
      const result = new Float32Array(values.length);
      for (let i = 0; i < values.length; i++) {
        result[(i % channels) * positions + Math.floor(i / channels)] = values[i];
      }
      return result;
    };

    /* The feature maps of a layer, and what each adds to the signed map of a class. */
    const inside = (net, pixels, { method = "grad-cam", layer = null, target, against = null }) => {
      const place = stepOf(net, layer);
      const step = net.steps[place];
      const { name, height, width, channels, size, output } = step;
      run(net, pixels);
      const factors = gradientsAt(net, place, [target], against).slice(0, size);
      const gradients = channelByChannel(factors, channels);
      const weights = weigh(method, step, factors, 0);
      const parts = channelByChannel(output.map((value, i) => value * factors[i]), channels);
      const positions = height * width;
      const added = Float32Array.from({ length: channels }, (_, k) =>
        parts.subarray(k * positions, (k + 1) * positions).reduce((sum, part) => sum + part, 0),
      );
      return {
        layer: name,
        layers: net.layers.map((one) => one.name),
        titles: net.layers.map((one) => one.title),
        count: channels,
        height,
        width,
        activations: channelByChannel(output, channels),
        gradients,
        weights: weights && Float32Array.from(weights),
        parts,
        added, // the signed sum of each part
      };
    };

    const fillPixel = (pixels, place, fill) => {
      for (let channel = 0; channel < 3; channel++) pixels[3 * place + channel] = fill[channel];
    };

    /* The probability of a class as pixels are removed in each of several orders.
       A generator, as `occlusion`: it yields the share that is done, and returns the result. */
    function* deletion(net, pixels, { orders, target, steps, fill }) {
      const curves = [];
      for (const order of orders) {
        const rest = Float32Array.from(pixels);
        const curve = new Float32Array(steps + 1);
        for (let step = 0, removed = 0; step <= steps; step++) {
          const end = Math.round((step * order.length) / steps);
          for (; removed < end; removed++) fillPixel(rest, order[removed], fill);
          curve[step] = run(net, rest).probabilities[target];
          yield (curves.length + (step + 1) / (steps + 1)) / orders.length;
        }
        curves.push(curve);
      }
      return curves;
    }

    /* The places of a square along one side: every `stride` pixels, and at the end. */
    const placesOf = (size, stride) => {
      const places = [];
      for (let place = 0; place < SIDE - size; place += stride) places.push(place);
      return [...places, SIDE - size];
    };

    /* The mean fall of a class's probability (or score) over the squares that hide each pixel; the
       fall at each square, row by row; and the squares' left (and top) edges. */
    function* occlusion(net, pixels, { target, size, stride, fill, of = "probability" }) {
      const valueOf = (picture) => {
        const { logits, probabilities } = run(net, picture);
        return of === "score" ? logits[target] : probabilities[target];
      };
      const places = placesOf(size, stride);
      const whole = valueOf(pixels);
      const sums = new Float64Array(SIDE * SIDE);
      const falls = new Float32Array(places.length ** 2);
      const counts = new Float64Array(SIDE * SIDE);
      for (const [row, top] of places.entries()) {
        for (const [column, left] of places.entries()) {
          const hidden = Float32Array.from(pixels);
          const square = [];
          for (let y = top; y < top + size; y++) {
            for (let x = left; x < left + size; x++) square.push(y * SIDE + x);
          }
          for (const place of square) fillPixel(hidden, place, fill);
          const number = row * places.length + column;
          falls[number] = whole - valueOf(hidden);
          for (const place of square) {
            sums[place] += falls[number];
            counts[place] += 1;
          }
          yield (number + 1) / falls.length;
        }
      }
      const map = Float32Array.from(sums, (sum, i) => (counts[i] ? sum / counts[i] : 0));
      return { map, falls, places };
    }

    const atOnce = (task) => (net, pixels, options) => {
      const going = task(net, pixels, options);
      for (;;) {
        const { done, value } = going.next();
        if (done) return value;
      }
    };

    return {
      network,
      answer,
      inside,
      resize,
      deletion: atOnce(deletion),
      occlusion: atOnce(occlusion),
      slowly: { deletion, occlusion },
    };
  };

  live.kernel = factory(live.arithmetic());
  live.kernelText = `(${factory})((${live.arithmetic})())`; // for a worker
})();
