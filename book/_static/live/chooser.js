/* Which picture: a strip with one of each class, and all test pictures with filters, folded. */
(() => {
  "use strict";

  const live = (globalThis.cifarcamLive ??= {});
  const { element, say, select } = live.dom;

  const thumbnail = (pixels) => {
    const canvas = element("canvas", { class: "live-pixels", "aria-hidden": "true" });
    live.maps.draw(canvas, null, { over: pixels, opacity: 0 });
    return canvas;
  };

  /* Of buttons in a grid one is reached by Tab, the others by the arrow keys. */
  const roving = (grid) => {
    const buttons = () => [...grid.querySelectorAll("button")];
    const reach = (one) => {
      for (const button of buttons()) button.tabIndex = button === one ? 0 : -1;
    };
    grid.addEventListener("focusin", (event) => reach(event.target));
    grid.addEventListener("keydown", (event) => {
      const all = buttons();
      const at = all.indexOf(event.target);
      const perRow = all.filter((one) => one.offsetTop === all[0].offsetTop).length;
      const by = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -perRow, ArrowDown: perRow }[event.key];
      if (!by || at < 0 || event.altKey || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      event.stopPropagation();
      all[at + by]?.focus();
    });
    return () => reach(grid.querySelector("[aria-pressed=true]") ?? buttons()[0]);
  };

  /* One picture of each class that the first network is right about, and the one that is shown first. */
  const oneOfEach = (shown) => {
    const { labels, classes, networks } = live.data;
    return classes.flatMap((_, label) => {
      if (labels[shown] === label) return [shown];
      const right = (index) => labels[index] === label && networks[0].predicted[index] === label;
      const index = [...labels.keys()].find(right) ?? labels.indexOf(label);
      return index < 0 ? [] : [index];
    });
  };

  live.chooser = (app) => {
    const { labels, classes, networks, places } = live.data;
    const filter = { outcome: "all", label: "all" };
    const network = () => networks.find(({ key }) => key === app.state.network);
    const isRight = (index) => network().predicted[index] === labels[index];

    const nameOf = (index) => {
      const taken = isRight(index) ? "recognised" : `taken for ${classes[network().predicted[index]]}`;
      return `${classes[labels[index]]}, ${taken}, test image ${places[index]}`;
    };

    const tile = (index, caption) => {
      const made = element(
        "button",
        {
          type: "button",
          class: "live-tile",
          "data-picture": index,
          onclick: () => app.change({ picture: index, target: "first" }),
        },
        thumbnail(live.picture.ofSprite(index)),
      );
      if (caption) made.append(element("span", {}, caption));
      else {
        made.setAttribute("aria-label", nameOf(index));
        made.dataset.taken = isRight(index) ? "" : `✗ ${classes[network().predicted[index]]}`;
      }
      return element("li", {}, made);
    };

    /* ---- the strip ---- */

    const list = (label, ...items) =>
      element("ul", { class: "live-strip", role: "list", "aria-label": label }, ...items);
    const strip = list("Pictures", ...oneOfEach(app.state.picture).map((index) => tile(index, classes[labels[index]])));
    let own = null;
    const reachStrip = roving(strip);

    /* ---- all pictures ---- */

    const grid = element("ul", { class: "live-strip", role: "list", "aria-label": "Test pictures" });
    const reachGrid = roving(grid);
    const status = element("p", { class: "live-note", role: "status" });
    const outcome = select(
      "The network is",
      [["all", "right or wrong"], ["right", "right"], ["wrong", "wrong"]],
      (value) => refill({ outcome: value }),
    );
    const label = select(
      "Class",
      [["all", "all classes"], ...classes.map((title, index) => [index, title])],
      (value) => refill({ label: value }),
    );
    const passes = (index) =>
      (filter.outcome === "all" || isRight(index) === (filter.outcome === "right")) &&
      (filter.label === "all" || labels[index] === Number(filter.label));
    let filled = "";
    const refill = (changes = {}) => {
      Object.assign(filter, changes);
      const indices = [...labels.keys()].filter(passes);
      const wanted = JSON.stringify([indices, app.state.network]);
      if (wanted !== filled) grid.replaceChildren(...indices.map((index) => tile(index)));
      filled = wanted;
      const none = "No test picture fits; choose another class.";
      say(status, indices.length ? `${indices.length} of ${labels.length} test pictures` : none);
      press(grid, reachGrid);
    };
    const all = element(
      "details",
      { class: "live-panel", ontoggle: () => all.open && refill() },
      element("summary", {}, `All ${labels.length} pictures: right or wrong, by class`),
      element(
        "div",
        {},
        element("div", { class: "live-row" }, outcome.node, label.node),
        status,
        grid,
      ),
    );

    /* ---- the state ---- */

    const press = (where, reach) => {
      for (const button of where.querySelectorAll("button")) {
        const isChosen = button.dataset.picture === String(app.state.picture);
        if (button.getAttribute("aria-pressed") !== String(isChosen)) {
          button.setAttribute("aria-pressed", isChosen);
        }
      }
      if (where.children.length) reach();
    };

    const showOwn = () => {
      if (!app.own || own === app.own) return;
      strip.querySelector("[data-picture=own]")?.parentNode.remove();
      own = app.own;
      const canvas = element("canvas", { "aria-hidden": "true", width: 96, height: 96 });
      canvas.getContext("2d").drawImage(own.large, 0, 0, 96, 96);
      const attributes = {
        type: "button",
        class: "live-tile",
        "data-picture": "own",
        onclick: () => app.change({ picture: "own", target: "first" }),
      };
      strip.append(element("li", {}, element("button", attributes, canvas, element("span", {}, "yours"))));
    };

    const render = () => {
      showOwn();
      press(strip, reachStrip);
      if (all.open) refill();
    };

    const source = live.own(app);
    const top = element(
      "div",
      { class: "live-chooser" },
      strip,
      source.buttons,
      source.photo,
    );
    return { top, all, render };
  };
})();
