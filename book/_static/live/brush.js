/* What the hand does to a picture: strokes that erase or paint, pieces that are moved or pasted.

   `begin` starts a stroke at a place of the picture that is seen, and gives a function that leads it
   on. The stroke changes `edit.base`, which lies before the changes of the whole picture (adjust.js),
   so that places are first brought back to where they were. */
(() => {
  "use strict";

  const live = (globalThis.cifarcamLive ??= {});
  const { SIDE } = live.picture;
  const { NONE, apply, between, blur, isMoved, mean, onward, origin, undone } = live.adjust;
  const SOFT = 2.5; // pixels: the blur that erases

  /* How much of each pixel lies within a distance of a line: the longer the mask is drawn, the more. */
  const cover = (mask, [x1, y1], [x2, y2], radius) => {
    const [dx, dy] = [x2 - x1, y2 - y1];
    const square = dx * dx + dy * dy;
    for (let place = 0; place < SIDE * SIDE; place++) {
      const [x, y] = [(place % SIDE) + 0.5 - x1, Math.floor(place / SIDE) + 0.5 - y1];
      const along = square ? Math.min(1, Math.max(0, (x * dx + y * dy) / square)) : 0;
      const distance = Math.hypot(x - along * dx, y - along * dy);
      const share = Math.min(1, Math.max(0, radius + 0.5 - distance));
      if (share > mask[place]) mask[place] = share;
    }
  };

  const disc = (place, radius) => {
    const mask = new Float32Array(SIDE * SIDE);
    cover(mask, place, place, radius);
    return mask;
  };

  /* A picture with another laid over it, as far as the mask covers. */
  const laidOver = (under, mask, over) => {
    const made = Float32Array.from(under);
    mask.forEach((share, place) => {
      if (!share) return;
      for (let at = 3 * place; at < 3 * place + 3; at++) made[at] += share * (over[at] - made[at]);
    });
    return made;
  };

  const plain = (colour) => Float32Array.from({ length: 3 * SIDE * SIDE }, (_, at) => colour[at % 3]);

  /* What a brush leaves on the picture that it is drawn over. */
  const fills = {
    mean: ({ base }) => plain(mean(base)),
    black: ({ by }) => plain(undone([0, 0, 0], by)),
    blur: ({ base }) => blur(base, SOFT),
    colour: ({ by }, { colour }) => plain(undone(colour, by)),
  };

  const drawn = (edit, options, start) => {
    const { base, by } = edit;
    const over = fills[options.fill](edit, options);
    const mask = new Float32Array(SIDE * SIDE);
    let last = origin(by, ...start);
    return (x, y) => {
      const place = origin(by, x, y);
      cover(mask, last, place, options.size / 2);
      last = place;
      edit.base = laidOver(base, mask, over);
    };
  };

  const shifted = (values, channels, right, down) => {
    const made = new Float32Array(values.length);
    for (let row = 0; row < SIDE; row++) {
      for (let column = 0; column < SIDE; column++) {
        const [x, y] = [column - right, row - down];
        if (x < 0 || y < 0 || x >= SIDE || y >= SIDE) continue;
        const [to, from] = [row * SIDE + column, y * SIDE + x].map((place) => channels * place);
        for (let c = 0; c < channels; c++) made[to + c] = values[from + c];
      }
    }
    return made;
  };

  /* A piece of the picture goes along, and leaves the mean colour behind. */
  const movedPiece = (edit, { size }, start) => {
    const { base, by } = edit;
    const from = origin(by, ...start);
    const mask = disc(from, size / 2);
    const left = laidOver(base, mask, plain(mean(base)));
    return (x, y) => {
      const to = origin(by, x, y);
      const [right, down] = [0, 1].map((axis) => Math.round(to[axis] - from[axis]));
      edit.base = laidOver(left, shifted(mask, 1, right, down), shifted(base, 3, right, down));
    };
  };

  /* A piece of another picture lies where the hand is, upright, in its own colours. */
  const pastedPiece = (edit, { size, source, from }) => {
    const { base, by } = edit;
    const colours = apply(source, NONE);
    const ground = mean(source);
    return (x, y) => {
      const place = origin(by, x, y);
      const mask = disc(place, size / 2);
      const over = new Float32Array(base.length);
      mask.forEach((share, at) => {
        if (!share) return;
        const step = [(at % SIDE) + 0.5 - place[0], Math.floor(at / SIDE) + 0.5 - place[1]];
        let [u, v] = onward(by, ...step).map((value, axis) => value + from[axis]);
        // Whole pixels are copied as they are, as long as nothing is turned.
        if (!isMoved(by)) [u, v] = [Math.floor(u) + 0.5, Math.floor(v) + 0.5];
        between(colours, ground, u, v, over, 3 * at);
        over.set(undone([...over.subarray(3 * at, 3 * at + 3)], by), 3 * at);
      });
      edit.base = laidOver(base, mask, over);
    };
  };

  /* The whole picture goes along. */
  const shiftedAll = (edit, options, start) => {
    const { by } = edit;
    const within = (value) => Math.min(SIDE / 2, Math.max(-SIDE / 2, Math.round(value)));
    return (x, y) => {
      const right = within(by.right + x - start[0]);
      edit.by = { ...by, right, down: within(by.down + y - start[1]) };
    };
  };

  const TOOLS = { erase: drawn, paint: drawn, move: movedPiece, paste: pastedPiece, turn: shiftedAll };

  const begin = (edit, options, x, y) => {
    const lead = TOOLS[options.tool](edit, options, [x, y]);
    lead(x, y);
    return lead;
  };

  /* ---- undo ---- */

  const MOST = 60; // steps that can be taken back

  const history = () => {
    const [past, future] = [[], []];
    const step = (from, to, now) => {
      if (!from.length) return null;
      to.push(now);
      return from.pop();
    };
    return {
      remember(now) {
        past.push(now);
        if (past.length > MOST) past.shift();
        future.length = 0;
      },
      forget: () => past.pop(),
      undo: (now) => step(past, future, now),
      redo: (now) => step(future, past, now),
      clear: () => (past.length = future.length = 0),
      get canUndo() {
        return past.length > 0;
      },
      get canRedo() {
        return future.length > 0;
      },
    };
  };

  live.brush = { begin, history };
})();
