// Small pictures of 512 neurons, 32 in a row. What a colour says is also said by a shape.
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

  return { draw, neurons, difference, codes };
})();
