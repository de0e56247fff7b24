/* What the panels below the picture share: sliders that play, work for the newest picture, numbers. */
(() => {
  "use strict";

  const live = (globalThis.cifarcamLive ??= {});
  const { button, describe, element, range, say } = live.dom;

  /* ---- work ---- */

  /* Does work for the newest picture only, and none in a closed panel.

     It begins after `wait` milliseconds without another call, so that a moving hand is not held up, and
     is given a function that tells whether a newer picture has come.
     Work that the engine ends when newer work comes `isEnded`; other work is waited for. */
  const newest = (app, node, work, { wait = 0, isEnded = false } = {}) => {
    let [wanted, done, isBusy, timer] = [0, 0, false, 0];
    const isOpen = () => node.closest("details")?.open ?? true;

    const begin = async () => {
      if ((isBusy && !isEnded) || wanted === done || !isOpen()) return;
      const mine = wanted;
      isBusy = true;
      try {
        await work(() => mine !== wanted);
      } catch (error) {
        app.complain(`The network cannot be asked: ${error.message}`);
      }
      [isBusy, done] = [false, mine];
      if (wanted !== mine && !isEnded) schedule();
    };

    const schedule = () => {
      clearTimeout(timer);
      timer = setTimeout(begin, wait);
    };

    return () => {
      wanted += 1;
      schedule();
    };
  };

  /* ---- a slider that plays ---- */

  /* Milliseconds until the next step: the first steps are slow, so that the eye can follow them. */
  const pace = (step) => (step < 6 ? 700 : step < 16 ? 300 : 90);

  /* A slider from `first` to a maximum that may change, a button that plays it, one for each way. */
  const player = (label, { play, first = 0, max = 1, text, oninput, pace: time = pace }) => {
    let timer = 0;
    const slider = range(label, { min: first, max, value: first, text }, (value) => move(value));
    const value = () => Number(slider.input.value);
    const limit = () => Number(slider.input.max);

    const show = (number) => slider.set(Math.min(limit(), Math.max(first, number)));

    const pause = () => {
      clearTimeout(timer);
      timer = 0;
      say(start, play);
    };

    const move = (number) => {
      pause();
      show(number);
      oninput(value());
    };

    const tick = () => {
      timer = 0;
      if (!node.isConnected || !node.closest("details").open || value() >= limit()) return pause();
      show(value() + 1);
      oninput(value());
      timer = setTimeout(tick, time(value()));
    };

    /* The reader asks for this motion, so that it runs with reduced motion, too. */
    const toggle = () => {
      if (timer) return pause();
      if (value() >= limit()) {
        show(first);
        oninput(first);
      }
      say(start, "Pause");
      timer = setTimeout(tick, time(first));
    };

    const start = button(play, toggle, { class: "live-button live-primary" });
    const steps = [
      ["‹", "One step back", -1],
      ["›", "One step on", 1],
    ].map(([sign, name, by]) =>
      button(sign, () => move(value() + by), { "aria-label": name, title: name }),
    );
    const node = element(
      "div",
      { class: "live-panel-player" },
      start,
      element("div", { class: "live-panel-slider" }, steps[0], slider.node, steps[1]),
    );
    const set = (number, most = limit()) => {
      slider.input.max = most;
      show(number);
    };
    return { node, set, move, value, limit, isPlaying: () => timer !== 0, slider: slider.node };
  };

  /* ---- numbers ---- */

  const FORMAT = { minimumSignificantDigits: 2, maximumSignificantDigits: 2, useGrouping: false };
  const plain = new Intl.NumberFormat("en", FORMAT);

  /* A number with its sign and two digits, such as +0.021, with a minus as long as the plus. */
  const signed = (value) => {
    const text = plain.format(Math.abs(value));
    return Number(text) === 0 ? "0" : `${value < 0 ? "−" : "+"}${text}`;
  };

  /* A share as a percentage with its sign and two digits. */
  const signedPercent = (share) => `${signed(100 * share)}%`;

  /* A share as a percentage; one that is not zero is never written as 0%. */
  const percent = (share) => {
    const value = 100 * Math.abs(share);
    const text = value > 0 && value < 0.5 ? "<1" : String(Math.round(value));
    return `${share < 0 && value >= 0.5 ? "−" : ""}${text}%`;
  };

  /* ---- pictures ---- */

  /* A canvas with a short name under it, and a description for those who do not see it. */
  const figure = (caption, attributes = {}) => {
    const canvas = element("canvas", { class: "live-pixels", width: 1, height: 1 });
    const words = element("figcaption", {}, caption);
    const node = element("figure", { class: "live-panel-figure", ...attributes }, canvas, words);
    return { node, canvas, words, describe: (text) => describe(canvas, text) };
  };

  /* Paints values that are not negative: white is nothing, as in signed maps, and black their maximum. */
  const grey = (canvas, values, width, height) => {
    const peak = live.maps.largest(values);
    [canvas.width, canvas.height] = [width, height];
    const context = canvas.getContext("2d");
    const image = context.createImageData(width, height);
    for (let i = 0; i < values.length; i++) {
      image.data.fill(247 - (peak ? (231 * values[i]) / peak : 0), 4 * i, 4 * i + 3);
      image.data[4 * i + 3] = 255;
    }
    context.putImageData(image, 0, 0);
  };

  live.panel = { newest, player, figure, grey, signed, signedPercent, percent };
  live.panels ??= [];
})();
