/* The network lives in the page: starts each `.live-app`, and joins its parts.

   What is shown follows from `state`, `edit` (the picture under the hand) and the newest answer. While
   the hand moves, at most one answer is in flight, and the newest pixels follow it. */
(() => {
  "use strict";

  const live = (globalThis.cifarcamLive ??= {});
  const { button, check, element, range, say } = live.dom;
  const { NONE, apply, isNone } = live.adjust;
  const PANELS = (live.panels ??= []);
  const QUIET = 700; // milliseconds without news before the live region speaks

  /* ---- the address ---- */

  /* The hash holds what differs from the usual state, in words. */
  const address = (app, usual) => {
    const { classes, methods, networks, places } = live.data;
    const keys = networks.map(({ key }) => key);
    const classOf = { to: (index) => classes[index], from: (name) => classes.indexOf(name) };
    const among = (values) => ({
      to: (value) => value,
      from: (value) => (values.includes(value) ? value : -1),
    });
    const fields = {
      picture: { name: "image", to: (index) => places[index], from: (place) => places.indexOf(Number(place)) },
      network: { name: "network", ...among(keys) },
      second: { name: "second", ...among(keys) },
      method: { name: "method", ...among(methods.map(({ key }) => key)) },
      target: { name: "class", ...classOf },
      against: { name: "against", ...classOf },
    };
    const read = () => {
      const given = new URLSearchParams(location.hash.slice(1));
      const known = Object.values(fields).some(({ name }) => given.has(name));
      if (location.hash && !known) return null; // a link to a heading, not to a view
      const changes = {};
      for (const [key, { name, from }] of Object.entries(fields)) {
        const value = given.has(name) ? from(given.get(name)) : -1;
        changes[key] = value === -1 ? usual[key] : value;
      }
      return changes;
    };
    const write = () => {
      const { state } = app;
      const kept = Object.entries(fields).filter(
        ([key]) => state[key] !== usual[key] && state[key] !== "own",
      );
      const here = new URL(location.href);
      const words = kept.map(([key, { name, to }]) => [name, to(state[key])]);
      here.hash = new URLSearchParams(words).toString();
      history.replaceState(null, "", here);
    };
    return { read, write, isView: () => location.hash !== "" && read() !== null };
  };

  const FIRST = 699; // place in the test split of a dog that looks at us: its face can be erased

  /* That dog, else the first dog that the network recognises, else the first picture. */
  const firstPicture = () => {
    const { labels, classes, networks, places } = live.data;
    const dog = classes.indexOf("dog");
    const isDog = (index) => labels[index] === dog && networks[0].predicted[index] === dog;
    const indices = [...labels.keys()];
    const found = indices.find((index) => places[index] === FIRST && isDog(index));
    return found ?? indices.find(isDog) ?? Math.max(0, labels.indexOf(dog));
  };

  /* ---- the picture under the hand ---- */

  const editing = (app) => {
    const past = live.brush.history();
    const now = () => ({ ...app.edit });
    const restore = (edit) => {
      if (!edit) return;
      app.edit = edit;
      app.edited();
    };
    Object.assign(app, {
      remember: () => past.remember(now()),
      undo: ({ forget = false } = {}) => restore(forget ? past.forget() : past.undo(now())),
      redo: () => restore(past.redo(now())),
      reset() {
        if (!app.isChanged()) return;
        app.remember();
        restore({ base: app.original, by: NONE });
      },
      isChanged: () => app.edit.base !== app.original || !isNone(app.edit.by),
      open(pixels) {
        past.clear();
        app.original = pixels;
        restore({ base: pixels, by: NONE });
      },
    });
    const dead = (one, isDead) => one.setAttribute("aria-disabled", isDead);
    const undo = button("Undo", () => app.undo());
    const redo = button("Redo", () => app.redo());
    const reset = button("Reset", () => app.reset());
    const save = button("Save picture", () => live.save(app));
    const node = element("div", { class: "live-row live-history" }, undo, redo, reset, save);
    const render = () => {
      dead(undo, !past.canUndo);
      dead(redo, !past.canRedo);
      dead(reset, !app.isChanged());
    };
    const onKey = (event) => {
      const isUndo = event.key.toLowerCase() === "z" || event.key.toLowerCase() === "y";
      if (!isUndo || !(event.ctrlKey || event.metaKey) || event.altKey) return;
      event.preventDefault();
      if (event.shiftKey || event.key.toLowerCase() === "y") app.redo();
      else app.undo();
    };
    return { node, render, onKey };
  };

  /* ---- asking the network ---- */

  const asking = (app) => {
    let [isScheduled, isAsking, isWanted, isStale] = [false, false, false, false];

    const answers = async () => {
      const { network, second, method, against } = app.state;
      const keys = second && second !== network ? [network, second] : [network];
      await Promise.all(keys.map((key) => live.engine.load(key)));
      const options = { method, layer: null, against };
      return Promise.all(keys.map((key) => live.engine.answer(key, app.pixels, options)));
    };

    const ask = async () => {
      isAsking = true;
      isWanted = false;
      const given = await answers().catch((error) => {
        app.complain(`The network cannot be asked: ${error.message}.`);
        return [];
      });
      isAsking = false;
      if (given.includes(null)) isWanted = true; // another asked in between
      if (isWanted) schedule();
      const [answer = null, second = null] = given;
      if (answer && !given.includes(null)) app.answered(answer, second);
    };

    const tick = () => {
      isScheduled = false;
      if (isStale) {
        app.pixels = apply(app.edit.base, app.edit.by);
        app.stage.paint();
      }
      isStale = false;
      if (!isAsking) ask();
    };

    const schedule = () => {
      isWanted = true;
      if (isScheduled) return;
      isScheduled = true;
      requestAnimationFrame(tick);
    };

    app.ask = app.redraw = schedule;
    app.edited = () => {
      isStale = true;
      schedule();
    };
  };

  /* ---- words ---- */

  const wording = (app) => {
    const { classes, labels, networks, places } = live.data;
    const region = element("div", { class: "live-heard", role: "status" });
    const failure = element("p", { class: "live-failure", role: "alert" });
    let timer = 0;
    let said = null;
    const label = () => classes[labels[app.state.picture]];
    Object.assign(app, {
      announce(text) {
        clearTimeout(timer);
        timer = setTimeout(() => say(region, text), QUIET);
      },
      complain: (text) => say(failure, text),
      title: (key) => networks.find((one) => one.key === key).title,
      about() {
        const { picture } = app.state;
        const what = picture === "own" ? app.own.title : `Test image ${places[picture]}, labelled ${label()}`;
        return app.isChanged() ? `${what}, changed by hand` : what;
      },
      fact() {
        const end = app.state.picture === "own" ? ", as the network sees it: 32 x 32 pixels" : "";
        return `${app.about()}${end}.`;
      },
      sayAnswer() {
        const { probabilities } = app.answer;
        const order = [...classes.keys()].sort((a, b) => probabilities[b] - probabilities[a]);
        const text = order
          .slice(0, 2)
          .map((index) => `${classes[index]} ${live.percent(probabilities[index])}`)
          .join(", then ");
        if (said !== null && text !== said) app.announce(text); // the page does not speak first
        said = text;
      },
    });
    return [failure, region];
  };

  /* ---- the page ---- */

  const heatControls = (app) => {
    const isShown = check("Heatmap", (heat) => app.change({ heat }));
    const opacity = range(
      "Opacity",
      { min: 0, max: 100, value: app.state.opacity, text: (value) => `${value}%` },
      (value) => app.change({ opacity: value, heat: value > 0 }),
    );
    const render = () => {
      isShown.input.checked = app.state.heat;
      opacity.set(app.state.opacity);
    };
    return { node: element("div", { class: "live-row live-heat" }, isShown.node, opacity.node), render };
  };

  const makePanels = (app) =>
    PANELS.filter(({ modes }) => modes.includes(app.mode)).map((panel) => {
      const inside = element("div", {});
      const node = element(
        "details",
        { class: "live-panel", open: app.mode === "method" && panel.name === "inside" },
        element("summary", {}, panel.title),
        inside,
      );
      node.addEventListener("toggle", () => node.open && app.answer && panel.update(app));
      const update = () => node.open && panel.update(app);
      return { node, mount: () => panel.mount(inside, app), update };
    });

  const NOTICE = "Nothing leaves this page: the network runs in your browser.";

  const build = (app) => {
    const words = wording(app);
    const past = editing(app);
    asking(app);
    const isWhole = app.mode === "whole";
    app.tools = isWhole ? live.tools(app) : null;
    app.stage = live.stage(app);
    const heat = heatControls(app);
    const answers = live.answers(app);
    const chooser = isWhole ? live.chooser(app) : null;
    app.panels = makePanels(app);
    const left = element("div", { class: "live-left" }, app.stage.node);
    if (isWhole) left.append(app.tools.node, past.node);
    answers.node.append(heat.node);
    const main = element("div", { class: "live-main" }, left, answers.node);
    app.root.replaceChildren(
      ...(chooser ? [chooser.top] : []),
      ...words,
      answers.verdict,
      main,
      ...(chooser ? [chooser.all] : []),
      ...app.panels.map(({ node }) => node),
      element("p", { class: "live-note live-notice" }, NOTICE),
    );
    if (isWhole) app.root.addEventListener("keydown", past.onKey);
    app.render = () => {
      for (const part of [app.stage, heat, answers, past, app.tools, chooser]) part?.render();
    };
    for (const panel of app.panels) panel.mount();
  };

  const start = (root) => {
    const usual = {
      picture: firstPicture(),
      network: live.data.networks[0].key,
      second: null,
      method: live.data.methods[0].key,
      target: "first",
      against: null,
    };
    const app = { root, mode: root.dataset.mode ?? "whole", data: live.data, answer: null, second: null };
    app.state = { ...usual, heat: true, opacity: Math.round(100 * live.maps.OPACITY) };
    app.own = null;
    app.original = live.picture.ofSprite(usual.picture);
    app.edit = { base: app.original, by: NONE };
    app.pixels = apply(app.original, NONE);
    app.firstOf = ({ probabilities }) => probabilities.indexOf(Math.max(...probabilities));
    app.target = () => {
      if (app.state.target !== "first") return app.state.target;
      return app.answer ? app.firstOf(app.answer) : live.data.labels[usual.picture];
    };
    app.mapOf = ({ maps }, target = app.target()) => maps.subarray(1024 * target, 1024 * (target + 1));
    build(app);

    const place = address(app, usual);
    const apart = ({ picture }) => picture !== app.state.picture;
    const show = (changes) => {
      const isOther = "picture" in changes && apart(changes);
      const { second } = app.state;
      Object.assign(app.state, changes);
      if (app.state.against === app.target()) app.state.against = null;
      if (app.state.second === app.state.network) app.state.second = null;
      if (app.state.second !== second) app.second = null; // the answer of another network
      const { picture } = app.state;
      if (isOther) app.open(picture === "own" ? app.own.pixels : live.picture.ofSprite(picture));
      app.render();
      app.ask();
    };
    app.change = (changes) => {
      show(changes);
      if (app.mode === "whole") place.write();
    };
    app.openOwn = (own) => {
      app.own = own;
      app.state.picture = null; // so that another picture of the reader's own is opened as well
      app.change({ picture: "own", target: "first" });
    };
    app.answered = (answer, second) => {
      Object.assign(app, { answer, second });
      app.render();
      app.sayAnswer();
      for (const panel of app.panels) panel.update();
    };
    if (app.mode === "whole") {
      const isView = place.isView();
      show(place.read() ?? {});
      window.addEventListener("hashchange", () => {
        const changes = place.read();
        if (changes) show(changes);
      });
      if (isView) root.scrollIntoView();
    } else show({});
    return app;
  };

  const begin = async () => {
    const roots = document.querySelectorAll(".live-app");
    if (!roots.length || !live.data) return; // the page says then what is missing
    await live.picture.load();
    live.apps = [...roots].map(start);
  };

  begin();
})();
