/* The arithmetic of a network: its weights, its answer, and gradients of its scores.

   Everything lives in one function without free variables, so that a worker can be made from its
   text. Maps lie row by row with channels last; numbers within are of double precision. */
(() => {
  "use strict";

  const live = (globalThis.cifarcamLive ??= {});

  const factory = () => {
    const SIDE = 32; // pixels, of the picture and of the maps
    const LANES = 8; // outputs of a convolution that are computed together

    /* ---- reading a network ---- */

    const float16 = (bits) => {
      const sign = bits & 0x8000 ? -1 : 1;
      const exponent = (bits >> 10) & 31;
      const fraction = (bits & 1023) / 1024;
      return sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction) : 2 ** -14 * fraction);
    };

    /* Weights from their script: base64 of deflated bytes, first all lowest bytes, then the next. */
    const decoded = async (weights, format) => {
      const packed = Uint8Array.from(atob(weights), (letter) => letter.charCodeAt(0));
      const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
      const planes = new Uint8Array(await new Response(stream).arrayBuffer());
      const width = format === "float32" ? 4 : 2;
      const count = planes.length / width;
      const bytes = new Uint8Array(planes.length);
      for (let i = 0; i < count; i++) {
        for (let plane = 0; plane < width; plane++) bytes[i * width + plane] = planes[plane * count + i];
      }
      if (width === 4) return Float64Array.from(new Float32Array(bytes.buffer));
      return Float64Array.from(new Uint16Array(bytes.buffer), float16);
    };

    /* A kernel, rows x outputs, in groups of `LANES` outputs: groups x rows x `LANES`. */
    const packed = (kernel, rows, outputs) => {
      const groups = Math.ceil(outputs / LANES);
      const result = new Float64Array(groups * rows * LANES);
      for (let row = 0; row < rows; row++) {
        for (let output = 0; output < outputs; output++) {
          const group = Math.floor(output / LANES);
          result[(group * rows + row) * LANES + (output % LANES)] = kernel[row * outputs + output];
        }
      }
      return result;
    };

    /* The kernel that carries gradients back: turned by half a circle, inputs and outputs swapped. */
    const turned = (kernel, side, inputs, outputs) => {
      const result = new Float64Array(kernel.length);
      const places = side * side;
      for (let place = 0; place < places; place++) {
        for (let input = 0; input < inputs; input++) {
          for (let output = 0; output < outputs; output++) {
            result[((places - 1 - place) * outputs + output) * inputs + input] =
              kernel[(place * inputs + input) * outputs + output];
          }
        }
      }
      return packed(result, places * outputs, inputs);
    };

    /* What each kind of layer adds to its step: shape of the output, weights, buffers. */
    const makers = {
      rescaling: (step, layer) => Object.assign(step, { factor: layer.scale, shift: layer.offset }),
      convolution: (step, layer, take) => {
        const { side, inputs, outputs, relu } = layer;
        const kernel = take(side * side * inputs * outputs);
        const there = packed(kernel, side * side * inputs, outputs);
        const back = turned(kernel, side, inputs, outputs);
        const bias = new Float64Array(Math.ceil(outputs / LANES) * LANES);
        bias.set(take(outputs));
        const zeros = new Float64Array(Math.ceil(inputs / LANES) * LANES);
        step.there = { kernel: there, bias, inputs, outputs, relu };
        step.back = { kernel: back, bias: zeros, inputs: outputs, outputs: inputs, relu: false };
        Object.assign(step, { side, relu, channels: outputs });
      },
      dense: (step, layer, take) => {
        const inputs = step.height * step.width * step.inputs;
        Object.assign(step, { height: 1, width: 1, inputs });
        makers.convolution(step, { ...layer, side: 1, inputs }, take);
      },
      attention: (step, layer, take) => {
        const { inputs } = step;
        const { hidden } = layer;
        step.reduce = take(inputs * hidden);
        step.reduceBias = take(hidden);
        step.excite = take(hidden * inputs);
        step.exciteBias = take(inputs);
        step.means = new Float64Array(inputs);
        step.hidden = new Float64Array(hidden);
        step.scales = new Float64Array(inputs);
      },
      pooling: (step, layer) => {
        step.side = layer.side;
        step.height = Math.floor(step.height / layer.side);
        step.width = Math.floor(step.width / layer.side);
        step.highest = new Int32Array(step.height * step.width * step.channels);
      },
    };

    const network = async (spec) => {
      const values = await decoded(spec.weights, spec.format);
      let used = 0;
      const take = (count) => values.subarray(used, (used += count));
      const steps = [];
      let [height, width, channels, size] = [SIDE, SIDE, 3, SIDE * SIDE * 3];
      for (const layer of spec.layers) {
        const { kind, name, title } = layer;
        const step = { kind, name, title, height, width, inputs: channels, channels };
        Object.assign(step, { inputSize: size, inputWidth: width });
        makers[kind](step, layer, take);
        ({ height, width, channels } = step);
        step.size = size = height * width * channels;
        step.output = new Float64Array(size);
        step.changed = new Uint8Array(height * width); // positions that the last picture changed
        step.gradients = new Float64Array(0); // of the step's input, one row for each score
        step.isMap = kind === "convolution" || kind === "attention";
        steps.push(step);
      }
      if (used !== values.length) throw new Error("the network's file does not fit its layers");
      const layers = steps.filter((step) => step.isMap);
      const pixels = new Float32Array(SIDE * SIDE * 3).fill(NaN); // of the last picture
      return { steps, layers, classes: size, pixels, changed: new Uint8Array(SIDE * SIDE) };
    };

    /* ---- forward and back ---- */

    // The values of a patch that are not zero, and where the kernel has the row of each.
    let present = new Float64Array(0);
    let rows = new Int32Array(0);

    /* Note the values of the patch around a position of a map that begins at `from`; return how
       many. After a ReLU about half of the values are zero, and these cost nothing further on. */
    const gather = ({ height, width, side }, inputs, input, from, row, column) => {
      const [x, at] = [present, rows];
      const half = side >> 1;
      const left = Math.max(0, column - half);
      const right = Math.min(width - 1, column + half);
      let count = 0;
      for (let dy = -half; dy <= half; dy++) {
        if (row + dy < 0 || row + dy >= height) continue;
        let weight = ((dy + half) * side + (left - column + half)) * inputs * LANES;
        const end = from + ((row + dy) * width + right + 1) * inputs;
        for (let i = from + ((row + dy) * width + left) * inputs; i < end; i++) {
          const value = input[i];
          if (value !== 0) {
            x[count] = value;
            at[count++] = weight;
          }
          weight += LANES;
        }
      }
      return count;
    };

    /* Sums of the gathered values times their weights: `outputs` channels from `place`. */
    const multiply = ({ kernel, bias, outputs, relu }, depth, count, output, place) => {
      const [x, at] = [present, rows];
      for (let lane = 0, base = 0; lane < outputs; lane += LANES, base += depth * LANES) {
        let [a, b, c, d] = [bias[lane], bias[lane + 1], bias[lane + 2], bias[lane + 3]];
        let [e, f, g, h] = [bias[lane + 4], bias[lane + 5], bias[lane + 6], bias[lane + 7]];
        for (let i = 0; i < count; i++) {
          const value = x[i];
          const w = base + at[i];
          a += value * kernel[w];
          b += value * kernel[w + 1];
          c += value * kernel[w + 2];
          d += value * kernel[w + 3];
          e += value * kernel[w + 4];
          f += value * kernel[w + 5];
          g += value * kernel[w + 6];
          h += value * kernel[w + 7];
        }
        const o = place + lane;
        output[o] = relu && a < 0 ? 0 : a;
        if (lane + 1 < outputs) output[o + 1] = relu && b < 0 ? 0 : b;
        if (lane + 2 < outputs) output[o + 2] = relu && c < 0 ? 0 : c;
        if (lane + 3 < outputs) output[o + 3] = relu && d < 0 ? 0 : d;
        if (lane + 4 < outputs) output[o + 4] = relu && e < 0 ? 0 : e;
        if (lane + 5 < outputs) output[o + 5] = relu && f < 0 ? 0 : f;
        if (lane + 6 < outputs) output[o + 6] = relu && g < 0 ? 0 : g;
        if (lane + 7 < outputs) output[o + 7] = relu && h < 0 ? 0 : h;
      }
    };

    /* A convolution with zeros around the map, at the positions that `changed` names or at all. */
    const convolve = (step, pass, input, from, output, to, changed) => {
      const { height, width, side } = step;
      const depth = side * side * pass.inputs;
      if (rows.length < depth) {
        present = new Float64Array(depth);
        rows = new Int32Array(depth);
      }
      for (let row = 0, position = 0; row < height; row++) {
        for (let column = 0; column < width; column++, position++) {
          if (changed !== null && !changed[position]) continue;
          const count = gather(step, pass.inputs, input, from, row, column);
          multiply(pass, depth, count, output, to + position * pass.outputs);
        }
      }
    };

    /* The first of the highest values of each square, as TensorFlow chooses. */
    const pool = (step, input) => {
      const { height, width, channels, inputWidth, side, highest, output, changed } = step;
      for (let row = 0, o = 0; row < height; row++) {
        for (let column = 0; column < width; column++) {
          if (!changed[row * width + column]) {
            o += channels;
            continue;
          }
          const corner = (row * side * inputWidth + column * side) * channels;
          for (let channel = 0; channel < channels; channel++, o++) {
            let best = corner + channel;
            for (let dy = 0; dy < side; dy++) {
              for (let dx = 0; dx < side; dx++) {
                const i = corner + (dy * inputWidth + dx) * channels + channel;
                if (input[i] > input[best]) best = i;
              }
            }
            output[o] = input[best];
            highest[o] = best;
          }
        }
      }
    };

    const attend = (step, input) => {
      const { channels, size, means, hidden, scales, output } = step;
      step.input = input;
      means.fill(0);
      for (let i = 0; i < size; i++) means[i % channels] += input[i];
      for (let k = 0; k < channels; k++) means[k] /= step.height * step.width;
      for (let j = 0; j < hidden.length; j++) {
        let sum = step.reduceBias[j];
        for (let k = 0; k < channels; k++) sum += means[k] * step.reduce[k * hidden.length + j];
        hidden[j] = Math.max(0, sum);
      }
      for (let k = 0; k < channels; k++) {
        let sum = step.exciteBias[k];
        for (let j = 0; j < hidden.length; j++) sum += hidden[j] * step.excite[j * channels + k];
        scales[k] = 1 / (1 + Math.exp(-sum));
      }
      for (let i = 0; i < size; i++) output[i] = input[i] * scales[i % channels];
    };

    /* Mark the positions of a step's output that depend on a changed position of its input. */
    const spread = ({ kind, height, width, side, inputWidth, changed }, before) => {
      if (kind === "rescaling") return changed.set(before);
      if (kind === "attention" || kind === "dense") return changed.fill(before.includes(1) ? 1 : 0);
      const stride = kind === "pooling" ? side : 1;
      const reach = kind === "pooling" ? 0 : side >> 1; // to the left and above
      changed.fill(0);
      for (let i = 0; i < before.length; i++) {
        if (!before[i]) continue;
        const [y, x] = [Math.floor(i / inputWidth), i % inputWidth];
        for (let row = Math.floor((y - reach) / stride); row <= (y + reach) / stride; row++) {
          for (let column = Math.floor((x - reach) / stride); column <= (x + reach) / stride; column++) {
            const isThere = row >= 0 && row < height && column >= 0 && column < width;
            if (isThere) changed[row * width + column] = 1;
          }
        }
      }
    };

    const forward = (step, input) => {
      if (step.kind === "pooling") pool(step, input);
      else if (step.kind === "attention") attend(step, input);
      else if (step.kind === "rescaling") {
        for (let i = 0; i < step.size; i++) step.output[i] = input[i] * step.factor + step.shift;
      } else convolve(step, step.there, input, 0, step.output, 0, step.changed);
    };

    /* One row of gradients through squeeze-and-excitation: y = x s(mean of x). */
    const attendBack = (step, given, from, to) => {
      const { channels, size, input, hidden, scales, gradients } = step;
      const slopes = new Float64Array(channels); // of the sums before the sigmoid, then of the means
      for (let i = 0; i < size; i++) slopes[i % channels] += given[from + i] * input[i];
      for (let k = 0; k < channels; k++) slopes[k] *= scales[k] * (1 - scales[k]);
      const inner = new Float64Array(hidden.length);
      for (let j = 0; j < hidden.length; j++) {
        if (hidden[j] <= 0) continue;
        for (let k = 0; k < channels; k++) inner[j] += slopes[k] * step.excite[j * channels + k];
      }
      slopes.fill(0);
      for (let k = 0; k < channels; k++) {
        for (let j = 0; j < hidden.length; j++) {
          slopes[k] += inner[j] * step.reduce[k * hidden.length + j];
        }
        slopes[k] /= step.height * step.width;
      }
      for (let i = 0; i < size; i++) {
        gradients[to + i] = given[from + i] * scales[i % channels] + slopes[i % channels];
      }
    };

    /* From gradients of a step's output, `count` rows, to those of its input. */
    const backward = (step, given, count) => {
      const { kind, size, inputSize, output } = step;
      if (step.gradients.length < count * inputSize) {
        step.gradients = new Float64Array(count * inputSize);
      }
      const { gradients } = step;
      if (kind === "pooling") gradients.fill(0);
      for (let row = 0, from = 0, to = 0; row < count; row++, from += size, to += inputSize) {
        if (kind === "pooling") {
          for (let i = 0; i < size; i++) gradients[to + step.highest[i]] += given[from + i];
        } else if (kind === "attention") attendBack(step, given, from, to);
        else {
          if (step.relu) for (let i = 0; i < size; i++) if (!(output[i] > 0)) given[from + i] = 0;
          convolve(step, step.back, given, from, gradients, to, null);
        }
      }
      return gradients;
    };

    /* The scores and probabilities of a picture. Only what differs from the last picture is
       computed anew: a stroke of the brush changes a small part of each map. */
    const run = (net, pixels) => {
      net.changed.fill(0);
      for (let i = 0; i < pixels.length; i++) {
        if (pixels[i] !== net.pixels[i]) net.changed[Math.floor(i / 3)] = 1;
      }
      net.pixels.set(pixels);
      let values = net.pixels;
      let { changed } = net;
      for (const step of net.steps) {
        spread(step, changed);
        forward(step, values);
        ({ output: values, changed } = step);
      }
      const peak = values.reduce((most, score) => Math.max(most, score), -Infinity);
      const powers = values.map((score) => Math.exp(score - peak));
      const sum = powers.reduce((total, power) => total + power, 0);
      const probabilities = Float32Array.from(powers, (power) => power / sum);
      return { logits: Float32Array.from(values), probabilities };
    };

    return { SIDE, network, run, backward };
  };

  live.arithmetic = factory;
})();
