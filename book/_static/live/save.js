/* "Save picture": the picture, its heatmap and the answers as one PNG with a caption. */
(() => {
  "use strict";

  const live = (globalThis.cifarcamLive ??= {});
  const { element } = live.dom;
  const [SIDE, GAP, MARGIN, LINE, TEXT] = [384, 24, 24, 30, 20]; // pixels of the PNG

  /* Lines of at most a width, broken between words. */
  const wrapped = (context, text, width) => {
    const lines = [""];
    for (const word of text.split(" ")) {
      const longer = `${lines.at(-1)} ${word}`.trim();
      if (lines.at(-1) && context.measureText(longer).width > width) lines.push(word);
      else lines[lines.length - 1] = longer;
    }
    return lines;
  };

  const captionOf = (app) => {
    const { classes, methods } = live.data;
    const { probabilities } = app.answer;
    const order = [...classes.keys()].sort((a, b) => probabilities[b] - probabilities[a]).slice(0, 3);
    const answers = order.map((index) => `${classes[index]} ${live.percent(probabilities[index])}`);
    const method = methods.find(({ key }) => key === app.state.method).title;
    const against = app.state.against === null ? "" : ` and not ${classes[app.state.against]}`;
    return [
      `${app.about()}. The network ${app.title(app.state.network)} says: ${answers.join(", ")}.`,
      `Right: ${method} for ${classes[app.target()]}${against}.`,
    ].join(" ");
  };

  const drawn = (app) => {
    const width = 2 * MARGIN + 2 * SIDE + GAP;
    const canvas = element("canvas", { width });
    const context = canvas.getContext("2d");
    const font = `${TEXT}px system-ui, "DejaVu Sans", sans-serif`;
    context.font = font;
    const lines = wrapped(context, captionOf(app), width - 2 * MARGIN);
    canvas.height = 2 * MARGIN + SIDE + 12 + LINE * lines.length;
    context.fillStyle = "white";
    context.fillRect(0, 0, width, canvas.height);
    context.imageSmoothingEnabled = false;
    const small = element("canvas");
    [null, app.mapOf(app.answer)].forEach((map, which) => {
      live.maps.draw(small, map, { over: app.pixels });
      context.drawImage(small, MARGIN + which * (SIDE + GAP), MARGIN, SIDE, SIDE);
    });
    context.fillStyle = "black";
    context.font = font;
    lines.forEach((text, at) => context.fillText(text, MARGIN, MARGIN + SIDE + 12 + LINE * (at + 0.7)));
    return canvas;
  };

  live.save = (app) => {
    if (!app.answer) return;
    drawn(app).toBlob((blob) => {
      const address = URL.createObjectURL(blob);
      const name = `${live.data.classes[app.target()]}-${app.state.method}.png`;
      element("a", { href: address, download: name }).click();
      setTimeout(() => URL.revokeObjectURL(address), 10_000);
      app.announce("The picture is saved.");
    }, "image/png");
  };
})();
