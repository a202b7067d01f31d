// "DeepID2+ in your browser": starts the page's net, and shows what it says of two faces.
//
// For tests and the console: await deepid.demo.start(), deepid.demo.faces.B.set({person: 3, yaw: 30}) with the names of
// deepid.face.START, await deepid.demo.settled(), then deepid.demo.result: {frames, crops, features, ratio, distance,
// bits, active, same, time}. faces.B.points() are the points on the reader's own picture.
(() => {
  const { make, maps } = deepid;
  const root = document.getElementById("deepid-demo");
  const say = root.querySelector(".demo-say"), button = root.querySelector(".demo-start");
  const demo = deepid.demo = { faces: {}, result: null, start, settled: () => running || Promise.resolve() };
  let model, shown, running = null, again = false;

  const cannot = location.protocol === "file:"
    ? "The net does not run in a page that is opened as a file, because browsers then refuse to load its parts. " +
      "Serve the folder of this book: type python -m http.server in it, and open the address that it prints."
    : typeof WebAssembly === "undefined"
    ? "The net does not run here: WebAssembly is switched off, or this browser has none." : "";
  say.textContent = cannot;
  button.hidden = Boolean(cannot);
  button.addEventListener("click", start);
  document.querySelectorAll(".demo-try").forEach(each => {
    each.hidden = Boolean(cannot);
    each.addEventListener("click", () => attempt(each));
  });

  async function start() {
    if (cannot || model) return;
    button.disabled = true;
    let failed = false;
    try {
      model = await deepid.model.load(root.dataset.base, Number(root.dataset.bytes), (done, total) => {
        if (!failed) say.textContent = `Loading: ${(done / 1e6).toFixed(1)} of ${(total / 1e6).toFixed(1)} MB.`;
      });
    } catch (error) {
      failed = true;  // other files may still be on their way
      say.textContent = `The net could not be started. ${error.message} The picture stays a still.`;
      button.disabled = false;
      return;
    }
    document.querySelectorAll(".demo-still").forEach(still => { still.hidden = true; });
    button.hidden = true;
    say.textContent = "";
    build();
    await update();
  }

  // The page's parts: two faces, the verdict, two histograms, four maps.
  function build() {
    const pair = make("div", root, { className: "demo-pair" });
    const results = make("section", root, { className: "demo-results" });
    results.setAttribute("aria-labelledby", "demo-verdict");
    make("h3", results, { id: "demo-verdict", textContent: "What the net says" });
    const numbers = make("div", results, { className: "demo-numbers" });
    const figures = make("div", results, { className: "demo-maps" });
    shown = { ratio: card(numbers, "Log-likelihood ratio"), distance: card(numbers, "Hamming distance"),
              active: card(numbers, "Active neurons"), time: card(numbers, "Time of the net"),
              maps: {}, others: {} };
    for (const [key, title, legend] of [
      ["ratio", "This ratio among others",
       "Filled: pairs of one person. Outline: pairs of two people. Dashed: the threshold. Triangle: this pair."],
      ["hamming", "This distance among others", "Drawn in the same way."],
    ]) shown.others[key] = figure(figures, title, legend);
    for (const [key, title, legend] of [
      ["A", "Neurons of face A", "A square for each active neuron; its area is the feature."],
      ["B", "Neurons of face B", "The same 512 neurons in the same places."],
      ["difference", "Difference", "Square: more active in A. Diamond: more active in B."],
      ["codes", "Codes",
       "Square: active in both. Full diamond: in A only. Hollow diamond: in B only. Dot: in neither."],
    ]) shown.maps[key] = figure(figures, title, legend);
    const { validation, accuracy, thresholds } = model.facts;
    make("p", results, { className: "demo-note", textContent: `The thresholds, ${number(thresholds.ratio)} nats and ` +
      `${thresholds.hamming} bits, were chosen on ${validation.pairs.toLocaleString("en")} pairs of ${validation.n_people} other drawn ` +
      `people. Chosen on nine tenths of these people, such thresholds are right on ${accuracy.ratio} % and ` +
      `${accuracy.hamming} % of the pairs of the last tenth.` });
    const more = make("details", results);
    make("summary", more, { textContent: "The two codes in hexadecimal digits" });
    shown.code = { A: make("p", more, { className: "demo-code" }), B: make("p", more, { className: "demo-code" }) };
    for (const name of ["A", "B"]) demo.faces[name] = deepid.face.panel(pair, name, model, update, announce);
    demo.faces.A.set({ person: 2 });
    demo.faces.B.set({ person: 2, yaw: 30, light: 60, glasses: 1 });
    const themed = new MutationObserver(draw);
    themed.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  }

  function card(parent, title) {
    const box = make("div", parent, { className: "demo-card" });
    make("p", box, { className: "demo-title", textContent: title });
    return { value: make("p", box, { className: "demo-value" }), text: make("p", box, { className: "demo-says" }) };
  }

  function figure(parent, title, legend) {
    const box = make("div", parent), canvas = make("canvas", box), caption = make("p", box, { className: "demo-note" });
    canvas.setAttribute("role", "img");
    make("b", caption, { textContent: `${title}. ` });
    const count = make("span", caption);
    caption.append(` ${legend}`);
    return { canvas, title, count };
  }

  // Compute and show again. While a run is under way further changes wait, and only the last of them is computed.
  function update() {
    again = true;
    running ||= (async () => {
      await null;  // several settings that change at once are one change
      while (again) {
        again = false;
        await once();
      }
    })().catch(error => { announce(error.message); }).finally(() => { running = null; });
    return running;
  }

  async function once() {
    const faces = Object.values(demo.faces), frames = [];
    for (const face of faces) frames.push(await face.frame());
    const missing = Object.keys(demo.faces).filter((_, k) => !frames[k]);
    root.classList.toggle("demo-waits", missing.length > 0);
    if (missing.length) return announce(`Face ${missing.join(" and ")}: choose a picture.`);
    const crops = frames.map((frame, k) => faces[k].crop(frame));
    const { values, time } = await model.features(crops);
    demo.result = { frames, crops, features: values, time, ...model.compare(...values) };
    faces.forEach((face, k) => face.show(frames[k], crops[k]));
    draw();
  }

  function draw() {
    if (!demo.result) return;
    const waiting = Object.keys(demo.faces).filter(name => !demo.faces[name].ready());
    root.classList.toggle("demo-waits", waiting.length > 0);
    if (waiting.length) return announce(`Face ${waiting.join(" and ")}: mark the five points on the picture.`);
    const { features, ratio, distance, bits, active, same, time } = demo.result, { facts } = model;
    const { neurons, strong, thresholds } = facts, [a, b] = features.map(values => values.subarray(0, neurons));
    const word = yes => yes ? "same person" : "two people";
    fill(shown.ratio, `${number(ratio)} nats`, `${word(same.ratio)}: ${same.ratio ? "above" : "not above"} ` +
         `${number(thresholds.ratio)}`);
    fill(shown.distance, `${distance} bits`, `${word(same.hamming)}: ${same.hamming ? "up to" : "more than"} ` +
         `${thresholds.hamming} of ${neurons}`);
    fill(shown.active, active.join(" | "), `of ${neurons}, in A and in B`);
    fill(shown.time, `${time.toFixed(1)} ms`, "for both faces and their mirror images");
    const kinds = { A: maps.neurons(a, strong), B: maps.neurons(b, strong), difference: maps.difference(a, b, strong),
                    codes: maps.codes(...bits) };
    const counts = { A: `${active[0]} of ${neurons} active.`, B: `${active[1]} of ${neurons} active.`, difference: "",
                     codes: `${distance} of ${neurons} bits unequal.` };
    for (const [key, { canvas, title, count }] of Object.entries(shown.maps)) {
      maps.draw(canvas, kinds[key]);
      count.textContent = counts[key];
      canvas.setAttribute("aria-label", `${title}. ${counts[key]}`);
    }
    for (const [key, value] of [["ratio", ratio], ["hamming", distance]]) {
      const { canvas, title, count } = shown.others[key];
      maps.spread(canvas, facts.others[key], thresholds[key], value);
      count.textContent = among(facts.others[key], value, key === "ratio");
      canvas.setAttribute("aria-label", `${title}. ${count.textContent}`);
    }
    for (const [k, name] of ["A", "B"].entries())
      shown.code[name].textContent = `${name}: ${deepid.model.hexadecimal(bits[k])}`;
    announce(`Log-likelihood ratio ${number(ratio)} nats: ${word(same.ratio)}. Hamming distance ${distance} bits: ` +
             `${word(same.hamming)}. ${truth(same)}`);
  }

  function fill({ value, text }, amount, says) {
    value.textContent = amount;
    text.textContent = says;
  }

  const number = value => value.toFixed(1).replace("-", "−");

  // How usual a value is among pairs of one person and of two; high: a high one speaks for one person.
  function among({ from, to, same, two }, value, high) {
    const at = same.length * (value - from) / (to - from), below = k => Math.min(Math.max(at - k, 0), 1);
    const beyond = (shares, upper) => {
      const share = shares.reduce((sum, each, k) => sum + each * (upper ? 1 - below(k) : below(k)), 0);
      return share < 1 ? "less than 1 %" : `${Math.round(share)} %`;
    };
    return `Of other pairs of one person ${beyond(same, !high)} look less alike than this pair, ` +
           `of two people ${beyond(two, high)} look more alike.`;
  }

  function truth(same) {
    const [a, b] = Object.values(demo.faces).map(face => face.state.person);
    if (a === "own" || b === "own")
      return "Nobody told the page who is on your picture, and the net has never seen a photograph.";
    const verdict = (same.ratio === (a === b)) + (same.hamming === (a === b));
    return `They were drawn as ${a === b ? "one person" : "two people"}: ` +
           ["both verdicts are wrong.", "one verdict is wrong.", "both verdicts are right."][verdict];
  }

  // For screen readers, and on the line above the faces; when a slider has come to rest.
  let timer;
  function announce(text) {
    clearTimeout(timer);
    timer = setTimeout(() => { say.textContent = text; }, 250);
  }

  // A button of an experiment: both faces as it says, the rest as at the start.
  async function attempt(each) {
    await start();
    if (!model) return;
    for (const [name, wanted] of Object.entries(JSON.parse(each.dataset.set)))
      demo.faces[name].set({ ...deepid.face.START, ...wanted });
    await update();
    root.scrollIntoView();
  }
})();
