/* The gallery: a choice of images, and one of them large. Reads gallery/data.js; asks no server.

   Everything follows from `state`, which the address's hash holds. `render` shows it. */
(() => {
  "use strict";

  const data = window.cifarcamGallery;
  const root = document.getElementById("gallery-app");
  if (!data || !root) return; // the page says then what is missing
  const home = new URL("gallery/", document.currentScript.src);
  const count = data.places.length;
  const names = data.networks.map((network) => network.name);

  // Filters by what is known of an image: their words, and the images that pass.
  const facts = data.facts; // null on pages of the sample, of whose images less is known
  const everyone = [...Array(count).keys()];
  const flags = {
    unrecognised: {
      text: "no network here is right",
      images: everyone.filter((image) =>
        data.networks.every((one) => one.predicted[image] !== data.labels[image]),
      ),
    },
  };
  if (facts) {
    flags.missed = { text: "no published network is right", images: facts.missed };
    flags.doubtful = { text: "the label is in doubt", images: facts.doubtful };
    flags.twin = { text: "a near twin is a training image", images: facts.twin };
  }
  // Degrees of people's agreement with the label, as the numbers of the data count them.
  const degrees = ["all", "most", "half", "fewer"];

  // What the address may hold, and what is meant where it says nothing.
  const options = {
    class: ["all", ...data.classes],
    predicted: ["all", ...data.classes],
    outcome: ["all", "right", "wrong"],
    network: names,
    method: data.methods,
    matrix: ["closed", "open"],
    people: ["any", ...(facts ? degrees : [])],
    ...Object.fromEntries(Object.keys(flags).map((key) => [key, ["any", "only"]])),
  };
  const percents = { from: 0, to: 100, opacity: Math.round(100 * data.opacity) };
  const usual = {
    ...Object.fromEntries(Object.entries(options).map(([key, values]) => [key, values[0]])),
    ...percents,
    image: null,
  };
  const state = { ...usual };

  /* ---- the address ---- */

  const readAddress = () => {
    const given = new URLSearchParams(location.hash.slice(1));
    const known = [...given.keys()].some((key) => key in usual);
    if (location.hash && !known) return; // a link to a heading, not to a view
    Object.assign(state, usual);
    for (const [key, values] of Object.entries(options)) {
      if (values.includes(given.get(key))) state[key] = given.get(key);
    }
    for (const key of Object.keys(percents)) {
      if (/^\d+$/.test(given.get(key) ?? "")) state[key] = Math.min(100, Number(given.get(key)));
    }
    const image = data.places.indexOf(Number(given.get("image") ?? NaN));
    if (image >= 0) state.image = image;
  };

  const writeAddress = () => {
    const kept = Object.entries(state).filter(([key, value]) => value !== usual[key]);
    const hash = new URLSearchParams(
      kept.map(([key, value]) => [key, key === "image" ? data.places[value] : value]),
    );
    const address = new URL(location.href);
    address.hash = hash.toString();
    history.replaceState(null, "", address);
  };

  const change = (changes) => {
    Object.assign(state, changes);
    render();
    writeAddress();
  };

  /* ---- what is known of an image ---- */

  const network = () => data.networks[names.indexOf(state.network)];
  const predictedOf = (image) => network().predicted[image];
  const isRight = (image) => predictedOf(image) === data.labels[image];
  const confidence = (image) => share(network().probabilities[image][predictedOf(image)]);
  const isBlank = (image) => network().heatmaps[state.method].blank.includes(image);
  const share = (units) => (100 * units) / data.units;
  const isDoubtful = (image) => facts !== null && facts.doubtful.includes(image);
  const DOUBT = "label in doubt";

  const sentence = (image) => {
    const label = data.classes[data.labels[image]];
    const taken = isRight(image) ? "recognised" : `taken for ${data.classes[predictedOf(image)]}`;
    const doubt = isDoubtful(image) ? `; ${DOUBT}` : "";
    return `${label}, ${taken} with ${confidence(image).toFixed(0)}%${doubt}`;
  };

  const inCell = (truth, predicted) =>
    everyone.filter(
      (image) => data.labels[image] === truth && predictedOf(image) === predicted,
    );

  /* Images of a cell: of the test split, or of the gallery where that alone was counted. */
  const counted = (truth, predicted) =>
    network().confusion?.[truth][predicted] ?? inCell(truth, predicted).length;

  const chosen = () =>
    everyone.filter(
      (image) =>
        (state.class === "all" || data.classes[data.labels[image]] === state.class) &&
        (state.predicted === "all" || data.classes[predictedOf(image)] === state.predicted) &&
        (state.people === "any" || degrees[facts.people[image]] === state.people) &&
        Object.entries(flags).every(
          ([key, { images }]) => state[key] === "any" || images.includes(image),
        ) &&
        (state.outcome === "all" || isRight(image) === (state.outcome === "right")) &&
        confidence(image) >= state.from &&
        confidence(image) <= state.to,
    );

  /* ---- building blocks ---- */

  const element = (tag, attributes = {}, ...children) => {
    const made = document.createElement(tag);
    for (const [key, value] of Object.entries(attributes)) {
      if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
      else made.setAttribute(key, value);
    }
    made.append(...children);
    return made;
  };

  /* Live regions speak when they are written to, even what they hold already. */
  const say = (region, text) => {
    if (region.textContent !== text) region.textContent = text;
  };

  /* A part of the sprites: the picture, and the heatmap over it. */
  const view = (image, { heat = true } = {}) => {
    const rows = Math.ceil(count / data.columns);
    const part = (index, all) => `${all > 1 ? (100 * index) / (all - 1) : 0}%`;
    const x = part(image % data.columns, data.columns);
    const y = part(Math.floor(image / data.columns), rows);
    const size = `${100 * data.columns}% ${100 * rows}%`;
    const style = `background-position: ${x} ${y}; background-size: ${size}`;
    const made = element("span", { class: "gallery-view" });
    made.append(element("span", { class: "gallery-picture", style }));
    if (heat) made.append(element("span", { class: "gallery-heat", style }));
    return made;
  };

  /* Controls show the state and change it; the same one may stand in two places. */
  const shownBy = [];
  let ids = 0;

  const labelled = (text, input) => {
    input.id = `gallery-control-${ids++}`;
    return element(
      "div",
      { class: "gallery-control" },
      element("label", { for: input.id }, text),
      input,
    );
  };

  const select = (key, text, titles = {}) => {
    const input = element(
      "select",
      { name: key, onchange: () => change({ [key]: input.value }) },
      ...options[key].map((value) => element("option", { value }, titles[value] ?? value)),
    );
    shownBy.push(() => (input.value = state[key]));
    return labelled(text, input);
  };

  const check = (key, { text, images }) => {
    const input = element("input", {
      type: "checkbox",
      name: key,
      onchange: () => change({ [key]: input.checked ? "only" : "any" }),
    });
    shownBy.push(() => (input.checked = state[key] === "only"));
    return element("label", {}, input, ` ${text} (${images.length})`);
  };

  const range = (key, text, changes = () => ({})) => {
    const input = element("input", { type: "range", name: key, min: 0, max: 100, step: 1 });
    const value = element("span", { class: "gallery-value", "aria-hidden": "true" });
    input.addEventListener("input", () => {
      const percent = Number(input.value);
      Object.assign(state, { [key]: percent, ...changes(percent) });
      render();
    });
    // Browsers refuse to change the address as often as a slider moves.
    input.addEventListener("change", writeAddress);
    shownBy.push(() => {
      input.value = state[key];
      input.setAttribute("aria-valuetext", `${state[key]}%`);
      value.textContent = `${state[key]}%`;
    });
    const made = labelled(text, input);
    made.querySelector("label").append(" ", value);
    return made;
  };

  const scale = () =>
    element(
      "p",
      { class: "gallery-scale" },
      "no evidence ",
      element("span", { class: "gallery-colours", "aria-hidden": "true" }),
      " maximum",
    );

  /* ---- the page ---- */

  const DEGREES = {
    any: "any number",
    all: "all of them",
    most: "at least 90%, not all",
    half: "half or more, under 90%",
    fewer: "fewer than half",
  };
  const controls = element(
    "form",
    {
      class: "gallery-controls",
      "aria-label": "Choice of images",
      onsubmit: (e) => e.preventDefault(),
    },
    select("class", "Class", { all: "all classes" }),
    select("predicted", "Predicted as", { all: "all classes" }),
    select("outcome", "The network is", { all: "right or wrong" }),
    select("network", "Network"),
    select("method", "Method"),
    range("from", "Confidence from", (percent) => ({ to: Math.max(percent, state.to) })),
    range("to", "Confidence to", (percent) => ({ from: Math.min(percent, state.from) })),
    range("opacity", "Heatmap opacity"),
    ...(facts ? [select("people", "People who chose the label", DEGREES)] : []),
    element(
      "fieldset",
      { class: "gallery-checks" },
      element("legend", {}, "Only images of which this is true"),
      ...Object.entries(flags).map(([key, flag]) => check(key, flag)),
    ),
    element(
      "div",
      { class: "gallery-control" },
      element("button", { type: "button", onclick: () => change({ ...usual }) }, "Reset"),
    ),
  );
  const status = element("p", { class: "gallery-status", role: "status" });
  const failure = element("p", { class: "gallery-failure", role: "alert" });
  const grid = element("ul", { class: "gallery-grid", role: "list", "aria-label": "Images" });

  const tile = (image) => {
    // To the eye "cat ✗ dog 83%", to the ear "cat, taken for dog with 83%".
    const heard = (text) => element("span", { class: "gallery-heard" }, text);
    const seen = (text) => element("span", { "aria-hidden": "true" }, text);
    const answer = isRight(image)
      ? [heard("recognised with "), seen("✓ ")]
      : [heard("taken for "), seen("✗ "), data.classes[predictedOf(image)], heard(" with"), " "];
    const lines = [
      element("b", {}, data.classes[data.labels[image]], heard(",")),
      element("span", {}, ...answer, `${confidence(image).toFixed(0)}%`),
    ];
    if (isDoubtful(image)) lines.push(element("i", {}, heard(", "), DOUBT));
    if (isBlank(image)) lines.push(element("span", {}, heard(", "), "no positive evidence"));
    const button = element(
      "button",
      { type: "button", "data-image": data.places[image], onclick: () => change({ image }) },
      view(image),
      element("span", { class: "gallery-caption" }, ...lines),
    );
    return element("li", {}, button);
  };

  /* ---- the confusion matrix, whose cells open their images ---- */

  const cells = data.classes.map((truth, row) =>
    data.classes.map((predicted, column) =>
      element("button", {
        type: "button",
        onclick: () => {
          const isOpen = state.class === truth && state.predicted === predicted;
          const kept = ["network", "method", "opacity", "matrix"].map((key) => [key, state[key]]);
          const cell = isOpen ? {} : { class: truth, predicted };
          change({ ...usual, ...Object.fromEntries(kept), ...cell });
        },
        onfocus: () => reach(row, column),
      }),
    ),
  );

  /* One of the buttons is reached by Tab, the others by the arrow keys. */
  const reach = (row, column) => {
    for (const button of cells.flat()) button.tabIndex = -1;
    cells[row][column].tabIndex = 0;
  };

  const matrixCaption = element("caption", {});
  const matrixTable = element(
    "table",
    { class: "gallery-matrix" },
    matrixCaption,
    element(
      "thead",
      {},
      element(
        "tr",
        {},
        element("th", { scope: "col" }, "true class"),
        ...data.classes.map((name) => element("th", { scope: "col" }, element("span", {}, name))),
      ),
    ),
    element(
      "tbody",
      {},
      ...data.classes.map((name, row) =>
        element(
          "tr",
          {},
          element("th", { scope: "row" }, name),
          ...cells[row].map((button) => element("td", {}, button)),
        ),
      ),
    ),
  );
  const matrix = element(
    "details",
    {
      class: "gallery-confusions",
      ontoggle: () => {
        const now = matrix.open ? "open" : "closed";
        if (now !== state.matrix) change({ matrix: now });
      },
    },
    element("summary", {}, "Confusion matrix: open the images of a cell"),
    element("div", { class: "gallery-wide" }, matrixTable),
  );
  matrixTable.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
    const row = cells.findIndex((buttons) => buttons.includes(event.target));
    if (!by[event.key] || row < 0 || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    event.stopPropagation(); // Sphinx may have shortcuts of its own
    const [down, right] = by[event.key];
    cells[row + down]?.[cells[row].indexOf(event.target) + right]?.focus();
  });
  reach(0, 0);

  /* What a screen reader calls a cell: "cat, taken for dog: 165 test images, 4 of them here". */
  const nameOf = (truth, predicted, all, here) => {
    const taken = truth === predicted ? "recognised" : `taken for ${data.classes[predicted]}`;
    const images = `${all} ${network().confusion ? "test " : ""}image${all === 1 ? "" : "s"}`;
    const held = all && network().confusion ? `, ${here || "none"} of them here` : "";
    return `${data.classes[truth]}, ${taken}: ${images}${held}`;
  };

  /* "The network takes 165 test images of class cat for dog; 4 of them are here." */
  const sentenceOf = (truth, predicted) => {
    const all = counted(truth, predicted);
    const here = inCell(truth, predicted).length;
    const number = `${all || "no"} test image${all > 1 ? "s" : ""}`;
    const images = `${number} of class ${data.classes[truth]}`;
    const held = all ? `; ${here || "none"} of them ${here > 1 ? "are" : "is"} here` : "";
    return truth === predicted
      ? `The network recognises ${images}${held}.`
      : `The network takes ${images} for ${data.classes[predicted]}${held}.`;
  };

  const renderMatrix = () => {
    if (matrix.open !== (state.matrix === "open")) matrix.open = state.matrix === "open";
    matrixCaption.textContent =
      "Rows are true classes, columns the classes that the network " +
      `${state.network} predicts, for ` +
      `${network().confusion ? "all test images" : "the images of the gallery"}. ` +
      "A cell shows its images below. Framed cells have images here; arrow keys move between cells.";
    cells.forEach((buttons, truth) => {
      const all = data.classes.map((_, predicted) => counted(truth, predicted));
      const sum = all.reduce((one, other) => one + other, 0);
      buttons.forEach((button, predicted) => {
        const names = [data.classes[truth], data.classes[predicted]];
        const here = inCell(truth, predicted).length;
        button.textContent = all[predicted];
        button.setAttribute("aria-label", nameOf(truth, predicted, all[predicted], here));
        const isOpen = state.class === names[0] && state.predicted === names[1];
        button.setAttribute("aria-pressed", isOpen);
        button.classList.toggle("gallery-held", here > 0);
        // The root of the share, or all mistakes would be white.
        button.style.setProperty("--share", `${40 * Math.sqrt(all[predicted] / (sum || 1))}%`);
      });
    });
  };

  /* ---- one image, large ---- */

  const title = element("h2", { id: "gallery-title", tabindex: "-1" });
  const about = element("p", {});
  const known = element("ul", { class: "gallery-known" });
  const large = element("div", { class: "gallery-large" });
  const bars = element("tbody", {});
  const caption = element("caption", {});
  const position = element("span", {});
  const bar = element(
    "div",
    { class: "gallery-bar" },
    element("button", { type: "button", onclick: () => step(-1) }, "← Previous"),
    position,
    element("button", { type: "button", onclick: () => step(1) }, "Next →"),
    element(
      "button",
      { type: "button", class: "gallery-close", onclick: () => dialog.close() },
      "Close",
    ),
  );
  const sides = element(
    "div",
    { class: "gallery-sides" },
    element(
      "div",
      {},
      large,
      scale(),
      element(
        "div",
        { class: "gallery-controls" },
        select("network", "Network"),
        select("method", "Method"),
        range("opacity", "Heatmap opacity"),
      ),
    ),
    element(
      "table",
      { class: "gallery-probabilities" },
      caption,
      element(
        "thead",
        {},
        element(
          "tr",
          {},
          element("th", { scope: "col" }, "Class"),
          element("th", { scope: "col", colspan: 2 }, "Probability"),
        ),
      ),
      bars,
    ),
  );
  const dialog = element(
    "dialog",
    { class: "gallery-dialog", "aria-labelledby": "gallery-title" },
    element(
      "div",
      { class: "gallery-sheet" },
      bar,
      element("div", { "aria-live": "polite" }, title, about, known),
      sides,
    ),
  );

  const step = (by) => {
    const images = chosen();
    if (!images.length) return;
    const at = images.indexOf(state.image);
    // From an image outside of the choice, go to the one after it or before it.
    const after = images.filter((image) => image < state.image).length;
    const next = at >= 0 ? at + by : by > 0 ? after : after - 1;
    change({ image: images[(next + images.length) % images.length] });
  };

  const row = (image, index) => {
    const percent = share(network().probabilities[image][index]);
    const tags = [];
    if (index === data.labels[image]) tags.push("true");
    if (index === predictedOf(image)) tags.push("predicted");
    const head = element("th", { scope: "row" }, data.classes[index]);
    const said = element("span", { class: "gallery-tags" }, `(${tags.join(", ")})`);
    if (tags.length) head.append(" ", said);
    return element(
      "tr",
      { class: tags.map((tag) => `gallery-${tag}`).join(" ") },
      head,
      element("td", {}, element("span", { class: "gallery-share", style: `width: ${percent}%` })),
      element("td", {}, `${percent.toFixed(1)}%`),
    );
  };

  const renderLarge = (images) => {
    const image = state.image;
    if (image === null) {
      if (dialog.open) dialog.close();
      return;
    }
    const predicted = data.classes[predictedOf(image)];
    const evidence = isBlank(image)
      ? " It has no positive evidence: the map is zero everywhere."
      : "";
    say(title, sentence(image));
    say(
      about,
      `Image ${data.places[image]} of the test split, counted from 0. Network: ${state.network}. ` +
        `The heatmap by ${state.method} explains the class ${predicted}.${evidence}`,
    );
    const ours = flags.unrecognised.images.includes(image);
    const sentences = [
      ...(facts ? facts.sentences[image] : []),
      ...(ours ? ["None of the networks in this gallery predicts the label."] : []),
    ];
    if (known.textContent !== sentences.join("")) {
      known.replaceChildren(...sentences.map((text) => element("li", {}, text)));
    }
    const label = data.classes[data.labels[image]];
    large.replaceChildren(
      ...[
        [view(image, { heat: false }), "Picture", `picture of class ${label}`],
        [
          view(image),
          "With the heatmap",
          `the same picture with the heatmap for ${predicted} over it`,
        ],
      ].map(([shown, text, alternative]) => {
        shown.setAttribute("role", "img");
        shown.setAttribute("aria-label", alternative);
        return element("div", {}, shown, element("span", { "aria-hidden": "true" }, text));
      }),
    );
    caption.textContent = `Probabilities by ${state.network}`;
    bars.replaceChildren(...data.classes.map((_, index) => row(image, index)));
    const at = images.indexOf(image);
    position.textContent = at < 0 ? "outside of the choice" : `${at + 1} of ${images.length}`;
    if (!dialog.open) {
      dialog.showModal();
      title.focus();
    }
  };

  dialog.addEventListener("keydown", (event) => {
    event.stopPropagation(); // Sphinx has shortcuts of its own, one of which swallows Escape
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!by || event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.target.matches("input, select")) return; // theirs
    event.preventDefault();
    step(by);
  });
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close(); // beside the sheet
  });
  dialog.addEventListener("close", () => {
    if (state.image === null) return;
    const place = data.places[state.image];
    change({ image: null });
    const button = grid.querySelector(`[data-image="${place}"]`);
    (button ?? controls.querySelector("select")).focus();
  });

  /* ---- showing the state ---- */

  const address = (file) => `url("${new URL(file, home).href}")`;

  /* A sprite that does not load must not look like maps without evidence. */
  const load = (property, file) => {
    const value = address(file);
    if (root.style.getPropertyValue(property) === value) return;
    root.style.setProperty(property, value);
    const probe = new Image();
    probe.addEventListener("error", () => {
      failure.textContent = `${file.split("?")[0]} cannot be loaded: what it holds is not shown.`;
    });
    probe.src = new URL(file, home).href;
  };

  let drawn = "";
  const render = () => {
    const images = chosen();
    const right = images.filter(isRight).length;
    load("--gallery-pictures", data.pictures);
    load("--gallery-heatmaps", network().heatmaps[state.method].file);
    root.style.setProperty("--gallery-opacity", state.opacity / 100);
    for (const show of shownBy) show();
    renderMatrix();
    let text = images.length
      ? `${images.length} of ${count} images; the network ${state.network} is right on ${right}.`
      : "No image fits this choice. Widen it, or reset it.";
    if (state.class !== "all" && state.predicted !== "all" && network().confusion) {
      const cell = [state.class, state.predicted].map((name) => data.classes.indexOf(name));
      text += ` ${sentenceOf(...cell)}`;
    }
    say(status, text);
    const shown = JSON.stringify([images, state.network, state.method]);
    if (shown !== drawn) grid.replaceChildren(...images.map(tile)); // else they keep the focus
    drawn = shown;
    renderLarge(images);
  };

  const stops = data.scale.map(([r, g, b, a]) => `rgb(${r} ${g} ${b} / ${(a / 255).toFixed(3)})`);
  root.style.setProperty("--gallery-colours", `linear-gradient(to right, ${stops.join(", ")})`);
  root.replaceChildren(controls, matrix, scale(), status, failure, grid, dialog);
  window.addEventListener("hashchange", () => {
    readAddress();
    render();
  });
  readAddress();
  render();
  // Links from another chapter: to the matrix, and to the images of one of its cells.
  if (state.matrix === "open") matrix.scrollIntoView();
  else if (state.predicted !== "all" && state.image === null) {
    status.scrollIntoView();
    grid.querySelector("button")?.focus({ preventScroll: true });
  }
})();
