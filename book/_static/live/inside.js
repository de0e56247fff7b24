/* Look inside: the feature maps of a layer, and how they add up to the heatmap, one after the other. */
(() => {
  "use strict";

  const live = (globalThis.cifarcamLive ??= {});
  const { button, element, say, select, svg } = live.dom;
  const { figure, grey, newest, player, signed, signedPercent } = live.panel;
  const words = live.insideWords;
  const FEW = 24; // tiles before the reader asks for all

  /* ---- arithmetic ---- */

  /* Numbers of feature maps: what adds most comes first, and what takes away most comes last. */
  const sorted = (added) =>
    [...added.keys()].sort((one, other) => added[other] - added[one] || one - other);

  /* The sum of the first `count` parts of an order, and the largest magnitude on the way there. */
  const partial = (parts, order, count, size) => {
    const sum = new Float32Array(size);
    let peak = 0;
    for (const map of order.slice(0, count)) {
      for (let i = 0, from = map * size; i < size; i++) {
        sum[i] += parts[from + i];
        peak = Math.max(peak, Math.abs(sum[i]));
      }
    }
    return { sum, peak };
  };

  const arranged = (found, about) => {
    const { activations, added, count, gradients, height, layer, layers, parts, titles, width } = found;
    const order = sorted(added);
    const size = height * width;
    const { peak, sum: whole } = partial(parts, order, count, size);
    const total = added.reduce((sum, value) => sum + Math.abs(value), 0);
    return {
      ...found,
      ...about,
      order,
      size,
      title: titles[layers.indexOf(layer)],
      shares: Array.from(added, (value) => (total ? value / total : 0)), // of all effects
      hasNegative: activations.some((value) => value < 0),
      peak, // one scale for the sums on the way
      hasLess: parts.some((value) => value < 0),
      hasHeat: whole.some((value) => value > 0),
      largest: { part: live.maps.largest(parts), gradient: live.maps.largest(gradients) },
      of: (values, map) => values.subarray(map * size, (map + 1) * size),
    };
  };

  /* ---- parts of the panel ---- */

  const makeEquation = () => {
    const [map, gradient, part, sum, heat] = [1, 2, 3, 4, 5].map((number) => {
      const one = figure("");
      const badge = element("span", { class: "live-in-number", "aria-hidden": "true" }, number);
      one.text = element("span");
      one.words.replaceChildren(badge, " ", one.text);
      return one;
    });
    const sign = (text) => element("span", { class: "live-in-sign", "aria-hidden": "true" }, text);
    const heads = [0, 1].map(() => element("p", { class: "live-in-head" }));
    const nodes = [
      [heads[0], [map.node, sign("×"), gradient.node, sign("="), part.node]],
      [heads[1], [sum.node, sign("→"), heat.node]],
    ].map(([head, figures]) =>
      element("div", { class: "live-in-group" }, head, element("div", { class: "live-in-row" }, ...figures)),
    );
    const node = element("div", { class: "live-in-equation" }, ...nodes);
    return { node, heads, map, gradient, part, sum, heat };
  };

  const makeTile = (onclick) => {
    const canvas = element("canvas", { class: "live-pixels", "aria-hidden": "true" });
    const bar = element("span", { class: "live-in-bar" });
    const name = element("span", { class: "live-heard" }); // a label would have to repeat what is seen
    const weight = element("span");
    const share = element("span", { class: "live-in-share" });
    const node = element(
      "button",
      { type: "button", class: "live-in-tile", onclick },
      canvas,
      name,
      element("span", { class: "live-in-track", "aria-hidden": "true" }, bar),
      weight,
      " ",
      share,
    );
    return { node, canvas, bar, name, weight, share };
  };

  /* A bar for each feature map in their order, up for what it adds and down for what it takes away. */
  const makeBars = (onchoose) => {
    const paths = ["for", "against", "for live-in-later", "against live-in-later"].map((name) =>
      svg("path", { class: `live-in-${name}` }),
    );
    const named = ["for", "against"].map((side) => element("span", { class: `live-in-side-${side}` }));
    const now = svg("line", { class: "live-in-now", y1: -1, y2: 1, "vector-effect": "non-scaling-stroke" });
    const chart = svg("svg", { preserveAspectRatio: "none" }, ...paths, now);
    const node = element("div", { class: "live-in-bars", "aria-hidden": "true" }, chart, ...named);
    node.addEventListener("click", (event) => {
      const { left, width } = node.getBoundingClientRect();
      onchoose(Math.ceil((chart.viewBox.baseVal.width * (event.clientX - left)) / width));
    });
    const render = ({ hasLess, names, order, shares }, count) => {
      say(named[0], `for ${names.name}`);
      say(named[1], hasLess ? "against" : "");
      chart.setAttribute("viewBox", `0 -1 ${order.length} 2`);
      const most = Math.max(...shares.map(Math.abs)) || 1;
      const lines = ["", "", "", ""];
      order.forEach((map, rank) => {
        const which = (shares[map] < 0 ? 1 : 0) + (rank < count ? 0 : 2);
        lines[which] += `M${rank + 0.1},0h0.8v${-shares[map] / most}h-0.8z`;
      });
      lines.forEach((line, which) => paths[which].setAttribute("d", line));
      for (const end of ["x1", "x2"]) now.setAttribute(end, count);
    };
    return { node, render };
  };

  const makeView = (root, app) => {
    const view = { app, layer: null, network: null, isAll: true, isMoved: false, isLong: false, found: null, tiles: [] };
    view.layers = select("Layer", [], (layer) => {
      view.layer = layer;
      view.update();
    });
    view.equation = makeEquation();
    view.player = player("Feature maps added", {
      play: "Add them up one by one",
      text: (count) => (view.found ? `${count} of ${view.found.count}` : ""),
      oninput: (count) => {
        Object.assign(view, { isAll: count === view.found?.count, isMoved: true });
        if (view.found) renderStep(view);
      },
    });
    view.bars = makeBars((count) => view.player.move(count));
    view.player.slider.prepend(view.bars.node);
    view.finding = element("p");
    view.grid = element("ol", { class: "live-in-tiles", role: "list", "aria-label": "Feature maps" });
    const showMore = () => {
      view.isLong = !view.isLong;
      renderTiles(view);
      renderStep(view);
    };
    view.more = button("", showMore, { hidden: true });
    const steps = [1, 2, 3, 4, 5].map(() => element("li"));
    view.steps = steps;
    const list = element("ol", { class: "live-in-steps" }, ...steps);
    const isWhole = app.mode === "whole";
    const told = isWhole
      ? element("details", { class: "live-in-words" }, element("summary", {}, "What do the five pictures show?"), list)
      : list;
    root.append(
      ...(isWhole ? [element("div", { class: "live-in-layer" }, view.layers.node)] : []),
      view.equation.node,
      view.player.node,
      told,
      view.finding,
      element("p", { class: "live-note" }, NOTE),
      view.grid,
      element("div", {}, view.more),
    );
    return view;
  };

  const NOTE =
    "Each tile shows a feature map, its weight, and what it adds (+) or takes away (−), as a share of all that is " +
    "added or taken away. Press a tile to add up to there.";

  /* ---- showing ---- */

  const drawMap = (canvas, { activations, hasNegative, of, width, height }, map) => {
    const values = of(activations, map);
    if (hasNegative) live.maps.draw(canvas, values, { width, height, signed: true });
    else grey(canvas, values, width, height);
  };

  const renderTile = (tile, found, rank) => {
    const { count, order, shares, weights } = found;
    const map = order[rank];
    const most = Math.max(...shares.map(Math.abs)) || 1;
    drawMap(tile.canvas, found, map);
    tile.bar.style.width = `${(50 * Math.abs(shares[map])) / most}%`;
    tile.bar.classList.toggle("live-in-less", shares[map] < 0);
    say(tile.weight, weights ? `× ${signed(weights[map]).replace("+", "")}` : "");
    say(tile.share, signedPercent(shares[map]));
    say(tile.name, `${rank + 1} of ${count}: feature map ${map + 1} `);
    Object.assign(tile.node.dataset, { map, added: found.added[map] });
  };

  const renderTiles = (view) => {
    const { found, grid, more, player: slider, tiles } = view;
    const { count } = found;
    const wanted = view.isLong ? count : Math.min(FEW, count);
    while (tiles.length < wanted) {
      const rank = tiles.length;
      tiles.push(makeTile(() => slider.move(rank + 1)));
      grid.append(element("li", {}, tiles[rank].node));
    }
    while (tiles.length > wanted) tiles.pop().node.parentNode.remove();
    tiles.forEach((tile, rank) => renderTile(tile, found, rank));
    more.hidden = count <= FEW;
    more.setAttribute("aria-expanded", view.isLong);
    say(more, view.isLong ? `Show the first ${FEW} only` : `Show all ${count} feature maps`);
  };

  /* The feature map that was added last: what it is, its gradient, what it adds. */
  const renderOne = ({ equation, found }, rank) => {
    const { gradients, largest, method, names, of, order, parts, shares, weights, width, height } = found;
    const map = order[rank - 1];
    const size = { width, height, signed: true };
    drawMap(equation.map.canvas, found, map);
    say(equation.heads[0], `One feature map: ${rank} of ${found.count}, by what it adds`);
    say(equation.map.text, `feature map ${map + 1}`);
    const where = words.place(of(found.activations, map), width);
    equation.map.describe(`Feature map ${map + 1} of ${found.title}, strongest at ${where} of ${height} × ${width}`);
    const own = of(gradients, map);
    const gradient = method === "layer-cam" ? own.map((value) => Math.max(0, value)) : own;
    live.maps.draw(equation.gradient.canvas, gradient, { ...size, peak: largest.gradient });
    const told = words.GRADIENTS[method](weights?.[map] ?? 0);
    say(equation.gradient.text, told);
    equation.gradient.describe(`The gradient of ${names.score} in this feature map; ${told}`);
    live.maps.draw(equation.part.canvas, of(parts, map), { ...size, peak: largest.part });
    const verb = shares[map] < 0 ? "it takes away" : "it adds";
    say(equation.part.text, `${verb} ${signedPercent(Math.abs(shares[map])).replace("+", "")}`);
    equation.part.describe(`What this feature map adds: ${signedPercent(shares[map])} of all effects`);
  };

  const renderSum = (view, count) => {
    const { equation, found } = view;
    const { height, names, order, parts, peak, pixels, size, width } = found;
    const { sum } = partial(parts, order, count, size);
    const heat = live.kernel.resize(sum.map((value) => Math.max(0, value)), height, width);
    view.shown = { count, sum, heat };
    const isAll = count === found.count;
    live.maps.draw(equation.sum.canvas, sum, { width, height, signed: true, peak });
    live.maps.draw(equation.heat.canvas, heat, { over: pixels });
    const which = isAll ? `all ${count}` : count === 1 ? "the first" : `the first ${count}`;
    say(equation.heads[1], count ? `Added up: ${which}` : "Added up: none yet");
    say(equation.sum.text, `the sum, up to ${signed(Math.max(...sum))}`);
    equation.sum.describe(
      `The sum of ${count} feature maps: from ${signed(Math.min(...sum))} to ${signed(Math.max(...sum))}`,
    );
    const isEmpty = !live.maps.largest(heat);
    const own = found.layer === found.layers.at(-1) ? "" : ` of ${found.title}`;
    say(equation.heat.text, `the heatmap${own}${isAll ? "" : " so far"}`);
    const where = isEmpty ? "empty" : `highest at ${words.place(heat, 32)}`;
    equation.heat.describe(`The heatmap of this sum for ${names.name}, over the picture: ${where}`);
  };

  const renderStep = (view) => {
    const count = view.player.value();
    renderOne(view, view.isMoved ? Math.max(1, count) : 1); // at first the one that adds most
    renderSum(view, count);
    view.bars.render(view.found, count);
    view.tiles.forEach(({ node }, rank) => {
      node.classList.toggle("live-in-later", rank >= count);
      if (rank === count - 1) node.setAttribute("aria-current", "step");
      else node.removeAttribute("aria-current");
    });
  };

  const render = (view) => {
    const { found, layers, player: slider, steps } = view;
    const options = found.layers.map((name, at) => [name, found.titles[at]]);
    if (layers.input.options.length !== options.length) {
      layers.input.replaceChildren(...options.map(([value, title]) => element("option", { value }, title)));
    }
    layers.input.value = found.layer;
    slider.set(view.isAll ? found.count : slider.value(), found.count);
    words.explanations(found).forEach((text, at) => say(steps[at], text));
    say(view.finding, words.finding(found));
    renderTiles(view);
    renderStep(view);
  };

  /* ---- the panel ---- */

  const views = new WeakMap();

  const mount = (root, app) => {
    const view = makeView(root, app);
    view.update = newest(app, root, async () => {
      const { against, method, network } = app.state;
      if (view.network !== network) Object.assign(view, { network, layer: null });
      const { pixels } = app;
      const target = app.target();
      const { layer } = view;
      const found = await live.engine.inside(network, pixels, { method, layer, target, against });
      if (!found) return;
      view.found = arranged(found, { method, names: words.namesOf(target, against), pixels });
      render(view);
    });
    views.set(app, view);
  };

  live.inside = { viewOf: (app) => views.get(app) };
  (live.panels ??= []).push({
    name: "inside",
    title: "Look inside: how feature maps add up to the heatmap",
    modes: ["whole", "method"],
    mount,
    update: (app) => views.get(app).update(),
  });
})();
