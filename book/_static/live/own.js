/* A picture of the reader's own: opened, dropped, pasted or photographed. It never leaves the page. */
(() => {
  "use strict";

  const live = (globalThis.cifarcamLive ??= {});
  const { button, element } = live.dom;

  /* Why the camera gives no picture, in one sentence. */
  const refusal = (error) => {
    if (error.name === "NotAllowedError") return "The camera was not allowed; open a picture instead.";
    if (error.name === "NotFoundError") return "No camera was found; open a picture instead.";
    return "The camera cannot be used here; open a picture instead.";
  };

  /* The camera is asked for when its button is pressed, and stopped after the picture. */
  const camera = (app, take) => {
    const video = element("video", { playsinline: true, muted: true, "aria-label": "What the camera sees" });
    video.muted = true;
    let stream = null;
    const stop = () => {
      for (const track of stream?.getTracks() ?? []) track.stop();
      stream = video.srcObject = null;
      node.hidden = true;
      start.setAttribute("aria-expanded", "false");
    };
    const close = () => {
      stop();
      start.focus();
    };
    const shoot = async () => {
      if (!video.videoWidth) return;
      const bitmap = await createImageBitmap(video);
      close();
      take(live.picture.fromSource(bitmap), "Your photograph");
      bitmap.close();
    };
    const press = button("Take the picture", shoot, { class: "live-button live-primary" });
    const node = element(
      "div",
      { class: "live-camera", hidden: true },
      element("div", { class: "live-frame" }, video),
      element("div", { class: "live-row" }, press, button("Cancel", close)),
    );
    node.addEventListener("keydown", (event) => event.key === "Escape" && close());
    const open = async () => {
      if (stream) return close();
      app.complain("");
      try {
        if (!navigator.mediaDevices) throw new DOMException("", "NotSupportedError");
        stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
      } catch (error) {
        return app.complain(refusal(error));
      }
      video.srcObject = stream;
      node.hidden = false;
      start.setAttribute("aria-expanded", "true");
      await video.play();
      press.focus();
    };
    const start = button("Take a photo", open, { "aria-expanded": "false" });
    window.addEventListener("pagehide", stop);
    return { start, node };
  };

  const filesOf = (transfer) => [...(transfer?.files ?? [])];

  live.own = (app) => {
    const take = ({ pixels, large }, title) => {
      app.complain("");
      app.openOwn({ pixels, large, title });
    };

    const read = async (blob) => {
      try {
        take(await live.picture.fromFile(blob), "Your picture");
      } catch (error) {
        app.complain(error.message);
      }
    };

    const input = element("input", {
      type: "file",
      accept: "image/*",
      class: "live-heard",
      tabindex: -1,
      "aria-label": "A picture of your own",
      onchange: () => {
        if (input.files.length) read(input.files[0]);
        input.value = ""; // so that the same file can be opened again
      },
    });
    const open = button("Open a picture", () => input.click());
    const { start, node: photo } = camera(app, take);

    /* The whole page takes files, so that none is opened in place of the page. */
    const hasFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
    let inside = 0; // elements that the dragged file is over
    const mark = () => app.root.classList.toggle("live-dropping", inside > 0);
    const listeners = {
      dragenter(event) {
        if (!hasFiles(event)) return;
        inside++;
        mark();
      },
      dragleave(event) {
        if (!hasFiles(event)) return;
        inside--;
        mark();
      },
      dragover: (event) => hasFiles(event) && event.preventDefault(),
      drop(event) {
        if (!hasFiles(event)) return;
        event.preventDefault();
        inside = 0;
        mark();
        const [file] = filesOf(event.dataTransfer);
        if (file) read(file);
        app.root.scrollIntoView({ block: "nearest" });
      },
      paste(event) {
        const file = filesOf(event.clipboardData)[0];
        if (!file || event.target.matches?.("input:not([type=range]), textarea")) return;
        event.preventDefault();
        read(file);
      },
    };
    for (const [name, listener] of Object.entries(listeners)) document.addEventListener(name, listener);

    const buttons = element("div", { class: "live-sources" }, open, start, input);
    return { buttons, photo };
  };
})();
