// One face with its controls: a drawn person or the reader's own picture, light and cover, down to the net's input.
deepid.make = (tag, parent, properties = {}) => {
  const element = Object.assign(document.createElement(tag), properties);
  parent.append(element);
  return element;
};

deepid.face = (() => {
  const { make, geometry } = deepid;
  const OWN = "own", MOST = 50e6;  // pixels of a picture, as deepid_lite.archives allows
  const START = { person: 0, yaw: 0, light: 0, glasses: 0, brightness: 100,
                  kind: "none", size: 40, across: 50, down: 50 };
  const WAYS = { yaw: ["to the left", "to the right", "straight ahead"],
                 light: ["from the left", "from the right", "from the front"] };
  const turned = (value, [left, right, middle]) => value ? `${Math.abs(value)}° ${value < 0 ? left : right}` : middle;

  // A panel in `parent` for the face called `name` ("A"). changed(): something is to be computed again; say(text):
  // for a screen reader. Returns {set, state, frame, crop, show, points, ready}.
  function panel(parent, name, model, changed, say) {
    const { facts } = model, state = { ...START }, controls = {}, id = `demo-${name}`;
    let own = null;  // {picture, points, placed}
    const section = make("section", parent, { className: "demo-face" });
    section.setAttribute("aria-labelledby", `${id}-title`);
    make("h3", section, { id: `${id}-title`, textContent: `Face ${name}` });
    const shown = make("div", section, { className: "demo-pictures" });
    const [large, small] = ["demo-frame", "demo-crop"].map(className => make("canvas", shown, { className }));
    [large, small].forEach(canvas => canvas.setAttribute("role", "img"));
    small.setAttribute("aria-label",
                       `Face ${name} as the net reads it, ${facts.region.columns} × ${facts.region.rows} pixels.`);

    const select = (key, text, options) => add(key, text, make("select", section), control =>
      options.forEach(([value, label]) => make("option", control, { value, textContent: label })));
    const range = (key, text, min, max, step, words) => add(key, text, make("input", section), (control, label) => {
      Object.assign(control, { type: "range", min, max, step });
      const output = make("output", label);
      output.setAttribute("for", control.id);
      control.told = () => {
        output.value = words(Number(control.value));
        control.setAttribute("aria-valuetext", output.value);
      };
    });
    const add = (key, text, control, prepare) => {
      const row = make("div", section, { className: "demo-row" });
      const label = make("label", row, { htmlFor: `${id}-${key}`, textContent: `${text} ` });
      Object.assign(control, { id: `${id}-${key}` });
      row.append(control);
      prepare(control, label);
      const read = () => control.value === OWN || key === "kind" ? control.value : Number(control.value);
      control.addEventListener("input", () => set({ [key]: read() }));
      controls[key] = { control, row };
    };

    select("person", "Who", [...facts.people.map((person, k) => [k, person.name]), [OWN, "my own picture"]]);
    const mine = make("div", section, { className: "demo-own" });
    range("yaw", "Head turned", ...ends(facts.yaws), value => turned(value, WAYS.yaw));
    range("light", "Light", ...ends(facts.lights), value => turned(value, WAYS.light));
    select("glasses", "Glasses", facts.glasses.map((label, k) => [k, label]));
    range("brightness", "Brightness", 10, 300, 10, value => `${value} %`);
    select("kind", "Cover", [["none", "none"], ["below", "black, from below"], ["black", "black square"],
                             ["grey", "grey square"], ["noise", "square of noise"]]);
    range("size", "Size of the cover", 0, 70, 5,
          value => state.kind === "below" ? `${value} % of the face` : `${value} × ${value}`);
    range("across", "Cover, across", 0, 100, 5, value => `${value} %`);
    range("down", "Cover, down", 0, 100, 5, value => `${value} %`);
    chooser();

    // The file input and what is said of it; the picture and its points go below.
    function chooser() {
      const label = make("label", mine, { htmlFor: `${id}-file`, textContent: `Picture for face ${name} ` });
      const input = make("input", mine, { type: "file", id: `${id}-file`, accept: "image/*" });
      label.after(input);
      make("p", mine, { className: "demo-note", textContent: "The file stays on this machine: the page reads it into " +
        "its own memory and sends it nowhere. The net has seen drawn faces only: on a photograph its verdict means " +
        "little. Use a picture of yourself, or of somebody who agrees. " });
      make("a", mine.lastChild, { href: "model_card.html", textContent: "Read the model card." });
      const problem = make("p", mine, { className: "demo-problem" }), stage = make("div", mine);
      problem.setAttribute("role", "alert");
      input.addEventListener("change", async () => {
        if (!input.files.length) return;
        problem.textContent = "";
        try {
          await open(input.files[0], stage);
        } catch (error) {
          problem.textContent = `${input.files[0].name}: ${error.message}`;
        }
      });
    }

    async function open(file, stage) {
      let picture;
      try {
        picture = await deepid.model.pixels(file, MOST);
      } catch (error) {
        throw error instanceof RangeError ? error : new Error("no picture that this browser reads; try PNG or JPEG.");
      }
      own = { picture, points: deepid.points.guess(picture, facts.template, facts.frame) };
      stage.replaceChildren();
      own.placed = deepid.points.editor(stage, id, picture, own.points, changed, say);
      changed();
    }

    // Change some of the settings, by the names of START, and the controls with them.
    function set(wanted) {
      Object.assign(state, wanted);
      for (const [key, { control }] of Object.entries(controls)) {
        control.value = state[key];
        control.told?.();
      }
      const hide = (keys, hidden) => keys.forEach(key => { controls[key].row.hidden = hidden; });
      hide(["yaw", "light", "glasses"], state.person === OWN);
      hide(["size"], state.kind === "none");
      hide(["across", "down"], ["none", "below"].includes(state.kind));
      mine.hidden = state.person !== OWN;
      changed();
    }

    // The aligned face with its light and cover, or null where the reader has not chosen a picture yet.
    async function frame() {
      shown.hidden = state.person === OWN && !own;
      if (shown.hidden) return null;
      const face = state.person === OWN ? geometry.align(own.picture, own.points, facts.template, facts.frame)
        : tile(await model.sheet(state.person), facts, state);
      return geometry.covered(geometry.brighten(face, state.brightness / 100), state, facts.region);
    }

    function show(face, crop) {
      const { region } = facts, pixels = new ImageData(region.columns, region.rows);
      for (let k = 0; k < crop.length; k++) pixels.data[4 * Math.floor(k / 3) + k % 3] = crop[k];
      for (let k = 3; k < pixels.data.length; k += 4) pixels.data[k] = 255;
      paint(large, face);
      paint(small, pixels);
      large.setAttribute("aria-label", `Face ${name}: ${described()}.`);
    }

    const described = () => (state.person === OWN ? ["your own picture, aligned"] : [
      `a drawn face, ${facts.people[state.person].name}`, `head ${turned(state.yaw, WAYS.yaw)}`,
      `light ${turned(state.light, WAYS.light)}`, `glasses ${facts.glasses[state.glasses]}`])
      .concat(state.kind === "none" ? [] : [`cover of size ${state.size}`]).join(", ");

    const ready = () => state.person !== OWN || own.placed();  // a verdict before would be one on a wrong crop
    return { set, state, frame, show, ready, points: () => own?.points,
             crop: face => geometry.crop(face, facts.region) };
  }

  const ends = list => [list[0], list[list.length - 1], list[1] - list[0]];

  // One drawn face of a person's sheet: a column for each turn, a row for each kind of glasses and light.
  function tile(sheet, { yaws, lights, frame: { rows, columns } }, { yaw, light, glasses }) {
    const left = yaws.indexOf(yaw) * columns, top = (glasses * lights.length + lights.indexOf(light)) * rows;
    const data = new Uint8ClampedArray(4 * rows * columns);
    for (let row = 0; row < rows; row++) {
      const start = 4 * ((top + row) * sheet.width + left);
      data.set(sheet.data.subarray(start, start + 4 * columns), 4 * row * columns);
    }
    return { width: columns, height: rows, data };
  }

  function paint(canvas, picture) {
    Object.assign(canvas, { width: picture.width, height: picture.height });
    canvas.getContext("2d").putImageData(new ImageData(picture.data, picture.width, picture.height), 0, 0);
  }

  return { panel, START };
})();
