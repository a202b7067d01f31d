/* Quizzes (book/_tools/quiz.py): check an answer, say what is right or wrong and why. Nothing is stored or sent. */
(() => {
  const make = (tag, parent, text = "", name = "") => {
    const element = parent.appendChild(document.createElement(tag));
    element.textContent = text;
    if (name) element.className = name;
    return element;
  };

  /* What a text may mean: a comma parts thousands or is the decimal comma, and print has a minus of its own. */
  const readings = text => {
    const plain = text.trim().replace(/\u2212/g, "-").replace(/\s*%$/, "").replace(/[\s\u00a0\u202f]/g, "");
    const texts = [plain.replace(",", ".")];
    if (/^[+-]?\d{1,3}(,\d{3})+(\.\d+)?$/.test(plain)) texts.push(plain.replaceAll(",", ""));
    return plain ? texts.map(Number).filter(Number.isFinite) : [];
  };

  const say = (form, right, text, reasons) => {
    const says = form.querySelector(".quiz-says");
    says.replaceChildren();
    says.dataset.verdict = right ? "right" : "wrong";
    make("p", says, (right ? "✓ " : "✗ ") + text, "quiz-verdict");
    // copies, because the reasons also stand in the folded answer
    for (const reason of reasons) says.append(reason.cloneNode(true));
    form.classList.add("quiz-checked");
  };

  const ask = (form, text) => {
    const says = form.querySelector(".quiz-says");
    delete says.dataset.verdict;
    says.textContent = text;
  };

  const forget = form => {
    form.querySelectorAll(".quiz-mark").forEach(mark => mark.remove());
    ask(form, "");
  };

  const checkNumber = (form, field) => {
    const given = readings(field.value), right = Number(field.dataset.number);
    if (!given.length) return ask(form, "Write a number, such as 12 or 0.5.");
    const near = (value, within) =>
      given.some(number => Math.abs(number - value) <= within + 1e-9 * Math.max(1, Math.abs(value)));
    const [reason, ...hints] = form.querySelectorAll(".quiz-answer .quiz-reason");
    if (near(right, Number(field.dataset.within))) return say(form, true, "Right.", [reason]);
    return say(form, false, "Not right. Try again, or open the answer.",
               hints.filter(hint => near(Number(hint.dataset.number), 0)));
  };

  const checkChoice = form => {
    const inputs = [...form.querySelectorAll(".quiz-choices input")];
    const reasons = [...form.querySelectorAll(".quiz-answer .quiz-reason")];
    const picked = inputs.filter(input => input.checked);
    const isRight = input => "right" in input.dataset;
    const rights = inputs.filter(isRight);
    if (!picked.length) return ask(form, rights.length > 1 ? "Choose at least one answer." : "Choose an answer.");
    const wrong = picked.filter(input => !isRight(input)).length, missing = rights.filter(i => !i.checked).length;
    const done = !wrong && !missing;
    const shown = done ? inputs : picked;
    for (const input of shown) {
      make("span", input.closest("label"), isRight(input) ? " ✓ right" : " ✗ wrong", "quiz-mark");
    }
    let text = done ? "Right." : "Not right. Try again, or open the answer.";
    if (!done && inputs[0].type === "checkbox") {
      text = `${picked.length - wrong} of ${rights.length} right answers found, ${wrong} wrong chosen. Try again, or open the answer.`;
    }
    return say(form, done, text, reasons.filter((_, place) => shown.includes(inputs[place])));
  };

  const start = () => document.querySelectorAll("form.quiz-question").forEach(form => {
    const field = form.querySelector("input[data-number]");
    form.classList.add("quiz-live");
    form.addEventListener("input", () => forget(form));
    form.addEventListener("submit", event => {
      event.preventDefault();
      forget(form);
      if (field) checkNumber(form, field); else checkChoice(form);
    });
  });
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start); else start();
})();
