/* Heatmaps on canvases, and small line charts. */
(() => {
  "use strict";

  const live = (globalThis.cifarcamLive ??= {});
  const OPACITY = 0.65; // of an overlay where the map has its maximum, as in the report's figures

  const largest = (map) => {
    let peak = 0;
    for (const value of map) if (Math.abs(value) > peak) peak = Math.abs(value);
    return peak;
  };

  /* Blue below zero, white at zero, red above: shares from -1 to 1. */
  const bipolar = (share) => {
    const end = share < 0 ? [33, 102, 172] : [178, 24, 43];
    return end.map((value) => 247 + (value - 247) * Math.abs(share));
  };

  /* Paints a map, over pixels where they are given, one canvas pixel for each of its values. */
  const draw = (canvas, map, options = {}) => {
    const { over = null, opacity = OPACITY, width = 32, height = 32, signed = false } = options;
    const peak = options.peak ?? (map ? largest(map) : 0);
    if (canvas.width !== width) canvas.width = width;
    if (canvas.height !== height) canvas.height = height;
    const context = canvas.getContext("2d");
    const image = context.createImageData(width, height);
    for (let place = 0; place < width * height; place++) {
      const share = map && peak > 0 ? Math.min(1, Math.max(-1, map[place] / peak)) : 0;
      const heat = signed ? bipolar(share) : live.data.scale[Math.round(255 * Math.max(0, share))];
      const cover = over ? opacity * Math.abs(share) : 1;
      for (let c = 0; c < 3; c++) {
        const under = over ? over[3 * place + c] : 0;
        image.data[4 * place + c] = under * (1 - cover) + heat[c] * cover;
      }
      image.data[4 * place + 3] = 255;
    }
    context.putImageData(image, 0, 0);
  };

  /* ---- line charts ---- */

  const [WIDTH, HEIGHT] = [440, 240];
  const INSIDE = { left: 46, right: 330, top: 12, bottom: 196 };
  const DASHES = ["", "7 4", "2 4", "10 3 2 3"];
  const APART = 17; // pixels between the labels of two lines

  /* Heights near the wanted ones, in their order, at least `APART` from each other. */
  const spread = (heights) => {
    const order = heights.map((_, index) => index).sort((a, b) => heights[a] - heights[b]);
    const placed = [...heights];
    order.forEach((index, rank) => {
      if (rank) placed[index] = Math.max(placed[index], placed[order[rank - 1]] + APART);
    });
    const over = Math.max(0, ...placed.map((height) => height - INSIDE.bottom));
    return placed.map((height) => height - over);
  };

  const axes = (x, y, xMax, yMax) => {
    const { svg } = live.dom;
    const { left, right, top, bottom } = INSIDE;
    const parts = [];
    for (const share of [0, 0.5, 1]) {
      const height = bottom + (top - bottom) * share;
      const across = left + (right - left) * share;
      parts.push(
        svg("line", { class: "live-grid", x1: left, x2: right, y1: height, y2: height }),
        svg("text", { x: left - 6, y: height + 4, "text-anchor": "end" }, String(yMax * share)),
        svg("text", { x: across, y: bottom + 17, "text-anchor": "middle" }, String(xMax * share)),
      );
    }
    const [middle, half] = [(left + right) / 2, (top + bottom) / 2];
    parts.push(
      svg("text", { x: middle, y: bottom + 36, "text-anchor": "middle" }, x),
      svg(
        "text",
        { x: 12, y: half, "text-anchor": "middle", transform: `rotate(-90 12 ${half})` },
        y,
      ),
    );
    return parts;
  };

  /* Lines of values at equal steps from 0 to `xMax`, with their labels at their right ends. */
  const curves = (root, { lines, x, y, xMax = 100, yMax = 100, mark = null }) => {
    const { svg } = live.dom;
    const { left, right, top, bottom } = INSIDE;
    const across = (value) => left + ((right - left) * value) / xMax;
    const up = (value) => bottom + ((top - bottom) * value) / yMax;
    root.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
    root.classList.add("live-chart");
    const drawn = lines.map(({ values, dash }, index) => {
      const step = xMax / Math.max(1, values.length - 1);
      const points = Array.from(values, (value, at) => `${across(at * step)},${up(value)}`);
      return svg("polyline", {
        class: `live-line live-line-${index}`,
        points: points.join(" "),
        "stroke-dasharray": dash ?? DASHES[index % DASHES.length],
      });
    });
    const heights = spread(lines.map(({ values }) => up(values.at(-1) ?? 0)));
    const labels = lines.map(({ label }, index) =>
      svg(
        "text",
        { class: `live-label-${index}`, x: right + 8, y: heights[index] + 4 },
        label,
      ),
    );
    const at = mark === null ? [] : [across(mark)];
    root.replaceChildren(
      ...axes(x, y, xMax, yMax),
      ...at.map((place) =>
        svg("line", { class: "live-mark", x1: place, x2: place, y1: top, y2: bottom }),
      ),
      ...drawn,
      ...labels,
    );
  };

  live.maps = { draw, curves, largest, OPACITY };
})();
