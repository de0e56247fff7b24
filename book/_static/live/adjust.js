/* Changes of a whole picture: shifted, turned, mirrored; lighter, of more contrast, with noise.

   They stand beside the strokes and are applied after them, so that each can be taken back. A picture
   is a Float32Array of 32 x 32 x 3 values, 0-255, row by row, channels last. */
(() => {
  "use strict";

  const live = (globalThis.cifarcamLive ??= {});
  const SIDE = 32;
  const MIDDLE = SIDE / 2;
  const NONE = Object.freeze({
    right: 0, // pixels
    down: 0, // pixels
    turn: 0, // degrees clockwise
    mirror: false,
    brightness: 0, // percent of the way from black to white
    contrast: 0, // percent: 100 is four times the contrast, -100 a quarter
    noise: 0, // standard deviation, in levels
  });

  const isNone = (by) => Object.keys(NONE).every((key) => by[key] === NONE[key]);
  const isMoved = (by) => by.right !== 0 || by.down !== 0 || by.turn !== 0 || by.mirror;

  const mean = (pixels) => {
    const sums = [0, 0, 0];
    pixels.forEach((value, at) => (sums[at % 3] += value));
    return sums.map((sum) => sum / (SIDE * SIDE));
  };

  /* Where a place of the changed picture was before the change; both in pixels from the corner. */
  const origin = (by, x, y) => {
    const angle = (by.turn * Math.PI) / 180;
    const [dx, dy] = [x - MIDDLE - by.right, y - MIDDLE - by.down];
    const across = Math.cos(angle) * dx + Math.sin(angle) * dy;
    const along = Math.cos(angle) * dy - Math.sin(angle) * dx;
    return [MIDDLE + (by.mirror ? -across : across), MIDDLE + along];
  };

  /* A step in the picture before the change, as a step in the changed picture. */
  const onward = (by, x, y) => {
    const angle = (by.turn * Math.PI) / 180;
    const across = by.mirror ? -x : x;
    return [
      Math.cos(angle) * across - Math.sin(angle) * y,
      Math.sin(angle) * across + Math.cos(angle) * y,
    ];
  };

  /* The colour between four pixels; beyond the picture lies its mean colour. */
  const between = (pixels, ground, x, y, to, at) => {
    const [left, top] = [Math.floor(x - 0.5), Math.floor(y - 0.5)];
    const [u, v] = [x - 0.5 - left, y - 0.5 - top];
    to.fill(0, at, at + 3);
    for (let corner = 0; corner < 4; corner++) {
      const [column, row] = [left + (corner & 1), top + (corner >> 1)];
      const share = (corner & 1 ? u : 1 - u) * (corner >> 1 ? v : 1 - v);
      if (share < 1e-9) continue;
      const inside = column >= 0 && column < SIDE && row >= 0 && row < SIDE;
      const from = 3 * (row * SIDE + column);
      for (let c = 0; c < 3; c++) to[at + c] += share * (inside ? pixels[from + c] : ground[c]);
    }
  };

  const moved = (pixels, by) => {
    const ground = mean(pixels);
    const made = new Float32Array(pixels.length);
    for (let row = 0; row < SIDE; row++) {
      for (let column = 0; column < SIDE; column++) {
        const [x, y] = origin(by, column + 0.5, row + 0.5);
        between(pixels, ground, x, y, made, 3 * (row * SIDE + column));
      }
    }
    return made;
  };

  /* Standard normal numbers, the same for the same seed (mulberry32, Box and Muller). */
  const normals = (seed, count) => {
    let state = seed >>> 0;
    const uniform = () => {
      state = (state + 0x6d2b79f5) >>> 0;
      let mixed = Math.imul(state ^ (state >>> 15), state | 1);
      mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
      return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
    };
    return Float32Array.from({ length: count }, () => {
      const radius = Math.sqrt(-2 * Math.log(1 - uniform()));
      return radius * Math.cos(2 * Math.PI * uniform());
    });
  };

  const NOISE = normals(7, SIDE * SIDE * 3); // one field, so that a slider makes it grow evenly
  const GREY = 127.5; // that contrast leaves as it is

  const gain = (by) => 4 ** (by.contrast / 100);
  const offset = (by) => (255 * by.brightness) / 100;

  /* A colour that looks as wanted after brightness and contrast were changed. */
  const undone = (colour, by) =>
    colour.map((value) => (value - offset(by) - GREY) / gain(by) + GREY);

  /* The changed picture in whole numbers 0-255: what is seen is what the network is given. */
  const apply = (pixels, by) => {
    const made = isMoved(by) ? moved(pixels, by) : Float32Array.from(pixels);
    const [factor, more] = [gain(by), offset(by)];
    for (let at = 0; at < made.length; at++) {
      const value = (made[at] - GREY) * factor + GREY + more + by.noise * NOISE[at];
      made[at] = Math.min(255, Math.max(0, Math.round(value)));
    }
    return made;
  };

  /* Gaussian blur; beyond the picture its border goes on. */
  const blur = (pixels, sigma) => {
    const reach = Math.ceil(3 * sigma);
    const weights = Array.from({ length: 2 * reach + 1 }, (_, k) =>
      Math.exp(-((k - reach) ** 2) / (2 * sigma ** 2)),
    );
    const sum = weights.reduce((one, other) => one + other, 0);
    const pass = (from, step, across) => {
      const to = new Float32Array(from.length);
      for (let at = 0; at < to.length; at++) {
        const place = Math.floor(at / step) % SIDE;
        let value = 0;
        for (let k = -reach; k <= reach; k++) {
          const other = Math.min(SIDE - 1, Math.max(0, place + k));
          value += weights[k + reach] * from[at + (other - place) * step];
        }
        to[at] = value / sum;
      }
      return across ? pass(to, 3 * SIDE, false) : to;
    };
    return pass(pixels, 3, true);
  };

  live.adjust = { NONE, isNone, isMoved, apply, origin, onward, between, undone, mean, blur };
})();
