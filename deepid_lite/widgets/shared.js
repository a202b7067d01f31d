  const make = (tag, parent, props = {}) => parent.appendChild(Object.assign(document.createElement(tag), props));
  const svg = (tag, parent, attributes = {}) => {
    const element = parent.appendChild(document.createElementNS("http://www.w3.org/2000/svg", tag));
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    return element;
  };
  // every figure of its kind that is not running yet, so that several on a page do not meet
  const startAll = (kind, start) => document.querySelectorAll(`.${kind}:not([data-ready])`)
    .forEach(root => { root.dataset.ready = ""; start(root); });
