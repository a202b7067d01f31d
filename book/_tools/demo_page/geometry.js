// Pictures before the net: alignment, light, cover and crop, as deepid_lite does them in align.py, occlusion.py and
// regions.py. A picture is {width, height, data}, data in red, green, blue, alpha, as a canvas gives it.
window.deepid = window.deepid || {};

deepid.geometry = (() => {
  const copy = picture => ({ ...picture, data: new Uint8ClampedArray(picture.data) });

  // The similarity that carries the points closest to the template, as [a, b, c, d, e, f]: x' = a x + b y + c,
  // y' = d x + e y + f. In the plane it is multiplication by one complex number (align.similarity).
  function similarity(points, template) {
    const mean = list => [0, 1].map(k => list.reduce((sum, p) => sum + p[k], 0) / list.length);
    const [zx, zy] = mean(points), [tx, ty] = mean(template);
    let power = 0, real = 0, imaginary = 0;
    points.forEach(([x, y], k) => {
      const [u, v] = [x - zx, y - zy], [p, q] = [template[k][0] - tx, template[k][1] - ty];
      power += u * u + v * v;
      real += u * p + v * q;
      imaginary += u * q - v * p;
    });
    if (!(power > 1e-6)) throw new Error("The five points lie on one place: move them apart.");
    const a = real / power, d = imaginary / power;
    return [a, -d, tx - a * zx + d * zy, d, a, ty - d * zx - a * zy];
  }

  function inverse([a, b, c, d, e, f]) {
    const det = a * e - b * d;
    return [e / det, -b / det, (b * f - c * e) / det, -d / det, a / det, (c * d - a * f) / det];
  }

  // Means of factor x factor pixels; fewer at the right and lower border. Kept: a moving point asks for them again.
  const kept = new WeakMap();
  function reduced(picture, factor) {
    if (kept.get(picture)?.factor !== factor) kept.set(picture, { factor, small: reduce(picture, factor) });
    return kept.get(picture).small;
  }

  function reduce(picture, factor) {
    const width = Math.ceil(picture.width / factor), height = Math.ceil(picture.height / factor);
    const data = new Uint8ClampedArray(4 * width * height);
    for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) {
      const right = Math.min((x + 1) * factor, picture.width), low = Math.min((y + 1) * factor, picture.height);
      const sum = [0, 0, 0];
      for (let j = y * factor; j < low; j++) for (let i = x * factor; i < right; i++)
        for (let c = 0; c < 3; c++) sum[c] += picture.data[4 * (j * picture.width + i) + c];
      const count = (right - x * factor) * (low - y * factor), at = 4 * (y * width + x);
      for (let c = 0; c < 3; c++) data[at + c] = Math.floor(sum[c] / count + 0.5);
      data[at + 3] = 255;
    }
    return { width, height, data };
  }

  // Warp a picture so that its five points fall on the template (align.align). Beyond the picture its border repeats.
  function align(picture, points, template, frame) {
    let back = inverse(similarity(points, template));
    const scale = Math.hypot(back[0], back[3]);
    if (scale > 2) {  // bilinear sampling would skip pixels: average them first
      const factor = Math.floor(scale);
      picture = reduced(picture, factor);
      back = back.map(value => value / factor);
    }
    const { rows, columns } = frame, data = new Uint8ClampedArray(4 * rows * columns);
    const { width, height } = picture, within = (value, top) => Math.min(Math.max(value, 0), top);
    for (let row = 0; row < rows; row++) for (let column = 0; column < columns; column++) {
      const x = back[0] * (column + 0.5) + back[1] * (row + 0.5) + back[2] - 0.5;
      const y = back[3] * (column + 0.5) + back[4] * (row + 0.5) + back[5] - 0.5;
      const [left, top] = [Math.floor(x), Math.floor(y)], [dx, dy] = [x - left, y - top];
      const [x0, x1] = [within(left, width - 1), within(left + 1, width - 1)];
      const [y0, y1] = [within(top, height - 1), within(top + 1, height - 1)];
      const at = 4 * (row * columns + column);
      for (let c = 0; c < 3; c++) {
        const pixel = (i, j) => picture.data[4 * (j * width + i) + c];
        const upper = pixel(x0, y0) * (1 - dx) + pixel(x1, y0) * dx;
        const lower = pixel(x0, y1) * (1 - dx) + pixel(x1, y1) * dx;
        data[at + c] = Math.floor(upper * (1 - dy) + lower * dy);  // Pillow cuts the fraction off
      }
      data[at + 3] = 255;
    }
    return { width: columns, height: rows, data };
  }

  // Every channel times a number, as a longer or shorter exposure would do it.
  function brighten(picture, gain) {
    if (gain === 1) return picture;
    const lit = copy(picture);
    for (let at = 0; at < lit.data.length; at++) if (at % 4 < 3) lit.data[at] = Math.round(picture.data[at] * gain);
    return lit;
  }

  // A cover over an aligned face. cover: {kind, size, across, down}; kind "none", "below" (size: percent of the face
  // from below) or "black", "grey", "noise" (a square of `size` paper pixels, 110 to the face's height; across and
  // down: 0 to 100, its place in the face). Sizes and borders are those of deepid_lite.occlusion.
  function covered(picture, cover, face) {
    if (cover.kind === "none") return picture;
    const hidden = copy(picture);
    let [top, bottom, left, right] = [0, 0, 0, 0];
    if (cover.kind === "below") {
      const rows = Math.round(cover.size / 100 * face.height);
      [top, bottom, left, right] = [face.top + face.height - rows, rows ? picture.height : 0, 0, picture.width];
    } else {
      const side = Math.min(Math.round(cover.size * face.height / 110), face.width);
      top = face.top + Math.round(cover.down / 100 * (face.height - side));
      left = face.left + Math.round(cover.across / 100 * (face.width - side));
      [bottom, right] = [top + side, left + side];
    }
    let state = 1;  // of a small generator of noise: the same dots each time
    for (let y = top; y < bottom; y++) for (let x = left; x < right; x++) for (let c = 0; c < 3; c++) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      const value = { grey: 128, noise: state >>> 24 }[cover.kind] || 0;
      hidden.data[4 * (y * picture.width + x) + c] = value;
    }
    return hidden;
  }

  // (n x inside) weights: output pixel k averages the part of `inside` source pixels that it covers
  // (regions._averaging). Rounded to 32 bits, as there, so that the sums below round alike.
  function averaging(start, length, n, inside) {
    const weights = new Float32Array(n * inside), step = length / n;
    for (let k = 0; k < n; k++) for (let s = 0; s < inside; s++) {
      const low = s === 0 ? -Infinity : s, high = s === inside - 1 ? Infinity : s + 1;
      const overlap = Math.min(start + step * (k + 1), high) - Math.max(start + step * k, low);
      weights[k * inside + s] = Math.max(overlap, 0) / step;
    }
    return weights;
  }

  // The region of an aligned face in the size of the net's input: uint8, rows x columns x 3 (regions.crop).
  function crop(picture, region) {
    const { rows, columns } = region, { width, height } = picture;
    const down = averaging(region.top, region.height, rows, height);
    const across = averaging(region.left, region.width, columns, width);
    const half = new Float32Array(rows * width * 3), sum = new Float32Array(1);
    const out = new Uint8Array(rows * columns * 3);
    for (let row = 0; row < rows; row++) for (let s = 0; s < height; s++) {
      const weight = down[row * height + s];
      if (weight) for (let x = 0; x < width; x++) for (let c = 0; c < 3; c++)
        half[3 * (row * width + x) + c] += weight * picture.data[4 * (s * width + x) + c];
    }
    for (let row = 0; row < rows; row++) for (let column = 0; column < columns; column++) for (let c = 0; c < 3; c++) {
      sum[0] = 0;
      for (let s = 0; s < width; s++) {
        const weight = across[column * width + s];
        if (weight) sum[0] += weight * half[3 * (row * width + s) + c];
      }
      out[3 * (row * columns + column) + c] = halfToEven(sum[0]);
    }
    return out;
  }

  function halfToEven(value) {
    const low = Math.floor(value), rest = value - low;
    return rest > 0.5 || (rest === 0.5 && low % 2) ? low + 1 : low;
  }

  return { similarity, align, brighten, covered, crop };
})();
