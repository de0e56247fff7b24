/* The picture, large, with the heatmap over it, and the hand on it: mouse, finger, pen or keys. */
(() => {
  "use strict";

  const live = (globalThis.cifarcamLive ??= {});
  const { element, say } = live.dom;
  const { SIDE } = live.picture;
  const HELP =
    "Arrow keys move the brush, with Shift by four pixels. Space draws; hold it and press arrow " +
    "keys to draw a line. Enter puts the brush down or lifts it. Escape takes the stroke back.";
  const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

  const legend = () => {
    const stops = live.data.scale.filter((_, at) => at % 15 === 0);
    const colours = stops.map((colour) => `rgb(${colour.join(" ")})`).join(", ");
    const strip = element("span", {
      class: "live-colours",
      "aria-hidden": "true",
      style: `background: linear-gradient(to right, ${colours})`,
    });
    return element("p", { class: "live-scale" }, "none ", strip, " most");
  };

  let ids = 0;

  live.stage = (app) => {
    const help = element("p", { class: "live-heard", id: `live-help-${ids++}` }, HELP);
    const canvas = element("canvas", {
      class: "live-pixels",
      width: SIDE,
      height: SIDE,
      tabindex: 0,
      role: "application",
      "aria-roledescription": "drawing area",
      "aria-describedby": help.id,
    });
    const ring = element("span", { class: "live-ring", "aria-hidden": "true", hidden: true });
    const frame = element("div", { class: "live-frame" }, canvas, ring, help);
    const caption = element("p", { class: "live-caption" });
    const hand = { x: SIDE / 2, y: SIDE / 2, lead: null, held: false, led: false };
    let shown = null; // pixels of a preview

    /* ---- showing ---- */

    const paint = () => {
      const { state, answer } = app;
      const map = state.heat && answer && !shown ? app.mapOf(answer) : null;
      live.maps.draw(canvas, map, { over: shown ?? app.pixels, opacity: state.opacity / 100 });
    };

    const render = () => {
      paint();
      const target = live.data.classes[app.target()];
      const method = live.data.methods.find(({ key }) => key === app.state.method).title;
      const isBlank = app.answer && !live.maps.largest(app.mapOf(app.answer));
      const { against } = app.state;
      const contrast = against === null ? "" : ` and not ${live.data.classes[against]}`;
      say(
        caption,
        isBlank
          ? `${method}: nothing in this picture speaks for ${target}${contrast}.`
          : `${method}: what speaks for ${target}${contrast}.`,
      );
      canvas.setAttribute("aria-label", `${app.about()}, with the heatmap for ${target}`);
    };

    /* The ring shows where the brush is, and how large. */
    const moveRing = (isThere) => {
      const { size } = app.tools?.options() ?? {};
      ring.hidden = !isThere || !size;
      if (ring.hidden) return;
      ring.style.left = `${(100 * hand.x) / SIDE}%`;
      ring.style.top = `${(100 * hand.y) / SIDE}%`;
      ring.style.width = `${(100 * size) / SIDE}%`;
    };

    /* ---- strokes ---- */

    const begin = () => {
      const options = app.tools.options();
      if (!options.draws) return;
      app.remember();
      hand.lead = live.brush.begin(app.edit, options, hand.x, hand.y);
      hand.led = false;
      app.edited();
    };

    const lead = () => {
      if (!hand.lead) return;
      hand.lead(hand.x, hand.y);
      hand.led = true;
      app.edited();
    };

    const end = () => {
      hand.lead = null;
    };

    const cancel = () => {
      if (!hand.lead) return;
      end();
      app.undo({ forget: true });
    };

    /* ---- mouse, finger, pen ---- */

    const toHand = (event) => {
      const box = canvas.getBoundingClientRect();
      hand.x = ((event.clientX - box.left) / box.width) * SIDE;
      hand.y = ((event.clientY - box.top) / box.height) * SIDE;
    };

    const drawable = {
      pointerdown(event) {
        if (event.button !== 0 || !event.isPrimary) return;
        canvas.setPointerCapture(event.pointerId);
        toHand(event);
        moveRing(true);
        begin();
      },
      pointermove(event) {
        if (!event.isPrimary) return;
        const steps = hand.lead ? (event.getCoalescedEvents?.() ?? []) : [];
        for (const step of steps.length ? steps : [event]) {
          toHand(step);
          lead();
        }
        moveRing(true);
      },
      pointerup: end,
      pointercancel: cancel,
      pointerleave: () => hand.lead || moveRing(canvas.matches(":focus-visible")),
      focus: () => moveRing(canvas.matches(":focus-visible")),
      blur() {
        end();
        moveRing(false);
      },
    };

    /* ---- keys ---- */

    const clamp = (value) => Math.min(SIDE - 0.5, Math.max(0.5, value));

    const moveByKey = ([right, down], by) => {
      hand.x = clamp(Math.floor(hand.x) + 0.5 + right * by);
      hand.y = clamp(Math.floor(hand.y) + 0.5 + down * by);
      lead();
      app.announce(`column ${Math.ceil(hand.x)}, row ${Math.ceil(hand.y)}`);
    };

    const keys = {
      " ": (event) => {
        if (event.repeat || hand.held) return;
        if (!hand.lead) begin();
        hand.held = true;
      },
      Enter: (event) => {
        if (event.repeat) return;
        if (hand.lead) end();
        else begin();
        app.announce(hand.lead ? "brush down" : "brush up");
      },
      Escape: cancel,
    };

    const onKey = (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const arrow = ARROWS[event.key];
      if (!arrow && !keys[event.key]) return;
      event.preventDefault();
      event.stopPropagation(); // the page has shortcuts of its own
      if (arrow) moveByKey(arrow, event.shiftKey ? 4 : 1);
      else keys[event.key](event);
      moveRing(true);
    };

    const onKeyUp = (event) => {
      if (event.key !== " ") return;
      hand.held = false;
      end();
    };

    const listen = () => {
      for (const [name, listener] of Object.entries(drawable)) canvas.addEventListener(name, listener);
      canvas.addEventListener("keydown", onKey);
      canvas.addEventListener("keyup", onKeyUp);
    };

    if (app.mode === "whole") listen();
    else {
      canvas.removeAttribute("tabindex");
      canvas.setAttribute("role", "img");
      for (const name of ["aria-roledescription", "aria-describedby"]) canvas.removeAttribute(name);
      help.remove();
    }
    const node = element("div", { class: "live-stage" }, frame, caption, legend());
    const preview = (pixels) => {
      shown = pixels;
      paint();
    };
    return { node, canvas, paint, render, preview, moveRing, isDrawing: () => hand.lead !== null };
  };
})();
