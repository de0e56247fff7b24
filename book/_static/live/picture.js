/* Pictures as a network takes them: 32 x 32 pixels from the sprite, or from the reader's own file.

   A file is cropped and scaled as `cifarcam.explain.pictures.read_picture` does it in Python: upright,
   over white, to its centre, resampled by the Lanczos filter as Pillow computes it, in two passes
   with whole numbers between them. A canvas scales by filters of its own, which differ more. */
(() => {
  "use strict";

  const live = (globalThis.cifarcamLive ??= {});
  const SIDE = 32;
  const SUPPORT = 3; // of the Lanczos filter, in pixels of the smaller picture
  const STRIP = 256; // rows that are read at a time, so that large photographs fit into memory
  const LARGE = 256; // side of the cropped picture that the page shows

  /* ---- resampling ---- */

  const sinc = (x) => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x));
  const lanczos = (x) => (Math.abs(x) < SUPPORT ? sinc(x) * sinc(x / SUPPORT) : 0);

  /* For each of 32 places: the first of the pixels that it is made of, and their weights. */
  const filters = (length, from, to) => {
    const scale = (to - from) / SIDE;
    const stretch = Math.max(scale, 1);
    return Array.from({ length: SIDE }, (_, place) => {
      const centre = from + (place + 0.5) * scale;
      const first = Math.max(0, Math.trunc(centre - SUPPORT * stretch + 0.5));
      const last = Math.min(length, Math.trunc(centre + SUPPORT * stretch + 0.5));
      const weights = new Float64Array(Math.max(0, last - first));
      for (let k = 0; k < weights.length; k++) {
        weights[k] = lanczos((first + k - centre + 0.5) / stretch);
      }
      const sum = weights.reduce((one, other) => one + other, 0);
      return { first, weights: weights.map((weight) => weight / sum) };
    });
  };

  const rounded = (value) => Math.min(255, Math.max(0, Math.floor(value + 0.5)));

  /* Rows of `width` pixels to rows of 32 RGB pixels, written from row `start` on. */
  const shrinkRows = ({ values, channels, width, height }, columns, narrow, start = 0) => {
    for (let row = 0; row < height; row++) {
      for (let place = 0; place < SIDE; place++) {
        const { first, weights } = columns[place];
        let [red, green, blue] = [0, 0, 0];
        let at = channels * (row * width + first);
        for (let k = 0; k < weights.length; k++, at += channels) {
          red += weights[k] * values[at];
          green += weights[k] * values[at + 1];
          blue += weights[k] * values[at + 2];
        }
        const to = 3 * ((start + row) * SIDE + place);
        narrow[to] = rounded(red);
        narrow[to + 1] = rounded(green);
        narrow[to + 2] = rounded(blue);
      }
    }
  };

  /* Adds rows of RGBA pixels, of which the first is row `start`, to the 32 rows that they make up. */
  const addRows = ({ values, width, height }, rows, sums, start) => {
    rows.forEach(({ first, weights }, place) => {
      const end = Math.min(start + height, first + weights.length);
      for (let row = Math.max(start, first); row < end; row++) {
        const weight = weights[row - first];
        let at = 4 * (row - start) * width;
        for (let to = 3 * place * width; to < 3 * (place + 1) * width; to += 3, at += 4) {
          sums[to] += weight * values[at];
          sums[to + 1] += weight * values[at + 1];
          sums[to + 2] += weight * values[at + 2];
        }
      }
    });
  };

  /* Columns of rows of 32 RGB pixels to 32 x 32 pixels. */
  const shrinkColumns = (narrow, rows) => {
    const pixels = new Float32Array(SIDE * SIDE * 3);
    rows.forEach(({ first, weights }, place) => {
      for (let column = 0; column < 3 * SIDE; column++) {
        let sum = 0;
        weights.forEach((weight, k) => (sum += weight * narrow[(first + k) * 3 * SIDE + column]));
        pixels[place * 3 * SIDE + column] = rounded(sum);
      }
    });
    return pixels;
  };

  /* The middle square of a picture: left, top and side, in pixels and halves of them. */
  const middle = ({ width, height }) => {
    const side = Math.min(width, height);
    return { left: (width - side) / 2, top: (height - side) / 2, side };
  };

  const canvasOf = (width, height) => {
    const canvas = Object.assign(document.createElement("canvas"), { width, height });
    return [canvas, canvas.getContext("2d", { willReadFrequently: true })];
  };

  /* Calls with strips of a bitmap's RGBA pixels over white, between two rows. */
  const eachStrip = (bitmap, from, to, call) => {
    const { width } = bitmap;
    const [canvas, context] = canvasOf(width, STRIP);
    context.fillStyle = "white"; // under what is transparent
    for (let start = from; start < to; start += STRIP) {
      const height = Math.min(STRIP, to - start);
      context.fillRect(0, 0, width, canvas.height);
      context.drawImage(bitmap, 0, start, width, height, 0, 0, width, height);
      const values = context.getImageData(0, 0, width, height).data;
      call({ values, channels: 4, width, height }, start);
    }
  };

  const shrink = (bitmap) => {
    const { width, height } = bitmap;
    const { left, top, side } = middle(bitmap);
    const columns = filters(width, left, left + side);
    const rows = filters(height, top, top + side);
    const [from, to] = [rows[0].first, rows[SIDE - 1].first + rows[SIDE - 1].weights.length];
    // Pillow 13 begins with the columns where the height shrinks by far more than the width.
    if (height - SIDE > 2 * Math.max(0, width - SIDE)) {
      const sums = new Float64Array(3 * SIDE * width);
      eachStrip(bitmap, from, to, (strip, start) => addRows(strip, rows, sums, start));
      const pixels = new Float32Array(SIDE * SIDE * 3);
      shrinkRows({ values: sums.map(rounded), channels: 3, width, height: SIDE }, columns, pixels);
      return pixels;
    }
    const narrow = new Uint8ClampedArray(height * SIDE * 3);
    eachStrip(bitmap, from, to, (strip, start) => shrinkRows(strip, columns, narrow, start));
    return shrinkColumns(narrow, rows);
  };

  /* ---- files ---- */

  const starts = (head, text, at = 0) =>
    [...text].every((letter, index) => head[at + index] === letter.charCodeAt(0));

  /* One sentence on why a file cannot be read. */
  const complaint = async (blob) => {
    const head = new Uint8Array(await blob.slice(0, 512).arrayBuffer().catch(() => new ArrayBuffer(0)));
    const text = String.fromCharCode(...head);
    if (!head.length) return "The file is empty or cannot be read; give a PNG or JPEG.";
    if (starts(head, "ftyp", 4)) return "HEIC and related formats are not supported; give a PNG or JPEG.";
    if (text.includes("<svg") || starts(head, "%PDF")) {
      return "The file is a drawing without pixels; give a PNG or JPEG.";
    }
    if (starts(head, "\x89PNG") || starts(head, "\xff\xd8") || starts(head, "GIF8")) {
      return "The picture is damaged or too large; give another PNG or JPEG.";
    }
    return "The file is not a picture that this browser can read; give a PNG or JPEG.";
  };

  /* ---- orientation ----

     Browsers turn JPEG and PNG upright, but not WebP: there we read the orientation (tag 274 of TIFF),
     hide it from browsers that might learn to read it, and turn the picture ourselves. */

  const TURNS = {
    2: (w) => [-1, 0, 0, 1, w, 0],
    3: (w, h) => [-1, 0, 0, -1, w, h],
    4: (w, h) => [1, 0, 0, -1, 0, h],
    5: () => [0, 1, 1, 0, 0, 0],
    6: (w, h) => [0, 1, -1, 0, h, 0],
    7: (w, h) => [0, -1, -1, 0, h, w],
    8: (w) => [0, -1, 1, 0, 0, w],
  };

  /* Where a WebP file holds EXIF data, and how long these are; null where it holds none. */
  const exifOf = (view) => {
    if (view.byteLength < 12 || view.getUint32(0) !== 0x52494646 || view.getUint32(8) !== 0x57454250) {
      return null; // no RIFF file of kind WEBP
    }
    for (let at = 12; at + 8 <= view.byteLength; ) {
      const length = view.getUint32(at + 4, true);
      if (view.getUint32(at) === 0x45584946 && at + 8 + length <= view.byteLength) return { at, length };
      at += 8 + length + (length % 2);
    }
    return null;
  };

  /* The orientation in EXIF data, 1 where it is not stated or the data cannot be read. */
  const orientationIn = (exif) => {
    const skip = exif.byteLength > 6 && exif.getUint32(0) === 0x45786966 ? 6 : 0; // "Exif" and zeros
    try {
      const small = exif.getUint16(skip) === 0x4949; // the less significant byte first
      const start = skip + exif.getUint32(skip + 4, small);
      const count = exif.getUint16(start, small);
      for (let entry = start + 2; entry < start + 2 + 12 * count; entry += 12) {
        if (exif.getUint16(entry, small) === 274) return exif.getUint16(entry + 8, small);
      }
    } catch (error) {
      if (!(error instanceof RangeError)) throw error; // the data end too early
    }
    return 1;
  };

  const upright = async (blob) => {
    const view = new DataView(await blob.arrayBuffer());
    const exif = exifOf(view);
    if (!exif) return bitmapOf(blob);
    const turn = TURNS[orientationIn(new DataView(view.buffer, exif.at + 8, exif.length))];
    const hidden = new Blob([blob.slice(0, exif.at), "NONE", blob.slice(exif.at + 4)]);
    const bitmap = await bitmapOf(hidden);
    if (!turn) return bitmap;
    const matrix = turn(bitmap.width, bitmap.height);
    const isAcross = matrix[0] === 0;
    const size = isAcross ? [bitmap.height, bitmap.width] : [bitmap.width, bitmap.height];
    const [canvas, context] = canvasOf(...size);
    context.setTransform(...matrix);
    context.drawImage(bitmap, 0, 0);
    bitmap.close();
    return createImageBitmap(canvas);
  };

  const bitmapOf = (blob) =>
    createImageBitmap(blob, { colorSpaceConversion: "none", imageOrientation: "from-image" });

  /* A file as the bitmap that its numbers say: upright, no colours converted. */
  const decoded = async (blob) => {
    try {
      return await upright(blob);
    } catch {
      throw new Error(await complaint(blob));
    }
  };

  /* A picture's 32 x 32 pixels, 0-255, and its middle square larger; an error is one sentence. */
  const fromSource = (bitmap) => {
    const { left, top, side } = middle(bitmap);
    const [large, context] = canvasOf(LARGE, LARGE);
    context.fillStyle = "white";
    context.fillRect(0, 0, LARGE, LARGE);
    context.imageSmoothingQuality = "high";
    context.drawImage(bitmap, left, top, side, side, 0, 0, LARGE, LARGE);
    return { pixels: shrink(bitmap), large };
  };

  const fromFile = async (blob) => {
    const bitmap = await decoded(blob);
    try {
      return fromSource(bitmap);
    } finally {
      bitmap.close();
    }
  };

  /* ---- the sprite ---- */

  let sprite = null;

  const load = async () => {
    const image = new Image();
    image.src = live.data.pictures;
    await image.decode();
    const [canvas, context] = canvasOf(image.naturalWidth, image.naturalHeight);
    context.drawImage(image, 0, 0);
    sprite = context.getImageData(0, 0, canvas.width, canvas.height);
  };

  /* A test picture's pixels; after `load`. */
  const ofSprite = (index) => {
    const columns = sprite.width / SIDE;
    const [left, top] = [SIDE * (index % columns), SIDE * Math.floor(index / columns)];
    const pixels = new Float32Array(SIDE * SIDE * 3);
    for (let place = 0; place < SIDE * SIDE; place++) {
      const at = 4 * ((top + Math.floor(place / SIDE)) * sprite.width + left + (place % SIDE));
      pixels.set(sprite.data.subarray(at, at + 3), 3 * place);
    }
    return pixels;
  };

  live.picture = { SIDE, fromFile, fromSource, load, ofSprite };
})();
