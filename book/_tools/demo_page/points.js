// Five points on the reader's own picture: place them by a click, drag them, or move them with the arrow keys.
deepid.points = (() => {
  const NAMES = ["left eye", "right eye", "tip of the nose", "left corner of the mouth", "right corner of the mouth"];
  const { make } = deepid;

  // Where the points begin: the template, as large as the picture allows, in its middle.
  function guess(picture, template, frame) {
    const scale = Math.min(picture.width / frame.columns, picture.height / frame.rows);
    const shift = [picture.width - scale * frame.columns, picture.height - scale * frame.rows].map(rest => rest / 2);
    return template.map(point => point.map((value, k) => scale * value + shift[k]));
  }

  // The picture with its points, in `parent`. moved(): a point has moved; say(text): for those who do not see it.
  // Returns a function that tells whether the reader has placed all points.
  function editor(parent, id, picture, points, moved, say) {
    const hint = make("p", parent, { className: "demo-note", id: `${id}-hint`, textContent:
      "Click the five places in the order of the list, left and right as you see them. Or move a point: drag it, or " +
      "reach it with Tab and press the arrow keys (with Shift: farther)." });
    const list = make("ol", parent, { className: "demo-list" });
    NAMES.forEach(name => make("li", list, { textContent: name }));
    const stage = make("div", parent, { className: "demo-stage" });
    const canvas = make("canvas", stage, { width: picture.width, height: picture.height });
    canvas.getContext("2d").putImageData(picture, 0, 0);
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", "Your picture.");
    const placed = new Set();
    let next = 0;

    const within = (value, top) => Math.min(Math.max(value, 0), top);
    const there = event => {
      const box = canvas.getBoundingClientRect();
      return [(event.clientX - box.left) / box.width * picture.width,
              (event.clientY - box.top) / box.height * picture.height];
    };
    const move = (k, [x, y]) => {
      points[k] = [within(x, picture.width), within(y, picture.height)];
      placed.add(k);
      place(k);
      moved();
    };
    const place = k => {
      const [x, y] = points[k];
      Object.assign(markers[k].style, { left: `${100 * x / picture.width}%`, top: `${100 * y / picture.height}%` });
      markers[k].setAttribute("aria-label", `${k + 1}, ${NAMES[k]}, at ${Math.round(x)}, ${Math.round(y)}`);
    };
    const markers = NAMES.map((name, k) => {
      const marker = make("button", stage, { type: "button", className: "demo-point", textContent: k + 1 });
      marker.setAttribute("aria-describedby", hint.id);
      let start = null, dragged = false;
      marker.addEventListener("focus", () => { next = k; });  // by Tab; the next line keeps the mouse from it
      marker.addEventListener("mousedown", event => event.preventDefault());
      marker.addEventListener("pointerdown", event => {
        marker.setPointerCapture(event.pointerId);
        [start, dragged] = [[event.clientX, event.clientY], false];
      });
      marker.addEventListener("pointermove", event => {
        if (!marker.hasPointerCapture(event.pointerId)) return;
        dragged ||= Math.hypot(event.clientX - start[0], event.clientY - start[1]) > 3;
        if (dragged) move(k, there(event));
      });
      // a click that does not drag is meant for the picture below, where another point is to go
      marker.addEventListener("click", event => { if (event.detail && !dragged) put(event); });
      marker.addEventListener("keydown", event => {
        const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
        if (!way) return;
        event.preventDefault();
        const step = (event.shiftKey ? 10 : 1) * Math.max(picture.width, picture.height) / 400;
        move(k, points[k].map((value, axis) => value + step * way[axis]));
        say(`${name} at ${points[k].map(Math.round).join(", ")}`);
      });
      return marker;
    });
    const put = event => {
      move(next, there(event));
      next = (next + 1) % NAMES.length;
    };
    canvas.addEventListener("click", put);
    NAMES.forEach((_, k) => place(k));
    return () => placed.size === NAMES.length;
  }

  return { editor, guess };
})();
