/* Orders in which pixels are removed, pictures without some of them, and areas under curves. */
(() => {
  "use strict";

  const live = (globalThis.cifarcamLive ??= {});
  const SIDE = 32;
  const PIXELS = SIDE * SIDE;

  /* A small generator of random numbers that the seed decides (mulberry32). */
  const generator = (seed) => {
    let state = seed;
    return () => {
      state = (state + 0x6d2b79f5) | 0;
      let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
      mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
      return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
    };
  };

  const shuffled = (seed) => {
    const random = generator(seed);
    const order = Uint16Array.from({ length: PIXELS }, (_, pixel) => pixel);
    for (let last = PIXELS - 1; last > 0; last--) {
      const other = Math.floor(random() * (last + 1));
      [order[last], order[other]] = [order[other], order[last]];
    }
    return order;
  };

  const SEEDS = [1, 2, 3, 4, 5];
  const RANDOM = SEEDS.map(shuffled);
  const TIES = shuffled(0); // the order among pixels with the same value, as cifarcam's metric has one

  /* Numbers of pixels, the highest in a map first. */
  const orderOf = (map) => {
    const highest = Array.from(TIES).sort((one, other) => map[other] - map[one]);
    return Uint16Array.from(highest);
  };

  /* The null explainer of cifarcam: a Gaussian, its deviation a quarter of the side. */
  const BLOB = Float64Array.from({ length: PIXELS }, (_, pixel) => {
    const places = [Math.floor(pixel / SIDE), pixel % SIDE].map((at) => (at + 0.5) / SIDE - 0.5);
    return Math.exp(-0.5 * places.reduce((sum, place) => sum + (place / 0.25) ** 2, 0));
  });
  const CENTRE = orderOf(BLOB);

  const meanColour = (pixels) =>
    [0, 1, 2].map((channel) => {
      let sum = 0;
      for (let i = channel; i < pixels.length; i += 3) sum += pixels[i];
      return Math.fround(sum / PIXELS);
    });

  const filled = (pixels, places, colour) => {
    const altered = Float32Array.from(pixels);
    for (const place of places) altered.set(colour, 3 * place);
    return altered;
  };

  /* The mean height of a curve: the area under it (trapezoidal rule) for shares from 0 to 1. */
  const area = (curve) => {
    const sum = curve.reduce((total, value) => total + value, 0);
    return (sum - (curve[0] + curve.at(-1)) / 2) / (curve.length - 1);
  };

  const meanOf = (curves) =>
    Float64Array.from(curves[0], (_, i) => curves.reduce((sum, one) => sum + one[i], 0) / curves.length);

  live.orders = { CENTRE, RANDOM, area, filled, meanColour, meanOf, orderOf };
})();
