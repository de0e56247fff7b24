/* The ten answers: each with its probability as a bar and with its small heatmap. */
(() => {
  "use strict";

  const live = (globalThis.cifarcamLive ??= {});
  const { element, say, select } = live.dom;

  const SMALL = 0.9; // opacity of the small heatmaps, which would be faint otherwise

  const percent = (share) => {
    const value = 100 * share;
    return value > 0 && value < 0.5 ? "<1%" : `${Math.round(value)}%`;
  };

  const bar = () => {
    const share = element("span", { class: "live-share" });
    const text = element("span", { class: "live-percent" });
    return { node: element("span", { class: "live-track" }, share), share, text };
  };

  const row = (app, index) => {
    const title = live.data.classes[index];
    const bars = [bar(), bar()];
    const maps = [0, 1].map(() => element("canvas", { class: "live-pixels", "aria-hidden": "true" }));
    const button = element(
      "button",
      {
        type: "button",
        class: "live-answer",
        onclick: () => app.change({ target: app.target() === index ? "first" : index }),
      },
      element("span", { class: "live-name" }, title),
      " ", // between the words for the ear
      element("span", { class: "live-bars" }, ...bars.map(({ node }) => node)),
      element("span", { class: "live-numbers" }, bars[0].text, " ", bars[1].text),
      ...maps,
    );
    return { button, bars, maps };
  };

  live.answers = (app) => {
    const { classes, methods, networks } = live.data;
    const verdict = element("p", { class: "live-verdict" });
    const fact = element("p", { class: "live-fact" });
    const rows = classes.map((_, index) => row(app, index));
    const list = element(
      "ul",
      { class: "live-answers", role: "list", "aria-label": "Answers: press one to see its heatmap" },
      ...rows.map(({ button }) => element("li", {}, button)),
    );
    const second = element("canvas", { class: "live-pixels" });
    const secondCaption = element("p", { class: "live-caption" });
    const beside = element(
      "div",
      { class: "live-stage", hidden: true },
      element("div", { class: "live-frame" }, second),
      secondCaption,
    );

    const controls = {
      method: select("Method", methods.map(({ key, title }) => [key, title]), (method) =>
        app.change({ method }),
      ),
      against: select(
        "and not the class",
        [["", "none"], ...classes.map((title, index) => [index, title])],
        (value) => app.change({ against: value === "" ? null : Number(value) }),
      ),
      network: select("Network", networks.map(({ key, title }) => [key, title]), (network) =>
        app.change({ network }),
      ),
      second: select(
        "Second network",
        [["", "none"], ...networks.map(({ key, title }) => [key, title])],
        (value) => app.change({ second: value || null }),
      ),
    };

    const renderRow = ({ button, bars, maps }, index, answers) => {
      const target = app.target();
      answers.forEach((answer, which) => {
        maps[which].hidden = bars[which].node.hidden = bars[which].text.hidden = !answer;
        if (!answer) return;
        const share = answer.probabilities[index];
        bars[which].share.style.width = `${100 * share}%`;
        say(bars[which].text, percent(share));
        live.maps.draw(maps[which], app.mapOf(answer, index), { over: app.pixels, opacity: SMALL });
        button.classList.toggle(`live-first-${which}`, index === app.firstOf(answer));
      });
      button.setAttribute("aria-pressed", index === target);
    };

    const renderVerdict = () => {
      const first = app.firstOf(app.answer);
      const parts = [["span", `${live.dom.capital(app.title(app.state.network))} says `], ["b", classes[first]]];
      parts.push(["span", ` with ${percent(app.answer.probabilities[first])}.`]);
      if (verdict.textContent !== parts.map(([, text]) => text).join("")) {
        verdict.replaceChildren(...parts.map(([tag, text]) => element(tag, {}, text)));
      }
      say(fact, app.fact());
    };

    const renderSecond = () => {
      const answer = app.second;
      beside.hidden = !answer;
      if (!answer) return;
      const map = app.state.heat ? app.mapOf(answer) : null;
      live.maps.draw(second, map, { over: app.pixels, opacity: app.state.opacity / 100 });
      const first = app.firstOf(answer);
      const title = live.dom.capital(app.title(app.state.second));
      const text = `${title} says ${classes[first]} with ${percent(answer.probabilities[first])}.`;
      say(secondCaption, text);
      live.dom.describe(second, `The same picture with the heatmap. ${text}`);
    };

    const renderControls = () => {
      const { state } = app;
      for (const [key, { input }] of Object.entries(controls)) input.value = state[key] ?? "";
      for (const option of controls.against.input.options) {
        option.disabled = option.value !== "" && Number(option.value) === app.target();
      }
      for (const option of controls.second.input.options) {
        option.disabled = option.value === state.network;
      }
    };

    const render = () => {
      renderControls();
      if (!app.answer) return;
      rows.forEach((one, index) => renderRow(one, index, [app.answer, app.second]));
      node.parentNode.classList.toggle("live-both", app.second !== null);
      renderVerdict();
      renderSecond();
    };

    const shown = ["method", "against", "network", "second"].filter(
      (key) => app.mode === "whole" || key === "method" || key === "against",
    );
    const node = element(
      "div",
      { class: "live-side" },
      beside,
      list,
      element("div", { class: "live-grid-controls" }, ...shown.map((key) => controls[key].node)),
    );
    return { node, verdict: element("div", {}, verdict, fact), render };
  };

  live.percent = percent;
})();
