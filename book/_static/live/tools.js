/* The tools of the hand: buttons of which one is pressed, and below them what that one can do. */
(() => {
  "use strict";

  const live = (globalThis.cifarcamLive ??= {});
  const { choice, check, element, range, select, svg, button } = live.dom;
  const { SIDE } = live.picture;

  // Each icon is drawn on 24 x 24.
  const TOOLS = {
    erase: ["Erase", "M4 16 13 7l6 6-6 6H7zM9.5 10.5l6 6M13 19h7"],
    paint: ["Paint", "M20 4 10 14M8 13c-3 0-3 4-5 5 3 2 7 1 7-3z"],
    move: ["Move", "M12 3v18M3 12h18M12 3 9 6M12 3l3 3M12 21l-3-3M12 21l3-3M3 12l3-3M3 12l3 3M21 12l-3-3M21 12l-3 3"],
    paste: ["Paste", "M4 4h10v10H4zM10 10h10v10H10z"],
    turn: ["Turn", "M19 12a7 7 0 1 1-2.5-5.4M17 3v4h-4"],
    light: ["Light", "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 2v3M12 19v3M2 12h3M19 12h3M5 5l2 2M17 17l2 2M19 5l-2 2M7 17l-2 2"],
  };
  const FILLS = [["mean", "its mean colour"], ["black", "black"], ["blur", "a blur"]];
  const SIZES = { erase: 7, paint: 3, move: 11, paste: 15 };
  const COLOURS = { "#d62728": "red", "#2ca02c": "green", "#1f77b4": "blue", "#ffffff": "white" };

  const icon = (path) =>
    svg("svg", { viewBox: "0 0 24 24", "aria-hidden": "true", class: "live-icon" }, svg("path", { d: path }));

  const parsed = (colour) => [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));

  const signed = (unit) => (value) => `${value > 0 ? "+" : value < 0 ? "−" : ""}${Math.abs(value)}${unit}`;

  /* ---- what a tool can do ---- */

  const eraser = (state) => {
    const fills = choice("Erase to", FILLS, (fill) => (state.fill = fill));
    fills.set(state.fill);
    return [element("span", { class: "live-note" }, "Drag over the picture. Erase to"), fills.node];
  };

  const colours = (state) => {
    const input = element("input", {
      type: "color",
      value: state.colour,
      "aria-label": "Another colour",
      oninput: () => set(input.value),
    });
    const swatches = Object.entries(COLOURS).map(([colour, name]) =>
      button("", () => set(colour), {
        class: "live-button live-swatch",
        style: `--live-swatch: ${colour}`,
        "aria-label": name,
      }),
    );
    const set = (colour) => {
      state.colour = input.value = colour;
      Object.keys(COLOURS).forEach((one, at) =>
        swatches[at].setAttribute("aria-pressed", one === colour),
      );
    };
    set(state.colour);
    return [element("span", { class: "live-note" }, "Colour"), ...swatches, input];
  };

  /* One picture of each class that the network is right about, else the first of the class. */
  const examples = () => {
    const { labels, classes, networks } = live.data;
    return classes.flatMap((title, label) => {
      const own = labels.flatMap((one, index) => (one === label ? [index] : []));
      const index = own.find((one) => networks[0].predicted[one] === label) ?? own[0];
      return index === undefined ? [] : [[index, title]];
    });
  };

  /* The picture that a piece is taken from, and a ring on it around the piece. */
  const source = (state, sized) => {
    const canvas = element("canvas", {
      class: "live-pixels",
      tabindex: 0,
      role: "application",
      "aria-roledescription": "choice of a piece",
    });
    const ring = element("span", { class: "live-ring", "aria-hidden": "true" });
    const show = () => {
      live.maps.draw(canvas, null, { over: state.source, opacity: 0 });
      const [x, y] = state.from;
      ring.style.left = `${(100 * x) / SIDE}%`;
      ring.style.top = `${(100 * y) / SIDE}%`;
      ring.style.width = `${(100 * state.sizes.paste) / SIDE}%`;
      const place = `column ${Math.ceil(x)}, row ${Math.ceil(y)}`;
      canvas.setAttribute("aria-label", `The piece around ${place}; arrow keys move it`);
    };
    const within = (value) => Math.min(SIDE - 0.5, Math.max(0.5, Math.floor(value) + 0.5));
    const point = (event) => {
      if (!event.buttons) return;
      const box = canvas.getBoundingClientRect();
      const share = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
      state.from = share.map((one) => within(one * SIDE));
      show();
    };
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      point(event);
    });
    canvas.addEventListener("pointermove", point);
    canvas.addEventListener("keydown", (event) => {
      const by = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
      if (!by[event.key]) return;
      event.preventDefault();
      event.stopPropagation();
      state.from = state.from.map((value, axis) => within(value + by[event.key][axis]));
      show();
    });
    const choose = (index) => {
      state.source = live.picture.ofSprite(Number(index));
      show();
    };
    const options = examples();
    const from = select("A piece of this", options, choose);
    sized.push(show);
    from.input.value = String(options.at(-3)?.[0] ?? options[0][0]);
    choose(from.input.value);
    const note = element("p", { class: "live-note" }, "Move the ring to the piece, then press on the picture.");
    return [element("div", { class: "live-frame live-source" }, canvas, ring), element("div", {}, from.node, note)];
  };

  /* ---- all tools ---- */

  live.tools = (app) => {
    const state = {
      tool: "erase",
      fill: "mean",
      colour: "#d62728",
      sizes: { ...SIZES },
      source: null,
      from: [SIDE / 2, SIDE / 2],
    };
    const sized = []; // what shows the size of a brush

    const size = (tool, words) =>
      range(
        words,
        { min: 1, max: 24, value: state.sizes[tool], text: (value) => `${value} pixels` },
        (value) => {
          state.sizes[tool] = value;
          for (const show of sized) show();
        },
      ).node;

    /* Sliders of the whole picture: the first movement can be undone, then they go on. */
    const sliders = {};
    let isSliding = false;
    const slide = (key, words, [min, max], text) => {
      sliders[key] = range(
        words,
        { min, max, value: 0, text },
        (value) => {
          if (!isSliding) app.remember();
          isSliding = true;
          app.edit.by = { ...app.edit.by, [key]: value };
          app.edited();
        },
        () => (isSliding = false),
      );
      return sliders[key].node;
    };
    const mirror = check("Mirror", (value) => {
      app.remember();
      app.edit.by = { ...app.edit.by, mirror: value };
      app.edited();
    });

    const row = (...children) => element("div", { class: "live-row" }, ...children);
    const panels = {
      erase: () => [row(...eraser(state)), size("erase", "Size of the brush")],
      paint: () => [row(...colours(state)), size("paint", "Size of the brush")],
      move: () => [
        element("p", { class: "live-note" }, "Press on a piece of the picture and drag it."),
        size("move", "Size of the piece"),
      ],
      paste: () => [row(...source(state, sized)), size("paste", "Size of the piece")],
      turn: () => [
        element("p", { class: "live-note" }, "Drag the picture to shift it."),
        row(slide("turn", "Turn", [-180, 180], signed("°")), mirror.node),
        row(
          slide("right", "Shift right", [-16, 16], signed(" px")),
          slide("down", "Shift down", [-16, 16], signed(" px")),
        ),
      ],
      light: () => [
        row(
          slide("brightness", "Brightness", [-100, 100], signed("%")),
          slide("contrast", "Contrast", [-100, 100], signed("%")),
        ),
        slide("noise", "Noise", [0, 80], (value) => `${value} levels`),
      ],
    };
    const made = Object.fromEntries(
      Object.entries(panels).map(([tool, fill]) => [
        tool,
        element(
          "div",
          { class: "live-options", role: "group", "aria-label": `${TOOLS[tool][0]}: options`, hidden: true },
          ...fill(),
        ),
      ]),
    );

    const choose = (tool) => {
      state.tool = tool;
      for (const [name, panel] of Object.entries(made)) panel.hidden = name !== tool;
      bar.set(tool);
    };
    const bar = choice("Tool", Object.entries(TOOLS).map(([tool, [title]]) => [tool, title]), choose);
    bar.node.classList.add("live-bar");
    bar.buttons.forEach((one, at) => one.prepend(icon(Object.values(TOOLS)[at][1])));
    choose("erase");

    /* What the stage asks for when a stroke begins. */
    const options = () => {
      const { tool, fill, colour, source: picture, from } = state;
      return {
        tool,
        fill: tool === "paint" ? "colour" : fill,
        colour: parsed(colour),
        size: state.sizes[tool] ?? 0,
        source: picture,
        from,
        draws: tool !== "light",
      };
    };

    /* The sliders follow when steps are taken back. */
    const render = () => {
      for (const [key, { input, set }] of Object.entries(sliders)) {
        if (Number(input.value) !== app.edit.by[key]) set(app.edit.by[key]);
      }
      mirror.input.checked = app.edit.by.mirror;
    };

    const node = element("div", { class: "live-tools" }, bar.node, ...Object.values(made));
    return { node, options, render };
  };
})();
