// Small pictures: 512 neurons, 32 in a row, and where a pair lies among others. What a colour says a shape says, too.
deepid.maps = (() => {
  const COLUMNS = 32, CELL = 20;  // pixels of the canvas, which the page shows at half that size or less
  const DIAMOND = [[0, -1], [1, 0], [0, 1], [-1, 0], [0, -1]];

  // marks: one [shape, colour, side] for each neuron; side: 0 to 1 of its cell.
  function draw(canvas, marks) {
    canvas.width = COLUMNS * CELL;
    canvas.height = Math.ceil(marks.length / COLUMNS) * CELL;
    const pen = canvas.getContext("2d"), style = getComputedStyle(canvas);
    marks.forEach(([shape, colour, side], k) => {
      const x = (k % COLUMNS + 0.5) * CELL, y = (Math.floor(k / COLUMNS) + 0.5) * CELL, r = side * 0.45 * CELL;
      pen.fillStyle = pen.strokeStyle = style.getPropertyValue(colour).trim();
      pen.lineWidth = 2.5;
      pen.beginPath();
      if (shape === "square") pen.rect(x - r, y - r, 2 * r, 2 * r);
      else if (shape === "dot") pen.arc(x, y, r, 0, 7);
      else for (const [i, j] of DIAMOND) pen.lineTo(x + 1.1 * i * r, y + 1.1 * j * r);
      if (shape === "hollow") pen.stroke(); else pen.fill();
    });
  }

  const side = (value, strong) => Math.min(Math.sqrt(value / strong), 1);
  const neurons = (values, strong) => Array.from(values, value => ["square", "--demo-a", side(value, strong)]);
  const difference = (a, b, strong) => Array.from(a, (value, k) => value > b[k]
    ? ["square", "--demo-a", side(value - b[k], strong)] : ["diamond", "--demo-b", side(b[k] - value, strong)]);
  const codes = (a, b) => a.map((bit, k) => bit && b[k] ? ["square", "--demo-a", 0.75]
    : bit ? ["diamond", "--demo-b", 0.9] : b[k] ? ["hollow", "--demo-b", 0.75] : ["dot", "--demo-quiet", 0.22]);

  // Histograms of other pairs: one person filled, two people as an outline; the threshold dashed, this pair a triangle.
  function spread(canvas, { from, to, same, two }, threshold, value) {
    const [width, height, edge, foot] = [COLUMNS * CELL, 190, 14, 46];
    Object.assign(canvas, { width, height });
    const pen = canvas.getContext("2d"), style = getComputedStyle(canvas), base = height - foot;
    const colour = name => style.getPropertyValue(name).trim(), step = (width - 2 * edge) / same.length;
    const x = at => edge + (width - 2 * edge) * Math.min(Math.max((at - from) / (to - from), 0), 1);
    const y = share => base - (base - 8) * share / Math.max(...same, ...two);
    pen.fillStyle = colour("--demo-a");
    same.forEach((share, k) => pen.fillRect(edge + k * step, y(share), step - 1, base - y(share)));
    pen.strokeStyle = colour("--demo-b");
    pen.lineWidth = 3;
    pen.beginPath();
    pen.moveTo(edge, base);
    two.forEach((share, k) => { for (const side of [0, 1]) pen.lineTo(edge + (k + side) * step, y(share)); });
    pen.lineTo(width - edge, base);
    pen.stroke();
    pen.strokeStyle = pen.fillStyle = style.color;
    pen.lineWidth = 2;
    pen.setLineDash([8, 6]);
    line(pen, [[x(threshold), 0], [x(threshold), base]]);
    pen.setLineDash([]);
    line(pen, [[edge, base], [width - edge, base]]);
    pen.beginPath();
    for (const [i, j] of [[0, 2], [-13, 26], [13, 26]]) pen.lineTo(x(value) + i, base + j);
    pen.fill();
    pen.font = "22px system-ui, sans-serif";
    for (const [at, side] of [[from, "left"], [to, "right"]]) {
      pen.textAlign = side;
      if (Math.abs(x(at) - x(value)) > 60) pen.fillText(Math.round(at).toString().replace("-", "−"), x(at), height - 14);
    }
  }

  function line(pen, places) {
    pen.beginPath();
    places.forEach(place => pen.lineTo(...place));
    pen.stroke();
  }

  return { draw, neurons, difference, codes, spread };
})();
