"""Where the built book lies, and what its browser tests do to a page."""

from pathlib import Path

HTML = Path(__file__).resolve().parents[1] / "_build" / "html"

# what is folded away or waits for an answer is checked as well
OPEN_ALL = """() => {
    document.querySelectorAll(".toggle-button-hidden").forEach(button => button.click());
    document.querySelectorAll("details").forEach(part => { part.open = true; });
    document.querySelectorAll("form.quiz-question").forEach((form, place) => {
        const inputs = [...form.querySelectorAll("input")], last = inputs.at(-1);
        if (last.type === "text") last.value = place % 2 ? last.dataset.number : "-987";
        else inputs.forEach(input => { input.checked = input === last || (place % 2 && "right" in input.dataset); });
        form.requestSubmit();
    });
}"""


def settle(page):
    """Wait until MathJax has set what there is to set, and colours and boxes have stopped moving."""
    page.evaluate("() => window.MathJax?.startup?.promise")
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    page.evaluate("() => document.getAnimations().forEach(moving => { try { moving.finish(); } catch {} })")
