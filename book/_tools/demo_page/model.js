// The net in onnxruntime-web, and what Joint Bayesian and the codes say of two faces. See deepid_lite/onnx_export.py.
deepid.model = (() => {
  // Everything that the page needs, read once, so that it works without a network from then on: {facts, sheet,
  // features, compare}. tell(done, total): bytes so far.
  async function load(base, total, tell) {
    let done = 0;
    const read = async name => {
      const answer = await fetch(base + name);
      if (!answer.ok) throw new Error(`${name} is missing (${answer.status}): build the book again with make book.`);
      const parts = [], reader = answer.body.getReader();
      for (let part = await reader.read(); !part.done; part = await reader.read()) {
        parts.push(part.value);
        tell(done += part.value.length, total);
      }
      return new Blob(parts);
    };
    const facts = JSON.parse(await (await read("demo.json")).text());
    const [net, projection, wasm, ...pictures] = await Promise.all(
      ["net.onnx", "projection.bin", "ort/ort-wasm-simd-threaded.wasm", ...facts.people.map(p => p.sheet)].map(read));
    await script(base + "ort/ort.wasm.min.js");
    ort.env.logLevel = "error";
    ort.env.wasm.numThreads = 1;  // more of them need headers that a plain file server does not send
    ort.env.wasm.wasmBinary = await wasm.arrayBuffer();
    ort.env.wasm.wasmPaths = new URL(base + "ort/", document.baseURI).href;
    const session = await ort.InferenceSession.create(await net.arrayBuffer(), { executionProviders: ["wasm"] });
    const verifier = { ...facts.verifier, projection: new Float32Array(await projection.arrayBuffer()) };
    return {
      facts,
      sheet: k => sheet(pictures[k]),
      features: crops => features(session, facts, crops),
      compare: (a, b) => compare(a, b, facts, verifier),
    };
  }

  // The pixels of a sheet of faces. Ten megabytes each: only the last few are kept.
  const decoded = new Map();
  function sheet(blob) {
    const found = decoded.get(blob) || pixels(blob);
    decoded.delete(blob);
    decoded.set(blob, found);
    if (decoded.size > 3) decoded.delete(decoded.keys().next().value);
    return found;
  }

  const script = source => new Promise((resolve, reject) => {
    const tag = Object.assign(document.createElement("script"), { src: source, onload: resolve });
    tag.onerror = () => reject(new Error(`${source} could not be loaded.`));
    document.head.append(tag);
  });

  // The pixels of a picture file. Transparent ones are laid on white, a rotation that a camera noted is carried out.
  // most: RangeError for a picture of more pixels.
  async function pixels(blob, most = Infinity) {
    const bitmap = await createImageBitmap(blob, { imageOrientation: "from-image" });
    if (bitmap.width * bitmap.height > most) throw new RangeError(`more than ${most / 1e6} megapixels; scale it down.`);
    const canvas = Object.assign(document.createElement("canvas"), { width: bitmap.width, height: bitmap.height });
    const pen = canvas.getContext("2d", { willReadFrequently: true });
    pen.fillStyle = "white";
    pen.fillRect(0, 0, canvas.width, canvas.height);
    pen.drawImage(bitmap, 0, 0);
    bitmap.close();
    return pen.getImageData(0, 0, canvas.width, canvas.height);
  }

  // Features of crops, each uint8 rows x columns x 3: the picture's neurons, then its mirror image's. {values, time}.
  async function features(session, facts, crops) {
    const { rows, columns } = facts.region, size = rows * columns * 3, data = new Uint8Array(crops.length * size);
    crops.forEach((crop, k) => data.set(crop, k * size));
    const input = new ort.Tensor("uint8", data, [crops.length, rows, columns, 3]), start = performance.now();
    const { fc4 } = await session.run({ pictures: input }), time = performance.now() - start;
    const width = 2 * facts.neurons;
    return { values: crops.map((_, k) => fc4.data.slice(k * width, (k + 1) * width)), time };
  }

  // What is said of two faces. ratio: log p(same) - log p(different) in nats, from the features of picture and mirror;
  // distance: unequal bits of the pictures' codes; active: neurons above 0, of either.
  function compare(a, b, facts, verifier) {
    const [z1, z2] = [a, b].map(values => projected(values, verifier)), { cross, own, constant } = verifier;
    const ratio = cross.reduce((sum, weight, k) => sum + weight * z1[k] * z2[k] + own[k] * (z1[k] ** 2 + z2[k] ** 2),
                               constant);
    const bits = [a, b].map(values => Array.from(values.subarray(0, facts.neurons), value => value > 0));
    const distance = bits[0].filter((bit, k) => bit !== bits[1][k]).length;
    const { thresholds } = facts;
    return {
      ratio, distance, bits, active: bits.map(list => list.filter(Boolean).length),
      same: { ratio: ratio > thresholds.ratio, hamming: distance <= thresholds.hamming },
    };
  }

  function projected(values, { projection, shift }) {
    const root = values.map(Math.sqrt);
    return shift.map((moved, k) => {
      let sum = -moved;
      for (let j = 0; j < root.length; j++) sum += projection[k * root.length + j] * root[j];
      return sum;
    });
  }

  // A code as hexadecimal digits, bit i being bit i mod 8 of byte i / 8 (deepid_lite.codes).
  function hexadecimal(bits) {
    const bytes = Array.from({ length: bits.length / 8 }, (_, byte) =>
      bits.slice(8 * byte, 8 * byte + 8).reduce((sum, bit, k) => sum + (bit ? 1 << k : 0), 0));
    return bytes.map(byte => byte.toString(16).padStart(2, "0")).join("");
  }

  return { load, pixels, hexadecimal };
})();
