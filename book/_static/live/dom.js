/* Building blocks of the live component: elements, and controls that say their value. */
(() => {
  "use strict";

  const live = (globalThis.cifarcamLive ??= {});
  const SVG = "http://www.w3.org/2000/svg";

  const fill = (made, attributes, children) => {
    for (const [key, value] of Object.entries(attributes)) {
      if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
      else if (value === true) made.setAttribute(key, "");
      else if (value !== false && value != null) made.setAttribute(key, value);
    }
    made.append(...children);
    return made;
  };

  const element = (tag, attributes = {}, ...children) =>
    fill(document.createElement(tag), attributes, children);

  const svg = (tag, attributes = {}, ...children) =>
    fill(document.createElementNS(SVG, tag), attributes, children);

  /* Live regions speak when they are written to, even what they hold already. */
  const say = (node, text) => {
    if (node.textContent !== text) node.textContent = text;
  };

  /* What a picture shows, in words. Before its first answer it is none, neither to the eye nor to the ear. */
  const describe = (node, text) => {
    node.setAttribute("role", "img");
    node.setAttribute("aria-label", text);
  };

  const button = (text, onclick, attributes = {}) =>
    element("button", { type: "button", class: "live-button", onclick, ...attributes }, text);

  let ids = 0;

  const labelled = (text, input) => {
    input.id ||= `live-control-${ids++}`;
    const label = element("label", { for: input.id }, text);
    return element("div", { class: "live-control" }, label, input);
  };

  const select = (text, options, onchange) => {
    const input = element(
      "select",
      { onchange: () => onchange(input.value) },
      ...options.map(([value, title]) => element("option", { value }, title)),
    );
    return { node: labelled(text, input), input };
  };

  const range = (text, { min, max, step, value, text: words = String }, oninput, onchange) => {
    const input = element("input", { type: "range", min, max, step: step ?? 1 });
    const shown = element("span", { class: "live-value", "aria-hidden": "true" });
    const set = (number) => {
      input.value = number;
      input.setAttribute("aria-valuetext", words(number));
      say(shown, words(number));
    };
    input.addEventListener("input", () => {
      set(Number(input.value));
      oninput(Number(input.value));
    });
    if (onchange) input.addEventListener("change", () => onchange(Number(input.value)));
    const node = labelled(text, input);
    node.querySelector("label").append(" ", shown);
    set(value);
    return { node, input, set };
  };

  const check = (text, onchange) => {
    const input = element("input", {
      type: "checkbox",
      onchange: () => onchange(input.checked),
    });
    return { node: element("label", { class: "live-check" }, input, text), input };
  };

  /* A group of buttons of which one is pressed; `set` presses it without a call. */
  const choice = (label, options, onchange) => {
    const buttons = options.map(([value, title]) =>
      button(title, () => {
        set(value);
        onchange(value);
      }),
    );
    const set = (value) =>
      buttons.forEach((one, index) => one.setAttribute("aria-pressed", options[index][0] === value));
    set(options[0][0]);
    const node = element("div", { class: "live-choice", role: "group", "aria-label": label });
    node.append(...buttons);
    return { node, buttons, set };
  };

  const capital = (text) => text[0].toUpperCase() + text.slice(1);

  /* Whether the reader asked for less motion. */
  const isStill = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

  live.dom = { element, svg, say, describe, button, select, range, check, choice, capital, isStill };
})();
