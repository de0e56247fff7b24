/* Ask it: what the network says as pixels are removed, and where a grey square covers the picture. */
(() => {
  "use strict";

  const live = (globalThis.cifarcamLive ??= {});
  const { element, say, select, svg } = live.dom;
  const { figure, newest, percent, player } = live.panel;
  const { CENTRE, RANDOM, area, filled, meanColour, meanOf, orderOf } = live.orders;
  const SIDE = 32;
  const PIXELS = SIDE * SIDE;
  const REST = 200; // milliseconds without a change before the network is asked
  const LOW = 0.05; // a probability of the whole picture that leaves little to lose

  /* ---- words ---- */

  const COMPARED = {
    lower: "finds what the network needs better than",
    level: "does as well as",
    higher: "does worse than",
  };

  const compare = (one, other) => {
    if (Math.abs(one - other) < 0.005) return "level";
    return one < other ? "lower" : "higher";
  };

  /* How the map's order does beside chance and the centre blob. */
  const verdictOf = (map, random, blob) => {
    const [chance, centre] = [compare(map, random), compare(map, blob)];
    if (chance === centre) return `The map ${COMPARED[chance]} chance and the centre blob.`;
    const joined = chance === "level" || centre === "level" ? "and" : "but";
    return `The map ${COMPARED[chance]} chance, ${joined} ${COMPARED[centre]} the centre blob.`;
  };

  const fallOf = ({ name, curves, blank }) => {
    const [map, random, blob] = curves.map(area);
    const start = curves[0][0];
    const means =
      `Averaged over the curve, ${name} keeps ${percent(map)} in the map's order, ${percent(random)} in random ` +
      `order and ${percent(blob)} from the centre outwards. The lower, the sooner the network loses what it needs.`;
    if (blank) return `${means} The map is empty, so that its order is chance.`;
    if (start < LOW) {
      return `${means} The network gives ${name} only ${percent(start)} to begin with, so that there is little to lose.`;
    }
    return `${means} ${verdictOf(map, random, blob)}`;
  };

  const outlook = (text) => element("p", { class: "live-note" }, text);

  const progressBar = (label) => {
    const node = element("progress", { class: "live-ask-progress", max: 1, value: 0, "aria-label": label });
    const show = (share) => {
      node.value = share;
      node.classList.toggle("live-ask-idle", share === 1);
    };
    show(1);
    return { node, show };
  };

  /* ---- removing pixels ---- */

  const STEPS = 16; // as many as cifarcam's metric takes
  const shareAt = (step) => `${Math.round((100 * step) / STEPS)}%`;
  const LINES = ["the map's order", "random order", "the centre blob"];
  const SHORT = ["map's order", "random order", "centre blob"];

  const makeDeletion = (root, app) => {
    const view = { app, found: null };
    view.figures = LINES.map((label) => figure(label));
    view.player = player("Pixels removed", {
      play: "Remove them step by step",
      max: STEPS,
      text: shareAt,
      pace: () => 500,
      oninput: () => view.found && renderRemoved(view),
    });
    view.chart = svg("svg");
    view.progress = progressBar("Asking the network");
    view.finding = element("p");
    view.cells = LINES.map(() => [element("td"), element("td")]);
    view.head = element("th", { scope: "col" });
    const head = element("tr", {}, element("th", { scope: "col" }, "Order"), view.head);
    head.append(element("th", { scope: "col" }, "mean"));
    const rows = LINES.map((label, at) =>
      element("tr", {}, element("th", { scope: "row" }, label), ...view.cells[at]),
    );
    view.caption = element("caption", { class: "live-note" });
    const table = element("table", { class: "live-table" }, view.caption, element("thead", {}, head));
    table.append(element("tbody", {}, ...rows));
    view.body = element(
      "div",
      { class: "live-ask-body" },
      element("div", { class: "live-ask-figures" }, ...view.figures.map(({ node }) => node)),
      view.player.node,
      element("div", { class: "live-ask-answers" }, view.chart, table),
      view.finding,
    );
    root.append(
      element(
        "p",
        {},
        "If the heatmap marks what the network needs, the probability must fall quickly once these pixels " +
          "are gone. A removed pixel gets the mean colour of the picture. Two orders that know nothing of " +
          "the network show how much a fall means: pixels at random, and pixels from the centre outwards.",
      ),
      view.progress.node,
      view.body,
      outlook("The random curve is the mean of five random orders; the picture above it shows the first of them."),
    );
    view.player.set(STEPS / 4);
    return view;
  };

  /* What has been removed at the step of the slider, and the probabilities there. */
  const renderRemoved = ({ caption, cells, chart, figures, found, head, player: slider }) => {
    const { curves, colour, name, orders, pixels } = found;
    const step = slider.value();
    const removed = Math.round((step * PIXELS) / STEPS);
    figures.forEach(({ canvas, words, describe }, at) => {
      const value = percent(curves[at][step]);
      live.maps.draw(canvas, null, { over: filled(pixels, orders[at].subarray(0, removed), colour) });
      words.replaceChildren(`${LINES[at]}: `, element("b", {}, value));
      describe(`The picture without ${shareAt(step)} of its pixels, ${LINES[at]}`);
      say(cells[at][0], value);
      say(cells[at][1], percent(area(curves[at])));
    });
    say(head, `at ${shareAt(step)}`);
    say(caption, `Probability of ${name} with ${shareAt(step)} of the pixels removed, and its mean over the curve`);
    const lines = curves.map((curve, at) => ({
      label: SHORT[at],
      values: Array.from(curve, (value) => 100 * value),
    }));
    const mark = (100 * step) / STEPS;
    live.maps.curves(chart, { lines, x: "pixels removed, %", y: `probability of ${name}, %`, mark });
    const told = curves.map((curve, at) => `${LINES[at]} ${percent(curve[0])} to ${percent(curve.at(-1))}`);
    live.dom.describe(chart, `Probability of ${name} as pixels are removed: ${told.join("; ")}`);
  };

  const mountDeletion = (root, app) => {
    const view = makeDeletion(root, app);
    const ask = async (isStale) => {
      const { pixels } = app;
      const { network } = app.state;
      const target = app.target();
      const map = app.mapOf(app.answer);
      const orders = [orderOf(map), ...RANDOM, CENTRE];
      const colour = meanColour(pixels);
      const options = { orders, target, steps: STEPS, fill: colour };
      const found = await live.engine.deletion(network, pixels, options, view.progress.show);
      if (!found || isStale()) return;
      view.progress.show(1);
      view.body.classList.remove("live-ask-old");
      view.found = {
        pixels,
        colour,
        name: live.data.classes[target],
        blank: !live.maps.largest(map),
        curves: [found[0], meanOf(found.slice(1, 1 + RANDOM.length)), found.at(-1)],
        orders: [orders[0], RANDOM[0], CENTRE],
      };
      renderRemoved(view);
      say(view.finding, fallOf(view.found));
    };
    return wired(view, root, app, ask);
  };

  /* ---- covering a part ---- */

  const GREY = [128, 128, 128];
  const SIZES = [4, 8, 16]; // pixels; the square moves by half its side

  const squareAt = ({ places, size }, number) => {
    const [top, left] = [places[Math.floor(number / places.length)], places[number % places.length]];
    const pixels = [];
    for (let y = top; y < top + size; y++) {
      for (let x = left; x < left + size; x++) pixels.push(y * SIDE + x);
    }
    return { top, left, pixels };
  };

  const makeOcclusion = (root, app) => {
    const view = { app, found: null, size: 8, isMoved: false };
    view.picture = figure("");
    view.map = figure("Red: covering it lowers the probability. Blue: covering it raises it.");
    view.sizes = select("Square", SIZES.map((size) => [size, `${size} × ${size} pixels`]), (size) => {
      Object.assign(view, { size: Number(size), isMoved: false });
      view.update();
    });
    view.sizes.input.value = view.size;
    view.player = player("Position of the square", {
      play: "Slide the square",
      first: 1,
      text: (number) => (view.found ? `${number} of ${view.found.falls.length}` : ""),
      pace: () => 250,
      oninput: () => {
        view.isMoved = true;
        if (view.found) renderSquare(view);
      },
    });
    view.progress = progressBar("Asking the network");
    view.finding = element("p");
    view.body = element(
      "div",
      { class: "live-ask-body" },
      element("div", { class: "live-ask-figures live-ask-pair" }, view.picture.node, view.map.node),
      view.player.node,
      view.finding,
    );
    root.append(
      element(
        "p",
        {},
        "A grey square covers one part of the picture after the other, and the network is asked each time. " +
          "No gradient is needed for that. Where the probability falls, the network misses what is covered.",
      ),
      element("div", { class: "live-in-layer" }, view.sizes.node),
      view.progress.node,
      view.body,
    );
    return view;
  };

  const renderSquare = ({ found, picture, player: slider }) => {
    const { falls, name, pixels, whole } = found;
    const number = slider.value() - 1;
    const { top, left, pixels: square } = squareAt(found, number);
    live.maps.draw(picture.canvas, null, { over: filled(pixels, square, GREY) });
    const value = percent(Math.max(0, whole - falls[number]));
    picture.words.replaceChildren(`${name}: `, element("b", {}, value), ` with the square, ${percent(whole)} without`);
    picture.describe(`The picture, covered from row ${top + 1}, column ${left + 1}: ${name} ${value}`);
  };

  const coveredOf = (found) => {
    const { falls, name, size, whole } = found;
    const place = (number) => {
      const { top, left } = squareAt(found, number);
      return `rows ${top + 1} to ${top + size}, columns ${left + 1} to ${left + size}`;
    };
    const most = falls.indexOf(Math.max(...falls));
    const least = falls.indexOf(Math.min(...falls));
    const at = (number) => percent(Math.min(1, Math.max(0, whole - falls[number])));
    const start = `Without the square, ${name} has ${percent(whole)}.`;
    const low = falls[most] < 0.005
      ? " No square lowers that noticeably."
      : ` It falls furthest, to ${at(most)}, when ${place(most)} are covered.`;
    const high = falls[least] > -0.005 ? "" : ` It rises furthest, to ${at(least)}, when ${place(least)} are covered.`;
    return { most, text: start + low + high };
  };

  const mountOcclusion = (root, app) => {
    const view = makeOcclusion(root, app);
    const ask = async (isStale) => {
      const { pixels } = app;
      const { network } = app.state;
      const { size } = view;
      const target = app.target();
      const whole = app.answer.probabilities[target];
      const options = { target, size, stride: size / 2, fill: GREY };
      const found = await live.engine.occlusion(network, pixels, options, view.progress.show);
      if (!found || isStale()) return;
      view.progress.show(1);
      view.body.classList.remove("live-ask-old");
      view.found = { ...found, pixels, size, whole, name: live.data.classes[target] };
      const { most, text } = coveredOf(view.found);
      view.player.set(view.isMoved ? view.player.value() : most + 1, found.falls.length);
      live.maps.draw(view.map.canvas, found.map, { over: pixels, signed: true });
      view.map.describe(`How far the probability falls when each part is covered. ${text}`);
      renderSquare(view);
      say(view.finding, text);
    };
    return wired(view, root, app, ask);
  };

  /* ---- the panels ---- */

  /* What is asked while an older question is open ends that one. Old answers stand back meanwhile. */
  const wired = (view, root, app, ask) => {
    const begin = newest(app, root, ask, { wait: REST, isEnded: true });
    view.update = () => {
      view.body.classList.add("live-ask-old");
      begin();
    };
    return view;
  };

  const views = { deletion: new WeakMap(), occlusion: new WeakMap() };
  const panel = (name, title, mount) => ({
    name,
    title,
    modes: ["whole"],
    mount: (root, app) => views[name].set(app, mount(root, app)),
    update: (app) => views[name].get(app).update(),
  });

  live.questions = { verdictOf, viewOf: (name, app) => views[name].get(app) };
  (live.panels ??= []).push(
    panel("deletion", "Ask it: does the network need what the map marks?", mountDeletion),
    panel("occlusion", "Ask it: what if a part is covered?", mountOcclusion),
  );
})();
